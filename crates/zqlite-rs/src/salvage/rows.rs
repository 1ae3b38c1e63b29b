//! The rows of one table, as far as they can be read.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, Row};

use super::source::Source;
use super::{Lost, SalvagedTable};
use crate::Error;
use crate::vfs::stand_in::{Leaf, Marker};

/// Rows of a table without rowids that are passed over by counting, at most: each costs a walk to its place.
const PASSED_OVER_MAX: u32 = 1_000;
/// The least that a row takes in a page: its cell and the pointer to it.
const ROW_LEN_MIN: u64 = 6;

/// How a table is read.
pub(super) struct Shape {
    /// Its name, quoted.
    pub(super) name: String,
    /// What is read of each row, quoted.
    pub(super) columns: Vec<String>,
    /// The name that its rowid goes by.
    pub(super) rowid: Option<&'static str>,
    /// Which of the columns a stand-in's value is seen in, if it is not known by its rowid.
    marked: Option<usize>,
}

impl Shape {
    pub(super) fn schema() -> Self {
        Self {
            name: "sqlite_schema".to_owned(),
            columns: ["type", "name", "rootpage", "sql"].map(quoted).to_vec(),
            rowid: Some("rowid"),
            marked: None,
        }
    }

    /// The shape of a table, as SQLite understands its SQL; `None` if it does not.
    pub(super) fn of(connection: &Connection, table: &str) -> rusqlite::Result<Option<Self>> {
        let name = quoted(table);
        let mut columns = Vec::new();
        let mut all = Vec::new();
        let mut key = None;
        let mut statement =
            connection.prepare("SELECT name, pk, hidden FROM pragma_table_xinfo(?1)")?;
        let mut rows = statement.query([table])?;
        while let Some(row) = rows.next()? {
            let column: String = row.get(0)?;
            all.push(column.to_ascii_lowercase());
            // Generated columns are computed anew.
            if row.get::<_, i64>(2)? == 0 {
                if row.get::<_, i64>(1)? == 1 {
                    key = Some(columns.len());
                }
                columns.push(quoted(&column));
            }
        }
        if columns.is_empty() {
            return Ok(None);
        }
        let free = ["rowid", "_rowid_", "oid"]
            .into_iter()
            .find(|alias| !all.iter().any(|column| column == alias));
        // A table without rowids has no such column.
        let rowid = free.filter(|alias| {
            connection
                .prepare(&format!("SELECT {alias} FROM {name}"))
                .is_ok()
        });
        let marked = if rowid.is_none() && free.is_some() {
            key
        } else {
            None
        };
        Ok(Some(Self {
            name,
            columns,
            rowid,
            marked,
        }))
    }

    /// Which kind of leaf stands in for a page; `None` if its row could not be told from others.
    pub(super) const fn leaf(&self) -> Option<Leaf> {
        match (self.rowid, self.marked) {
            (Some(_), _) => Some(Leaf::Table),
            (None, Some(_)) => Some(Leaf::Index),
            (None, None) => None,
        }
    }
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// What became of a row that was read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Saved,
    Refused,
    /// It is the last one that is wanted.
    Enough,
}

/// Takes a row: its rowid, if it has one, and its values.
pub(super) type Keep<'a> = dyn FnMut(Option<i64>, &[ValueRef<'_>]) -> Result<Kept, Error> + 'a;

/// Why reading failed.
pub(super) enum Failure {
    /// SQLite refuses to read the table at all.
    Table(rusqlite::Error),
    /// It is no fault of the table: it was interrupted, or the new file cannot be written.
    Other(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// Whether an error says that something cannot be read, and not that a statement is wrong.
fn is_unreadable(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::TooBig
        )
    )
}

/// Why a pass over rows ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// There are no more, or no more are wanted.
    Done,
    /// The next one cannot be read.
    Unreadable,
    /// They are out of order, or more than the file can hold.
    Absurd,
}

/// From the first row on, or from the last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

/// How far the reading of a table with rowids has come.
struct Position {
    direction: Direction,
    /// The last rowid that was read or given up.
    last: Option<i64>,
    /// Whether a page is missing since then.
    gap: bool,
    /// Going down: the lowest rowid that is wanted.
    floor: i64,
}

impl Position {
    const fn new(direction: Direction, floor: i64) -> Self {
        Self {
            direction,
            last: None,
            gap: false,
            floor,
        }
    }

    /// The rowids that are still to be read, both included; `None` if there cannot be any.
    fn limits(&self) -> Option<(i64, i64)> {
        let (low, high) = match (self.direction, self.last) {
            (_, None) => (self.floor, i64::MAX),
            (Direction::Up, Some(last)) => (last.checked_add(1)?, i64::MAX),
            (Direction::Down, Some(last)) => (self.floor, last.checked_sub(1)?),
        };
        (low <= high).then_some((low, high))
    }

    /// Passes by a row; what a lost page may have held before it is lost. `false`: it is out of order.
    fn pass_by(&mut self, rowid: i64, table: &mut SalvagedTable) -> bool {
        let Some((low, high)) = self
            .limits()
            .filter(|(low, high)| (low..=high).contains(&&rowid))
        else {
            return false;
        };
        if core::mem::take(&mut self.gap) {
            let (first, last) = match self.direction {
                Direction::Up => (low, rowid.saturating_sub(1)),
                Direction::Down => (rowid.saturating_add(1), high),
            };
            if first <= last && first != rowid && last != rowid {
                table.lose(Lost::Rowids { first, last });
            }
        }
        self.last = Some(rowid);
        true
    }
}

/// The reading of one table.
pub(super) struct Scan<'a> {
    connection: &'a Connection,
    shape: &'a Shape,
    marker: Marker,
    rows_max: u64,
}

impl<'a> Scan<'a> {
    pub(super) const fn new(source: &'a Source, shape: &'a Shape) -> Self {
        Self {
            connection: source.connection(),
            shape,
            marker: source.marker(),
            rows_max: source.len() / ROW_LEN_MIN,
        }
    }

    /// Visits every row without its values: whatever page fails now belongs to the B-tree, not to a long value.
    ///
    /// An error after the first page says no more than that the way is blocked.
    pub(super) fn walk(&self) -> rusqlite::Result<()> {
        let what = self.shape.rowid.unwrap_or("1");
        let sql = format!("SELECT {what} FROM {} NOT INDEXED", self.shape.name);
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query([])?;
        let (mut last, mut seen) = (None, 0);
        while let Some(row) = rows.next()? {
            seen += 1;
            let number: i64 = row.get(0)?;
            let is_marker = number == self.marker.rowid;
            let is_in_order = self.shape.rowid.is_none() || is_marker || Some(number) > last;
            if seen > self.rows_max || !is_in_order {
                break;
            }
            if !is_marker {
                last = Some(number);
            }
        }
        Ok(())
    }

    /// Reads every row that can be read.
    pub(super) fn rows(
        &self,
        table: &mut SalvagedTable,
        keep: &mut Keep<'_>,
    ) -> Result<(), Failure> {
        match self.shape.rowid {
            Some(rowid) => self.by_rowid(rowid, table, keep),
            None => self.in_order(table, keep),
        }
    }

    fn by_rowid(
        &self,
        rowid: &str,
        table: &mut SalvagedTable,
        keep: &mut Keep<'_>,
    ) -> Result<(), Failure> {
        let mut up = Position::new(Direction::Up, i64::MIN);
        let reached_the_end = self.pass_all(rowid, &mut up, table, keep)?;
        let Some((first, last)) = up.limits() else {
            return Ok(());
        };
        if reached_the_end {
            if up.gap {
                table.lose(Lost::Rowids { first, last });
            }
            return Ok(());
        }
        // What follows cannot be reached from here; perhaps from the end.
        let mut behind = SalvagedTable::new(String::new());
        let mut down = Position::new(Direction::Down, first);
        self.pass_all(rowid, &mut down, &mut behind, keep)?;
        table.rows += behind.rows;
        table.refused += behind.refused;
        if let Some((first, last)) = down.limits() {
            table.lose(Lost::Rowids { first, last });
        }
        behind
            .lost
            .into_iter()
            .rev()
            .for_each(|lost| table.lose(lost));
        table.lost_more += behind.lost_more;
        Ok(())
    }

    /// Goes on until there are no more rows: `true`; or until the way is blocked: `false`.
    fn pass_all(
        &self,
        rowid: &str,
        at: &mut Position,
        table: &mut SalvagedTable,
        keep: &mut Keep<'_>,
    ) -> Result<bool, Failure> {
        let order = match at.direction {
            Direction::Up => "",
            Direction::Down => "DESC",
        };
        let statement = |columns: &str| {
            let name = &self.shape.name;
            format!(
                "SELECT {rowid}{columns} FROM {name} NOT INDEXED WHERE {rowid} BETWEEN ?1 AND ?2 ORDER BY {rowid} {order}"
            )
        };
        let all = statement(&format!(", {}", self.shape.columns.join(", ")));
        let bare = statement("");
        loop {
            match self.pass(&all, at, table, keep)? {
                End::Done => return Ok(true),
                End::Absurd => return Ok(false),
                End::Unreadable => {}
            }
            // The row that needs a lost page is left out, if the tree at least leads to it.
            let mut before = SalvagedTable::new(String::new());
            let mut next = None;
            let found = self.pass(&bare, at, &mut before, &mut |rowid, _| {
                next = rowid;
                Ok(Kept::Enough)
            })?;
            let (End::Done, Some(rowid)) = (found, next) else {
                return Ok(false);
            };
            before.lost.into_iter().for_each(|lost| table.lose(lost));
            table.lose(Lost::Rowids {
                first: rowid,
                last: rowid,
            });
        }
    }

    fn pass(
        &self,
        sql: &str,
        at: &mut Position,
        table: &mut SalvagedTable,
        keep: &mut Keep<'_>,
    ) -> Result<End, Failure> {
        let Some(limits) = at.limits() else {
            return Ok(End::Done);
        };
        let mut statement = self.connection.prepare(sql).map_err(Failure::Table)?;
        let mut rows = statement.query(limits).map_err(Failure::Table)?;
        let mut markers = 0;
        loop {
            let row = match rows.next() {
                Ok(Some(row)) => row,
                Ok(None) => return Ok(End::Done),
                Err(error) if is_unreadable(&error) => return Ok(End::Unreadable),
                Err(error) => return Err(Failure::Table(error)),
            };
            let rowid: i64 = row.get(0).map_err(Failure::Table)?;
            if rowid == self.marker.rowid {
                at.gap = true;
                markers += 1;
                // A page that comes again and again is not part of a tree.
                if markers > self.rows_max {
                    return Ok(End::Absurd);
                }
                continue;
            }
            if !at.pass_by(rowid, table) {
                return Ok(End::Absurd);
            }
            match keep(Some(rowid), &values(row, 1).map_err(Failure::Table)?)? {
                Kept::Saved => table.rows += 1,
                Kept::Refused => table.refused += 1,
                Kept::Enough => return Ok(End::Done),
            }
        }
    }

    /// Rows that only their order tells apart: one that cannot be read is passed over by counting.
    fn in_order(&self, table: &mut SalvagedTable, keep: &mut Keep<'_>) -> Result<(), Failure> {
        let (name, columns) = (&self.shape.name, self.shape.columns.join(", "));
        let all = format!("SELECT {columns} FROM {name} NOT INDEXED LIMIT -1 OFFSET ?1");
        let bare = format!("SELECT 1 FROM {name} NOT INDEXED LIMIT 1 OFFSET ?1");
        let mut seen = 0;
        for _ in 0..PASSED_OVER_MAX {
            let mut statement = self.connection.prepare(&all).map_err(Failure::Table)?;
            let mut rows = statement.query([seen]).map_err(Failure::Table)?;
            loop {
                let row = match rows.next() {
                    Ok(Some(row)) => row,
                    Ok(None) => return Ok(()),
                    Err(error) if is_unreadable(&error) => break,
                    Err(error) => return Err(Failure::Table(error)),
                };
                seen += 1;
                if u64::try_from(seen).is_ok_and(|seen| seen > self.rows_max) {
                    table.lose(Lost::After { rows: table.rows });
                    return Ok(());
                }
                let values = values(row, 0).map_err(Failure::Table)?;
                let marked = self.shape.marked.and_then(|index| values.get(index));
                if marked == Some(&ValueRef::Blob(&self.marker.value)) {
                    table.lose(Lost::After { rows: table.rows });
                    continue;
                }
                match keep(None, &values)? {
                    Kept::Saved => table.rows += 1,
                    Kept::Refused => table.refused += 1,
                    Kept::Enough => return Ok(()),
                }
            }
            table.lose(Lost::After { rows: table.rows });
            let is_there: rusqlite::Result<i64> =
                self.connection.query_row(&bare, [seen], |row| row.get(0));
            if is_there.is_err() {
                return Ok(());
            }
            seen += 1;
        }
        table.lost_more += 1;
        Ok(())
    }
}

fn values<'row>(row: &'row Row<'_>, first: usize) -> rusqlite::Result<Vec<ValueRef<'row>>> {
    let count = row.as_ref().column_count();
    (first..count).map(|index| row.get_ref(index)).collect()
}
