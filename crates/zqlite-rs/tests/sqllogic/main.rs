//! The sqllogictest corpus on sealed databases: what plain SQLite answers is answered here, too.
//!
//! The corpus is not part of the repository: without `../shared/sql` beside it the tests say so and pass.
#![cfg(feature = "pq")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests may panic, and say what they skip"
)]

#[path = "../support/support.rs"]
mod support;

mod corpus;
mod database;
mod script;

use std::path::Path;

use rusqlite::Connection;
use tempfile::tempdir;

use corpus::File;
use script::{Outcome, Script};
use support::{assert_clean, assert_sound, builder, contains, mode, one, slots};

/// What fails on plain SQLite as well, file and line: the sum is an error, integer overflow, where the script
/// expects a query without rows.
const FAILS_ON_PLAIN_SQLITE: (&str, u32) = ("test/evidence/slt_lang_aggfunc.test", 480);
const FILES: usize = 48;
/// Scripts without a single record.
const EMPTY_FILES: usize = 1;
const STATEMENTS: usize = 77_810;
const QUERIES: usize = 227_845;

/// A cache of a few pages: every answer comes through the VFS.
const SMALL_CACHE: &str =
    "PRAGMA cache_size=8; PRAGMA synchronous=OFF; PRAGMA wal_autocheckpoint=100";

#[test]
fn the_sql_corpus_passes_in_wal_mode() {
    passes_in("WAL");
}

#[test]
fn the_sql_corpus_passes_in_delete_mode() {
    passes_in("DELETE");
}

#[test]
fn the_noted_case_and_no_other_of_its_script_fails_on_plain_sqlite() {
    let Some(files) = corpus::files() else {
        return;
    };
    let (name, line) = FAILS_ON_PLAIN_SQLITE;
    let file = files.iter().find(|file| file.name == name).unwrap();
    let outcome = Script::parse(file).run(Connection::open_in_memory().unwrap());
    assert_eq!(outcome.failed, [line], "{}", outcome.reasons);
}

fn passes_in(journal_mode: &str) {
    let Some(files) = corpus::files() else {
        return;
    };
    assert_eq!(files.len(), FILES);
    let (mut statements, mut queries, mut empty) = (0, 0, 0);
    for file in files {
        let outcome = on_a_sealed_database(file, journal_mode);
        assert_eq!(
            outcome.failed,
            noted(&file.name),
            "{}, {journal_mode}: {}",
            file.name,
            outcome.reasons
        );
        statements += outcome.statements;
        queries += outcome.queries;
        empty += usize::from(outcome.statements == 0);
    }
    assert_eq!(
        (statements, queries, empty),
        (STATEMENTS, QUERIES, EMPTY_FILES)
    );
}

fn noted(name: &str) -> &'static [u32] {
    if name == FAILS_ON_PLAIN_SQLITE.0 {
        core::slice::from_ref(&FAILS_ON_PLAIN_SQLITE.1)
    } else {
        &[]
    }
}

fn on_a_sealed_database(file: &File, journal_mode: &str) -> Outcome {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let connection = builder(&path).create(slots()).open().unwrap();
    connection.execute_batch(SMALL_CACHE).unwrap();
    mode(&connection, journal_mode);
    let outcome = Script::parse(file).run(connection);
    // An empty script need not have made a file.
    if outcome.statements > 0 {
        is_sealed_and_sound(&path, journal_mode);
    }
    outcome
}

/// What the script left behind is in the sealed file, in the mode that was asked for.
fn is_sealed_and_sound(path: &Path, journal_mode: &str) {
    let again = support::open(path);
    let found: String = one(&again, "PRAGMA journal_mode");
    assert_eq!(found.to_uppercase(), journal_mode);
    assert_sound(&again);
    drop(again);
    assert_clean(path);
    let bytes = std::fs::read(path).unwrap();
    assert!(!contains(&bytes, b"SQLite format 3"));
    assert!(!contains(&bytes, b"CREATE TABLE"));
    assert!(bytes.starts_with(b"zqlite sealed") && support::len(path) > support::PAGES_AT);
}
