//! `zqlite restore`

use anyhow::Result;
use zqlite::RestoreOptions;

use crate::args::Restore;
use crate::keys;
use crate::output::Remarks;
use crate::progress::Progress;

pub(super) fn run(args: &Restore, remarks: Remarks) -> Result<()> {
    let signed_by = keys::expected(&args.signed_by, remarks)?;
    let seal = zqlite::read_seal(&args.seal)?;
    let mut options = RestoreOptions::new(seal, signed_by);
    options.force = args.force;
    let progress = Progress::start("restoring", remarks)?;
    zqlite::restore(
        &args.backup,
        &args.sealed,
        options,
        &mut progress.callback(),
    )?;
    drop(progress);
    remarks.note(&format!(
        "{} is the state that was sealed",
        args.sealed.display()
    ));
    Ok(())
}
