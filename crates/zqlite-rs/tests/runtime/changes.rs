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
fn what_sqlite_does_not_report_row_by_row_is_told_as_a_change_of_any_table() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder.path().join("db"), Options::new());
    let write = |sql: &'static str| database.write(|tx| Ok(tx.execute_batch(sql)?));
    write(
        "CREATE TABLE w(id PRIMARY KEY, v) WITHOUT ROWID;
         CREATE TRIGGER after AFTER INSERT ON t WHEN new.v = 'w' BEGIN INSERT INTO w VALUES (new.id, 1); END;
         INSERT INTO t(id) VALUES (1), (2), (3);",
    )
    .unwrap();
    let mut parents = database.subscribe(&["parent"]);
    for sql in [
        "INSERT INTO w VALUES (1, 1)",
        "UPDATE w SET v = 2",
        "INSERT INTO t(v) VALUES ('w')",
        "DELETE FROM t",
        "DELETE FROM w WHERE id = 1",
        "DROP TABLE w",
    ] {
        write(sql).unwrap();
        let told = parents.try_next();
        assert!(
            matches!(told, Some(Notification::Missed(1))),
            "{sql}: {told:?}"
        );
        assert!(parents.try_next().is_none(), "{sql}");
    }
    write("DROP TRIGGER after").unwrap();
    // What is reported, changes nothing, or is taken back, is no reason.
    for sql in [
        "DELETE FROM t",
        "INSERT INTO t(id) VALUES (1), (2), (3)",
        "REPLACE INTO t(id, v) VALUES (1, 7), (9, 9)",
        "UPDATE t SET v = 1 WHERE id > 1",
        "DELETE FROM t WHERE id = 1",
        "CREATE TABLE other(a)",
    ] {
        write(sql).unwrap();
        assert!(parents.try_next().is_none(), "{sql}");
    }
    write("CREATE TABLE w(id PRIMARY KEY) WITHOUT ROWID").unwrap();
    let failed = database.write(|tx| {
        tx.execute_batch("INSERT INTO w VALUES (1); DROP TABLE other")?;
        Err::<(), _>(Error::application("no"))
    });
    assert!(failed.is_err());
    assert!(parents.try_next().is_none());
    write("INSERT INTO parent DEFAULT VALUES").unwrap();
    assert_eq!(tables(parents.try_next()), ["parent"]);
}

#[cfg(feature = "compression")]
#[test]
fn a_table_with_compressed_columns_is_told_of_by_its_own_name() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("db");
    let connection = crate::support::create(&path);
    connection
        .execute_batch(
            "CREATE TABLE m(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO m VALUES (1, 'one')",
        )
        .unwrap();
    let options = zqlite::compression::Options::default();
    zqlite::compression::compress_column(&connection, "m", "v", &options, &mut |_, _| true)
        .unwrap();
    drop(connection);
    let database = open(&path, Options::new());
    let mut subscriptions = [&["m"][..], &["m_zqlite_rows"], &["v"]].map(|t| database.subscribe(t));
    database
        .write(|tx| Ok(tx.execute_batch("UPDATE m SET v = 'two' WHERE id = 1")?))
        .unwrap();
    let [by_name, by_rows, other] = subscriptions.each_mut().map(zqlite::Subscription::try_next);
    assert_eq!(tables(by_name), ["m"]);
    assert_eq!(tables(by_rows), ["m"]);
    assert!(other.is_none());
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
