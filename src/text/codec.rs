//! The bech32 layer under the text forms: which prefix means what, and one text per key.

use bech32::primitives::decode::UncheckedHrpstring;
use bech32::{Bech32, Checksum, Hrp};
use zeroize::Zeroizing;

use super::{KeyKind, KeyTextError};
use crate::{mldsa, xwing};

/// BIP-173's checksum for texts of any length, as age uses it: beyond its designed length it still
/// misses a random error with probability 2^-30, but no longer promises to find each of four.
enum LongBech32 {}

impl Checksum for LongBech32 {
    type MidstateRepr = <Bech32 as Checksum>::MidstateRepr;
    type CorrectionField = <Bech32 as Checksum>::CorrectionField;
    const ROOT_GENERATOR: Self::CorrectionField = Bech32::ROOT_GENERATOR;
    const ROOT_EXPONENTS: core::ops::RangeInclusive<usize> = Bech32::ROOT_EXPONENTS;
    const CODE_LENGTH: usize = usize::MAX;
    const CHECKSUM_LENGTH: usize = Bech32::CHECKSUM_LENGTH;
    const GENERATOR_SH: [Self::MidstateRepr; 5] = Bech32::GENERATOR_SH;
    const TARGET_RESIDUE: Self::MidstateRepr = Bech32::TARGET_RESIDUE;
}

impl KeyKind {
    const ALL: [Self; 4] = [
        Self::Identity,
        Self::Recipient,
        Self::SigningKey,
        Self::VerifyingKey,
    ];

    const fn hrp(self) -> Hrp {
        Hrp::parse_unchecked(match self {
            Self::Identity => "AGE-SECRET-KEY-PQ-",
            Self::Recipient => "age1pq",
            Self::SigningKey => "ZQLITE-SIGNING-KEY-",
            Self::VerifyingKey => "zqlite-verify",
        })
    }

    const fn len(self) -> usize {
        match self {
            Self::Identity => xwing::SEED_LEN,
            Self::Recipient => xwing::RECIPIENT_LEN,
            Self::SigningKey => mldsa::SEED_LEN,
            Self::VerifyingKey => mldsa::VERIFYING_KEY_LEN,
        }
    }

    const fn is_upper_case(self) -> bool {
        matches!(self, Self::Identity | Self::SigningKey)
    }
}

/// Encodes a key of the right length.
#[expect(
    clippy::expect_used,
    reason = "bech32 fails only above its code length, which is unlimited"
)]
pub(super) fn encode(kind: KeyKind, bytes: &[u8]) -> Zeroizing<String> {
    // With the room reserved first, no half-written secret is left behind by a reallocation.
    let mut text = Zeroizing::new(String::with_capacity(32 + bytes.len().div_ceil(5) * 8));
    let out: &mut String = &mut text;
    if kind.is_upper_case() {
        bech32::encode_upper_to_fmt::<LongBech32, _>(out, kind.hrp(), bytes)
    } else {
        bech32::encode_lower_to_fmt::<LongBech32, _>(out, kind.hrp(), bytes)
    }
    .expect("every length can be encoded");
    text
}

/// Decodes a 32-byte secret.
pub(super) fn decode_secret(
    kind: KeyKind,
    text: &str,
) -> Result<Zeroizing<[u8; 32]>, KeyTextError> {
    let bytes = decode(kind, text)?;
    let wrong_length = KeyTextError::Length {
        found: bytes.len(),
        expected: 32,
    };
    <[u8; 32]>::try_from(bytes.as_slice())
        .map(Zeroizing::new)
        .map_err(|_| wrong_length)
}

/// Decodes a text of the given kind to its exact number of bytes.
pub(super) fn decode(kind: KeyKind, text: &str) -> Result<Zeroizing<Vec<u8>>, KeyTextError> {
    refuse_other_kinds(kind, text)?;
    let has_lower = text.bytes().any(|b| b.is_ascii_lowercase());
    let has_upper = text.bytes().any(|b| b.is_ascii_uppercase());
    if has_lower && has_upper {
        return Err(KeyTextError::MixedCase);
    }
    let malformed = KeyTextError::Malformed { expected: kind };
    let unchecked = UncheckedHrpstring::new(text).map_err(|_| malformed.clone())?;
    unchecked
        .validate_checksum::<LongBech32>()
        .map_err(|_| KeyTextError::Checksum)?;
    let checked = unchecked.remove_checksum::<LongBech32>();
    if checked.hrp() != kind.hrp() {
        return Err(malformed);
    }
    if has_upper != kind.is_upper_case() {
        return Err(KeyTextError::WrongCase { expected: kind });
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    bytes.extend(checked.byte_iter());
    if bytes.len() != kind.len() {
        return Err(KeyTextError::Length {
            found: bytes.len(),
            expected: kind.len(),
        });
    }
    checked
        .validate_segwit_padding()
        .map_err(|_| KeyTextError::Padding)?;
    Ok(bytes)
}

/// Recognises by its prefix what was meant, so that a mix-up is named instead of a checksum.
fn refuse_other_kinds(expected: KeyKind, text: &str) -> Result<(), KeyTextError> {
    if text.is_empty() {
        return Err(KeyTextError::Empty);
    }
    for found in KeyKind::ALL {
        if has_prefix(text, found.hrp().as_str(), "1") {
            return if found == expected {
                Ok(())
            } else {
                Err(KeyTextError::WrongKind { expected, found })
            };
        }
    }
    if has_prefix(text, "AGE-SECRET-KEY-", "1") {
        return Err(KeyTextError::ClassicalIdentity);
    }
    if has_prefix(text, "AGE-PLUGIN-", "") {
        return Err(KeyTextError::Plugin);
    }
    if has_prefix(text, "age", "1") {
        // A plugin's recipient has its name between two separators: age1name1…
        return Err(match text.bytes().filter(|b| *b == b'1').count() {
            1 => KeyTextError::ClassicalRecipient,
            _ => KeyTextError::Plugin,
        });
    }
    Err(KeyTextError::Malformed { expected })
}

fn has_prefix(text: &str, prefix: &str, separator: &str) -> bool {
    text.split_at_checked(prefix.len())
        .is_some_and(|(start, rest)| {
            start.eq_ignore_ascii_case(prefix) && rest.starts_with(separator)
        })
}
