//! The shadow tables of an index.
//!
//! - `INDEX_values`: each value of each column once, with a number. SQLite's own unique index says what is equal; its
//!   index `INDEX_numbers` finds the texts that are a number.
//! - `INDEX_chunks`: for each value, the rows that have it, 4,096 keys at a time ([`Chunk`]); value 0 is all rows.
//! - `INDEX_rows`: for each row, the numbers of its values.

use std::collections::BTreeMap;

use roaring::{RoaringBitmap, RoaringTreemap};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{OptionalExtension as _, params_from_iter};

use super::super::binding::Binding;
use super::super::fault::Result;
use super::super::numbers;
use super::chunk::{self, Chunk};
use super::number_of;

pub(super) const VALUES: &str = "values";
pub(super) const CHUNKS: &str = "chunks";
pub(super) const ROWS: &str = "rows";
/// The number under which all rows are.
pub(super) const ALL: i64 = 0;

/// How many chunks become bits of a set at once: as many as one of its own containers holds.
const BLOCK: u64 = 16;

pub(super) struct Stored {
    pub(super) binding: Binding,
    sql: Sql,
}

struct Sql {
    value: String,
    texts: String,
    add_value: String,
    remove_value: String,
    chunk: String,
    chunks: String,
    any_chunk: String,
    set_chunk: String,
    remove_chunk: String,
    row: String,
    set_row: String,
    remove_row: String,
}

/// A row that comes to have a value, or has it no more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flip {
    pub(super) value: i64,
    pub(super) on: bool,
}

impl Stored {
    pub(super) fn new(binding: Binding) -> Self {
        let (values, chunks, rows) = (
            binding.qualified(VALUES),
            binding.qualified(CHUNKS),
            binding.qualified(ROWS),
        );
        let columns: String = (1..=binding.columns().len())
            .map(|at| format!(", v{at}"))
            .collect();
        let places: String = (2..binding.columns().len() + 2)
            .map(|at| format!(", ?{at}"))
            .collect();
        let sql = Sql {
            value: format!("SELECT id FROM {values} WHERE field = ?1 AND value IS ?2"),
            texts: format!(
                "SELECT id, value FROM {values} WHERE field = ?1 AND {}",
                numbers::is("value", "?2")
            ),
            add_value: format!("INSERT INTO {values}(field, value) VALUES (?1, ?2)"),
            remove_value: format!("DELETE FROM {values} WHERE id = ?1"),
            chunk: format!("SELECT bits FROM {chunks} WHERE value = ?1 AND chunk = ?2"),
            // With `= ?1`, SQLite (3.54) estimates by what is bound how many rows there are, and so prepares the statement
            // anew for each use out of the cache.
            chunks: format!("SELECT chunk, bits FROM {chunks} WHERE value = +?1 ORDER BY chunk"),
            any_chunk: format!("SELECT 1 FROM {chunks} WHERE value = +?1 LIMIT 1"),
            set_chunk: format!(
                "INSERT OR REPLACE INTO {chunks}(value, chunk, bits) VALUES (?1, ?2, ?3)"
            ),
            remove_chunk: format!("DELETE FROM {chunks} WHERE value = ?1 AND chunk = ?2"),
            row: format!("SELECT id{columns} FROM {rows} WHERE id = ?1"),
            set_row: format!("INSERT OR REPLACE INTO {rows}(id{columns}) VALUES (?1{places})"),
            remove_row: format!("DELETE FROM {rows} WHERE id = ?1"),
        };
        Self { binding, sql }
    }

    pub(super) fn create(&self) -> Result<()> {
        let columns: String = (1..=self.binding.columns().len())
            .map(|at| format!(", v{at} INTEGER NOT NULL"))
            .collect();
        self.binding.host.execute_batch(&format!(
            "CREATE TABLE {}(id INTEGER PRIMARY KEY, field INTEGER NOT NULL, value, UNIQUE(field, value));
             CREATE TABLE {}(value INTEGER NOT NULL, chunk INTEGER NOT NULL, bits BLOB NOT NULL,
                             PRIMARY KEY(value, chunk)) WITHOUT ROWID;
             CREATE TABLE {}(id INTEGER PRIMARY KEY{columns});",
            self.binding.qualified(VALUES),
            self.binding.qualified(CHUNKS),
            self.binding.qualified(ROWS),
        ))?;
        let values = format!("{}_{VALUES}", self.binding.name());
        numbers::create_index(
            &self.binding.host,
            self.binding.schema(),
            self.binding.name(),
            &values,
            "field, ",
            "value",
        )
    }

    pub(super) fn clear(&self) -> Result<()> {
        for table in [VALUES, CHUNKS, ROWS] {
            let table = self.binding.qualified(table);
            self.binding
                .host
                .execute(&format!("DELETE FROM {table}"), [])?;
        }
        Ok(())
    }

    // --- values ---------------------------------------------------------------------------------

    /// The number of a value of a column, if any row has it.
    pub(super) fn value(&self, field: usize, value: &Value) -> Result<Option<i64>> {
        let mut statement = self.binding.host.prepare_cached(&self.sql.value)?;
        let found = statement
            .query_row((field_number(field), value), |row| row.get(0))
            .optional()?;
        match found {
            Some(ALL) => Err(self.binding.damaged(VALUES)),
            found => Ok(found),
        }
    }

    /// The values of a column that are a text and, as a number, this one.
    pub(super) fn texts(&self, field: usize, number: &Value) -> Result<Vec<(i64, Value)>> {
        let mut statement = self.binding.host.prepare_cached(&self.sql.texts)?;
        let found = statement
            .query_map((field_number(field), number), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        if found.iter().any(|(number, _)| *number == ALL) {
            return Err(self.binding.damaged(VALUES));
        }
        Ok(found)
    }

    fn value_or_new(&self, field: usize, value: &Value) -> Result<i64> {
        if let Some(number) = self.value(field, value)? {
            return Ok(number);
        }
        let host = &self.binding.host;
        host.prepare_cached(&self.sql.add_value)?
            .execute((field_number(field), value))?;
        Ok(host.last_insert_rowid())
    }

    // --- sets -----------------------------------------------------------------------------------

    /// The rows that have a value.
    pub(super) fn set(&self, value: i64) -> Result<RoaringTreemap> {
        let damaged = || self.binding.damaged(CHUNKS);
        let mut parts: BTreeMap<u32, RoaringBitmap> = BTreeMap::new();
        let mut add = |block: u64, bits: &[u8]| {
            let first = block.checked_mul(BLOCK * chunk::ROWS)?;
            let high = u32::try_from(first >> 32).ok()?;
            let low = u32::try_from(first & u64::from(u32::MAX)).ok()?;
            *parts.entry(high).or_default() |= RoaringBitmap::from_lsb0_bytes(low, bits);
            Some(())
        };
        let mut open: Option<(u64, Vec<u8>)> = None;
        let mut statement = self.binding.host.prepare_cached(&self.sql.chunks)?;
        let mut rows = statement.query([value])?;
        while let Some(row) = rows.next()? {
            let number = u64::try_from(row.get::<_, i64>(0)?).map_err(|_| damaged())?;
            let chunk = decode(row.get_ref(1)?).ok_or_else(damaged)?;
            let block = number / BLOCK;
            if let Some((other, bits)) = &open
                && *other != block
            {
                add(*other, bits).ok_or_else(damaged)?;
                open = None;
            }
            let (_, bits) = open.get_or_insert_with(|| (block, Vec::new()));
            let start = usize::try_from(number % BLOCK).unwrap_or(0) * chunk.bits().len();
            if start < bits.len() {
                return Err(damaged());
            }
            bits.resize(start, 0);
            bits.extend_from_slice(chunk.bits());
        }
        if let Some((block, bits)) = open {
            add(block, &bits).ok_or_else(damaged)?;
        }
        Ok(RoaringTreemap::from_bitmaps(parts))
    }

    fn flip(&self, id: i64, flip: Flip) -> Result<()> {
        let host = &self.binding.host;
        let (number, place) = chunk::place(id);
        let stored = host
            .prepare_cached(&self.sql.chunk)?
            .query_row((flip.value, number), |row| Ok(decode(row.get_ref(0)?)))
            .optional()?;
        let mut chunk = match stored {
            None => Chunk::new(),
            Some(Some(chunk)) => chunk,
            Some(None) => return Err(self.binding.damaged(CHUNKS)),
        };
        if chunk.has(place) == flip.on {
            return Err(self.binding.damaged(CHUNKS));
        }
        chunk.set(place, flip.on);
        if let Some(bits) = chunk.encode() {
            host.prepare_cached(&self.sql.set_chunk)?
                .execute((flip.value, number, bits))?;
            return Ok(());
        }
        host.prepare_cached(&self.sql.remove_chunk)?
            .execute((flip.value, number))?;
        let is_used = host
            .prepare_cached(&self.sql.any_chunk)?
            .exists([flip.value])?;
        if flip.value != ALL && !is_used {
            host.prepare_cached(&self.sql.remove_value)?
                .execute([flip.value])?;
        }
        Ok(())
    }

    fn write_set(&self, value: i64, set: &RoaringTreemap) -> Result<()> {
        let mut statement = self.binding.host.prepare_cached(&self.sql.set_chunk)?;
        let mut open: Option<(i64, Chunk)> = None;
        for id in set.iter().map(super::key_of) {
            let (number, place) = chunk::place(id);
            if let Some((other, chunk)) = &open
                && *other != number
            {
                statement.execute((value, other, chunk.encode()))?;
                open = None;
            }
            let (_, chunk) = open.get_or_insert_with(|| (number, Chunk::new()));
            chunk.set(place, true);
        }
        if let Some((number, chunk)) = open {
            statement.execute((value, number, chunk.encode()))?;
        }
        Ok(())
    }

    // --- rows -----------------------------------------------------------------------------------

    /// The numbers of the values that a row is indexed under.
    pub(super) fn row(&self, id: i64) -> Result<Option<Vec<i64>>> {
        let fields = self.binding.columns().len();
        Ok(self
            .binding
            .host
            .prepare_cached(&self.sql.row)?
            .query_row([id], |row| (1..=fields).map(|at| row.get(at)).collect())
            .optional()?)
    }

    /// Indexes a row under its values as they are now, or not at all if it is gone. Gives what has changed.
    pub(super) fn index(&self, id: i64, values: Option<Vec<Value>>) -> Result<Vec<Flip>> {
        let old = self.row(id)?;
        let new = values
            .map(|values| {
                values
                    .iter()
                    .enumerate()
                    .map(|(field, value)| self.value_or_new(field, value))
                    .collect::<Result<Vec<_>>>()
            })
            .transpose()?;
        if old == new {
            return Ok(Vec::new());
        }
        let with_all = |values: &Option<Vec<i64>>| match values {
            Some(values) => core::iter::once(ALL)
                .chain(values.iter().copied())
                .collect(),
            None => Vec::new(),
        };
        let (before, after): (Vec<i64>, Vec<i64>) = (with_all(&old), with_all(&new));
        let mut flips = Vec::new();
        // Values of different columns have different numbers. What is set comes first: no value is dropped and made anew.
        flips.extend(
            after
                .iter()
                .filter(|value| !before.contains(value))
                .map(|&value| Flip { value, on: true }),
        );
        flips.extend(
            before
                .iter()
                .filter(|value| !after.contains(value))
                .map(|&value| Flip { value, on: false }),
        );
        for &flip in &flips {
            self.flip(id, flip)?;
        }
        let host = &self.binding.host;
        match new {
            Some(new) => host
                .prepare_cached(&self.sql.set_row)?
                .execute(params_from_iter(core::iter::once(id).chain(new)))?,
            None => host.prepare_cached(&self.sql.remove_row)?.execute([id])?,
        };
        Ok(flips)
    }

    /// Indexes all rows of the table; nothing is indexed before.
    pub(super) fn fill(&self) -> Result<()> {
        let mut sets: BTreeMap<i64, RoaringTreemap> = BTreeMap::new();
        let fields = self.binding.columns().len();
        self.binding.scan(|id, row| {
            let mut values = vec![id];
            for field in 0..fields {
                let value = super::value_of(id, row.get_ref(field + 1)?)?;
                values.push(self.value_or_new(field, &value)?);
            }
            for &value in core::iter::once(&ALL).chain(values.get(1..).unwrap_or_default()) {
                sets.entry(value).or_default().insert(number_of(id));
            }
            self.binding
                .host
                .prepare_cached(&self.sql.set_row)?
                .execute(params_from_iter(values))?;
            Ok(())
        })?;
        sets.iter()
            .try_for_each(|(value, set)| self.write_set(*value, set))
    }

    // --- checks ---------------------------------------------------------------------------------

    /// Compares the shadow tables with each other. Says what is wrong.
    pub(super) fn check(&self) -> Result<Option<String>> {
        let host = &self.binding.host;
        let fields = self.binding.columns().len();
        let mut sets: BTreeMap<i64, RoaringTreemap> = BTreeMap::new();
        let columns: String = (1..=fields).map(|at| format!(", v{at}")).collect();
        let mut statement = host.prepare(&format!(
            "SELECT id{columns} FROM {}",
            self.binding.qualified(ROWS)
        ))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let number = number_of(row.get(0)?);
            sets.entry(ALL).or_default().insert(number);
            for at in 1..=fields {
                sets.entry(row.get(at)?).or_default().insert(number);
            }
        }
        for (value, rows) in &sets {
            if self.set(*value)? != *rows {
                return Ok(Some(format!(
                    "value {value} does not have the rows that have it"
                )));
            }
        }
        let numbers = |sql: String| -> Result<Vec<i64>> {
            Ok(host
                .prepare(&sql)?
                .query_map([], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?)
        };
        let chunks = self.binding.qualified(CHUNKS);
        let stored = numbers(format!(
            "SELECT DISTINCT value FROM {chunks} ORDER BY value"
        ))?;
        let values = self.binding.qualified(VALUES);
        let known = numbers(format!("SELECT id FROM {values} ORDER BY id"))?;
        if !sets.keys().copied().eq(stored) {
            return Ok(Some("a value has rows that do not have it".to_owned()));
        }
        if !sets.into_keys().filter(|value| *value != ALL).eq(known) {
            return Ok(Some(
                "a value without rows, or rows without a value".to_owned(),
            ));
        }
        Ok(None)
    }
}

fn field_number(field: usize) -> i64 {
    i64::try_from(field).unwrap_or(i64::MAX)
}

fn decode(value: ValueRef<'_>) -> Option<Chunk> {
    match value {
        ValueRef::Blob(bytes) => Chunk::decode(bytes),
        _ => None,
    }
}
