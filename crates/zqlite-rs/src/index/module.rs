//! What a virtual table is, without pointers: `ffi` calls these traits from SQLite's callbacks.

use core::ffi::CStr;
use std::rc::Rc;

use super::fault::Result;
use super::ffi::{Args, Cell, Host, IndexInfo};

/// Where and how a virtual table is declared.
pub(crate) struct Declaration {
    /// `main`, or the name under which its database is attached.
    pub(crate) schema: String,
    pub(crate) name: String,
    /// The text between the parentheses, at top-level commas; still quoted.
    pub(crate) arguments: Vec<String>,
}

/// A kind of virtual table. All methods take `&self`: SQL that a method runs may come back to the same table.
pub(crate) trait Module: Sized + 'static {
    /// The name after USING.
    const NAME: &'static CStr;
    /// What may follow `TABLE_` in the name of a shadow table.
    const SHADOWS: &'static [&'static str];
    type Cursor: Cursor;

    /// CREATE VIRTUAL TABLE: makes the shadow tables.
    fn create(host: Host, declaration: Declaration) -> Result<Self>;

    /// The first use by a connection. It should succeed if it can: what cannot be connected cannot be dropped.
    fn connect(host: Host, declaration: Declaration) -> Result<Self>;

    /// The CREATE TABLE statement that names the columns.
    fn columns(&self) -> String;

    /// DROP TABLE: drops the shadow tables.
    fn destroy(&self) -> Result<()>;

    /// ALTER TABLE RENAME: renames the shadow tables. SQLite connects anew afterwards.
    fn rename(&self, name: &str) -> Result<()>;

    /// Chooses a plan, or says that the constraints as given allow none.
    fn best_index(&self, info: &mut IndexInfo<'_>) -> Result<Planned>;

    fn open(self: &Rc<Self>) -> Result<Self::Cursor>;

    /// INSERT, UPDATE and DELETE. Gives the rowid of the row.
    fn update(&self, change: Change<'_>) -> Result<i64>;

    /// A transaction that writes to the table begins.
    fn begin(&self) -> Result<()> {
        Ok(())
    }

    /// It is about to commit; shadow tables can still be written.
    fn sync(&self) -> Result<()> {
        Ok(())
    }

    /// It has been committed.
    fn commit(&self) {}

    /// It has been rolled back: nothing that was cached since it began is true.
    fn rollback(&self);

    fn savepoint(&self) -> Result<()> {
        Ok(())
    }

    fn release(&self) -> Result<()> {
        Ok(())
    }

    /// A savepoint, or a statement, has been rolled back: nothing that was cached since is true.
    fn rollback_to(&self) -> Result<()>;

    /// PRAGMA `integrity_check`: what is wrong, if anything is. A quick check compares with no other table.
    fn integrity(&self, quick: bool) -> Result<Option<String>>;
}

/// What [`Module::best_index`] has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planned {
    Yes,
    /// A constraint that is needed is not usable: SQLite tries another order of joins.
    NotThisWay,
}

/// A plan, as it was chosen.
pub(crate) struct Plan<'a> {
    pub(crate) number: i32,
    /// What EXPLAIN QUERY PLAN shows.
    pub(crate) words: &'a str,
}

/// A row that is to be written, as `xUpdate` is told.
pub(crate) enum Change<'a> {
    Delete,
    Insert(Args<'a>),
    Update,
}

/// The rows of one use of the table in a query.
pub(crate) trait Cursor {
    /// Begins with the plan of [`Module::best_index`] and the values that it asked for.
    fn filter(&mut self, plan: &Plan<'_>, args: &Args<'_>) -> Result<()>;
    fn next(&mut self) -> Result<()>;
    fn eof(&self) -> bool;
    fn column(&self, cell: &mut Cell<'_>, column: usize) -> Result<()>;
    fn rowid(&self) -> Result<i64>;
}
