//! Strings that SQLite frees.

use core::ffi::c_char;
use core::ptr;

use libsqlite3_sys as sys;

/// A copy in SQLite's memory, for SQLite to free; null if there is no memory. It ends at the first zero byte.
///
/// `sqlite3_mprintf` would do, but cannot be called through the table of functions that a host hands to an extension.
pub(super) fn sqlite_string(text: &str) -> *mut c_char {
    let text = text.split('\0').next().unwrap_or_default();
    // SAFETY: the new memory has room for the text and the zero behind it.
    unsafe {
        let copy = sys::sqlite3_malloc64(text.len() as u64 + 1).cast::<u8>();
        if !copy.is_null() {
            ptr::copy_nonoverlapping(text.as_ptr(), copy, text.len());
            *copy.add(text.len()) = 0;
        }
        copy.cast()
    }
}
