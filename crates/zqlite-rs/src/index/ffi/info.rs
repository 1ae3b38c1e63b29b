//! What the planner asks, and what it is answered: `sqlite3_index_info`.

use core::ffi::{CStr, c_int};
use core::marker::PhantomData;
use core::slice;

use libsqlite3_sys as sys;
use rusqlite::types::{Value, ValueRef};

use super::{sqlite_string, value, values_asked};

/// A condition of the query on one column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Constraint {
    /// Where it stands among all.
    pub(crate) at: usize,
    /// The column; `None` is the rowid.
    pub(crate) column: Option<usize>,
    pub(crate) operator: Operator,
    /// Whether its value is known in the order of joins that is being tried.
    pub(crate) usable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    /// `=`, and IN, one value at a time.
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    NotEqual,
    Is,
    IsNot,
    IsNull,
    IsNotNull,
    /// Any other, which SQLite checks itself.
    Other,
}

/// A call of xBestIndex.
pub(crate) struct IndexInfo<'a> {
    /// As SQLite gave it, and no reference: what its own functions read stands behind the structure.
    info: *mut sys::sqlite3_index_info,
    call: PhantomData<&'a mut sys::sqlite3_index_info>,
}

impl IndexInfo<'_> {
    /// # Safety
    /// SQLite's argument of xBestIndex, which nobody else uses through `'_`.
    pub(super) const unsafe fn new(info: *mut sys::sqlite3_index_info) -> Self {
        Self {
            info,
            call: PhantomData,
        }
    }

    const fn info(&self) -> &sys::sqlite3_index_info {
        // SAFETY: by the contract of `new`.
        unsafe { &*self.info }
    }

    const fn info_mut(&mut self) -> &mut sys::sqlite3_index_info {
        // SAFETY: by the contract of `new`.
        unsafe { &mut *self.info }
    }

    pub(crate) fn constraints(&self) -> Vec<Constraint> {
        let len = usize::try_from(self.info().nConstraint).unwrap_or(0);
        if len == 0 {
            return Vec::new();
        }
        // SAFETY: SQLite's array of that length.
        let raw = unsafe { slice::from_raw_parts(self.info().aConstraint, len) };
        raw.iter()
            .enumerate()
            .map(|(at, constraint)| Constraint {
                at,
                column: usize::try_from(constraint.iColumn).ok(),
                operator: match i32::from(constraint.op) {
                    sys::SQLITE_INDEX_CONSTRAINT_EQ => Operator::Equal,
                    sys::SQLITE_INDEX_CONSTRAINT_GT => Operator::Greater,
                    sys::SQLITE_INDEX_CONSTRAINT_GE => Operator::GreaterOrEqual,
                    sys::SQLITE_INDEX_CONSTRAINT_LT => Operator::Less,
                    sys::SQLITE_INDEX_CONSTRAINT_LE => Operator::LessOrEqual,
                    sys::SQLITE_INDEX_CONSTRAINT_NE => Operator::NotEqual,
                    sys::SQLITE_INDEX_CONSTRAINT_IS => Operator::Is,
                    sys::SQLITE_INDEX_CONSTRAINT_ISNOT => Operator::IsNot,
                    sys::SQLITE_INDEX_CONSTRAINT_ISNOTNULL => Operator::IsNotNull,
                    sys::SQLITE_INDEX_CONSTRAINT_ISNULL => Operator::IsNull,
                    _ => Operator::Other,
                },
                usable: constraint.usable != 0,
            })
            .collect()
    }

    /// Whether texts are compared byte by byte.
    pub(crate) fn is_binary(&self, constraint: Constraint) -> bool {
        let Ok(at) = c_int::try_from(constraint.at) else {
            return false;
        };
        // SAFETY: within xBestIndex, of one of its constraints; the name is null or lives through the call.
        unsafe {
            let name = sys::sqlite3_vtab_collation(self.info, at);
            name.is_null()
                || CStr::from_ptr(name)
                    .to_bytes()
                    .eq_ignore_ascii_case(b"binary")
        }
    }

    /// The value of a constraint, if it stands in the query, and this SQLite tells it.
    pub(crate) fn literal(&self, constraint: Constraint) -> Option<Value> {
        let at = c_int::try_from(constraint.at).ok()?;
        // SAFETY: within xBestIndex, of one of its constraints; the value lives through the call.
        let value = unsafe { value::read(values_asked::of_constraint(self.info, at)?) };
        match value {
            // Rather that of a comparison without a value than none of one that has it.
            ValueRef::Null => None,
            value => Value::try_from(value).ok(),
        }
    }

    /// Asks for all values of a constraint at once, if it is an IN and this SQLite gives them; whether it does.
    pub(crate) fn take_all_of_in(&mut self, constraint: Constraint) -> bool {
        // SAFETY: within xBestIndex, of one of its constraints.
        c_int::try_from(constraint.at)
            .is_ok_and(|at| unsafe { values_asked::all_of_in(self.info, at) })
    }

    /// Whether the query needs a column. Columns from 63 on are told apart by nobody.
    pub(crate) const fn uses(&self, column: usize) -> bool {
        column < 63 && self.info().colUsed >> column & 1 == 1
    }

    /// Asks for a constraint's value, as argument `argument` from 0 on. `trusted`: SQLite need not check the
    /// condition itself.
    pub(crate) fn take(&mut self, constraint: Constraint, argument: usize, trusted: bool) {
        let Ok(argument) = c_int::try_from(argument + 1) else {
            return;
        };
        if constraint.at >= usize::try_from(self.info().nConstraint).unwrap_or(0) {
            return;
        }
        // SAFETY: SQLite's array, of the length of the constraints.
        unsafe {
            let usage = &mut *self.info().aConstraintUsage.add(constraint.at);
            usage.argvIndex = argument;
            usage.omit = u8::from(trusted);
        }
    }

    /// The terms of ORDER BY: column (`None` is the rowid) and whether it descends.
    pub(crate) fn order(&self) -> Vec<(Option<usize>, bool)> {
        let len = usize::try_from(self.info().nOrderBy).unwrap_or(0);
        if len == 0 {
            return Vec::new();
        }
        // SAFETY: SQLite's array of that length.
        let raw = unsafe { slice::from_raw_parts(self.info().aOrderBy, len) };
        raw.iter()
            .map(|term| (usize::try_from(term.iColumn).ok(), term.desc != 0))
            .collect()
    }

    /// Says that rows come in the order of [`order`](Self::order).
    pub(crate) const fn ordered(&mut self) {
        self.info_mut().orderByConsumed = 1;
    }

    /// Chooses a plan. `words` are what EXPLAIN QUERY PLAN shows.
    pub(crate) fn choose(&mut self, plan: i32, words: &str, cost: f64, rows: i64) {
        self.info_mut().idxNum = plan;
        self.info_mut().idxStr = sqlite_string(words);
        self.info_mut().needToFreeIdxStr = 1;
        self.info_mut().estimatedCost = cost;
        self.info_mut().estimatedRows = rows;
    }

    /// Says that there is at most one row.
    pub(crate) const fn unique(&mut self) {
        self.info_mut().idxFlags |= sys::SQLITE_INDEX_SCAN_UNIQUE;
    }
}
