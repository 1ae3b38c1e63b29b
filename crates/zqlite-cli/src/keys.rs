//! Reading keys: from files, descriptors and prompts, never from the command line unless public.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use zeroize::Zeroizing;
use zqlite::key_file::{self, ExpectedText, KeyFileError, MAX_LEN, is_exposed};
use zqlite::pq::header::Expected;
use zqlite::pq::text::KeyTextError;
use zqlite::pq::{Identity, Passphrase, RawKey, Recipient, SigningKey, VerifyingKey};

use crate::exit::Fault;
use crate::output::Remarks;

/// Whether a file's mode matters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    Secret,
    Public,
}

/// The identities of a file. Recipients beside them, as `keygen` prints them to stdout, are passed over.
pub(crate) fn identities(path: &Path, remarks: Remarks) -> Result<Vec<Identity>> {
    let content = read(path, Content::Secret, remarks)?;
    key_file::identities(&content).map_err(|error| at(path, error))
}

/// The only signing key of a file.
pub(crate) fn signing_key(path: &Path, remarks: Remarks) -> Result<SigningKey> {
    let content = read(path, Content::Secret, remarks)?;
    key_file::signing_key(&content).map_err(|error| at(path, error))
}

/// The recipients of a file.
pub(crate) fn recipients(path: &Path, remarks: Remarks) -> Result<Vec<Recipient>> {
    let content = read(path, Content::Public, remarks)?;
    key_file::recipients(&content).map_err(|error| at(path, error))
}

/// A recipient from the command line.
pub(crate) fn recipient(text: &str) -> Result<Recipient> {
    text.trim().parse().map_err(|error| {
        let fault = Fault::usage(format!("--recipient: {error}"));
        match error {
            KeyTextError::Malformed { .. } => fault
                .hint("-R, --recipients-file reads recipients from a file")
                .into(),
            _ => fault.into(),
        }
    })
}

/// `KEY[@FILE-ID]`: the key as text or as a file that holds it.
pub(crate) fn expected(argument: &str, remarks: Remarks) -> Result<Expected> {
    let usage = |error: &dyn std::fmt::Display| Fault::usage(format!("--signed-by: {error}"));
    let text = ExpectedText::parse(argument).map_err(|error| usage(&error))?;
    let (key, file_id) = (text.key, text.file_id);
    let key: VerifyingKey = if text.is_key_text && !Path::new(key).exists() {
        key.parse().map_err(|error: KeyTextError| usage(&error))?
    } else {
        let content = read(Path::new(key), Content::Public, remarks)?;
        key_file::verifying_key(&content).map_err(|error| at(Path::new(key), error))?
    };
    Ok(Expected { key, file_id })
}

/// A raw key: 32 bytes, or 64 hexadecimal digits and an optional line end.
pub(crate) fn raw_key(path: &Path, remarks: Remarks) -> Result<RawKey> {
    let content = read(path, Content::Secret, remarks)?;
    key_file::raw_key(&content).map_err(|error| at(path, error))
}

/// The passphrase in a file; one line end at its end is dropped.
pub(crate) fn passphrase(path: &Path, remarks: Remarks) -> Result<Passphrase> {
    let content = read(path, Content::Secret, remarks)?;
    key_file::passphrase(&content).map_err(|error| at(path, error))
}

/// What is wrong with a key file, and with which.
fn at(path: &Path, error: KeyFileError) -> anyhow::Error {
    match error {
        KeyFileError::Text(error) => anyhow::Error::new(error).context(path.display().to_string()),
        error => Fault::new(format!("{}: {error}", path.display())).into(),
    }
}

/// Whether someone could answer a prompt.
pub(crate) fn can_prompt() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks for a passphrase on the terminal.
pub(crate) fn prompt(question: &str) -> Result<Passphrase> {
    let answer = Zeroizing::new(
        rpassword::prompt_password(question).context("the passphrase cannot be read")?,
    );
    if answer.is_empty() {
        bail!(Fault::new("no passphrase was given"));
    }
    Ok(Passphrase::from_bytes(answer.as_bytes().to_vec()))
}

/// Asks for a new passphrase, twice.
pub(crate) fn prompt_new() -> Result<Passphrase> {
    let first = prompt("New passphrase: ")?;
    let second = prompt("The same again: ")?;
    if first.expose() != second.expose() {
        bail!(Fault::new("the passphrases differ; nothing was done"));
    }
    Ok(first)
}

/// Stdin, for whoever asks first: keys and SQL cannot both come from it.
pub(crate) fn claim_stdin() -> Result<io::StdinLock<'static>> {
    static CLAIMED: AtomicBool = AtomicBool::new(false);
    if CLAIMED.swap(true, Ordering::Relaxed) {
        bail!(Fault::usage("stdin (-) can be read only once").hint("name a file, or /dev/fd/N"));
    }
    Ok(io::stdin().lock())
}

fn read(path: &Path, content: Content, remarks: Remarks) -> Result<Zeroizing<Vec<u8>>> {
    if path == Path::new("-") {
        return read_to_end(claim_stdin()?, path);
    }
    let name = || path.display().to_string();
    let file = File::open(path).with_context(name)?;
    let metadata = file.metadata().with_context(name)?;
    if metadata.is_dir() {
        bail!(Fault::new(format!(
            "{}: a folder, where a key file belongs",
            path.display()
        )));
    }
    if content == Content::Secret && is_exposed(&metadata) {
        remarks.warn(&format!(
            "{}: others can read this secret; run: chmod 600 {0}",
            path.display()
        ));
    }
    read_to_end(file, path)
}

fn read_to_end(source: impl Read, path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(8_192));
    source
        .take(MAX_LEN + 1)
        .read_to_end(&mut bytes)
        .with_context(|| path.display().to_string())?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > MAX_LEN) {
        return Err(at(path, KeyFileError::TooLong));
    }
    Ok(bytes)
}
