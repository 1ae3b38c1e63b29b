//! Who takes part, with keys.

use anyhow::Result;
use getrandom::SysRng;
use rand_core::UnwrapErr;
use zqlite::pq::header::{Expected, Keyring, NewSlot, SlotKey};
use zqlite::pq::{Identity, SigningKey};

use super::Stage;
use crate::secret_file;

/// Alice reads, the owner signs, Mallory attacks.
pub(super) struct Cast {
    pub(super) alice: Identity,
    pub(super) mallory: Identity,
    pub(super) owner: SigningKey,
    pub(super) mallory_signs: SigningKey,
}

impl Cast {
    /// Makes everyone's keys and files of them.
    pub(super) fn meet(stage: &mut Stage) -> Result<Self> {
        let rng = &mut UnwrapErr(SysRng);
        let cast = Self {
            alice: Identity::generate(rng),
            mallory: Identity::generate(rng),
            owner: SigningKey::generate(rng),
            mallory_signs: SigningKey::generate(rng),
        };
        stage.chapter("Keys")?;
        let secrets = [
            ("alice.identity", cast.alice.to_text()),
            ("mallory.identity", cast.mallory.to_text()),
            ("owner.signing-key", cast.owner.to_text()),
        ];
        for (name, secret) in secrets {
            secret_file::create(
                &stage.path(name),
                format!("{}\n", secret.as_str()).as_bytes(),
            )?;
        }
        let public = [
            ("alice.recipient", cast.alice.recipient().to_string()),
            ("owner.verify", cast.owner.verifying_key().to_string()),
        ];
        for (name, public) in public {
            std::fs::write(stage.path(name), format!("{public}\n"))?;
        }
        stage.say(
            "Alice reads: alice.identity (secret), alice.recipient (public: ML-KEM-768 + X25519)",
        )?;
        stage
            .say("the owner signs: owner.signing-key (secret), owner.verify (public: ML-DSA-65)")?;
        stage.say("Mallory attacks, with keys of her own and both public ones")?;
        Ok(cast)
    }

    /// What the owner's files must be signed by.
    pub(super) fn owner_expected(&self) -> Expected {
        Expected {
            key: self.owner.verifying_key().clone(),
            file_id: None,
        }
    }

    /// The slot that lets Alice in; anyone can make it.
    pub(super) fn slot_for_alice(&self) -> Vec<NewSlot> {
        vec![NewSlot {
            key: SlotKey::Recipient(self.alice.recipient()),
            label: "alice".to_owned(),
        }]
    }
}

/// A keyring with one identity.
pub(super) fn keyring(identity: &Identity) -> Keyring {
    let mut keyring = Keyring::new();
    keyring.add_identity(Identity::from_seed(*identity.expose_seed()));
    keyring
}

/// Another value of the same signing key, which options take by value.
pub(super) fn same(key: &SigningKey) -> SigningKey {
    SigningKey::from_seed(*key.expose_seed())
}
