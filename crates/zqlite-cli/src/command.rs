//! The subcommands, one file each.

use anyhow::Result;

use crate::args::{Command, SigningKey, Zqlite};
use crate::output::Remarks;

mod backup;
mod completions;
mod compress;
mod decrypt;
mod encrypt;
mod inspect;
mod keygen;
mod proof;
mod query;
mod recipient;
mod recipients;
mod rekey;
mod restore;
mod salvage;
mod seal;
mod shell;
mod signing_key;
mod verify;

/// Runs what the command line asks for.
pub(crate) fn run(args: Zqlite) -> Result<()> {
    let remarks = if args.quiet {
        Remarks::Hidden
    } else {
        Remarks::Shown
    };
    match args.command {
        Command::Backup(args) => backup::run(args, remarks),
        Command::Completions { shell } => completions::run(shell),
        Command::Compress(args) => compress::run(&args, remarks),
        Command::Decompress(args) => compress::decompress(&args, remarks),
        Command::Decrypt(args) => decrypt::run(args, remarks),
        Command::Demo { dir } => crate::demo::run(dir.as_deref()),
        Command::Encrypt(args) => encrypt::run(args, remarks),
        Command::Inspect(args) => inspect::run(&args),
        Command::Keygen(output) => keygen::run(output.output.as_deref(), remarks),
        Command::Proof(args) => proof::run(&args, remarks),
        Command::Query(args) => query::run(args, remarks),
        Command::Recipient { identity_file } => recipient::run(&identity_file, remarks),
        Command::Recipients(args) => recipients::run(args, remarks),
        Command::Rekey(args) => rekey::run(args, remarks),
        Command::Seal(args) => seal::run(&args, remarks),
        Command::Restore(args) => restore::run(&args, remarks),
        Command::Salvage(args) => salvage::run(args, remarks),
        Command::Shell(args) => shell::run(args, remarks),
        Command::SigningKey(SigningKey::Generate(output)) => {
            signing_key::generate(output.output.as_deref(), remarks)
        }
        Command::SigningKey(SigningKey::Public { signing_key_file }) => {
            signing_key::public(&signing_key_file, remarks)
        }
        Command::Verify(args) => verify::run(args, remarks),
    }
}
