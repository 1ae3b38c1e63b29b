//! What stands in a key file. Reading the file is the caller's: how depends on whether others use it.

use std::fs::Metadata;

use zeroize::Zeroizing;
use zqlite_pq::epoch::FileId;
use zqlite_pq::text::{self, KeyTextError};
use zqlite_pq::{Identity, Passphrase, RawKey, Recipient, SigningKey, VerifyingKey};

/// A key file is short: what is longer, in bytes, is another file, or `/dev/zero`.
pub const MAX_LEN: u64 = 1 << 20;

/// Why the content of a key file is not the key that was asked for. Never holds a part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The content is longer than [`MAX_LEN`].
    #[error("too long for a key file")]
    TooLong,
    /// The content is no UTF-8 text.
    #[error("not a key file: it is no text")]
    NotText,
    /// The text holds no key of the kind that was asked for.
    #[error(transparent)]
    Text(#[from] KeyTextError),
    /// There is more than one key.
    #[error("{found} keys, where one belongs")]
    NotOne {
        /// How many there are.
        found: usize,
    },
    /// The content is no raw key.
    #[error("a raw key is 32 bytes or 64 hexadecimal digits, and this is neither: {found} bytes")]
    NotRaw {
        /// The length of the content in bytes.
        found: usize,
    },
    /// The content is empty, where a passphrase belongs.
    #[error("no passphrase here: the file is empty")]
    NoPassphrase,
}

/// The identities of a file. Recipients beside them, as `keygen` prints them to stdout, are passed over.
///
/// # Errors
/// [`KeyFileError::NotText`] and [`KeyFileError::Text`].
pub fn identities(content: &[u8]) -> Result<Vec<Identity>, KeyFileError> {
    let text = without_public(text_of(content)?, "AGE-SECRET-KEY-PQ-1", "age1pq1");
    Ok(text::parse_identity_file(&text)?)
}

/// The only signing key of a file.
///
/// # Errors
/// [`KeyFileError::NotText`], [`KeyFileError::Text`] and [`KeyFileError::NotOne`].
pub fn signing_key(content: &[u8]) -> Result<SigningKey, KeyFileError> {
    let text = without_public(text_of(content)?, "ZQLITE-SIGNING-KEY-1", "zqlite-verify1");
    only(text::parse_signing_key_file(&text)?)
}

/// The recipients of a file.
///
/// # Errors
/// [`KeyFileError::NotText`] and [`KeyFileError::Text`].
pub fn recipients(content: &[u8]) -> Result<Vec<Recipient>, KeyFileError> {
    Ok(text::parse_recipients_file(text_of(content)?)?)
}

/// The only verifying key of a file.
///
/// # Errors
/// [`KeyFileError::NotText`], [`KeyFileError::Text`] and [`KeyFileError::NotOne`].
pub fn verifying_key(content: &[u8]) -> Result<VerifyingKey, KeyFileError> {
    only(text::parse_verifying_key_file(text_of(content)?)?)
}

/// A raw key: 32 bytes, or 64 hexadecimal digits and an optional line end.
///
/// # Errors
/// [`KeyFileError::NotRaw`].
pub fn raw_key(content: &[u8]) -> Result<RawKey, KeyFileError> {
    let key = match <[u8; RawKey::LEN]>::try_from(content) {
        Ok(key) => Some(Zeroizing::new(key)),
        Err(_) => parse_hex(without_line_end(content)),
    };
    let found = content.len();
    key.map(|key| RawKey::from_bytes(*key))
        .ok_or(KeyFileError::NotRaw { found })
}

/// The passphrase in a file; one line end at its end is dropped.
///
/// # Errors
/// [`KeyFileError::NoPassphrase`].
pub fn passphrase(content: &[u8]) -> Result<Passphrase, KeyFileError> {
    match without_line_end(content) {
        [] => Err(KeyFileError::NoPassphrase),
        passphrase => Ok(Passphrase::from_bytes(passphrase.to_vec())),
    }
}

/// What `KEY[@FILE-ID]` names: whose file is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExpectedText<'a> {
    /// The text of a verifying key, or the path of a file that holds one.
    pub key: &'a str,
    /// Which of the owner's files; any of them if `None`.
    pub file_id: Option<FileId>,
    /// Whether `key` looks like the text of a key, of any kind.
    pub is_key_text: bool,
}

impl<'a> ExpectedText<'a> {
    /// Splits the argument.
    ///
    /// # Errors
    /// The text behind the `@` of a key's text is no file id.
    pub fn parse(argument: &'a str) -> Result<Self, <FileId as core::str::FromStr>::Err> {
        let is_key_text = looks_like_key(argument);
        let whole = Self {
            key: argument,
            file_id: None,
            is_key_text,
        };
        let Some((key, id)) = argument.rsplit_once('@') else {
            return Ok(whole);
        };
        match id.parse() {
            Ok(id) => Ok(Self {
                key,
                file_id: Some(id),
                is_key_text,
            }),
            // A file's name may hold an @; a key's text cannot.
            Err(error) if is_key_text => Err(error),
            Err(_) => Ok(whole),
        }
    }
}

/// Whether a text begins as keys do, public or secret.
#[must_use]
pub fn looks_like_key(text: &str) -> bool {
    begins_with_one_of(text, &["zqlite-", "age1", "age-secret-key-"])
}

/// Whether a text begins as secret keys do, or is a raw key in hexadecimal.
#[must_use]
pub fn looks_like_secret(text: &str) -> bool {
    let text = text.trim();
    begins_with_one_of(text, &["age-secret-key-", "zqlite-signing-key-"])
        || parse_hex(text.as_bytes()).is_some()
}

/// Whether group or others may read a regular file.
#[cfg(unix)]
#[must_use]
pub fn is_exposed(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.is_file() && metadata.permissions().mode() & 0o044 != 0
}

/// Whether group or others may read a regular file: not known on this system.
#[cfg(not(unix))]
#[must_use]
pub fn is_exposed(_: &Metadata) -> bool {
    false
}

fn begins_with_one_of(text: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| {
        text.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    })
}

fn text_of(content: &[u8]) -> Result<&str, KeyFileError> {
    core::str::from_utf8(content).map_err(|_| KeyFileError::NotText)
}

fn only<K>(mut keys: Vec<K>) -> Result<K, KeyFileError> {
    match (keys.pop(), keys.len()) {
        (Some(key), 0) => Ok(key),
        (_, others) => Err(KeyFileError::NotOne { found: others + 1 }),
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

    #[test]
    fn a_file_name_may_hold_an_at_sign_and_a_key_may_not() {
        let id = "00".repeat(16);
        let with_id = format!("owner.pub@{id}");
        let parsed = ExpectedText::parse(&with_id).unwrap();
        assert_eq!((parsed.key, parsed.file_id.is_some()), ("owner.pub", true));
        let parsed = ExpectedText::parse("owner@home.pub").unwrap();
        assert_eq!((parsed.key, parsed.file_id), ("owner@home.pub", None));
        assert!(ExpectedText::parse("zqlite-verify1qq@home").is_err());
    }

    #[test]
    fn secrets_are_recognised_where_a_path_belongs() {
        let hex = "a1".repeat(32);
        for text in [
            "AGE-SECRET-KEY-PQ-1QQ",
            "age-secret-key-1x",
            "ZQLITE-SIGNING-KEY-1Q",
            &hex,
        ] {
            assert!(looks_like_secret(text), "{text}");
        }
        for text in ["age1pq1qq", "zqlite-verify1q", "/run/keys/id.key", "secret"] {
            assert!(!looks_like_secret(text), "{text}");
        }
    }
}
