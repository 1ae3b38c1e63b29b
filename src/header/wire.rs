//! Reading and writing of big-endian fields.

use super::{DecodeError, Field};

const ZEROS: [u8; 1_024] = [0; 1_024];

/// Takes fixed pieces from the front of a byte string.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn left(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn slice(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (head, tail) = self
            .0
            .split_at_checked(len)
            .ok_or(DecodeError::Malformed(Field::CopyLength))?;
        self.0 = tail;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], DecodeError> {
        let (head, tail) = self
            .0
            .split_first_chunk()
            .ok_or(DecodeError::Malformed(Field::CopyLength))?;
        self.0 = tail;
        Ok(head)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(|bytes| u16::from_be_bytes(*bytes))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(|bytes| u32::from_be_bytes(*bytes))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(|bytes| u64::from_be_bytes(*bytes))
    }

    /// Skips bytes that must be zero.
    pub(crate) fn zeros(&mut self, len: usize, field: Field) -> Result<(), DecodeError> {
        // A piece at a time: most of a copy is zeros.
        let mut pieces = self.slice(len)?.chunks(ZEROS.len());
        if pieces.all(|piece| ZEROS.starts_with(piece)) {
            Ok(())
        } else {
            Err(DecodeError::Malformed(field))
        }
    }
}

/// Appends to a byte string.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn zeros(&mut self, len: usize) {
        self.0.resize(self.0.len() + len, 0);
    }

    /// A count that the format bounds far below its field.
    #[expect(
        clippy::expect_used,
        reason = "counts and lengths of one copy are below 65,536"
    )]
    pub(crate) fn count_u16(&mut self, count: usize) {
        self.bytes(
            &u16::try_from(count)
                .expect("bounded by the format")
                .to_be_bytes(),
        );
    }

    #[expect(
        clippy::expect_used,
        reason = "counts and lengths of one copy are below 65,536"
    )]
    pub(crate) fn count_u32(&mut self, count: usize) {
        self.bytes(
            &u32::try_from(count)
                .expect("bounded by the format")
                .to_be_bytes(),
        );
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}
