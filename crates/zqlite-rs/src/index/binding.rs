//! What binds an index to the table whose rows it indexes.
//!
//! - Three triggers on the table, `INDEX_insert`, `INDEX_update` and `INDEX_delete`, tell the index which row has
//!   changed; the index then looks at that row. It does not matter in which order the triggers of one table fire.
//! - A view, `INDEX_source`, is how the index sees the table. SQLite rewrites it when the table or a column is renamed.
//! - A shadow table, `INDEX_state`, holds the version of the format and the *stamp*: a random number, renewed by the
//!   first write of each transaction and by the first after a rollback to a savepoint. What was built from the shadow
//!   tables under a stamp holds under no other.

use core::cell::Cell;

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension as _, Row, StatementStatus, params};

use super::fault::{Fault, Result};
use super::ffi::{Args, Host};
use super::module::{Change, Declaration};
use super::name::{literal, quoted, unquoted};

mod encoding;
mod source;

use encoding::Encoding;
use source::Source;

/// The suffixes of what a binding makes beside the shadow tables of its index.
pub(crate) const STATE: &str = "state";
pub(crate) const SOURCE: &str = "source";
/// The hidden column that the triggers write to.
pub(crate) const CHANGED: &str = "changed";

/// The version of what an index stores.
const FORMAT: i64 = 1;
/// More statements than any index prepares: none is thrown out of the cache.
const STATEMENTS: usize = 64;

/// One index and its table, for one connection.
pub(crate) struct Binding {
    pub(crate) host: Host,
    schema: String,
    name: String,
    /// The indexed columns, by their names when the index was created.
    columns: Vec<String>,
    encoding: Encoding,
    sql: Sql,
    /// The stamp was renewed in this transaction, and no rollback to a savepoint has undone that.
    stamped: Cell<bool>,
    /// The stamp that was read under a version of the database, outside a write transaction.
    seen: Cell<Option<(u32, i64)>>,
    /// How often SQLite had prepared the statement that reads the stamp anew when the triggers were last looked for.
    bound: Cell<Option<i32>>,
}

struct Sql {
    row: String,
    stamp: String,
    set_stamp: String,
}

/// What the triggers, or a user, want of an index.
pub(crate) enum Request {
    /// Row with this key has changed.
    Row(i64),
    /// Index all rows anew.
    All,
}

impl Binding {
    /// Makes the view, the state and the triggers. What is in the table is indexed afterwards, with [`scan`](Self::scan).
    pub(crate) fn create(host: Host, declaration: Declaration) -> Result<Self> {
        if declaration.schema.eq_ignore_ascii_case("temp") {
            return Err(Fault::usage(
                "an index stands in the database of its table, and temp has none that last",
            ));
        }
        let (table, columns) = table_and_columns(&declaration.arguments)?;
        let source = Source::of_table(&host, &declaration.schema, table, columns)?;
        let binding = Self::new(host, declaration)?;
        binding.create_objects(&binding.name, &source)?;
        // A column that the table does not have is named.
        let view = binding.qualified(SOURCE);
        binding.host.prepare(&format!("SELECT * FROM {view}"))?;
        binding.host.execute_batch(&format!(
            "CREATE TABLE {}(id INTEGER PRIMARY KEY, value INTEGER NOT NULL)",
            binding.qualified(STATE),
        ))?;
        binding.host.execute(
            &format!(
                "INSERT INTO {} VALUES (1, ?1), (2, ?2)",
                binding.qualified(STATE)
            ),
            params![FORMAT, random()?],
        )?;
        Ok(binding)
    }

    /// Binds to what [`create`](Self::create) has made.
    pub(crate) fn connect(host: Host, declaration: Declaration) -> Result<Self> {
        Self::new(host, declaration)
    }

    fn new(host: Host, declaration: Declaration) -> Result<Self> {
        let (_, columns) = table_and_columns(&declaration.arguments)?;
        let Declaration { schema, name, .. } = declaration;
        host.set_prepared_statement_cache_capacity(STATEMENTS);
        let object = |suffix| qualified(&schema, &format!("{name}_{suffix}"));
        let encoding = Encoding::of(&host)?;
        let values = values(columns.len(), encoding);
        let sql = Sql {
            row: format!("SELECT id{values} FROM {} WHERE id = ?1", object(SOURCE)),
            stamp: format!(
                "SELECT a.value, b.value FROM {state} a, {state} b WHERE a.id = 1 AND b.id = 2",
                state = object(STATE)
            ),
            set_stamp: format!(
                "UPDATE {state} SET value = ?1
                 WHERE id = 2 AND (SELECT value FROM {state} WHERE id = 1) = {FORMAT}",
                state = object(STATE)
            ),
        };
        Ok(Self {
            host,
            schema,
            name,
            columns,
            encoding,
            sql,
            stamped: Cell::new(false),
            seen: Cell::new(None),
            bound: Cell::new(None),
        })
    }

    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The indexed columns, by their names when the index was created.
    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The quoted name of a shadow table.
    pub(crate) fn qualified(&self, suffix: &str) -> String {
        qualified(&self.schema, &format!("{}_{suffix}", self.name))
    }

    /// The types that the table declares for the indexed columns.
    pub(crate) fn declared_types(&self) -> Result<Vec<String>> {
        let view = format!("{}_{SOURCE}", self.name);
        Source::of_view(&self.host, &self.schema, &view)?.types(&self.host, &self.schema)
    }

    // --- rows of the table ----------------------------------------------------------------------

    /// Shows one row of the table as it is now, columns of the index from 1 on; `None` if it is gone.
    pub(crate) fn row<T>(
        &self,
        id: i64,
        see: impl FnOnce(Option<&Row<'_>>) -> Result<T>,
    ) -> Result<T> {
        let prepared = self.host.prepare_cached(&self.sql.row);
        let mut statement = prepared.map_err(|error| self.unseen(error))?;
        let mut rows = statement.query([id])?;
        let row = rows.next()?;
        if let Some(row) = row {
            self.check_texts(id, row)?;
        }
        see(row)
    }

    /// Shows all rows of the table in order of their keys, columns of the index from 1 on.
    pub(crate) fn scan(&self, mut see: impl FnMut(i64, &Row<'_>) -> Result<()>) -> Result<()> {
        let values = values(self.columns.len(), self.encoding);
        let prepared = self.host.prepare(&format!(
            "SELECT id{values} FROM {} ORDER BY id",
            self.qualified(SOURCE)
        ));
        let mut statement = prepared.map_err(|error| self.unseen(error))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            self.check_texts(id, row)?;
            see(id, row)?;
        }
        Ok(())
    }

    fn check_texts(&self, id: i64, row: &Row<'_>) -> Result<()> {
        let columns = self.columns.len();
        let texts = match self.encoding {
            Encoding::Utf8 => 0..0,
            _ => columns + 1..2 * columns + 1,
        };
        for at in texts {
            if let ValueRef::Blob(bytes) = row.get_ref(at)?
                && !self.encoding.permits(bytes)
            {
                return Err(Fault::mismatch(format!(
                    "row {id} cannot be indexed: a text is not UTF-16"
                )));
            }
        }
        Ok(())
    }

    /// The view is not what it was: a column was dropped, or the table renamed, in a way that SQLite does not check.
    fn unseen(&self, error: rusqlite::Error) -> Fault {
        let fault = Fault::from(error);
        if fault.code != rusqlite::ffi::SQLITE_ERROR {
            return fault;
        }
        Fault::usage(format!(
            "the table cannot be seen any more ({}): drop the index {}, and create it again",
            fault.message, self.name
        ))
    }

    // --- writes ---------------------------------------------------------------------------------

    /// What a write to the virtual table means. Only the triggers have a reason to write, and may.
    pub(crate) fn request(&self, change: &Change<'_>, hidden: usize) -> Result<Request> {
        let Change::Insert(args) = change else {
            return Err(self.not_writable());
        };
        let others = (0..args.len()).filter(|at| *at != hidden);
        if others.into_iter().any(|at| args.get(at) != ValueRef::Null) {
            return Err(self.not_writable());
        }
        let request = self.requested(args, hidden)?;
        self.require_recursive_triggers()?;
        if !self.stamped.get() {
            // What a later version has stored is not touched, not even by a statement that then fails.
            self.stamp()?;
        }
        Ok(request)
    }

    fn requested(&self, args: &Args<'_>, hidden: usize) -> Result<Request> {
        match args.get(hidden) {
            ValueRef::Integer(id) => Ok(Request::Row(id)),
            ValueRef::Text(b"all") => Ok(Request::All),
            _ => Err(self.not_writable()),
        }
    }

    fn not_writable(&self) -> Fault {
        Fault::usage(format!(
            "{} is an index: write to its table; {} = 'all' indexes all rows anew",
            self.name, CHANGED
        ))
    }

    /// Without them, REPLACE deletes rows behind the index's back. SQLite begins a transaction of the index, or a
    /// savepoint, before each statement that may write to the table: an `UPDATE OR REPLACE` that changes no indexed
    /// column, and so fires no trigger, is refused there.
    pub(crate) fn require_recursive_triggers(&self) -> Result<()> {
        // SQLite prepares this anew for each use, which costs about as much as the row that is written. Nothing cheaper tells:
        // the setting changes when a PRAGMA is prepared, be it under EXPLAIN.
        let mut statement = self.host.prepare_cached("PRAGMA recursive_triggers")?;
        if statement.query_row([], |row| row.get::<_, i64>(0))? == 0 {
            return Err(Fault::usage(format!(
                "the table of the index {} cannot be written to without PRAGMA recursive_triggers=ON: \
                 REPLACE would delete rows that the index keeps",
                self.name
            )));
        }
        Ok(())
    }

    /// Marks the shadow tables as changed, and gives the new stamp if there is one.
    pub(crate) fn touch(&self) -> Result<Option<i64>> {
        self.seen.set(None);
        if self.stamped.get() {
            return Ok(None);
        }
        let stamp = random()?;
        let mut statement = self.host.prepare_cached(&self.sql.set_stamp)?;
        if statement.execute([stamp])? != 1 {
            // Says why.
            self.stamp()?;
            return Err(self.damaged(STATE));
        }
        self.stamped.set(true);
        Ok(Some(stamp))
    }

    // --- what is cached -------------------------------------------------------------------------

    /// The stamp of what this connection sees. Within one transaction of its own writes it stands still.
    ///
    /// # Errors
    /// If the triggers are gone: the table was dropped, or made anew, and the index is not true any more.
    pub(crate) fn stamp(&self) -> Result<i64> {
        let version = self.host.data_version()?;
        let is_writing = self.host.is_writing();
        if !is_writing
            && let Some((seen, stamp)) = self.seen.get()
            && seen == version
        {
            return Ok(stamp);
        }
        let mut statement = self.host.prepare_cached(&self.sql.stamp)?;
        let (format, stamp): (i64, i64) = statement
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?
            .ok_or_else(|| self.damaged(STATE))?;
        if format != FORMAT {
            return Err(Fault::usage(format!(
                "index {}: format {format} is not supported; update zqlite",
                self.name
            )));
        }
        // SQLite prepares a statement anew after any change of the schema.
        let prepared = statement.get_status(StatementStatus::RePrepare);
        if self.bound.get() != Some(prepared) {
            self.require_triggers()?;
            self.bound.set(Some(prepared));
        }
        self.seen.set((!is_writing).then_some((version, stamp)));
        Ok(stamp)
    }

    fn require_triggers(&self) -> Result<()> {
        if self.has_triggers()? {
            return Ok(());
        }
        Err(Fault::usage(format!(
            "index {} is not bound to its table any more, which was dropped, made anew, or renamed with \
             PRAGMA legacy_alter_table: drop the index, and create it again",
            self.name
        )))
    }

    /// Whether the triggers stand on the table that the view shows.
    pub(crate) fn has_triggers(&self) -> Result<bool> {
        let view = format!("{}_{SOURCE}", self.name);
        let table = match Source::of_view(&self.host, &self.schema, &view) {
            Ok(source) => format!(" AND tbl_name = {} COLLATE NOCASE", literal(source.table())),
            // What needs the view says what is wrong with it.
            Err(fault) if fault.says_what_is_wrong() => String::new(),
            Err(fault) => return Err(fault),
        };
        let names: Vec<_> = source::EVENTS
            .iter()
            .map(|event| literal(&format!("{}_{event}", self.name)))
            .collect();
        let found: i64 = self.host.query_row(
            &format!(
                "SELECT count(*) FROM {}.sqlite_schema WHERE type = 'trigger' AND name IN ({}){table}",
                quoted(&self.schema),
                names.join(", ")
            ),
            [],
            |row| row.get(0),
        )?;
        Ok(usize::try_from(found) == Ok(names.len()))
    }

    /// A transaction has ended, or part of one was undone.
    pub(crate) fn forget(&self) {
        self.stamped.set(false);
        self.seen.set(None);
    }

    // --- numbers of the index -------------------------------------------------------------------

    /// Keeps a number beside format and stamp; `id` is 3 or more.
    pub(crate) fn set_number(&self, id: i64, number: i64) -> Result<()> {
        let state = self.qualified(STATE);
        self.host.execute(
            &format!("INSERT OR REPLACE INTO {state} VALUES (?1, ?2)"),
            [id, number],
        )?;
        Ok(())
    }

    pub(crate) fn number(&self, id: i64) -> Result<i64> {
        let state = self.qualified(STATE);
        let sql = format!("SELECT value FROM {state} WHERE id = ?1");
        Ok(self.host.query_row(&sql, [id], |row| row.get(0))?)
    }

    // --- upkeep ---------------------------------------------------------------------------------

    fn create_objects(&self, name: &str, source: &Source) -> Result<()> {
        Ok(self
            .host
            .execute_batch(&source.create(&self.schema, name))?)
    }

    /// Drops everything, with these shadow tables.
    pub(crate) fn destroy(&self, shadows: &[&str]) -> Result<()> {
        for event in source::EVENTS {
            let trigger = self.qualified(event);
            self.host
                .execute_batch(&format!("DROP TRIGGER IF EXISTS {trigger}"))?;
        }
        let view = self.qualified(SOURCE);
        self.host
            .execute_batch(&format!("DROP VIEW IF EXISTS {view}"))?;
        for shadow in shadows.iter().chain([&STATE]) {
            let table = self.qualified(shadow);
            self.host
                .execute_batch(&format!("DROP TABLE IF EXISTS {table}"))?;
        }
        Ok(())
    }

    /// Gives everything the names that belong to another name of the index.
    pub(crate) fn rename(&self, name: &str, shadows: &[&str]) -> Result<()> {
        // What has the table's name now may be another table, of which the index knows nothing.
        self.require_triggers()?;
        let source = Source::of_view(&self.host, &self.schema, &format!("{}_{SOURCE}", self.name))?;
        for event in source::EVENTS {
            let trigger = self.qualified(event);
            self.host
                .execute_batch(&format!("DROP TRIGGER IF EXISTS {trigger}"))?;
        }
        let view = self.qualified(SOURCE);
        self.host.execute_batch(&format!("DROP VIEW {view}"))?;
        for shadow in shadows.iter().chain([&STATE]) {
            self.host.execute_batch(&format!(
                "ALTER TABLE {} RENAME TO {}",
                self.qualified(shadow),
                quoted(&format!("{name}_{shadow}"))
            ))?;
        }
        self.create_objects(name, &source)
    }

    /// Says that a shadow table holds what was never written there.
    pub(crate) fn damaged(&self, suffix: &str) -> Fault {
        Fault::corrupt(format!(
            "index {}: {}_{suffix} is damaged",
            self.name, self.name
        ))
    }
}

/// The columns of the view, and after them, if they need to be looked at, the bytes of those that are texts.
fn values(columns: usize, encoding: Encoding) -> String {
    let mut sql: String = (1..=columns).map(|at| format!(", v{at}")).collect();
    if encoding != Encoding::Utf8 {
        sql.extend(
            (1..=columns)
                .map(|at| format!(", iif(typeof(v{at}) = 'text', CAST(v{at} AS BLOB), NULL)")),
        );
    }
    sql
}

fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", quoted(schema), quoted(name))
}

fn table_and_columns(arguments: &[String]) -> Result<(String, Vec<String>)> {
    match arguments {
        [table, columns @ ..] if !columns.is_empty() => Ok((
            unquoted(table),
            columns.iter().map(|column| unquoted(column)).collect(),
        )),
        _ => Err(Fault::usage(
            "name the table and what to index of it: USING module(table, column)",
        )),
    }
}

fn random() -> Result<i64> {
    getrandom::u64()
        .map(u64::cast_signed)
        .map_err(|error| Fault::usage(error.to_string()))
}
