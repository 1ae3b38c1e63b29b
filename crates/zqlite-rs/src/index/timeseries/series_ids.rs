//! What a series is called in the shadow tables, kept for as long as a transaction writes.

use std::collections::HashMap;

use rusqlite::types::ValueRef;

/// The most series whose numbers are kept through a transaction.
const MAX: usize = 4_096;

/// The numbers of series that were written to in this transaction. They hold until it ends, or a part of it is undone.
#[derive(Default)]
pub(super) struct SeriesIds {
    integers: HashMap<i64, i64>,
    texts: HashMap<Vec<u8>, i64>,
}

impl SeriesIds {
    pub(super) fn get(&self, series: ValueRef<'_>) -> Option<i64> {
        match series {
            ValueRef::Integer(number) => self.integers.get(&number).copied(),
            ValueRef::Text(text) => self.texts.get(text).copied(),
            _ => None,
        }
    }

    pub(super) fn keep(&mut self, series: ValueRef<'_>, id: i64) {
        if self.integers.len() + self.texts.len() >= MAX {
            *self = Self::default();
        }
        match series {
            ValueRef::Integer(number) => drop(self.integers.insert(number, id)),
            ValueRef::Text(text) => drop(self.texts.insert(text.to_vec(), id)),
            _ => {}
        }
    }
}
