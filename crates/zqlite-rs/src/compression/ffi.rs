//! The connection that calls a function.

use rusqlite::Connection;
use rusqlite::functions::Context;
use rusqlite::limits::Limit;

use super::catalog;
use super::dictionary::{CodecError, Dictionary};

/// Does something with the connection on which a function was called.
#[expect(
    unsafe_code,
    reason = "rusqlite lends a function its connection in no other way"
)]
fn with_connection<T>(
    context: &Context<'_>,
    act: impl FnOnce(&Connection) -> Result<T, CodecError>,
) -> Result<T, CodecError> {
    // SAFETY: SQLite calls the function on the thread that uses the connection, and waits for it. The reference
    // does not outlive this call: `act` cannot keep it, for its lifetime is any.
    let connection = unsafe { context.get_connection() }.map_err(CodecError::Sqlite)?;
    act(&connection)
}

/// Looks for a dictionary in every database of the connection: the id names its content, so it does not matter
/// where it is found.
pub(super) fn load(context: &Context<'_>, id: i64) -> Result<Dictionary, CodecError> {
    with_connection(context, |connection| {
        catalog::find_dictionary(connection, id)
            .map_err(CodecError::Sqlite)?
            .ok_or(CodecError::NoDictionary(id))
    })
}

/// The id of the newest dictionary of a column of the main database.
pub(super) fn newest(
    context: &Context<'_>,
    table: &str,
    column: &str,
) -> Result<Option<i64>, CodecError> {
    with_connection(context, |connection| {
        catalog::newest(connection, table, column).map_err(CodecError::Sqlite)
    })
}

/// The longest value that this connection permits, in bytes.
pub(super) fn max_len(context: &Context<'_>) -> Result<usize, CodecError> {
    with_connection(context, |connection| {
        let limit = connection
            .limit(Limit::SQLITE_LIMIT_LENGTH)
            .map_err(CodecError::Sqlite)?;
        Ok(usize::try_from(limit).unwrap_or_default())
    })
}
