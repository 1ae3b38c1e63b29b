//! The parameters of a URI, as SQLite keeps them behind a file's name.

use core::ffi::{CStr, c_char, c_int};

use libsqlite3_sys as sys;

use super::open::os_string;
use crate::Error;
use crate::vfs::uri::{self, Given, PARAMETERS};

/// Those that name keys or rules, each once; none unless the process permits them.
///
/// # Safety
/// `name` is the name of a main database that SQLite passed to xOpen.
pub(super) unsafe fn parameters(name: *const c_char) -> Result<Vec<Given>, Error> {
    if !uri::are_permitted() {
        return Ok(Vec::new());
    }
    let mut given: Vec<Given> = Vec::new();
    for index in 0..c_int::MAX {
        // SAFETY: by the contract; SQLite returns null behind the last parameter, or a string that lives as long
        // as the name.
        let key = unsafe {
            let key = sys::sqlite3_uri_key(name, index);
            if key.is_null() {
                break;
            }
            CStr::from_ptr(key)
        };
        let known = |parameter: &&&str| parameter.as_bytes() == key.to_bytes();
        let Some(parameter) = PARAMETERS.iter().find(known).copied() else {
            continue;
        };
        // SQLite gives the first of two values; which one was meant?
        if given.iter().any(|one| one.parameter == parameter) {
            return Err(uri::refuse(parameter, "is given twice"));
        }
        // SAFETY: as above; a parameter that is there has a value.
        let value = unsafe {
            let value = sys::sqlite3_uri_parameter(name, key.as_ptr());
            if value.is_null() {
                continue;
            }
            os_string(CStr::from_ptr(value))
        };
        given.push(Given { parameter, value });
    }
    Ok(given)
}
