//! A span for each statement that SQLite runs.
//!
//! SQLite tells when a statement begins and when it ends (`sqlite3_trace_v2`), with its text as it was prepared:
//! parameters are placeholders there. A statement is stepped row by row, between steps of others, so its span is
//! never entered: it is open from the beginning to the end.

use std::borrow::Cow;
use std::cell::RefCell;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::trace::{TraceEvent, TraceEventCodes};
use tracing::level_filters::LevelFilter;
use tracing::{Level, Span};

/// How many statements may run at once on a thread and have a span. SQLite itself has no such limit.
const OPEN_MAX: usize = 64;

thread_local! {
    /// Statements that run, by the address of their text, which lives as long as they do.
    static OPEN: RefCell<Vec<(usize, Span)>> = const { RefCell::new(Vec::new()) };
}

/// What `trace_v2` returns depends on the version of rusqlite.
trait Done {
    fn done(self) -> rusqlite::Result<()>;
}

impl Done for () {
    fn done(self) -> rusqlite::Result<()> {
        Ok(())
    }
}

impl Done for rusqlite::Result<()> {
    fn done(self) -> rusqlite::Result<()> {
        self
    }
}

pub(super) fn trace(connection: &mut Connection) -> rusqlite::Result<()> {
    if LevelFilter::current() < Level::DEBUG {
        return Ok(());
    }
    let events = TraceEventCodes::SQLITE_TRACE_STMT | TraceEventCodes::SQLITE_TRACE_PROFILE;
    let on_event: fn(TraceEvent<'_>) = on_event;
    connection.trace_v2(events, Some(on_event)).done()
}

fn on_event(event: TraceEvent<'_>) {
    match event {
        TraceEvent::Stmt(statement, what) => {
            if let Cow::Borrowed(sql) = statement.sql()
                && is_statement_itself(what, sql)
            {
                began(sql);
            }
        }
        TraceEvent::Profile(statement, elapsed) => ended(&statement.sql(), elapsed),
        _ => {}
    }
}

/// Whether SQLite names the statement: as a comment, if it runs within another. A trigger that it fires is named
/// differently.
fn is_statement_itself(what: &str, sql: &str) -> bool {
    what == sql || what.strip_prefix("-- ") == Some(sql)
}

fn began(sql: &str) {
    let span = tracing::debug_span!(
        target: "zqlite::sql",
        "statement",
        sql,
        elapsed_seconds = tracing::field::Empty
    );
    if span.is_disabled() {
        return;
    }
    // A statement that ends on another thread than it began on leaves its span behind.
    let stale = take(sql);
    let oldest = OPEN.try_with(|open| {
        let mut open = open.borrow_mut();
        let oldest = (open.len() >= OPEN_MAX).then(|| open.remove(0));
        open.push((address(sql), span));
        oldest
    });
    drop((stale, oldest));
}

fn ended(sql: &str, elapsed: Duration) {
    if let Some(span) = take(sql) {
        span.record("elapsed_seconds", elapsed.as_secs_f64());
    }
}

/// A subscriber may run SQL when a span ends: nothing is borrowed then.
fn take(sql: &str) -> Option<Span> {
    let taken = OPEN.try_with(|open| {
        let mut open = open.borrow_mut();
        let at = open.iter().position(|(other, _)| *other == address(sql))?;
        Some(open.remove(at).1)
    });
    taken.ok().flatten()
}

fn address(sql: &str) -> usize {
    sql.as_ptr().addr()
}
