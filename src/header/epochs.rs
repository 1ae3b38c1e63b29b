//! The epoch keys of a header: the newest from a slot, older ones from the epoch table
//! (FORMAT.md section 5.3).

use std::sync::Arc;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::epoch::{EpochKeys, FileId};
use crate::{EpochKey, OpenError, aead, label, xaes};

use super::wire::{Reader, Writer};
use super::{DecodeError, Header};

/// The key of an epoch before the newest, sealed under the newest epoch's table key.
#[derive(Clone, PartialEq, Eq)]
pub struct OlderEpoch {
    epoch: u32,
    commitment: [u8; 32],
    nonce: [u8; xaes::NONCE_LEN],
    sealed: [u8; EpochKey::LEN],
    tag: [u8; aead::TAG_LEN],
}

impl OlderEpoch {
    /// Length of an entry in bytes.
    pub const LEN: usize = 4 + 32 + xaes::NONCE_LEN + EpochKey::LEN + aead::TAG_LEN;

    /// The epoch's number.
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The commitment to its key.
    #[must_use]
    pub const fn commitment(&self) -> &[u8; 32] {
        &self.commitment
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            epoch: reader.u32()?,
            commitment: *reader.array()?,
            nonce: *reader.array()?,
            sealed: *reader.array()?,
            tag: *reader.array()?,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.bytes(&self.epoch.to_be_bytes());
        writer.bytes(&self.commitment);
        writer.bytes(&self.nonce);
        writer.bytes(&self.sealed);
        writer.bytes(&self.tag);
    }

    /// Seals the key of `older` under the table key of `newest`.
    pub(super) fn seal(
        older: &EpochKeys,
        newest: &EpochKeys,
        file_id: &FileId,
        rng: &mut impl rand_core::CryptoRng,
    ) -> Self {
        let mut nonce = [0; xaes::NONCE_LEN];
        rng.fill_bytes(&mut nonce);
        let aad = aad(file_id, newest.epoch(), older.epoch(), older.commitment());
        let mut sealed = *older.expose_epoch_key().expose();
        let tag = newest.table_key().seal_in_place(&nonce, &aad, &mut sealed);
        Self {
            epoch: older.epoch(),
            commitment: *older.commitment(),
            nonce,
            sealed,
            tag,
        }
    }

    fn open(&self, newest: &EpochKeys, file_id: &FileId) -> Result<EpochKeys, OpenError> {
        let aad = aad(file_id, newest.epoch(), self.epoch, &self.commitment);
        let mut key = Zeroizing::new(self.sealed);
        newest
            .table_key()
            .open_in_place(&self.nonce, &aad, key.as_mut_slice(), &self.tag)?;
        let keys = EpochKeys::derive(file_id, EpochKey::from_bytes(*key), self.epoch);
        if keys.commitment().ct_eq(&self.commitment).into() {
            Ok(keys)
        } else {
            Err(OpenError)
        }
    }
}

impl core::fmt::Debug for OlderEpoch {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("OlderEpoch")
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

/// The keys of all epochs of a file that are in use. Clones share the keys.
#[derive(Clone, Debug)]
pub struct EpochSet {
    file_id: FileId,
    newest: Arc<EpochKeys>,
    older: Vec<Arc<EpochKeys>>,
}

impl EpochSet {
    /// The first epoch of a new file.
    pub(super) fn first(file_id: FileId, keys: EpochKeys) -> Self {
        Self {
            file_id,
            newest: Arc::new(keys),
            older: Vec::new(),
        }
    }

    /// Opens the epoch table of an authentic header; what `known` holds already is taken from there.
    pub(super) fn load(
        header: &Header,
        newest: Arc<EpochKeys>,
        known: Option<&Self>,
    ) -> Result<Self, OpenError> {
        let older = header
            .older
            .iter()
            .map(|entry| {
                let held = known.and_then(|set| set.find(entry.epoch, &entry.commitment));
                match held {
                    Some(keys) => Ok(Arc::clone(keys)),
                    None => entry.open(&newest, &header.file_id).map(Arc::new),
                }
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            file_id: header.file_id,
            newest,
            older,
        })
    }

    /// The same keys behind those of a newer epoch.
    pub(super) fn followed_by(&self, newest: Arc<EpochKeys>) -> Self {
        Self {
            file_id: self.file_id,
            newest,
            older: self.shared().map(Arc::clone).collect(),
        }
    }

    /// The newest epoch's keys alone.
    pub(super) fn newest_only(&self) -> Self {
        Self {
            file_id: self.file_id,
            newest: Arc::clone(&self.newest),
            older: Vec::new(),
        }
    }

    /// The file that the keys belong to.
    #[must_use]
    pub const fn file_id(&self) -> &FileId {
        &self.file_id
    }

    /// The keys of the newest epoch.
    #[must_use]
    pub fn newest(&self) -> &EpochKeys {
        &self.newest
    }

    /// The keys of one epoch, if it is in use.
    #[must_use]
    pub fn get(&self, epoch: u32) -> Option<&EpochKeys> {
        self.iter().find(|keys| keys.epoch() == epoch)
    }

    /// All keys, newest epoch first.
    pub fn iter(&self) -> impl Iterator<Item = &EpochKeys> {
        self.shared().map(|keys| &**keys)
    }

    /// The keys of an epoch if they are those that `commitment` commits to, in constant time.
    pub(super) fn find(&self, epoch: u32, commitment: &[u8; 32]) -> Option<&Arc<EpochKeys>> {
        self.shared()
            .find(|keys| keys.epoch() == epoch && keys.commitment().ct_eq(commitment).into())
    }

    fn shared(&self) -> impl Iterator<Item = &Arc<EpochKeys>> {
        core::iter::once(&self.newest).chain(&self.older)
    }
}

/// `label ‖ 0x00 ‖ file id ‖ u32 newest epoch ‖ u32 this epoch ‖ commitment`.
fn aad(file_id: &FileId, newest: u32, epoch: u32, commitment: &[u8; 32]) -> Vec<u8> {
    [
        label::EPOCH_KEY.as_bytes(),
        &[0],
        file_id.as_bytes(),
        &newest.to_be_bytes(),
        &epoch.to_be_bytes(),
        commitment,
    ]
    .concat()
}
