//! How a value stands in a compressed column. FORMAT.md describes the same bytes.

use zstd::zstd_safe::{find_frame_compressed_size, get_frame_content_size};

use super::MAX_VALUE_LEN;

/// What a stored value of ours begins with; then comes its kind, which occurs in no UTF-8 text: so no text that was stored as a
/// blob begins like this.
const MARKER: u8 = 0x7a;
/// Bytes of marker and kind.
const START_LEN: usize = 2;
/// The bytes that are kinds, now or in a later version.
const KINDS: core::ops::RangeInclusive<u8> = 0xf8..=0xff;
/// The four bytes with which every zstd frame begins, and which are therefore not stored.
const ZSTD_MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();
const ID_LEN: usize = 8;

/// Below this length nothing gets smaller: marker and kind, and the shortest frame.
pub(super) const MIN_LEN: usize = 11;

/// Whether a value is text or a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Blob,
    Text,
}

/// Which dictionary a frame was made with: a dictionary's id, or none.
pub(super) type DictionaryId = Option<i64>;

/// What a blob in a compressed column is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stored<'a> {
    /// Not ours: it stands for itself.
    Plain,
    /// A blob that looks like one of ours, behind marker and kind.
    Escaped(&'a [u8]),
    /// A compressed value.
    Frame(Frame<'a>),
}

/// A compressed value, whose frame was not looked into yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) value_type: Type,
    pub(super) dictionary: DictionaryId,
    /// Without the magic number.
    pub(super) frame: &'a [u8],
}

/// The value is altered, or was never written by this library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// It is none of the forms that exist.
    Bytes,
    /// It claims to be larger than [`MAX_VALUE_LEN`].
    TooLarge,
}

const ESCAPED: u8 = 0xf8;
const BLOB: u8 = 0xfa;
const TEXT: u8 = 0xfb;
const BLOB_WITH_DICTIONARY: u8 = 0xfc;
const TEXT_WITH_DICTIONARY: u8 = 0xfd;

/// Reads a blob of a compressed column.
pub(super) fn decode(blob: &[u8]) -> Result<Stored<'_>, Malformed> {
    let Some((&[_, kind], rest)) = blob
        .split_first_chunk::<START_LEN>()
        .filter(|_| is_mistakable(blob))
    else {
        return Ok(Stored::Plain);
    };
    let (value_type, has_dictionary) = match kind {
        // Only what would be mistaken for ours is escaped: one value, one form.
        ESCAPED if is_mistakable(rest) => return Ok(Stored::Escaped(rest)),
        BLOB => (Type::Blob, false),
        TEXT => (Type::Text, false),
        BLOB_WITH_DICTIONARY => (Type::Blob, true),
        TEXT_WITH_DICTIONARY => (Type::Text, true),
        _ => return Err(Malformed::Bytes),
    };
    let (dictionary, frame) = if has_dictionary {
        let (id, frame) = rest.split_first_chunk::<ID_LEN>().ok_or(Malformed::Bytes)?;
        (Some(i64::from_be_bytes(*id)), frame)
    } else {
        (None, rest)
    };
    Ok(Stored::Frame(Frame {
        value_type,
        dictionary,
        frame,
    }))
}

/// Whether a blob must be escaped to be stored as it is.
pub(super) fn is_mistakable(blob: &[u8]) -> bool {
    matches!(blob, [MARKER, kind, ..] if KINDS.contains(kind))
}

/// A blob as it is, behind a mark that says so.
pub(super) fn escape(blob: &[u8]) -> Vec<u8> {
    [&[MARKER, ESCAPED], blob].concat()
}

/// The length of a stored value, whose frame is `frame_len` long with its magic number.
pub(super) const fn encoded_len(dictionary: DictionaryId, frame_len: usize) -> usize {
    let id_len = if dictionary.is_some() { ID_LEN } else { 0 };
    START_LEN + id_len + frame_len.saturating_sub(ZSTD_MAGIC.len())
}

/// A stored value of a whole frame. `None` if that does not begin as all do.
pub(super) fn encode(value_type: Type, dictionary: DictionaryId, frame: &[u8]) -> Option<Vec<u8>> {
    let frame = frame.strip_prefix(&ZSTD_MAGIC)?;
    let kind = match (value_type, dictionary) {
        (Type::Blob, None) => BLOB,
        (Type::Text, None) => TEXT,
        (Type::Blob, Some(_)) => BLOB_WITH_DICTIONARY,
        (Type::Text, Some(_)) => TEXT_WITH_DICTIONARY,
    };
    let mut stored = Vec::with_capacity(START_LEN + ID_LEN + frame.len());
    stored.extend([MARKER, kind]);
    if let Some(id) = dictionary {
        stored.extend(id.to_be_bytes());
    }
    stored.extend(frame);
    Some(stored)
}

impl Frame<'_> {
    /// Writes the whole frame, and gives the length of its content: it must be named, be within the limit, and the
    /// frame must end where the value does.
    pub(super) fn whole(&self, scratch: &mut Vec<u8>) -> Result<usize, Malformed> {
        scratch.clear();
        scratch.extend(ZSTD_MAGIC);
        scratch.extend(self.frame);
        let len = get_frame_content_size(scratch)
            .ok()
            .flatten()
            .ok_or(Malformed::Bytes)?;
        let len = usize::try_from(len).map_err(|_| Malformed::TooLarge)?;
        if len > MAX_VALUE_LEN {
            return Err(Malformed::TooLarge);
        }
        match find_frame_compressed_size(scratch) {
            Ok(frame_len) if frame_len == scratch.len() => Ok(len),
            _ => Err(Malformed::Bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_decodes_and_each_kind_has_one_form() {
        let frame = [&ZSTD_MAGIC[..], b"rest"].concat();
        let mut kinds = 0;
        for value_type in [Type::Blob, Type::Text] {
            for dictionary in [None, Some(-2), Some(i64::MAX)] {
                let stored = encode(value_type, dictionary, &frame).unwrap();
                assert_eq!(stored.len(), encoded_len(dictionary, frame.len()));
                let expected = Frame {
                    value_type,
                    dictionary,
                    frame: b"rest",
                };
                assert_eq!(decode(&stored), Ok(Stored::Frame(expected)));
                kinds += 1;
            }
        }
        assert_eq!(kinds, 6);
        assert_eq!(encode(Type::Blob, None, b"no frame"), None);
    }

    #[test]
    fn only_what_looks_like_ours_is_escaped_and_nothing_else_is_read_as_an_escape() {
        let mistakable = [MARKER, 0xf9, b'x'];
        assert!(is_mistakable(&mistakable) && !is_mistakable(b"z"));
        assert_eq!(
            decode(&escape(&mistakable)),
            Ok(Stored::Escaped(&mistakable))
        );
        assert_eq!(decode(&escape(b"plain")), Err(Malformed::Bytes));
        for plain in [&b""[..], b"z", b"{}", &[0x7b, BLOB]] {
            assert_eq!(decode(plain), Ok(Stored::Plain));
        }
        for kind in 0..=u8::MAX {
            let stored = [MARKER, kind, 0];
            assert_eq!(is_mistakable(&stored), kind >= 0xf8);
            let is_good = kind < 0xf8 || matches!(kind, BLOB | TEXT);
            assert_eq!(decode(&stored).is_ok(), is_good, "{kind}");
            // No text that was stored as a blob is taken for ours.
            let is_text = core::str::from_utf8(&stored[..2]).is_ok();
            assert!(!(is_text && is_mistakable(&stored)), "{kind}");
        }
        assert_eq!(
            decode(&[MARKER, TEXT_WITH_DICTIONARY, 1, 2, 3, 4, 5, 6, 7]),
            Err(Malformed::Bytes)
        );
    }
}
