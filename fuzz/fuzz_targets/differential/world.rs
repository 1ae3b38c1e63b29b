//! A database of one kind, plain or sealed, with two connections and perhaps a second file attached.

use core::time::Duration;
use std::cell::Cell;
use std::ffi::c_int;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use zqlite::rusqlite::fallible_iterator::FallibleIterator as _;
use zqlite::rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use zqlite::rusqlite::limits::Limit;
use zqlite::rusqlite::types::Value;
use zqlite::rusqlite::{Batch, Connection, OpenFlags, config::DbConfig, ffi};

use super::script::Step;
use crate::store;

/// What the sealed file reserves in each page.
const RESERVED: c_int = 48;
/// Calls of the progress handler until a statement is stopped, each after 1,000 instructions.
const PROGRESS_MAX: u32 = 200;
const ROWS_MAX: usize = 500;
/// Any number but 0: SQLite's generator begins with it, so that `random()` is the same on both sides.
const SEED: c_int = 1;

/// What came of one statement.
#[derive(Debug, PartialEq)]
pub enum Done {
    Rows(Vec<Vec<Value>>, u64),
    Failed(c_int, String),
}

impl Done {
    pub fn was_stopped(&self) -> bool {
        matches!(self, Self::Failed(ffi::SQLITE_INTERRUPT, _))
    }
}

pub struct World {
    sealed: bool,
    folder: PathBuf,
    connections: [Option<Connection>; 2],
    at: usize,
    /// ATTACH is for us alone: a script could name any file.
    may_attach: Rc<Cell<bool>>,
    progress: Rc<Cell<u32>>,
}

impl World {
    pub fn new(folder: PathBuf, sealed: bool) -> Self {
        fs::create_dir(&folder).expect("a folder");
        let world = Self {
            sealed,
            connections: [None, None],
            at: 0,
            may_attach: Rc::default(),
            progress: Rc::default(),
            folder,
        };
        if sealed {
            store::register_new(&world.file("b.db"));
        }
        world
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn run(&mut self, step: &Step) -> Vec<Done> {
        seed();
        match step {
            Step::Sql(sql) => self.sql(sql),
            Step::Connection(which) => {
                self.at = *which;
                Vec::new()
            }
            Step::Reopen => {
                self.connections[self.at] = None;
                Vec::new()
            }
            Step::Crash => {
                self.crash();
                Vec::new()
            }
            Step::Attach => self.attach(),
            Step::Detach => self.sql("DETACH aux"),
        }
    }

    fn sql(&mut self, sql: &str) -> Vec<Done> {
        self.progress.set(0);
        self.open();
        let Some(connection) = &self.connections[self.at] else {
            return Vec::new();
        };
        execute(connection, sql, &self.folder)
    }

    fn open(&mut self) {
        if self.connections[self.at].is_some() {
            return;
        }
        let path = self.file("a.db");
        let mut connection = if !self.sealed {
            open_plain(&path)
        } else if fs::metadata(&path).is_ok_and(|file| file.len() > store::PAGES_AT) {
            // Only the first of these connections unwraps the epoch key, which takes a while.
            let connection = store::open(&path).expect("the sealed database opens again");
            protect(&connection);
            connection
        } else {
            store::register(&path);
            let builder = store::builder(&path).allow_attach();
            builder.open().expect("the sealed database opens")
        };
        connection.busy_timeout(Duration::ZERO).expect("no waiting");
        let may_attach = Rc::clone(&self.may_attach);
        self.guard(&mut connection, may_attach);
        self.connections[self.at] = Some(connection);
    }

    fn guard(&self, connection: &mut Connection, may_attach: Rc<Cell<bool>>) {
        // The closures are called on this thread only.
        let may_attach = OnThisThread(may_attach);
        let progress = OnThisThread(Rc::clone(&self.progress));
        connection
            .authorizer(Some(move |context: AuthContext<'_>| {
                authorize(&context, may_attach.get().get())
            }))
            .expect("an authorizer");
        connection
            .progress_handler(
                1_000,
                Some(move || {
                    let calls = progress.get();
                    calls.set(calls.get() + 1);
                    calls.get() > PROGRESS_MAX
                }),
            )
            .expect("a progress handler");
        for (limit, value) in [
            (Limit::SQLITE_LIMIT_LENGTH, 100_000),
            (Limit::SQLITE_LIMIT_SQL_LENGTH, 20_000),
            (Limit::SQLITE_LIMIT_EXPR_DEPTH, 50),
            (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 10),
            (Limit::SQLITE_LIMIT_VDBE_OP, 25_000),
            (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50),
            (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 5),
            (Limit::SQLITE_LIMIT_COLUMN, 100),
            (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
        ] {
            connection.set_limit(limit, value).expect("a limit");
        }
    }

    fn attach(&mut self) -> Vec<Done> {
        let path = self.file("b.db");
        let sql = if self.sealed {
            format!("ATTACH 'file:{}?vfs=zqlite' AS aux", path.display())
        } else {
            format!("ATTACH '{}' AS aux", path.display())
        };
        self.may_attach.set(true);
        let done = self.sql(&sql);
        self.may_attach.set(false);
        if let (false, Some(connection)) = (self.sealed, &self.connections[self.at])
            && matches!(done.as_slice(), [Done::Rows(..)])
        {
            reserve(connection, c"aux");
        }
        done
    }

    /// The machine stops now: what stands in the files is all that is left.
    fn crash(&mut self) {
        let names = [
            "a.db",
            "a.db-wal",
            "a.db-journal",
            "b.db",
            "b.db-wal",
            "b.db-journal",
        ];
        let kept: Vec<_> = names
            .iter()
            .filter_map(|name| Some((*name, fs::read(self.file(name)).ok()?)))
            .collect();
        self.connections = [None, None];
        fs::remove_dir_all(&self.folder).expect("no folder");
        fs::create_dir(&self.folder).expect("a folder");
        for (name, bytes) in kept {
            fs::write(self.file(name), bytes).expect("a file");
        }
        if self.sealed {
            store::register_new(&self.file("b.db"));
        }
    }

    /// What is in the files when everybody is gone.
    pub fn end(&mut self) -> Vec<Done> {
        self.connections = [None, None];
        self.at = 0;
        let mut found = self.sql(
            "PRAGMA integrity_check; PRAGMA page_count; PRAGMA freelist_count; PRAGMA journal_mode;
             PRAGMA schema_version; PRAGMA user_version; PRAGMA auto_vacuum; PRAGMA encoding;
             SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema;",
        );
        let whole = found
            .first()
            .is_some_and(|check| *check == Done::Rows(vec![vec![Value::Text("ok".to_owned())]], 0));
        let tables = match found.last() {
            Some(Done::Rows(rows, _)) => rows
                .iter()
                .filter(|row| row[0] == Value::Text("table".to_owned()))
                .filter_map(|row| match &row[1] {
                    Value::Text(name) => Some(name.replace('"', "\"\"")),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        };
        for table in tables {
            found.extend(self.sql(&format!("SELECT * FROM \"{table}\"")));
        }
        if self.file("b.db").exists() {
            found.extend(self.attach());
            found.extend(self.sql("PRAGMA aux.integrity_check; PRAGMA aux.page_count; SELECT * FROM aux.sqlite_schema"));
        }
        self.connections = [None, None];
        if self.sealed {
            self.verify("a.db", whole);
            self.verify("b.db", false);
        }
        found
    }

    /// Verification finds nothing that the plain database does not have, too.
    fn verify(&self, name: &str, whole: bool) {
        let path = self.file(name);
        if fs::metadata(&path).map_or(0, |file| file.len()) == 0 {
            return;
        }
        let mut problems = store::problems(&path);
        problems.retain(|problem| whole || !problem.starts_with("integrity check"));
        assert_eq!(problems, Vec::<String>::new(), "{name}");
    }
}

struct OnThisThread<T>(T);

impl<T> OnThisThread<T> {
    const fn get(&self) -> &T {
        &self.0
    }
}

// SAFETY: the fuzzer has one thread, and SQLite starts none.
unsafe impl<T> Send for OnThisThread<T> {}

fn open_plain(path: &Path) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).expect("the plain database opens");
    protect(&connection);
    reserve(&connection, c"main");
    connection
        .pragma_update(None, "page_size", 4_096)
        .expect("a page size");
    connection
}

/// As the builder guards its connections.
fn protect(connection: &Connection) {
    for (setting, value) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
    ] {
        connection
            .set_db_config(setting, value)
            .expect("a setting of the connection");
    }
    // The builder does so for the sake of its indexes.
    connection
        .pragma_update(None, "recursive_triggers", true)
        .expect("a pragma");
}

fn reserve(connection: &Connection, schema: &core::ffi::CStr) {
    let mut reserved = RESERVED;
    // SAFETY: an open connection; the operation reads and writes an int.
    let rc = unsafe {
        ffi::sqlite3_file_control(
            connection.handle(),
            schema.as_ptr(),
            ffi::SQLITE_FCNTL_RESERVE_BYTES,
            (&raw mut reserved).cast(),
        )
    };
    assert_eq!(rc, ffi::SQLITE_OK);
}

fn seed() {
    // SAFETY: the operation takes an int and a connection, or null.
    unsafe {
        ffi::sqlite3_test_control(
            ffi::SQLITE_TESTCTRL_PRNG_SEED,
            SEED,
            core::ptr::null_mut::<ffi::sqlite3>(),
        );
    }
}

fn execute(connection: &Connection, sql: &str, folder: &Path) -> Vec<Done> {
    let mut done = Vec::new();
    let mut batch = Batch::new(connection, sql);
    loop {
        let result = match batch.next() {
            Ok(None) => break,
            Ok(Some(mut statement)) => {
                let columns = statement.column_count();
                statement.query([]).and_then(|mut rows| {
                    let mut found = Vec::new();
                    while let Some(row) = rows.next()? {
                        let row: Result<Vec<Value>, _> =
                            (0..columns).map(|at| row.get(at)).collect();
                        found.push(row?);
                        if found.len() >= ROWS_MAX {
                            break;
                        }
                    }
                    Ok(found)
                })
            }
            Err(error) => Err(error),
        };
        match result {
            Ok(rows) => done.push(Done::Rows(rows, connection.changes())),
            Err(error) => {
                let text = error.to_string().replace(&folder.display().to_string(), "");
                let code = error.sqlite_error().map_or(0, |error| error.extended_code);
                done.push(Done::Failed(code, text));
                break;
            }
        }
    }
    done
}

/// What a script may not do: reach other files, and what differs by design or by the clock.
fn authorize(context: &AuthContext<'_>, may_attach: bool) -> Authorization {
    let denied = match context.action {
        AuthAction::Attach { filename } => !may_attach && !filename.is_empty(),
        AuthAction::Unknown { code, .. } => code == ffi::SQLITE_ATTACH,
        AuthAction::Pragma { pragma_name, .. } => [
            "page_size",
            "mmap_size",
            "temp_store_directory",
            "data_store_directory",
            "database_list",
            "vfs_list",
            "max_page_count",
            "hard_heap_limit",
            "soft_heap_limit",
            "busy_timeout",
            "threads",
            "lock_proxy_file",
        ]
        .iter()
        .any(|name| pragma_name.eq_ignore_ascii_case(name)),
        AuthAction::Function { function_name } => [
            "load_extension",
            "date",
            "time",
            "datetime",
            "julianday",
            "strftime",
            "unixepoch",
            "timediff",
            "current_time",
            "current_date",
            "current_timestamp",
            "fts3_tokenizer",
        ]
        .iter()
        .any(|name| function_name.eq_ignore_ascii_case(name)),
        AuthAction::CreateVtable { module_name, .. } => module_name.eq_ignore_ascii_case("dbstat"),
        _ => false,
    };
    if denied {
        Authorization::Deny
    } else {
        Authorization::Allow
    }
}
