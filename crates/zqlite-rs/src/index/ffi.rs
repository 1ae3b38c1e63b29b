//! The only unsafe code of the virtual tables, with the modules below it: SQLite's callbacks.
//!
//! Contract: <https://www.sqlite.org/vtab.html>. SQLite serialises all calls on the tables and cursors of one
//! connection, closes cursors before their table, and tables before the connection. A panic does not cross into C: it
//! becomes `SQLITE_INTERNAL`.
#![expect(
    unsafe_code,
    reason = "callbacks from C; every block says why it holds"
)]

use core::cell::Cell as Counter;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use libsqlite3_sys as sys;
use rusqlite::Connection;

use super::fault::{Fault, Result};
use super::module::{Change, Cursor as _, Declaration, Module, Plan, Planned};

mod host;
mod info;
mod table;
mod value;
mod values_asked;

pub(crate) use host::Host;
pub(crate) use info::{Constraint, IndexInfo, Operator};
pub(crate) use value::{Args, Cell};

use table::ModuleTable;

/// Registers a module on a connection.
pub(super) fn register<M: Module>(connection: &Connection) -> Result<()> {
    // SAFETY: an open connection; the name and the table of functions live as long as the process.
    let rc = unsafe {
        sys::sqlite3_create_module_v2(
            connection.handle(),
            M::NAME.as_ptr(),
            ModuleTable::of::<M>(),
            ptr::null_mut(),
            None,
        )
    };
    check(rc, "a virtual table module cannot be registered")
}

fn check(code: c_int, message: &str) -> Result<()> {
    if code == sys::SQLITE_OK {
        return Ok(());
    }
    Err(Fault {
        code,
        message: message.to_owned(),
    })
}

/// What SQLite holds for a table: from a successful xCreate or xConnect to xDisconnect or xDestroy.
#[repr(C)]
struct Table<M> {
    base: sys::sqlite3_vtab,
    /// Never leaves the connection, and so is only used by the thread that uses it.
    module: Rc<M>,
}

/// What SQLite holds for a cursor: from a successful xOpen to xClose.
#[repr(C)]
struct OpenCursor<M: Module> {
    base: sys::sqlite3_vtab_cursor,
    cursor: M::Cursor,
}

/// How deep callbacks may stand in each other. A write to a table and the view behind an index need three; a schema
/// whose view or trigger leads back to the index would fill the stack.
const MAX_DEPTH: u32 = 16;

thread_local! {
    static DEPTH: Counter<u32> = const { Counter::new(0) };
}

/// One callback that runs and may run SQL. Those that give something up are never refused.
struct Level;

impl Level {
    fn enter() -> Result<Self> {
        let depth = DEPTH.get();
        if depth == MAX_DEPTH {
            return Err(Fault::usage(
                "virtual tables lead back to themselves: a view or a trigger is not theirs",
            ));
        }
        DEPTH.set(depth + 1);
        Ok(Self)
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get().saturating_sub(1));
    }
}

/// Runs a callback's body; errors and panics become a code and a message.
fn guard(body: impl FnOnce() -> Result<()>, explain: impl FnOnce(&str)) -> c_int {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => sys::SQLITE_OK,
        Ok(Err(fault)) => {
            explain(&fault.message);
            fault.code
        }
        Err(_) => {
            explain("a virtual table failed unexpectedly");
            sys::SQLITE_INTERNAL
        }
    }
}

/// A copy that SQLite frees; null if there is no memory.
fn sqlite_string(text: &str) -> *mut c_char {
    // A zero byte would end it.
    let bytes = text.split('\0').next().unwrap_or_default().as_bytes();
    let Ok(len) = c_int::try_from(bytes.len() + 1) else {
        return ptr::null_mut();
    };
    // SAFETY: SQLite gives `len` bytes, or null; the copy and its terminator fill them.
    unsafe {
        let copy = sys::sqlite3_malloc(len).cast::<u8>();
        if !copy.is_null() {
            ptr::copy_nonoverlapping(bytes.as_ptr(), copy, bytes.len());
            copy.add(bytes.len()).write(0);
        }
        copy.cast()
    }
}

/// # Safety
/// `text` is null or ends with a zero byte, and lives through `'a`.
unsafe fn text<'a>(text: *const c_char) -> Result<&'a str> {
    if text.is_null() {
        return Ok("");
    }
    // SAFETY: by the contract.
    unsafe { CStr::from_ptr(text) }
        .to_str()
        .map_err(|_| Fault::usage("a name is not UTF-8"))
}

/// # Safety
/// `vtab` is a table of `M` that SQLite holds.
unsafe fn module<'a, M>(vtab: *mut sys::sqlite3_vtab) -> &'a Rc<M> {
    // SAFETY: by the contract, this is the first field of a leaked box.
    unsafe { &(*vtab.cast::<Table<M>>()).module }
}

/// # Safety
/// `cursor` is a cursor of `M` that SQLite holds, and no other reference to its state lives: SQL that a method of a
/// cursor runs is given cursors of its own.
unsafe fn cursor<'a, M: Module>(cursor: *mut sys::sqlite3_vtab_cursor) -> &'a mut M::Cursor {
    // SAFETY: by the contract, this is the first field of a leaked box.
    unsafe { &mut (*cursor.cast::<OpenCursor<M>>()).cursor }
}

/// Leaves a message where SQLite looks for it.
///
/// # Safety
/// `vtab` is a table that SQLite holds.
unsafe fn explain(vtab: *mut sys::sqlite3_vtab, message: &str) {
    // SAFETY: by the contract; the message there is null or SQLite's.
    unsafe {
        sys::sqlite3_free((*vtab).zErrMsg.cast());
        (*vtab).zErrMsg = sqlite_string(message);
    }
}

/// Runs a method of a table.
///
/// # Safety
/// `vtab` is a table of `M` that SQLite holds.
unsafe fn on_table<M: Module>(
    vtab: *mut sys::sqlite3_vtab,
    body: impl FnOnce(&Rc<M>) -> Result<()>,
) -> c_int {
    // SAFETY: by the contract.
    unsafe { guard(|| body(module(vtab)), |message| explain(vtab, message)) }
}

/// Runs a method of a cursor.
///
/// # Safety
/// `open` is a cursor of `M` that SQLite holds.
unsafe fn on_cursor<M: Module>(
    open: *mut sys::sqlite3_vtab_cursor,
    body: impl FnOnce(&mut M::Cursor) -> Result<()>,
) -> c_int {
    // SAFETY: by the contract; SQLite sets a cursor's table after xOpen.
    unsafe {
        guard(
            || body(cursor::<M>(open)),
            |message| explain((*open).pVtab, message),
        )
    }
}

/// xCreate and xConnect.
///
/// # Safety
/// SQLite's arguments of either.
unsafe fn make<M: Module>(
    db: *mut sys::sqlite3,
    (argc, argv): (c_int, *const *const c_char),
    out: *mut *mut sys::sqlite3_vtab,
    error: *mut *mut c_char,
    make: fn(Host, Declaration) -> Result<M>,
) -> c_int {
    guard(
        || {
            let _level = Level::enter()?;
            let argc = usize::try_from(argc).unwrap_or(0);
            // SAFETY: by the contract, that many strings; module, schema and table come first.
            let mut words = (0..argc).map(|at| unsafe { text(*argv.add(at)) }.map(str::to_owned));
            let mut word = || words.next().unwrap_or(Ok(String::new()));
            let (_module, schema, name) = (word()?, word()?, word()?);
            let arguments = words.collect::<Result<Vec<_>>>()?;
            let declaration = Declaration {
                schema,
                name,
                arguments,
            };
            // SAFETY: an open connection, which outlives its tables.
            let host = unsafe { Host::new(db, &declaration.schema) }?;
            let module = make(host, declaration)?;
            let columns = std::ffi::CString::new(module.columns())
                .map_err(|_| Fault::usage("a column's name holds a zero byte"))?;
            // SAFETY: SQLite permits both within xCreate and xConnect. INNOCUOUS: the tables have no effect but on
            // their own shadow tables, and triggers of a schema that is not trusted must reach them.
            unsafe {
                let rc = sys::sqlite3_declare_vtab(db, columns.as_ptr());
                check(rc, text(sys::sqlite3_errmsg(db))?)?;
                let rc = sys::sqlite3_vtab_config(db, sys::SQLITE_VTAB_INNOCUOUS);
                check(rc, "a virtual table cannot be made innocuous")?;
            }
            let table = Box::new(Table {
                base: sys::sqlite3_vtab {
                    pModule: ptr::null(),
                    nRef: 0,
                    zErrMsg: ptr::null_mut(),
                },
                module: Rc::new(module),
            });
            // SAFETY: a place for the table.
            unsafe { *out = Box::into_raw(table).cast() };
            Ok(())
        },
        |message| {
            // SAFETY: a place for a message that SQLite frees.
            unsafe { *error = sqlite_string(message) };
        },
    )
}

unsafe extern "C" fn x_create<M: Module>(
    db: *mut sys::sqlite3,
    _aux: *mut c_void,
    argc: c_int,
    argv: *const *const c_char,
    out: *mut *mut sys::sqlite3_vtab,
    error: *mut *mut c_char,
) -> c_int {
    // SAFETY: SQLite's arguments.
    unsafe { make(db, (argc, argv), out, error, M::create) }
}

unsafe extern "C" fn x_connect<M: Module>(
    db: *mut sys::sqlite3,
    _aux: *mut c_void,
    argc: c_int,
    argv: *const *const c_char,
    out: *mut *mut sys::sqlite3_vtab,
    error: *mut *mut c_char,
) -> c_int {
    // SAFETY: SQLite's arguments.
    unsafe { make(db, (argc, argv), out, error, M::connect) }
}

/// # Safety
/// A table of `M` that SQLite gives up.
unsafe fn free<M: Module>(vtab: *mut sys::sqlite3_vtab) -> c_int {
    guard(
        || {
            // SAFETY: by the contract, the box of `make`; a message that SQLite has not taken is freed as SQLite would.
            unsafe {
                sys::sqlite3_free((*vtab).zErrMsg.cast());
                drop(Box::from_raw(vtab.cast::<Table<M>>()));
            }
            Ok(())
        },
        |_| {},
    )
}

unsafe extern "C" fn x_disconnect<M: Module>(vtab: *mut sys::sqlite3_vtab) -> c_int {
    // SAFETY: SQLite's argument, for the last time.
    unsafe { free::<M>(vtab) }
}

unsafe extern "C" fn x_destroy<M: Module>(vtab: *mut sys::sqlite3_vtab) -> c_int {
    // SAFETY: SQLite's argument; it is the last time if this succeeds.
    unsafe {
        match on_table::<M>(vtab, |module| module.destroy()) {
            sys::SQLITE_OK => free::<M>(vtab),
            code => code,
        }
    }
}

unsafe extern "C" fn x_best_index<M: Module>(
    vtab: *mut sys::sqlite3_vtab,
    info: *mut sys::sqlite3_index_info,
) -> c_int {
    let mut planned = Planned::Yes;
    // SAFETY: SQLite's arguments; nobody else uses `info` meanwhile.
    let code = unsafe {
        on_table::<M>(vtab, |module| {
            planned = module.best_index(&mut IndexInfo::new(info))?;
            Ok(())
        })
    };
    match (code, planned) {
        (sys::SQLITE_OK, Planned::NotThisWay) => sys::SQLITE_CONSTRAINT,
        (code, _) => code,
    }
}

unsafe extern "C" fn x_open<M: Module>(
    vtab: *mut sys::sqlite3_vtab,
    out: *mut *mut sys::sqlite3_vtab_cursor,
) -> c_int {
    // SAFETY: SQLite's arguments.
    unsafe {
        on_table::<M>(vtab, |module| {
            let cursor = Box::new(OpenCursor::<M> {
                base: sys::sqlite3_vtab_cursor {
                    pVtab: ptr::null_mut(),
                },
                cursor: module.open()?,
            });
            *out = Box::into_raw(cursor).cast();
            Ok(())
        })
    }
}

unsafe extern "C" fn x_close<M: Module>(open: *mut sys::sqlite3_vtab_cursor) -> c_int {
    guard(
        || {
            // SAFETY: SQLite's argument, for the last time: the box of `x_open`.
            drop(unsafe { Box::from_raw(open.cast::<OpenCursor<M>>()) });
            Ok(())
        },
        |_| {},
    )
}

unsafe extern "C" fn x_filter<M: Module>(
    open: *mut sys::sqlite3_vtab_cursor,
    number: c_int,
    words: *const c_char,
    argc: c_int,
    argv: *mut *mut sys::sqlite3_value,
) -> c_int {
    // SAFETY: SQLite's arguments.
    unsafe {
        on_cursor::<M>(open, |cursor| {
            let _level = Level::enter()?;
            let words = text(words)?;
            cursor.filter(&Plan { number, words }, &Args::new(argc, argv))
        })
    }
}

unsafe extern "C" fn x_next<M: Module>(open: *mut sys::sqlite3_vtab_cursor) -> c_int {
    // SAFETY: SQLite's argument.
    unsafe {
        on_cursor::<M>(open, |cursor| {
            let _level = Level::enter()?;
            cursor.next()
        })
    }
}

unsafe extern "C" fn x_eof<M: Module>(open: *mut sys::sqlite3_vtab_cursor) -> c_int {
    let mut eof = true;
    // SAFETY: SQLite's argument. After a panic there are no more rows.
    unsafe {
        on_cursor::<M>(open, |cursor| {
            eof = cursor.eof();
            Ok(())
        });
    }
    c_int::from(eof)
}

unsafe extern "C" fn x_column<M: Module>(
    open: *mut sys::sqlite3_vtab_cursor,
    context: *mut sys::sqlite3_context,
    column: c_int,
) -> c_int {
    // SAFETY: SQLite's arguments.
    unsafe {
        on_cursor::<M>(open, |cursor| {
            let _level = Level::enter()?;
            let column = usize::try_from(column).unwrap_or(usize::MAX);
            cursor.column(&mut Cell::new(context), column)
        })
    }
}

unsafe extern "C" fn x_rowid<M: Module>(
    open: *mut sys::sqlite3_vtab_cursor,
    rowid: *mut sys::sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite's arguments.
    unsafe {
        on_cursor::<M>(open, |cursor| {
            *rowid = cursor.rowid()?;
            Ok(())
        })
    }
}

unsafe extern "C" fn x_update<M: Module>(
    vtab: *mut sys::sqlite3_vtab,
    argc: c_int,
    argv: *mut *mut sys::sqlite3_value,
    rowid: *mut sys::sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite's arguments: an old rowid or NULL, then a new rowid and the columns.
    unsafe {
        on_table::<M>(vtab, |module| {
            let _level = Level::enter()?;
            let args = Args::new(argc, argv);
            let change = match args.get(0) {
                _ if argc == 1 => Change::Delete,
                rusqlite::types::ValueRef::Null => Change::Insert(args.from(2)),
                _ => Change::Update,
            };
            *rowid = module.update(change)?;
            Ok(())
        })
    }
}
