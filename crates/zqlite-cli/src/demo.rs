//! `zqlite demo`: the whole story on a generated database, every expectation checked.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::exit::Fault;
use crate::output::{self, Stdout};
use crate::process;

mod attack;
mod cast;
mod story;

/// Plays the story in `dir`, which is kept, or in a temporary folder, which is not.
pub(crate) fn run(dir: Option<&Path>) -> Result<()> {
    process::catch_signals()?;
    let temporary = match dir {
        Some(dir) => {
            prepare(dir)?;
            None
        }
        None => Some(tempfile::Builder::new().prefix("zqlite-demo-").tempdir()?),
    };
    let folder = temporary
        .as_ref()
        .map_or_else(|| dir.unwrap_or(Path::new(".")), |t| t.path());
    let mut stage = Stage {
        folder: folder.to_owned(),
        out: output::stdout(),
        held: 0,
        failed: 0,
    };
    let cast = cast::Cast::meet(&mut stage)?;
    story::play(&mut stage, &cast)?;
    attack::play(&mut stage, &cast)?;
    say_what_next(&mut stage, dir)?;
    let Stage { held, failed, .. } = stage;
    if failed > 0 {
        bail!(Fault::new(format!(
            "{failed} of {} expectations did not hold",
            held + failed
        )));
    }
    Ok(())
}

/// Where the story is played and told.
struct Stage {
    folder: PathBuf,
    out: Stdout,
    held: u32,
    failed: u32,
}

impl Stage {
    /// The path of a file.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Begins a chapter.
    fn chapter(&mut self, title: &str) -> Result<()> {
        writeln!(self.out, "\n{title}")?;
        Ok(self.out.flush()?)
    }

    /// Tells one thing.
    fn say(&mut self, line: &str) -> Result<()> {
        if process::interrupted() {
            return Err(zqlite::Error::Interrupted.into());
        }
        writeln!(self.out, "  {}", output::printable(line))?;
        Ok(self.out.flush()?)
    }

    /// Checks one thing; `found` says what was found instead.
    fn expect(&mut self, what: &str, holds: bool, found: &str) -> Result<()> {
        if holds {
            self.held += 1;
            self.say(&format!("✓ {what}"))
        } else {
            self.failed += 1;
            self.say(&format!("✗ {what}; found: {found}"))
        }
    }
}

fn prepare(dir: &Path) -> Result<()> {
    let name = || dir.display().to_string();
    fs::create_dir_all(dir).with_context(name)?;
    if fs::read_dir(dir).with_context(name)?.next().is_some() {
        bail!(
            Fault::new(format!("{}: not empty", name()))
                .hint("name a folder that does not exist yet")
        );
    }
    Ok(())
}

fn say_what_next(stage: &mut Stage, dir: Option<&Path>) -> Result<()> {
    stage.chapter("What to try next")?;
    if dir.is_none() {
        stage.say("zqlite demo --dir story      (keeps the files)")?;
    }
    let dir = dir.unwrap_or(Path::new("story")).display();
    let keys = format!("-i {dir}/alice.identity --signed-by {dir}/owner.verify");
    stage.say(&format!("zqlite inspect {dir}/sealed.db"))?;
    stage.say(&format!(
        "zqlite query {dir}/sealed.db {keys} \"SELECT * FROM person LIMIT 5\""
    ))?;
    stage.say(&format!("zqlite shell {dir}/sealed.db {keys}"))?;
    stage.say(&format!(
        "zqlite verify {dir}/attack-header-copy.db {keys}; echo $?"
    ))?;
    stage.say(&format!(
        "zqlite query {dir}/sealed.db -i {dir}/mallory.identity \"SELECT 1\"; echo $?"
    ))?;
    stage.say(&format!(
        "zqlite decrypt {dir}/sealed.db {dir}/again.db {keys}"
    ))
}
