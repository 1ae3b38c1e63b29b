//! The spans of a database that is used, on all its threads.

use std::time::Duration;

use tempfile::tempdir;
use tracing::Level;
use zqlite::migrations::{Migration, Migrations};
use zqlite::observe::Span;
use zqlite::{Database, ErrorKind, Options};

use crate::alone;
use crate::database::LongRead;
use crate::statements::Transcript;
use crate::support::{builder, slots};

const SECRET: &str = "sesame-7a1f";

/// The numbers of the spans of this name, in their order.
fn spans(text: &str, name: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("new ")?.split_once(" zqlite "))
        .filter(|(_, rest)| rest.split(' ').next() == Some(name))
        .map(|(id, _)| id.to_owned())
        .collect()
}

/// The span in which this one was made.
fn parent(text: &str, span: &str) -> Option<String> {
    let under = format!("under {span} ");
    let parent = text.lines().find_map(|line| line.strip_prefix(&under));
    parent.map(ToOwned::to_owned)
}

/// The spans of the statements of this text.
fn statements(text: &str, sql: &str) -> Vec<String> {
    let sql = format!("sql={sql:?}");
    text.lines()
        .filter_map(|line| {
            line.strip_prefix("new ")?
                .split_once(" zqlite::sql statement ")
        })
        .filter(|(_, rest)| *rest == sql)
        .map(|(id, _)| id.to_owned())
        .collect()
}

#[test]
fn what_a_database_does_has_spans_and_no_values() {
    if !alone("spans::what_a_database_does_has_spans_and_no_values") {
        return;
    }
    let seen = Transcript::at(Level::TRACE);
    tracing::subscriber::set_global_default(seen.clone()).unwrap();
    let folder = tempdir().unwrap();
    let path = folder.path().join("spans.db");
    let migrations = Migrations::new(vec![
        Migration::sql("CREATE TABLE t(a)"),
        Migration::sql("CREATE INDEX i ON t(a)"),
    ]);
    let options = Options::new()
        .migrations(migrations)
        .readers(1, 1)
        .wait_timeout(Duration::from_millis(5));
    let database = Database::open(builder(&path).create(slots()), options).unwrap();

    // The caller's own span: what is done for him belongs to it.
    let caller = Span::migration(77);
    let insert = "INSERT INTO t VALUES (?1)";
    caller.in_scope(|| {
        database
            .write(move |tx| Ok(tx.execute(insert, [SECRET])?))
            .unwrap();
    });
    let select = "SELECT count(*) FROM t WHERE a=?1";
    let count = |connection: &rusqlite::Connection| {
        Ok(connection.query_row(select, [SECRET], |row| row.get::<_, i64>(0))?)
    };
    assert_eq!(database.read(count).unwrap(), 1);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let asynchronous = database.to_async();
    let asker = Span::commit("of the caller", 0);
    let read = runtime.block_on(asker.instrument(asynchronous.read(count)));
    assert_eq!(read.unwrap(), 1);
    // The only reader is out.
    let reader = LongRead::start(&database);
    let late = database.read(|_| Ok(())).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::TimedOut);
    reader.end();
    database.checkpoint().unwrap();
    database.close(Duration::from_secs(60)).unwrap();

    let text = seen.text();
    assert!(!text.contains(SECRET), "{text}");
    // The last of the migrations and of the commits are spans of the callers.
    for (name, count) in [
        ("migration", 3),
        ("batch", 1),
        ("write", 1),
        ("commit", 2),
        ("checkout", 1),
        ("checkpoint", 1),
        ("read", 3),
    ] {
        assert_eq!(spans(&text, name).len(), count, "{name} in {text}");
    }
    let asker = spans(&text, "commit").remove(1);
    let [_, second, caller] = spans(&text, "migration").try_into().unwrap();
    let index = statements(&text, "CREATE INDEX i ON t(a)");
    assert_eq!(index.len(), 1);
    assert_eq!(parent(&text, &index[0]), Some(second));
    let write = spans(&text, "write").remove(0);
    assert_eq!(parent(&text, &write), Some(caller), "{text}");
    let insert = statements(&text, insert);
    assert_eq!(insert.len(), 1);
    assert_eq!(parent(&text, &insert[0]), Some(write));
    // One on this thread, one on another.
    let selects = statements(&text, select);
    let reads = spans(&text, "read");
    assert_eq!(selects.len(), 2);
    for (select, read) in selects.iter().zip(&reads) {
        assert_eq!(parent(&text, select).as_ref(), Some(read), "{text}");
    }
    assert_eq!(parent(&text, &reads[1]), Some(asker));
}
