//! The commands that make another sealed file of one: backup, restore, salvage.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::Keys;

#[derive(Debug, Args)]
pub(crate) struct Salvage {
    /// The damaged sealed file
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) damaged: PathBuf,
    /// The sealed file to make
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) new: NewKeys,
    /// Leave a WAL or a journal beside DAMAGED out
    #[arg(long)]
    pub(crate) ignore_wal: bool,
    /// Sign the header of OUT with the signing key in this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) sign_with: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Replace OUT if it exists
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) keys: Keys,
}

/// Who may open the file that is made, if it is not to be who may open the other.
#[derive(Debug, Args)]
#[command(next_help_heading = "Keys of the new file")]
pub(crate) struct NewKeys {
    /// Seal the new file to this recipient (age1pq1…); repeatable, as are all keys
    #[arg(long, short, value_name = "RECIPIENT")]
    pub(crate) recipient: Vec<String>,
    /// Seal the new file to the recipients in this file, one to a line
    #[arg(long, short = 'R', value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) recipients_file: Vec<PathBuf>,
    /// Seal the new file to the passphrase in this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) new_passphrase_file: Vec<PathBuf>,
    /// Seal the new file to the raw key in this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) new_raw_key_file: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The sealed file; others may use it meanwhile
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) sealed: PathBuf,
    /// The backup to make
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) new: NewKeys,
    /// Sign the state of the backup with the signing key in this file: the seal is OUT.seal. Signs the header as well if
    /// the backup is for others
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) sign_with: Option<PathBuf>,
    /// Replace OUT, and OUT.seal, if they exist
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) keys: Keys,
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The backup
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) backup: PathBuf,
    /// The sealed file to make of it
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) sealed: PathBuf,
    /// The seal of the backup
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) seal: PathBuf,
    /// Refuse a seal that this verifying key has not signed (text or a file that holds it), or of another file id
    #[arg(long, value_name = "KEY[@FILE-ID]")]
    pub(crate) signed_by: String,
    /// Replace SEALED if it exists, with its WAL and journal; nobody may have it open
    #[arg(long)]
    pub(crate) force: bool,
}
