//! The C API: what `sqlite3.h` lacks, and no more. `zqlite.h` is generated from here.
//!
//! A pointer that is null is refused as `ZQLITE_MISUSE`, or means that nothing is given, where that is said; it
//! never crashes. A panic does not cross into C: it becomes `ZQLITE_INTERNAL`.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;
use std::ffi::CString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use zqlite::Verdict;

use crate::entry;

mod act;
mod file;
mod keyring;
mod register;

/// Done.
pub const ZQLITE_OK: c_int = 0;
/// Any failure without a code of its own; the message says which.
pub const ZQLITE_ERROR: c_int = 1;
/// An argument is null or makes no sense.
pub const ZQLITE_MISUSE: c_int = 2;
/// No given key opens the file.
pub const ZQLITE_NO_KEY: c_int = 3;
/// The file is altered or damaged.
pub const ZQLITE_DAMAGED: c_int = 4;
/// A signature is missing, or not the expected one.
pub const ZQLITE_SIGNATURE: c_int = 5;
/// The progress callback asked to stop.
pub const ZQLITE_INTERRUPTED: c_int = 6;
/// No SQLite has loaded the library yet: see `zqlite_auto_init`.
pub const ZQLITE_NOT_LOADED: c_int = 7;
/// A defect of zqlite.
pub const ZQLITE_INTERNAL: c_int = 8;

/// Told now and then by long work, in bytes; what it returns says whether to go on (0) or to stop.
#[expect(non_camel_case_types, reason = "its name in C")]
pub type zqlite_progress =
    Option<unsafe extern "C" fn(context: *mut c_void, done: u64, total: u64) -> c_int>;

/// The version of the library, as text that lives as long as the process.
#[unsafe(no_mangle)]
pub extern "C" fn zqlite_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => c"",
        };
    VERSION.as_ptr()
}

/// Frees a text that a function of this library gave out. Null is let pass.
///
/// # Safety
/// The text came from this library, and was not freed before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zqlite_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: by the contract, what `CString::into_raw` gave.
        drop(unsafe { CString::from_raw(text) });
    }
}

/// Why the last call of SQLite on this thread failed, if it was for a reason of the VFS: SQLite itself has but a code.
/// The reason is given once, to be freed with `zqlite_free`; null if there is none.
#[unsafe(no_mangle)]
pub extern "C" fn zqlite_last_error() -> *mut c_char {
    catch_unwind(|| zqlite::vfs::take_last_error().map(|error| error.to_string()))
        .ok()
        .flatten()
        .map_or(ptr::null_mut(), |text| c_text(&text))
}

/// A code, and a message for people.
struct Failure {
    code: c_int,
    message: String,
}

type Result<T> = core::result::Result<T, Failure>;

impl Failure {
    fn new(code: c_int, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    fn misuse(message: impl Into<String>) -> Self {
        Self::new(ZQLITE_MISUSE, message)
    }
}

impl From<zqlite::Error> for Failure {
    fn from(error: zqlite::Error) -> Self {
        let code = match error.verdict() {
            Verdict::NoKey => ZQLITE_NO_KEY,
            Verdict::Damaged => ZQLITE_DAMAGED,
            Verdict::Signature => ZQLITE_SIGNATURE,
            _ if matches!(
                error,
                zqlite::Error::Interrupted | zqlite::Error::RekeyStopped { .. }
            ) =>
            {
                ZQLITE_INTERRUPTED
            }
            _ => ZQLITE_ERROR,
        };
        Self::new(code, error.to_string())
    }
}

impl From<zqlite::key_file::KeyFileError> for Failure {
    fn from(error: zqlite::key_file::KeyFileError) -> Self {
        Self::new(ZQLITE_ERROR, error.to_string())
    }
}

/// Runs the body of a function of the API.
///
/// # Safety
/// `error` is null or a place for a pointer.
unsafe fn call(error: *mut *mut c_char, body: impl FnOnce() -> Result<()>) -> c_int {
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => None,
        Ok(Err(failure)) => Some(failure),
        Err(_) => Some(Failure::new(ZQLITE_INTERNAL, "a defect of zqlite")),
    };
    if !error.is_null() {
        let message = failure.as_ref().map(|failure| c_text(&failure.message));
        // SAFETY: by the contract.
        unsafe { *error = message.unwrap_or(ptr::null_mut()) };
    }
    failure.map_or(ZQLITE_OK, |failure| failure.code)
}

/// A text for C to free with `zqlite_free`.
fn c_text(text: &str) -> *mut c_char {
    let text = text.split('\0').next().unwrap_or_default();
    CString::new(text).map_or(ptr::null_mut(), CString::into_raw)
}

fn loaded() -> Result<()> {
    if entry::is_loaded() {
        Ok(())
    } else {
        Err(Failure::new(
            ZQLITE_NOT_LOADED,
            "no SQLite has loaded zqlite yet",
        ))
    }
}

/// # Safety
/// `text` is null or a string.
unsafe fn optional<'a>(text: *const c_char) -> Result<Option<&'a str>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: by the contract.
    match unsafe { CStr::from_ptr(text) }.to_str() {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(Failure::misuse("a text is no UTF-8")),
    }
}

/// # Safety
/// `path` is null or a string.
unsafe fn path(path: *const c_char) -> Result<PathBuf> {
    if path.is_null() {
        return Err(Failure::misuse("the path is null"));
    }
    // SAFETY: by the contract.
    let path = unsafe { CStr::from_ptr(path) };
    #[cfg(unix)]
    let path = {
        use std::os::unix::ffi::OsStrExt;
        PathBuf::from(std::ffi::OsStr::from_bytes(path.to_bytes()))
    };
    #[cfg(not(unix))]
    let path = PathBuf::from(
        path.to_str()
            .map_err(|_| Failure::misuse("the path is no UTF-8"))?,
    );
    Ok(path)
}
