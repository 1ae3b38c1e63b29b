//! The command line.

use std::io::ErrorKind;
use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use zqlite::pq::page::PageSize;

use crate::exit::Status;
use crate::output;

mod compress;
mod copies;
mod examples;
mod owner;
mod seal;

pub(crate) use compress::{Compress, Decompress};
pub(crate) use copies::{Backup, NewKeys, Restore, Salvage};
pub(crate) use owner::{AddRecipient, Recipients, Rekey};
pub(crate) use seal::{Anchored, Proof, Seal};

/// Seal SQLite databases so that only the right post-quantum key opens them, and work with them.
#[derive(Debug, Parser)]
#[command(name = "zqlite", version, max_term_width = 100, after_help = examples::ZQLITE)]
pub(crate) struct Zqlite {
    /// Print no warnings, notes or progress on stderr; errors are printed regardless
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make an identity; its recipient is the last line of stdout
    #[command(after_help = examples::KEYGEN)]
    Keygen(Output),
    /// Print the recipient of each identity in a file
    #[command(after_help = examples::RECIPIENT)]
    Recipient {
        /// The identity file; - is stdin
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        identity_file: PathBuf,
    },
    /// Make keys that sign sealed databases, and print their public half
    #[command(subcommand)]
    SigningKey(SigningKey),
    /// See and change who may open a sealed file
    #[command(subcommand)]
    Recipients(Recipients),
    /// Replace a sealed file's key while others work with it
    #[command(after_help = examples::REKEY)]
    Rekey(Rekey),
    /// Seal a plain SQLite database into a new file
    #[command(after_help = examples::ENCRYPT)]
    Encrypt(Encrypt),
    /// Write the plain SQLite database of a sealed file
    #[command(after_help = examples::DECRYPT)]
    Decrypt(Decrypt),
    /// Compress a column with a dictionary trained on its rows
    #[command(after_help = examples::COMPRESS)]
    Compress(Compress),
    /// Make a compressed column plain again
    #[command(after_help = examples::DECOMPRESS)]
    Decompress(Decompress),
    /// Run SQL on a sealed database
    #[command(after_help = examples::QUERY)]
    Query(Query),
    /// Work with a sealed database line by line
    #[command(after_help = examples::SHELL)]
    Shell(ShellArgs),
    /// Show what a sealed file says without a key; it proves nothing
    #[command(after_help = examples::INSPECT)]
    Inspect(Inspect),
    /// Check every page, both header copies and the database's structure
    #[command(after_help = examples::VERIFY)]
    Verify(Verify),
    /// Sign the state of a sealed database: every byte of its file
    #[command(after_help = examples::SEAL)]
    Seal(Seal),
    /// Make or check the proof that a page belongs to a sealed state
    #[command(after_help = examples::PROOF)]
    Proof(Proof),
    /// Copy a sealed file while others use it
    #[command(after_help = examples::BACKUP)]
    Backup(Backup),
    /// Put a backup in place, if it is what its signer sealed
    #[command(after_help = examples::RESTORE)]
    Restore(Restore),
    /// Save what opens of a damaged sealed file into a new one
    #[command(after_help = examples::SALVAGE)]
    Salvage(Salvage),
    /// See the whole story on a generated database: keys, seal, query, the attacks that fail
    #[command(after_help = examples::DEMO)]
    Demo {
        /// Work in this folder and keep it; it must be empty or not exist yet
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        dir: Option<PathBuf>,
    },
    /// Print the completion script of a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions {
        /// The shell
        shell: Shell,
    },
}

impl Command {
    /// Whether nothing is lost when the reader of stdout goes away early, as `head` does. `verify` and `inspect`
    /// have their verdict before they print.
    pub(crate) const fn may_be_cut_short(&self) -> bool {
        match self {
            Self::Completions { .. }
            | Self::Inspect(_)
            | Self::Recipients(Recipients::List { .. })
            | Self::Verify(_) => true,
            Self::Compress(args) => args.list,
            Self::Proof(args) => args.check.is_some(),
            Self::Query(args) => !args.write,
            Self::Shell(args) => args.read_only,
            Self::Backup(_)
            | Self::Decompress(_)
            | Self::Decrypt(_)
            | Self::Demo { .. }
            | Self::Encrypt(_)
            | Self::Keygen(_)
            | Self::Recipient { .. }
            | Self::Recipients(_)
            | Self::Rekey(_)
            | Self::Seal(_)
            | Self::Restore(_)
            | Self::Salvage(_)
            | Self::SigningKey(_) => false,
        }
    }

    /// The argument that is SQL: data may hold anything.
    fn sql(&self) -> Option<&str> {
        match self {
            Self::Query(args) => args.sql.as_deref().filter(|sql| !begins_with_secret(sql)),
            _ => None,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum SigningKey {
    /// Make a signing key; its verifying key is the last line of stdout
    #[command(after_help = examples::SIGNING_KEY_GENERATE)]
    Generate(Output),
    /// Print the verifying key of a signing key
    #[command(after_help = examples::SIGNING_KEY_PUBLIC)]
    Public {
        /// The signing key file; - is stdin
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        signing_key_file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Output {
    /// Write the secret key to this new file (mode 0600) instead of stdout; never replaces one
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Encrypt {
    /// The plain SQLite database
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) plain: PathBuf,
    /// The sealed file to make
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) sealed: PathBuf,
    /// Seal to this recipient (age1pq1…); repeatable, as are all keys
    #[arg(long, short, value_name = "RECIPIENT")]
    pub(crate) recipient: Vec<String>,
    /// Seal to the recipients in this file, one to a line
    #[arg(long, short = 'R', value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) recipients_file: Vec<PathBuf>,
    /// Seal to the passphrase in this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) passphrase_file: Vec<PathBuf>,
    /// Seal to a passphrase that is asked for
    #[arg(long, short)]
    pub(crate) passphrase: bool,
    /// Seal to the raw key in this file: 32 bytes, or 64 hexadecimal digits
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) raw_key_file: Vec<PathBuf>,
    /// Sign the header with the signing key in this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) sign_with: Option<PathBuf>,
    /// Page size of the sealed file: 4096, 8192, 16384, 32768 or 65536 [default: as the plain one, at least 4096]
    #[arg(long, value_name = "N", value_parser = page_size)]
    pub(crate) page_size: Option<PageSize>,
    /// Replace SEALED if it exists
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Decrypt {
    /// The sealed file
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) sealed: PathBuf,
    /// The plain SQLite database to make
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) plain: PathBuf,
    /// Replace PLAIN if it exists
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) keys: Keys,
    #[command(flatten)]
    pub(crate) anchored: Anchored,
}

#[derive(Debug, Args)]
pub(crate) struct Query {
    /// The sealed file
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) sealed: PathBuf,
    /// SQL, one or more statements; - or nothing reads stdin
    #[arg(value_name = "SQL")]
    pub(crate) sql: Option<String>,
    /// Permit statements that change the database
    #[arg(long)]
    pub(crate) write: bool,
    #[command(flatten)]
    pub(crate) keys: Keys,
    #[command(flatten)]
    pub(crate) anchored: Anchored,
    #[command(flatten)]
    pub(crate) mode: Mode,
}

#[derive(Debug, Args)]
pub(crate) struct ShellArgs {
    /// The sealed file
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) sealed: PathBuf,
    /// Permit no change
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Permit SQL to write the schema table itself: needed to read back a dump that has virtual tables
    #[arg(long, conflicts_with = "read_only")]
    pub(crate) allow_schema_writes: bool,
    /// Keep the lines that are typed in this file; without it none are kept
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) history: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) keys: Keys,
    #[command(flatten)]
    pub(crate) anchored: Anchored,
    #[command(flatten)]
    pub(crate) mode: Mode,
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// The sealed file
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) sealed: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The sealed file
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) sealed: PathBuf,
    /// Refuse a header of a lower generation: an old copy of the file
    #[arg(long, value_name = "N")]
    pub(crate) min_generation: Option<u64>,
    /// Check that every byte is as this seal says, without any key of SEALED; --signed-by names the seal's signer
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "signed_by",
        conflicts_with_all = ["min_generation", "anchor", "identity", "passphrase", "passphrase_file", "raw_key_file"])]
    pub(crate) seal: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) keys: Keys,
    #[command(flatten)]
    pub(crate) anchored: Anchored,
}

/// The keys that open a sealed file, and who must have made it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Keys")]
pub(crate) struct Keys {
    /// Open with the identities in this file; - is stdin, /dev/fd/N a descriptor; repeatable, as are all keys
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) identity: Vec<PathBuf>,
    /// Open with the passphrase in this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) passphrase_file: Vec<PathBuf>,
    /// Open with a passphrase that is asked for; so it is on a terminal if no key is named
    #[arg(long, short)]
    pub(crate) passphrase: bool,
    /// Open with the raw key in this file: 32 bytes, or 64 hexadecimal digits
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) raw_key_file: Vec<PathBuf>,
    /// Refuse a file that this verifying key has not signed (text or a file that holds it), or that has another file id
    #[arg(long, value_name = "KEY[@FILE-ID]")]
    pub(crate) signed_by: Option<String>,
}

/// How rows are printed.
#[derive(Clone, Copy, Debug, Args)]
#[command(group = ArgGroup::new("mode"), next_help_heading = "Output")]
pub(crate) struct Mode {
    /// Aligned columns (the default); blobs as x'…'
    #[arg(long, group = "mode")]
    table: bool,
    /// An array of objects for each statement, on a line of its own; blobs as hexadecimal text
    #[arg(long, group = "mode")]
    json: bool,
    /// RFC 4180, with a header; blobs as x'…', NULL as an empty field
    #[arg(long, group = "mode")]
    csv: bool,
}

/// The forms that rows are printed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// Aligned columns.
    Table,
    /// JSON.
    Json,
    /// Comma-separated values.
    Csv,
}

impl Mode {
    /// The form that was asked for.
    pub(crate) const fn form(self) -> Form {
        if self.json {
            Form::Json
        } else if self.csv {
            Form::Csv
        } else {
            Form::Table
        }
    }
}

/// Reads the command line; prints help, version and what is wrong with it.
pub(crate) fn parse() -> Result<Zqlite, Status> {
    let parsed = Zqlite::try_parse();
    let sql = parsed.as_ref().ok().and_then(|args| args.command.sql());
    let secrets = std::env::args_os()
        .skip(1)
        .filter(|arg| contains_secret(&arg.to_string_lossy()));
    if secrets.count() > sql.map_or(0, |sql| usize::from(contains_secret(sql))) {
        output::complain(
            "a secret key stands on the command line, where others can read it: \
             put it into a file, and make a new one",
        );
        return Err(Status::Usage);
    }
    parsed.map_err(|error| {
        if !error.use_stderr() {
            return match error.print() {
                Ok(()) => Status::Done,
                Err(error) if error.kind() == ErrorKind::BrokenPipe => Status::Done,
                Err(_) => Status::Failure,
            };
        }
        let text = error.to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text);
        output::complain_lines(text.trim_end());
        Status::Usage
    })
}

const SECRETS: [&str; 2] = ["AGE-SECRET-KEY-", "ZQLITE-SIGNING-KEY-1"];

/// Whether a text holds what looks like a secret key, so that it is not repeated.
fn contains_secret(text: &str) -> bool {
    let text = text.to_ascii_uppercase();
    SECRETS.iter().any(|secret| text.contains(secret))
}

fn begins_with_secret(text: &str) -> bool {
    let text = text.trim_start().to_ascii_uppercase();
    SECRETS.iter().any(|secret| text.starts_with(secret))
}

fn page_size(text: &str) -> Result<PageSize, String> {
    let expected = "4096, 8192, 16384, 32768 or 65536";
    let number = text.parse().map_err(|_| expected.to_owned())?;
    PageSize::new(number).map_err(|_| expected.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Zqlite::command().debug_assert();
    }

    #[test]
    fn page_sizes_are_powers_of_two_from_4096() {
        assert!(page_size("4096").is_ok() && page_size("65536").is_ok());
        for wrong in ["0", "2048", "5000", "131072", "x", ""] {
            assert!(page_size(wrong).is_err(), "{wrong}");
        }
    }
}
