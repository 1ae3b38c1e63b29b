//! The rows that a query finds: points, or buckets of points. Chunks are opened one at a time.

use std::collections::VecDeque;
use std::rc::Rc;

use rusqlite::types::{Value, ValueRef};

use super::super::fault::{Fault, Result};
use super::super::ffi::{Args, Cell};
use super::super::module;
use super::chunk::Summary;
use super::plan::{Asked, Plan};
use super::reader::{Reader, Step};
use super::stored::Stored;
use super::{TimeSeries, column};

pub(in super::super) struct Cursor {
    table: Rc<TimeSeries>,
    /// The series that are still to be read, the next one last.
    series: Vec<(i64, Value)>,
    /// Those that are read, one unless several are wanted in one order. None has no row.
    lanes: Vec<Lane>,
    /// The one whose row it is.
    current: usize,
    /// How often something had been undone when the series were looked up.
    undoings: u64,
    from: i64,
    to: i64,
    /// Width of the buckets, if there are any.
    width: Option<i64>,
}

/// A series that is read.
struct Lane {
    id: i64,
    name: Value,
    reader: Reader,
    /// A bucket that may get more.
    open: Option<(i64, Summary)>,
    rows: VecDeque<(i64, Summary)>,
}

impl Lane {
    /// Reads on until there is a row, or no more.
    fn fill(&mut self, stored: &Stored, width: Option<i64>) -> Result<()> {
        while self.rows.is_empty() {
            match self.reader.step(stored)? {
                Step::Points(points) => {
                    for point in points {
                        self.add(point.time, Summary::of(point.value), width);
                    }
                }
                Step::Whole(time, summary) => self.add(time, summary, width),
                Step::End => {
                    self.rows.extend(self.open.take());
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, time: i64, summary: Summary, width: Option<i64>) {
        let Some(width) = width else {
            self.rows.push_back((time, summary));
            return;
        };
        let start = bucket(time, width);
        match &mut self.open {
            Some((own, sum)) if *own == start => sum.add(&summary),
            open => {
                self.rows.extend(open.replace((start, summary)));
            }
        }
    }
}

impl Cursor {
    pub(super) const fn new(table: Rc<TimeSeries>) -> Self {
        Self {
            table,
            series: Vec::new(),
            lanes: Vec::new(),
            current: 0,
            undoings: 0,
            from: 0,
            to: 0,
            width: None,
        }
    }

    /// Begins to read the next series that has a row; whether there is one.
    fn begin(&mut self) -> Result<bool> {
        let stored = &self.table.stored;
        while let Some((id, name)) = self.series.pop() {
            let mut lane = Lane {
                id,
                name,
                reader: Reader::new(stored, id, self.from, self.to, self.width)?,
                open: None,
                rows: VecDeque::new(),
            };
            lane.fill(stored, self.width)?;
            if !lane.rows.is_empty() {
                self.lanes.push(lane);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Leaves out the series that are not there any more, if something was undone: their numbers may be those of others.
    fn leave_what_was_undone(&mut self) -> Result<()> {
        let stored = &self.table.stored;
        if self.undoings == stored.undoings() {
            return Ok(());
        }
        let current = self.lanes.get(self.current).map(|lane| lane.id);
        for (id, name) in core::mem::take(&mut self.series) {
            if stored.series_name(id)?.as_ref() == Some(&name) {
                self.series.push((id, name));
            }
        }
        for lane in core::mem::take(&mut self.lanes) {
            if stored.series_name(lane.id)?.as_ref() == Some(&lane.name) {
                self.lanes.push(lane);
            }
        }
        let is_current = |lane: &Lane| Some(lane.id) == current;
        self.current = self.lanes.iter().position(is_current).unwrap_or(usize::MAX);
        self.undoings = stored.undoings();
        Ok(())
    }

    /// Comes to the earliest row of those that are read.
    fn choose(&mut self) {
        let times = self
            .lanes
            .iter()
            .enumerate()
            .filter_map(|(at, lane)| Some((lane.rows.front()?.0, at)));
        self.current = times.min().map_or(0, |(_, at)| at);
    }

    fn row(&self) -> Result<(&(i64, Summary), i64, &Value)> {
        let lane = self.lanes.get(self.current);
        lane.and_then(|lane| Some((lane.rows.front()?, lane.id, &lane.name)))
            .ok_or_else(|| Fault::usage("there is no row"))
    }
}

/// Where the bucket of a time begins. The lowest bucket may begin before the lowest time there is: then it begins there.
pub(super) const fn bucket(time: i64, width: i64) -> i64 {
    time.saturating_sub(time.rem_euclid(width))
}

impl module::Cursor for Cursor {
    fn filter(&mut self, plan: &module::Plan<'_>, args: &Args<'_>) -> Result<()> {
        self.lanes.clear();
        self.series.clear();
        self.table.stored.check_format()?;
        let plan = Plan::from_number(plan.number);
        let Some(asked) = Asked::new(plan, args)? else {
            return Ok(());
        };
        self.width = asked.width;
        (self.from, self.to) = (asked.from, asked.to);
        if self.from > self.to {
            return Ok(());
        }
        let stored = &self.table.stored;
        self.series = match &asked.series {
            Some(values) => stored.series_like(values)?,
            None => stored.series(None)?,
        };
        self.series.reverse();
        self.undoings = stored.undoings();
        while self.begin()? && plan.is_ordered() {}
        self.choose();
        Ok(())
    }

    fn next(&mut self) -> Result<()> {
        if let Some(lane) = self.lanes.get_mut(self.current) {
            lane.rows.pop_front();
        }
        self.leave_what_was_undone()?;
        if let Some(lane) = self.lanes.get_mut(self.current) {
            lane.fill(&self.table.stored, self.width)?;
            if lane.rows.is_empty() {
                self.lanes.remove(self.current);
            }
        }
        if self.lanes.is_empty() {
            self.begin()?;
        }
        if self.lanes.len() > 1 {
            self.choose();
        } else {
            self.current = 0;
        }
        Ok(())
    }

    fn eof(&self) -> bool {
        self.lanes.is_empty()
    }

    fn column(&self, cell: &mut Cell<'_>, at: usize) -> Result<()> {
        let ((time, summary), _, series) = self.row()?;
        let real = |cell: &mut Cell<'_>, number: f64| {
            // SQLite makes NULL of what is not a number.
            cell.set(ValueRef::Real(number));
        };
        match at {
            column::SERIES => cell.set(series.into()),
            column::TIME => cell.set_int(*time),
            column::VALUE | column::AVG => real(cell, average(summary)),
            column::COUNT => cell.set_int(summary.count),
            column::MIN => real(cell, summary.min),
            column::MAX => real(cell, summary.max),
            column::SUM => real(cell, summary.sum),
            column::FIRST => real(cell, summary.first),
            column::LAST => real(cell, summary.last),
            column::BUCKET => {
                if let Some(width) = self.width {
                    cell.set_int(width);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn rowid(&self) -> Result<i64> {
        let ((time, _), series, _) = self.row()?;
        Ok(row_number(series, *time))
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "no table has 2 to the power of 53 points"
)]
fn average(summary: &Summary) -> f64 {
    summary.sum / summary.count as f64
}

/// A number that no other row has, but for chance: SQLite tells rows apart by it where a condition has an OR.
pub(super) fn row_number(series: i64, time: i64) -> i64 {
    // SplitMix64 (Steele, Lea, Flood 2014), twice.
    let mix = |seed: u64| {
        let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    mix(mix(series.cast_unsigned()) ^ time.cast_unsigned()).cast_signed()
}
