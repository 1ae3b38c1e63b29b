//! Dictionaries: their names, what zstd makes of them, and the few that a connection keeps ready.

use std::io;

use sha2::{Digest, Sha256};
use zstd::dict;
use zstd::zstd_safe::{CCtx, CParameter, DCtx, DDict, compress_bound};

use super::stored::{self, DictionaryId, Frame, Malformed, Type};
use super::{DEFAULT_LEVEL, DICTIONARY_LEN, MAX_DICTIONARY_LEN, MAX_LEVEL, MAX_VALUE_LEN};

/// How many dictionaries a connection keeps ready: some megabytes at the highest level.
const CACHED: usize = 8;
/// Of a long value the beginning is sampled: zstd looks no further than a block.
pub(super) const MAX_SAMPLE_LEN: usize = 128 << 10;
/// How much is sampled: zstd asks for a hundred times the dictionary.
pub(super) const SAMPLES_LEN: usize = 100 * DICTIONARY_LEN;
/// A dictionary is no larger than this part of what it was trained on: for a small table it would cost more than it
/// saves.
const SAMPLE_TO_DICTIONARY: usize = 10;

/// What stands in the table of dictionaries.
#[derive(Debug)]
pub(super) struct Dictionary {
    pub(super) table: String,
    pub(super) column: String,
    pub(super) version: i64,
    pub(super) level: i32,
    pub(super) bytes: Vec<u8>,
}

impl Dictionary {
    /// The first eight bytes of a hash over all of it. So the content of an id never changes, and what a connection
    /// has learnt stays right whatever is rolled back, replaced or attached.
    pub(super) fn id(&self) -> i64 {
        let hash = Sha256::new()
            .chain_update(self.table.as_bytes())
            .chain_update([0])
            .chain_update(self.column.as_bytes())
            .chain_update([0])
            .chain_update(self.version.to_be_bytes())
            .chain_update(self.level.to_be_bytes())
            .chain_update(&self.bytes)
            .finalize();
        let (first, _) = hash
            .as_slice()
            .split_first_chunk()
            .unwrap_or((&[0; 8], &[]));
        i64::from_be_bytes(*first)
    }

    /// Whether it is within the limits of what is read from a database.
    pub(super) fn is_sane(&self) -> bool {
        (1..=MAX_LEVEL).contains(&self.level) && self.bytes.len() <= MAX_DICTIONARY_LEN
    }
}

/// How long a dictionary may be, of at most `max_len` bytes, that is trained on so many bytes.
pub(super) fn longest(samples_len: usize, max_len: usize) -> usize {
    max_len.min(samples_len.div_euclid(SAMPLE_TO_DICTIONARY))
}

/// Trains a dictionary of at most `len` bytes. `None` if there is too little to learn from.
pub(super) fn train(samples: &[u8], lens: &[usize], len: usize) -> Option<Vec<u8>> {
    dict::from_continuous(samples, lens, len)
        .ok()
        .filter(|dictionary| !dictionary.is_empty())
}

/// How many bytes values have that are compressed with a dictionary.
pub(super) fn size_with<'a>(
    dictionary: &[u8],
    level: i32,
    values: impl Iterator<Item = &'a [u8]>,
) -> io::Result<usize> {
    let mut compressor = Ready::new(None, level, dictionary)?.compressor;
    let (mut frame, mut size) = (Vec::new(), 0);
    for value in values {
        frame.clear();
        frame.reserve(compress_bound(value.len()));
        size += compressor
            .compress2(&mut frame, value)
            .map_err(zstd_error)?;
    }
    Ok(size)
}

/// What zstd makes of a dictionary.
struct Ready {
    id: DictionaryId,
    compressor: CCtx<'static>,
    dictionary: Option<DDict<'static>>,
}

impl Ready {
    fn new(id: DictionaryId, level: i32, bytes: &[u8]) -> io::Result<Self> {
        let mut compressor = CCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
        for parameter in [
            CParameter::CompressionLevel(level),
            CParameter::ContentSizeFlag(true),
            // Pages are authenticated, and the stored value names the dictionary.
            CParameter::ChecksumFlag(false),
            CParameter::DictIdFlag(false),
        ] {
            compressor.set_parameter(parameter).map_err(zstd_error)?;
        }
        let dictionary = if bytes.is_empty() {
            None
        } else {
            compressor.load_dictionary(bytes).map_err(zstd_error)?;
            // It is small: where zstd makes nothing of it, it is no dictionary.
            Some(DDict::try_create(bytes).ok_or(io::ErrorKind::InvalidData)?)
        };
        Ok(Self {
            id,
            compressor,
            dictionary,
        })
    }
}

/// Room for so many bytes. Large values are no reason to end the process where memory is short.
fn make_room(bytes: &mut Vec<u8>, len: usize) -> Result<(), CodecError> {
    bytes
        .try_reserve(len)
        .map_err(|_| CodecError::Zstd(io::ErrorKind::OutOfMemory.into()))
}

fn zstd_error(code: usize) -> io::Error {
    io::Error::other(zstd::zstd_safe::get_error_name(code))
}

/// What a connection keeps: dictionaries by their id, the one that was used last at the end.
pub(super) struct Codec {
    ready: Vec<Ready>,
    decompressor: DCtx<'static>,
    scratch: Vec<u8>,
}

/// Why a value cannot be compressed or decompressed.
#[derive(Debug)]
pub(super) enum CodecError {
    /// No database that is attached has this dictionary.
    NoDictionary(i64),
    /// The dictionary is not the one that its id names.
    BadDictionary,
    /// The value is damaged.
    Damaged,
    /// The value is larger than is permitted.
    TooLarge,
    /// SQLite failed.
    Sqlite(rusqlite::Error),
    /// zstd has no memory.
    Zstd(io::Error),
}

impl From<Malformed> for CodecError {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::Bytes => Self::Damaged,
            Malformed::TooLarge => Self::TooLarge,
        }
    }
}

impl Codec {
    pub(super) fn new() -> Self {
        Self {
            ready: Vec::new(),
            decompressor: DCtx::create(),
            scratch: Vec::new(),
        }
    }

    /// A stored value that is smaller, or `None`.
    pub(super) fn compress(
        &mut self,
        value_type: Type,
        value: &[u8],
        id: DictionaryId,
        load: impl FnOnce(i64) -> Result<Dictionary, CodecError>,
    ) -> Result<Option<Vec<u8>>, CodecError> {
        let at = self.prepare(id, load)?;
        if !(stored::MIN_LEN..=MAX_VALUE_LEN).contains(&value.len()) {
            return Ok(None);
        }
        let Some(ready) = self.ready.get_mut(at) else {
            return Ok(None);
        };
        self.scratch.clear();
        make_room(&mut self.scratch, compress_bound(value.len()))?;
        let len = ready
            .compressor
            .compress2(&mut self.scratch, value)
            .map_err(|code| CodecError::Zstd(zstd_error(code)))?;
        let stored = if stored::encoded_len(id, len) < value.len() {
            stored::encode(value_type, id, &self.scratch)
        } else {
            None
        };
        self.give_back();
        Ok(stored)
    }

    /// The value of a frame, if it is no longer than `max_len`.
    pub(super) fn decompress(
        &mut self,
        frame: &Frame<'_>,
        max_len: impl FnOnce(usize) -> Result<usize, CodecError>,
        load: impl FnOnce(i64) -> Result<Dictionary, CodecError>,
    ) -> Result<Vec<u8>, CodecError> {
        let len = frame.whole(&mut self.scratch)?;
        if len > max_len(len)? {
            return Err(CodecError::TooLarge);
        }
        let at = self.prepare(frame.dictionary, load)?;
        let dictionary = self
            .ready
            .get(at)
            .and_then(|ready| ready.dictionary.as_ref());
        let mut value = Vec::new();
        make_room(&mut value, len)?;
        let outcome = match dictionary {
            Some(dictionary) => {
                self.decompressor
                    .decompress_using_ddict(&mut value, &self.scratch, dictionary)
            }
            None => self.decompressor.decompress(&mut value, &self.scratch),
        };
        self.give_back();
        match outcome {
            Ok(_) if value.len() == len => Ok(value),
            _ => Err(CodecError::Damaged),
        }
    }

    /// The index of a dictionary that is ready.
    fn prepare(
        &mut self,
        id: DictionaryId,
        load: impl FnOnce(i64) -> Result<Dictionary, CodecError>,
    ) -> Result<usize, CodecError> {
        if let Some(at) = self.ready.iter().position(|ready| ready.id == id) {
            // Few enough to shift: what is used stays.
            if let Some(recent) = self.ready.get_mut(at..) {
                recent.rotate_left(1);
            }
            return Ok(self.ready.len().saturating_sub(1));
        }
        let ready = match id {
            None => Ready::new(None, DEFAULT_LEVEL, &[]),
            Some(number) => {
                let dictionary = load(number)?;
                if dictionary.id() != number || !dictionary.is_sane() {
                    return Err(CodecError::BadDictionary);
                }
                Ready::new(id, dictionary.level, &dictionary.bytes)
            }
        };
        let ready = ready.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => CodecError::BadDictionary,
            _ => CodecError::Zstd(error),
        })?;
        if self.ready.len() >= CACHED {
            self.ready.remove(0);
        }
        self.ready.push(ready);
        Ok(self.ready.len().saturating_sub(1))
    }

    /// One large value does not keep its memory for the life of the connection.
    fn give_back(&mut self) {
        const KEPT: usize = 1 << 20;
        if self.scratch.capacity() > KEPT {
            self.scratch = Vec::new();
        }
    }
}
