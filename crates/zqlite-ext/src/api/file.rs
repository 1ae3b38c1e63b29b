//! What can be known of a file: its header without a key, all of it with one.

use core::ffi::{c_char, c_int, c_void};
use core::ptr;

use zqlite::VerifyOptions;
use zqlite::pq::header::SignatureState;

use super::keyring::{Keyring, keys};
use super::register::expected;
use super::{Failure, ZQLITE_DAMAGED, c_text, call, loaded, optional, path, zqlite_progress};

/// There is no signature.
pub const ZQLITE_UNSIGNED: u8 = 0;
/// The signature verifies under the key that the header names itself: that proves nothing about who made the file.
pub const ZQLITE_SIGNED: u8 = 1;
/// The signature does not verify.
pub const ZQLITE_SIGNED_WRONGLY: u8 = 2;

const _: () = assert!(size_of::<Inspection>() == 64, "part of the ABI");

/// What the header of a file claims. Nothing here is proved.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Inspection {
    /// Length of the file in bytes.
    pub file_len: u64,
    /// Length of SQLite's database in bytes.
    pub database_len: u64,
    /// Counts the acts of the owner.
    pub generation: u64,
    /// Counts the other changes of the header since the last act of the owner.
    pub revision: u64,
    /// Page size in bytes.
    pub page_size: u32,
    /// Number of the newest key.
    pub epoch: u32,
    /// How many keys, passphrases and raw keys open the file.
    pub slots: u32,
    /// The file's id.
    pub file_id: [u8; 16],
    /// `ZQLITE_UNSIGNED`, `ZQLITE_SIGNED` or `ZQLITE_SIGNED_WRONGLY`.
    pub signature: u8,
    /// 1 if the two copies of the header are the same bytes, as they are in a healthy file.
    pub copies_are_identical: u8,
    /// 1 if a WAL stands beside the file.
    pub has_wal: u8,
    /// 1 if a rollback journal stands beside the file.
    pub has_journal: u8,
}

/// Reads the header of a sealed file, without a key.
///
/// `signer`: a place for the text of the signer's verifying key, to be freed with `zqlite_free`, null if the file is not
/// signed; or null.
///
/// # Safety
/// `file` is a path; `out` is a place for the result; `signer` and `error` are null or places for texts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zqlite_inspect(
    file: *const c_char,
    out: *mut Inspection,
    signer: *mut *mut c_char,
    error: *mut *mut c_char,
) -> c_int {
    let body = || {
        if !signer.is_null() {
            // SAFETY: by the contract.
            unsafe { *signer = ptr::null_mut() };
        }
        if out.is_null() {
            return Err(Failure::misuse("there is no place for the result"));
        }
        loaded()?;
        // SAFETY: by the contract.
        let path = unsafe { path(file) }?;
        let found = zqlite::inspect(&path)?;
        let header = found
            .header
            .header()
            .ok_or_else(|| Failure::new(ZQLITE_DAMAGED, "neither header copy can be read"))?;
        let inspection = Inspection {
            file_len: found.file_len,
            database_len: found.database_len,
            generation: header.generation(),
            revision: header.revision(),
            page_size: header.page_size().get(),
            epoch: header.epoch(),
            slots: u32::try_from(header.slots().len()).unwrap_or(u32::MAX),
            file_id: *header.file_id().as_bytes(),
            signature: match found.header.signature {
                SignatureState::Missing => ZQLITE_UNSIGNED,
                SignatureState::Valid => ZQLITE_SIGNED,
                _ => ZQLITE_SIGNED_WRONGLY,
            },
            copies_are_identical: found.header.identical.into(),
            has_wal: found.has_wal.into(),
            has_journal: found.has_journal.into(),
        };
        // SAFETY: by the contract, and not null.
        unsafe { out.write(inspection) };
        if let (Some(key), false) = (header.signer(), signer.is_null()) {
            // SAFETY: by the contract.
            unsafe { *signer = c_text(&key.to_string()) };
        }
        Ok(())
    };
    // SAFETY: by the contract.
    unsafe { call(error, body) }
}

/// Checks every page, both copies of the header, the WAL and SQLite's structures, beside others who use the file.
///
/// Damage is `ZQLITE_DAMAGED`, with one problem on a line in `error`. `signed_by` as in `zqlite_register`; null accepts
/// any maker. `progress` may be null.
///
/// # Safety
/// `file` is a path; the keyring is not freed; `signed_by` is a string or null; `progress` may be called with `context`;
/// `error` is null or a place for a message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zqlite_verify(
    file: *const c_char,
    keyring: *const Keyring,
    signed_by: *const c_char,
    progress: zqlite_progress,
    context: *mut c_void,
    error: *mut *mut c_char,
) -> c_int {
    let body = || {
        loaded()?;
        // SAFETY: by the contract.
        let (path, keys, signed_by) = unsafe { (path(file)?, keys(keyring), optional(signed_by)?) };
        let mut options = VerifyOptions::new(keys);
        options.signed_by = signed_by.map(expected).transpose()?;
        let report = zqlite::verify(&path, options, &mut |at| {
            // SAFETY: by the contract.
            progress.is_none_or(|progress| unsafe { progress(context, at.done, at.total) } == 0)
        })?;
        if report.problems.is_empty() {
            Ok(())
        } else {
            Err(Failure::new(ZQLITE_DAMAGED, report.problems.join("\n")))
        }
    };
    // SAFETY: by the contract.
    unsafe { call(error, body) }
}
