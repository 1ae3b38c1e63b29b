//! A time series and a plain table get the same points: after each step they hold the same, point by point and in
//! buckets; after a crash, what was committed.

use std::cell::Cell;
use std::path::PathBuf;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;

#[derive(Clone, Debug)]
enum Step {
    /// So many points of a series from a time on, so far apart, with values from a number on.
    Run(u8, i64, u8, i64, i32),
    /// One point.
    Put(u8, i64, i32),
    /// Points that fail half way: the statement is undone.
    Fail(u8, i64),
    /// Drops what is older, of one series or of all.
    Drop(Option<u8>, i64),
    Begin,
    Commit,
    Rollback,
    Savepoint,
    RollbackTo,
    Release,
    /// Another connection writes.
    Other(u8, i64),
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let time = || 0_i64..600;
    prop_oneof![
        8 => (0_u8..3, time(), 1_u8..60, 1_i64..9, any::<i32>())
            .prop_map(|(series, time, count, apart, value)| Step::Run(series, time, count, apart, value)),
        6 => (0_u8..3, time(), any::<i32>()).prop_map(|(series, time, value)| Step::Put(series, time, value)),
        1 => (0_u8..3, time()).prop_map(|(series, time)| Step::Fail(series, time)),
        1 => (proptest::option::of(0_u8..3), 0_i64..300).prop_map(|(series, time)| Step::Drop(series, time)),
        2 => Just(Step::Begin),
        2 => Just(Step::Commit),
        1 => Just(Step::Rollback),
        2 => Just(Step::Savepoint),
        2 => Just(Step::RollbackTo),
        1 => Just(Step::Release),
        1 => (0_u8..3, time()).prop_map(|(series, time)| Step::Other(series, time)),
        1 => Just(Step::Crash),
    ]
}

struct World {
    folder: tempfile::TempDir,
    connection: Option<Connection>,
    crashes: u32,
    committed: Vec<Vec<Value>>,
}

const POINTS: &str = "SELECT series, time, value FROM";

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let connection = support::create(&folder.path().join("0.db"));
        support::mode(&connection, "wal");
        connection
            .execute_batch(
                "CREATE VIRTUAL TABLE m USING timeseries(chunk=16);
                 CREATE TABLE plain(series, time INTEGER, value REAL, PRIMARY KEY(series, time));",
            )
            .unwrap();
        Self {
            folder,
            connection: Some(connection),
            crashes: 0,
            committed: Vec::new(),
        }
    }

    fn connection(&self) -> &Connection {
        self.connection.as_ref().unwrap()
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(format!("{}.db", self.crashes))
    }

    fn put(connection: &Connection, series: u8, time: i64, value: i32) {
        // Sixteenths: sums are exact in any order.
        let value = f64::from(value) / 16.0;
        for table in ["m", "plain"] {
            connection
                .prepare_cached(&format!(
                    "INSERT OR REPLACE INTO {table} VALUES ('s' || ?1, ?2, ?3)"
                ))
                .unwrap()
                .execute((series, time, value))
                .unwrap();
        }
    }

    fn run(&mut self, step: &Step) {
        let connection = self.connection();
        match *step {
            Step::Run(series, time, count, apart, value) => {
                for n in 0..i32::from(count) {
                    let value = value.wrapping_mul(n.wrapping_add(3)) >> 8;
                    Self::put(connection, series, time + i64::from(n) * apart, value);
                }
            }
            Step::Put(series, time, value) => Self::put(connection, series, time, value),
            Step::Fail(series, time) => {
                let sql = "INSERT INTO m SELECT 's' || ?1, ?2 + key, CASE key WHEN 37 THEN 'no number' ELSE key END
                           FROM json_each('[' || substr(replace(hex(zeroblob(25)), '0', ',0'), 2) || ']')";
                assert!(connection.execute(sql, (series, time)).is_err());
            }
            Step::Drop(series, limit) => {
                let of = series.map(|series| format!("s{series}"));
                connection
                    .execute(
                        "INSERT INTO m(series, drop_before) VALUES (?1, ?2)",
                        (&of, limit),
                    )
                    .unwrap();
                // Some of the old ones stay, with their chunk; none of the others is gone.
                connection
                    .execute(
                        "DELETE FROM plain WHERE time < ?2 AND (?1 IS NULL OR series = ?1)
                         AND (series, time) NOT IN (SELECT series, time FROM m)",
                        (&of, limit),
                    )
                    .unwrap();
                let sound: bool = connection
                    .query_row(
                        "SELECT NOT EXISTS(SELECT 1 FROM m_chunks JOIN m_series s ON s.id = m_chunks.series
                         WHERE last < ?2 AND (?1 IS NULL OR s.series = ?1))",
                        (&of, limit),
                        |row| row.get(0),
                    )
                    .unwrap();
                assert!(sound);
            }
            Step::Begin => drop(connection.execute_batch("BEGIN")),
            Step::Commit => drop(connection.execute_batch("COMMIT")),
            Step::Rollback => drop(connection.execute_batch("ROLLBACK")),
            Step::Savepoint => connection.execute_batch("SAVEPOINT s").unwrap(),
            Step::RollbackTo => drop(connection.execute_batch("ROLLBACK TO s")),
            Step::Release => drop(connection.execute_batch("RELEASE s")),
            Step::Other(series, time) => {
                if connection.is_autocommit() {
                    let other = support::open(&self.path());
                    for n in 0..20 {
                        Self::put(&other, series, time + i64::from(n), n);
                    }
                }
            }
            Step::Crash => self.crash(),
        }
        self.compare(step);
    }

    fn compare(&mut self, step: &Step) {
        let connection = self.connection();
        let read = |table: &str| {
            rows(
                connection,
                &format!("{POINTS} {table} ORDER BY series, time"),
            )
        };
        let plain = read("plain");
        assert_eq!(read("m"), plain, "after {step:?}");
        let part = |table: &str| {
            rows(
                connection,
                &format!(
                    "{POINTS} {table} WHERE series = 's1' AND time >= 100 AND time < 350 ORDER BY time"
                ),
            )
        };
        assert_eq!(part("m"), part("plain"), "after {step:?}");
        let buckets = rows(
            connection,
            "SELECT series, time, count, min, max, sum FROM m WHERE bucket = 90 ORDER BY series, time",
        );
        let by_hand = rows(
            connection,
            "SELECT series, time / 90 * 90 AS t, count(*), min(value), max(value), sum(value) FROM plain
             GROUP BY series, t ORDER BY series, t",
        );
        assert_eq!(buckets, by_hand, "after {step:?}");
        if connection.is_autocommit() {
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
        let rows = rows(
            self.connection(),
            &format!("{POINTS} plain ORDER BY series, time"),
        );
        assert_eq!(rows, self.committed);
    }
}

#[test]
fn a_time_series_holds_what_a_plain_table_does_whatever_happens() {
    const CASES: u32 = 40;
    let mut runner = TestRunner::new(Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    });
    let (ran, packed) = (Cell::new(0), Cell::new(0));
    let steps = proptest::collection::vec(step(), 1..50);
    runner
        .run(&steps, |steps| {
            let mut world = World::new();
            for step in &steps {
                world.run(step);
            }
            packed.set(packed.get() + chunks(world.connection()));
            if !world.connection().is_autocommit() {
                world.connection().execute_batch("ROLLBACK").unwrap();
            }
            support::assert_sound(world.connection());
            ran.set(ran.get() + 1);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(ran.get() >= CASES && packed.get() > i64::from(CASES));
}
