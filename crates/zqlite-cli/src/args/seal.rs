//! The command lines of signed states.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::Keys;

#[derive(Debug, Args)]
pub(crate) struct Seal {
    /// The sealed database
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) sealed: PathBuf,
    /// Sign with the signing key in this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) sign_with: PathBuf,
    /// The seal to make [default: SEALED with .seal behind it]
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    /// Replace the seal if it exists
    #[arg(long)]
    pub(crate) force: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) keys: Keys,
}

#[derive(Debug, Args)]
pub(crate) struct Proof {
    /// The sealed database, in the state of the seal: makes the proof of one of its pages
    #[arg(value_hint = ValueHint::FilePath, required_unless_present = "check", requires_all = ["page", "output"])]
    pub(crate) sealed: Option<PathBuf>,
    /// The seal
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) seal: PathBuf,
    /// The page to prove, counted from 1
    #[arg(long, value_name = "N", requires = "sealed")]
    pub(crate) page: Option<u32>,
    /// The proof to make
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "sealed")]
    pub(crate) output: Option<PathBuf>,
    /// Replace the proof if it exists
    #[arg(long, requires = "sealed")]
    pub(crate) force: bool,
    /// Check the proof in this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "sealed", requires = "signed_by")]
    pub(crate) check: Option<PathBuf>,
    /// Refuse a seal that this verifying key has not signed (text or a file that holds it), or of another file id
    #[arg(long, value_name = "KEY[@FILE-ID]")]
    pub(crate) signed_by: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// What tells an old header from the newest.
#[derive(Debug, Args)]
#[command(next_help_heading = "Keys")]
pub(crate) struct Anchored {
    /// Refuse a header that is older than this file remembers, and have it remember a newer one; it is made if it does
    /// not exist. Keep it where nobody writes who can write SEALED
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) anchor: Option<PathBuf>,
}

impl Anchored {
    /// The anchor that was named.
    pub(crate) fn anchor(&self) -> Option<std::sync::Arc<dyn zqlite::Anchor>> {
        let path = self.anchor.as_ref()?;
        Some(std::sync::Arc::new(zqlite::FileAnchor::new(path)))
    }
}
