//! Keys as text: bech32 (BIP-173 checksum, without its length limit), one human-readable part per kind.
//!
//! | kind | text | bytes |
//! | --- | --- | --- |
//! | [`Identity`] | `AGE-SECRET-KEY-PQ-1…`, upper case | 32-byte X-Wing seed |
//! | [`Recipient`] | `age1pq1…`, lower case | 1216-byte X-Wing public key |
//! | [`SigningKey`] | `ZQLITE-SIGNING-KEY-1…`, upper case | 32-byte ML-DSA-65 seed |
//! | [`VerifyingKey`] | `zqlite-verify1…`, lower case | 1952-byte ML-DSA-65 public key |
//!
//! The first two are age's native post-quantum forms (C2SP age.md), byte for byte. One key has exactly
//! one text: the other case, mixed case and non-zero padding bits are refused.

use core::fmt;
use core::str::FromStr;

use zeroize::Zeroizing;

use crate::mldsa::{SigningKey, VerifyingKey};
use crate::{Identity, KeyError, Recipient};

mod codec;

/// The kinds of keys that have a text form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyKind {
    /// An X-Wing secret key: `AGE-SECRET-KEY-PQ-1…`.
    Identity,
    /// An X-Wing public key: `age1pq1…`.
    Recipient,
    /// An ML-DSA-65 secret key: `ZQLITE-SIGNING-KEY-1…`.
    SigningKey,
    /// An ML-DSA-65 public key: `zqlite-verify1…`.
    VerifyingKey,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identity => "an identity (AGE-SECRET-KEY-PQ-1…, secret)",
            Self::Recipient => "a recipient (age1pq1…, public)",
            Self::SigningKey => "a signing key (ZQLITE-SIGNING-KEY-1…, secret)",
            Self::VerifyingKey => "a verifying key (zqlite-verify1…, public)",
        })
    }
}

/// Why a text is not the key that was asked for. Never holds a part of the text: it may be secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyTextError {
    /// The checksum does not match.
    #[error("checksum does not match: a character was mistyped or lost")]
    Checksum,
    /// An age X25519 secret key, `AGE-SECRET-KEY-1…`.
    #[error(
        "a classical age identity is not post-quantum: make one with `zqlite keygen` \
         (or `age-keygen -pq`)"
    )]
    ClassicalIdentity,
    /// An age X25519 public key, `age1…`.
    #[error(
        "a classical age recipient is not post-quantum: its owner makes a new key with \
         `zqlite keygen` (or `age-keygen -pq`)"
    )]
    ClassicalRecipient,
    /// There is no text.
    #[error("no key here: the text is empty")]
    Empty,
    /// The text decodes to bytes that are no key.
    #[error("the text is intact, but not a key: {0}")]
    Key(KeyError),
    /// The text decodes to the wrong number of bytes.
    #[error("the text is intact, but holds {found} bytes, where {expected} belong")]
    Length {
        /// The number of bytes that the text holds.
        found: usize,
        /// The number of bytes of this kind of key.
        expected: usize,
    },
    /// A line of a key file is at fault.
    #[error("line {line}: {error}")]
    Line {
        /// The line's number, from 1.
        line: usize,
        /// What is wrong with it.
        error: Box<Self>,
    },
    /// A character that no key contains, or no separator.
    #[error("not {expected}: it has characters that none contains, or lacks its prefix")]
    Malformed {
        /// What was asked for.
        expected: KeyKind,
    },
    /// Upper and lower case are mixed.
    #[error("upper and lower case are mixed: copy the key unchanged")]
    MixedCase,
    /// A key file holds comments and blank lines only.
    #[error("no key in this file: {expected} belongs on a line of its own")]
    NoKey {
        /// What was asked for.
        expected: KeyKind,
    },
    /// The last character carries bits that must be zero.
    #[error("the last bits are not zero: this is not the text that a key is written as")]
    Padding,
    /// A key of an age plugin.
    #[error("keys of age plugins are not supported: make a key with `zqlite keygen`")]
    Plugin,
    /// The other case than the one this kind is written in.
    #[error("{expected} is written in the other case: copy the key unchanged")]
    WrongCase {
        /// What was asked for.
        expected: KeyKind,
    },
    /// A key, but of another kind.
    #[error("this is {found}, where {expected} belongs")]
    WrongKind {
        /// What was asked for.
        expected: KeyKind,
        /// What was given.
        found: KeyKind,
    },
}

impl Identity {
    /// Reads `AGE-SECRET-KEY-PQ-1…`.
    ///
    /// # Errors
    /// [`KeyTextError`] says what is wrong with the text, without repeating it.
    pub fn parse(text: &str) -> Result<Self, KeyTextError> {
        codec::decode_secret(KeyKind::Identity, text).map(|seed| Self::from_seed(*seed))
    }

    /// The text form. It is secret: print it nowhere but into a key file.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        codec::encode(KeyKind::Identity, self.expose_seed())
    }
}

impl SigningKey {
    /// Reads `ZQLITE-SIGNING-KEY-1…`.
    ///
    /// # Errors
    /// [`KeyTextError`] says what is wrong with the text, without repeating it.
    pub fn parse(text: &str) -> Result<Self, KeyTextError> {
        codec::decode_secret(KeyKind::SigningKey, text).map(|seed| Self::from_seed(*seed))
    }

    /// The text form. It is secret: print it nowhere but into a key file.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        codec::encode(KeyKind::SigningKey, self.expose_seed())
    }
}

impl FromStr for Recipient {
    type Err = KeyTextError;

    /// Reads `age1pq1…`.
    fn from_str(text: &str) -> Result<Self, KeyTextError> {
        let bytes = codec::decode(KeyKind::Recipient, text)?;
        Self::from_bytes(&bytes).map_err(key_error)
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&codec::encode(KeyKind::Recipient, self.as_bytes()))
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({:.24}…)", self.to_string())
    }
}

impl FromStr for VerifyingKey {
    type Err = KeyTextError;

    /// Reads `zqlite-verify1…`.
    fn from_str(text: &str) -> Result<Self, KeyTextError> {
        let bytes = codec::decode(KeyKind::VerifyingKey, text)?;
        Self::from_bytes(&bytes).map_err(key_error)
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&codec::encode(KeyKind::VerifyingKey, self.as_bytes()))
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({:.32}…)", self.to_string())
    }
}

/// Reads the identities of a key file: one to a line, `#` comments and blank lines between.
///
/// # Errors
/// [`KeyTextError::Line`] names the first line at fault; [`KeyTextError::NoKey`] when there is none.
pub fn parse_identity_file(text: &str) -> Result<Vec<Identity>, KeyTextError> {
    parse_file(KeyKind::Identity, text, Identity::parse)
}

/// Reads the recipients of a key file: one to a line, `#` comments and blank lines between.
///
/// # Errors
/// [`KeyTextError::Line`] names the first line at fault; [`KeyTextError::NoKey`] when there is none.
pub fn parse_recipients_file(text: &str) -> Result<Vec<Recipient>, KeyTextError> {
    parse_file(KeyKind::Recipient, text, Recipient::from_str)
}

/// Reads the signing keys of a key file: one to a line, `#` comments and blank lines between.
///
/// # Errors
/// [`KeyTextError::Line`] names the first line at fault; [`KeyTextError::NoKey`] when there is none.
pub fn parse_signing_key_file(text: &str) -> Result<Vec<SigningKey>, KeyTextError> {
    parse_file(KeyKind::SigningKey, text, SigningKey::parse)
}

/// Reads the verifying keys of a key file: one to a line, `#` comments and blank lines between.
///
/// # Errors
/// [`KeyTextError::Line`] names the first line at fault; [`KeyTextError::NoKey`] when there is none.
pub fn parse_verifying_key_file(text: &str) -> Result<Vec<VerifyingKey>, KeyTextError> {
    parse_file(KeyKind::VerifyingKey, text, VerifyingKey::from_str)
}

fn parse_file<K>(
    expected: KeyKind,
    text: &str,
    parse: impl Fn(&str) -> Result<K, KeyTextError>,
) -> Result<Vec<K>, KeyTextError> {
    // Editors on Windows put a byte order mark first and end lines with CRLF.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut keys = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_matches([' ', '\t', '\r']);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = parse(line).map_err(|error| KeyTextError::Line {
            line: number,
            error: error.into(),
        })?;
        keys.push(key);
    }
    if keys.is_empty() {
        return Err(KeyTextError::NoKey { expected });
    }
    Ok(keys)
}

fn key_error(error: KeyError) -> KeyTextError {
    match error {
        KeyError::Length { found, expected } => KeyTextError::Length { found, expected },
        other => KeyTextError::Key(other),
    }
}
