//! The header of a new file.

use crate::epoch::{EpochKeys, FileId};
use crate::mldsa::{SignError, SigningKey};
use crate::page::PageSize;
use crate::passphrase::{Argon2Params, ParamsError, SALT_LEN};
use crate::secret::{STACK_OF_A_HEADER, wiping_the_stack};
use crate::slot::{MAX_LABEL_LEN, Slot, SlotKind, SlotLabel};
use crate::xwing::Recipient;
use crate::{EpochKey, Passphrase, RawKey};

use super::keyring::KeyPair;
use super::{EpochSet, Header, MAX_PASSPHRASE_SLOTS, MAX_SLOTS};

/// What a new file's header is made from.
#[derive(Debug)]
pub struct NewHeader<'a> {
    /// The size of the file's pages.
    pub page_size: PageSize,
    /// Who may open it: 1 to 22 slots, of which at most 4 for passphrases.
    pub slots: Vec<NewSlot>,
    /// The owner's key, if the header is to be signed.
    pub signing_key: Option<&'a SigningKey>,
}

/// A slot to be made.
#[derive(Debug)]
pub struct NewSlot {
    /// Whom the slot lets in.
    pub key: SlotKey,
    /// What key holders see in a listing; at most 63 bytes of UTF-8.
    pub label: String,
}

/// Whom a new slot lets in.
#[derive(Debug)]
#[non_exhaustive]
pub enum SlotKey {
    /// Whoever knows this passphrase.
    Passphrase(Passphrase, Argon2Params),
    /// Whoever has this raw key.
    RawKey(RawKey),
    /// The holder of this recipient's identity.
    Recipient(Recipient),
}

/// Why a header cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The costs of a passphrase slot are outside their range, or cannot be met here.
    #[error("passphrase slot: {0}")]
    Argon2(ParamsError),
    /// Two slots are for the same key.
    #[error("slot {index} is for the same key as one before it")]
    DuplicateRecipient {
        /// Index of the later slot, from 0.
        index: usize,
    },
    /// A label is longer than its field.
    #[error("a label of {found_len} bytes, where {MAX_LABEL_LEN} fit")]
    LabelTooLong {
        /// Its length in bytes of UTF-8.
        found_len: usize,
    },
    /// A file without slots could never be opened.
    #[error("no key that could open the file")]
    NoSlots,
    /// The header could not be signed.
    #[error("the header cannot be signed")]
    Sign(#[source] SignError),
    /// More passphrase slots than fit.
    #[error("{found} passphrases, where {MAX_PASSPHRASE_SLOTS} fit")]
    TooManyPassphrases {
        /// How many were asked for.
        found: usize,
    },
    /// More slots than fit.
    #[error("{found} keys, where {MAX_SLOTS} fit")]
    TooManySlots {
        /// How many were asked for.
        found: usize,
    },
}

impl NewHeader<'_> {
    /// Draws a file id and the key of epoch 1, and wraps it to every slot.
    ///
    /// # Errors
    /// [`CreateError`]; everything that can be refused is, before the first Argon2id runs.
    pub fn create(
        self,
        rng: &mut impl rand_core::CryptoRng,
    ) -> Result<(Header, EpochSet), CreateError> {
        self.check()?;
        wiping_the_stack::<STACK_OF_A_HEADER, _>(|| self.make(rng))
    }

    fn make(self, rng: &mut impl rand_core::CryptoRng) -> Result<(Header, EpochSet), CreateError> {
        let file_id = FileId::generate(rng);
        let keys = EpochKeys::derive(&file_id, EpochKey::generate(rng), 1);
        let mut recipients = Vec::with_capacity(self.slots.len());
        let mut slots = Vec::with_capacity(self.slots.len());
        for (index, NewSlot { key, label }) in self.slots.into_iter().enumerate() {
            let found_len = label.len();
            let label = SlotLabel::new(label).ok_or(CreateError::LabelTooLong { found_len })?;
            let (kind, recipient) = key.resolve(&file_id, rng)?;
            if recipients.contains(&recipient) {
                return Err(CreateError::DuplicateRecipient { index });
            }
            slots.push(Slot::seal(kind, &recipient, &label, &file_id, &keys, rng));
            recipients.push(recipient);
        }
        let mut header = Header {
            file_id,
            page_size: self.page_size,
            generation: 1,
            revision: 1,
            populated: false,
            epoch: 1,
            commitment: *keys.commitment(),
            min_epoch: 1,
            rekey_next_page: 0,
            slots,
            signer: None,
            older: Vec::new(),
            predecessors: Vec::new(),
        };
        if let Some(key) = self.signing_key {
            header.sign(key).map_err(CreateError::Sign)?;
        }
        Ok((header, EpochSet::first(file_id, keys)))
    }

    fn check(&self) -> Result<(), CreateError> {
        if self.slots.is_empty() {
            return Err(CreateError::NoSlots);
        }
        if self.slots.len() > MAX_SLOTS {
            return Err(CreateError::TooManySlots {
                found: self.slots.len(),
            });
        }
        let mut passphrases = 0;
        for slot in &self.slots {
            if slot.label.len() > MAX_LABEL_LEN {
                return Err(CreateError::LabelTooLong {
                    found_len: slot.label.len(),
                });
            }
            if let SlotKey::Passphrase(_, params) = &slot.key {
                params.check().map_err(CreateError::Argon2)?;
                passphrases += 1;
            }
        }
        if passphrases > MAX_PASSPHRASE_SLOTS {
            return Err(CreateError::TooManyPassphrases { found: passphrases });
        }
        Ok(())
    }
}

impl SlotKey {
    /// The kind to store and the public key to wrap to.
    pub(super) fn resolve(
        self,
        file_id: &FileId,
        rng: &mut impl rand_core::CryptoRng,
    ) -> Result<(SlotKind, Recipient), CreateError> {
        match self {
            Self::Passphrase(passphrase, params) => {
                let mut salt = [0; SALT_LEN];
                rng.fill_bytes(&mut salt);
                let pair = KeyPair::from_passphrase(&passphrase, &salt, params, file_id)
                    .map_err(CreateError::Argon2)?;
                Ok((SlotKind::Passphrase { salt, params }, pair.recipient))
            }
            Self::RawKey(key) => Ok((
                SlotKind::RawKey,
                KeyPair::from_raw_key(&key, file_id).recipient,
            )),
            Self::Recipient(recipient) => Ok((SlotKind::Recipient, recipient)),
        }
    }
}
