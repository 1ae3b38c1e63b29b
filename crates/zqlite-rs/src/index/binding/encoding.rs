//! Texts of a database whose encoding is UTF-16. SQLite hands them over as UTF-8, and makes some letter of half a
//! surrogate pair: two texts that it tells apart would then be one.

use super::super::fault::Result;
use super::super::ffi::Host;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// A text that is not UTF-8 is handed over as it is, and refused where it is read.
    Utf8,
    Utf16Le,
    Utf16Be,
}

impl Encoding {
    /// No pragma is asked: an authorizer may deny it.
    pub(super) fn of(host: &Host) -> Result<Self> {
        let letter: Vec<u8> = host.query_row("SELECT CAST('a' AS BLOB)", [], |row| row.get(0))?;
        Ok(match letter[..] {
            [b'a', 0] => Self::Utf16Le,
            [0, b'a'] => Self::Utf16Be,
            _ => Self::Utf8,
        })
    }

    /// Whether these bytes of a text are what the encoding allows.
    pub(super) fn permits(self, bytes: &[u8]) -> bool {
        let unit = |pair: [u8; 2]| match self {
            Self::Utf16Be => u16::from_be_bytes(pair),
            _ => u16::from_le_bytes(pair),
        };
        let (pairs, rest) = bytes.as_chunks::<2>();
        self == Self::Utf8
            || rest.is_empty()
                && char::decode_utf16(pairs.iter().map(|pair| unit(*pair))).all(|it| it.is_ok())
    }
}
