//! The order of the schema table, which VACUUM INTO does not keep.

use rusqlite::Connection;

use super::ours_or_sqlite;
use crate::Error;

/// Where each object stands in the schema table. VACUUM INTO puts tables first, then indexes, then the rest; whoever
/// reads the schema in its order, as `.dump` does, would see another database.
pub(super) struct SchemaOrder(Vec<(i64, String, String)>);

impl SchemaOrder {
    pub(super) fn of(source: &Connection) -> Result<Self, Error> {
        let sql = "SELECT rowid, type, name FROM sqlite_master";
        let rows = source.prepare(sql).and_then(|mut statement| {
            statement
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect()
        });
        rows.map(Self).map_err(ours_or_sqlite)
    }

    pub(super) fn restore(&self, made: &Connection) -> Result<(), Error> {
        if self.0.is_empty() {
            return Ok(());
        }
        let last = self.0.iter().map(|(rowid, ..)| *rowid).max().unwrap_or(0);
        let restored = made
            .execute_batch("PRAGMA writable_schema=ON; BEGIN")
            .and_then(|()| {
                // Out of the way first: every rowid may be taken by another object.
                made.execute(
                    "UPDATE sqlite_master SET rowid = rowid + max(?1, (SELECT max(rowid) FROM sqlite_master))",
                    [last],
                )?;
                let mut update =
                    made.prepare("UPDATE sqlite_master SET rowid = ?1 WHERE type = ?2 AND name = ?3")?;
                for object in &self.0 {
                    update.execute((object.0, &object.1, &object.2))?;
                }
                made.execute_batch("COMMIT; PRAGMA writable_schema=OFF")
            });
        restored.map_err(ours_or_sqlite)
    }
}
