//! What a query asks of the index.

use super::RELATIONS;

/// How the rows that are asked for stand to a value; the narrowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Relation {
    /// The row with this key.
    Row = 1,
    LongestMatch,
    Covers,
    Within,
    Overlaps,
}

/// Bits of a relation in the number of a plan.
const PLAN_BITS: usize = 3;

impl Relation {
    /// Those that have a hidden column, in its order.
    pub(super) const ASKED: [Self; 4] = [
        Self::LongestMatch,
        Self::Covers,
        Self::Within,
        Self::Overlaps,
    ];

    const ALL: [Self; 5] = [
        Self::Row,
        Self::LongestMatch,
        Self::Covers,
        Self::Within,
        Self::Overlaps,
    ];

    pub(super) fn of_column(column: Option<usize>) -> Option<Self> {
        match column {
            None => Some(Self::Row),
            Some(column) => Self::ASKED.get(column.checked_sub(RELATIONS)?).copied(),
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Row => "rowid",
            Self::LongestMatch => "longest_match",
            Self::Covers => "covers",
            Self::Within => "within",
            Self::Overlaps => "overlaps",
        }
    }

    /// What EXPLAIN QUERY PLAN says.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Row => "row",
            Self::LongestMatch => "longest match",
            Self::Covers => "all matches",
            Self::Within => "contained in",
            Self::Overlaps => "overlaps",
        }
    }

    /// The cost and the number of rows that the planner is told.
    pub(super) const fn cost(self) -> (f64, i64) {
        match self {
            Self::Row => (1.0, 1),
            Self::LongestMatch => (2.0, 1),
            Self::Covers => (10.0, 4),
            Self::Within => (100.0, 100),
            Self::Overlaps => (120.0, 104),
        }
    }
}

/// The number of a plan: its conditions, the first in the lowest bits.
pub(super) fn plan(relations: &[Relation]) -> i32 {
    relations
        .iter()
        .rev()
        .fold(0, |plan, relation| plan << PLAN_BITS | *relation as i32)
}

/// The conditions of a plan.
pub(super) fn of_plan(mut plan: i32) -> impl Iterator<Item = Relation> {
    core::iter::from_fn(move || {
        let number = plan & ((1 << PLAN_BITS) - 1);
        plan >>= PLAN_BITS;
        Relation::ALL.into_iter().find(|it| *it as i32 == number)
    })
}
