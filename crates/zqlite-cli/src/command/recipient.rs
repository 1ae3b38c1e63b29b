//! `zqlite recipient`

use std::io::Write;
use std::path::Path;

use anyhow::Result;

use crate::keys;
use crate::output::{self, Remarks};

pub(super) fn run(path: &Path, remarks: Remarks) -> Result<()> {
    let identities = keys::identities(path, remarks)?;
    let mut out = output::stdout();
    for identity in identities {
        writeln!(out, "{}", identity.recipient())?;
    }
    Ok(out.flush()?)
}
