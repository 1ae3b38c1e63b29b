//! Sealing of pages: XAES-256-GCM in place, with a 48-byte trailer (FORMAT.md section 9).

use crate::epoch::{EpochKeys, FileId};
use crate::{OpenError, aead, xaes};

mod derived;

use derived::DerivedKeys;
pub use derived::OPENER_CACHE_LEN;

/// Length of the trailer: nonce 24 ‖ epoch 4 ‖ zero 4 ‖ tag 16.
pub const TRAILER_LEN: usize = 48;
/// How many pages one derived key seals at most.
pub const SEALS_PER_BATCH: u32 = 1_024;

const SUITE: u16 = 1;
const AAD_LEN: usize = 56;

/// A page size: a power of two from 4,096 to 65,536.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PageSize(u32);

/// A number that is not a page size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found} is not a page size: use a power of two from 4096 to 65536")]
pub struct PageSizeError {
    /// The number.
    pub found: u32,
}

impl PageSize {
    /// The smallest, SQLite's default.
    pub const MIN: Self = Self(4_096);
    /// The largest that SQLite knows.
    pub const MAX: Self = Self(65_536);

    /// Checks a number.
    ///
    /// # Errors
    /// [`PageSizeError`] for anything but a power of two from 4,096 to 65,536.
    pub const fn new(bytes: u32) -> Result<Self, PageSizeError> {
        if bytes >= Self::MIN.0 && bytes <= Self::MAX.0 && bytes.is_power_of_two() {
            Ok(Self(bytes))
        } else {
            Err(PageSizeError { found: bytes })
        }
    }

    /// In bytes.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// In bytes, as a length.
    #[must_use]
    pub const fn to_usize(self) -> usize {
        self.0 as usize
    }
}

impl Default for PageSize {
    fn default() -> Self {
        Self::MIN
    }
}

/// Where a sealed page stands: part of its associated data, so that it opens nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// In the database file.
    Database,
    /// In the write-ahead log.
    Wal {
        /// Offset of the frame in the WAL.
        frame_offset: u64,
        /// Bytes 4..8 of the frame header: the database size after a commit, or 0.
        commit_size: u32,
        /// salt-1 ‖ salt-2 of the WAL header.
        salts: [u8; 8],
    },
    /// In a rollback journal.
    Journal {
        /// Offset of the record in the journal.
        record_offset: u64,
        /// The journal's id.
        id: [u8; 16],
    },
}

/// The identity of a page: in which file, under which number, where.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the format fixes these three")]
pub struct PageContext {
    /// The file's id.
    pub file_id: FileId,
    /// SQLite's page number, from 1.
    pub number: u32,
    /// Where the page stands.
    pub place: Place,
}

impl PageContext {
    /// The 56 bytes of associated data (FORMAT.md F-21).
    #[must_use]
    pub fn associated_data(&self, epoch: u32) -> [u8; AAD_LEN] {
        let (kind, commit_size, offset, instance) = match self.place {
            Place::Database => (1u16, 0u32, 0u64, [0; 16]),
            Place::Wal {
                frame_offset,
                commit_size,
                salts,
            } => {
                let mut instance = [0; 16];
                let (head, _) = instance.split_at_mut(8);
                head.copy_from_slice(&salts);
                (2, commit_size, frame_offset, instance)
            }
            Place::Journal { record_offset, id } => (3, 0, record_offset, id),
        };
        // Copies of known lengths: a loop over slices costs a tenth of the sealing of a small page.
        let mut aad = [0; AAD_LEN];
        aad[..2].copy_from_slice(&SUITE.to_be_bytes());
        aad[2..4].copy_from_slice(&kind.to_be_bytes());
        aad[4..8].copy_from_slice(&epoch.to_be_bytes());
        aad[8..24].copy_from_slice(self.file_id.as_bytes());
        aad[24..28].copy_from_slice(&self.number.to_be_bytes());
        aad[28..32].copy_from_slice(&commit_size.to_be_bytes());
        aad[32..40].copy_from_slice(&offset.to_be_bytes());
        aad[40..].copy_from_slice(&instance);
        aad
    }
}

/// The trailer of a stored page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trailer {
    /// XAES nonce.
    pub nonce: [u8; xaes::NONCE_LEN],
    /// Epoch of the key.
    pub epoch: u32,
    /// Whether the four bytes after the epoch are zero, as they must be.
    pub zero: bool,
    /// The tag.
    pub tag: [u8; aead::TAG_LEN],
}

impl Trailer {
    /// Reads the last 48 bytes of a stored page; `None` if the page is shorter.
    #[must_use]
    pub fn decode(page: &[u8]) -> Option<Self> {
        let (_, trailer) = page.split_last_chunk::<TRAILER_LEN>()?;
        let (nonce, rest) = trailer.split_first_chunk()?;
        let (epoch, rest) = rest.split_first_chunk()?;
        let (zero, rest) = rest.split_first_chunk::<4>()?;
        let (tag, _) = rest.split_first_chunk()?;
        Some(Self {
            nonce: *nonce,
            epoch: u32::from_be_bytes(*epoch),
            zero: *zero == [0; 4],
            tag: *tag,
        })
    }
}

/// Why a page cannot be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The batch has sealed [`SEALS_PER_BATCH`] pages: draw fresh bytes and start another.
    #[error("the batch has sealed all the pages it may")]
    BatchExhausted,
    /// The last 48 bytes of the page are in use.
    #[error("the reserved bytes of the page are not zero")]
    ReservedBytesInUse,
    /// Not a page size.
    #[error("not a page length")]
    Length,
}

/// Seals up to [`SEALS_PER_BATCH`] pages under one derived key (FORMAT.md F-25).
///
/// A batch belongs to one connection, one write transaction and one process: whoever forks, or ends the
/// transaction, drops it.
#[derive(Debug)]
pub struct PageSealer {
    key: aead::Key,
    epoch: u32,
    prefix: [u8; xaes::PREFIX_LEN],
    base: u128,
    sealed: u32,
}

impl PageSealer {
    /// Starts a batch. `fresh` comes from the operating system's generator and is used for nothing else.
    #[must_use]
    pub fn new(keys: &EpochKeys, fresh: &[u8; xaes::NONCE_LEN]) -> Self {
        let (prefix, base) = xaes::split(fresh);
        let mut wide = [0; 16];
        let (_, tail) = wide.split_at_mut(4);
        tail.copy_from_slice(&base);
        Self {
            key: keys.page_key().derive(&prefix),
            epoch: keys.epoch(),
            prefix,
            base: u128::from_be_bytes(wide),
            sealed: 0,
        }
    }

    /// The epoch whose key this batch uses.
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Whether the next [`PageSealer::seal`] would find the batch exhausted.
    #[must_use]
    pub const fn is_exhausted(&self) -> bool {
        self.sealed >= SEALS_PER_BATCH
    }

    /// Seals a page in place: SQLite's page, its last 48 bytes zero, becomes the stored page.
    ///
    /// # Errors
    /// [`SealError`]; the page is then as it was.
    pub fn seal(&mut self, context: &PageContext, page: &mut [u8]) -> Result<(), SealError> {
        if u32::try_from(page.len())
            .ok()
            .and_then(|len| PageSize::new(len).ok())
            .is_none()
        {
            return Err(SealError::Length);
        }
        if self.is_exhausted() {
            return Err(SealError::BatchExhausted);
        }
        let (body, trailer) = page
            .split_last_chunk_mut::<TRAILER_LEN>()
            .ok_or(SealError::Length)?;
        if trailer.iter().fold(0, |all, byte| all | byte) != 0 {
            return Err(SealError::ReservedBytesInUse);
        }
        let nonce = self.next_nonce();
        let aad = context.associated_data(self.epoch);
        let tag = self.key.seal_in_place(&nonce, &aad, body);
        trailer[..12].copy_from_slice(&self.prefix);
        trailer[12..24].copy_from_slice(&nonce);
        trailer[24..28].copy_from_slice(&self.epoch.to_be_bytes());
        trailer[32..].copy_from_slice(&tag);
        Ok(())
    }

    fn next_nonce(&mut self) -> [u8; aead::NONCE_LEN] {
        let [_, _, _, _, nonce @ ..] = self
            .base
            .wrapping_add(u128::from(self.sealed))
            .to_be_bytes();
        self.sealed += 1;
        nonce
    }
}

/// Opens pages, keeping at most [`OPENER_CACHE_LEN`] derived keys.
pub struct PageOpener {
    derived: DerivedKeys,
}

impl core::fmt::Debug for PageOpener {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("PageOpener(<redacted>)")
    }
}

impl Default for PageOpener {
    fn default() -> Self {
        Self::new()
    }
}

impl PageOpener {
    /// An opener with an empty cache. It serves one file.
    #[must_use]
    pub fn new() -> Self {
        Self {
            derived: DerivedKeys::new(),
        }
    }

    /// Opens a stored page in place; its last 48 bytes become zero, as SQLite expects them.
    ///
    /// `keys` are those of the epoch in the page's [`Trailer`].
    ///
    /// # Errors
    /// [`OpenError`] when the page does not authenticate as the one that `context` names. The page is
    /// then all zero.
    pub fn open(
        &mut self,
        keys: &EpochKeys,
        context: &PageContext,
        page: &mut [u8],
    ) -> Result<(), OpenError> {
        let opened = self
            .key_of(keys, context, page)
            .and_then(|(key, aad, trailer)| {
                let (_, nonce) = xaes::split(&trailer.nonce);
                let (body, _) = page
                    .split_last_chunk_mut::<TRAILER_LEN>()
                    .ok_or(OpenError)?;
                key.open_in_place(&nonce, &aad, body, &trailer.tag)
            });
        finish(opened, page)
    }

    /// Opens a stored page into `page`, which has the same length; `stored` stays as it is.
    ///
    /// # Errors
    /// As [`PageOpener::open`].
    pub fn open_to(
        &mut self,
        keys: &EpochKeys,
        context: &PageContext,
        stored: &[u8],
        page: &mut [u8],
    ) -> Result<(), OpenError> {
        let opened = self
            .key_of(keys, context, stored)
            .and_then(|(key, aad, trailer)| {
                let (_, nonce) = xaes::split(&trailer.nonce);
                let bodies = (
                    stored.split_last_chunk::<TRAILER_LEN>(),
                    page.split_last_chunk_mut::<TRAILER_LEN>(),
                );
                let (Some((from, _)), Some((to, _))) = bodies else {
                    return Err(OpenError);
                };
                key.open_to(&nonce, &aad, from, &trailer.tag, to)
            });
        finish(opened, page)
    }

    /// The derived key of a stored page, its associated data, and its trailer.
    fn key_of(
        &mut self,
        keys: &EpochKeys,
        context: &PageContext,
        stored: &[u8],
    ) -> Result<(&aead::Key, [u8; AAD_LEN], Trailer), OpenError> {
        let trailer = Trailer::decode(stored).ok_or(OpenError)?;
        if !trailer.zero || trailer.epoch != keys.epoch() {
            return Err(OpenError);
        }
        let (prefix, _) = xaes::split(&trailer.nonce);
        let key = self.derived.get(keys, &prefix).ok_or(OpenError)?;
        Ok((key, context.associated_data(trailer.epoch), trailer))
    }
}

/// A page that was opened ends with zeros; one that was not is nothing but zeros.
fn finish(opened: Result<(), OpenError>, page: &mut [u8]) -> Result<(), OpenError> {
    match (opened, page.split_last_chunk_mut::<TRAILER_LEN>()) {
        (Ok(()), Some((_, trailer))) => {
            *trailer = [0; TRAILER_LEN];
            Ok(())
        }
        _ => {
            page.fill(0);
            Err(OpenError)
        }
    }
}

#[cfg(test)]
mod tests;
