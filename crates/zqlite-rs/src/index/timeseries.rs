//! Points in time: series that mostly grow at their end, in compressed chunks.
//!
//! `CREATE VIRTUAL TABLE load USING timeseries` makes a table that is written and read by itself; it belongs to no other.
//! Arguments: `chunk=1024`, how many points are compressed together, from 16 to 4,096; `retention=N`, how long before the
//! newest point of a series its chunks are dropped while others are written.
//!
//! | column | what |
//! | --- | --- |
//! | `series` | a text or an integer |
//! | `time` | an integer, in whatever unit; with `bucket`, where the bucket begins |
//! | `value` | a number; with `bucket`, the average |
//! | `count`, `min`, `max`, `avg`, `sum`, `first`, `last` | hidden: of the points of a bucket |
//! | `bucket` | hidden: `bucket = 3600` asks for buckets of that width, from multiples of it |
//! | `drop_before` | hidden: `INSERT INTO load(drop_before) VALUES (T)` drops what is older |
//!
//! A point of a series and time that are there already takes the place of the old one, and points come in any order. None
//! is changed or deleted otherwise: what is old is dropped, in whole chunks, so that some points that are older than the
//! limit may stay until all of their chunk are.
//!
//! Conditions `series = X`, `time = X`, `>`, `>=`, `<`, `<=` limit what is read. Buckets are never partial: a condition
//! on `time` is one on where they begin. A chunk that lies in one bucket as a whole is not opened.
//!
//! ```
//! use rusqlite::Connection;
//!
//! let db = Connection::open_in_memory()?;
//! zqlite::index::register(&db)?;
//! db.execute_batch("CREATE VIRTUAL TABLE load USING timeseries")?;
//! for minute in 0..600 {
//!     db.execute("INSERT INTO load VALUES ('web', ?1, ?2)", (minute * 60, f64::from(minute % 60)))?;
//! }
//! let hours: Vec<(i64, f64)> = db
//!     .prepare("SELECT time, max FROM load WHERE series = 'web' AND bucket = 3600 AND time >= 28800")?
//!     .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
//!     .collect::<Result<_, _>>()?;
//! assert_eq!(hours, [(28_800, 59.0), (32_400, 59.0)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::rc::Rc;

use rusqlite::types::ValueRef;

use super::fault::{Fault, Result};
use super::ffi::{Args, Host, IndexInfo};
use super::module::{Change, Declaration, Module, Planned};

mod chunk;
mod cursor;
mod plan;
mod reader;
mod series_ids;
mod sql;
mod stored;

use chunk::Point;
use cursor::row_number;
use stored::Stored;

/// The points of a chunk unless the table says otherwise.
pub const CHUNK: usize = 1_024;
/// The fewest points of a chunk.
pub const MIN_CHUNK: usize = 16;
/// The most.
pub const MAX_CHUNK: usize = 4_096;

/// The numbers of the columns.
mod column {
    pub(super) const SERIES: usize = 0;
    pub(super) const TIME: usize = 1;
    pub(super) const VALUE: usize = 2;
    pub(super) const COUNT: usize = 3;
    pub(super) const MIN: usize = 4;
    pub(super) const MAX: usize = 5;
    pub(super) const AVG: usize = 6;
    pub(super) const SUM: usize = 7;
    pub(super) const FIRST: usize = 8;
    pub(super) const LAST: usize = 9;
    pub(super) const BUCKET: usize = 10;
    pub(super) const DROP_BEFORE: usize = 11;
}

/// The virtual table. Between transactions it keeps nothing in memory but statements.
pub(super) struct TimeSeries {
    stored: Stored,
    retention: Option<i64>,
}

impl TimeSeries {
    fn new(host: Host, declaration: Declaration) -> Result<Self> {
        let (mut chunk, mut retention) = (CHUNK, None);
        for argument in &declaration.arguments {
            let refused = || {
                Fault::usage(format!(
                    "timeseries: {argument}: there are chunk=N, from {MIN_CHUNK} to {MAX_CHUNK}, and retention=N, above 0"
                ))
            };
            let (name, value) = argument.split_once('=').ok_or_else(refused)?;
            let number: i64 = value.trim().parse().map_err(|_| refused())?;
            match name.trim().to_ascii_lowercase().as_str() {
                "chunk" => {
                    chunk = usize::try_from(number)
                        .ok()
                        .filter(|number| (MIN_CHUNK..=MAX_CHUNK).contains(number))
                        .ok_or_else(refused)?;
                }
                "retention" if number > 0 => retention = Some(number),
                _ => return Err(refused()),
            }
        }
        Ok(Self {
            stored: Stored::new(host, declaration, chunk),
            retention,
        })
    }

    fn insert(&self, args: &Args<'_>) -> Result<i64> {
        let series = match args.get(column::SERIES) {
            series @ (ValueRef::Text(_) | ValueRef::Integer(_)) => Some(series),
            ValueRef::Null => None,
            _ => return Err(Fault::mismatch("series: a text or an integer")),
        };
        for at in column::COUNT..=column::BUCKET {
            if !matches!(args.get(at), ValueRef::Null) {
                return Err(Fault::usage("only series, time and value are written"));
            }
        }
        match args.get(column::DROP_BEFORE) {
            ValueRef::Null => {}
            ValueRef::Integer(limit) => {
                let one = match series {
                    None => None,
                    Some(series) => match self.stored.series(Some(series))?.first() {
                        Some((id, _)) => Some(*id),
                        None => return Ok(0),
                    },
                };
                self.stored.drop_before(one, limit)?;
                return Ok(0);
            }
            _ => return Err(Fault::mismatch("drop_before: a time is an integer")),
        }
        let point = point_of(args)?;
        let series = series.ok_or_else(|| Fault::mismatch("series: a text or an integer"))?;
        let id = self.stored.series_id(series)?;
        let number = row_number(id, point.time);
        // The point comes last: SQLite does not undo a part of a statement that writes one row, and this may meet a chunk
        // that is damaged.
        if self.stored.is_turn(number)
            && self.stored.pack_if_many(id)?
            && let Some(retention) = self.retention
        {
            let newest = self.stored.newest(id)?.unwrap_or(point.time);
            let limit = newest.max(point.time).saturating_sub(retention);
            self.stored.drop_before(Some(id), limit)?;
        }
        self.stored.put(id, point)?;
        Ok(number)
    }
}

fn point_of(args: &Args<'_>) -> Result<Point> {
    let ValueRef::Integer(time) = args.get(column::TIME) else {
        return Err(Fault::mismatch("time: an integer"));
    };
    let value = match args.get(column::VALUE) {
        ValueRef::Real(value) => value,
        ValueRef::Integer(value) => exact(value)
            .ok_or_else(|| Fault::mismatch("value: no real number is exactly this integer"))?,
        _ => return Err(Fault::mismatch("value: a number")),
    };
    Ok(Point { time, value })
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "what is lost is noticed"
)]
fn exact(value: i64) -> Option<f64> {
    let real = value as f64;
    (i128::from(value) == real as i128).then_some(real)
}

impl Module for TimeSeries {
    const NAME: &'static core::ffi::CStr = c"timeseries";
    const SHADOWS: &'static [&'static str] = &stored::SHADOWS;
    type Cursor = cursor::Cursor;

    fn create(host: Host, declaration: Declaration) -> Result<Self> {
        let table = Self::new(host, declaration)?;
        table.stored.create()?;
        Ok(table)
    }

    fn connect(host: Host, declaration: Declaration) -> Result<Self> {
        Self::new(host, declaration)
    }

    fn columns(&self) -> String {
        "CREATE TABLE x(series, time INTEGER, value REAL, count INTEGER HIDDEN, min REAL HIDDEN, max REAL HIDDEN,
         avg REAL HIDDEN, sum REAL HIDDEN, first REAL HIDDEN, last REAL HIDDEN, bucket INTEGER HIDDEN,
         drop_before INTEGER HIDDEN)"
            .to_owned()
    }

    fn destroy(&self) -> Result<()> {
        self.stored.destroy()
    }

    fn rename(&self, name: &str) -> Result<()> {
        self.stored.rename(name)
    }

    fn best_index(&self, info: &mut IndexInfo<'_>) -> Result<Planned> {
        Ok(plan::Plan::choose(info))
    }

    fn open(self: &Rc<Self>) -> Result<cursor::Cursor> {
        Ok(cursor::Cursor::new(Rc::clone(self)))
    }

    fn update(&self, change: Change<'_>) -> Result<i64> {
        match change {
            Change::Insert(args) => self.insert(&args),
            Change::Delete | Change::Update => Err(Fault::usage(format!(
                "points are replaced by inserting them anew, and dropped by INSERT INTO {}(drop_before) VALUES (T)",
                self.stored.name()
            ))),
        }
    }

    fn begin(&self) -> Result<()> {
        self.stored.forget();
        self.stored.check_format()
    }

    fn commit(&self) {
        self.stored.forget();
    }

    fn rollback(&self) {
        self.stored.undone();
    }

    fn rollback_to(&self) -> Result<()> {
        self.stored.undone();
        Ok(())
    }

    fn integrity(&self, _quick: bool) -> Result<Option<String>> {
        let report = |what: String| Some(format!("time series {}: {what}", self.stored.name()));
        match self.stored.disagreement() {
            Ok(found) => Ok(found.and_then(report)),
            Err(fault) if fault.says_what_is_wrong() => Ok(report(fault.message)),
            Err(fault) => Err(fault),
        }
    }
}
