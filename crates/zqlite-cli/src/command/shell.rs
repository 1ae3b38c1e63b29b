//! `zqlite shell`

use anyhow::Result;

use crate::args::ShellArgs;
use crate::open::{self, Access};
use crate::output::Remarks;
use crate::shell::Shell;

pub(super) fn run(args: ShellArgs, remarks: Remarks) -> Result<()> {
    let mut credentials = open::credentials(&args.keys, remarks)?;
    credentials.anchor = args.anchored.anchor();
    let access = if args.read_only {
        Access::Read
    } else if args.allow_schema_writes {
        Access::WriteSchema
    } else {
        Access::Write
    };
    let connection = open::connect(&args.sealed, credentials, access)?;
    let shell = Shell::new(&connection, args.mode.form());
    shell.run(args.history.as_deref())?;
    connection
        .close()
        .map_err(|(_, error)| zqlite::Error::from(error))?;
    Ok(())
}
