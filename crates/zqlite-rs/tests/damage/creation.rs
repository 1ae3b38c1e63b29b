//! A database is created while calls fail: it is not there, or it is whole.

use std::path::Path;

use rusqlite::Connection;
use tempfile::tempdir;

use crate::every_call::struck;
use crate::faults::{Fault, Faults, Plan, Times};
use crate::story::{self, Story};
use crate::support::{PAGES_AT, assert_clean, assert_sound, builder, len, slots};

/// The first commit, then another; what follows from them tells the story.
fn create(path: &Path, journal_mode: &str, story: &mut Story) -> Option<Connection> {
    let connection = match builder(path).create(slots()).open() {
        Ok(connection) => connection,
        Err(error) => {
            story.assert_is_io(&error);
            return None;
        }
    };
    story.run(&connection, &format!("PRAGMA journal_mode={journal_mode}"));
    if begin(&connection, story) {
        story.step(&connection, 1);
        story.look(&connection);
    }
    Some(connection)
}

/// Makes the tables in one transaction, and tells whether they are there.
fn begin(connection: &Connection, story: &Story) -> bool {
    let outcome = connection.execute_batch(&format!("BEGIN; {} COMMIT;", story::SCHEMA));
    if let Err(error) = &outcome {
        story.assert_about_the_disk(error);
        if !connection.is_autocommit() {
            story.run(connection, "ROLLBACK");
        }
    }
    outcome.is_ok()
}

/// The cause is gone: the tables are there, or can be made.
fn goes_on(connection: &Connection, story: &mut Story, begun: bool, step: i64) {
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))
        .unwrap();
    assert!(
        tables == 3 || (tables == 0 && !begun),
        "{story:?}: {tables}"
    );
    assert!(tables == 3 || begin(connection, story), "{story:?}");
    story.goes_on(connection, step);
}

fn case(faults: &Faults, journal_mode: &str, plan: Plan) -> bool {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut story = Story::new(format!("{journal_mode} {plan:?}"));
    faults.strike(plan);
    let connection = create(&path, journal_mode, &mut story);
    let struck = faults.lift();
    story.told = format!("{journal_mode} {plan:?}, struck: {:?}", struck.first());
    if let Some(connection) = connection.filter(|_| !plan.at.is_multiple_of(3)) {
        let begun = story.was_acknowledged(1);
        goes_on(&connection, &mut story, begun, 90);
    }
    let connection = builder(&path).create(slots()).open().unwrap();
    let begun = story.was_acknowledged(1) || story.was_acknowledged(90);
    goes_on(&connection, &mut story, begun, 91);
    assert_sound(&connection);
    drop(connection);
    assert_clean(&path);
    !struck.is_empty()
}

#[test]
fn creating_a_database_survives_any_call_that_fails() {
    let faults = Faults::alone();
    let mut cases = 0;
    for journal_mode in ["DELETE", "PERSIST", "WAL"] {
        let folder = tempdir().unwrap();
        let mut story = Story::default();
        faults.count();
        let connection = create(&folder.path().join("a.db"), journal_mode, &mut story).unwrap();
        let calls = faults.calls();
        drop(connection);
        for (way, fault) in (0..).zip([Fault::Error, Fault::Torn]) {
            for times in [Times::Once, Times::FromThenOn] {
                for at in struck(calls, 5 * way) {
                    let made = case(&faults, journal_mode, Plan { at, fault, times });
                    assert!(made || at + calls / 10 > calls, "call {at} of {calls}");
                    cases += 1;
                }
            }
        }
        println!("calls: {calls}, cases so far: {cases}");
    }
    assert!(cases > 10);
}

#[test]
fn a_creation_that_ended_with_the_header_is_continued_by_whoever_may_create() {
    let _alone = Faults::alone();
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.db");
    let connection = builder(&path).create(slots()).open().unwrap();
    connection
        .execute_batch("BEGIN; CREATE TABLE never(x); ROLLBACK")
        .unwrap();
    drop(connection);
    assert_eq!(len(&path), PAGES_AT, "a header and no pages");
    let connection = builder(&path).create(slots()).open().unwrap();
    story::begin(&connection);
    assert!(Story::default().look(&connection));
    drop(connection);
    assert_clean(&path);
}
