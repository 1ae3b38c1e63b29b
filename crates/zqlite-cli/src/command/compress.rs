//! `zqlite compress`, `zqlite decompress`

use std::io::Write;

use anyhow::Result;
use serde_json::json;
use zqlite::compression::{self, Column, Options};
use zqlite::rusqlite::Connection;

use super::recipients::print_json;
use crate::args::{Anchored, Compress, Decompress, Keys};
use crate::open::{self, Access};
use crate::output::{self, Remarks, printable};
use crate::progress::Progress;

/// Rows that are recompressed in one transaction: others wait no longer than for these.
const ROWS_A_STEP: u32 = 2_000;

pub(super) fn run(args: &Compress, remarks: Remarks) -> Result<()> {
    let access = if args.list {
        Access::Read
    } else {
        Access::Write
    };
    let connection = connect(&args.sealed, &args.keys, &args.anchored, access, remarks)?;
    match (&args.table, &args.column) {
        (Some(table), Some(column)) if args.retrain => {
            retrain(&connection, args, table, column, remarks)
        }
        (Some(table), Some(column)) => compress(&connection, args, table, column, remarks),
        _ => list(&compression::columns(&connection)?, args.json),
    }
}

fn connect(
    sealed: &std::path::Path,
    keys: &Keys,
    anchored: &Anchored,
    access: Access,
    remarks: Remarks,
) -> Result<Connection> {
    let mut credentials = open::credentials(keys, remarks)?;
    credentials.anchor = anchored.anchor();
    Ok(open::connect(sealed, credentials, access)?)
}

fn options(args: &Compress) -> Options {
    let mut options = Options::default();
    options.level = args.level.unwrap_or(options.level);
    options.null_takes_default = args.null_takes_default;
    options
}

fn compress(
    connection: &Connection,
    args: &Compress,
    table: &str,
    column: &str,
    remarks: Remarks,
) -> Result<()> {
    let progress = Progress::start_rows("compressing", remarks)?;
    let outcome = compression::compress_column(
        connection,
        table,
        column,
        &options(args),
        &mut progress.rows_callback(),
    );
    drop(progress);
    let done = outcome?;
    if args.json {
        return print_json(&json!({
            "rows": done.rows,
            "plain_bytes": done.plain_bytes,
            "stored_bytes": done.stored_bytes,
            "dictionary_bytes": done.dictionary_bytes,
        }));
    }
    let saved = saved(done.plain_bytes, done.stored_bytes);
    say(
        remarks,
        &format!(
            "compressed {table}.{column}: {} bytes in {} rows are {} now{saved}, and the dictionary is {}",
            done.plain_bytes, done.rows, done.stored_bytes, done.dictionary_bytes
        ),
        "the file shrinks with the next VACUUM",
    )
}

/// Tenths of a percent, without floating point.
fn saved(before: u64, after: u64) -> String {
    match before.checked_sub(after) {
        Some(saved) if before > 0 => {
            let tenths = saved.saturating_mul(1_000).checked_div(before).unwrap_or(0);
            format!(", {}.{} % less", tenths / 10, tenths % 10)
        }
        _ => String::new(),
    }
}

fn retrain(
    connection: &Connection,
    args: &Compress,
    table: &str,
    column: &str,
    remarks: Remarks,
) -> Result<()> {
    let mut options = options(args);
    if args.level.is_none()
        && let Some(own) = compression::columns(connection)?.into_iter().find(|own| {
            own.table.eq_ignore_ascii_case(table) && own.column.eq_ignore_ascii_case(column)
        })
    {
        options.level = own.level;
    }
    let trained = compression::retrain(connection, table, column, &options)?;
    let mut report = json!({
        "version": trained.version,
        "dictionary_bytes": trained.dictionary_bytes,
    });
    let mut line = format!(
        "retrained {table}.{column}: version {} of the dictionary is {} bytes",
        trained.version, trained.dictionary_bytes
    );
    if !args.new_rows_only {
        let progress = Progress::start_rows("compressing anew", remarks)?;
        let outcome = compression::recompress(
            connection,
            table,
            column,
            ROWS_A_STEP,
            &mut progress.rows_callback(),
        );
        drop(progress);
        let done = outcome?;
        for (name, number) in [
            ("rows", done.rows),
            ("changed", done.changed),
            ("dropped", done.dropped),
        ] {
            report[name] = number.into();
        }
        line = format!(
            "{line}; {} of {} rows are compressed anew, older dictionaries that are gone: {}",
            done.changed, done.rows, done.dropped
        );
    }
    if args.json {
        return print_json(&report);
    }
    say(remarks, &line, "the file shrinks with the next VACUUM")
}

pub(super) fn decompress(args: &Decompress, remarks: Remarks) -> Result<()> {
    let connection = connect(
        &args.sealed,
        &args.keys,
        &args.anchored,
        Access::Write,
        remarks,
    )?;
    let progress = Progress::start_rows("decompressing", remarks)?;
    let outcome = compression::decompress_column(
        &connection,
        &args.table,
        &args.column,
        &mut progress.rows_callback(),
    );
    drop(progress);
    let rows = outcome?;
    if args.json {
        return print_json(&json!({ "rows": rows }));
    }
    let line = format!("decompressed {}.{}: {rows} rows", args.table, args.column);
    say(remarks, &line, "")
}

fn say(remarks: Remarks, line: &str, hint: &str) -> Result<()> {
    if remarks == Remarks::Shown {
        let mut out = output::stdout();
        writeln!(out, "{}", printable(line))?;
        if !hint.is_empty() {
            writeln!(out, "{hint}")?;
        }
        out.flush()?;
    }
    Ok(())
}

fn dictionaries(column: &Column) -> String {
    match column.dictionaries {
        0 => "no dictionary".to_owned(),
        1 => format!("1 dictionary, the newest is version {}", column.version),
        many => format!(
            "{many} dictionaries, the newest is version {}",
            column.version
        ),
    }
}

fn list(columns: &[Column], as_json: bool) -> Result<()> {
    if as_json {
        let all: Vec<_> = columns
            .iter()
            .map(|column| {
                json!({
                    "table": column.table,
                    "column": column.column,
                    "base": column.base,
                    "level": column.level,
                    "dictionaries": column.dictionaries,
                    "version": column.version,
                })
            })
            .collect();
        return print_json(&all.into());
    }
    let mut out = output::stdout();
    for column in columns {
        let line = format!(
            "{}.{}: level {}, {}",
            column.table,
            column.column,
            column.level,
            dictionaries(column)
        );
        writeln!(out, "{}", printable(&line))?;
    }
    Ok(out.flush()?)
}
