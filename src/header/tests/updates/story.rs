//! A story told from bytes: owners, readers, thieves and power cuts take turns, and after each step everybody who is
//! looked at opens exactly what the model says.

use super::Rng;
use super::model::{Disk, Entry, Version};
use super::people::{self, Person};
use super::pq::SigningKey;
use super::pq::header::{
    CopyState, Header, HeaderOpenError, NewHeader, Opened, open, open_signed, reopen,
};
use super::pq::page::PageSize;

/// Steps of a story, at most.
const STEPS: usize = 60;
/// Headers that somebody keeps, at most.
const KEPT: usize = 5;

/// What happened in stories.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) steps: usize,
    pub(super) updates: usize,
    pub(super) refused: usize,
    pub(super) power_cuts: usize,
    pub(super) forged: usize,
    /// Somebody opened the file, or could not.
    pub(super) opened: usize,
    pub(super) shut: usize,
    /// Somebody who kept an epoch key from before opened a copy with it, or could not.
    pub(super) reopened: usize,
    pub(super) kept_out: usize,
}

/// The bytes that a story is told from; zeros behind their end.
pub(super) struct Tape<'a>(&'a [u8]);

impl Tape<'_> {
    pub(super) fn next(&mut self) -> u8 {
        let Some((next, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *next
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::from(self.next()) % limit
    }

    pub(super) const fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }
}

/// A header that somebody opened once, with its keys.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) opened: Opened,
    pub(super) version: usize,
}

pub(super) struct Story<'a> {
    pub(super) tape: Tape<'a>,
    pub(super) rng: Rng,
    pub(super) disk: Disk,
    /// What each person has ever learnt.
    pub(super) kept: Vec<Vec<Kept>>,
    /// Whether nothing but updates and power cuts has happened since both copies were last written.
    pub(super) is_clean: bool,
    pub(super) counts: Counts,
}

/// Tells a story to its end.
///
/// The first byte says whether the file is signed (1), how many of the people have a slot (6 bits), and whether others
/// fill the header up (128).
pub(super) fn tell(bytes: &[u8]) -> Counts {
    let mut tape = Tape(bytes);
    let begin = tape.next();
    let mut story = Story::begin(tape, begin);
    while !story.tape.is_at_end() && story.counts.steps < STEPS {
        story.step();
        story.counts.steps += 1;
        // Two each time, others in turn.
        for turn in [0, 1] {
            let who = (2 * story.counts.steps + turn) % people::WATCHED;
            let expected = story.counts.steps.is_multiple_of(2).then_some(0);
            let _may = story.opened_by(who, expected);
            story.look_with_old_keys(who);
        }
    }
    for who in 0..people::PEOPLE {
        let expected = who.is_multiple_of(2).then_some(0);
        if who <= people::SPEAKER || who == people::PEOPLE - 3 {
            let _may = story.opened_by(who, expected);
            story.look_with_old_keys(who);
        }
    }
    story.counts
}

impl<'a> Story<'a> {
    fn begin(tape: Tape<'a>, begin: u8) -> Self {
        let signer = (begin & 1 != 0).then_some(0);
        let mut who: Vec<Person> = (0..people::WATCHED)
            .filter(|who| begin >> (1 + who) & 1 != 0)
            .collect();
        if begin & 128 != 0 {
            who.extend(people::SPEAKER + 1..people::PEOPLE - 2);
            who.truncate(21);
        }
        if who.is_empty() {
            who.push(0);
        }
        let slots: Vec<_> = who
            .into_iter()
            .map(|who| Entry {
                who,
                label: label(who),
                spoiled: None,
            })
            .collect();
        let new = NewHeader {
            page_size: PageSize::default(),
            slots: slots
                .iter()
                .map(|slot| people::slot(slot.who, &slot.label))
                .collect(),
            signing_key: signer.map(people::signing_key),
        };
        let mut rng = Rng(u64::from(begin));
        let (header, epochs) = new.create(&mut rng).expect("the slots are valid");
        let version = Version {
            bytes: header.encode(epochs.newest()),
            header,
            generation: 1,
            revision: 1,
            epoch: 1,
            min_epoch: 1,
            next_page: 0,
            populated: false,
            key: 0,
            older: Vec::new(),
            slots,
            signer,
            is_signed_well: signer.is_some(),
        };
        let disk = Disk {
            copies: [version.bytes.clone(), version.bytes.clone()],
            keys: vec![*version.header.commitment()],
            versions: vec![version],
        };
        Self {
            tape,
            rng,
            disk,
            kept: vec![Vec::new(); people::PEOPLE],
            is_clean: true,
            counts: Counts::default(),
        }
    }

    fn step(&mut self) {
        match self.tape.next() % 16 {
            0..=11 => self.update(),
            12 => self.damage(),
            13 => self.replay(),
            14 => self.forge(),
            _ => self.spoil(),
        }
    }

    /// Somebody opens the file: he can exactly if the model says so, and then finds what it says. He keeps it.
    pub(super) fn opened_by(&mut self, who: Person, expected: Option<usize>) -> Option<Kept> {
        let [a, b] = &self.disk.copies;
        let ring = people::keyring(who);
        let found = match expected {
            None => open(a, b, ring),
            Some(signer) => open_signed(a, b, ring, &people::expected(signer)),
        };
        let answer = self.disk.answer(who, expected);
        let opened = match (found, answer) {
            (Ok(opened), Some(answer)) => {
                self.disk.assert_opened(&opened, &answer);
                opened
            }
            (Err(error), None) => {
                self.disk.assert_refused(error, who, expected);
                self.counts.shut += 1;
                return None;
            }
            (found, answer) => panic!("{who} finds {found:?}, not {answer:?}"),
        };
        self.counts.opened += 1;
        let used = usize::from(opened.copies[0] != CopyState::Good);
        let versions = self.disk.versions.iter();
        let version = versions
            .clone()
            .rposition(|version| version.bytes == self.disk.copies[used])
            .expect("what opens was written");
        let kept = Kept { opened, version };
        let his = &mut self.kept[who];
        if his.last().is_none_or(|last| last.version != version) {
            if his.len() == KEPT {
                his.remove(1);
            }
            his.push(kept.clone());
        }
        Some(kept)
    }

    /// Somebody tries the epoch keys that he learnt once, without a slot.
    fn look_with_old_keys(&mut self, who: Person) {
        let turn = self.counts.steps;
        let Some(kept) = self.kept[who].get(turn % self.kept[who].len().max(1)) else {
            return;
        };
        let version = &self.disk.versions[kept.version];
        let [a, b] = &self.disk.copies;
        self.disk.assert_macs(&kept.opened.epochs, version);
        match (
            reopen(a, b, &kept.opened.epochs),
            self.disk.answer_to_keeper(version),
        ) {
            (Ok(found), Ok(meant)) => {
                assert_eq!(found.header, meant.header);
                assert_eq!(found.slot, None);
                self.disk.assert_keys(&found.epochs, meant);
                self.counts.reopened += 1;
            }
            (Err(HeaderOpenError::UnknownEpoch { .. }), Err(true)) => self.counts.kept_out += 1,
            (Err(error), Err(false)) => {
                assert!(!matches!(error, HeaderOpenError::UnknownEpoch { .. }));
                self.counts.kept_out += 1;
            }
            (found, meant) => panic!("{who} reopens {found:?}, not {meant:?}"),
        }
    }

    /// Takes a header among those that were made, once it is what was meant, and has one encoding.
    pub(super) fn made(&mut self, version: Version) -> usize {
        let Version { header, bytes, .. } = &version;
        assert_eq!(Header::decode(bytes).as_ref(), Ok(header));
        assert_eq!(header.authenticated_bytes(), bytes[..bytes.len() - 32]);
        assert_eq!(header.stamp(), version.stamp());
        assert_eq!(header.epoch(), version.epoch);
        assert_eq!(header.min_epoch(), version.min_epoch);
        assert_eq!(header.rekey_next_page(), version.next_page);
        assert_eq!(header.populated(), version.populated);
        assert_eq!(header.commitment(), &self.disk.keys[version.key]);
        let older: Vec<_> = header.older_epochs().iter().collect();
        assert_eq!(older.len(), version.older.len());
        for (entry, key) in older.into_iter().zip(&version.older) {
            assert_eq!(entry.commitment(), &self.disk.keys[*key]);
        }
        assert_eq!(header.slots().len(), version.slots.len());
        for (slot, meant) in header.slots().iter().zip(&version.slots) {
            assert!(people::fits(meant.who, slot.kind()));
        }
        let signer = version.signer.map(people::signing_key);
        assert_eq!(header.signer(), signer.map(SigningKey::verifying_key));
        if let Some(signer) = version.signer {
            let verdict = header.check_signature(&people::expected(signer));
            assert_eq!(verdict.is_ok(), version.is_signed_well);
        }
        self.disk.versions.push(version);
        self.disk.versions.len() - 1
    }
}

/// What the first slot of somebody is called.
pub(super) fn label(who: Person) -> String {
    format!("person {who}")
}
