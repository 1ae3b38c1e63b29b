//! Opening a database.

use anyhow::Result;
use rusqlite::Connection;

use crate::Work;

/// How often the database is opened.
const OPENS: u32 = 200;

/// Makes what is opened.
pub(crate) fn make(connection: &Connection) -> Result<()> {
    connection.execute_batch("CREATE TABLE t(a)")?;
    Ok(())
}

/// Opens the database again and again, and reads its schema.
pub(crate) fn run(open: &dyn Fn() -> Result<Connection>) -> Result<Work> {
    let mut tables = 0;
    for _ in 0..OPENS {
        let count: u64 =
            open()?.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        tables += count;
    }
    Ok(Work::new(u64::from(OPENS), tables))
}
