//! Sets of rows by value: AND, OR and NOT over columns, and counts, without touching rows.
//!
//! `CREATE VIRTUAL TABLE peer_tags USING bitmap(peers, os, region)` indexes columns of the table `peers`: for each value
//! of each column, the set of rows that have it. A row of `peer_tags` is a row of `peers`, with the same rowid and the
//! same `os` and `region`.
//!
//! ```
//! # let db = rusqlite::Connection::open_in_memory()?;
//! # zqlite::index::register(&db).unwrap();
//! db.execute_batch(
//!     "CREATE TABLE peers(id INTEGER PRIMARY KEY, os TEXT, region TEXT);
//!      INSERT INTO peers(os, region) VALUES ('linux', 'eu'), ('linux', 'us'), ('macos', 'eu');
//!      CREATE VIRTUAL TABLE peer_tags USING bitmap(peers, os, region);",
//! )?;
//! let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0));
//!
//! let linux_elsewhere = "SELECT rowid FROM peer_tags WHERE os = 'linux' AND region <> 'eu'";
//! assert_eq!(number(linux_elsewhere)?, 2);
//!
//! // One operation on sets, however many rows there are.
//! let linux = "SELECT count FROM peer_tags WHERE os = 'linux'";
//! assert_eq!(number(linux)?, 2);
//!
//! let either = "SELECT count FROM peer_tags WHERE query = json_array('or',
//!                   json_array('=', 'os', 'macos'), json_array('=', 'region', 'us'))";
//! assert_eq!(number(either)?, 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Conditions on columns with `=`, `<>`, IS, IS NOT, IS NULL and IS NOT NULL that are joined by AND are met by sets; so
//! is IN, one value after another. SQLite checks any other condition row by row.
//!
//! The hidden column `query` takes any combination, as a JSON array, which SQLite's JSON functions build from
//! parameters: `["=", COLUMN, VALUE]`, `["in", COLUMN, VALUE…]`, `["and", …]`, `["or", …]`, `["not", …]`. Here null is a
//! value like others, and "not" is all other rows. Its limits are [`MAX_QUERY_PARTS`] and [`MAX_QUERY_DEPTH`].
//!
//! The hidden column `count` is how many rows there are: a query that names it gets one row, with nothing beside the
//! count but the values that were asked for. Conditions that SQLite checks row by row are an error then; so is IS NOT
//! NULL, which it always checks, too: ask `query = '["not",["=","os",null]]'`.
//!
//! Values are the same if SQLite's `=` says so under the collation BINARY: 1 and 1.0 are the same, 'a' and 'A' are not.
//! NULL is the same as NULL only. A condition with another collation is not met by sets. A text that is not UTF-8 is
//! refused when its row is written.
//!
//! In a join, SQLite converts what it compares as the types of both sides say, and finds what it would find in the
//! table: sets choose the rows, and it looks again at those of a column that has no type of numbers, unless a text or
//! blob that is no number stands in the query. For that, `<>` and IS NOT read the rows. Two kinds of conditions are
//! compared as the index's column says, as if with a parameter: those beside `count`, which has no rows to look at, and
//! a row of values in a SELECT, `(os, tier) IN (SELECT …)`. If the other side is a column of another type, cast it.

use core::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use roaring::RoaringTreemap;
use rusqlite::types::{Value, ValueRef};

use super::binding::{Binding, CHANGED, Request, SOURCE, STATE};
use super::fault::{Fault, Result};
use super::ffi::{Constraint, Host, IndexInfo, Operator};
use super::module::{Change, Declaration, Module, Planned};

mod affinity;
mod chunk;
mod condition;
mod cursor;
mod query;
mod stored;

use affinity::Affinity;
use condition::{Asked, Kind};
use stored::{CHUNKS, ROWS, Stored, VALUES};

pub use query::{MAX_QUERY_DEPTH, MAX_QUERY_PARTS};

/// The most columns of one index.
pub const MAX_COLUMNS: usize = 32;

/// How many bytes of sets a connection keeps in memory.
pub const MAX_BYTES_IN_MEMORY: usize = 64 << 20;

/// Where numbers of the index stand in its state: the affinity of the first column, then the others.
const AFFINITIES: i64 = 3;

/// Sets sort numbers without a sign; negative keys come first.
const fn number_of(key: i64) -> u64 {
    key.cast_unsigned() ^ (1 << 63)
}

const fn key_of(number: u64) -> i64 {
    (number ^ (1 << 63)).cast_signed()
}

/// The virtual table.
pub(super) struct Bitmap {
    stored: Stored,
    sets: RefCell<Sets>,
    /// `None` if what is stored of them cannot be read.
    affinities: Option<Vec<Affinity>>,
    /// How often this connection has changed the index.
    changes: Cell<u64>,
}

/// Sets in memory, and the stamp that they were read under.
#[derive(Default)]
struct Sets {
    stamp: Option<i64>,
    sets: HashMap<i64, Rc<RoaringTreemap>>,
    bytes: usize,
}

impl Bitmap {
    fn new(binding: Binding, affinities: Option<Vec<Affinity>>) -> Result<Self> {
        let columns = binding.columns();
        if columns.len() > MAX_COLUMNS {
            return Err(Fault::usage(format!(
                "bitmap: an index has at most {MAX_COLUMNS} columns"
            )));
        }
        let reserved = ["query", "count", CHANGED];
        if let Some(name) = columns
            .iter()
            .find(|name| reserved.iter().any(|it| name.eq_ignore_ascii_case(it)))
        {
            return Err(Fault::usage(format!(
                "bitmap: a column of the name {name} cannot be indexed: the index has one"
            )));
        }
        Ok(Self {
            stored: Stored::new(binding),
            sets: RefCell::default(),
            affinities,
            changes: Cell::new(0),
        })
    }

    const fn binding(&self) -> &Binding {
        &self.stored.binding
    }

    fn fields(&self) -> usize {
        self.binding().columns().len()
    }

    /// The hidden columns after those of the table.
    fn query_at(&self) -> usize {
        self.fields()
    }

    fn count_at(&self) -> usize {
        self.fields() + 1
    }

    fn changed_at(&self) -> usize {
        self.fields() + 2
    }

    fn affinity(&self, field: usize) -> Result<Affinity> {
        self.affinities
            .as_ref()
            .and_then(|all| all.get(field).copied())
            .ok_or_else(|| self.binding().damaged(STATE))
    }

    fn forget(&self) {
        self.sets.take();
        self.binding().forget();
    }

    /// Throws away what is not true any more.
    fn refresh(&self) -> Result<()> {
        let stamp = self.binding().stamp()?;
        let mut sets = self.sets.borrow_mut();
        if sets.stamp != Some(stamp) {
            *sets = Sets::default();
            sets.stamp = Some(stamp);
        }
        Ok(())
    }

    /// Whether sets alone meet a condition. What SQLite compares depends on the type of the other side, which nobody
    /// tells a virtual table: it converts a column of numbers for no type, and converts nothing if one side is a text
    /// that is no number. In any other case it looks at the rows again.
    fn is_met(&self, info: &IndexInfo<'_>, constraint: Constraint, kind: Kind) -> bool {
        match kind {
            Kind::Row => false,
            Kind::Query | Kind::IsNull | Kind::IsNotNull => true,
            _ => {
                let numeric = constraint
                    .column
                    .is_some_and(|field| self.affinity(field).ok() == Some(Affinity::Numeric));
                numeric
                    || match info.literal(constraint) {
                        Some(Value::Text(text)) => !super::numbers::may_be(&text),
                        Some(Value::Blob(_)) => true,
                        _ => false,
                    }
            }
        }
    }

    /// The rows that have the value of this number. To be called after [`refresh`](Self::refresh).
    fn set(&self, value: i64) -> Result<Rc<RoaringTreemap>> {
        if let Some(set) = self.sets.borrow().sets.get(&value) {
            return Ok(Rc::clone(set));
        }
        let set = Rc::new(self.stored.set(value)?);
        let bytes = set.serialized_size();
        let mut sets = self.sets.borrow_mut();
        if sets.bytes.saturating_add(bytes) > MAX_BYTES_IN_MEMORY {
            sets.sets.clear();
            sets.bytes = 0;
        }
        sets.bytes = sets.bytes.saturating_add(bytes);
        sets.sets.insert(value, Rc::clone(&set));
        Ok(set)
    }

    fn index_row(&self, id: i64) -> Result<()> {
        let fields = self.fields();
        let values = self.binding().row(id, |row| {
            row.map(|row| {
                (1..=fields)
                    .map(|at| value_of(id, row.get_ref(at)?))
                    .collect::<Result<Vec<_>>>()
            })
            .transpose()
        })?;
        let mut sets = self.sets.take();
        if sets.stamp.is_some() && sets.stamp != Some(self.binding().stamp()?) {
            sets = Sets::default();
        }
        let flips = self.stored.index(id, values)?;
        self.changes.set(self.changes.get().wrapping_add(1));
        if !flips.is_empty()
            && let Some(stamp) = self.binding().touch()?
        {
            sets.stamp = Some(stamp);
        }
        for flip in flips {
            let Some(set) = sets.sets.get_mut(&flip.value) else {
                continue;
            };
            match Rc::get_mut(set) {
                Some(set) if flip.on => drop(set.insert(number_of(id))),
                Some(set) => drop(set.remove(number_of(id))),
                None => drop(sets.sets.remove(&flip.value)),
            }
            // The number of a value that is used no more is used again.
            if sets.sets.get(&flip.value).is_some_and(|set| set.is_empty()) {
                sets.sets.remove(&flip.value);
            }
        }
        // Only now is it certain that nothing of this failed.
        self.sets.replace(sets);
        Ok(())
    }

    fn index_all(&self) -> Result<()> {
        self.sets.take();
        // SQLite undoes a statement that writes one row of a virtual table only with its transaction: what cannot be
        // indexed is refused before anything is changed.
        self.binding().scan(|id, row| {
            (1..=self.fields()).try_for_each(|at| value_of(id, row.get_ref(at)?).map(drop))
        })?;
        self.changes.set(self.changes.get().wrapping_add(1));
        self.stored.clear()?;
        self.binding().touch()?;
        self.stored.fill()
    }

    /// What is wrong with the index.
    fn disagreement(&self, quick: bool) -> Result<Option<String>> {
        if let Some(found) = self.stored.check()? {
            return Ok(Some(found));
        }
        if quick {
            return Ok(None);
        }
        if !self.binding().has_triggers()? {
            return Ok(Some("it is not bound to its table any more".to_owned()));
        }
        if self.affinities.as_ref() != Some(&affinity::of_source(self.binding())?) {
            return Ok(Some(format!("{STATE} has other affinities than its table")));
        }
        let mut rows = 0_u64;
        let mut first = None;
        self.binding().scan(|id, row| {
            rows += 1;
            let numbers = (0..self.fields())
                .map(|field| {
                    let value = value_of(id, row.get_ref(field + 1)?)?;
                    self.stored.value(field, &value)
                })
                .collect::<Result<Option<Vec<i64>>>>()?;
            if (numbers.is_none() || self.stored.row(id)? != numbers) && first.is_none() {
                first = Some(format!("row {id} is not indexed as it is in the table"));
            }
            Ok(())
        })?;
        let indexed = self.stored.set(stored::ALL)?.len();
        if first.is_none() && indexed != rows {
            first = Some(format!("it has {indexed} rows, its table {rows}"));
        }
        Ok(first)
    }
}

/// A value of the table.
fn value_of(id: i64, value: ValueRef<'_>) -> Result<Value> {
    Value::try_from(value)
        .map_err(|_| Fault::mismatch(format!("row {id} cannot be indexed: a text is not UTF-8")))
}

impl Module for Bitmap {
    const NAME: &'static core::ffi::CStr = c"bitmap";
    const SHADOWS: &'static [&'static str] = &[VALUES, CHUNKS, ROWS, STATE, SOURCE];
    type Cursor = cursor::Cursor;

    fn create(host: Host, declaration: Declaration) -> Result<Self> {
        let binding = Binding::create(host, declaration)?;
        let affinities = affinity::of_source(&binding)?;
        for (id, affinity) in (AFFINITIES..).zip(&affinities) {
            binding.set_number(id, *affinity as i64)?;
        }
        let bitmap = Self::new(binding, Some(affinities))?;
        bitmap.stored.create()?;
        bitmap.stored.fill()?;
        Ok(bitmap)
    }

    fn connect(host: Host, declaration: Declaration) -> Result<Self> {
        let binding = Binding::connect(host, declaration)?;
        let read: Result<Vec<_>> = (AFFINITIES..)
            .zip(binding.columns())
            .map(|(id, _)| {
                Affinity::of_number(binding.number(id)?).ok_or_else(|| binding.damaged(STATE))
            })
            .collect();
        let affinities = match read {
            Ok(affinities) => Some(affinities),
            // It is damaged, which queries say; it must be connected to be dropped.
            Err(fault) if fault.says_what_is_wrong() => None,
            // A lock, an interruption, no memory: the next one who asks may read them.
            Err(fault) => return Err(fault),
        };
        Self::new(binding, affinities)
    }

    fn columns(&self) -> String {
        let columns: String = self
            .binding()
            .columns()
            .iter()
            .enumerate()
            .map(|(field, name)| {
                let affinity = self.affinity(field).unwrap_or(Affinity::None);
                format!("{} {}, ", super::name::quoted(name), affinity.name())
            })
            .collect();
        format!("CREATE TABLE x({columns}query HIDDEN, count HIDDEN, {CHANGED} HIDDEN)")
    }

    fn destroy(&self) -> Result<()> {
        self.binding().destroy(&[VALUES, CHUNKS, ROWS])
    }

    fn rename(&self, name: &str) -> Result<()> {
        self.binding().rename(name, &[VALUES, CHUNKS, ROWS])
    }

    fn best_index(&self, info: &mut IndexInfo<'_>) -> Result<Planned> {
        let counts = info.uses(self.count_at());
        let mut asked = Vec::new();
        for constraint in info.constraints() {
            let kind = match (constraint.column, constraint.operator) {
                (None, Operator::Equal) => Kind::Row,
                (Some(column), Operator::Equal) if column == self.query_at() => {
                    if !constraint.usable {
                        return Ok(Planned::NotThisWay);
                    }
                    Kind::Query
                }
                (Some(column), operator) if column < self.fields() => {
                    match Kind::of_operator(operator) {
                        Some(kind) if info.is_binary(constraint) => kind,
                        _ => continue,
                    }
                }
                _ => continue,
            };
            if constraint.usable {
                let field = constraint.column.unwrap_or(0);
                let is_met = counts || self.is_met(info, constraint, kind);
                let kind = match kind {
                    Kind::Equal if !is_met && info.take_all_of_in(constraint) => Kind::In,
                    kind => kind,
                };
                info.take(constraint, asked.len(), is_met && kind != Kind::Row);
                asked.push(Asked { field, kind });
            } else if counts {
                // Without the value there is one count of too much, and no row to compare it with.
                return Ok(Planned::NotThisWay);
            }
        }
        let words = condition::words(self.binding().columns(), &asked, counts);
        let narrows = asked.iter().any(|asked| asked.kind.narrows());
        let (cost, rows) = match (counts, narrows) {
            (true, _) => (10.0, 1),
            (false, true) => (100.0, 1_000),
            (false, false) => (1e6, 1_000_000),
        };
        info.choose(i32::from(counts), &words, cost, rows);
        if info.order() == [(None, false)] {
            info.ordered();
        }
        Ok(Planned::Yes)
    }

    fn open(self: &Rc<Self>) -> Result<cursor::Cursor> {
        Ok(cursor::Cursor::new(Rc::clone(self)))
    }

    fn update(&self, change: Change<'_>) -> Result<i64> {
        match self.binding().request(&change, self.changed_at())? {
            Request::Row(id) => {
                self.index_row(id)?;
                Ok(id)
            }
            Request::All => {
                self.index_all()?;
                Ok(0)
            }
        }
    }

    fn begin(&self) -> Result<()> {
        self.binding().require_recursive_triggers()
    }

    fn savepoint(&self) -> Result<()> {
        self.binding().require_recursive_triggers()
    }

    fn commit(&self) {
        self.binding().forget();
    }

    fn rollback(&self) {
        self.forget();
    }

    fn rollback_to(&self) -> Result<()> {
        self.forget();
        Ok(())
    }

    fn integrity(&self, quick: bool) -> Result<Option<String>> {
        let report = |what: String| Some(format!("index {}: {what}", self.binding().name()));
        match self.disagreement(quick) {
            Ok(found) => Ok(found.and_then(report)),
            Err(fault) if fault.says_what_is_wrong() => Ok(report(fault.message)),
            Err(fault) => Err(fault),
        }
    }
}
