//! What a closure may do with its connection, and for how long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use crate::Error;
use crate::builder::Opener;
use crate::observe;

/// How many steps of SQLite's virtual machine pass between two looks at the deadline: some tens of microseconds.
const STEPS_BETWEEN_LOOKS: core::ffi::c_int = 2_000;

/// The beginning of names of savepoints that closures must not touch.
pub(super) const RESERVED_SAVEPOINTS: &str = "zqlite_";

/// Pragmas that SQLite's own virtual tables, and ours, read.
const INTERNAL_PRAGMAS: [&str; 4] = [
    "data_version",
    "encoding",
    "page_size",
    "recursive_triggers",
];

/// Pragmas that only tell something; those of the second list take a name or a number as their argument.
const TELLING_PRAGMAS: [&str; 26] = [
    "application_id",
    "auto_vacuum",
    "cache_size",
    "collation_list",
    "compile_options",
    "data_version",
    "database_list",
    "encoding",
    "foreign_key_check",
    "foreign_keys",
    "freelist_count",
    "function_list",
    "integrity_check",
    "journal_mode",
    "journal_size_limit",
    "mmap_size",
    "module_list",
    "page_count",
    "page_size",
    "pragma_list",
    "quick_check",
    "recursive_triggers",
    "schema_version",
    "synchronous",
    "table_list",
    "user_version",
];
const TELLING_PRAGMAS_ABOUT: [&str; 10] = [
    "foreign_key_check",
    "foreign_key_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
];

/// Which closures a connection runs.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Reader,
    Writer,
}

/// What a connection's callbacks share with whoever runs closures on it.
pub(super) struct Guard {
    /// Whether a closure runs: else it is we who prepare statements.
    within: AtomicBool,
    /// When the closure began, and when it must end, in nanoseconds after `epoch`; 0 is never.
    since: AtomicU64,
    deadline: AtomicU64,
    /// Whether the deadline interrupted it.
    expired: AtomicBool,
    /// Whether nobody wants its result any more.
    cancelled: AtomicBool,
    /// Whether it was reported for taking long.
    reported: AtomicBool,
    /// Whether it dropped a table.
    dropped: AtomicBool,
    epoch: Instant,
}

impl Guard {
    fn new() -> Self {
        Self {
            within: AtomicBool::new(false),
            since: AtomicU64::new(0),
            deadline: AtomicU64::new(0),
            expired: AtomicBool::new(false),
            cancelled: AtomicBool::new(false),
            reported: AtomicBool::new(false),
            dropped: AtomicBool::new(false),
            epoch: Instant::now(),
        }
    }

    fn nanoseconds(&self, at: Instant) -> u64 {
        let after = at.saturating_duration_since(self.epoch).as_nanos();
        u64::try_from(after).unwrap_or(u64::MAX).max(1)
    }

    /// A closure begins, whose time is up then.
    pub(super) fn enter(&self, deadline: Option<Instant>) -> Within<'_> {
        self.expired.store(false, Ordering::Relaxed);
        self.dropped.store(false, Ordering::Relaxed);
        let deadline = deadline.map_or(0, |at| self.nanoseconds(at));
        self.deadline.store(deadline, Ordering::Relaxed);
        self.since
            .store(self.nanoseconds(Instant::now()), Ordering::Relaxed);
        self.within.store(true, Ordering::Relaxed);
        Within(self)
    }

    /// Whether the closure that ran last was interrupted because its time was up.
    pub(super) fn expired(&self) -> bool {
        self.expired.load(Ordering::Relaxed)
    }

    /// Whether the closure that ran last dropped a table, or was about to.
    pub(super) fn dropped(&self) -> bool {
        self.dropped.load(Ordering::Relaxed)
    }

    /// For how long the closure runs that runs now.
    pub(super) fn running(&self) -> Option<Duration> {
        match self.since.load(Ordering::Relaxed) {
            0 => None,
            since => {
                let elapsed = self.nanoseconds(Instant::now()).saturating_sub(since);
                Some(Duration::from_nanos(elapsed))
            }
        }
    }

    /// Whether the closure that runs now is reported for the first time.
    pub(super) fn report(&self) -> bool {
        !self.reported.swap(true, Ordering::Relaxed)
    }

    /// Has the closure stopped that runs now. SQLite's own interrupt does nothing between two statements.
    pub(super) fn cancel(&self, whether: bool) {
        self.cancelled.store(whether, Ordering::Relaxed);
    }

    /// Whether SQLite is to stop.
    fn stops(&self) -> bool {
        if self.cancelled.load(Ordering::Relaxed) {
            return true;
        }
        let deadline = self.deadline.load(Ordering::Relaxed);
        let late = deadline != 0 && self.nanoseconds(Instant::now()) >= deadline;
        if late {
            self.expired.store(true, Ordering::Relaxed);
        }
        late
    }

    fn authorize(&self, kind: Kind, context: &AuthContext<'_>) -> Authorization {
        if matches!(
            context.action,
            AuthAction::DropTable { .. } | AuthAction::DropVtable { .. }
        ) {
            self.dropped.store(true, Ordering::Relaxed);
        }
        // Statements may be too short, each by itself, for a look at the deadline.
        if self.within.load(Ordering::Relaxed) && (is_denied(kind, &context.action) || self.stops())
        {
            Authorization::Deny
        } else {
            Authorization::Allow
        }
    }
}

/// A closure runs until this is dropped.
pub(super) struct Within<'a>(&'a Guard);

impl Drop for Within<'_> {
    fn drop(&mut self) {
        self.0.within.store(false, Ordering::Relaxed);
        self.0.deadline.store(0, Ordering::Relaxed);
        self.0.since.store(0, Ordering::Relaxed);
        self.0.reported.store(false, Ordering::Relaxed);
    }
}

/// Opens a connection for closures of this kind.
pub(super) fn connect(opener: &Opener, kind: Kind) -> Result<(Connection, Arc<Guard>), Error> {
    let guard = Arc::new(Guard::new());
    let authorizer = Arc::clone(&guard);
    let mut connection =
        opener.connect_guarded(move |context| authorizer.authorize(kind, context))?;
    let clock = Arc::clone(&guard);
    // Some versions of rusqlite want it mutable for a handler, others do not.
    let watched = &mut connection;
    observe::trace(watched)?;
    watched.progress_handler(STEPS_BETWEEN_LOOKS, Some(move || clock.stops()))?;
    // Whatever way a closure finds to a COMMIT, or out of the transaction: nothing is committed while it runs.
    let committing = Arc::clone(&guard);
    watched.commit_hook(Some(move || committing.within.load(Ordering::Relaxed)))?;
    Ok((connection, guard))
}

fn is_denied(kind: Kind, action: &AuthAction<'_>) -> bool {
    match action {
        AuthAction::Transaction { .. } | AuthAction::Attach { .. } | AuthAction::Detach { .. } => {
            true
        }
        // A name that is computed or bound.
        AuthAction::Unknown { code, .. } => {
            matches!(
                *code,
                rusqlite::ffi::SQLITE_ATTACH | rusqlite::ffi::SQLITE_DETACH
            )
        }
        // It would stay for the closures of others.
        AuthAction::Insert { table_name } => {
            matches!(*table_name, "sqlite_temp_master" | "sqlite_temp_schema")
        }
        AuthAction::Savepoint { savepoint_name, .. } => savepoint_name
            .get(..RESERVED_SAVEPOINTS.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(RESERVED_SAVEPOINTS)),
        AuthAction::Pragma {
            pragma_name,
            pragma_value,
        } => {
            let among = |list: &[&str]| list.iter().any(|it| it.eq_ignore_ascii_case(pragma_name));
            match (kind, pragma_value) {
                (Kind::Writer, None) => !among(&INTERNAL_PRAGMAS),
                (Kind::Writer, Some(_)) => true,
                (Kind::Reader, None) => !among(&TELLING_PRAGMAS) && !among(&TELLING_PRAGMAS_ABOUT),
                (Kind::Reader, Some(_)) => !among(&TELLING_PRAGMAS_ABOUT),
            }
        }
        _ => false,
    }
}
