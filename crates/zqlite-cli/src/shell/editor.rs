//! The shell on a terminal.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};

use super::{Flow, Shell};

/// Reads lines with editing. Without a history file, what was typed is forgotten with the process.
pub(super) fn run(shell: &mut Shell<'_>, history: Option<&Path>) -> Result<()> {
    let config = Config::builder().auto_add_history(true).build();
    let mut editor: Editor<(), FileHistory> = Editor::with_config(config)?;
    if let Some(path) = history.filter(|path| path.exists()) {
        editor
            .load_history(path)
            .with_context(|| path.display().to_string())?;
    }
    writeln!(
        shell.out,
        "zqlite {}, .help lists the commands",
        env!("CARGO_PKG_VERSION")
    )?;
    let mut pending = String::new();
    loop {
        shell.out.flush()?;
        let prompt = if pending.is_empty() {
            "zqlite> "
        } else {
            "   ...> "
        };
        let line = match editor.readline(prompt) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => {
                pending.clear();
                continue;
            }
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error.into()),
        };
        match shell.feed(&mut pending, &line) {
            Ok(Flow::Continue) => {}
            Ok(Flow::Quit) => break,
            Err(error) => {
                pending.clear();
                shell.out.flush()?;
                Shell::complain(&error);
            }
        }
    }
    if let Some(path) = history {
        editor
            .save_history(path)
            .with_context(|| path.display().to_string())?;
    }
    Ok(shell.out.flush()?)
}
