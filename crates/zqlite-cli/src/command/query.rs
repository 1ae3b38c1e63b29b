//! `zqlite query`

use std::io::{self, IsTerminal, Write};

use anyhow::{Context, Result, bail};

use crate::args::Query;
use crate::exit::{self, Fault};
use crate::keys;
use crate::open::{self, Access};
use crate::output::{self, Remarks};
use crate::rows::{Printer, Separator};
use crate::statement;

pub(super) fn run(args: Query, remarks: Remarks) -> Result<()> {
    if args.sql.is_none() && io::stdin().is_terminal() {
        bail!(Fault::usage("no SQL").hint("give it as the last argument, or - to type it"));
    }
    let mut credentials = open::credentials(&args.keys, remarks)?;
    credentials.anchor = args.anchored.anchor();
    let sql = match args.sql.as_deref() {
        None | Some("-") => read_stdin()?,
        Some(sql) => sql.to_owned(),
    };
    let access = if args.write {
        Access::Write
    } else {
        Access::Read
    };
    let connection = open::connect(&args.sealed, credentials, access)?;
    let mut out = output::stdout();
    let mut printer = Printer::new(args.mode.form(), Separator::BlankLine);
    let outcome = printer.run(&connection, &sql, &mut out);
    // What was printed before an error belongs to the reader, and the error weighs more than a reader that left.
    let flushed = out.flush();
    outcome.map_err(|error| explain_read_only(error, access))?;
    flushed?;
    connection
        .close()
        .map_err(|(_, error)| zqlite::Error::from(error))?;
    Ok(())
}

fn read_stdin() -> Result<String> {
    statement::read_all(keys::claim_stdin()?, statement::MAX_LEN).context("SQL from stdin")
}

/// SQLite's own text says nothing of `--write`.
fn explain_read_only(error: anyhow::Error, access: Access) -> anyhow::Error {
    use zqlite::rusqlite::ErrorCode;
    let code = match error.downcast_ref::<zqlite::Error>() {
        // It is not the statement that would.
        Some(error) if exit::is_unfinished(error) => None,
        Some(zqlite::Error::Sqlite(error)) => error.sqlite_error_code(),
        _ => None,
    };
    if access == Access::Read && code == Some(ErrorCode::ReadOnly) {
        return Fault::new("the statement would change the database")
            .hint("--write permits it")
            .into();
    }
    error
}
