//! Everything that makes SQLite write a file, on a plain or on a sealed database.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::backup::Backup;

use crate::markers::{BYTES, COLUMN, INDEX, TABLE, TEXT};
use crate::support::{mode, one, open_uri, register_new};

pub(crate) const ROWS: u32 = 1_500;

/// Whether the files of a workload are sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Plain,
    Sealed,
}

/// A folder, and how its databases are opened.
#[derive(Clone, Copy)]
pub(crate) struct Bench<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) side: Side,
}

impl Bench<'_> {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn uri(&self, name: &str) -> String {
        let path = self.path(name);
        match self.side {
            Side::Plain => format!("file:{}", path.display()),
            Side::Sealed => {
                register_new(&path);
                format!("file:{}?vfs=zqlite", path.display())
            }
        }
    }

    pub(crate) fn open(&self, name: &str) -> Connection {
        let connection = open_uri(&self.uri(name)).unwrap();
        connection
            .execute_batch("PRAGMA cache_size=10; PRAGMA temp_store=FILE;")
            .unwrap();
        connection
    }

    /// A database of rows with markers.
    pub(crate) fn fill(&self, name: &str, journal_mode: &str, encoding: &str) -> Connection {
        let connection = self.open(name);
        connection
            .execute_batch(&format!("PRAGMA encoding='{encoding}'"))
            .unwrap();
        mode(&connection, journal_mode);
        let bytes = hex_of(&BYTES);
        connection
            .execute_batch(&format!(
                "CREATE TABLE {TABLE}(id INTEGER PRIMARY KEY, u INT UNIQUE, {COLUMN} TEXT, bytes BLOB);
                 CREATE INDEX {INDEX} ON {TABLE}(bytes, id);
                 WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n WHERE x<{ROWS})
                 INSERT INTO {TABLE} SELECT x, x, '{TEXT} ' || x || ' {TEXT}' ||
                     printf('%.150c', 'p'), x'{bytes}' || randomblob(x % 60) FROM n;"
            ))
            .unwrap();
        connection
    }

    /// Statements one by one: each is a reason to write another kind of file.
    pub(crate) fn work(&self, connection: &mut Connection, journal_mode: &str) {
        let rewrite =
            format!("UPDATE {TABLE} SET {COLUMN} = {COLUMN} || ' {TEXT}' WHERE id % 3 = 0");
        let run = |sql: &str| connection.execute_batch(sql).unwrap();
        run(&rewrite);
        // The sorter, and tables that SQLite makes for itself.
        // Each spills what does not fit: 1 MiB, and 2 MiB.
        let wide = format!("{COLUMN} || {COLUMN} || {COLUMN} || {COLUMN}");
        drain(
            connection,
            &format!("SELECT {wide}, * FROM {TABLE} ORDER BY substr({COLUMN}, 8), bytes"),
        );
        drain(
            connection,
            &format!(
                "SELECT DISTINCT {wide} || x FROM {TABLE}, (SELECT 1 AS x UNION ALL SELECT 2
                     UNION ALL SELECT 3 UNION ALL SELECT 4)"
            ),
        );
        run(&format!(
            "PRAGMA temp.cache_size=5;
             CREATE TEMP TABLE kept AS SELECT id, {COLUMN} AS c, bytes FROM {TABLE};
             PRAGMA temp.cache_size=5;
             CREATE INDEX temp.kept_index ON kept(c, bytes);
             BEGIN; UPDATE kept SET c = c || ' {TEXT}'; ROLLBACK;
             UPDATE kept SET c = '{TEXT} again ' || id;"
        ));
        if journal_mode != "OFF" {
            // A statement that fails at its end, in a transaction that has changed the same pages.
            run(&format!(
                "BEGIN; UPDATE {TABLE} SET {COLUMN} = {COLUMN} || 'v' WHERE id > 2"
            ));
            let last = ROWS - 1;
            let failed = connection.execute_batch(&format!(
                "UPDATE {TABLE} SET u = CASE WHEN id = {ROWS} THEN {last} ELSE -u END,
                     {COLUMN} = {COLUMN} || 'w';
                 INSERT INTO {TABLE}(u, {COLUMN}) SELECT u, {COLUMN} FROM {TABLE}"
            ));
            assert!(failed.is_err(), "the statement is rolled back");
            run("ROLLBACK");
            self.transaction_over_two(connection, journal_mode);
        }
        run(&format!("DELETE FROM {TABLE} WHERE id % 5 = 0; VACUUM;"));
        let into = self.uri("into.db");
        connection.execute("VACUUM INTO ?1", [into]).unwrap();
        let mut copy = self.open("backup.db");
        Backup::new(connection, &mut copy)
            .unwrap()
            .run_to_completion(50, std::time::Duration::ZERO, None)
            .unwrap();
        drop(copy);
        if journal_mode == "WAL" {
            let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
            assert_eq!(one::<i64>(connection, checkpoint), 0);
        }
        self.check(connection);
    }

    /// With a savepoint, and a super-journal where there are rollback journals.
    fn transaction_over_two(&self, connection: &Connection, journal_mode: &str) {
        connection
            .execute("ATTACH ?1 AS other", [self.uri("other.db")])
            .unwrap();
        let other = format!("PRAGMA other.journal_mode={journal_mode}");
        drain(connection, &other);
        connection
            .execute_batch(&format!(
                "PRAGMA other.cache_size=5;
                 CREATE TABLE other.{TABLE} AS SELECT * FROM main.{TABLE} WHERE id < 500;
                 BEGIN;
                 SAVEPOINT one;
                 UPDATE main.{TABLE} SET {COLUMN} = {COLUMN} || ' 1' WHERE id < 900;
                 UPDATE other.{TABLE} SET {COLUMN} = {COLUMN} || ' 1';
                 SAVEPOINT two;
                 UPDATE main.{TABLE} SET {COLUMN} = {COLUMN} || ' 2';
                 DELETE FROM other.{TABLE};
                 ROLLBACK TO two; RELEASE two; RELEASE one;
                 COMMIT;
                 DETACH other;"
            ))
            .unwrap();
    }

    fn check(&self, connection: &Connection) {
        let rows: u32 = one(connection, &format!("SELECT count(*) FROM {TABLE}"));
        assert_eq!(rows, ROWS - ROWS / 5);
        for name in ["into.db", "backup.db"] {
            let copy = self.open(name);
            assert_eq!(
                one::<u32>(&copy, &format!("SELECT count(*) FROM {TABLE}")),
                rows
            );
            assert_eq!(one::<String>(&copy, "PRAGMA integrity_check"), "ok");
        }
    }
}

/// Reads all rows.
fn drain(connection: &Connection, sql: &str) {
    let mut statement = connection.prepare(sql).unwrap();
    let mut rows = statement.query([]).unwrap();
    while rows.next().unwrap().is_some() {}
}

fn hex_of(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
