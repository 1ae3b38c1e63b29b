//! What SQLite tells of the values of constraints since 3.38.0. A program that brings no SQLite of its own, as a loadable
//! extension, may meet an older one, and its bindings lack these functions: there nothing is told, SQLite looks at each row
//! again, and asks for the values of an IN one by one.

use core::ffi::c_int;

use libsqlite3_sys as sys;

/// The value of a constraint, if it stands in the query.
///
/// # Safety
/// Within xBestIndex, of one of its constraints. The value lives through the call.
#[cfg(feature = "bundled")]
pub(super) unsafe fn of_constraint(
    info: *mut sys::sqlite3_index_info,
    at: c_int,
) -> Option<*mut sys::sqlite3_value> {
    let mut value = core::ptr::null_mut();
    // SAFETY: by the contract.
    let rc = unsafe { sys::sqlite3_vtab_rhs_value(info, at, &raw mut value) };
    (rc == sys::SQLITE_OK).then_some(value)
}

#[cfg(not(feature = "bundled"))]
pub(super) const unsafe fn of_constraint(
    _: *mut sys::sqlite3_index_info,
    _: c_int,
) -> Option<*mut sys::sqlite3_value> {
    None
}

/// Asks for all values of a constraint at once, if it is an IN; whether it is one.
///
/// # Safety
/// Within xBestIndex, of one of its constraints.
#[cfg(feature = "bundled")]
pub(super) unsafe fn all_of_in(info: *mut sys::sqlite3_index_info, at: c_int) -> bool {
    // SAFETY: by the contract.
    unsafe { sys::sqlite3_vtab_in(info, at, 1) != 0 }
}

#[cfg(not(feature = "bundled"))]
pub(super) const unsafe fn all_of_in(_: *mut sys::sqlite3_index_info, _: c_int) -> bool {
    false
}

/// The first value of an IN that was asked for as a whole, or the one after the last that was given.
///
/// # Safety
/// Within the xFilter that was given the list. The value lives until the next is asked for.
#[cfg(feature = "bundled")]
pub(super) unsafe fn in_list(
    list: *mut sys::sqlite3_value,
    is_first: bool,
    value: &mut *mut sys::sqlite3_value,
) -> c_int {
    // SAFETY: by the contract.
    unsafe {
        if is_first {
            sys::sqlite3_vtab_in_first(list, value)
        } else {
            sys::sqlite3_vtab_in_next(list, value)
        }
    }
}

#[cfg(not(feature = "bundled"))]
pub(super) const unsafe fn in_list(
    _: *mut sys::sqlite3_value,
    _: bool,
    _: &mut *mut sys::sqlite3_value,
) -> c_int {
    sys::SQLITE_DONE
}
