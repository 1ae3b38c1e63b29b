//! The keys that a user offers to open a file with, and the key pairs they yield for one file.

use crate::epoch::FileId;
use crate::passphrase::{self, Argon2Params, ParamsError, SALT_LEN};
use crate::slot::{Slot, SlotKind};
use crate::xwing::{Identity, Recipient};
use crate::{Passphrase, RawKey};

/// Identities, passphrases and raw keys to try on a file.
#[derive(Default)]
pub struct Keyring {
    identities: Vec<KeyPair>,
    passphrases: Vec<Passphrase>,
    raw_keys: Vec<RawKey>,
}

impl Keyring {
    /// A keyring without keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an identity; it is tried on recipient slots.
    pub fn add_identity(&mut self, identity: Identity) {
        self.identities.push(KeyPair::new(identity));
    }

    /// Adds a passphrase; it is tried on passphrase slots and costs an Argon2id on each.
    pub fn add_passphrase(&mut self, passphrase: Passphrase) {
        self.passphrases.push(passphrase);
    }

    /// Adds a raw key; it is tried on raw-key slots.
    pub fn add_raw_key(&mut self, key: RawKey) {
        self.raw_keys.push(key);
    }

    /// Whether there is nothing to try.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.identities.is_empty() && self.passphrases.is_empty() && self.raw_keys.is_empty()
    }
}

impl core::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Keyring")
            .field("identities", &self.identities.len())
            .field("passphrases", &self.passphrases.len())
            .field("raw_keys", &self.raw_keys.len())
            .finish()
    }
}

/// An identity with its public half, which takes a key generation to compute.
pub(super) struct KeyPair {
    pub(super) identity: Identity,
    pub(super) recipient: Recipient,
}

impl KeyPair {
    pub(super) fn new(identity: Identity) -> Self {
        let recipient = identity.recipient();
        Self {
            identity,
            recipient,
        }
    }

    /// The key pair of a passphrase slot.
    pub(super) fn from_passphrase(
        passphrase: &Passphrase,
        salt: &[u8; SALT_LEN],
        params: Argon2Params,
        file_id: &FileId,
    ) -> Result<Self, ParamsError> {
        let seed = passphrase::seed(passphrase, salt, params, file_id.as_bytes())?;
        Ok(Self::new(Identity::from_seed(*seed)))
    }

    /// The key pair of a raw-key slot.
    pub(super) fn from_raw_key(key: &RawKey, file_id: &FileId) -> Self {
        Self::new(Identity::from_seed(*passphrase::raw_key_seed(
            key,
            file_id.as_bytes(),
        )))
    }
}

/// The key pairs of a keyring, each derived once however many slots and copies ask for it.
pub(super) struct KeyPairs<'a> {
    keyring: &'a Keyring,
    derived: Vec<Derived>,
}

struct Derived {
    origin: Origin,
    outcome: Result<KeyPair, ParamsError>,
}

/// What a derived key pair depends on, beside the keyring.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Passphrase {
        index: usize,
        file_id: FileId,
        salt: [u8; SALT_LEN],
        params: Argon2Params,
    },
    RawKey {
        index: usize,
        file_id: FileId,
    },
}

impl<'a> KeyPairs<'a> {
    pub(super) const fn new(keyring: &'a Keyring) -> Self {
        Self {
            keyring,
            derived: Vec::new(),
        }
    }

    /// How many keys may fit a slot of this kind.
    pub(super) fn count(&self, kind: SlotKind) -> usize {
        match kind {
            SlotKind::Recipient => self.keyring.identities.len(),
            SlotKind::Passphrase { .. } => self.keyring.passphrases.len(),
            SlotKind::RawKey => self.keyring.raw_keys.len(),
        }
    }

    /// The key pair that the keyring's key number `index` yields for a slot; `None` past the last.
    pub(super) fn get(
        &mut self,
        index: usize,
        slot: &Slot,
        file_id: &FileId,
    ) -> Option<Result<&KeyPair, ParamsError>> {
        let file_id = *file_id;
        let origin = match slot.kind() {
            SlotKind::Recipient => return self.keyring.identities.get(index).map(Ok),
            SlotKind::Passphrase { salt, params } => Origin::Passphrase {
                index,
                file_id,
                salt,
                params,
            },
            SlotKind::RawKey => Origin::RawKey { index, file_id },
        };
        let position = match self.derived.iter().position(|held| held.origin == origin) {
            Some(position) => position,
            None => {
                let outcome = self.derive(&origin)?;
                self.derived.push(Derived { origin, outcome });
                self.derived.len() - 1
            }
        };
        self.derived
            .get(position)
            .map(|held| held.outcome.as_ref().map_err(|error| *error))
    }

    /// How many Argon2id and raw-key derivations were computed.
    #[cfg(test)]
    pub(super) const fn derivations(&self) -> usize {
        self.derived.len()
    }

    fn derive(&self, origin: &Origin) -> Option<Result<KeyPair, ParamsError>> {
        match origin {
            Origin::Passphrase {
                index,
                file_id,
                salt,
                params,
            } => {
                let passphrase = self.keyring.passphrases.get(*index)?;
                Some(KeyPair::from_passphrase(passphrase, salt, *params, file_id))
            }
            Origin::RawKey { index, file_id } => {
                let key = self.keyring.raw_keys.get(*index)?;
                Some(Ok(KeyPair::from_raw_key(key, file_id)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::tests::TestRng;
    use crate::header::{NewHeader, NewSlot, SlotKey};
    use crate::page::PageSize;

    #[test]
    fn a_key_pair_is_derived_once_for_each_salt_and_passphrase() {
        let secret = |text: &str| Passphrase::from_bytes(text.as_bytes().to_vec());
        let slot = |text| NewSlot {
            key: SlotKey::Passphrase(secret(text), Argon2Params::MIN),
            label: String::new(),
        };
        let slots = vec![slot("one"), slot("two")];
        let new = NewHeader {
            page_size: PageSize::default(),
            slots,
            signing_key: None,
        };
        let (header, _) = new.create(&mut TestRng(1)).unwrap();
        let mut keyring = Keyring::new();
        keyring.add_passphrase(secret("two"));
        let mut pairs = KeyPairs::new(&keyring);
        assert_eq!(pairs.derivations(), 0);
        for _ in 0..3 {
            let fits: Vec<_> = header
                .slots()
                .iter()
                .map(|slot| {
                    let pair = pairs.get(0, slot, header.file_id()).unwrap().unwrap();
                    slot.hint_fits(header.file_id(), &pair.recipient)
                })
                .collect();
            assert_eq!(fits, [false, true]);
        }
        assert_eq!(pairs.derivations(), 2);
        assert!(pairs.get(1, &header.slots()[0], header.file_id()).is_none());
    }
}
