//! What changes or attests a whole file: a new key, a signed state.

use core::ffi::{c_char, c_int, c_void};

use zqlite::keys::SigningKey;
use zqlite::{Progress, RekeyOptions, SealOptions, key_file, vfs};

use super::keyring::{Keyring, keys};
use super::register::expected;
use super::{Failure, Result, call, loaded, optional, path, zqlite_progress};

/// Replaces the key of a file while others read and write it; the keys that open the file go on doing so.
///
/// `sign_with_file`: the path of a file that holds the owner's signing key, which a signed file needs; or null. `rate`:
/// how many bytes a second are sealed anew, at most; 0 for no limit. `signed_by` as in `zqlite_verify`. If `progress`
/// stops it (`ZQLITE_INTERRUPTED`), or the process ends, the next call goes on where it stopped.
///
/// # Safety
/// As for `zqlite_verify`; `sign_with_file` is a path or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zqlite_rekey(
    file: *const c_char,
    keyring: *const Keyring,
    signed_by: *const c_char,
    sign_with_file: *const c_char,
    rate: u64,
    progress: zqlite_progress,
    context: *mut c_void,
    error: *mut *mut c_char,
) -> c_int {
    let body = || {
        loaded()?;
        // SAFETY: by the contract.
        let (file, keys, signed_by) = unsafe { (path(file)?, keys(keyring), optional(signed_by)?) };
        let mut options = RekeyOptions::new(keys);
        options.signed_by = signed_by.map(expected).transpose()?;
        options.rate = (rate > 0).then_some(rate);
        if !sign_with_file.is_null() {
            // SAFETY: by the contract.
            options.signing_key = Some(unsafe { signing_key(sign_with_file) }?);
        }
        zqlite::rekey(&file, options, &mut |at| {
            // SAFETY: by the contract.
            progress.is_none_or(|progress| unsafe { progress(context, at.done, at.total) } == 0)
        })?;
        Ok(())
    };
    // SAFETY: by the contract.
    unsafe { call(error, body) }
}

/// Folds the log into the file and signs its state, every byte of it, into the new file `seal`.
///
/// `sign_with_file`: the path of a file that holds the signing key. `signed_by` as in `zqlite_verify`.
///
/// # Safety
/// As for `zqlite_verify`; `sign_with_file` and `seal` are paths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zqlite_seal(
    file: *const c_char,
    seal: *const c_char,
    keyring: *const Keyring,
    signed_by: *const c_char,
    sign_with_file: *const c_char,
    progress: zqlite_progress,
    context: *mut c_void,
    error: *mut *mut c_char,
) -> c_int {
    let body = || {
        loaded()?;
        // SAFETY: by the contract.
        let (file, seal, keys, signed_by) = unsafe {
            (
                path(file)?,
                path(seal)?,
                keys(keyring),
                optional(signed_by)?,
            )
        };
        // SAFETY: by the contract.
        let mut options = SealOptions::new(keys, unsafe { signing_key(sign_with_file) }?);
        options.signed_by = signed_by.map(expected).transpose()?;
        // SAFETY: by the contract.
        let mut report = |at: Progress| unsafe { goes_on(progress, context, &at) };
        zqlite::seal_to(&file, &seal, false, options, &mut report)?;
        Ok(())
    };
    // SAFETY: by the contract.
    unsafe { call(error, body) }
}

/// Checks, without a key of the file, that it is in the state that `signed_by` sealed in the file `seal`.
///
/// `ZQLITE_SIGNATURE` if the seal is somebody else's, `ZQLITE_DAMAGED` if the file is in another state.
///
/// # Safety
/// `file` and `seal` are paths, `signed_by` is a string; `progress` may be called with `context`; `error` is null or a
/// place for a message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zqlite_verify_seal(
    file: *const c_char,
    seal: *const c_char,
    signed_by: *const c_char,
    progress: zqlite_progress,
    context: *mut c_void,
    error: *mut *mut c_char,
) -> c_int {
    let body = || {
        loaded()?;
        // SAFETY: by the contract.
        let (file, seal, signed_by) = unsafe { (path(file)?, path(seal)?, optional(signed_by)?) };
        let signed_by = signed_by.ok_or_else(|| Failure::misuse("signed_by is null"))?;
        let seal = zqlite::read_seal(&seal)?;
        // SAFETY: by the contract.
        let mut report = |at: Progress| unsafe { goes_on(progress, context, &at) };
        Ok(zqlite::verify_seal(
            &file,
            &seal,
            &expected(signed_by)?,
            &mut report,
        )?)
    };
    // SAFETY: by the contract.
    unsafe { call(error, body) }
}

/// # Safety
/// `progress` is null or may be called with `context`.
unsafe fn goes_on(progress: zqlite_progress, context: *mut c_void, at: &Progress) -> bool {
    // SAFETY: by the contract.
    progress.is_none_or(|progress| unsafe { progress(context, at.done, at.total) } == 0)
}

/// # Safety
/// `file` is null or a path.
unsafe fn signing_key(file: *const c_char) -> Result<SigningKey> {
    // SAFETY: by the contract.
    let file = unsafe { path(file) }?;
    Ok(key_file::signing_key(&vfs::read_key_file(&file)?)?)
}
