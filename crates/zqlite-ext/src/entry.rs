//! Where SQLite comes in: the VFS `zqlite` is registered in the host, for good, and what sealed databases need on every
//! connection that opens one.

use core::ffi::{CStr, c_char, c_int};
use core::ptr;
use std::ffi::CString;
use std::panic::catch_unwind;
use std::sync::{Mutex, PoisonError};

use libsqlite3_sys as sys;
use zqlite::vfs;

use crate::connection::{self, For};

/// The oldest SQLite that the VFS has been tested with.
const OLDEST: c_int = 3_040_000;

/// Address of the host's table of functions, once it is in use.
static HOST: Mutex<Option<usize>> = Mutex::new(None);

/// Whether a host has loaded the library: nothing that needs SQLite can be called before.
pub(crate) fn is_loaded() -> bool {
    HOST.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .is_some()
}

/// The entry point of `sqlite3_load_extension`, `.load` and `load_extension()`. The library stays loaded when the
/// connection is closed. This connection gets the virtual tables and functions, and so does every later one of the
/// process whose main database is sealed: [`zqlite_auto_init`] becomes an automatic extension.
///
/// # Safety
/// SQLite calls it, with its table of functions and a place for a message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sqlite3_zqlite_init(
    db: *mut sys::sqlite3,
    error: *mut *mut c_char,
    api: *mut sys::sqlite3_api_routines,
) -> c_int {
    // SAFETY: by the contract.
    match unsafe { load(db, For::Whoever, error, api) } {
        sys::SQLITE_OK => sys::SQLITE_OK_LOAD_PERMANENTLY,
        rc => rc,
    }
}

/// For programs that link the library: `sqlite3_auto_extension((void (*)(void))zqlite_auto_init)`, before the first
/// connection is opened. `sqlite3_zqlite_init` would do the same, but its result is an error there.
///
/// From then on every connection whose main database is sealed has the virtual tables and the functions of compressed
/// columns, with `recursive_triggers` on; others are left as they are. `sqlite3_cancel_auto_extension` with the same
/// argument ends that; the VFS stays.
///
/// # Safety
/// SQLite calls it, with its table of functions and a place for a message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zqlite_auto_init(
    db: *mut sys::sqlite3,
    error: *mut *mut c_char,
    api: *const sys::sqlite3_api_routines,
) -> c_int {
    // SAFETY: by the contract.
    unsafe { load(db, For::Sealed, error, api.cast_mut()) }
}

/// # Safety
/// `db` is null or an open connection of the host; `api` is null or the host's table of functions; `error` is null or a
/// place for a message.
unsafe fn load(
    db: *mut sys::sqlite3,
    whom: For,
    error: *mut *mut c_char,
    api: *mut sys::sqlite3_api_routines,
) -> c_int {
    let loaded = catch_unwind(|| {
        // SAFETY: by the contract.
        unsafe {
            in_host(api)?;
            connection::equip(db, whom)
        }
    });
    let message = match loaded {
        Ok(Ok(())) => return sys::SQLITE_OK,
        Ok(Err(message)) => message,
        Err(_) => "zqlite failed to load".to_owned(),
    };
    // SAFETY: by the contract; SQLite frees the copy that its allocator makes room for.
    unsafe {
        if let (false, Some(malloc), Ok(message), false) = (
            api.is_null(),
            api.as_ref().and_then(|api| api.malloc),
            CString::new(message),
            error.is_null(),
        ) {
            let bytes = message.as_bytes_with_nul();
            let copy = malloc(c_int::try_from(bytes.len()).unwrap_or(0)).cast::<u8>();
            if !copy.is_null() {
                ptr::copy_nonoverlapping(bytes.as_ptr(), copy, bytes.len());
                *error = copy.cast();
            }
        }
    }
    sys::SQLITE_ERROR
}

/// Registers the VFS in the first host; another one is refused.
///
/// # Safety
/// `api` is null or a host's table of functions.
unsafe fn in_host(api: *mut sys::sqlite3_api_routines) -> Result<(), String> {
    let mut host = HOST.lock().unwrap_or_else(PoisonError::into_inner);
    match *host {
        Some(address) if address == api.addr() => return Ok(()),
        Some(_) => return Err("zqlite is in use by another SQLite of this process".to_owned()),
        None => {}
    }
    // SAFETY: by the contract.
    unsafe { register(api) }?;
    *host = Some(api.addr());
    Ok(())
}

/// # Safety
/// `api` is null or a host's table of functions.
unsafe fn register(api: *mut sys::sqlite3_api_routines) -> Result<(), String> {
    // SAFETY: by the contract.
    let version = unsafe { api.as_ref() }.and_then(|api| api.libversion_number);
    let Some(version) = version else {
        return Err("zqlite was not loaded by SQLite".to_owned());
    };
    // SAFETY: the host's function, which only returns a number.
    let version = unsafe { version() };
    if version < OLDEST {
        return Err(format!(
            "zqlite needs SQLite 3.40.0 or later, and this is {}.{}.{}",
            version / 1_000_000,
            version / 1_000 % 1_000,
            version % 1_000
        ));
    }
    // SAFETY: by the contract.
    unsafe { sys::rusqlite_extension_init2(api) }.map_err(|error| error.to_string())?;
    let name = CString::new(vfs::NAME).map_err(|error| error.to_string())?;
    // SAFETY: a string, which is only compared.
    if !unsafe { sys::sqlite3_vfs_find(name.as_ptr()) }.is_null() {
        return Err("this SQLite has a VFS of the name zqlite already".to_owned());
    }
    vfs::register().map_err(|error| error.to_string())?;
    vfs::permit_uri_keys();
    connection::equip_later_ones()?;
    if let Some(warning) = vfs::host_warning() {
        warn(warning);
    }
    Ok(())
}

fn warn(text: &str) {
    const FORMAT: &CStr = c"%s";
    if let Ok(text) = CString::new(format!("zqlite: {text}")) {
        // SAFETY: a format with one string, and the string.
        unsafe { sys::sqlite3_log(sys::SQLITE_WARNING, FORMAT.as_ptr(), text.as_ptr()) };
    }
}
