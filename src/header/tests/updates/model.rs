//! What must be true of two header copies, whoever wrote them: who opens which, and what else he is told.
//!
//! The model knows of every header that was ever made whom it was made for and under which key. Of cryptography it
//! assumes that a copy of which any byte was changed is nobody's.

use super::people::{self, Person};
use super::pq::header::{
    CopyState, EpochSet, Header, HeaderOpenError, Opened, SignatureError, Stamp, verify_mac,
};

/// A slot.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) who: Person,
    pub(super) label: String,
    pub(super) spoiled: Option<Spoiled>,
}

/// What somebody who knew the epoch key broke in another's slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoiled {
    Details,
    Key,
}

impl Entry {
    pub(super) fn opens_for(&self, who: Person) -> bool {
        self.who == who && self.spoiled != Some(Spoiled::Key)
    }
}

/// A header that somebody made, and what he meant.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) bytes: Vec<u8>,
    pub(super) header: Header,
    pub(super) generation: u64,
    pub(super) revision: u64,
    pub(super) epoch: u32,
    pub(super) min_epoch: u32,
    pub(super) next_page: u32,
    pub(super) populated: bool,
    /// Which of all keys the newest epoch's is, and those of the epoch table, newest first.
    pub(super) key: usize,
    pub(super) older: Vec<usize>,
    pub(super) slots: Vec<Entry>,
    pub(super) signer: Option<usize>,
    /// Whether the signature is the signer's.
    pub(super) is_signed_well: bool,
}

impl Version {
    pub(super) fn stamp(&self) -> Stamp {
        Stamp {
            generation: self.generation,
            revision: self.revision,
        }
    }

    fn slot_of(&self, who: Person) -> Option<usize> {
        self.slots.iter().position(|slot| slot.opens_for(who))
    }

    fn signature_error(&self, expected: Option<usize>) -> Option<SignatureError> {
        match (expected, self.signer) {
            (None, _) => None,
            (Some(_), None) => Some(SignatureError::Missing),
            (Some(expected), Some(signer)) if signer != expected => Some(SignatureError::OtherKey),
            (Some(_), Some(_)) => (!self.is_signed_well).then_some(SignatureError::Invalid),
        }
    }

    fn knows(&self, key: usize) -> bool {
        self.key == key || self.older.contains(&key)
    }
}

/// The two copies and all that is known of their past.
pub(super) struct Disk {
    pub(super) copies: [Vec<u8>; 2],
    pub(super) versions: Vec<Version>,
    /// Commitments of all epoch keys ever drawn.
    pub(super) keys: Vec<[u8; 32]>,
}

/// A copy that decodes.
struct Candidate<'a> {
    /// Its place, 0 or 1.
    at: usize,
    header: Header,
    version: Option<&'a Version>,
}

impl Candidate<'_> {
    /// Why the key of somebody does not lead to the header; `Err(None)` if nobody can say what became of his slot.
    fn refusal(&self, who: Person, expected: Option<usize>) -> Result<usize, Option<Refusal>> {
        let version = self.version.ok_or(None)?;
        let Some(slot) = version.slot_of(who) else {
            let was_there = version.slots.iter().any(|slot| slot.who == who);
            return Err(Some(if was_there {
                Refusal::Altered
            } else {
                Refusal::NoKey
            }));
        };
        match version.signature_error(expected) {
            Some(error) => Err(Some(Refusal::Signature(error))),
            None => Ok(slot),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    NoKey,
    Altered,
    Signature(SignatureError),
}

/// What somebody is told who opens the file.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    pub(super) version: &'a Version,
    pub(super) slot: Option<usize>,
    /// The state of both copies; `None` where that depends on which bytes were lost.
    pub(super) copies: [Option<CopyState>; 2],
}

impl Disk {
    pub(super) fn version(&self, at: usize) -> Option<&Version> {
        let versions = self.versions.iter();
        versions
            .rev()
            .find(|version| version.bytes == self.copies[at])
    }

    /// The copies that decode, in the order in which they are tried (F-9).
    fn candidates(&self) -> Vec<Candidate<'_>> {
        let both = if self.copies[0] == self.copies[1] {
            1
        } else {
            2
        };
        let decoded = self.copies.iter().take(both).enumerate();
        let mut candidates: Vec<_> = decoded
            .filter_map(|(at, bytes)| {
                let header = Header::decode(bytes).ok()?;
                let version = self.version(at);
                Some(Candidate {
                    at,
                    header,
                    version,
                })
            })
            .collect();
        candidates.sort_by_key(|candidate| core::cmp::Reverse(candidate.header.stamp()));
        candidates
    }

    /// What `open` (or, of an expected signer, `open_signed`) must say.
    pub(super) fn answer(&self, who: Person, expected: Option<usize>) -> Option<Answer<'_>> {
        let candidates = self.candidates();
        let mut candidates = candidates.iter();
        let first = candidates.next()?;
        let second = candidates.next();
        let refusal = match first.refusal(who, expected) {
            Ok(slot) => return Some(self.told(first, Some(slot))),
            Err(refusal) => refusal,
        };
        let second = second?;
        let slot = second.refusal(who, expected).ok()?;
        let version = second.version?;
        // The key in his slot may be that of the newer copy, too.
        let may_share = first.header.commitment() == version.header.commitment()
            && first.header.epoch() == version.epoch;
        let state = match first.version {
            Some(newer) if may_share => match newer.signature_error(expected) {
                None => return Some(self.told(first, None)),
                Some(error) => Some(CopyState::Refused(error)),
            },
            None if may_share => Some(CopyState::Altered),
            _ => refusal.map(|refusal| match refusal {
                Refusal::NoKey => CopyState::Foreign(first.header.stamp()),
                Refusal::Altered => CopyState::Altered,
                Refusal::Signature(error) => CopyState::Refused(error),
            }),
        };
        let mut copies = [Some(CopyState::Good); 2];
        copies[first.at] = state;
        Some(Answer {
            version,
            slot: Some(slot),
            copies,
        })
    }

    /// An answer where the newest copy is used.
    fn told<'a>(&self, used: &Candidate<'a>, slot: Option<usize>) -> Answer<'a> {
        let version = used.version.expect("an altered copy opens for nobody");
        let state = |at: usize| {
            if self.copies[at] == version.bytes {
                return CopyState::Good;
            }
            if let Err(error) = Header::decode(&self.copies[at]) {
                return CopyState::Damaged(error);
            }
            match self.version(at) {
                Some(other) if version.knows(other.key) => {
                    if other.stamp() < version.stamp() {
                        CopyState::Older
                    } else {
                        CopyState::Conflicting
                    }
                }
                _ => CopyState::Altered,
            }
        };
        Answer {
            version,
            slot,
            copies: [Some(state(0)), Some(state(1))],
        }
    }

    /// What `reopen` must say to somebody who kept the newest key of a version: the version, or whether there may be
    /// one of a later epoch.
    pub(super) fn answer_to_keeper(&self, kept: &Version) -> Result<&Version, bool> {
        for candidate in &self.candidates() {
            if candidate.header.epoch() > kept.epoch {
                return Err(true);
            }
            if let Some(version) = candidate.version
                && version.key == kept.key
            {
                return Ok(version);
            }
        }
        Err(false)
    }

    /// Asserts that a header that was opened is the one that was meant, with all of its keys and labels.
    pub(super) fn assert_opened(&self, opened: &Opened, answer: &Answer<'_>) {
        let version = answer.version;
        assert_eq!(opened.header, version.header);
        assert_eq!(opened.slot, answer.slot);
        for (found, meant) in opened.copies.iter().zip(answer.copies) {
            match meant {
                Some(meant) => assert_eq!(*found, meant),
                None => assert!(
                    matches!(found, CopyState::Altered | CopyState::Foreign(_)),
                    "{found:?}"
                ),
            }
        }
        self.assert_keys(&opened.epochs, version);
        let details = opened.slot_details();
        for (details, slot) in details.zip(&version.slots) {
            let Ok(details) = details else {
                assert_eq!(slot.spoiled, Some(Spoiled::Details));
                continue;
            };
            assert_eq!(details.label, slot.label);
            assert_ne!(slot.spoiled, Some(Spoiled::Details));
            if let Some(recipient) = people::recipient(slot.who) {
                assert_eq!(details.recipient, *recipient);
            }
        }
    }

    pub(super) fn assert_keys(&self, epochs: &EpochSet, version: &Version) {
        let found: Vec<_> = epochs.iter().map(|keys| *keys.commitment()).collect();
        let meant = core::iter::once(&version.key).chain(&version.older);
        let meant: Vec<_> = meant.map(|key| self.keys[*key]).collect();
        assert_eq!(found, meant);
    }

    /// Asserts that an error says why nobody's copy is that of `who`.
    pub(super) fn assert_refused(
        &self,
        error: HeaderOpenError,
        who: Person,
        expected: Option<usize>,
    ) {
        let candidates = self.candidates();
        let refusals = candidates
            .iter()
            .map(|candidate| candidate.refusal(who, expected).expect_err("shut"));
        // Of a copy that lost bytes nobody knows whether a slot still looks like his.
        let Some(refusals) = refusals.collect::<Option<Vec<_>>>() else {
            assert!(
                matches!(
                    error,
                    HeaderOpenError::NoKey
                        | HeaderOpenError::Altered
                        | HeaderOpenError::Signature(_)
                ),
                "{error:?}"
            );
            return;
        };
        let signature = refusals.iter().rev().find_map(|refusal| match refusal {
            Refusal::Signature(error) => Some(HeaderOpenError::Signature(*error)),
            _ => None,
        });
        let meant = match signature {
            Some(signature) => signature,
            None if refusals.contains(&Refusal::Altered) => HeaderOpenError::Altered,
            None if !refusals.is_empty() => HeaderOpenError::NoKey,
            None => {
                let damaged = matches!(
                    error,
                    HeaderOpenError::Damaged { .. } | HeaderOpenError::NotSealed
                );
                assert!(damaged, "{error:?}");
                return;
            }
        };
        assert_eq!(error, meant);
    }

    /// Asserts that a key authenticates exactly the copies that were made under it.
    pub(super) fn assert_macs(&self, epochs: &EpochSet, kept: &Version) {
        for (at, copy) in self.copies.iter().enumerate() {
            let is_his = self
                .version(at)
                .is_some_and(|version| version.key == kept.key);
            assert_eq!(verify_mac(copy, epochs.newest()).is_ok(), is_his);
        }
    }
}
