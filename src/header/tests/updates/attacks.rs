//! What happens to the copies against the rules: damage, replays, and forgeries by those who know, or knew, a key.

use super::acts::Act;
use super::model::{Spoiled, Version};
use super::people;
use super::pq::header::{COPY_LEN, EpochSet, Header, reopen};
use super::pq::slot::SLOT_LEN;
use super::story::Story;

/// Where fields stand in a copy (FORMAT.md sections 5 and 6).
const REVISION: usize = 24;
const GENERATION: usize = 148;
const SIGNED: usize = 194;
const SIGNER: core::ops::Range<usize> = 200..2_152;
const SLOTS: usize = 2_152;
const SIGNATURE_LEN: usize = 3_309;
const SEALED_KEY: usize = 1_128;
const SEALED_DETAILS: usize = 1_232;

impl Story<'_> {
    /// Somebody, or the disk, changes bytes.
    pub(super) fn damage(&mut self) {
        let at = self.tape.below(2);
        let how = self.tape.next();
        let offset = usize::from(self.tape.next()) << 8 | usize::from(self.tape.next());
        let copy = &mut self.disk.copies[at];
        match how % 4 {
            0 => copy.truncate(offset),
            1 => copy.fill(how),
            _ => {
                if let Some(byte) = copy.get_mut(offset) {
                    *byte ^= how | 1;
                }
            }
        }
        self.is_clean = false;
    }

    /// Somebody puts a copy back that stood in the file once, or was made for it.
    pub(super) fn replay(&mut self) {
        let version = self.tape.below(self.disk.versions.len());
        self.place(version);
    }

    /// Somebody who once had a key makes a header with it.
    pub(super) fn forge(&mut self) {
        let who = self.tape.below(people::WATCHED);
        let how = self.tape.next();
        let his = &self.kept[who];
        let Some(kept) = his.get(usize::from(how >> 5) % his.len().max(1)).cloned() else {
            return;
        };
        let mut version = kept.version;
        let mut epochs = kept.opened.epochs;
        if how & 1 != 0 {
            version = self.edited(version, &epochs, |bytes, old| {
                strip_signature(bytes, old.slots.len());
            });
            self.disk.versions[version].signer = None;
            self.disk.versions[version].is_signed_well = false;
        }
        if how & 2 != 0 {
            let bytes = &self.disk.versions[version].bytes;
            let opened = reopen(bytes, bytes, &epochs).expect("he knows the key");
            let slots = opened.header.slots().len();
            let act: Act = self.act(slots);
            let signer = (how & 4 != 0).then_some(people::SIGNERS - 1);
            if let Some((next, next_epochs)) = self.change(version, &opened, &act, signer) {
                version = next;
                epochs = next_epochs;
            }
        }
        let newest = self.disk.versions.iter().map(Version::stamp).max();
        let mut newest = newest.expect("there is one");
        match how >> 3 & 3 {
            0 => {}
            1 => {
                newest.generation = newest.generation.saturating_add(1);
                version = self.stamped(version, &epochs, newest.generation, 1);
            }
            2 => {
                let generation = self.disk.versions[version].generation;
                let revision = newest.revision.saturating_add(1);
                version = self.stamped(version, &epochs, generation, revision);
            }
            _ => version = self.stamped(version, &epochs, u64::MAX, u64::MAX),
        }
        self.counts.forged += 1;
        self.place(version);
    }

    /// Somebody who has a key breaks a slot.
    pub(super) fn spoil(&mut self) {
        let who = self.tape.below(people::WATCHED);
        let Some(found) = self.opened_by(who, None) else {
            return;
        };
        let slots = self.disk.versions[found.version].slots.len();
        let slot = self.tape.below(slots);
        let what = if self.tape.next().is_multiple_of(2) {
            Spoiled::Details
        } else {
            Spoiled::Key
        };
        if self.disk.versions[found.version].slots[slot]
            .spoiled
            .is_some()
        {
            return;
        }
        let spoilt = self.edited(found.version, &found.opened.epochs, |bytes, _| {
            let at = match what {
                Spoiled::Details => SEALED_DETAILS,
                Spoiled::Key => SEALED_KEY,
            };
            bytes[SLOTS + slot * SLOT_LEN + at + 3] ^= 1;
        });
        let version = &mut self.disk.versions[spoilt];
        version.slots[slot].spoiled = Some(what);
        version.is_signed_well = false;
        self.counts.forged += 1;
        self.place(spoilt);
    }

    /// Puts a version into one copy, or both.
    fn place(&mut self, version: usize) {
        let bytes = &self.disk.versions[version].bytes;
        match self.tape.next() % 3 {
            2 => self.disk.copies = [bytes.clone(), bytes.clone()],
            at => self.disk.copies[usize::from(at)].clone_from(bytes),
        }
        self.is_clean = false;
    }

    fn stamped(&mut self, old: usize, keys: &EpochSet, generation: u64, revision: u64) -> usize {
        let stamped = self.edited(old, keys, |bytes, _| {
            bytes[GENERATION..][..8].copy_from_slice(&generation.to_be_bytes());
            bytes[REVISION..][..8].copy_from_slice(&revision.to_be_bytes());
        });
        let version = &mut self.disk.versions[stamped];
        version.is_signed_well &= version.generation == generation;
        (version.generation, version.revision) = (generation, revision);
        stamped
    }

    /// A version with other bytes, under a right MAC. The caller tells the model what they mean.
    fn edited(
        &mut self,
        old: usize,
        epochs: &EpochSet,
        edit: impl FnOnce(&mut Vec<u8>, &Version),
    ) -> usize {
        let mut version = self.disk.versions[old].clone();
        let mut bytes = version.bytes.clone();
        edit(&mut bytes, &version);
        version.header = Header::decode(&bytes).expect("it stays a header");
        version.bytes = version.header.encode(epochs.newest());
        assert_eq!(version.bytes.len(), COPY_LEN);
        self.disk.versions.push(version);
        self.disk.versions.len() - 1
    }
}

fn strip_signature(bytes: &mut [u8], slots: usize) {
    bytes[SIGNED..SIGNED + 2].fill(0);
    bytes[SIGNER].fill(0);
    bytes[SLOTS + slots * SLOT_LEN..][..SIGNATURE_LEN].fill(0);
}
