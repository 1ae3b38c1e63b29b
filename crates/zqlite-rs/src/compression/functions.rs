//! The SQL functions `zqlite_compress`, `zqlite_decompress`, `zqlite_dictionary_of`.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};

use rusqlite::Connection;
use rusqlite::ffi::{SQLITE_CORRUPT, SQLITE_ERROR, SQLITE_NOMEM, SQLITE_TOOBIG};
use rusqlite::functions::{Context, FunctionFlags, SqlFnArg};
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};

use super::dictionary::{Codec, CodecError};
use super::ffi;
use super::stored::{self, Stored, Type};
use crate::Error;

/// From this length on the connection's own limit is asked for before memory is: SQLite checks shorter values itself.
const ASK_LIMIT_FROM: usize = 1 << 16;

/// Registers the functions that compressed columns need on a connection. [`Builder::open`](crate::Builder::open)
/// does it; a connection that was opened otherwise needs it before it reads a compressed column.
///
/// | function | gives |
/// | --- | --- |
/// | `zqlite_compress(value, dictionary)` | the value as it is stored: compressed with the dictionary of this id (with none if it is NULL) if that makes it smaller |
/// | `zqlite_compress(value, table, column)` | the same with the newest dictionary of the column |
/// | `zqlite_decompress(stored)` | the value, with its type; what is no compressed value stands for itself |
/// | `zqlite_dictionary_of(stored)` | the id of the dictionary that the value needs, or NULL |
///
/// All are innocuous: views and triggers may use them where the schema is not trusted.
///
/// # Errors
/// SQLite's, if a statement that uses one of them is running.
pub fn register(connection: &Connection) -> Result<(), Error> {
    let codec = Arc::new(Mutex::new(Codec::new()));
    let innocuous = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_INNOCUOUS;
    // Not `compress`: another version of zstd may give other bytes.
    let pure = innocuous | FunctionFlags::SQLITE_DETERMINISTIC;
    let shared = Arc::clone(&codec);
    connection.create_scalar_function("zqlite_compress", 2, innocuous, move |context| {
        let id = context.get::<Option<i64>>(1)?;
        let mut codec = lock(&shared)?;
        compress(context, &mut codec, id).map_err(sql_error)
    })?;
    let shared = Arc::clone(&codec);
    connection.create_scalar_function("zqlite_compress", 3, innocuous, move |context| {
        let (table, column) = (context.get::<String>(1)?, context.get::<String>(2)?);
        let id = ffi::newest(context, &table, &column).map_err(sql_error)?;
        let mut codec = lock(&shared)?;
        compress(context, &mut codec, id).map_err(sql_error)
    })?;
    connection.create_scalar_function("zqlite_decompress", 1, pure, move |context| {
        let mut codec = lock(&codec)?;
        decompress(context, &mut codec).map_err(sql_error)
    })?;
    connection.create_scalar_function("zqlite_dictionary_of", 1, pure, |context| match context
        .get_raw(0)
    {
        ValueRef::Blob(blob) => match stored::decode(blob) {
            Ok(Stored::Frame(frame)) => Ok(frame.dictionary),
            Ok(_) => Ok(None),
            Err(malformed) => Err(sql_error(malformed.into())),
        },
        _ => Ok(None),
    })?;
    Ok(())
}

/// Whether the functions are there.
pub(super) fn are_registered(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT count(DISTINCT name) = 3 FROM pragma_function_list
         WHERE name IN ('zqlite_compress', 'zqlite_decompress', 'zqlite_dictionary_of')",
        [],
        |row| row.get(0),
    )
}

/// A panic elsewhere leaves a codec that still knows what its dictionaries are. A codec that is in use was called by
/// itself: some schema has the reading of a dictionary need the dictionary.
fn lock(codec: &Mutex<Codec>) -> rusqlite::Result<MutexGuard<'_, Codec>> {
    match codec.try_lock() {
        Ok(codec) => Ok(codec),
        Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => Err(sql_error(CodecError::BadDictionary)),
    }
}

/// What a function gives: its argument, or bytes with a type.
enum Outcome {
    Same(SqlFnArg),
    Bytes(Type, Vec<u8>),
}

impl ToSql for Outcome {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Same(argument) => argument.to_sql(),
            Self::Bytes(Type::Text, text) => Ok(ToSqlOutput::Borrowed(ValueRef::Text(text))),
            Self::Bytes(Type::Blob, blob) => Ok(ToSqlOutput::Borrowed(ValueRef::Blob(blob))),
        }
    }
}

fn compress(
    context: &Context<'_>,
    codec: &mut Codec,
    id: Option<i64>,
) -> Result<Outcome, CodecError> {
    let (value_type, value) = match context.get_raw(0) {
        // A column may turn it into a number; compressed, it would stay text.
        ValueRef::Text(text) if may_be_number(text) => {
            return Ok(Outcome::Same(context.get_arg(0)));
        }
        ValueRef::Text(text) => (Type::Text, text),
        ValueRef::Blob(blob) => (Type::Blob, blob),
        _ => return Ok(Outcome::Same(context.get_arg(0))),
    };
    let load = |id| ffi::load(context, id);
    match codec.compress(value_type, value, id, load)? {
        Some(stored) => Ok(Outcome::Bytes(Type::Blob, stored)),
        None if value_type == Type::Blob && stored::is_mistakable(value) => {
            Ok(Outcome::Bytes(Type::Blob, stored::escape(value)))
        }
        None => Ok(Outcome::Same(context.get_arg(0))),
    }
}

/// Whether nothing in a text keeps it from being a number.
fn may_be_number(text: &[u8]) -> bool {
    text.iter()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E' | b' ' | 9..=13))
}

fn decompress(context: &Context<'_>, codec: &mut Codec) -> Result<Outcome, CodecError> {
    let ValueRef::Blob(blob) = context.get_raw(0) else {
        return Ok(Outcome::Same(context.get_arg(0)));
    };
    match stored::decode(blob)? {
        Stored::Plain => Ok(Outcome::Same(context.get_arg(0))),
        Stored::Escaped(blob) => Ok(Outcome::Bytes(Type::Blob, blob.to_vec())),
        Stored::Frame(frame) => {
            let max_len = |len| {
                if len < ASK_LIMIT_FROM {
                    Ok(len)
                } else {
                    ffi::max_len(context)
                }
            };
            let load = |id| ffi::load(context, id);
            let value = codec.decompress(&frame, max_len, load)?;
            Ok(Outcome::Bytes(frame.value_type, value))
        }
    }
}

/// What damage does to a page it does to a value: SQLite's own code and words, so that a program need not tell
/// them apart.
fn sql_error(error: CodecError) -> rusqlite::Error {
    let failure = |code, message: Option<String>| {
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), message)
    };
    match error {
        CodecError::Damaged | CodecError::BadDictionary => failure(SQLITE_CORRUPT, None),
        CodecError::TooLarge => failure(SQLITE_TOOBIG, None),
        CodecError::NoDictionary(id) => {
            rusqlite::Error::UserFunctionError(format!("no dictionary has the id {id}").into())
        }
        // With words of its own, rusqlite would leave the code out.
        CodecError::Sqlite(rusqlite::Error::SqliteFailure(error, _))
            if error.extended_code != SQLITE_ERROR =>
        {
            rusqlite::Error::SqliteFailure(error, None)
        }
        // A row of the table of dictionaries has other types.
        CodecError::Sqlite(
            rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..),
        ) => failure(SQLITE_CORRUPT, None),
        CodecError::Sqlite(error) => error,
        CodecError::Zstd(error) if error.kind() == io::ErrorKind::OutOfMemory => {
            failure(SQLITE_NOMEM, None)
        }
        CodecError::Zstd(error) => rusqlite::Error::UserFunctionError(error.into()),
    }
}
