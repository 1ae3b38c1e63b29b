//! Prefixes of IP addresses: longest match, all matches, contained in, overlaps.
//!
//! `CREATE VIRTUAL TABLE route_ip USING cidr(routes, prefix)` indexes the column `prefix` of the table `routes`: IPv4
//! and IPv6 prefixes as text, a bare address being the prefix of that one address. NULL is not indexed; anything else
//! is refused, and so are prefixes with host bits set. See [`Prefix`] for what is read.
//!
//! A row of `route_ip` is a row of `routes`: `rowid` is its key, `prefix` the canonical text of the prefix, `length`
//! its length, `family` 4 or 6. What is asked stands in a hidden column, and is an address or a prefix itself:
//!
//! | condition | rows |
//! | --- | --- |
//! | `longest_match = X`, or `FROM route_ip(X)` | those with the longest prefix that covers X |
//! | `covers = X` | those whose prefix covers X, the longest first |
//! | `within = X` | those whose prefix lies in X, or is X, in ascending order |
//! | `overlaps = X` | those whose prefix shares an address with X |
//!
//! Several conditions are met together: `longest_match = X AND within = Y` are those of the longest match that lie in
//! Y. As a column has one value, `covers = X AND covers = Y` finds nothing unless X is Y; join the index twice. A
//! condition on a hidden column that is not an equality, or that SQLite cannot hand to the index, is an error.
//! X is an error if it is no address or prefix, and finds nothing if it is NULL.
//!
//! Until a connection has asked [often enough](LOOKUPS_BEFORE_LOADING) it searches the shadow table; then it keeps the
//! prefixes in memory, as a [`PrefixTable`], for as long as nobody changes the index.

use core::cell::{Cell, RefCell};
use std::rc::Rc;

use rusqlite::types::ValueRef;

use super::binding::{Binding, CHANGED, Request, SOURCE, STATE};
use super::fault::{Fault, Result};
use super::ffi::{Constraint, Host, IndexInfo, Operator};
use super::module::{Change, Declaration, Module, Planned};

mod cursor;
mod prefix;
mod relation;
mod stored;
mod table;

pub use prefix::{ParsePrefixError, Prefix};
pub use table::PrefixTable;

use relation::Relation;
use stored::{Ids, ROWS, Stored};

/// A connection loads the prefixes into memory after so many lookups without a change of the index, or after one
/// lookup for every 16 prefixes if that is more: loading then costs less than the lookups did.
pub const LOOKUPS_BEFORE_LOADING: usize = 64;

/// The most rows that a connection keeps in memory; about 50 MB.
pub const MAX_ROWS_IN_MEMORY: usize = 1 << 20;

/// Columns that every row has, before the hidden ones.
const PREFIX: usize = 0;
const LENGTH: usize = 1;
const FAMILY: usize = 2;
/// The hidden columns: what is asked, in the order of [`Relation`], and what the triggers write to.
const RELATIONS: usize = 3;
const CHANGED_AT: usize = RELATIONS + Relation::ASKED.len();

/// The virtual table.
pub(super) struct Cidr {
    stored: Stored,
    loaded: RefCell<Option<Loaded>>,
    /// Lookups since the last change that was seen.
    lookups: Cell<usize>,
    /// How many lookups are worth loading.
    worth: Cell<usize>,
}

/// The prefixes in memory, and the stamp that they were read under.
struct Loaded {
    stamp: i64,
    table: Rc<PrefixTable<Ids>>,
}

impl Cidr {
    fn new(binding: Binding) -> Result<Self> {
        if binding.columns().len() != 1 {
            return Err(Fault::usage("cidr(table, column): it indexes one column"));
        }
        Ok(Self {
            stored: Stored::new(binding),
            loaded: RefCell::new(None),
            lookups: Cell::new(0),
            worth: Cell::new(LOOKUPS_BEFORE_LOADING),
        })
    }

    const fn binding(&self) -> &Binding {
        &self.stored.binding
    }

    fn forget(&self) {
        self.loaded.replace(None);
        self.lookups.set(0);
        self.binding().forget();
    }

    /// The prefixes in memory, if they are there and true, or it is time to load them.
    fn in_memory(&self) -> Result<Option<Rc<PrefixTable<Ids>>>> {
        let stamp = self.binding().stamp()?;
        if let Some(loaded) = &*self.loaded.borrow() {
            if loaded.stamp == stamp {
                return Ok(Some(Rc::clone(&loaded.table)));
            }
            self.lookups.set(0);
            self.worth.set(LOOKUPS_BEFORE_LOADING);
        }
        self.loaded.replace(None);
        self.lookups.set(self.lookups.get().saturating_add(1));
        if self.lookups.get() != self.worth.get() {
            return Ok(None);
        }
        let rows = self.stored.count()?;
        if rows > MAX_ROWS_IN_MEMORY {
            return Ok(None);
        }
        if self.lookups.get() < rows / 16 {
            self.worth.set(rows / 16);
            return Ok(None);
        }
        let table = Rc::new(self.stored.load()?);
        self.loaded.replace(Some(Loaded {
            stamp,
            table: Rc::clone(&table),
        }));
        Ok(Some(table))
    }

    /// Makes the index agree with one row of the table.
    fn index_row(&self, id: i64) -> Result<()> {
        let new = self.binding().row(id, |row| match row {
            Some(row) => prefix_of(id, row.get_ref(1)?),
            None => Ok(None),
        })?;
        let old = self.stored.prefix(id)?;
        if old == new {
            return Ok(());
        }
        let loaded = self.loaded.replace(None);
        let loaded = match loaded {
            Some(loaded) if self.binding().stamp()? == loaded.stamp => Some(loaded),
            _ => None,
        };
        self.stored.set(id, new)?;
        let stamp = self.binding().touch()?;
        // Only now is it certain that nothing of this failed.
        let Some(mut loaded) = loaded else {
            return Ok(());
        };
        let Some(table) = Rc::get_mut(&mut loaded.table) else {
            return Ok(());
        };
        stored::change(table, id, old, new);
        loaded.stamp = stamp.unwrap_or(loaded.stamp);
        self.loaded.replace(Some(loaded));
        Ok(())
    }

    fn index_all(&self) -> Result<()> {
        self.loaded.replace(None);
        // SQLite undoes a statement that writes one row of a virtual table only with its transaction: what cannot be
        // indexed is refused before anything is changed.
        self.binding()
            .scan(|id, row| prefix_of(id, row.get_ref(1)?).map(drop))?;
        self.stored.clear()?;
        self.binding().touch()?;
        self.fill()
    }

    fn fill(&self) -> Result<()> {
        self.binding()
            .scan(|id, row| match prefix_of(id, row.get_ref(1)?)? {
                Some(prefix) => self.stored.set(id, Some(prefix)),
                None => Ok(()),
            })
    }

    /// What is wrong with the index.
    fn disagreement(&self, quick: bool) -> Result<Option<String>> {
        let rows = self.stored.check()?;
        if quick {
            return Ok(None);
        }
        if !self.binding().has_triggers()? {
            return Ok(Some("it is not bound to its table any more".to_owned()));
        }
        let mut prefixes = 0_usize;
        let mut first = None;
        self.binding().scan(|id, row| {
            let right = prefix_of(id, row.get_ref(1)?)?;
            prefixes += usize::from(right.is_some());
            let indexed = self.stored.prefix(id)?;
            if right != indexed && first.is_none() {
                let shown = |prefix: Option<Prefix>| {
                    prefix.map_or_else(|| "no prefix".to_owned(), |prefix| prefix.to_string())
                };
                first = Some(format!(
                    "row {id} has {} in the table, {} in the index",
                    shown(right),
                    shown(indexed)
                ));
            }
            Ok(())
        })?;
        if first.is_none() && prefixes != rows {
            first = Some(format!("it has {rows} rows, its table {prefixes}"));
        }
        Ok(first)
    }
}

/// The prefix that a value of the table means.
fn prefix_of(id: i64, value: ValueRef<'_>) -> Result<Option<Prefix>> {
    let refused = |why: &str| Fault::mismatch(format!("row {id} cannot be indexed: {why}"));
    match value {
        ValueRef::Null => Ok(None),
        ValueRef::Text(text) => match core::str::from_utf8(text).map(str::parse) {
            Ok(Ok(prefix)) => Ok(Some(prefix)),
            Ok(Err(error)) => {
                let error: ParsePrefixError = error;
                Err(refused(&format!(
                    "{error}: {}",
                    String::from_utf8_lossy(text)
                )))
            }
            Err(_) => Err(refused("its prefix is not UTF-8")),
        },
        _ => Err(refused("its prefix is not text")),
    }
}

impl Module for Cidr {
    const NAME: &'static core::ffi::CStr = c"cidr";
    const SHADOWS: &'static [&'static str] = &[ROWS, STATE, SOURCE];
    type Cursor = cursor::Cursor;

    fn create(host: Host, declaration: Declaration) -> Result<Self> {
        let cidr = Self::new(Binding::create(host, declaration)?)?;
        cidr.stored.create()?;
        cidr.fill()?;
        Ok(cidr)
    }

    fn connect(host: Host, declaration: Declaration) -> Result<Self> {
        Self::new(Binding::connect(host, declaration)?)
    }

    fn columns(&self) -> String {
        let asked: String = Relation::ASKED
            .iter()
            .map(|relation| format!("{} HIDDEN, ", relation.name()))
            .collect();
        format!(
            "CREATE TABLE x(prefix TEXT, length INTEGER, family INTEGER, {asked}{CHANGED} HIDDEN)"
        )
    }

    fn destroy(&self) -> Result<()> {
        self.binding().destroy(&[ROWS])
    }

    fn rename(&self, name: &str) -> Result<()> {
        self.binding().rename(name, &[ROWS])
    }

    fn best_index(&self, info: &mut IndexInfo<'_>) -> Result<Planned> {
        let mut asked: Vec<(Relation, Constraint)> = Vec::new();
        for constraint in info.constraints() {
            let Some(relation) = Relation::of_column(constraint.column) else {
                continue;
            };
            // A column has one value: SQLite compares a second one with the first.
            if constraint.operator != Operator::Equal
                || asked.iter().any(|(asked, _)| *asked == relation)
            {
                continue;
            }
            match (constraint.usable, relation) {
                (true, _) => asked.push((relation, constraint)),
                (false, Relation::Row) => {}
                (false, _) => return Ok(Planned::NotThisWay),
            }
        }
        // The narrowest first: it finds rows, the others only sort out.
        asked.sort_by_key(|(relation, _)| *relation);
        for (at, (relation, constraint)) in asked.iter().enumerate() {
            info.take(*constraint, at, *relation != Relation::Row);
        }
        let relations: Vec<_> = asked.iter().map(|(relation, _)| *relation).collect();
        let words: Vec<_> = relations.iter().map(|relation| relation.words()).collect();
        let (cost, rows) = relations.first().map_or((1e6, 1_000_000), |it| it.cost());
        let words = if words.is_empty() {
            "all prefixes".to_owned()
        } else {
            words.join(", ")
        };
        info.choose(relation::plan(&relations), &words, cost, rows);
        match relations.first() {
            Some(Relation::Row) => info.unique(),
            Some(Relation::Covers) if info.order() == [(Some(LENGTH), true)] => info.ordered(),
            _ => {}
        }
        Ok(Planned::Yes)
    }

    fn open(self: &Rc<Self>) -> Result<cursor::Cursor> {
        Ok(cursor::Cursor::new(Rc::clone(self)))
    }

    fn update(&self, change: Change<'_>) -> Result<i64> {
        match self.binding().request(&change, CHANGED_AT)? {
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
