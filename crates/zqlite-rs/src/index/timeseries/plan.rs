//! Which conditions of a query a time series meets itself, and the range that follows from them.

use rusqlite::types::{Value, ValueRef};

use super::super::fault::{Fault, Result};
use super::super::ffi::{Args, Constraint, IndexInfo, Operator};
use super::super::module::Planned;
use super::column;

/// The conditions that are met, one of each kind, in the order of their values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan(i32);

/// A kind of condition, and its bit in a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Series = 1,
    At = 2,
    From = 4,
    To = 8,
    Bucket = 16,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Series, Self::At, Self::From, Self::To, Self::Bucket];

    fn of(constraint: &Constraint) -> Option<Self> {
        match (constraint.column?, constraint.operator) {
            (column::SERIES, Operator::Equal) => Some(Self::Series),
            (column::TIME, Operator::Equal) => Some(Self::At),
            (column::TIME, Operator::Greater | Operator::GreaterOrEqual) => Some(Self::From),
            (column::TIME, Operator::Less | Operator::LessOrEqual) => Some(Self::To),
            (column::BUCKET, Operator::Equal) => Some(Self::Bucket),
            _ => None,
        }
    }

    const fn bit(self) -> i32 {
        self as i32
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Series => "series=?",
            Self::At => "time=?",
            Self::From => "time>?",
            Self::To => "time<?",
            Self::Bucket => "bucket=?",
        }
    }
}

/// Bits of a plan beside those of kinds: rows come in the order of time; the series are all those of an IN.
const ORDERED: i32 = 32;
const ANY_OF: i32 = 64;

impl Plan {
    pub(super) const fn from_number(number: i32) -> Self {
        Self(number)
    }

    /// Rows come in the order of time, of several series, too.
    pub(super) const fn is_ordered(self) -> bool {
        self.0 & ORDERED != 0
    }

    const fn has(self, kind: Kind) -> bool {
        self.0 & kind.bit() != 0
    }

    /// Chooses a plan.
    pub(super) fn choose(info: &mut IndexInfo<'_>) -> Planned {
        let constraints = info.constraints();
        let mut plan = Self::default();
        let mut words = Vec::new();
        let mut argument = 0;
        for kind in Kind::ALL {
            let mut all = constraints.iter().filter(|constraint| {
                Kind::of(constraint) == Some(kind)
                    // Series are told apart byte by byte; under another collation several may be meant.
                    && (kind != Kind::Series || info.is_binary(**constraint))
            });
            let Some(constraint) = all.clone().find(|constraint| constraint.usable) else {
                // Points are no buckets: without the width there is no answer.
                if kind == Kind::Bucket && all.next().is_some() {
                    return Planned::NotThisWay;
                }
                continue;
            };
            plan.0 |= kind.bit();
            if kind == Kind::Series && info.take_all_of_in(*constraint) {
                plan.0 |= ANY_OF;
            }
            words.push(kind.words());
            // What SQLite checks again, it checks on the row that comes out: the range may be a little wider.
            info.take(*constraint, argument, kind == Kind::Bucket);
            argument += 1;
        }
        let share = |kind, share| if plan.has(kind) { share } else { 1.0 };
        let rows: f64 = 1e7
            * share(Kind::Series, 0.01)
            * share(Kind::At, 1e-5)
            * share(Kind::From, 0.3)
            * share(Kind::To, 0.3)
            * share(Kind::Bucket, 0.01);
        let words = if words.is_empty() {
            "all points".to_owned()
        } else {
            words.join(" ")
        };
        let rows = rows.max(1.0);
        // Not for all of an IN: each series is read at the same time.
        if plan.has(Kind::Series)
            && plan.0 & ANY_OF == 0
            && info.order() == [(Some(column::TIME), false)]
        {
            plan.0 |= ORDERED;
            info.ordered();
        }
        info.choose(plan.0, &words, rows, to_count(rows));
        Planned::Yes
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "an estimate between 1 and ten million"
)]
const fn to_count(rows: f64) -> i64 {
    rows as i64
}

/// What a query asks for.
pub(super) struct Asked {
    /// Those whose name could equal one of these values.
    pub(super) series: Option<Vec<Value>>,
    /// The range of the points, both ends included.
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) width: Option<i64>,
}

impl Asked {
    /// `None` if nothing can meet the conditions.
    pub(super) fn new(plan: Plan, args: &Args<'_>) -> Result<Option<Self>> {
        let mut asked = Self {
            series: None,
            from: i64::MIN,
            to: i64::MAX,
            width: None,
        };
        let kinds = Kind::ALL.into_iter().filter(|kind| plan.has(*kind));
        for (at, kind) in kinds.enumerate() {
            if kind == Kind::Series && plan.0 & ANY_OF != 0 {
                let mut values = Vec::new();
                args.each_of_in(at, |value| {
                    values.push(owned(value)?);
                    Ok(())
                })?;
                asked.series = Some(values);
                continue;
            }
            let value = args.get(at);
            if matches!(value, ValueRef::Null) {
                return Ok(None);
            }
            match kind {
                Kind::Series => asked.series = Some(vec![owned(value)?]),
                Kind::At => {
                    asked.from = asked.from.max(lower(value));
                    asked.to = asked.to.min(upper(value));
                }
                Kind::From => asked.from = asked.from.max(lower(value)),
                Kind::To => asked.to = asked.to.min(upper(value)),
                Kind::Bucket => match value {
                    ValueRef::Integer(width @ 1..) => asked.width = Some(width),
                    _ => return Err(Fault::usage("bucket: a width is an integer above 0")),
                },
            }
        }
        if let Some(width) = asked.width {
            // A bucket is met by where it begins, and then has all its points.
            asked.from = super::cursor::bucket(asked.from, width);
            let start = super::cursor::bucket(asked.to, width);
            asked.to = start.saturating_add(width - 1);
        }
        Ok(Some(asked))
    }
}

fn owned(value: ValueRef<'_>) -> Result<Value> {
    Value::try_from(value).map_err(|_| Fault::usage("series: a text that is not UTF-8"))
}

/// An integer that no time that meets `time > value`, `>=` or `=` lies below.
fn lower(value: ValueRef<'_>) -> i64 {
    match value {
        ValueRef::Integer(time) => time,
        ValueRef::Real(time) => to_time(time.floor()),
        _ => i64::MIN,
    }
}

/// An integer that no time that meets `time < value`, `<=` or `=` lies above.
fn upper(value: ValueRef<'_>) -> i64 {
    match value {
        ValueRef::Integer(time) => time,
        ValueRef::Real(time) => to_time(time.ceil()),
        _ => i64::MAX,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "what is out of range becomes the end of it"
)]
const fn to_time(time: f64) -> i64 {
    time as i64
}
