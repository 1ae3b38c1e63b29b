//! `zqlite completions`

use std::io::Write;

use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Zqlite;
use crate::output;

pub(super) fn run(shell: Shell) -> Result<()> {
    // The generator panics when its writer fails, as a closed pipe does.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Zqlite::command(), "zqlite", &mut script);
    let mut out = output::stdout();
    out.write_all(&script)?;
    Ok(out.flush()?)
}
