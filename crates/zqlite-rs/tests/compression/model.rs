//! A compressed table and a plain one get the same statements: after each, they hold the same rows; after a crash,
//! those of the last commit.

use std::cell::Cell;
use std::path::PathBuf;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;

/// Keys are few, so that statements meet the same rows.
const KEYS: i64 = 12;

#[derive(Clone, Debug)]
enum Step {
    /// One of [`WRITES`], with a key and a value.
    Write(usize, i64, Value),
    Begin,
    Commit,
    Rollback,
    Savepoint,
    RollbackTo,
    Release,
    Retrain,
    Recompress(u32),
    /// Plain again, and compressed anew.
    Anew,
    /// The process is gone; what it had not committed is, too.
    Crash,
}

/// Statements with `{T}` for the table, `?1` for a key and `?2` for a value.
const WRITES: [&str; 10] = [
    "INSERT INTO {T}(id, name, meta) VALUES (?1, 'n' || ?1, ?2)",
    "INSERT OR REPLACE INTO {T}(id, name, meta) VALUES (?1, 'n' || (?1 % 5), ?2)",
    "INSERT OR IGNORE INTO {T}(id, name, meta) VALUES (?1, 'n' || (?1 % 5), ?2)",
    "REPLACE INTO {T}(id, name, meta) SELECT id + 1, name, meta FROM {T} WHERE id = ?1 AND ?2 IS NOT 0",
    "UPDATE {T} SET meta = ?2 WHERE id >= ?1",
    "UPDATE OR REPLACE {T} SET id = ?1, meta = ?2 WHERE id = 1 + ?1 % 3",
    "UPDATE OR IGNORE {T} SET name = 'n' || ?1 WHERE meta = ?2 OR id < 5",
    "UPDATE {T} SET meta = CASE typeof(meta) WHEN 'text' THEN meta || quote(?2) ELSE ?2 END WHERE id = ?1",
    "DELETE FROM {T} WHERE id = ?1 OR meta = ?2",
    "INSERT INTO {T}(id, name, meta) SELECT id + 20, name || '+', meta FROM {T} WHERE id = ?1 AND ?2 IS NOT 0",
];

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => (0_i64..40).prop_map(|n| Value::Text(meta(n))),
        2 => (0_i64..40).prop_map(|n| Value::Blob(meta(n).into_bytes())),
        1 => Just(Value::Null),
        1 => any::<i64>().prop_map(Value::Integer),
        1 => (-1e9_f64..1e9).prop_map(Value::Real),
        1 => proptest::collection::vec(any::<u8>(), 0..300).prop_map(Value::Blob),
        1 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(|mut tail| {
            let mut blob = vec![0x7a, 0xfa];
            blob.append(&mut tail);
            Value::Blob(blob)
        }),
        1 => "[a-c ]{0,80}".prop_map(Value::Text),
        1 => "[0-9. e+-]{0,30}".prop_map(Value::Text),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        24 => (0..WRITES.len(), 1..KEYS, value()).prop_map(|(at, key, value)| Step::Write(at, key, value)),
        2 => Just(Step::Begin),
        2 => Just(Step::Commit),
        1 => Just(Step::Rollback),
        2 => Just(Step::Savepoint),
        2 => Just(Step::RollbackTo),
        1 => Just(Step::Release),
        2 => Just(Step::Retrain),
        1 => (1_u32..9).prop_map(Step::Recompress),
        1 => Just(Step::Anew),
        1 => Just(Step::Crash),
    ]
}

struct World {
    folder: tempfile::TempDir,
    connection: Option<Connection>,
    crashes: u32,
    committed: Vec<Vec<Value>>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let connection = support::create(&folder.path().join("0.db"));
        support::mode(&connection, "wal");
        for table in ["plain", "peer"] {
            connection
                .execute_batch(&format!(
                    "CREATE TABLE {table}(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, meta)"
                ))
                .unwrap();
            for n in 1..=60 {
                connection
                    .execute(
                        &format!("INSERT INTO {table} VALUES (?1, 'first ' || ?1, ?2)"),
                        (n + 100, meta(n)),
                    )
                    .unwrap();
            }
        }
        compress(&connection, "peer", "meta").unwrap();
        let mut world = Self {
            folder,
            connection: Some(connection),
            crashes: 0,
            committed: Vec::new(),
        };
        world.committed = world.rows("plain");
        world
    }

    fn connection(&self) -> &Connection {
        self.connection.as_ref().unwrap()
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(format!("{}.db", self.crashes))
    }

    fn rows(&self, table: &str) -> Vec<Vec<Value>> {
        rows(
            self.connection(),
            &format!("SELECT * FROM {table} ORDER BY id"),
        )
    }

    fn run(&mut self, step: &Step) {
        let connection = self.connection();
        match step {
            Step::Write(at, key, value) => {
                let outcomes = ["plain", "peer"].map(|table| {
                    let sql = WRITES[*at].replace("{T}", table);
                    connection
                        .execute(&sql, rusqlite::params![key, value])
                        .map(drop)
                        .map_err(|error| error.sqlite_error_code())
                });
                assert_eq!(outcomes[0], outcomes[1], "{}", WRITES[*at]);
            }
            // Where these do not fit, SQLite refuses them, and nothing happens.
            Step::Begin => drop(connection.execute_batch("BEGIN")),
            Step::Commit => drop(connection.execute_batch("COMMIT")),
            Step::Rollback => drop(connection.execute_batch("ROLLBACK")),
            Step::Savepoint => connection.execute_batch("SAVEPOINT s").unwrap(),
            Step::RollbackTo => drop(connection.execute_batch("ROLLBACK TO s")),
            Step::Release => drop(connection.execute_batch("RELEASE s")),
            Step::Retrain => {
                let options = Options::default();
                match compression::retrain(connection, "peer", "meta", &options) {
                    Ok(_) | Err(Error::Column { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            Step::Recompress(rows) => {
                compression::recompress(connection, "peer", "meta", *rows, &mut |_, _| true)
                    .unwrap();
            }
            Step::Anew => {
                decompress(connection, "peer", "meta").unwrap();
                assert_eq!(self.rows("peer"), self.rows("plain"));
                compress(connection, "peer", "meta").unwrap();
            }
            Step::Crash => self.crash(),
        }
        let plain = self.rows("plain");
        assert_eq!(self.rows("peer"), plain, "after {step:?}");
        if self.connection().is_autocommit() {
            self.committed = plain;
        }
    }

    fn crash(&mut self) {
        let from = self.path();
        self.crashes += 1;
        let to = self.path();
        support::crash_copy(&from, &to);
        self.connection = None;
        self.connection = Some(support::open(&to));
        assert_eq!(self.rows("plain"), self.committed);
    }
}

#[test]
fn a_compressed_table_holds_what_a_plain_one_does_whatever_happens() {
    const CASES: u32 = 32;
    let mut runner = TestRunner::new(Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    });
    let ran = Cell::new(0);
    let steps = proptest::collection::vec(step(), 1..60);
    runner
        .run(&steps, |steps| {
            let mut world = World::new();
            for step in &steps {
                world.run(step);
            }
            if !world.connection().is_autocommit() {
                world.connection().execute_batch("ROLLBACK").unwrap();
            }
            support::assert_sound(world.connection());
            assert_eq!(support::problems(&world.path()), Vec::<String>::new());
            ran.set(ran.get() + 1);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(ran.get() >= CASES);
}
