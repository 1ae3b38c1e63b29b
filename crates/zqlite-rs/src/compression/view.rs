//! The view that stands in the place of a table, and the triggers that write through it.

use std::fmt::Write as _;

use rusqlite::Connection;

use super::catalog::Column;
use super::outline;
use super::table::{ColumnInfo, Table, literal, quoted};

/// The names of the triggers of a view.
pub(super) fn triggers(view: &str) -> [String; 3] {
    ["insert", "update", "delete"].map(|act| format!("{view}_zqlite_{act}"))
}

/// Makes the view of a base table and its triggers.
pub(super) fn create(
    connection: &Connection,
    view: &str,
    base: &Table,
    compressed: &[Column],
) -> rusqlite::Result<()> {
    connection.execute_batch(&text(view, base, compressed))
}

/// Removes the view, and its triggers with it.
pub(super) fn remove(connection: &Connection, view: &str) -> rusqlite::Result<()> {
    // Somebody may have dropped it.
    connection.execute_batch(&format!("DROP VIEW IF EXISTS main.{}", quoted(view)))
}

fn text(view: &str, base: &Table, compressed: &[Column]) -> String {
    let of = |name: &str| compressed.iter().find(|column| column.column == name);
    let names = list(base.columns.iter().map(|column| quoted(&column.name)));
    let read = list(base.columns.iter().map(|column| {
        let name = quoted(&column.name);
        if of(&column.name).is_some() {
            format!("zqlite_decompress({name})")
        } else {
            name
        }
    }));
    let write = |column: &str, value: String| match of(column) {
        None => value,
        Some(column) => format!(
            "zqlite_compress({value}, (SELECT id FROM zqlite_dictionaries \
             WHERE \"table\" = {} AND \"column\" = {} ORDER BY version DESC LIMIT 1))",
            literal(&column.table),
            literal(&column.column)
        ),
    };
    let written = list(base.written().map(|column| quoted(&column.name)));
    let values = list(
        base.written()
            .map(|column| write(&column.name, inserted(column))),
    );
    let set = list(base.written().map(|column| {
        let name = quoted(&column.name);
        let value = write(&column.name, format!("NEW.{name}"));
        format!("{name} = {value}")
    }));
    let found: Vec<_> = base
        .key
        .iter()
        .map(|name| format!("{0} = OLD.{0}", quoted(name)))
        .collect();
    let found = found.join(" AND ");
    let (mut guard_insert, mut guard_update) = (String::new(), String::new());
    for column in base.columns.iter().filter(|column| column.is_generated) {
        let name = quoted(&column.name);
        let raise = format!(
            "RAISE(ABORT, {})",
            literal(&format!("{} is a generated column", column.name))
        );
        // Writing to a `String` cannot fail.
        let _ = write!(
            guard_insert,
            "SELECT {raise} WHERE NEW.{name} IS NOT NULL; "
        );
        let _ = write!(
            guard_update,
            "SELECT {raise} WHERE NEW.{name} IS NOT OLD.{name}; "
        );
    }
    // Compressed, a text is a blob, and the table itself would take it.
    for column in base
        .blobs_only()
        .filter(|column| of(&column.name).is_some())
    {
        let name = quoted(&column.name);
        let says = format!(
            "cannot store TEXT value in BLOB column {view}.{}",
            column.name
        );
        let raise = format!("RAISE(ABORT, {})", literal(&says));
        let value = inserted(column);
        let _ = write!(
            guard_insert,
            "SELECT {raise} WHERE typeof({value}) = 'text'; "
        );
        let _ = write!(
            guard_update,
            "SELECT {raise} WHERE typeof(NEW.{name}) = 'text'; "
        );
    }
    let [on_insert, on_update, on_delete] = triggers(view).map(|name| quoted(&name));
    let (view, base) = (quoted(view), quoted(&base.name));
    format!(
        "CREATE VIEW main.{view}({names}) AS SELECT {read} FROM {base};
         CREATE TRIGGER main.{on_insert} INSTEAD OF INSERT ON {view} BEGIN
           {guard_insert}INSERT INTO {base}({written}) VALUES ({values}); END;
         CREATE TRIGGER main.{on_update} INSTEAD OF UPDATE ON {view} BEGIN
           {guard_update}UPDATE {base} SET {set} WHERE {found}; END;
         CREATE TRIGGER main.{on_delete} INSTEAD OF DELETE ON {view} BEGIN
           DELETE FROM {base} WHERE {found}; END;"
    )
}

/// What an INSERT gives a column.
fn inserted(column: &ColumnInfo) -> String {
    let new = format!("NEW.{}", quoted(&column.name));
    match &column.default {
        None => new,
        Some(default) => format!("coalesce({new}, ({}))", outline::default_value(default)),
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}
