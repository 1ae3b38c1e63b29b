//! Values that come from SQLite, and values for it.

use core::ffi::c_int;
use core::marker::PhantomData;
use core::{ptr, slice};

use libsqlite3_sys as sys;
use rusqlite::types::ValueRef;

use super::{Result, check, values_asked};

/// The values of one call.
#[derive(Clone, Copy)]
pub(crate) struct Args<'a>(&'a [*mut sys::sqlite3_value]);

impl<'a> Args<'a> {
    /// # Safety
    /// That many values, which live through `'a`, as one call of SQLite's.
    pub(super) unsafe fn new(argc: c_int, argv: *mut *mut sys::sqlite3_value) -> Self {
        match usize::try_from(argc) {
            // SAFETY: by the contract.
            Ok(len @ 1..) if !argv.is_null() => Self(unsafe { slice::from_raw_parts(argv, len) }),
            _ => Self(&[]),
        }
    }

    pub(super) fn from(self, first: usize) -> Self {
        Self(self.0.get(first..).unwrap_or_default())
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// The value at a position; NULL where there is none.
    pub(crate) fn get(&self, at: usize) -> ValueRef<'a> {
        match self.0.get(at).copied() {
            // SAFETY: a value that lives through `'a`.
            Some(value) => unsafe { read(value) },
            None => ValueRef::Null,
        }
    }

    /// Shows the values of an IN at a position, all of which [`IndexInfo::take_all_of_in`](super::IndexInfo) asked for.
    pub(crate) fn each_of_in(
        &self,
        at: usize,
        mut see: impl FnMut(ValueRef<'_>) -> Result<()>,
    ) -> Result<()> {
        let Some(list) = self.0.get(at).copied() else {
            return Ok(());
        };
        let mut value = ptr::null_mut();
        // SAFETY: the list of this call.
        let mut rc = unsafe { values_asked::in_list(list, true, &mut value) };
        while rc == sys::SQLITE_OK && !value.is_null() {
            // SAFETY: one of its values, which lives until the next is asked for.
            see(unsafe { read(value) })?;
            // SAFETY: as above.
            rc = unsafe { values_asked::in_list(list, false, &mut value) };
        }
        match rc {
            sys::SQLITE_OK | sys::SQLITE_DONE => Ok(()),
            rc => check(rc, "the values of an IN cannot be read"),
        }
    }
}

/// # Safety
/// A value that lives through `'a`.
pub(super) unsafe fn read<'a>(value: *mut sys::sqlite3_value) -> ValueRef<'a> {
    // SAFETY: by the contract; it is asked for its text or bytes before their length, as SQLite wants it, and in one
    // form only.
    unsafe {
        match sys::sqlite3_value_type(value) {
            sys::SQLITE_INTEGER => ValueRef::Integer(sys::sqlite3_value_int64(value)),
            sys::SQLITE_FLOAT => ValueRef::Real(sys::sqlite3_value_double(value)),
            sys::SQLITE_TEXT => {
                let text = sys::sqlite3_value_text(value);
                ValueRef::Text(bytes(text, sys::sqlite3_value_bytes(value)))
            }
            sys::SQLITE_BLOB => {
                let blob = sys::sqlite3_value_blob(value);
                ValueRef::Blob(bytes(blob.cast(), sys::sqlite3_value_bytes(value)))
            }
            _ => ValueRef::Null,
        }
    }
}

/// # Safety
/// Null, or that many bytes that live through `'a`.
unsafe fn bytes<'a>(start: *const u8, len: c_int) -> &'a [u8] {
    match usize::try_from(len) {
        // SAFETY: by the contract.
        Ok(len @ 1..) if !start.is_null() => unsafe { slice::from_raw_parts(start, len) },
        _ => &[],
    }
}

/// The value of one column of one row, to be set. It is NULL until then.
pub(crate) struct Cell<'a> {
    context: *mut sys::sqlite3_context,
    call: PhantomData<&'a mut sys::sqlite3_context>,
}

impl Cell<'_> {
    /// # Safety
    /// The context of a call, which lives as long as this.
    pub(super) const unsafe fn new(context: *mut sys::sqlite3_context) -> Self {
        Self {
            context,
            call: PhantomData,
        }
    }

    pub(crate) fn set(&mut self, value: ValueRef<'_>) {
        // SAFETY: the context of this call; SQLite copies what it is told is transient.
        unsafe {
            match value {
                ValueRef::Null => sys::sqlite3_result_null(self.context),
                ValueRef::Integer(number) => sys::sqlite3_result_int64(self.context, number),
                ValueRef::Real(number) => sys::sqlite3_result_double(self.context, number),
                ValueRef::Text(text) => match c_int::try_from(text.len()) {
                    Ok(len) => sys::sqlite3_result_text(
                        self.context,
                        text.as_ptr().cast(),
                        len,
                        sys::SQLITE_TRANSIENT(),
                    ),
                    Err(_) => sys::sqlite3_result_error_toobig(self.context),
                },
                ValueRef::Blob(blob) => match c_int::try_from(blob.len()) {
                    Ok(len) => sys::sqlite3_result_blob(
                        self.context,
                        blob.as_ptr().cast(),
                        len,
                        sys::SQLITE_TRANSIENT(),
                    ),
                    Err(_) => sys::sqlite3_result_error_toobig(self.context),
                },
            }
        }
    }

    pub(crate) fn set_int(&mut self, number: i64) {
        self.set(ValueRef::Integer(number));
    }

    pub(crate) fn set_text(&mut self, text: &str) {
        self.set(ValueRef::Text(text.as_bytes()));
    }
}
