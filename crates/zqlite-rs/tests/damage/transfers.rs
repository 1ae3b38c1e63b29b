//! Whole databases are sealed, unsealed and verified while calls fail: it is done right, or it is an error that is about
//! the disk, and nothing is left behind. What the disk refuses is not taken for damage.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use tempfile::tempdir;
use zqlite::{DecryptOptions, EncryptOptions, Error, Verdict, VerifyOptions, VerifyReport};

use crate::every_call::struck;
use crate::faults::{Fault, Faults, Plan, Times};
use crate::story::Story;
use crate::support::{
    PAGES_AT, assert_clean, count, crash_copy, create, fill, mode, one, open, ring, set_len, slots,
};
use crate::workloads::Template;

const ROWS: u32 = 120;

fn fill_both_tables(connection: &Connection) {
    fill(connection, ROWS);
    connection
        .execute_batch("CREATE INDEX tb ON t(b); CREATE VIEW w AS SELECT a FROM t;")
        .unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// One way of transferring: from the file that is there to the one that is not.
struct Transfer {
    prepare: fn(&Path),
    from: &'static str,
    to: &'static str,
    run: fn(&Path, &Path) -> Result<(), Error>,
    check: fn(&Path),
}

const ENCRYPT: Transfer = Transfer {
    prepare: |path| {
        let plain = Connection::open(path.with_file_name("plain.db")).unwrap();
        fill_both_tables(&plain);
    },
    from: "plain.db",
    to: "sealed.db",
    run: |from, to| {
        zqlite::encrypt(from, to, EncryptOptions::new(slots()), &mut |_| true).map(drop)
    },
    check: |to| {
        assert_eq!(count(&open(to)), i64::from(ROWS));
        assert_clean(to);
    },
};

const DECRYPT: Transfer = Transfer {
    prepare: |path| {
        let sealed = create(&path.with_file_name("sealed.db"));
        mode(&sealed, "WAL");
        fill_both_tables(&sealed);
    },
    from: "sealed.db",
    to: "plain.db",
    run: |from, to| zqlite::decrypt(from, to, DecryptOptions::new(ring()), &mut |_| true),
    check: |to| {
        let plain = Connection::open(to).unwrap();
        assert_eq!(count(&plain), i64::from(ROWS));
        assert_eq!(one::<String>(&plain, "PRAGMA integrity_check"), "ok");
    },
};

/// VACUUM INTO takes a file whose size it cannot learn for one that is not empty; and where a connection cannot say
/// where its temporary files are, they may be in plaintext.
fn is_refused_for_want_of_an_answer(error: &Error, struck: &[String]) -> bool {
    assert_eq!(error.verdict(), Verdict::Other, "{struck:?}");
    let was_struck = |method: &str| struck.iter().any(|call| call.starts_with(method));
    (was_struck("file size") && error.to_string() == "output file already exists")
        || (was_struck("file control") && matches!(error, Error::TemporaryFiles { .. }))
}

/// A database that was cut down while it was open.
fn cut_down(folder: &Path) -> Connection {
    let path = folder.join("cut.db");
    fill(&create(&path), 20);
    let connection = open(&path);
    set_len(&path, PAGES_AT);
    connection
}

fn transfer_case(
    faults: &Faults,
    transfer: &Transfer,
    template: &Template,
    cut: &Connection,
    plan: Plan,
) -> bool {
    let folder = template.put_down();
    let (from, to) = (
        folder.path().join(transfer.from),
        folder.path().join(transfer.to),
    );
    let before = fs::read(&from).unwrap();
    let mut story = Story::new(format!("{} {plan:?}", transfer.to));
    // Nobody asks for the reason of this; it is not that of what comes after it.
    cut.query_row("SELECT count(*) FROM t", [], |_| Ok(()))
        .unwrap_err();
    faults.strike(plan);
    let outcome = (transfer.run)(&from, &to);
    let struck = faults.lift();
    story.told = format!("{} {plan:?}, struck: {:?}", transfer.to, struck.first());
    if let Err(error) = &outcome {
        if !is_refused_for_want_of_an_answer(error, &struck) {
            story.assert_is_io(error);
        }
        // What SQLite keeps beside its source is its own.
        let left: Vec<String> = names(folder.path())
            .into_iter()
            .filter(|name| !name.starts_with(transfer.from))
            .collect();
        assert_eq!(left, Vec::<String>::new(), "{story:?}");
        (transfer.run)(&from, &to).unwrap();
    }
    assert_eq!(fs::read(&from).unwrap(), before, "{story:?}");
    (transfer.check)(&to);
    !struck.is_empty()
}

fn sweep(transfer: &Transfer) {
    let faults = Faults::alone();
    let template = Template::new(transfer.prepare);
    let elsewhere = tempdir().unwrap();
    let cut = cut_down(elsewhere.path());
    let folder = template.put_down();
    let (from, to) = (
        folder.path().join(transfer.from),
        folder.path().join(transfer.to),
    );
    faults.count();
    (transfer.run)(&from, &to).unwrap();
    let calls = faults.calls();
    (transfer.check)(&to);
    let mut cases = 0;
    for times in [Times::Once, Times::FromThenOn] {
        for at in struck(calls, 3) {
            let plan = Plan {
                at,
                fault: Fault::Error,
                times,
            };
            let made = transfer_case(&faults, transfer, &template, &cut, plan);
            assert!(made || at + calls / 10 > calls, "call {at} of {calls}");
            cases += 1;
        }
    }
    println!("calls: {calls}, cases: {cases}");
    assert!(cases > 0 && calls > 50);
}

#[test]
fn sealing_survives_any_call_that_fails() {
    sweep(&ENCRYPT);
}

#[test]
fn unsealing_survives_any_call_that_fails() {
    sweep(&DECRYPT);
}

/// A database with a log, as a crash leaves it.
fn prepare_verified(path: &Path) {
    let original = path.with_file_name("original.db");
    let connection = create(&original);
    fill(&connection, ROWS);
    mode(&connection, "WAL");
    fill(&connection, 20);
    crash_copy(&original, path);
    drop(connection);
    fs::remove_file(&original).unwrap();
}

fn verify(path: &Path) -> Result<VerifyReport, Error> {
    zqlite::verify(path, VerifyOptions::new(ring()), &mut |_| true)
}

#[test]
fn what_the_disk_refuses_is_not_verified_as_damage() {
    let faults = Faults::alone();
    let template = Template::new(prepare_verified);
    let folder = template.put_down();
    faults.count();
    let report = verify(&folder.path().join("a.db")).unwrap();
    let calls = faults.calls();
    assert_eq!(report.problems, Vec::<String>::new());
    assert!(report.wal_frames > 0 && calls > 50);
    let (mut cases, mut refused) = (0, 0);
    for times in [Times::Once, Times::FromThenOn] {
        for at in struck(calls, 0) {
            let plan = Plan {
                at,
                fault: Fault::Error,
                times,
            };
            let folder = template.put_down();
            let path = folder.path().join("a.db");
            faults.strike(plan);
            let outcome = verify(&path);
            let story = Story::new(format!("{plan:?}, struck: {:?}", faults.lift().first()));
            match outcome {
                Ok(report) => assert_eq!(report.problems, Vec::<String>::new(), "{story:?}"),
                Err(error) => {
                    story.assert_is_io(&error);
                    refused += 1;
                }
            }
            assert_clean(&path);
            cases += 1;
        }
    }
    println!("calls: {calls}, cases: {cases}, refused: {refused}");
    assert!(refused > cases / 2);
}
