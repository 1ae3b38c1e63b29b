//! Keyrings: keys from memory or from files, wiped when they are freed.

use core::ffi::{c_char, c_int, c_void};
use core::fmt;
use std::sync::{Mutex, PoisonError};

use zeroize::Zeroizing;
use zqlite::keys::{Identity, Keyring as Keys, Passphrase, RawKey};
use zqlite::{key_file, vfs};

use super::{Failure, Result, call, loaded, path};

/// Keys that may open files. It may be used for several files, and by several threads.
pub struct Keyring {
    keys: Mutex<Vec<Key>>,
}

enum Key {
    Identity(Identity),
    Passphrase(Passphrase),
    Raw(RawKey),
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring(<redacted>)")
    }
}

impl Keyring {
    fn add(&self, keys: impl IntoIterator<Item = Key>) {
        let mut own = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        own.extend(keys);
    }

    /// A copy of all keys.
    fn keys(&self) -> Keys {
        let mut keys = Keys::new();
        for key in &*self.keys.lock().unwrap_or_else(PoisonError::into_inner) {
            match key {
                Key::Identity(key) => keys.add_identity(Identity::from_seed(*key.expose_seed())),
                Key::Passphrase(key) => {
                    keys.add_passphrase(Passphrase::from_bytes(key.expose().to_vec()));
                }
                Key::Raw(key) => keys.add_raw_key(RawKey::from_bytes(*key.expose())),
            }
        }
        keys
    }
}

/// The keys of a keyring; none if it is null.
///
/// # Safety
/// `keyring` is null or a keyring that is not freed.
pub(super) unsafe fn keys(keyring: *const Keyring) -> Keys {
    // SAFETY: by the contract.
    unsafe { keyring.as_ref() }.map_or_else(Keys::new, Keyring::keys)
}

/// A keyring without keys, to be freed with `zqlite_keyring_free`.
#[unsafe(no_mangle)]
pub extern "C" fn zqlite_keyring_new() -> *mut Keyring {
    Box::into_raw(Box::new(Keyring {
        keys: Mutex::new(Vec::new()),
    }))
}

/// Wipes the keys and frees the keyring; files that were registered with it keep theirs. Null is let pass.
///
/// # Safety
/// The keyring came from `zqlite_keyring_new`, and was not freed before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zqlite_keyring_free(keyring: *mut Keyring) {
    if !keyring.is_null() {
        // SAFETY: by the contract.
        drop(unsafe { Box::from_raw(keyring) });
    }
}

/// Adds the identities (`AGE-SECRET-KEY-PQ-1…`) of a text, one on a line, comments beside them.
///
/// # Safety
/// The keyring is not freed; `text` has `len` bytes; `error` is null or a place for a message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zqlite_keyring_add_identity(
    keyring: *mut Keyring,
    text: *const c_char,
    len: usize,
    error: *mut *mut c_char,
) -> c_int {
    // SAFETY: by the contract.
    unsafe { add(keyring, Source::Memory(text.cast(), len), identities, error) }
}

/// Adds the identities of a file.
///
/// # Safety
/// The keyring is not freed; `file` is a path; `error` is null or a place for a message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zqlite_keyring_add_identity_file(
    keyring: *mut Keyring,
    file: *const c_char,
    error: *mut *mut c_char,
) -> c_int {
    // SAFETY: by the contract.
    unsafe { add(keyring, Source::File(file), identities, error) }
}

/// Adds a passphrase: exactly these bytes.
///
/// # Safety
/// The keyring is not freed; `passphrase` has `len` bytes; `error` is null or a place for a message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zqlite_keyring_add_passphrase(
    keyring: *mut Keyring,
    passphrase: *const c_void,
    len: usize,
    error: *mut *mut c_char,
) -> c_int {
    let exactly = |bytes: &[u8]| match bytes {
        [] => Err(Failure::misuse("the passphrase is empty")),
        bytes => Ok(vec![Key::Passphrase(Passphrase::from_bytes(
            bytes.to_vec(),
        ))]),
    };
    // SAFETY: by the contract.
    unsafe { add(keyring, Source::Memory(passphrase, len), exactly, error) }
}

/// Adds the passphrase of a file; one line end at its end is dropped.
///
/// # Safety
/// The keyring is not freed; `file` is a path; `error` is null or a place for a message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zqlite_keyring_add_passphrase_file(
    keyring: *mut Keyring,
    file: *const c_char,
    error: *mut *mut c_char,
) -> c_int {
    let parse = |bytes: &[u8]| Ok(vec![Key::Passphrase(key_file::passphrase(bytes)?)]);
    // SAFETY: by the contract.
    unsafe { add(keyring, Source::File(file), parse, error) }
}

/// Adds a raw key of 32 bytes.
///
/// # Safety
/// The keyring is not freed; `key` has 32 bytes; `error` is null or a place for a message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zqlite_keyring_add_raw_key(
    keyring: *mut Keyring,
    key: *const u8,
    error: *mut *mut c_char,
) -> c_int {
    // SAFETY: by the contract.
    unsafe { add(keyring, Source::Memory(key.cast(), RawKey::LEN), raw, error) }
}

/// Adds the raw key of a file: 32 bytes, or 64 hexadecimal digits.
///
/// # Safety
/// The keyring is not freed; `file` is a path; `error` is null or a place for a message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zqlite_keyring_add_raw_key_file(
    keyring: *mut Keyring,
    file: *const c_char,
    error: *mut *mut c_char,
) -> c_int {
    // SAFETY: by the contract.
    unsafe { add(keyring, Source::File(file), raw, error) }
}

/// Where a key comes from.
enum Source {
    Memory(*const c_void, usize),
    File(*const c_char),
}

fn identities(content: &[u8]) -> Result<Vec<Key>> {
    let identities = key_file::identities(content)?;
    Ok(identities.into_iter().map(Key::Identity).collect())
}

fn raw(content: &[u8]) -> Result<Vec<Key>> {
    Ok(vec![Key::Raw(key_file::raw_key(content)?)])
}

/// # Safety
/// See the functions that call it.
unsafe fn add(
    keyring: *mut Keyring,
    source: Source,
    parse: impl FnOnce(&[u8]) -> Result<Vec<Key>>,
    error: *mut *mut c_char,
) -> c_int {
    let body = || {
        // SAFETY: by the contract.
        let keyring =
            unsafe { keyring.as_ref() }.ok_or_else(|| Failure::misuse("the keyring is null"))?;
        let content = match source {
            Source::Memory(bytes, len) => {
                if bytes.is_null() {
                    return Err(Failure::misuse("the key is null"));
                }
                // SAFETY: by the contract.
                let bytes = unsafe { core::slice::from_raw_parts(bytes.cast::<u8>(), len) };
                Zeroizing::new(bytes.to_vec())
            }
            Source::File(file) => {
                loaded()?;
                // SAFETY: by the contract.
                let path = unsafe { path(file) }?;
                vfs::read_key_file(&path)?
            }
        };
        keyring.add(parse(&content)?);
        Ok(())
    };
    // SAFETY: by the contract.
    unsafe { call(error, body) }
}
