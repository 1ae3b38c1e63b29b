//! Disks that are full, read-only or broken: an error that says so, and then all is well without a restart.

use std::time::Duration;

use tempfile::TempDir;
use zqlite::{Database, Error, ErrorKind, Options};

use crate::chain;
use crate::faults::{Fault, Faults, Plan, Times};
use crate::support;

fn write(database: &Database, id: i64) -> Result<(), Error> {
    database.write(move |tx| chain::append(tx, id).map(drop))
}

#[test]
fn a_full_disk_is_told_and_the_next_write_after_it_succeeds() {
    let faults = Faults::alone();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("db");
    let database = chain::create(&path, Options::new().checkpoint_pages(50)).unwrap();
    let mut written = Vec::new();
    for (round, id) in (0..).zip((1..).step_by(1_000)).take(20) {
        faults.limit(round * 3_000);
        let mut full = None;
        for id in id..id + 200 {
            match write(&database, id) {
                Ok(()) => written.push(id),
                Err(error) => {
                    full = Some(error);
                    break;
                }
            }
        }
        faults.lift();
        if let Some(error) = full {
            assert_eq!(error.kind(), ErrorKind::DiskFull, "{error}");
            assert_eq!(error.extended_code(), Some(rusqlite::ffi::SQLITE_FULL));
            assert_eq!(error.path(), Some(path.as_path()));
        } else {
            assert!(round > 0);
        }
        write(&database, id + 500).unwrap();
        written.push(id + 500);
    }
    drop(database);
    let found = chain::read(&path);
    assert_eq!(found.len(), written.len());
    assert!(written.iter().all(|id| found.contains_key(id)));
}

#[test]
fn after_a_commit_in_doubt_nothing_is_written_until_the_database_is_opened_again() {
    let faults = Faults::alone();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("db");
    let (mut failed, mut synced, mut other, mut fine) = (0, 0, 0, 0);
    let mut acknowledged = Vec::new();
    let mut database = chain::create(&path, Options::new().checkpoint_pages(8)).unwrap();
    for at in 1..200 {
        let id = i64::try_from(at).unwrap() * 10;
        faults.strike(Plan {
            at: 1 + at % 40,
            fault: Fault::Error,
            times: Times::Once,
        });
        let mut refused = false;
        for id in id..id + 4 {
            match write(&database, id) {
                Ok(()) => acknowledged.push(id),
                Err(Error::WriterFailed { source, .. }) => {
                    let code = source.extended_code();
                    synced += u32::from(code == Some(rusqlite::ffi::SQLITE_IOERR_FSYNC));
                    refused = true;
                    break;
                }
                Err(error) => {
                    assert!(
                        matches!(
                            error.kind(),
                            ErrorKind::Io | ErrorKind::Other | ErrorKind::Busy
                        ),
                        "{error}"
                    );
                    other += 1;
                }
            }
        }
        faults.lift();
        if refused {
            failed += 1;
            for _ in 0..3 {
                let error = write(&database, -1).unwrap_err();
                assert!(matches!(error, Error::WriterFailed { .. }));
                assert_eq!(
                    (error.kind(), error.is_retryable()),
                    (ErrorKind::Closed, false)
                );
            }
            // What is read is what was acknowledged before.
            let sound = database.read(|c| Ok(support::one::<String>(c, "PRAGMA integrity_check")));
            assert_eq!(sound.unwrap(), "ok");
            drop(database);
            database = chain::create(&path, Options::new().checkpoint_pages(8)).unwrap();
        } else {
            fine += 1;
        }
        write(&database, id + 5).unwrap();
        acknowledged.push(id + 5);
    }
    println!(
        "{failed} failed commits ({synced} in a sync), {other} other errors, {fine} rounds without"
    );
    assert!(synced > 3 && fine > 3);
    drop(database);
    let found = chain::read(&path);
    for id in acknowledged {
        assert!(found.contains_key(&id), "{id} was acknowledged");
    }
}

#[test]
fn a_read_only_disk_is_told_and_reads_go_on() {
    let faults = Faults::alone();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("db");
    drop(chain::create(&path, Options::new()).unwrap());
    faults.read_only();
    let options = Options::new().busy_timeout(Duration::from_millis(50));
    let opened = Database::open(support::builder(&path), options);
    let error = opened.map(|database| write(&database, 1).unwrap_err());
    let error = error.unwrap_or_else(|error| error);
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
    faults.lift();
    let database = chain::create(&path, Options::new()).unwrap();
    write(&database, 2).unwrap();
    drop(database);
    assert_eq!(chain::read(&path).len(), 1);
}
