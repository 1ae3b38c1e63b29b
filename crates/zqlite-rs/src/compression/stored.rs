//! How a value stands in a compressed column. FORMAT.md describes the same bytes.

use zstd::zstd_safe::{find_frame_compressed_size, get_frame_content_size};

use super::MAX_VALUE_LEN;

/// What a stored value of ours begins with. The second byte occurs in no UTF-8 text, so no text that was stored as
/// a blob begins like this.
const MARKER: [u8; 2] = [0x7a, 0xf1];
/// The four bytes with which every zstd frame begins, and which are therefore not stored.
const ZSTD_MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();
const ID_LEN: usize = 8;

/// Below this length nothing gets smaller: marker and kind, and the shortest frame.
pub(super) const MIN_LEN: usize = 12;

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

const ESCAPED: u8 = 0x10;
const BLOB: u8 = 0x12;
const TEXT: u8 = 0x13;
const BLOB_WITH_DICTIONARY: u8 = 0x14;
const TEXT_WITH_DICTIONARY: u8 = 0x15;

/// Reads a blob of a compressed column.
pub(super) fn decode(blob: &[u8]) -> Result<Stored<'_>, Malformed> {
    let Some(rest) = blob.strip_prefix(&MARKER) else {
        return Ok(Stored::Plain);
    };
    let (kind, rest) = rest.split_first().ok_or(Malformed::Bytes)?;
    let (value_type, has_dictionary) = match *kind {
        // Only what would be mistaken for ours is escaped: one value, one form.
        ESCAPED if rest.starts_with(&MARKER) => return Ok(Stored::Escaped(rest)),
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
    blob.starts_with(&MARKER)
}

/// A blob as it is, behind a mark that says so.
pub(super) fn escape(blob: &[u8]) -> Vec<u8> {
    [&MARKER, [ESCAPED].as_slice(), blob].concat()
}

/// The length of a stored value, whose frame is `frame_len` long with its magic number.
pub(super) const fn encoded_len(dictionary: DictionaryId, frame_len: usize) -> usize {
    let id_len = if dictionary.is_some() { ID_LEN } else { 0 };
    MARKER.len() + 1 + id_len + frame_len.saturating_sub(ZSTD_MAGIC.len())
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
    let mut stored = Vec::with_capacity(MARKER.len() + 1 + ID_LEN + frame.len());
    stored.extend(MARKER);
    stored.push(kind);
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
        let mistakable = [&MARKER[..], b"x"].concat();
        assert!(is_mistakable(&mistakable) && !is_mistakable(b"z"));
        assert_eq!(
            decode(&escape(&mistakable)),
            Ok(Stored::Escaped(&mistakable))
        );
        assert_eq!(decode(&escape(b"plain")), Err(Malformed::Bytes));
        for plain in [&b""[..], b"z", b"{}", &[0x7a, 0xf0, 0x13]] {
            assert_eq!(decode(plain), Ok(Stored::Plain));
        }
        for kind in 0..=u8::MAX {
            let known = matches!(kind, BLOB | TEXT);
            assert_eq!(decode(&[0x7a, 0xf1, kind, 0]).is_ok(), known, "{kind}");
        }
        assert_eq!(decode(&MARKER), Err(Malformed::Bytes));
        assert_eq!(
            decode(&[0x7a, 0xf1, TEXT_WITH_DICTIONARY, 1, 2, 3, 4, 5, 6, 7]),
            Err(Malformed::Bytes)
        );
    }
}
