//! `zqlite backup`

use std::io::Write;

use anyhow::Result;
use zqlite::BackupOptions;

use crate::args::Backup;
use crate::output::{self, Remarks, printable};
use crate::progress::Progress;
use crate::{keys, new_keys, open};

pub(super) fn run(args: Backup, remarks: Remarks) -> Result<()> {
    let slots = new_keys::slots(&args.new, remarks)?;
    let credentials = open::credentials(&args.keys, remarks)?;
    let mut options = BackupOptions::new(credentials.keyring);
    options.signed_by = credentials.signed_by;
    if let Some(path) = &args.sign_with {
        // One key for the header of a backup for others, one for the seal.
        if slots.is_some() {
            options.signing_key = Some(keys::signing_key(path, remarks)?);
        }
        options.seal_with = Some(keys::signing_key(path, remarks)?);
    }
    options.slots = slots;
    options.force = args.force;
    let progress = Progress::start("backing up", remarks)?;
    let outcome = zqlite::backup(&args.sealed, &args.out, options, &mut progress.callback());
    drop(progress);
    let made = outcome?;
    if remarks == Remarks::Shown {
        let mut out = output::stdout();
        let name = printable(&args.out.display().to_string());
        let how = if made.resumed {
            ", going on where an interrupted run stopped"
        } else {
            ""
        };
        writeln!(out, "backed up {name}: {} pages{how}", made.pages)?;
        writeln!(out, "file id: {}", made.file_id)?;
        if args.sign_with.is_some() {
            writeln!(
                out,
                "restore it: zqlite restore {name} SEALED --seal {name}.seal --signed-by KEY@{}",
                made.file_id
            )?;
        }
        out.flush()?;
    }
    Ok(())
}
