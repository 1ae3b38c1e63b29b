//! What key holders do to the header by the rules (F-19), and where the power fails meanwhile.

use super::model::{Entry, Spoiled, Version};
use super::people::{self, Person};
use super::pq::header::{
    COPY_LEN, CreateError, EpochSet, Header, MAX_OLDER_EPOCHS, MAX_PASSPHRASE_SLOTS, MAX_SLOTS,
    Opened, Overflow, UpdateError,
};
use super::pq::slot::MAX_LABEL_LEN;
use super::story::{Story, label};

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// A change of the header.
#[derive(Debug)]
pub(super) enum Act {
    Add(Person, String),
    Remove(Vec<usize>),
    NewEpoch(Vec<usize>),
    Progress(u32),
    DropOlder,
    Populate,
}

/// One write to a copy, synced before the next.
struct Write {
    copy: usize,
    offset: usize,
    bytes: Vec<u8>,
}

impl Story<'_> {
    pub(super) fn act(&mut self, slots: usize) -> Act {
        match self.tape.next() % 8 {
            0 | 1 => {
                // The passphrase is dear: it comes up seldom.
                let who = match self.tape.next() {
                    0xff => people::SPEAKER,
                    byte if byte >= 0xf0 => people::SPEAKER + 1 + usize::from(byte - 0xf0),
                    byte => usize::from(byte) % people::WATCHED,
                };
                let label = match self.tape.next() % 8 {
                    0 => String::new(),
                    1 => label(0),
                    2 => "é".repeat(MAX_LABEL_LEN / 2 + 1),
                    3 => "x".repeat(MAX_LABEL_LEN),
                    _ => format!("{}, {}", label(who), self.counts.steps),
                };
                Act::Add(who, label)
            }
            2 | 3 => Act::Remove(self.some_of(slots + 1)),
            4 | 5 => Act::NewEpoch(self.some_of(slots)),
            6 => match self.tape.next() {
                255 => Act::Populate,
                page => Act::Progress(page.into()),
            },
            _ => Act::DropOlder,
        }
    }

    /// Numbers below `limit`.
    fn some_of(&mut self, limit: usize) -> Vec<usize> {
        let mask = self.tape.next();
        let inverted = mask & 128 != 0;
        (0..limit)
            .filter(|at| (mask >> (at % 7) & 1 != 0) != inverted)
            .collect()
    }

    /// Somebody changes the header.
    pub(super) fn update(&mut self) {
        let who = match self.tape.next() {
            0xff => people::SPEAKER,
            byte => usize::from(byte) % people::WATCHED,
        };
        let how = self.tape.next();
        let expected = (how & 1 != 0).then_some(usize::from(how >> 1 & 1));
        let signing = how >> 2 & 3;
        let Some(found) = self.opened_by(who, expected) else {
            return;
        };
        let before = &self.disk.versions[found.version];
        let signer = match signing {
            0 => before.signer,
            1 => None,
            other => Some(usize::from(other) - 2),
        };
        let slots = before.slots.len();
        let act = self.act(slots);
        let Some((after, _)) = self.change(found.version, &found.opened, &act, signer) else {
            return;
        };
        if found.opened.is_superseded() {
            // He must not write: the owner may have taken his key away (F-20). No power cut makes it look so.
            let newest = (0..2).filter_map(|at| self.disk.version(at));
            let newest = newest.max_by_key(|version| version.stamp());
            let known =
                newest.map(Version::stamp) > Some(self.disk.versions[found.version].stamp());
            assert!(known || !self.is_clean, "{who} cannot write any more");
            return;
        }
        self.write(&found.opened, found.version, after);
    }

    /// Makes a header from one that was opened, if the model says that this can be done.
    pub(super) fn change(
        &mut self,
        before: usize,
        opened: &Opened,
        act: &Act,
        signer: Option<usize>,
    ) -> Option<(usize, EpochSet)> {
        let old = &self.disk.versions[before];
        let refusal = refusal(old, act, signer);
        let key = signer.map(people::signing_key);
        let rng = &mut self.rng;
        let made = match act {
            Act::Add(who, label) => opened.add_slot(people::slot(*who, label), key, rng),
            Act::Remove(indices) => opened.remove_slots(indices, key, rng),
            Act::NewEpoch(kept) => opened.new_epoch(|at| kept.contains(&at), key, rng),
            Act::Progress(page) => with(opened, opened.rekeyed_before(*page)),
            Act::DropOlder => opened.drop_older_epochs().map_err(UpdateError::from),
            Act::Populate => {
                let mut next = opened.header.clone();
                next.set_populated();
                let raised = next.next_revision();
                with(opened, raised.map(|()| next))
            }
        };
        let (header, epochs) = match (made, refusal) {
            (Ok(made), None) => made,
            (Err(error), Some(meant)) => {
                assert_eq!(error, meant, "{act:?}");
                self.counts.refused += 1;
                return None;
            }
            (made, meant) => panic!("{act:?}: {made:?}, not {meant:?}"),
        };
        let mut next = Version {
            bytes: header.encode(epochs.newest()),
            header,
            revision: old.revision + 1,
            ..old.clone()
        };
        if begins_epoch(&next, act) {
            let commitment = *next.header.commitment();
            assert!(!self.disk.keys.contains(&commitment));
            next.older.insert(0, next.key);
            next.key = self.disk.keys.len();
            self.disk.keys.push(commitment);
        }
        meant(
            &mut next,
            act,
            signer,
            self.disk.versions[before].older.is_empty(),
        );
        self.disk.assert_keys(&epochs, &next);
        self.counts.updates += 1;
        Some((self.made(next), epochs))
    }

    /// Writes a header as the library does, unless the power fails.
    fn write(&mut self, opened: &Opened, before: usize, after: usize) {
        let writes = self.writes(opened, before, after);
        let cut = match self.tape.next() {
            byte if byte < 160 => writes.len(),
            byte => usize::from(byte) % writes.len(),
        };
        for write in writes.iter().take(cut) {
            self.put(write, |_| true);
        }
        let Some(torn) = writes.get(cut) else {
            assert_eq!(self.disk.copies[0], self.disk.copies[1]);
            self.is_clean = true;
            return;
        };
        // Any sectors of the write that was under way are there, or all but a few, or only a few.
        let how = self.tape.next();
        let mut sectors = Rng64(how.into());
        self.put(torn, |sector| match how % 4 {
            0 => sectors.next().is_multiple_of(2),
            1 => sectors.next().is_multiple_of(16),
            2 => !sectors.next().is_multiple_of(16),
            _ => sector < usize::from(how >> 1),
        });
        self.counts.power_cuts += 1;
        if !self.is_clean {
            return;
        }
        // Whoever has a slot in both headers finds one of them.
        for who in 0..people::PEOPLE {
            let has_slot = |at: usize| {
                let mut slots = self.disk.versions[at].slots.iter();
                slots.any(|slot| slot.opens_for(who))
            };
            if has_slot(before) && has_slot(after) {
                let stamps = [before, after].map(|at| self.disk.versions[at].stamp());
                let answer = self.disk.answer(who, None).expect("one copy is whole");
                assert!(stamps.contains(&answer.version.stamp()));
            }
        }
    }

    /// F-19: bad copies are repaired, then A is written, then B.
    fn writes(&self, opened: &Opened, before: usize, after: usize) -> Vec<Write> {
        let write = |copy: usize, version: usize, range: core::ops::Range<usize>| Write {
            copy,
            offset: range.start,
            bytes: self.disk.versions[version].bytes[range].to_vec(),
        };
        let mut writes = Vec::new();
        let good = opened.header.encode(opened.epochs.newest());
        assert_eq!(good, self.disk.versions[before].bytes);
        for copy in 0..2 {
            if self.disk.copies[copy] != good {
                writes.push(write(copy, before, 0..SECTOR));
                writes.push(write(copy, before, SECTOR..COPY_LEN));
            }
        }
        if self.disk.versions[before].key == self.disk.versions[after].key {
            writes.push(write(0, after, 0..COPY_LEN));
        } else {
            writes.push(write(0, after, SECTOR..COPY_LEN));
            writes.push(write(0, after, 0..SECTOR));
        }
        writes.push(write(1, after, 0..COPY_LEN));
        writes
    }

    fn put(&mut self, write: &Write, mut is_kept: impl FnMut(usize) -> bool) {
        let copy = &mut self.disk.copies[write.copy];
        copy.resize(COPY_LEN, 0);
        let old = copy[write.offset..].chunks_mut(SECTOR);
        for (sector, (old, new)) in old.zip(write.bytes.chunks(SECTOR)).enumerate() {
            if is_kept(sector) {
                old.copy_from_slice(new);
            }
        }
    }
}

/// Numbers that depend on a byte alone.
struct Rng64(u64);

impl Rng64 {
    const fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        self.0 >> 33
    }
}

fn with(
    opened: &Opened,
    header: Result<Header, Overflow>,
) -> Result<(Header, EpochSet), UpdateError> {
    Ok((header?, opened.epochs.clone()))
}

/// Who is removed while a rekey runs knows its key: then another one begins.
fn begins_epoch(old: &Version, act: &Act) -> bool {
    match act {
        Act::NewEpoch(_) => true,
        Act::Remove(_) => !old.older.is_empty(),
        _ => false,
    }
}

/// Why a change is refused.
fn refusal(old: &Version, act: &Act, signer: Option<usize>) -> Option<UpdateError> {
    let is_owners = matches!(act, Act::Add(..) | Act::Remove(_) | Act::NewEpoch(_));
    if is_owners {
        match (old.signer, signer) {
            (Some(_), None) => return Some(UpdateError::SigningKeyMissing),
            (Some(old), Some(new)) if old != new => return Some(UpdateError::SigningKeyDiffers),
            _ => {}
        }
    }
    let slots = old.slots.len();
    let kept: Vec<usize> = match act {
        Act::Remove(indices) => {
            if let Some(index) = indices.iter().find(|index| **index >= slots) {
                return Some(UpdateError::NoSuchSlot { number: index + 1 });
            }
            (0..slots).filter(|at| !indices.contains(at)).collect()
        }
        Act::NewEpoch(kept) => kept.clone(),
        _ => (0..slots).collect(),
    };
    let altered = |at: &&usize| old.slots[**at].spoiled == Some(Spoiled::Details);
    if is_owners && let Some(at) = kept.iter().find(altered) {
        return Some(UpdateError::DetailsAltered { number: at + 1 });
    }
    if kept.is_empty() {
        return Some(UpdateError::LastSlot);
    }
    if let Act::Add(who, label) = act
        && let Some(error) = no_room(&old.slots, *who, label)
    {
        return Some(error);
    }
    if begins_epoch(old, act) && old.older.len() >= MAX_OLDER_EPOCHS {
        return Some(UpdateError::TooManyEpochs);
    }
    let overflows = old.revision == u64::MAX || (is_owners && old.generation == u64::MAX);
    overflows.then_some(UpdateError::Overflow(Overflow))
}

fn no_room(slots: &[Entry], who: Person, label: &str) -> Option<UpdateError> {
    let found_len = label.len();
    if found_len > MAX_LABEL_LEN {
        return Some(CreateError::LabelTooLong { found_len }.into());
    }
    let has_label = |slot: &Entry| !label.is_empty() && slot.label == label;
    if let Some(at) = slots.iter().position(has_label) {
        return Some(UpdateError::DuplicateLabel { number: at + 1 });
    }
    let found = slots.len() + 1;
    if found > MAX_SLOTS {
        return Some(CreateError::TooManySlots { found }.into());
    }
    let same = slots.iter().filter(|slot| slot.who == who).count();
    match (who == people::SPEAKER, same) {
        // Each slot of a passphrase has a salt of its own.
        (true, same) if same >= MAX_PASSPHRASE_SLOTS => {
            Some(CreateError::TooManyPassphrases { found: same + 1 }.into())
        }
        (false, 1..) => {
            let index = slots.iter().position(|slot| slot.who == who)?;
            Some(UpdateError::DuplicateKey { number: index + 1 })
        }
        _ => None,
    }
}

/// What a change means, revision and keys apart.
fn meant(version: &mut Version, act: &Act, signer: Option<usize>, had_one_epoch: bool) {
    let mut at = 0..;
    let mut keep = |indices: &[usize], which: bool| {
        let number = |at: Option<usize>| at.expect("endless");
        version
            .slots
            .retain(|_| indices.contains(&number(at.next())) == which);
    };
    match act {
        Act::Add(who, label) => version.slots.push(Entry {
            who: *who,
            label: label.clone(),
            spoiled: None,
        }),
        Act::Remove(indices) => keep(indices, false),
        Act::NewEpoch(kept) => keep(kept, true),
        Act::Progress(page) => {
            if !version.older.is_empty() {
                version.next_page = (*page).max(1);
            }
            return;
        }
        Act::DropOlder => {
            version.older.clear();
            version.min_epoch = version.epoch;
            version.next_page = 0;
            return;
        }
        Act::Populate => {
            version.populated = true;
            return;
        }
    }
    if matches!(act, Act::NewEpoch(_)) || (matches!(act, Act::Remove(_)) && !had_one_epoch) {
        version.epoch += 1;
        version.next_page = 1;
    }
    // An owner's act: every slot is wrapped anew.
    for slot in &mut version.slots {
        slot.spoiled = None;
    }
    version.generation += 1;
    version.signer = signer;
    version.is_signed_well = signer.is_some();
}
