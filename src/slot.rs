//! Slots: one for each key that opens the file (FORMAT.md section 6).
//!
//! Every slot wraps the newest epoch's key to an X-Wing public key. A passphrase or a raw key is the
//! seed of such a key pair, so whoever opens the file can wrap a new epoch key to all slots.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::epoch::{EpochKeys, FileId};
use crate::header::wire::{Reader, Writer};
use crate::header::{DecodeError, Field};
use crate::label;
use crate::passphrase::{Argon2Params, SALT_LEN};
use crate::wrap::{self, ENC_LEN, WRAPPED_LEN, WrappedKey};
use crate::xwing::{Identity, RECIPIENT_LEN, Recipient};
use crate::{EpochKey, OpenError, aead, xaes};

/// Length of a slot in bytes.
pub const SLOT_LEN: usize = 2_528;
/// Length of a slot's label in bytes of UTF-8, at most.
pub const MAX_LABEL_LEN: usize = 63;
/// Length of a hint in bytes.
pub const HINT_LEN: usize = 4;

const LABEL_FIELD_LEN: usize = 1 + MAX_LABEL_LEN;
const DETAILS_LEN: usize = RECIPIENT_LEN + LABEL_FIELD_LEN;
const _: () = assert!(
    2 + 2
        + HINT_LEN
        + ENC_LEN
        + WRAPPED_LEN
        + SALT_LEN
        + 3 * 4
        + 4
        + xaes::NONCE_LEN
        + DETAILS_LEN
        + aead::TAG_LEN
        == SLOT_LEN
);

/// What yields the key pair that a slot is wrapped to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlotKind {
    /// An identity: its holder has the seed.
    Recipient,
    /// A passphrase, stretched by Argon2id.
    Passphrase {
        /// Argon2id salt.
        salt: [u8; SALT_LEN],
        /// Argon2id costs, within the permitted range.
        params: Argon2Params,
    },
    /// A raw 32-byte key.
    RawKey,
}

impl SlotKind {
    /// The number that the file stores.
    #[must_use]
    pub const fn number(&self) -> u16 {
        match self {
            Self::Recipient => 1,
            Self::Passphrase { .. } => 2,
            Self::RawKey => 3,
        }
    }

    /// Whether trying a key on the slot costs an Argon2id.
    #[must_use]
    pub const fn is_passphrase(&self) -> bool {
        matches!(self, Self::Passphrase { .. })
    }

    /// A word for listings: `recipient`, `passphrase`, `raw key`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Recipient => "recipient",
            Self::Passphrase { .. } => "passphrase",
            Self::RawKey => "raw key",
        }
    }
}

/// One slot: 2,528 bytes, public as a whole. Only [`Slot::open_details`] says whose it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Slot {
    kind: SlotKind,
    hint: [u8; HINT_LEN],
    wrapped: WrappedKey,
    details_nonce: [u8; xaes::NONCE_LEN],
    details: [u8; DETAILS_LEN],
    details_tag: [u8; aead::TAG_LEN],
}

/// What only a key holder learns about a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlotDetails {
    /// The public key that the slot is wrapped to.
    pub recipient: Recipient,
    /// The label that the owner gave it.
    pub label: String,
}

impl Slot {
    /// Wraps the key of `keys` to `recipient` and seals the details.
    pub(crate) fn seal(
        kind: SlotKind,
        recipient: &Recipient,
        label: &SlotLabel,
        file_id: &FileId,
        keys: &EpochKeys,
        rng: &mut impl rand_core::CryptoRng,
    ) -> Self {
        let aad = wrap_aad(file_id, keys.epoch(), kind);
        let wrapped = wrap::wrap_key(
            recipient,
            label::SLOT_WRAP,
            &aad,
            keys.expose_epoch_key(),
            rng,
        );
        let hint = hint(file_id, &wrapped.enc, recipient);
        let mut details_nonce = [0; xaes::NONCE_LEN];
        rng.fill_bytes(&mut details_nonce);
        let mut details = [0; DETAILS_LEN];
        let (public_key, label_field) = details.split_at_mut(RECIPIENT_LEN);
        public_key.copy_from_slice(recipient.as_bytes());
        label_field.copy_from_slice(&label.field());
        let aad = details_aad(file_id, keys.epoch(), kind, hint);
        let details_tag = keys
            .table_key()
            .seal_in_place(&details_nonce, &aad, &mut details);
        Self {
            kind,
            hint,
            wrapped,
            details_nonce,
            details,
            details_tag,
        }
    }

    /// Reads a slot, strictly: an unknown kind, Argon2id costs out of range, and fields that ought to
    /// be zero and are not, are refused.
    ///
    /// # Errors
    /// [`DecodeError`] names the first field that is wrong.
    pub fn decode(bytes: &[u8; SLOT_LEN]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let number = reader.u16()?;
        reader.zeros(2, Field::SlotZero)?;
        let hint = *reader.array()?;
        let wrapped = WrappedKey {
            enc: *reader.array()?,
            sealed: *reader.array()?,
        };
        let kind = decode_kind(number, reader.array::<{ SALT_LEN + 12 }>()?)?;
        reader.zeros(4, Field::SlotZero)?;
        Ok(Self {
            kind,
            hint,
            wrapped,
            details_nonce: *reader.array()?,
            details: *reader.array()?,
            details_tag: *reader.array()?,
        })
    }

    /// Writes the slot; the reverse of [`Slot::decode`]. The result has [`SLOT_LEN`] bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(SLOT_LEN);
        self.write(&mut writer);
        writer.into_bytes()
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.bytes(&self.kind.number().to_be_bytes());
        writer.zeros(2);
        writer.bytes(&self.hint);
        writer.bytes(&self.wrapped.enc);
        writer.bytes(&self.wrapped.sealed);
        match self.kind {
            SlotKind::Passphrase { salt, params } => {
                writer.bytes(&salt);
                writer.bytes(&params.memory_kib.to_be_bytes());
                writer.bytes(&params.passes.to_be_bytes());
                writer.bytes(&params.lanes.to_be_bytes());
            }
            SlotKind::Recipient | SlotKind::RawKey => writer.zeros(SALT_LEN + 12),
        }
        writer.zeros(4);
        writer.bytes(&self.details_nonce);
        writer.bytes(&self.details);
        writer.bytes(&self.details_tag);
    }

    /// What yields the slot's key pair.
    #[must_use]
    pub const fn kind(&self) -> SlotKind {
        self.kind
    }

    /// The hint as it is stored.
    #[must_use]
    pub const fn hint(&self) -> [u8; HINT_LEN] {
        self.hint
    }

    /// Whether the slot claims to be for `recipient` (F-13). It proves nothing.
    #[must_use]
    pub fn hint_fits(&self, file_id: &FileId, recipient: &Recipient) -> bool {
        hint(file_id, &self.wrapped.enc, recipient)
            .ct_eq(&self.hint)
            .into()
    }

    /// Unwraps the key of `epoch`, the file's newest (F-12).
    ///
    /// Anyone can wrap a key to a known public key: what comes out is only a claim until its
    /// commitment and the header's MAC fit.
    ///
    /// # Errors
    /// [`OpenError`] when the slot was made for another key, file, epoch or kind, or was altered.
    pub fn unwrap_key(
        &self,
        identity: &Identity,
        file_id: &FileId,
        epoch: u32,
    ) -> Result<EpochKey, OpenError> {
        let aad = wrap_aad(file_id, epoch, self.kind);
        wrap::unwrap_key(identity, label::SLOT_WRAP, &aad, &self.wrapped)
    }

    /// Opens the public key and the label (F-15). `keys` are those of the file's newest epoch.
    ///
    /// # Errors
    /// [`OpenError`] when they do not authenticate, or are not what a writer would have sealed.
    pub fn open_details(
        &self,
        keys: &EpochKeys,
        file_id: &FileId,
    ) -> Result<SlotDetails, OpenError> {
        let aad = details_aad(file_id, keys.epoch(), self.kind, self.hint);
        let mut details = Zeroizing::new(self.details);
        keys.table_key().open_in_place(
            &self.details_nonce,
            &aad,
            details.as_mut_slice(),
            &self.details_tag,
        )?;
        let (public_key, label) = details.split_at(RECIPIENT_LEN);
        Ok(SlotDetails {
            recipient: Recipient::from_bytes(public_key).map_err(|_| OpenError)?,
            label: SlotLabel::from_field(label).ok_or(OpenError)?.0,
        })
    }
}

impl core::fmt::Debug for Slot {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Slot")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// A label of at most [`MAX_LABEL_LEN`] bytes.
pub(crate) struct SlotLabel(String);

impl SlotLabel {
    /// Takes a label; `None` if it is too long.
    pub(crate) fn new(label: String) -> Option<Self> {
        (label.len() <= MAX_LABEL_LEN).then_some(Self(label))
    }

    /// One length byte, the label, zeros.
    fn field(&self) -> [u8; LABEL_FIELD_LEN] {
        let mut field = [0; LABEL_FIELD_LEN];
        if let Some((len, text)) = field.split_first_mut() {
            *len = u8::try_from(self.0.len()).unwrap_or_default();
            for (to, from) in text.iter_mut().zip(self.0.bytes()) {
                *to = from;
            }
        }
        field
    }

    fn from_field(field: &[u8]) -> Option<Self> {
        let (len, text) = field.split_first()?;
        let (text, rest) = text.split_at_checked(usize::from(*len))?;
        if rest.iter().any(|byte| *byte != 0) {
            return None;
        }
        Self::new(core::str::from_utf8(text).ok()?.to_owned())
    }
}

fn decode_kind(number: u16, kdf: &[u8; SALT_LEN + 12]) -> Result<SlotKind, DecodeError> {
    let mut reader = Reader::new(kdf);
    match number {
        2 => {
            let salt = *reader.array()?;
            let params = Argon2Params {
                memory_kib: reader.u32()?,
                passes: reader.u32()?,
                lanes: reader.u32()?,
            };
            params.check().map_err(DecodeError::Argon2)?;
            Ok(SlotKind::Passphrase { salt, params })
        }
        1 | 3 => {
            reader.zeros(kdf.len(), Field::SlotZero)?;
            Ok(if number == 1 {
                SlotKind::Recipient
            } else {
                SlotKind::RawKey
            })
        }
        _ => Err(DecodeError::Malformed(Field::SlotKind)),
    }
}

/// `file id ‖ u32 epoch ‖ u16 kind`.
fn wrap_aad(file_id: &FileId, epoch: u32, kind: SlotKind) -> Vec<u8> {
    [
        file_id.as_bytes().as_slice(),
        &epoch.to_be_bytes(),
        &kind.number().to_be_bytes(),
    ]
    .concat()
}

/// `label ‖ 0x00 ‖ file id ‖ u32 epoch ‖ u16 kind ‖ hint`.
fn details_aad(file_id: &FileId, epoch: u32, kind: SlotKind, hint: [u8; HINT_LEN]) -> Vec<u8> {
    let mut aad = [label::SLOT_DETAILS.as_bytes(), &[0]].concat();
    aad.extend_from_slice(&wrap_aad(file_id, epoch, kind));
    aad.extend_from_slice(&hint);
    aad
}

/// `SHA-256(label ‖ 0x00 ‖ file id ‖ enc ‖ public key)[0..4]`.
fn hint(file_id: &FileId, enc: &[u8; ENC_LEN], recipient: &Recipient) -> [u8; HINT_LEN] {
    let digest = Sha256::new()
        .chain_update(label::SLOT_HINT.as_bytes())
        .chain_update([0])
        .chain_update(file_id.as_bytes())
        .chain_update(enc)
        .chain_update(recipient.as_bytes())
        .finalize();
    let mut hint = [0; HINT_LEN];
    for (to, from) in hint.iter_mut().zip(digest) {
        *to = from;
    }
    hint
}

#[cfg(test)]
mod tests;
