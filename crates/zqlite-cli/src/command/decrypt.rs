//! `zqlite decrypt`

use anyhow::Result;
use zqlite::DecryptOptions;

use crate::args::Decrypt;
use crate::open;
use crate::output::Remarks;
use crate::progress::Progress;

pub(super) fn run(args: Decrypt, remarks: Remarks) -> Result<()> {
    let mut credentials = open::credentials(&args.keys, remarks)?;
    credentials.anchor = args.anchored.anchor();
    let mut options = DecryptOptions::new(credentials.keyring);
    options.signed_by = credentials.signed_by;
    options.force = args.force;
    options.anchor = credentials.anchor;
    let progress = Progress::start("opening", remarks)?;
    zqlite::decrypt(&args.sealed, &args.plain, options, &mut progress.callback())?;
    drop(progress);
    remarks.note(&format!(
        "{} is plain: anyone who reads it reads the data",
        args.plain.display()
    ));
    Ok(())
}
