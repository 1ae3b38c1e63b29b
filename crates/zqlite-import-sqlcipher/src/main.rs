//! The command `zqlite-import-sqlcipher`.

use std::fmt::Display;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgGroup, Parser};
use zeroize::Zeroizing;
use zqlite::keys::{Argon2Params, NewSlot, Passphrase, Recipient, SigningKey, SlotKey};
use zqlite::pq::text;
use zqlite_import_sqlcipher::{ImportError, ImportOptions, OldKey, import};

/// A key file is short; what is longer is another file.
const MAX_LEN: u64 = 1 << 20;

/// Seal the database in a SQLCipher 4 file into a new file of zqlite. No plaintext is written to a disk.
///
/// Exit status: 0 done, 1 failure, 2 wrong command line, 3 the key does not open OLD.
#[derive(Debug, Parser)]
#[command(
    name = "zqlite-import-sqlcipher",
    version,
    group = ArgGroup::new("key").required(true),
    group = ArgGroup::new("new").required(true).multiple(true)
)]
struct Args {
    /// The SQLCipher 4 file, with its default settings; nothing is written to it
    old: PathBuf,
    /// The sealed file to make
    sealed: PathBuf,
    /// Open OLD with the passphrase in this file
    #[arg(long, group = "key", value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Open OLD with the raw key in this file: 32 bytes, or 64 hexadecimal digits
    #[arg(long, group = "key", value_name = "FILE")]
    raw_key_file: Option<PathBuf>,
    /// Seal to this recipient (age1pq1…); repeatable, as are all keys
    #[arg(long, short, group = "new", value_name = "RECIPIENT")]
    recipient: Vec<String>,
    /// Seal to the recipients in this file, one to a line
    #[arg(long, short = 'R', group = "new", value_name = "FILE")]
    recipients_file: Vec<PathBuf>,
    /// Seal to the passphrase in this file
    #[arg(long, group = "new", value_name = "FILE")]
    new_passphrase_file: Vec<PathBuf>,
    /// Sign the header with the signing key in this file
    #[arg(long, value_name = "FILE")]
    sign_with: Option<PathBuf>,
    /// Replace SEALED if it exists
    #[arg(long)]
    force: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let (message, status) = match run(&args) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Import(error @ ImportError::NoKey(_))) => (error.to_string(), 3),
        Err(Failure::Import(error)) => (error.to_string(), 1),
        Err(Failure::Key(message)) => (message, 1),
    };
    let _unheard = writeln!(std::io::stderr(), "zqlite-import-sqlcipher: {message}");
    ExitCode::from(status)
}

enum Failure {
    Key(String),
    Import(ImportError),
}

fn run(args: &Args) -> Result<(), Failure> {
    let key = match (&args.passphrase_file, &args.raw_key_file) {
        (Some(path), _) => OldKey::Passphrase(passphrase(path)?),
        (None, Some(path)) => OldKey::Raw(raw_key(path)?),
        (None, None) => return Err(Failure::Key("no key for the old file".to_owned())),
    };
    let mut options = ImportOptions::new(key, slots(args)?);
    if let Some(path) = &args.sign_with {
        let mut keys: Vec<SigningKey> =
            text::parse_signing_key_file(&read_text(path)?).map_err(|error| about(path, error))?;
        match (keys.pop(), keys.len()) {
            (Some(key), 0) => options.signing_key = Some(key),
            _ => return Err(about(path, "not one signing key")),
        }
    }
    options.force = args.force;
    import(&args.old, &args.sealed, options).map_err(Failure::Import)
}

fn slots(args: &Args) -> Result<Vec<NewSlot>, Failure> {
    let mut keys = Vec::new();
    for text in &args.recipient {
        let recipient: Recipient = text
            .trim()
            .parse()
            .map_err(|error| Failure::Key(format!("--recipient: {error}")))?;
        keys.push(SlotKey::Recipient(recipient));
    }
    for path in &args.recipients_file {
        let found =
            text::parse_recipients_file(&read_text(path)?).map_err(|error| about(path, error))?;
        keys.extend(found.into_iter().map(SlotKey::Recipient));
    }
    for path in &args.new_passphrase_file {
        let passphrase = Passphrase::from_bytes(passphrase(path)?.to_vec());
        keys.push(SlotKey::Passphrase(passphrase, Argon2Params::DEFAULT));
    }
    let slot = |key| NewSlot {
        key,
        label: String::new(),
    };
    Ok(keys.into_iter().map(slot).collect())
}

/// One line end at the end is dropped.
fn passphrase(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut bytes = read(path)?;
    for end in [b'\n', b'\r'] {
        if bytes.last() == Some(&end) {
            bytes.pop();
        }
    }
    if bytes.is_empty() {
        return Err(about(path, "no passphrase here"));
    }
    Ok(bytes)
}

/// 32 bytes, or 64 hexadecimal digits and an optional line end.
fn raw_key(path: &Path) -> Result<Zeroizing<[u8; 32]>, Failure> {
    let bytes = read(path)?;
    if let Ok(key) = <[u8; 32]>::try_from(bytes.as_slice()) {
        return Ok(Zeroizing::new(key));
    }
    let wrong = || about(path, "a raw key is 32 bytes or 64 hexadecimal digits");
    let digits = core::str::from_utf8(&bytes)
        .map_err(|_| wrong())?
        .trim_end();
    let mut key = Zeroizing::new([0; 32]);
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    for (index, byte) in key.iter_mut().enumerate() {
        let pair = digits.get(2 * index..2 * index + 2).ok_or_else(wrong)?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
    }
    Ok(key)
}

fn read_text(path: &Path) -> Result<Zeroizing<String>, Failure> {
    match core::str::from_utf8(&read(path)?) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(about(path, "not a key file: it is no text")),
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    // Room for all of it: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(8_192));
    File::open(path)
        .and_then(|file| file.take(MAX_LEN).read_to_end(&mut bytes))
        .map_err(|error| about(path, error))?;
    Ok(bytes)
}

fn about(path: &Path, what: impl Display) -> Failure {
    Failure::Key(format!("{}: {what}", path.display()))
}
