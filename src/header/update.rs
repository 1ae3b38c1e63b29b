//! The owner's acts: who may open the file, and under which key (FORMAT.md section 8).
//!
//! Each makes a new header from one that was opened, with every remaining slot wrapped anew: what a holder of a
//! key may have spoiled in another's slot does not survive. The caller writes it (F-19).

use std::sync::Arc;

use crate::epoch::EpochKeys;
use crate::mldsa::{SignError, SigningKey};
use crate::secret::{STACK_OF_A_HEADER, wiping_the_stack};
use crate::slot::{MAX_LABEL_LEN, Slot, SlotDetails, SlotKind, SlotLabel};
use crate::{EpochKey, OpenError};

use super::{
    CreateError, EpochSet, Header, MAX_OLDER_EPOCHS, MAX_PASSPHRASE_SLOTS, MAX_SLOTS, NewSlot,
    OlderEpoch, Opened, Overflow, Predecessor, SlotKey,
};

/// Why a header cannot be changed as asked. The file is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// The slot cannot be made.
    #[error("{0}")]
    Create(CreateError),
    /// A slot's details do not open: nobody can wrap a key for it.
    #[error("slot {number} was altered: its public key does not open; remove that slot first")]
    DetailsAltered {
        /// Number of the slot, from 1.
        number: usize,
    },
    /// Another slot is for the same key.
    #[error("slot {number} is for this key already")]
    DuplicateKey {
        /// Number of the slot that is, from 1.
        number: usize,
    },
    /// Another slot has this label.
    #[error("slot {number} has this label already")]
    DuplicateLabel {
        /// Number of the slot that has it, from 1.
        number: usize,
    },
    /// Without slots nobody could open the file again.
    #[error(
        "the last slot cannot be removed: nobody could open the file any more; add another key first"
    )]
    LastSlot,
    /// There is no slot of that number.
    #[error("there is no slot {number}")]
    NoSuchSlot {
        /// The number, from 1.
        number: usize,
    },
    /// A number has reached its maximum.
    #[error("{0}")]
    Overflow(#[from] Overflow),
    /// The file is signed, and only its signer may say who reads it.
    #[error(
        "the file is signed: its signing key is needed, or the change would break the signature"
    )]
    SigningKeyMissing,
    /// The given key is not the one that signed the file.
    #[error("the file is signed by another key than the one given")]
    SigningKeyDiffers,
    /// The header could not be signed.
    #[error("the header cannot be signed")]
    Sign(SignError),
    /// As many epochs as fit are still in use.
    #[error("{MAX_OLDER_EPOCHS} older keys are still in use: finish the running rekey first")]
    TooManyEpochs,
}

impl From<CreateError> for UpdateError {
    fn from(error: CreateError) -> Self {
        Self::Create(error)
    }
}

/// A slot as it goes into the next header.
struct Entry {
    kind: SlotKind,
    details: SlotDetails,
}

impl Opened {
    /// Public key and label of each slot, in order; an error for one whose details were altered.
    pub fn slot_details(&self) -> impl Iterator<Item = Result<SlotDetails, OpenError>> {
        let keys = self.epochs.newest();
        let file_id = self.header.file_id();
        let slots = self.header.slots().iter();
        slots.map(move |slot| slot.open_details(keys, file_id))
    }

    /// The header with one more slot. An unsigned file becomes signed if a key is given.
    ///
    /// # Errors
    /// [`UpdateError`]; everything that can be refused is, before Argon2id runs.
    pub fn add_slot(
        &self,
        slot: NewSlot,
        signing_key: Option<&SigningKey>,
        rng: &mut impl rand_core::CryptoRng,
    ) -> Result<(Header, EpochSet), UpdateError> {
        self.check_signing_key(signing_key)?;
        let mut entries = self.entries(|_| true)?;
        check_room(&entries, &slot)?;
        let NewSlot { key, label } = slot;
        let (kind, recipient) =
            wiping_the_stack::<STACK_OF_A_HEADER, _>(|| key.resolve(self.header.file_id(), rng))?;
        let has_it = |entry: &Entry| entry.details.recipient == recipient;
        if let Some(index) = entries.iter().position(has_it) {
            return Err(UpdateError::DuplicateKey { number: index + 1 });
        }
        let details = SlotDetails { recipient, label };
        entries.push(Entry { kind, details });
        let next = self.header.clone();
        self.owners_act(next, entries, self.epochs.clone(), signing_key, rng)
    }

    /// The header without these slots (by index, from 0); their holders still know the epoch key. While a rekey runs,
    /// that would be the key which it brings into use: then a newer epoch begins, as in [`Opened::new_epoch`].
    ///
    /// # Errors
    /// [`UpdateError`].
    pub fn remove_slots(
        &self,
        indices: &[usize],
        signing_key: Option<&SigningKey>,
        rng: &mut impl rand_core::CryptoRng,
    ) -> Result<(Header, EpochSet), UpdateError> {
        self.check_signing_key(signing_key)?;
        let slots = self.header.slots().len();
        if let Some(index) = indices.iter().find(|index| **index >= slots) {
            return Err(UpdateError::NoSuchSlot { number: index + 1 });
        }
        let stays = |at| !indices.contains(&at);
        if !self.header.older.is_empty() {
            return self.new_epoch(stays, signing_key, rng);
        }
        let entries = self.entries(stays)?;
        if entries.is_empty() {
            return Err(UpdateError::LastSlot);
        }
        let next = self.header.clone();
        self.owners_act(next, entries, self.epochs.clone(), signing_key, rng)
    }

    /// The header of a new epoch, whose key only the slots for which `keep` holds (by index) get. Pages of the
    /// epochs before stay readable through the epoch table until [`Opened::drop_older_epochs`].
    ///
    /// # Errors
    /// [`UpdateError`].
    pub fn new_epoch(
        &self,
        keep: impl Fn(usize) -> bool,
        signing_key: Option<&SigningKey>,
        rng: &mut impl rand_core::CryptoRng,
    ) -> Result<(Header, EpochSet), UpdateError> {
        self.check_signing_key(signing_key)?;
        let entries = self.entries(keep)?;
        if entries.is_empty() {
            return Err(UpdateError::LastSlot);
        }
        if self.header.older.len() >= MAX_OLDER_EPOCHS {
            return Err(UpdateError::TooManyEpochs);
        }
        let mut next = self.header.clone();
        next.epoch = next.epoch.checked_add(1).ok_or(Overflow)?;
        let keys = wiping_the_stack::<STACK_OF_A_HEADER, _>(|| {
            EpochKeys::derive(&next.file_id, EpochKey::generate(rng), next.epoch)
        });
        next.commitment = *keys.commitment();
        next.rekey_next_page = 1;
        next.older = self
            .epochs
            .iter()
            .map(|older| OlderEpoch::seal(older, &keys, &next.file_id, rng))
            .collect();
        next.predecessors = self
            .epochs
            .iter()
            .map(|before| Predecessor::vouch(before, &next.file_id, &keys))
            .collect();
        let epochs = self.epochs.followed_by(Arc::new(keys));
        self.owners_act(next, entries, epochs, signing_key, rng)
    }

    /// The header that remembers how far a rekey has come: the next page to look at, from 1. Nobody's signature
    /// changes.
    ///
    /// # Errors
    /// [`Overflow`] at the last revision.
    pub fn rekeyed_before(&self, next_page: u32) -> Result<Header, Overflow> {
        let mut next = self.header.clone();
        if !next.older.is_empty() {
            next.rekey_next_page = next_page.max(1);
        }
        next.next_revision()?;
        Ok(next)
    }

    /// The header without older epochs: pages sealed under them open no more. The caller has seen to it that there
    /// are none (F-20a). Nobody's signature changes.
    ///
    /// # Errors
    /// [`Overflow`] at the last revision.
    pub fn drop_older_epochs(&self) -> Result<(Header, EpochSet), Overflow> {
        let mut next = self.header.clone();
        next.older.clear();
        next.min_epoch = next.epoch;
        next.rekey_next_page = 0;
        next.next_revision()?;
        Ok((next, self.epochs.newest_only()))
    }

    fn check_signing_key(&self, signing_key: Option<&SigningKey>) -> Result<(), UpdateError> {
        match (self.header.signer(), signing_key) {
            (Some(_), None) => Err(UpdateError::SigningKeyMissing),
            (Some(signer), Some(key)) if key.verifying_key() != signer => {
                Err(UpdateError::SigningKeyDiffers)
            }
            _ => Ok(()),
        }
    }

    fn entries(&self, keep: impl Fn(usize) -> bool) -> Result<Vec<Entry>, UpdateError> {
        let slots = self.header.slots().iter().enumerate();
        slots
            .filter(|(index, _)| keep(*index))
            .map(|(index, slot)| {
                let details = slot
                    .open_details(self.epochs.newest(), self.header.file_id())
                    .map_err(|OpenError| UpdateError::DetailsAltered { number: index + 1 })?;
                let kind = slot.kind();
                Ok(Entry { kind, details })
            })
            .collect()
    }

    fn owners_act(
        &self,
        mut next: Header,
        entries: Vec<Entry>,
        epochs: EpochSet,
        signing_key: Option<&SigningKey>,
        rng: &mut impl rand_core::CryptoRng,
    ) -> Result<(Header, EpochSet), UpdateError> {
        next.slots = wiping_the_stack::<STACK_OF_A_HEADER, _>(|| {
            let seal = |Entry { kind, details }: Entry| {
                let found_len = details.label.len();
                let label =
                    SlotLabel::new(details.label).ok_or(CreateError::LabelTooLong { found_len })?;
                let recipient = &details.recipient;
                Ok(Slot::seal(
                    kind,
                    recipient,
                    &label,
                    &next.file_id,
                    epochs.newest(),
                    rng,
                ))
            };
            entries
                .into_iter()
                .map(seal)
                .collect::<Result<_, CreateError>>()
        })?;
        next.generation = next.generation.checked_add(1).ok_or(Overflow)?;
        next.next_revision()?;
        if let Some(key) = signing_key {
            next.sign(key).map_err(UpdateError::Sign)?;
        }
        Ok((next, epochs))
    }
}

fn check_room(entries: &[Entry], slot: &NewSlot) -> Result<(), UpdateError> {
    if slot.label.len() > MAX_LABEL_LEN {
        let found_len = slot.label.len();
        return Err(CreateError::LabelTooLong { found_len }.into());
    }
    let labelled = |entry: &Entry| !slot.label.is_empty() && entry.details.label == slot.label;
    if let Some(index) = entries.iter().position(labelled) {
        return Err(UpdateError::DuplicateLabel { number: index + 1 });
    }
    if entries.len() >= MAX_SLOTS {
        let found = entries.len() + 1;
        return Err(CreateError::TooManySlots { found }.into());
    }
    if let SlotKey::Passphrase(_, params) = &slot.key {
        params.check().map_err(CreateError::Argon2)?;
        let found = 1 + entries
            .iter()
            .filter(|entry| entry.kind.is_passphrase())
            .count();
        if found > MAX_PASSPHRASE_SLOTS {
            return Err(CreateError::TooManyPassphrases { found }.into());
        }
    }
    Ok(())
}
