//! Dictionaries come and go; what was written with one stays readable, or is written anew.

use super::*;

fn versions(connection: &Connection) -> Vec<i64> {
    let mut statement = connection
        .prepare("SELECT version FROM zqlite_dictionaries ORDER BY version")
        .unwrap();
    let versions = statement.query_map([], |row| row.get(0)).unwrap();
    versions.map(Result::unwrap).collect()
}

/// Which dictionaries the stored values name.
fn used(connection: &Connection) -> i64 {
    support::one(
        connection,
        "SELECT count(DISTINCT zqlite_dictionary_of(meta)) FROM peer_zqlite_rows",
    )
}

#[test]
fn old_rows_stay_readable_after_retraining_and_recompressing_drops_what_nobody_needs() {
    let (_folder, connection) = guarded();
    peers(&connection, 300);
    let before = rows(&connection, "SELECT * FROM peer");
    compress(&connection, "peer", "meta").unwrap();
    let stored: i64 = support::one(
        &connection,
        "SELECT sum(length(meta)) FROM peer_zqlite_rows",
    );
    // Rows of another kind.
    for n in 301..=900 {
        let other = format!(
            "<peer><name>{n}</name><address>fd7a::{n:x}</address><site>{}</site></peer>",
            n % 9
        );
        let insert = "INSERT INTO peer VALUES (?1, 'other ' || ?1, ?2)";
        connection.execute(insert, (n, other)).unwrap();
    }
    let all = rows(&connection, "SELECT * FROM peer");
    let bytes = || -> i64 {
        support::one(
            &connection,
            "SELECT sum(length(meta)) FROM peer_zqlite_rows",
        )
    };
    let grown = bytes();
    let done = compression::retrain(&connection, "peer", "meta", &Options::default()).unwrap();
    assert_eq!((done.version, versions(&connection)), (2, vec![1, 2]));
    assert_eq!(bytes(), grown);
    assert_eq!(rows(&connection, "SELECT * FROM peer"), all);
    let mut steps = 0;
    let done = compression::recompress(&connection, "peer", "meta", 100, &mut |done, total| {
        assert!(done <= total && total == 900);
        steps += 1;
        true
    })
    .unwrap();
    assert_eq!((done.rows, done.dropped, steps), (900, 1, 9));
    assert!(done.changed >= 300, "{done:?}");
    assert_eq!((versions(&connection), used(&connection)), (vec![2], 1));
    assert!(bytes() < grown, "{} {grown} {stored}", bytes());
    assert_eq!(rows(&connection, "SELECT * FROM peer"), all);
    assert_eq!(
        rows(&connection, "SELECT * FROM peer WHERE id <= 300"),
        before
    );
}

#[test]
fn recompressing_that_is_stopped_goes_on_later() {
    let (_folder, connection) = guarded();
    peers(&connection, 300);
    let before = rows(&connection, "SELECT * FROM peer");
    compress(&connection, "peer", "meta").unwrap();
    compression::retrain(&connection, "peer", "meta", &Options::default()).unwrap();
    let outcome =
        compression::recompress(&connection, "peer", "meta", 50, &mut |done, _| done < 100);
    assert!(matches!(outcome, Err(Error::Interrupted)));
    assert_eq!((versions(&connection), used(&connection)), (vec![1, 2], 2));
    let done = compression::recompress(&connection, "peer", "meta", 50, &mut |_, _| true).unwrap();
    assert_eq!((done.changed, done.dropped), (200, 1));
    assert_eq!(rows(&connection, "SELECT * FROM peer"), before);
}

#[test]
fn recompressing_goes_by_the_whole_key() {
    let (_folder, connection) = guarded();
    connection
        .execute_batch(
            "CREATE TABLE peer(a TEXT, b REAL, meta, PRIMARY KEY(a DESC, b)) WITHOUT ROWID",
        )
        .unwrap();
    for n in 0..240 {
        let insert = "INSERT INTO peer VALUES ('k' || (?1 % 5), ?1 / 2.0, ?2)";
        connection.execute(insert, (n, meta(n))).unwrap();
    }
    let before = rows(&connection, "SELECT * FROM peer");
    compress(&connection, "peer", "meta").unwrap();
    compression::retrain(&connection, "peer", "meta", &Options::default()).unwrap();
    let done = compression::recompress(&connection, "peer", "meta", 7, &mut |_, _| true).unwrap();
    assert_eq!((done.rows, done.changed, done.dropped), (240, 240, 1));
    assert_eq!(rows(&connection, "SELECT * FROM peer"), before);
}

#[test]
fn a_dictionary_that_was_rolled_back_is_never_used_again() {
    let (folder, connection) = guarded();
    peers(&connection, 300);
    compress(&connection, "peer", "meta").unwrap();
    connection.execute_batch("BEGIN; SAVEPOINT s").unwrap();
    connection
        .execute_batch("UPDATE peer SET meta = upper(meta)")
        .unwrap();
    compression::retrain(&connection, "peer", "meta", &Options::default()).unwrap();
    connection
        .execute("INSERT INTO peer VALUES (1000, 'x', ?1)", [meta(1000)])
        .unwrap();
    assert_eq!(used(&connection), 2);
    // Version 2 was in use on this connection; now another one takes its number.
    connection.execute_batch("ROLLBACK TO s").unwrap();
    assert_eq!(versions(&connection), [1]);
    connection
        .execute_batch(
            "UPDATE peer SET meta = meta || 'a tail that all have in common' WHERE id % 2",
        )
        .unwrap();
    compression::retrain(&connection, "peer", "meta", &Options::default()).unwrap();
    connection
        .execute("INSERT INTO peer VALUES (1000, 'x', ?1)", [meta(1000)])
        .unwrap();
    connection.execute_batch("COMMIT").unwrap();
    assert_eq!((versions(&connection), used(&connection)), (vec![1, 2], 2));
    let read = rows(&connection, "SELECT * FROM peer");
    let other = support::open(&folder.path().join("a.db"));
    assert_eq!(rows(&other, "SELECT * FROM peer"), read);
    assert_eq!(read[300][2], Value::Text(meta(1000)));
}

#[test]
fn more_dictionaries_than_are_kept_ready_are_all_read() {
    let (_folder, connection) = guarded();
    peers(&connection, 240);
    let before = rows(&connection, "SELECT * FROM peer");
    compress(&connection, "peer", "meta").unwrap();
    for version in 2..=12_u64 {
        let done = compression::retrain(&connection, "peer", "meta", &Options::default()).unwrap();
        assert_eq!(done.version, version);
        let update = format!(
            "UPDATE peer SET meta = meta WHERE id % 12 = {}",
            version % 12
        );
        connection.execute_batch(&update).unwrap();
    }
    assert_eq!(used(&connection), 12);
    for _ in 0..2 {
        assert_eq!(rows(&connection, "SELECT * FROM peer"), before);
    }
}

#[test]
fn a_table_that_is_too_small_is_compressed_without_a_dictionary_until_it_is_retrained() {
    let (_folder, connection) = guarded();
    peers(&connection, 2);
    let done = compress(&connection, "peer", "meta").unwrap();
    assert_eq!(done.dictionary_bytes, 0);
    let error = compression::retrain(&connection, "peer", "meta", &Options::default()).unwrap_err();
    assert!(error.to_string().contains("too little"), "{error}");
    for n in 3..=300 {
        let insert = "INSERT INTO peer VALUES (?1, ?1, ?2)";
        connection.execute(insert, (n, meta(n))).unwrap();
    }
    let before = rows(&connection, "SELECT * FROM peer");
    compression::retrain(&connection, "peer", "meta", &Options::default()).unwrap();
    compression::recompress(&connection, "peer", "meta", 1_000, &mut |_, _| true).unwrap();
    assert_eq!(rows(&connection, "SELECT * FROM peer"), before);
    let none: i64 = support::one(
        &connection,
        "SELECT count(*) FROM peer_zqlite_rows WHERE zqlite_dictionary_of(meta) IS NULL",
    );
    assert_eq!(none, 0);
}

#[test]
fn an_attached_database_brings_its_dictionaries() {
    let (folder, connection) = guarded();
    peers(&connection, 200);
    compress(&connection, "peer", "meta").unwrap();
    drop(connection);
    let main = folder.path().join("main.db");
    let connection = support::builder(&main)
        .create(support::slots())
        .allow_attach()
        .open()
        .unwrap();
    support::register(&folder.path().join("a.db"));
    let attach = format!(
        "ATTACH 'file:{}?vfs=zqlite' AS other",
        folder.path().join("a.db").display()
    );
    connection.execute_batch(&attach).unwrap();
    let read: String = support::one(&connection, "SELECT meta FROM other.peer WHERE id = 9");
    assert_eq!(read, meta(9));
    connection
        .execute("INSERT INTO other.peer VALUES (999, 'x', ?1)", [meta(999)])
        .unwrap();
    let read: String = support::one(&connection, "SELECT meta FROM other.peer WHERE id = 999");
    assert_eq!(read, meta(999));
}

#[test]
fn a_deleted_rows_text_may_survive_in_the_dictionary_until_it_is_retrained() {
    const NEEDLE: &str = "unmistakable-needle-of-a-deleted-row";
    let (_folder, connection) = guarded();
    peers(&connection, 300);
    connection
        .execute(
            "UPDATE peer SET meta = meta || ?1 WHERE id <= 150",
            [NEEDLE],
        )
        .unwrap();
    compress(&connection, "peer", "meta").unwrap();
    connection
        .execute_batch("DELETE FROM peer WHERE id <= 150")
        .unwrap();
    let holds = || -> bool {
        let sql = format!(
            "SELECT max(instr(dictionary, CAST('{NEEDLE}' AS BLOB))) > 0 FROM zqlite_dictionaries"
        );
        support::one(&connection, &sql)
    };
    assert!(holds());
    compression::retrain(&connection, "peer", "meta", &Options::default()).unwrap();
    assert!(holds());
    compression::recompress(&connection, "peer", "meta", 1_000, &mut |_, _| true).unwrap();
    assert!(!holds());
}

#[test]
fn a_connection_that_may_use_no_pragma_reads_and_writes() {
    use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
    let (folder, connection) = guarded();
    peers(&connection, 200);
    compress(&connection, "peer", "meta").unwrap();
    drop(connection);
    let mut connection = support::open(&folder.path().join("a.db"));
    let limited = &mut connection;
    limited
        .authorizer(Some(|context: AuthContext<'_>| match context.action {
            AuthAction::Pragma { .. } => Authorization::Deny,
            _ => Authorization::Allow,
        }))
        .unwrap();
    assert!(connection.execute_batch("PRAGMA user_version").is_err());
    let read: String = support::one(&connection, "SELECT meta FROM peer WHERE id = 7");
    assert_eq!(read, meta(7));
    connection
        .execute("INSERT INTO peer VALUES (999, 'x', ?1)", [meta(999)])
        .unwrap();
    let read: String = support::one(&connection, "SELECT meta FROM peer WHERE id = 999");
    assert_eq!(read, meta(999));
}
