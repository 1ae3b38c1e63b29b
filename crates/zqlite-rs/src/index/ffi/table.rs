//! The table of functions that SQLite knows a module by, and the callbacks for transactions and upkeep.

use core::ffi::{CStr, c_char, c_int, c_void};

use libsqlite3_sys as sys;

use super::{
    Level, Module, on_table, sqlite_string, text, x_best_index, x_close, x_column, x_connect,
    x_create, x_destroy, x_disconnect, x_eof, x_filter, x_next, x_open, x_rowid, x_update,
};

type Create = unsafe extern "C" fn(
    *mut sys::sqlite3,
    *mut c_void,
    c_int,
    *const *const c_char,
    *mut *mut sys::sqlite3_vtab,
    *mut *mut c_char,
) -> c_int;
type OnTable = unsafe extern "C" fn(*mut sys::sqlite3_vtab) -> c_int;
type OnSavepoint = unsafe extern "C" fn(*mut sys::sqlite3_vtab, c_int) -> c_int;
type OnCursor = unsafe extern "C" fn(*mut sys::sqlite3_vtab_cursor) -> c_int;

/// `sqlite3_module` of version 4, which older bindings end one field earlier. An older SQLite does not look at
/// the last fields.
#[repr(C)]
pub(super) struct ModuleTable {
    version: c_int,
    x_create: Create,
    x_connect: Create,
    x_best_index:
        unsafe extern "C" fn(*mut sys::sqlite3_vtab, *mut sys::sqlite3_index_info) -> c_int,
    x_disconnect: OnTable,
    x_destroy: OnTable,
    x_open:
        unsafe extern "C" fn(*mut sys::sqlite3_vtab, *mut *mut sys::sqlite3_vtab_cursor) -> c_int,
    x_close: OnCursor,
    x_filter: unsafe extern "C" fn(
        *mut sys::sqlite3_vtab_cursor,
        c_int,
        *const c_char,
        c_int,
        *mut *mut sys::sqlite3_value,
    ) -> c_int,
    x_next: OnCursor,
    x_eof: OnCursor,
    x_column: unsafe extern "C" fn(
        *mut sys::sqlite3_vtab_cursor,
        *mut sys::sqlite3_context,
        c_int,
    ) -> c_int,
    x_rowid: unsafe extern "C" fn(*mut sys::sqlite3_vtab_cursor, *mut sys::sqlite3_int64) -> c_int,
    x_update: unsafe extern "C" fn(
        *mut sys::sqlite3_vtab,
        c_int,
        *mut *mut sys::sqlite3_value,
        *mut sys::sqlite3_int64,
    ) -> c_int,
    x_begin: OnTable,
    x_sync: OnTable,
    x_commit: OnTable,
    x_rollback: OnTable,
    /// Functions are not overloaded.
    x_find_function: Option<OnTable>,
    x_rename: unsafe extern "C" fn(*mut sys::sqlite3_vtab, *const c_char) -> c_int,
    x_savepoint: OnSavepoint,
    x_release: OnSavepoint,
    x_rollback_to: OnSavepoint,
    x_shadow_name: unsafe extern "C" fn(*const c_char) -> c_int,
    x_integrity: unsafe extern "C" fn(
        *mut sys::sqlite3_vtab,
        *const c_char,
        *const c_char,
        c_int,
        *mut *mut c_char,
    ) -> c_int,
}

// The fields that older bindings know stand where they stand there.
const _: () = assert!(
    core::mem::offset_of!(ModuleTable, x_shadow_name)
        == core::mem::offset_of!(sys::sqlite3_module, xShadowName)
);

struct Methods<M>(core::marker::PhantomData<M>);

impl<M: Module> Methods<M> {
    const TABLE: ModuleTable = ModuleTable {
        version: 4,
        x_create: x_create::<M>,
        x_connect: x_connect::<M>,
        x_best_index: x_best_index::<M>,
        x_disconnect: x_disconnect::<M>,
        x_destroy: x_destroy::<M>,
        x_open: x_open::<M>,
        x_close: x_close::<M>,
        x_filter: x_filter::<M>,
        x_next: x_next::<M>,
        x_eof: x_eof::<M>,
        x_column: x_column::<M>,
        x_rowid: x_rowid::<M>,
        x_update: x_update::<M>,
        x_begin: x_begin::<M>,
        x_sync: x_sync::<M>,
        x_commit: x_commit::<M>,
        x_rollback: x_rollback::<M>,
        x_find_function: None,
        x_rename: x_rename::<M>,
        x_savepoint: x_savepoint::<M>,
        x_release: x_release::<M>,
        x_rollback_to: x_rollback_to::<M>,
        x_shadow_name: x_shadow_name::<M>,
        x_integrity: x_integrity::<M>,
    };
}

impl ModuleTable {
    pub(super) fn of<M: Module>() -> *const sys::sqlite3_module {
        let table: &'static Self = &Methods::<M>::TABLE;
        core::ptr::from_ref(table).cast()
    }
}

unsafe extern "C" fn x_begin<M: Module>(vtab: *mut sys::sqlite3_vtab) -> c_int {
    // SAFETY: SQLite's argument.
    unsafe { on_table::<M>(vtab, |module| module.begin()) }
}

unsafe extern "C" fn x_sync<M: Module>(vtab: *mut sys::sqlite3_vtab) -> c_int {
    // SAFETY: SQLite's argument.
    unsafe { on_table::<M>(vtab, |module| module.sync()) }
}

unsafe extern "C" fn x_commit<M: Module>(vtab: *mut sys::sqlite3_vtab) -> c_int {
    // SAFETY: SQLite's argument.
    unsafe {
        on_table::<M>(vtab, |module| {
            module.commit();
            Ok(())
        })
    }
}

unsafe extern "C" fn x_rollback<M: Module>(vtab: *mut sys::sqlite3_vtab) -> c_int {
    // SAFETY: SQLite's argument.
    unsafe {
        on_table::<M>(vtab, |module| {
            module.rollback();
            Ok(())
        })
    }
}

unsafe extern "C" fn x_rename<M: Module>(
    vtab: *mut sys::sqlite3_vtab,
    name: *const c_char,
) -> c_int {
    // SAFETY: SQLite's arguments.
    unsafe { on_table::<M>(vtab, |module| module.rename(text(name)?)) }
}

unsafe extern "C" fn x_savepoint<M: Module>(vtab: *mut sys::sqlite3_vtab, _number: c_int) -> c_int {
    // SAFETY: SQLite's argument.
    unsafe { on_table::<M>(vtab, |module| module.savepoint()) }
}

unsafe extern "C" fn x_release<M: Module>(vtab: *mut sys::sqlite3_vtab, _number: c_int) -> c_int {
    // SAFETY: SQLite's argument.
    unsafe { on_table::<M>(vtab, |module| module.release()) }
}

unsafe extern "C" fn x_rollback_to<M: Module>(
    vtab: *mut sys::sqlite3_vtab,
    _number: c_int,
) -> c_int {
    // SAFETY: SQLite's argument.
    unsafe { on_table::<M>(vtab, |module| module.rollback_to()) }
}

unsafe extern "C" fn x_shadow_name<M: Module>(suffix: *const c_char) -> c_int {
    // SAFETY: SQLite's argument: a string.
    let suffix = unsafe { CStr::from_ptr(suffix) }.to_bytes();
    c_int::from(
        M::SHADOWS
            .iter()
            .any(|shadow| shadow.as_bytes().eq_ignore_ascii_case(suffix)),
    )
}

unsafe extern "C" fn x_integrity<M: Module>(
    vtab: *mut sys::sqlite3_vtab,
    _schema: *const c_char,
    _name: *const c_char,
    flags: c_int,
    report: *mut *mut c_char,
) -> c_int {
    // SAFETY: SQLite's arguments; it frees what is reported.
    unsafe {
        on_table::<M>(vtab, |module| {
            let _level = Level::enter()?;
            if let Some(found) = module.integrity(flags & 1 != 0)? {
                *report = sqlite_string(&found);
            }
            Ok(())
        })
    }
}
