//! Reading keys: from files, descriptors and prompts, never from the command line unless public.

use std::fs::{File, Metadata};
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use zeroize::Zeroizing;
use zqlite::pq::header::Expected;
use zqlite::pq::text::{self, KeyTextError};
use zqlite::pq::{Identity, Passphrase, RawKey, Recipient, SigningKey, VerifyingKey};

use crate::exit::Fault;
use crate::output::Remarks;

/// A key file is short; what is longer is another file, or /dev/zero.
const MAX_LEN: u64 = 1 << 20;

/// Whether a file's mode matters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    Secret,
    Public,
}

/// The identities of a file. Recipients beside them, as `keygen` prints them to stdout, are passed over.
pub(crate) fn identities(path: &Path, remarks: Remarks) -> Result<Vec<Identity>> {
    let text = read_text(path, Content::Secret, remarks)?;
    let text = without_public(&text, "AGE-SECRET-KEY-PQ-1", "age1pq1");
    text::parse_identity_file(&text).with_context(|| path.display().to_string())
}

/// The only signing key of a file.
pub(crate) fn signing_key(path: &Path, remarks: Remarks) -> Result<SigningKey> {
    let text = read_text(path, Content::Secret, remarks)?;
    let text = without_public(&text, "ZQLITE-SIGNING-KEY-1", "zqlite-verify1");
    only(text::parse_signing_key_file(&text), path)
}

/// The recipients of a file.
pub(crate) fn recipients(path: &Path, remarks: Remarks) -> Result<Vec<Recipient>> {
    let text = read_text(path, Content::Public, remarks)?;
    text::parse_recipients_file(&text).with_context(|| path.display().to_string())
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
    let is_text = ["zqlite-", "age1", "age-secret-key-"].iter().any(|prefix| {
        argument
            .get(..prefix.len())
            .is_some_and(|p| p.eq_ignore_ascii_case(prefix))
    });
    let (key, file_id) = match argument.rsplit_once('@') {
        Some((key, id)) => match id.parse() {
            Ok(id) => (key, Some(id)),
            // A file's name may hold an @; a key's text cannot.
            Err(error) if is_text => return Err(usage(&error).into()),
            Err(_) => (argument, None),
        },
        None => (argument, None),
    };
    let key: VerifyingKey = if is_text && !Path::new(key).exists() {
        key.parse().map_err(|error: KeyTextError| usage(&error))?
    } else {
        let text = read_text(Path::new(key), Content::Public, remarks)?;
        only(text::parse_verifying_key_file(&text), Path::new(key))?
    };
    Ok(Expected { key, file_id })
}

/// A raw key: 32 bytes, or 64 hexadecimal digits and an optional line end.
pub(crate) fn raw_key(path: &Path, remarks: Remarks) -> Result<RawKey> {
    let bytes = read(path, Content::Secret, remarks)?;
    let key = match <[u8; RawKey::LEN]>::try_from(bytes.as_slice()) {
        Ok(key) => Some(Zeroizing::new(key)),
        Err(_) => parse_hex(without_line_end(&bytes)),
    };
    let Some(key) = key else {
        let found = bytes.len();
        bail!(Fault::new(format!(
            "{}: a raw key is 32 bytes or 64 hexadecimal digits, and this is neither: {found} bytes",
            path.display()
        )));
    };
    Ok(RawKey::from_bytes(*key))
}

/// The passphrase in a file; one line end at its end is dropped.
pub(crate) fn passphrase(path: &Path, remarks: Remarks) -> Result<Passphrase> {
    let bytes = read(path, Content::Secret, remarks)?;
    let passphrase = without_line_end(&bytes);
    if passphrase.is_empty() {
        bail!(Fault::new(format!(
            "{}: no passphrase here: the file is empty",
            path.display()
        )));
    }
    Ok(Passphrase::from_bytes(passphrase.to_vec()))
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

fn read_text(path: &Path, content: Content, remarks: Remarks) -> Result<Zeroizing<String>> {
    let bytes = read(path, content, remarks)?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => bail!(Fault::new(format!(
            "{}: not a key file: it is no text",
            path.display()
        ))),
    }
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
        bail!(Fault::new(format!(
            "{}: too long for a key file",
            path.display()
        )));
    }
    Ok(bytes)
}

/// Whether group or others may read a regular file.
#[cfg(unix)]
pub(crate) fn is_exposed(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.is_file() && metadata.permissions().mode() & 0o044 != 0
}

#[cfg(not(unix))]
pub(crate) fn is_exposed(_: &Metadata) -> bool {
    false
}

fn only<K>(keys: Result<Vec<K>, KeyTextError>, path: &Path) -> Result<K> {
    let mut keys = keys.with_context(|| path.display().to_string())?;
    match (keys.pop(), keys.len()) {
        (Some(key), 0) => Ok(key),
        (_, others) => {
            let count = others + 1;
            bail!(Fault::new(format!(
                "{}: {count} keys, where one belongs",
                path.display()
            )))
        }
    }
}

/// Blanks the lines of public keys in a file that holds secret ones, so that line numbers stay.
fn without_public(text: &str, secret: &str, public: &str) -> Zeroizing<String> {
    if !text
        .lines()
        .any(|line| line.trim_start().starts_with(secret))
    {
        return Zeroizing::new(text.to_owned());
    }
    let mut kept = Zeroizing::new(String::with_capacity(text.len() + 1));
    for line in text.lines() {
        if !line.trim_start().starts_with(public) {
            kept.push_str(line);
        }
        kept.push('\n');
    }
    kept
}

fn without_line_end(bytes: &[u8]) -> &[u8] {
    bytes
        .strip_suffix(b"\r\n")
        .or_else(|| bytes.strip_suffix(b"\n"))
        .unwrap_or(bytes)
}

fn parse_hex(digits: &[u8]) -> Option<Zeroizing<[u8; RawKey::LEN]>> {
    let mut key = Zeroizing::new([0; RawKey::LEN]);
    if digits.len() != 2 * RawKey::LEN {
        return None;
    }
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        for digit in pair {
            let value = u8::try_from(char::from(*digit).to_digit(16)?).ok()?;
            *byte = (*byte << 4) | value;
        }
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_dropped() {
        for (given, kept) in [
            ("a\n", "a"),
            ("a\r\n", "a"),
            ("a\n\n", "a\n"),
            ("a\r", "a\r"),
            ("", ""),
        ] {
            assert_eq!(
                without_line_end(given.as_bytes()),
                kept.as_bytes(),
                "{given:?}"
            );
        }
    }

    #[test]
    fn hexadecimal_keys_have_64_digits() {
        let key = parse_hex("0F".repeat(32).as_bytes()).unwrap();
        assert_eq!(*key, [15; 32]);
        assert!(parse_hex("0g".repeat(32).as_bytes()).is_none());
        assert!(parse_hex(b"00").is_none());
    }

    #[test]
    fn public_lines_beside_secret_ones_are_blanked() {
        let text = "# c\nS1abc\np1def\n";
        assert_eq!(*without_public(text, "S1", "p1"), "# c\nS1abc\n\n");
        assert_eq!(*without_public("p1def\n", "S1", "p1"), "p1def\n");
    }
}
