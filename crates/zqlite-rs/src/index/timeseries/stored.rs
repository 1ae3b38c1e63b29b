//! The shadow tables of a time series, and how points move from one to the other.
//!
//! New points stand in `NAME_recent`, one a row, until their series has enough of them; then the older ones become
//! chunks: what is known of a chunk in `NAME_chunks`, its points in `NAME_points`. Chunks of one series do not overlap.
//! What comes late waits in `NAME_recent` as well, and then goes into the chunk that it belongs to.

use core::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use rusqlite::types::{Value, ValueRef};
use rusqlite::{OptionalExtension as _, Row, params};

use super::super::fault::{Fault, Result};
use super::super::ffi::Host;
use super::super::module::Declaration;
use super::super::name::quoted;
use super::super::numbers;
use super::chunk::{self, MAX_PART_LEN, MAX_POINTS, Parts, Point, Summary};
use super::series_ids::SeriesIds;
use super::sql::{Sql, shadow, with_names};

pub(super) const SHADOWS: [&str; 5] = ["state", "series", "chunks", "points", "recent"];

/// The version of what is stored.
const FORMAT: i64 = 1;
/// More statements than a table prepares.
const STATEMENTS: usize = 32;

/// The points of a table, for one connection.
pub(super) struct Stored {
    pub(super) host: Host,
    schema: String,
    name: String,
    /// Points of a chunk.
    chunk: usize,
    /// How often chunks were made or removed.
    moves: Cell<u64>,
    /// How often a transaction, or a part of one, was undone.
    undoings: Cell<u64>,
    sql: Sql,
    ids: RefCell<SeriesIds>,
}

/// A row of `NAME_chunks`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk {
    id: i64,
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) summary: Summary,
}

impl Stored {
    pub(super) fn new(host: Host, declaration: Declaration, chunk: usize) -> Self {
        host.set_prepared_statement_cache_capacity(STATEMENTS);
        let Declaration { schema, name, .. } = declaration;
        let sql = Sql::new(&schema, &name, enough(chunk));
        Self {
            host,
            schema,
            name,
            chunk,
            moves: Cell::new(0),
            undoings: Cell::new(0),
            sql,
            ids: RefCell::default(),
        }
    }

    /// A transaction has begun or ended.
    pub(super) fn forget(&self) {
        self.ids.take();
    }

    /// A transaction, or a part of one, was undone: chunks and recent points may be what they were before.
    pub(super) fn undone(&self) {
        self.forget();
        self.moved();
        self.undoings.set(self.undoings.get().wrapping_add(1));
    }

    pub(super) fn undoings(&self) -> u64 {
        self.undoings.get()
    }

    pub(super) fn moves(&self) -> u64 {
        self.moves.get()
    }

    fn moved(&self) {
        self.moves.set(self.moves.get().wrapping_add(1));
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// SQL in which `@x` stands for the shadow table `x`.
    fn sql(&self, text: &str) -> String {
        with_names(text, &self.schema, &self.name)
    }

    fn table(&self, name: &str, table: &str) -> String {
        shadow(&self.schema, name, table)
    }

    pub(super) fn create(&self) -> Result<()> {
        self.host.execute_batch(&self.sql(
            "CREATE TABLE @state(id INTEGER PRIMARY KEY, value INTEGER NOT NULL);
             CREATE TABLE @series(id INTEGER PRIMARY KEY, series NOT NULL UNIQUE);
             CREATE TABLE @chunks(id INTEGER PRIMARY KEY, series INTEGER NOT NULL, first INTEGER NOT NULL,
               last INTEGER NOT NULL, count INTEGER NOT NULL, min REAL NOT NULL, max REAL NOT NULL, sum REAL,
               first_value REAL NOT NULL, last_value REAL NOT NULL, UNIQUE(series, first));
             CREATE TABLE @points(chunk INTEGER PRIMARY KEY, times BLOB NOT NULL, numbers BLOB NOT NULL);
             CREATE TABLE @recent(series INTEGER NOT NULL, time INTEGER NOT NULL, value REAL NOT NULL,
               PRIMARY KEY(series, time)) WITHOUT ROWID;",
        ))?;
        let sql = self.sql("INSERT INTO @state VALUES (1, ?1)");
        self.host.execute(&sql, [FORMAT])?;
        let series = format!("{}_series", self.name);
        numbers::create_index(&self.host, &self.schema, &self.name, &series, "", "series")
    }

    /// Whether this version knows what is stored.
    pub(super) fn check_format(&self) -> Result<()> {
        let found: i64 = self
            .host
            .prepare_cached(&self.sql.format)?
            .query_row([], |row| row.get(0))?;
        if found == FORMAT {
            return Ok(());
        }
        Err(Fault::usage(format!(
            "time series {}: format {found} is not known; update zqlite",
            self.name
        )))
    }

    pub(super) fn destroy(&self) -> Result<()> {
        for table in SHADOWS {
            let table = self.table(&self.name, table);
            self.host
                .execute_batch(&format!("DROP TABLE IF EXISTS {table}"))?;
        }
        Ok(())
    }

    pub(super) fn rename(&self, name: &str) -> Result<()> {
        for table in SHADOWS {
            let to = quoted(&format!("{name}_{table}"));
            let from = self.table(&self.name, table);
            self.host
                .execute_batch(&format!("ALTER TABLE {from} RENAME TO {to}"))?;
        }
        Ok(())
    }

    /// All series, or one, with their numbers.
    pub(super) fn series(&self, one: Option<ValueRef<'_>>) -> Result<Vec<(i64, Value)>> {
        let mut statement = if let Some(value) = one {
            let mut statement = self.host.prepare_cached(&self.sql.series)?;
            let value = rusqlite::types::ToSqlOutput::Borrowed(value);
            statement.raw_bind_parameter(1, value)?;
            statement
        } else {
            let sql = self.sql("SELECT id, series FROM @series ORDER BY id");
            self.host.prepare_cached(&sql)?
        };
        let mut rows = statement.raw_query();
        let mut series = Vec::new();
        while let Some(row) = rows.next()? {
            series.push((row.get(0)?, row.get(1)?));
        }
        Ok(series)
    }

    /// The name of a series that has this number.
    pub(super) fn series_name(&self, id: i64) -> Result<Option<Value>> {
        let sql = self.sql("SELECT series FROM @series WHERE id = ?1");
        let mut statement = self.host.prepare_cached(&sql)?;
        Ok(statement.query_row([id], |row| row.get(0)).optional()?)
    }

    /// The series whose name could equal one of some values, whatever SQLite takes them for.
    pub(super) fn series_like(&self, values: &[Value]) -> Result<Vec<(i64, Value)>> {
        let mut found = BTreeMap::new();
        let sql = self.sql(&format!(
            "SELECT id, series FROM @series WHERE {}",
            numbers::is("series", "?1")
        ));
        for value in values {
            found.extend(self.series(Some(value.into()))?);
            let Some(number) = numbers::of(&self.host, value)? else {
                continue;
            };
            found.extend(self.series(Some((&number).into()))?);
            let mut texts = self.host.prepare_cached(&sql)?;
            let mut rows = texts.query([&number])?;
            while let Some(row) = rows.next()? {
                found.insert(row.get(0)?, row.get(1)?);
            }
        }
        Ok(found.into_iter().collect())
    }

    /// The number of a series, which it is given if it has none.
    pub(super) fn series_id(&self, series: ValueRef<'_>) -> Result<i64> {
        if let Some(id) = self.ids.borrow().get(series) {
            return Ok(id);
        }
        let id = match self.series(Some(series))?.first() {
            Some((id, _)) => *id,
            None => self.new_series(series)?,
        };
        self.ids.borrow_mut().keep(series, id);
        Ok(id)
    }

    fn new_series(&self, series: ValueRef<'_>) -> Result<i64> {
        let sql = self.sql("INSERT INTO @series(series) VALUES (?1) RETURNING id");
        let value = Value::try_from(series)
            .map_err(|_| Fault::mismatch("a series is a text that is UTF-8, or an integer"))?;
        let id = self
            .host
            .prepare_cached(&sql)?
            .query_row([value], |row| row.get(0))?;
        Ok(id)
    }

    /// Writes a point; one of the same time is replaced.
    pub(super) fn put(&self, series: i64, point: Point) -> Result<()> {
        self.host.prepare_cached(&self.sql.put)?.execute(params![
            series,
            point.time,
            point.value
        ])?;
        Ok(())
    }

    /// Whether it is the turn of a point with this number to have the recent ones counted, which costs more than
    /// writing it: chance picks one of as many as an eighth of a chunk has, or of sixteen.
    pub(super) const fn is_turn(&self, number: i64) -> bool {
        let eighth = (self.chunk / 8).next_power_of_two();
        let others = if eighth < 16 { 15 } else { eighth - 1 };
        number.cast_unsigned() & others as u64 == 0
    }

    /// Makes chunks of the recent points of a series if there are enough.
    pub(super) fn pack_if_many(&self, series: i64) -> Result<bool> {
        let found: i64 = self
            .host
            .prepare_cached(&self.sql.count)?
            .query_row([series], |row| row.get(0))?;
        if found < enough(self.chunk) {
            return Ok(false);
        }
        self.pack(series)?;
        Ok(true)
    }

    fn pack(&self, series: i64) -> Result<()> {
        let recent = self.recent(series, i64::MIN, i64::MAX)?;
        let mut rest = recent.as_slice();
        let Some(earliest) = rest.first().map(|point| point.time) else {
            return Ok(());
        };
        // Chunks before the one that the earliest point belongs to stay as they are.
        let mut chunk = match self.chunk(&self.sql.chunk_before, series, earliest)? {
            Some(chunk) => Some(chunk),
            None => self.chunk_at_or_after(series, earliest)?,
        };
        while let Some(own) = chunk {
            let next = match own.first.checked_add(1) {
                Some(after) => self.chunk_at_or_after(series, after)?,
                None => None,
            };
            // What lies before the first chunk goes into it as well, and what lies between two into the earlier one.
            let end = match &next {
                Some(next) => rest.partition_point(|point| point.time < next.first),
                None => rest.partition_point(|point| point.time <= own.last),
            };
            let (late, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            rest = after;
            if !late.is_empty() {
                let merged = chunk::merge(self.open(&own)?, late);
                self.remove(&own)?;
                let pieces = merged.len().div_ceil(2 * self.chunk).max(1);
                for piece in merged.chunks(merged.len().div_ceil(pieces)) {
                    self.add(series, piece)?;
                }
                self.take_recent(series, late)?;
            }
            chunk = next;
        }
        while let Some((piece, after)) = rest.split_at_checked(self.chunk) {
            self.add(series, piece)?;
            self.take_recent(series, piece)?;
            rest = after;
        }
        Ok(())
    }

    fn add(&self, series: i64, points: &[Point]) -> Result<()> {
        let (Some(first), Some(last), Some(summary)) =
            (points.first(), points.last(), Summary::of_points(points))
        else {
            return Ok(());
        };
        let parts = chunk::encode(points)?;
        let sql = self.sql(
            "INSERT INTO @chunks(series, first, last, count, min, max, sum, first_value, last_value)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) RETURNING id",
        );
        let id: i64 = self.host.prepare_cached(&sql)?.query_row(
            params![
                series,
                first.time,
                last.time,
                summary.count,
                summary.min,
                summary.max,
                summary.sum,
                summary.first,
                summary.last
            ],
            |row| row.get(0),
        )?;
        let sql = self.sql("INSERT INTO @points VALUES (?1, ?2, ?3)");
        self.host
            .prepare_cached(&sql)?
            .execute(params![id, parts.times, parts.numbers])?;
        Ok(())
    }

    fn remove(&self, chunk: &Chunk) -> Result<()> {
        self.moved();
        for sql in [
            "DELETE FROM @chunks WHERE id = ?1",
            "DELETE FROM @points WHERE chunk = ?1",
        ] {
            self.host
                .prepare_cached(&self.sql(sql))?
                .execute([chunk.id])?;
        }
        Ok(())
    }

    /// Points that have gone into a chunk: all of a range, for none was left out.
    fn take_recent(&self, series: i64, points: &[Point]) -> Result<()> {
        if let (Some(first), Some(last)) = (points.first(), points.last()) {
            let sql = self.sql("DELETE FROM @recent WHERE series = +?1 AND time BETWEEN ?2 AND ?3");
            self.host
                .prepare_cached(&sql)?
                .execute([series, first.time, last.time])?;
        }
        Ok(())
    }

    /// The recent points of a range, in the order of time.
    pub(super) fn recent(&self, series: i64, from: i64, to: i64) -> Result<Vec<Point>> {
        let mut statement = self.host.prepare_cached(&self.sql.recent)?;
        let mut rows = statement.query([series, from, to])?;
        let mut points = Vec::new();
        while let Some(row) = rows.next()? {
            points.push(Point {
                time: row.get(0)?,
                value: row.get(1)?,
            });
        }
        Ok(points)
    }

    /// The chunk with the lowest first time from `from` on.
    pub(super) fn chunk_at_or_after(&self, series: i64, from: i64) -> Result<Option<Chunk>> {
        self.chunk(&self.sql.chunk_from, series, from)
    }

    /// The chunk that holds a time, or would.
    pub(super) fn chunk_over(&self, series: i64, at: i64) -> Result<Option<Chunk>> {
        let chunk = self.chunk(&self.sql.chunk_before, series, at)?;
        Ok(chunk.filter(|chunk| chunk.last >= at))
    }

    fn chunk(&self, sql: &str, series: i64, at: i64) -> Result<Option<Chunk>> {
        let mut statement = self.host.prepare_cached(sql)?;
        let found = statement.query_row([series, at], read_chunk).optional()?;
        if let Some(chunk) = &found
            && chunk.first > chunk.last
        {
            return Err(Fault::corrupt(
                "a chunk of a time series ends before it begins",
            ));
        }
        Ok(found)
    }

    /// The points of a chunk.
    pub(super) fn open(&self, chunk: &Chunk) -> Result<Vec<Point>> {
        let limit = i64::try_from(MAX_PART_LEN).unwrap_or(i64::MAX);
        let parts =
            self.host
                .prepare_cached(&self.sql.open)?
                .query_row([chunk.id, limit], |row| {
                    Ok(Parts {
                        times: row.get(0)?,
                        numbers: row.get(1)?,
                    })
                })?;
        let count = usize::try_from(chunk.summary.count).unwrap_or(MAX_POINTS + 1);
        let points = chunk::decode(&parts, count)?;
        let is_right = points.first().map(|point| point.time) == Some(chunk.first)
            && points.last().map(|point| point.time) == Some(chunk.last);
        if is_right {
            Ok(points)
        } else {
            Err(Fault::corrupt(
                "a chunk of a time series holds other times than it should",
            ))
        }
    }

    /// Drops the chunks, and the recent points, that are older than `limit`, of one series or of all.
    pub(super) fn drop_before(&self, series: Option<i64>, limit: i64) -> Result<()> {
        self.moved();
        // By the index on series and first time, if it is about one.
        let one = if series.is_some() {
            "series = ?1 AND first < ?2 AND last < ?2"
        } else {
            "?1 IS NULL AND last < ?2"
        };
        let recent = if series.is_some() {
            "series = ?1"
        } else {
            "?1 IS NULL"
        };
        for sql in [
            format!("DELETE FROM @points WHERE chunk IN (SELECT id FROM @chunks WHERE {one})"),
            format!("DELETE FROM @chunks WHERE {one}"),
            // One over a chunk that stays may hide an older value there.
            format!(
                "DELETE FROM @recent AS r WHERE {recent} AND time < ?2 AND time > ifnull(
                   (SELECT c.last FROM @chunks c WHERE c.series = r.series AND c.first <= r.time
                    ORDER BY c.first DESC LIMIT 1), time - 1)"
            ),
        ] {
            let sql = self.sql(&sql);
            self.host
                .prepare_cached(&sql)?
                .execute(params![series, limit])?;
        }
        Ok(())
    }

    /// The newest time of a series.
    pub(super) fn newest(&self, series: i64) -> Result<Option<i64>> {
        let sql = self.sql(
            "SELECT max(t) FROM (SELECT max(time) AS t FROM @recent WHERE series = +?1
             UNION ALL SELECT (SELECT last FROM @chunks WHERE series = +?1 ORDER BY first DESC LIMIT 1))",
        );
        Ok(self
            .host
            .prepare_cached(&sql)?
            .query_row([series], |row| row.get(0))?)
    }

    /// What is wrong with the shadow tables, if anything is.
    pub(super) fn disagreement(&self) -> Result<Option<String>> {
        self.check_format()?;
        for (id, series) in self.series(None)? {
            self.recent(id, i64::MIN, i64::MAX)?;
            let (mut from, mut end) = (i64::MIN, None);
            while let Some(chunk) = self.chunk_at_or_after(id, from)? {
                if end.is_some_and(|end| chunk.first <= end) {
                    return Ok(Some(format!("chunks of the series {series:?} overlap")));
                }
                let summary = Summary::of_points(&self.open(&chunk)?);
                if !summary.is_some_and(|summary| summary.agrees(&chunk.summary)) {
                    return Ok(Some(format!(
                        "the chunk from {} of the series {series:?} is not what is known of it",
                        chunk.first
                    )));
                }
                end = Some(chunk.last);
                let Some(next) = chunk.first.checked_add(1) else {
                    break;
                };
                from = next;
            }
        }
        let sql = self.sql(
            "SELECT (SELECT count(*) FROM @points WHERE chunk NOT IN (SELECT id FROM @chunks))
             + (SELECT count(*) FROM @chunks WHERE series NOT IN (SELECT id FROM @series))
             + (SELECT count(*) FROM @recent WHERE series NOT IN (SELECT id FROM @series))",
        );
        let lost: i64 = self.host.query_row(&sql, [], |row| row.get(0))?;
        Ok((lost > 0).then(|| format!("{lost} rows belong to nothing")))
    }
}

/// How many recent points are packed: a quarter more than a chunk, so that what comes a little late is still among them.
fn enough(chunk: usize) -> i64 {
    i64::try_from(chunk + chunk / 4).unwrap_or(i64::MAX)
}

fn read_chunk(row: &Row<'_>) -> rusqlite::Result<Chunk> {
    Ok(Chunk {
        id: row.get(0)?,
        first: row.get(1)?,
        last: row.get(2)?,
        summary: Summary {
            count: row.get(3)?,
            min: row.get(4)?,
            max: row.get(5)?,
            // SQLite stores what is not a number as NULL.
            sum: row.get::<_, Option<f64>>(6)?.unwrap_or(f64::NAN),
            first: row.get(7)?,
            last: row.get(8)?,
        },
    })
}
