//! The new file: tables and their rows first, what refers to them at the end.

use std::path::{Path, PathBuf};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode};
use zqlite_pq::SigningKey;
use zqlite_pq::epoch::FileId;
use zqlite_pq::header::NewSlot;

use super::SalvagedTable;
use super::rows::{Failure, Kept, Scan, Shape, quoted};
use super::source::{Object, Schema, Source};
use crate::target::Target;
use crate::transfer::{ours_or_sqlite, pragma};
use crate::vfs::stand_in::Answer;
use crate::vfs::{Code, with_sealed};
use crate::{Builder, Error, Progress};

/// Rows in one transaction: what SQLite keeps to undo it stays small.
const ROWS_PER_TRANSACTION: u64 = 10_000;
/// Rows between two reports of progress.
const ROWS_PER_REPORT: u64 = 500;

/// The new file.
pub(super) struct Rebuild {
    connection: Connection,
    path: PathBuf,
    wal: bool,
    problems: Vec<String>,
}

impl Rebuild {
    pub(super) fn create(
        target: &Target,
        source: &Source,
        slots: Vec<NewSlot>,
        signing_key: Option<SigningKey>,
    ) -> Result<Self, Error> {
        let mut builder = Builder::new(target.unfinished())
            .accept_any_maker()
            .allow_schema_writes()
            .page_size(source.page_size())
            .create(slots);
        if let Some(key) = signing_key {
            builder = builder.sign_with(key);
        }
        let connection = builder.open()?;
        let encoding: String = pragma(source.connection(), "encoding")?;
        let mut settings = format!("PRAGMA encoding={};", quoted(&encoding));
        for name in ["auto_vacuum", "application_id", "user_version"] {
            let value: i64 = pragma(source.connection(), name)?;
            settings.push_str(&format!("PRAGMA {name}={value};"));
        }
        // A crash leaves an unfinished file, which is thrown away: nothing is synced before the end.
        settings.push_str(
            "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF; PRAGMA foreign_keys=OFF;
             PRAGMA ignore_check_constraints=ON;",
        );
        connection
            .execute_batch(&settings)
            .map_err(ours_or_sqlite)?;
        Ok(Self {
            connection,
            path: target.unfinished().to_owned(),
            wal: source.is_wal(),
            problems: Vec::new(),
        })
    }

    /// Makes a table and fills it. `None`: it is one of SQLite's own that is made anew.
    pub(super) fn table(
        &mut self,
        source: &mut Source,
        object: &Object,
        progress: &mut dyn FnMut(Progress) -> bool,
    ) -> Result<Option<SalvagedTable>, Error> {
        let lower = object.name.to_ascii_lowercase();
        let is_sequence = lower == "sqlite_sequence";
        if lower.starts_with("sqlite_") && !is_sequence {
            return Ok(None);
        }
        let mut table = SalvagedTable::new(object.name.clone());
        match self.fill(source, object, is_sequence, &mut table, progress) {
            Ok(()) => {}
            Err(Failure::Other(error)) => return Err(error),
            Err(Failure::Table(error)) => {
                let name = &object.name;
                self.problems.push(format!(
                    "the table {name:?} cannot be read or made: {error}"
                ));
            }
        }
        if !self.connection.is_autocommit() {
            self.connection
                .execute_batch("COMMIT")
                .map_err(ours_or_sqlite)?;
        }
        Ok(Some(table))
    }

    fn fill(
        &mut self,
        source: &mut Source,
        object: &Object,
        is_sequence: bool,
        table: &mut SalvagedTable,
        progress: &mut dyn FnMut(Progress) -> bool,
    ) -> Result<(), Failure> {
        if is_sequence {
            // It is there if a table needs it, and knows the rows that were saved.
            if self
                .connection
                .execute("DELETE FROM sqlite_sequence", [])
                .is_err()
            {
                return Ok(());
            }
        } else {
            self.make(object).map_err(Failure::Table)?;
        }
        let shape = Shape::of(source.connection(), &object.name).map_err(Failure::Table)?;
        let Some(shape) = shape else {
            self.problems.push(format!(
                "the columns of the table {:?} are not known: its rows are lost",
                object.name
            ));
            return Ok(());
        };
        if let Some(leaf) = shape.leaf() {
            let before = source.stand_ins()?;
            source.answer(Answer::Leaf(leaf))?;
            // Where it ends early, the reading of the rows will, too.
            let _walked = Scan::new(source, &shape).walk();
            source.answer(Answer::Error)?;
            table.lost_pages = source.stand_ins()?.difference(&before).copied().collect();
            table.lost_pages.sort_unstable();
        }
        let connection = &self.connection;
        let mut insert = connection
            .prepare(&insertion(&shape))
            .map_err(Failure::Table)?;
        let path = &self.path;
        let mut count = 0_u64;
        Scan::new(source, &shape).rows(table, &mut |rowid, values| {
            if count.is_multiple_of(ROWS_PER_TRANSACTION) {
                let step = if connection.is_autocommit() {
                    "BEGIN"
                } else {
                    "COMMIT; BEGIN"
                };
                connection.execute_batch(step).map_err(ours_or_sqlite)?;
            }
            count += 1;
            if count.is_multiple_of(ROWS_PER_REPORT) && !report(source, path, progress) {
                return Err(Error::Interrupted);
            }
            let rowid = rowid.map(ValueRef::Integer);
            for (index, value) in rowid.iter().chain(values).enumerate() {
                insert
                    .raw_bind_parameter(index + 1, ToSqlOutput::Borrowed(*value))
                    .map_err(ours_or_sqlite)?;
            }
            match insert.raw_execute() {
                Ok(_) => Ok(Kept::Saved),
                Err(error) if is_refusal(&error) => Ok(Kept::Refused),
                Err(error) => Err(ours_or_sqlite(error)),
            }
        })
    }

    /// Runs the statement that made an object: one, and nothing but CREATE.
    fn make(&self, object: &Object) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare(&object.sql)?;
        let begins = |sql: &str| {
            sql.get(..7)
                .is_some_and(|word| word.eq_ignore_ascii_case("CREATE "))
        };
        if !begins(object.sql.trim_start()) {
            return Err(rusqlite::Error::InvalidQuery);
        }
        statement.raw_execute().map(drop)
    }

    /// Makes indexes, triggers, views and virtual tables. Returns the new file's id and what could not be done.
    pub(super) fn finish(mut self, schema: &Schema) -> Result<(FileId, Vec<String>), Error> {
        for object in schema.indexes.iter().chain(&schema.others) {
            if let Err(error) = self.make(object) {
                self.not_made(object, error)?;
            }
        }
        // As a dump does: the module may not be there, and must not touch the tables that it keeps its data in.
        if !schema.virtual_tables.is_empty() {
            self.connection
                .execute_batch("PRAGMA writable_schema=ON")
                .map_err(ours_or_sqlite)?;
        }
        for object in &schema.virtual_tables {
            let made = self.connection.execute(
                "INSERT INTO sqlite_schema(type, name, tbl_name, rootpage, sql) VALUES ('table', ?1, ?1, 0, ?2)",
                [&object.name, &object.sql],
            );
            if let Err(error) = made {
                self.not_made(object, error)?;
            }
        }
        if self.wal {
            let mode: String = pragma(&self.connection, "journal_mode=WAL")?;
            debug_assert_eq!(mode, "wal");
        }
        let file_id = with_sealed(&self.connection, |sealed, _| {
            Ok(*sealed.opened().ok_or(Code::NOTFOUND)?.header.file_id())
        })
        .map_err(|code| code.at(&self.path))?;
        Ok((file_id, self.problems))
    }

    fn not_made(&mut self, object: &Object, error: rusqlite::Error) -> Result<(), Error> {
        if !is_about_the_object(&error) {
            return Err(ours_or_sqlite(error));
        }
        let name = &object.name;
        self.problems
            .push(format!("{name:?} could not be made: {error}"));
        Ok(())
    }
}

fn insertion(shape: &Shape) -> String {
    let mut columns: Vec<&str> = shape.rowid.into_iter().collect();
    columns.extend(shape.columns.iter().map(String::as_str));
    let places = vec!["?"; columns.len()].join(", ");
    format!(
        "INSERT INTO {}({}) VALUES ({places})",
        shape.name,
        columns.join(", ")
    )
}

/// Reading the rows is the second half of the work; how far it is, the new file tells.
fn report(source: &Source, path: &Path, progress: &mut dyn FnMut(Progress) -> bool) -> bool {
    let written = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    progress(Progress {
        done: source.len() + written.min(source.len()),
        total: 2 * source.len(),
    })
}

fn is_refusal(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig)
    )
}

/// Whether the statement is wrong, or does not fit what was saved; not the disk.
fn is_about_the_object(error: &rusqlite::Error) -> bool {
    !matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure | ErrorCode::OutOfMemory)
    )
}
