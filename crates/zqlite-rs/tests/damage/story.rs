//! What is told of a database while calls fail: which transactions were acknowledged, which were not, and the rows that
//! follow from them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::{Connection, ErrorCode, ffi};
use zqlite::{Error, Verdict};

use crate::faults;
use crate::support::{assert_clean, assert_sound, open};

/// What a database may hold.
#[derive(Debug, Default)]
pub(crate) struct Story {
    acknowledged: BTreeSet<i64>,
    failed: BTreeSet<i64>,
    /// Whether what happens may be taken for damage.
    pub(crate) may_look_damaged: bool,
    /// What stands in the assertion messages.
    pub(crate) told: String,
}

/// The table: key to value and length of the padding.
type Rows = BTreeMap<i64, (i64, i64)>;

/// The tables, and the rows that the first transaction finds.
pub(crate) const SCHEMA: &str = "
    CREATE TABLE log(step INTEGER PRIMARY KEY);
    CREATE TABLE t(k INTEGER PRIMARY KEY, v INT, pad TEXT);
    CREATE INDEX tv ON t(v, pad);
    WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n WHERE x<60)
    INSERT INTO t SELECT x, x, '' FROM n;";
/// How many there are.
const FIRST_ROWS: i64 = 60;

/// Makes the tables, outside of any story.
pub(crate) fn begin(connection: &Connection) {
    connection.execute_batch("PRAGMA cache_size=5").unwrap();
    connection.execute_batch(SCHEMA).unwrap();
}

/// One transaction; it changes most pages, grows and shrinks the table, and rolls a savepoint back.
fn statements(step: i64) -> [String; 8] {
    [
        "BEGIN IMMEDIATE".to_owned(),
        format!("INSERT INTO log VALUES ({step})"),
        format!(
            "UPDATE t SET v = (v * 3 + {step}) % 100003, pad = printf('%.*c', 100 + v % 300, 'x')"
        ),
        format!("INSERT INTO t SELECT {step} * 1000 + k, k, '' FROM t WHERE k <= 20"),
        "SAVEPOINT s".to_owned(),
        "UPDATE t SET v = -1, pad = 'never seen' WHERE k % 3 = 0".to_owned(),
        "ROLLBACK TO s; RELEASE s".to_owned(),
        format!("DELETE FROM t WHERE k > 1000 AND k % 5 = {step} % 5; COMMIT"),
    ]
}

fn rows_after(steps: &BTreeSet<i64>) -> Rows {
    let mut rows: Rows = (1..=FIRST_ROWS).map(|k| (k, (k, 0))).collect();
    for step in steps {
        for (v, pad) in rows.values_mut() {
            (*v, *pad) = ((*v * 3 + step) % 100_003, 100 + *v % 300);
        }
        rows.extend((1..=20).map(|k| (step * 1000 + k, (k, 0))));
        rows.retain(|k, _| *k <= 1000 || k % 5 != step % 5);
    }
    rows
}

impl Story {
    pub(crate) fn new(told: String) -> Self {
        Self {
            told,
            ..Self::default()
        }
    }

    pub(crate) fn was_acknowledged(&self, step: i64) -> bool {
        self.acknowledged.contains(&step)
    }

    /// Runs a transaction; it is acknowledged, or fails for a reason that is about the disk.
    pub(crate) fn step(&mut self, connection: &Connection, step: i64) -> bool {
        for statement in statements(step) {
            if let Err(error) = connection.execute_batch(&statement) {
                self.assert_about_the_disk(&error);
                self.failed.insert(step);
                if !connection.is_autocommit()
                    && let Err(error) = connection.execute_batch("ROLLBACK")
                {
                    self.assert_about_the_disk(&error);
                }
                return false;
            }
        }
        self.acknowledged.insert(step);
        true
    }

    /// Anything else: it succeeds, or fails for a reason that is about the disk.
    pub(crate) fn run(&self, connection: &Connection, sql: &str) -> bool {
        let outcome = connection.prepare(sql).and_then(|mut statement| {
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            Ok(())
        });
        if let Err(error) = &outcome {
            self.assert_about_the_disk(error);
        }
        outcome.is_ok()
    }

    /// Reads the database: whatever is returned, is right. Tells whether all was.
    pub(crate) fn look(&self, connection: &Connection) -> bool {
        let outcome = self.look_inside(connection);
        if !connection.is_autocommit()
            && let Err(error) = connection.execute_batch("ROLLBACK")
        {
            self.assert_about_the_disk(&error);
        }
        match outcome {
            Ok(()) => true,
            Err(error) => {
                self.assert_about_the_disk(&error);
                false
            }
        }
    }

    fn look_inside(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.execute_batch("BEGIN")?;
        let mut log = connection.prepare("SELECT step FROM log")?;
        let log = log.query_map([], |row| row.get(0))?;
        let log = log.collect::<rusqlite::Result<BTreeSet<i64>>>()?;
        assert!(
            log.is_superset(&self.acknowledged),
            "{self:?}: acknowledged transactions are lost, there are {log:?}"
        );
        assert!(
            log.iter()
                .all(|step| self.acknowledged.contains(step) || self.failed.contains(step)),
            "{self:?}: nobody made all of {log:?}"
        );
        let expected = rows_after(&log);
        let mut expected_rows = expected.iter();
        let mut statement = connection
            .prepare("SELECT k, v, length(pad), trim(pad, 'x') = '' FROM t ORDER BY k")?;
        let mut rows = statement.query([])?;
        // Row by row: those before an error are checked, too.
        while let Some(row) = rows.next()? {
            let found = (row.get(0)?, (row.get(1)?, row.get(2)?));
            let expected = expected_rows.next().map(|(k, row)| (*k, *row));
            assert_eq!(
                Some(found),
                expected,
                "{self:?}: a wrong row, after {log:?}"
            );
            assert!(row.get::<_, bool>(3)?, "{self:?}: wrong padding");
        }
        assert_eq!(expected_rows.next(), None, "{self:?}: rows are missing");
        // The index says the same.
        let sum: i64 = connection.query_row(
            "SELECT total(v) FROM t INDEXED BY tv WHERE v > -5",
            [],
            |row| {
                row.get::<_, f64>(0).map(|sum| {
                    #[expect(clippy::cast_possible_truncation, reason = "a sum of small integers")]
                    {
                        sum as i64
                    }
                })
            },
        )?;
        let expected_sum: i64 = expected.values().map(|(v, _)| v).sum();
        assert_eq!(sum, expected_sum, "{self:?}: the index differs");
        Ok(())
    }

    /// The cause is gone: the connection that saw the errors goes on.
    pub(crate) fn goes_on(&mut self, connection: &Connection, step: i64) {
        assert!(self.look(connection), "{self:?}: still cannot read");
        assert!(self.step(connection, step), "{self:?}: still cannot write");
        assert!(self.look(connection), "{self:?}: cannot read any more");
    }

    /// The cause is gone: whoever opens the database finds it whole, and can go on.
    pub(crate) fn ends_well(&mut self, path: &Path, step: i64) {
        let connection = open(path);
        self.goes_on(&connection, step);
        assert_sound(&connection);
        drop(connection);
        assert_clean(path);
    }

    pub(crate) fn assert_about_the_disk(&self, error: &rusqlite::Error) {
        let struck = faults::first_struck();
        let is_damage = || {
            error
                .sqlite_error()
                .is_some_and(|e| says_damage(e.extended_code))
        };
        let fits = is_about_the_disk(error) || (self.may_look_damaged && is_damage());
        assert!(fits, "{self:?}, {struck:?}: {error:?}");
    }

    /// For errors of the library.
    pub(crate) fn assert_is_io(&self, error: &Error) {
        if self.may_look_damaged && error.verdict() == Verdict::Damaged {
            return;
        }
        let fits = match error {
            Error::Io { .. } | Error::NotThere { .. } => true,
            Error::Sqlite(error) => is_about_the_disk(error),
            _ => false,
        };
        assert!(
            fits && error.verdict() == Verdict::Other,
            "{self:?}: {error:?}"
        );
    }
}

/// Whether an error says that the disk, not the file, is to blame.
pub(crate) fn is_about_the_disk(error: &rusqlite::Error) -> bool {
    let Some(error) = error.sqlite_error() else {
        return false;
    };
    match error.code {
        ErrorCode::SystemIoFailure => !matches!(
            error.extended_code,
            ffi::SQLITE_IOERR_DATA | ffi::SQLITE_IOERR_CORRUPTFS
        ),
        ErrorCode::DiskFull | ErrorCode::CannotOpen => true,
        _ => false,
    }
}

fn says_damage(code: i32) -> bool {
    code == ffi::SQLITE_IOERR_DATA
        || matches!(code & 0xff, ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB)
}
