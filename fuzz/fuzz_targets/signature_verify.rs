//! Verification of altered signatures, keys and messages: equal verdicts from two implementations, and
//! acceptance of the unaltered alone.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use ml_dsa::{B32, MlDsa65};
use zqlite_pq::label::HEADER_SIGNATURE;
use zqlite_pq::mldsa::{Signature, VerifyingKey};

mod edits;

const MESSAGE: &[u8] = b"what the owner signed";

/// A key, and a signature by it that is the same in every run.
fn honest() -> &'static (Vec<u8>, Vec<u8>) {
    static HONEST: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    HONEST.get_or_init(|| {
        let key = ml_dsa::SigningKey::<MlDsa65>::from_seed(&B32::from([5; 32]));
        let signed = [HEADER_SIGNATURE.as_bytes(), &[0], MESSAGE].concat();
        let signature = key
            .expanded_key()
            .sign_deterministic(&signed, b"")
            .expect("an empty context");
        (
            key.expanded_key().verifying_key().encode().to_vec(),
            signature.encode().to_vec(),
        )
    })
}

fn second_verifies(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Ok(key) = ml_dsa::EncodedVerifyingKey::<MlDsa65>::try_from(key) else {
        return false;
    };
    let signed = [HEADER_SIGNATURE.as_bytes(), &[0], message].concat();
    ml_dsa::Signature::<MlDsa65>::try_from(signature).is_ok_and(|signature| {
        ml_dsa::VerifyingKey::<MlDsa65>::decode(&key).verify_with_context(&signed, b"", &signature)
    })
}

// Input: what to alter ‖ edits. Edits of the signature are counted from its end, where the hint is.
fuzz_target!(|input: &[u8]| {
    let Some((what, changes)) = input.split_first() else {
        return;
    };
    let (honest_key, honest_signature) = honest();
    let alter = |which: u8, bytes: &[u8]| {
        if what % 4 == which {
            edits::apply(changes, bytes)
        } else {
            bytes.to_vec()
        }
    };
    let key = alter(0, honest_key);
    let message = alter(1, MESSAGE);
    let mut signature = alter(2, honest_signature);
    if what % 4 == 3 {
        let (start, hint) = honest_signature.split_at(honest_signature.len() - 61);
        signature = [start, &edits::apply(changes, hint)].concat();
    }

    let ours = VerifyingKey::from_bytes(&key).is_ok_and(|key| {
        Signature::from_bytes(&signature)
            .is_ok_and(|signature| key.verify(HEADER_SIGNATURE, &message, &signature).is_ok())
    });
    assert_eq!(ours, second_verifies(&key, &message, &signature));
    let unaltered = key == *honest_key && message == MESSAGE && signature == *honest_signature;
    assert_eq!(ours, unaltered);
});
