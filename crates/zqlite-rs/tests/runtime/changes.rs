//! Notifications of changes.

use tempfile::TempDir;
use zqlite::{CHANGES_KEPT, Error, Notification, Options};

use crate::gate::{Gate, insert, open, queue};

fn tables(notification: Option<Notification>) -> Vec<String> {
    match notification {
        Some(Notification::Changed(change)) => {
            change.tables().iter().map(ToString::to_string).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_commit_is_told_once_with_the_tables_that_it_changed() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder.path().join("db"), Options::new());
    let mut all = database.subscribe(&[]);
    let mut parents = database.subscribe(&["Parent"]);
    let parent = |tx: &zqlite::WriteTransaction<'_>| {
        tx.execute("INSERT INTO parent DEFAULT VALUES", [])?;
        Ok::<_, Error>(())
    };
    let gate = Gate::close(&database);
    let kept = queue(&database, |tx| insert(tx, 1));
    let rolled_back = queue(&database, move |tx| {
        parent(tx)?;
        Err::<(), _>(Error::application("no"))
    });
    gate.open().unwrap();
    kept.join().unwrap().unwrap();
    rolled_back.join().unwrap().unwrap_err();
    assert_eq!(tables(all.next_blocking()), ["t"]);
    assert!(all.try_next().is_none());
    assert!(parents.try_next().is_none(), "nothing of it was committed");
    database
        .write(move |tx| {
            parent(tx)?;
            insert(tx, 2)
        })
        .unwrap();
    assert_eq!(tables(parents.try_next()), ["parent", "t"]);
    assert_eq!(tables(all.try_next()), ["parent", "t"]);
    // A transaction that SQLite rolls back is not told.
    let lost = database.write(|tx| {
        tx.execute("INSERT OR ROLLBACK INTO t(id) VALUES (5), (1)", [])?;
        Ok(())
    });
    assert!(lost.is_err());
    assert!(all.try_next().is_none());
}

#[test]
fn who_falls_behind_is_told_so() {
    let folder = TempDir::new().unwrap();
    let database = open(
        &folder.path().join("db"),
        Options::new().durability(zqlite::Durability::Normal),
    );
    let mut subscription = database.subscribe(&["t"]);
    let more = i64::try_from(CHANGES_KEPT).unwrap() + 5;
    for id in 0..more {
        database.write(move |tx| insert(tx, id)).unwrap();
    }
    let missed = subscription.next_blocking();
    assert!(
        matches!(missed, Some(Notification::Missed(5))),
        "{missed:?}"
    );
    assert_eq!(tables(subscription.next_blocking()), ["t"]);
    drop(database);
    let rest = std::iter::from_fn(|| subscription.next_blocking()).count();
    assert_eq!(rest, CHANGES_KEPT - 1);
}
