//! The arguments of the owner's acts.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::{Keys, examples};

#[derive(Debug, Subcommand)]
pub(crate) enum Recipients {
    /// List the slots of a sealed file: number, kind, label, public key
    #[command(after_help = examples::RECIPIENTS_LIST)]
    List {
        /// The sealed file
        #[arg(value_hint = ValueHint::FilePath)]
        sealed: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        keys: Keys,
    },
    /// Let another key open a sealed file; no page is touched
    #[command(after_help = examples::RECIPIENTS_ADD)]
    Add(AddRecipient),
    /// Take keys away from a sealed file
    #[command(after_help = examples::RECIPIENTS_REMOVE)]
    Remove {
        /// The sealed file
        #[arg(value_hint = ValueHint::FilePath)]
        sealed: PathBuf,
        /// Whose slots: a label, #N for the slot of that number, or a recipient (age1pq1…)
        #[arg(required = true, value_name = "WHO")]
        who: Vec<String>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
        /// Sign the header with the signing key in this file: needed if the file is signed
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        sign_with: Option<PathBuf>,
        #[command(flatten)]
        keys: Keys,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AddRecipient {
    /// The sealed file
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) sealed: PathBuf,
    /// Add this recipient (age1pq1…); repeatable, as are all keys
    #[arg(long, short, value_name = "RECIPIENT")]
    pub(crate) recipient: Vec<String>,
    /// Add the recipients in this file, one to a line
    #[arg(long, short = 'R', value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) recipients_file: Vec<PathBuf>,
    /// Add the passphrase in this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) new_passphrase_file: Vec<PathBuf>,
    /// Add a passphrase that is asked for
    #[arg(long)]
    pub(crate) new_passphrase: bool,
    /// Add the raw key in this file: 32 bytes, or 64 hexadecimal digits
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) new_raw_key_file: Vec<PathBuf>,
    /// What key holders see in a listing, at most 63 bytes; for one key
    #[arg(long, value_name = "NAME")]
    pub(crate) label: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Sign the header with the signing key in this file: needed if the file is signed
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) sign_with: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) keys: Keys,
}

#[derive(Debug, Args)]
pub(crate) struct Rekey {
    /// The sealed file
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) sealed: PathBuf,
    /// Seal at most so many MiB anew per second, so that others keep the disk; 0: no limit
    #[arg(long, value_name = "MIB", default_value_t = 2)]
    pub(crate) rate: u64,
    /// A key was stolen: only the slots that --keep names get the new one; the rest is removed
    #[arg(long, requires = "keep")]
    pub(crate) compromised: bool,
    /// A slot that stays: a label, #N for the slot of that number, or a recipient (age1pq1…); repeatable
    #[arg(long, value_name = "LABEL", requires = "compromised", num_args = 1..)]
    pub(crate) keep: Vec<String>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Sign the header with the signing key in this file: needed if the file is signed, except to go on with a rekey
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) sign_with: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) keys: Keys,
}
