//! Keys and rules for a path, until they are taken back.

use core::ffi::{c_char, c_int};

use zqlite::keys::{Expected, NewSlot, PageSize, SlotKey};
use zqlite::vfs::{self, Access};
use zqlite::{Error, key_file};

use super::keyring::{Keyring, keys};
use super::{Failure, Result, ZQLITE_ERROR, call, loaded, optional, path};

/// Registers keys and rules for a path: from now on `sqlite3_open_v2(path, &db, flags, "zqlite")` opens it, and so does
/// a URI with `vfs=zqlite`. The path need not exist; it is resolved now. What was registered before is replaced.
///
/// `keyring`: null for no keys. `signed_by`: whose files are accepted, as the text of a verifying key or the path of a
/// file that holds one, with `@FILE-ID` behind it if it has to be that file; null if nothing is expected.
/// `accept_any_maker`: not 0 to open a file whoever made it, which an identity needs if `signed_by` is null.
/// `create_recipients`: recipients (`age1pq1…`), one on a line, to whom one new file may be sealed; null if none may be
/// created.
///
/// # Safety
/// The keyring is null or not freed; texts are strings or null; `error` is null or a place for a message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zqlite_register(
    file: *const c_char,
    keyring: *const Keyring,
    signed_by: *const c_char,
    accept_any_maker: c_int,
    create_recipients: *const c_char,
    error: *mut *mut c_char,
) -> c_int {
    let body = || {
        loaded()?;
        // SAFETY: by the contract.
        let (path, keys, signed_by, recipients) = unsafe {
            (
                path(file)?,
                keys(keyring),
                optional(signed_by)?,
                optional(create_recipients)?,
            )
        };
        let mut access = Access::new(keys);
        match (signed_by, accept_any_maker) {
            (Some(_), 1..) | (Some(_), ..=-1) => {
                return Err(Failure::misuse("signed_by contradicts accept_any_maker"));
            }
            (Some(text), 0) => access = access.signed_by(expected(text)?),
            (None, 0) => {}
            (None, _) => access = access.accept_any_maker(),
        }
        if let Some(recipients) = recipients {
            if signed_by.is_some() {
                return Err(Failure::misuse(
                    "a file that is created here is signed by nobody, and signed_by would refuse it",
                ));
            }
            let slots = key_file::recipients(recipients.as_bytes())?
                .into_iter()
                .map(|recipient| NewSlot {
                    key: SlotKey::Recipient(recipient),
                    label: String::new(),
                })
                .collect();
            access = access.create(slots, PageSize::default(), None);
        }
        Ok(vfs::register_keys(&path, access)?)
    };
    // SAFETY: by the contract.
    unsafe { call(error, body) }
}

/// Forgets what is registered for a path; connections that are open stay so. Not an error if there is nothing.
///
/// # Safety
/// `file` is a path; `error` is null or a place for a message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zqlite_unregister(file: *const c_char, error: *mut *mut c_char) -> c_int {
    let body = || {
        // SAFETY: by the contract.
        let path = unsafe { path(file) }?;
        vfs::unregister_keys(&path);
        Ok(())
    };
    // SAFETY: by the contract.
    unsafe { call(error, body) }
}

/// `KEY[@FILE-ID]`.
pub(super) fn expected(text: &str) -> Result<Expected> {
    if key_file::looks_like_secret(text) {
        return Err(Failure::misuse(
            "signed_by is a secret key, where a verifying key belongs",
        ));
    }
    let text = key_file::ExpectedText::parse(text)
        .map_err(|error| Failure::misuse(format!("signed_by: {error}")))?;
    let key = if text.is_key_text {
        text.key.parse().map_err(key_file::KeyFileError::from)
    } else {
        let content = vfs::read_key_file(text.key.as_ref())
            .map_err(|error: Error| Failure::new(ZQLITE_ERROR, format!("signed_by: {error}")))?;
        key_file::verifying_key(&content)
    };
    Ok(Expected {
        key: key?,
        file_id: text.file_id,
    })
}
