//! What SQLite is given in the place of pages that do not open, while a damaged database is salvaged.
//!
//! A leaf with one marked row keeps SQLite's cursor going: it walks on to the next leaf instead of ending with an
//! error, and whoever reads the rows sees where some are missing. (A leaf without rows would not do: below another
//! page SQLite takes it for corruption.)

use std::collections::BTreeMap;

use zqlite_pq::page::TRAILER_LEN;

/// Which kind of B-tree a leaf belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaf {
    /// Of a table with rowids.
    Table,
    /// Of an index, or of a table without rowids.
    Index,
}

/// What to do about a page that does not open and that nothing was decided about yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is an error.
    Error,
    /// A leaf of this kind stands in, from now on.
    Leaf(Leaf),
    /// Zeros, this time.
    Zeros,
}

/// How the row of a leaf that stands in is recognised: random, so that nobody can have put it into the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    /// Its rowid.
    pub(crate) rowid: i64,
    /// Its first value.
    pub(crate) value: [u8; 16],
}

/// The pages of one connection that something stands in for.
#[derive(Clone, Debug)]
pub(crate) struct StandIns {
    marker: Marker,
    answer: Answer,
    pages: BTreeMap<u32, Leaf>,
}

impl StandIns {
    pub(crate) const fn new(marker: Marker) -> Self {
        Self {
            marker,
            answer: Answer::Error,
            pages: BTreeMap::new(),
        }
    }

    pub(crate) const fn answer(&mut self, answer: Answer) {
        self.answer = answer;
    }

    /// The numbers of the pages that a leaf stands in for.
    pub(crate) fn pages(&self) -> impl Iterator<Item = u32> {
        self.pages.keys().copied()
    }

    /// Fills `page` if it was decided before what stands in for it.
    pub(super) fn known(&self, number: u32, page: &mut [u8]) -> bool {
        match self.pages.get(&number) {
            Some(leaf) => fill(page, *leaf, self.marker),
            None => false,
        }
    }

    /// Decides about a page that does not open. `false`: it is an error.
    pub(super) fn decide(&mut self, number: u32, page: &mut [u8]) -> bool {
        match self.answer {
            Answer::Error => false,
            Answer::Leaf(leaf) => {
                self.pages.insert(number, leaf);
                fill(page, leaf, self.marker)
            }
            Answer::Zeros => {
                page.fill(0);
                true
            }
        }
    }
}

/// Writes a leaf with one row: the marker and nothing else.
fn fill(page: &mut [u8], leaf: Leaf, marker: Marker) -> bool {
    // A record of one value, a blob of 16 bytes (serial type 12 + 2 · 16).
    let mut record = vec![2, 44];
    record.extend_from_slice(&marker.value);
    let mut cell = vec![18];
    let kind = match leaf {
        Leaf::Table => {
            cell.extend_from_slice(&varint(marker.rowid));
            0x0d
        }
        Leaf::Index => 0x0a,
    };
    cell.extend_from_slice(&record);
    page.fill(0);
    let Some(at) = page.len().checked_sub(TRAILER_LEN + cell.len()) else {
        return false;
    };
    let Ok([high, low]) = u16::try_from(at).map(u16::to_be_bytes) else {
        return false;
    };
    // Kind, no free block, one cell, where the cells begin, no fragments; and the pointer to the cell.
    let start = [kind, 0, 0, 0, 1, high, low, 0, high, low];
    if let Some(header) = page.get_mut(..start.len()) {
        header.copy_from_slice(&start);
    }
    if let Some(place) = page.get_mut(at..at + cell.len()) {
        place.copy_from_slice(&cell);
    }
    true
}

/// SQLite's integer of variable length, in its longest form.
fn varint(value: i64) -> [u8; 9] {
    let [first @ .., last] = value.to_be_bytes();
    let upper = first
        .iter()
        .fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    let mut bytes = [last; 9];
    for (index, byte) in bytes.iter_mut().take(8).enumerate() {
        let group = (upper >> (7 * (7 - index))) & 0x7f;
        *byte = 0x80 | u8::try_from(group).unwrap_or(0);
    }
    bytes
}
