//! Which keys vouch for the newest one (FORMAT.md section 5.4).
//!
//! Whoever has a file open through the whole of a rekey knows a key that is in no table any more. A MAC under it, left in
//! the header, tells him that a holder of his key brought the new one into use.

use crate::epoch::{EpochKeys, FileId, same_mac};

use super::wire::{Reader, Writer};
use super::{DecodeError, EpochSet, Field, Header, MAX_OLDER_EPOCHS};

/// Entries, at most: one for each epoch that was in use when the newest began.
pub(super) const MAX_PREDECESSORS: usize = MAX_OLDER_EPOCHS + 1;

/// What an epoch's key says of the newest one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Predecessor {
    epoch: u32,
    mac: [u8; 32],
}

impl Predecessor {
    /// Length of an entry in bytes.
    pub(super) const LEN: usize = 4 + 32;

    pub(super) fn vouch(before: &EpochKeys, file_id: &FileId, newest: &EpochKeys) -> Self {
        Self {
            epoch: before.epoch(),
            mac: before.succession_mac(file_id, newest.epoch(), newest.commitment()),
        }
    }

    /// Entries, newest epoch first, all before `newest`; the rest is zero.
    pub(super) fn read_all(reader: &mut Reader<'_>, newest: u32) -> Result<Vec<Self>, DecodeError> {
        let malformed = Err(DecodeError::Malformed(Field::Succession));
        let mut all: Vec<Self> = Vec::new();
        let mut above = newest;
        let mut ended = false;
        for _ in 0..MAX_PREDECESSORS {
            let (epoch, mac) = (reader.u32()?, *reader.array()?);
            if epoch == 0 {
                if mac != [0; 32] {
                    return malformed;
                }
                ended = true;
                continue;
            }
            if ended || epoch >= above {
                return malformed;
            }
            above = epoch;
            all.push(Self { epoch, mac });
        }
        Ok(all)
    }

    pub(super) fn write_all(all: &[Self], writer: &mut Writer) {
        for entry in all {
            writer.bytes(&entry.epoch.to_be_bytes());
            writer.bytes(&entry.mac);
        }
        writer.zeros((MAX_PREDECESSORS - all.len().min(MAX_PREDECESSORS)) * Self::LEN);
    }
}

impl Header {
    /// Whether a holder of the newest of `held` keys brought this authentic header's newest key into use, or it is the
    /// same, or `held` is still among `epochs`, which are this header's.
    #[must_use]
    pub fn continues(&self, epochs: &EpochSet, held: &EpochSet) -> bool {
        let before = held.newest();
        if held.file_id() != self.file_id() {
            return false;
        }
        if epochs.find(before.epoch(), before.commitment()).is_some() {
            return true;
        }
        let mac = before.succession_mac(self.file_id(), self.epoch(), self.commitment());
        self.predecessors
            .iter()
            .any(|entry| entry.epoch == before.epoch() && same_mac(&mac, &entry.mac))
    }
}
