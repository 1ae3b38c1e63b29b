//! Which of the two copies is the header (FORMAT.md F-9, F-13, F-17).
//!
//! Every candidate is judged by itself, newest first, and a candidate that fails is passed over:
//! whoever destroys or forges one copy neither takes the other one away nor gets his own used.

use std::sync::Arc;

use crate::OpenError;
use crate::epoch::EpochKeys;
use crate::passphrase::ParamsError;
use crate::secret::{STACK_OF_A_HEADER, wiping_the_stack};
use crate::slot::Slot;

use super::codec::begins_sealed;
use super::keyring::{KeyPair, KeyPairs};
use super::{
    CopyState, DecodeError, EpochSet, Expected, Header, HeaderOpenError, Keyring, Opened,
    SignatureError, verify_mac,
};

/// Opens the header with the keys of a keyring. A copy may be shorter than it ought to be, even empty.
///
/// This says that a key at hand was meant to open the file, not who made it: anyone can make a file for
/// a public key. Use [`open_signed`] to know.
///
/// # Errors
/// [`HeaderOpenError`] when neither copy can be used.
pub fn open(copy_a: &[u8], copy_b: &[u8], keyring: &Keyring) -> Result<Opened, HeaderOpenError> {
    open_for(copy_a, copy_b, keyring, None)
}

/// Opens the header as [`open`] does; a copy that is not the expected owner's is passed over.
///
/// # Errors
/// [`HeaderOpenError`] when neither copy can be used.
pub fn open_signed(
    copy_a: &[u8],
    copy_b: &[u8],
    keyring: &Keyring,
    expected: &Expected,
) -> Result<Opened, HeaderOpenError> {
    open_for(copy_a, copy_b, keyring, Some(expected))
}

/// Opens a header that was read again, with epoch keys that are known from before: no key encapsulation
/// and no Argon2id.
///
/// A header of another file, or of an epoch before the newest known one, is not accepted. A revision
/// before the known one is; the caller compares.
///
/// # Errors
/// [`HeaderOpenError::UnknownEpoch`] when the newest copy is of a later epoch: the caller then goes on
/// with [`open`], and checks that the file id is still the same. Else as [`open`], but for `NoKey`.
pub fn reopen(copy_a: &[u8], copy_b: &[u8], known: &EpochSet) -> Result<Opened, HeaderOpenError> {
    wiping_the_stack::<STACK_OF_A_HEADER, _>(|| {
        choose([copy_a, copy_b], None, |header, copy| {
            unlock_known(header, copy, known)
        })
    })
}

/// Opens a header as [`reopen`] does; a copy that is not the expected owner's is passed over.
///
/// # Errors
/// As [`reopen`].
pub fn reopen_signed(
    copy_a: &[u8],
    copy_b: &[u8],
    known: &EpochSet,
    expected: &Expected,
) -> Result<Opened, HeaderOpenError> {
    wiping_the_stack::<STACK_OF_A_HEADER, _>(|| {
        choose([copy_a, copy_b], Some(expected), |header, copy| {
            unlock_known(header, copy, known)
        })
    })
}

/// Why a copy that decodes is passed over.
enum Refusal {
    Altered,
    Argon2(ParamsError),
    NoKey,
    Signature(SignatureError),
    UnknownEpoch,
}

struct Unlocked {
    epochs: EpochSet,
    slot: Option<usize>,
}

fn open_for(
    copy_a: &[u8],
    copy_b: &[u8],
    keyring: &Keyring,
    expected: Option<&Expected>,
) -> Result<Opened, HeaderOpenError> {
    wiping_the_stack::<STACK_OF_A_HEADER, _>(|| {
        let mut pairs = KeyPairs::new(keyring);
        choose([copy_a, copy_b], expected, |header, copy| {
            unlock(header, copy, &mut pairs)
        })
    })
}

fn choose(
    copies: [&[u8]; 2],
    expected: Option<&Expected>,
    mut unlock: impl FnMut(&Header, &[u8]) -> Result<Unlocked, Refusal>,
) -> Result<Opened, HeaderOpenError> {
    let [a, b] = copies;
    let (header_a, header_b) = match (Header::decode(a), Header::decode(b)) {
        (Err(a_error), Err(b_error)) => return Err(undecodable(copies, a_error, b_error)),
        decoded => decoded,
    };
    if a == b {
        let header = header_a.map_err(|_| HeaderOpenError::Altered)?;
        return match judge(&header, a, expected, &mut unlock) {
            Ok(Unlocked { epochs, slot }) => Ok(Opened {
                header,
                epochs,
                slot,
                copies: [CopyState::Good; 2],
            }),
            Err(refusal) => Err(verdict(&header, &[refusal])),
        };
    }
    let b_first = match (&header_a, &header_b) {
        (Ok(a), Ok(b)) => b.stamp() > a.stamp(),
        (a, _) => a.is_err(),
    };
    let [first, second] = if b_first {
        [(header_b, b), (header_a, a)]
    } else {
        [(header_a, a), (header_b, b)]
    };
    let mut opened = choose_ordered(first, second, expected, &mut unlock)?;
    if b_first {
        opened.copies.reverse();
    }
    Ok(opened)
}

type Read<'a> = (Result<Header, DecodeError>, &'a [u8]);

/// Of two differing copies, of which the first decodes; in the result it stands first.
fn choose_ordered(
    (first, first_copy): Read<'_>,
    (second, second_copy): Read<'_>,
    expected: Option<&Expected>,
    unlock: &mut impl FnMut(&Header, &[u8]) -> Result<Unlocked, Refusal>,
) -> Result<Opened, HeaderOpenError> {
    let first = first.map_err(|_| HeaderOpenError::Altered)?;
    let refusal = match judge(&first, first_copy, expected, unlock) {
        Ok(Unlocked { epochs, slot }) => {
            let other = match second {
                Ok(second) => untried_state(&second, second_copy, &first, &epochs),
                Err(error) => CopyState::Damaged(error),
            };
            return Ok(Opened {
                header: first,
                epochs,
                slot,
                copies: [CopyState::Good, other],
            });
        }
        Err(Refusal::UnknownEpoch) => return Err(verdict(&first, &[Refusal::UnknownEpoch])),
        Err(refusal) => refusal,
    };
    let Ok(second) = second else {
        return Err(verdict(&first, &[refusal]));
    };
    match judge(&second, second_copy, expected, unlock) {
        Ok(Unlocked { epochs, slot }) => {
            // Its key may open the newer copy, too (F-9): the slot may have been taken away.
            let newer = judge(&first, first_copy, expected, &mut |header, copy| {
                unlock_known(header, copy, &epochs)
            });
            let refusal = match newer {
                Ok(Unlocked { epochs, .. }) => {
                    let other = untried_state(&second, second_copy, &first, &epochs);
                    return Ok(Opened {
                        header: first,
                        epochs,
                        slot: None,
                        copies: [CopyState::Good, other],
                    });
                }
                // It names that very key: whoever it is for, it can be judged. It was torn, or is a forgery.
                Err(judged) if first.is_committed_to(epochs.newest()) => judged,
                Err(_) => refusal,
            };
            let other = refused_state(&first, &refusal);
            Ok(Opened {
                header: second,
                epochs,
                slot,
                copies: [other, CopyState::Good],
            })
        }
        Err(second_refusal) => Err(verdict(&second, &[refusal, second_refusal])),
    }
}

fn judge(
    header: &Header,
    copy: &[u8],
    expected: Option<&Expected>,
    unlock: &mut impl FnMut(&Header, &[u8]) -> Result<Unlocked, Refusal>,
) -> Result<Unlocked, Refusal> {
    let unlocked = unlock(header, copy)?;
    if let Some(expected) = expected {
        header
            .check_signature(expected)
            .map_err(Refusal::Signature)?;
    }
    Ok(unlocked)
}

/// Tries the keys on the slots whose hints fit. Passphrases come last: they are the dear ones.
fn unlock(header: &Header, copy: &[u8], pairs: &mut KeyPairs<'_>) -> Result<Unlocked, Refusal> {
    let mut refusal = Refusal::NoKey;
    for passphrases in [false, true] {
        let slots = header.slots().iter().enumerate();
        for (index, slot) in slots.filter(|(_, slot)| slot.kind().is_passphrase() == passphrases) {
            for key in 0..pairs.count(slot.kind()) {
                let pair = match pairs.get(key, slot, header.file_id()) {
                    Some(Ok(pair)) => pair,
                    Some(Err(error)) => {
                        if matches!(refusal, Refusal::NoKey) {
                            refusal = Refusal::Argon2(error);
                        }
                        continue;
                    }
                    None => break,
                };
                if !slot.hint_fits(header.file_id(), &pair.recipient) {
                    continue;
                }
                match newest_keys(header, slot, pair) {
                    // Another slot could only lead to the same key.
                    Ok(keys) => return authenticate(header, copy, keys, None, Some(index)),
                    Err(OpenError) => refusal = Refusal::Altered,
                }
            }
        }
    }
    Err(refusal)
}

/// The newest epoch's keys from one slot, if the commitment fits (F-6).
fn newest_keys(header: &Header, slot: &Slot, pair: &KeyPair) -> Result<Arc<EpochKeys>, OpenError> {
    let key = slot.unwrap_key(&pair.identity, header.file_id(), header.epoch())?;
    let keys = EpochKeys::derive(header.file_id(), key, header.epoch());
    if header.is_committed_to(&keys) {
        Ok(Arc::new(keys))
    } else {
        Err(OpenError)
    }
}

fn unlock_known(header: &Header, copy: &[u8], known: &EpochSet) -> Result<Unlocked, Refusal> {
    if header.file_id() != known.file_id() || header.epoch() < known.newest().epoch() {
        return Err(Refusal::Altered);
    }
    if header.epoch() > known.newest().epoch() {
        return Err(Refusal::UnknownEpoch);
    }
    let newest = known
        .find(header.epoch(), header.commitment())
        .ok_or(Refusal::Altered)?;
    authenticate(header, copy, Arc::clone(newest), Some(known), None)
}

fn authenticate(
    header: &Header,
    copy: &[u8],
    newest: Arc<EpochKeys>,
    known: Option<&EpochSet>,
    slot: Option<usize>,
) -> Result<Unlocked, Refusal> {
    verify_mac(copy, &newest).map_err(|OpenError| Refusal::Altered)?;
    let epochs = EpochSet::load(header, newest, known).map_err(|OpenError| Refusal::Altered)?;
    Ok(Unlocked { epochs, slot })
}

/// The state of a copy that claims to be no newer than the one in use and was not tried.
fn untried_state(other: &Header, copy: &[u8], used: &Header, epochs: &EpochSet) -> CopyState {
    let authentic = other.file_id() == used.file_id()
        && epochs
            .find(other.epoch(), other.commitment())
            .is_some_and(|keys| verify_mac(copy, keys).is_ok());
    match authentic {
        true if other.stamp() < used.stamp() => CopyState::Older,
        true => CopyState::Conflicting,
        false => CopyState::Altered,
    }
}

const fn refused_state(header: &Header, refusal: &Refusal) -> CopyState {
    match refusal {
        Refusal::Altered => CopyState::Altered,
        Refusal::Argon2(_) | Refusal::NoKey | Refusal::UnknownEpoch => {
            CopyState::Foreign(header.stamp())
        }
        Refusal::Signature(error) => CopyState::Refused(*error),
    }
}

/// The most telling of the reasons.
fn verdict(header: &Header, refusals: &[Refusal]) -> HeaderOpenError {
    let rank = |refusal: &&Refusal| match refusal {
        Refusal::NoKey => 0,
        Refusal::Argon2(_) => 1,
        Refusal::Altered => 2,
        Refusal::Signature(_) => 3,
        Refusal::UnknownEpoch => 4,
    };
    match refusals.iter().max_by_key(rank) {
        Some(Refusal::Argon2(error)) => HeaderOpenError::Argon2(*error),
        Some(Refusal::Altered) => HeaderOpenError::Altered,
        Some(Refusal::Signature(error)) => HeaderOpenError::Signature(*error),
        Some(Refusal::UnknownEpoch) => HeaderOpenError::UnknownEpoch {
            epoch: header.epoch(),
        },
        Some(Refusal::NoKey) | None => HeaderOpenError::NoKey,
    }
}

/// Of two copies that do not decode, the one that says most (F-9).
pub(super) fn undecodable(copies: [&[u8]; 2], a: DecodeError, b: DecodeError) -> HeaderOpenError {
    if !copies.into_iter().any(begins_sealed) {
        return HeaderOpenError::NotSealed;
    }
    for error in [a, b] {
        match error {
            DecodeError::VersionUnsupported { found } => {
                return HeaderOpenError::VersionUnsupported { found };
            }
            DecodeError::SuiteUnsupported { found } => {
                return HeaderOpenError::SuiteUnsupported { found };
            }
            _ => {}
        }
    }
    HeaderOpenError::Damaged { a, b }
}
