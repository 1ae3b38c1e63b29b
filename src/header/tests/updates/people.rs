//! Who may hold a key of the file, and which one.

use std::sync::OnceLock;

use super::pq::header::{Expected, Keyring, NewSlot, SlotKey};
use super::pq::passphrase::Argon2Params;
use super::pq::slot::SlotKind;
use super::pq::{Identity, Passphrase, RawKey, Recipient, SigningKey};

/// A number below [`PEOPLE`].
pub(super) type Person = usize;

/// The first have an identity each.
const IDENTITIES: usize = 4;
/// One knows a passphrase: every try of it takes an Argon2id.
pub(super) const SPEAKER: Person = 6;
/// Those who are looked at after each step have an identity or a raw key.
pub(super) const WATCHED: usize = SPEAKER;
/// The rest, with an identity each, fill a header up.
const FILLERS: usize = 22;
pub(super) const PEOPLE: usize = SPEAKER + 1 + FILLERS;
/// How many sign; the last one never owns the file.
pub(super) const SIGNERS: usize = 3;

const PASSPHRASE: &[u8] = b"friend";

fn identity(who: Person) -> Identity {
    let seed = u8::try_from(who + 1).expect("few people");
    Identity::from_seed([seed; 32])
}

fn raw_key(who: Person) -> RawKey {
    let byte = u8::try_from(who + 1).expect("few people");
    RawKey::from_bytes([byte; 32])
}

const fn has_raw_key(who: Person) -> bool {
    IDENTITIES <= who && who < SPEAKER
}

/// The public key of whoever has an identity.
pub(super) fn recipient(who: Person) -> Option<&'static Recipient> {
    static RECIPIENTS: OnceLock<Vec<Recipient>> = OnceLock::new();
    if has_raw_key(who) || who == SPEAKER {
        return None;
    }
    RECIPIENTS
        .get_or_init(|| (0..PEOPLE).map(|who| identity(who).recipient()).collect())
        .get(who)
}

pub(super) fn slot(who: Person, label: &str) -> NewSlot {
    let key = match recipient(who) {
        Some(recipient) => SlotKey::Recipient(recipient.clone()),
        None if has_raw_key(who) => SlotKey::RawKey(raw_key(who)),
        None => {
            let passphrase = Passphrase::from_bytes(PASSPHRASE.to_vec());
            SlotKey::Passphrase(passphrase, Argon2Params::MIN)
        }
    };
    NewSlot {
        key,
        label: label.to_owned(),
    }
}

/// Whether a slot is of the kind that fits somebody's key.
pub(super) const fn fits(who: Person, kind: SlotKind) -> bool {
    match kind {
        SlotKind::RawKey => has_raw_key(who),
        SlotKind::Passphrase { .. } => who == SPEAKER,
        _ => !has_raw_key(who) && who != SPEAKER,
    }
}

pub(super) fn keyring(who: Person) -> &'static Keyring {
    static KEYRINGS: OnceLock<Vec<Keyring>> = OnceLock::new();
    let make = |who| {
        let mut keyring = Keyring::new();
        if who == SPEAKER {
            keyring.add_passphrase(Passphrase::from_bytes(PASSPHRASE.to_vec()));
        } else if has_raw_key(who) {
            keyring.add_raw_key(raw_key(who));
        } else {
            keyring.add_identity(identity(who));
        }
        keyring
    };
    &KEYRINGS.get_or_init(|| (0..PEOPLE).map(make).collect())[who]
}

pub(super) fn signing_key(signer: usize) -> &'static SigningKey {
    static KEYS: OnceLock<Vec<SigningKey>> = OnceLock::new();
    let make = |n| SigningKey::from_seed([n; 32]);
    &KEYS.get_or_init(|| (1..).take(SIGNERS).map(make).collect())[signer]
}

pub(super) fn expected(signer: usize) -> Expected {
    Expected {
        key: signing_key(signer).verifying_key().clone(),
        file_id: None,
    }
}
