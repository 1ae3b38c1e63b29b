//! The view that stands in the place of a table, and the triggers that write through it.

use std::fmt::Write as _;

use rusqlite::Connection;

use super::catalog::Column;
use super::table::{Table, literal, quoted};

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
    connection.execute_batch(&format!("DROP VIEW main.{}", quoted(view)))
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
    let inserted = list(base.written().map(|column| {
        let new = format!("NEW.{}", quoted(&column.name));
        let value = match &column.default {
            None => new,
            Some(default) => format!("coalesce({new}, ({default}))"),
        };
        write(&column.name, value)
    }));
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
    let [on_insert, on_update, on_delete] = triggers(view).map(|name| quoted(&name));
    let (view, base) = (quoted(view), quoted(&base.name));
    format!(
        "CREATE VIEW main.{view}({names}) AS SELECT {read} FROM {base};
         CREATE TRIGGER main.{on_insert} INSTEAD OF INSERT ON {view} BEGIN
           {guard_insert}INSERT INTO {base}({written}) VALUES ({inserted}); END;
         CREATE TRIGGER main.{on_update} INSTEAD OF UPDATE ON {view} BEGIN
           {guard_update}UPDATE {base} SET {set} WHERE {found}; END;
         CREATE TRIGGER main.{on_delete} INSTEAD OF DELETE ON {view} BEGIN
           DELETE FROM {base} WHERE {found}; END;"
    )
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}
