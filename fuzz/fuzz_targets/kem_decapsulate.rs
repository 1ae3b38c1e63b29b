//! Decapsulation of altered ciphertexts: equal answers from three implementations, and the honest secret
//! for the honest ciphertext alone.
#![no_main]

use aws_lc_rs::kem::{self, ML_KEM_768};
use libfuzzer_sys::fuzz_target;
use pqcrypto_mlkem::mlkem768;
use pqcrypto_traits::kem::{Ciphertext as _, SecretKey as _, SharedSecret as _};
use zqlite_pq::hazmat;
use zqlite_pq::mlkem::DecapsulationKey;

mod edits;

// Input: seed (64) ‖ m (32) ‖ edits.
fuzz_target!(|input: &[u8]| {
    let Some((seed, rest)) = input.split_first_chunk::<64>() else {
        return;
    };
    let Some((m, changes)) = rest.split_first_chunk::<32>() else {
        return;
    };
    let key = DecapsulationKey::from_seed(seed);
    let (honest, secret) = hazmat::encapsulate(&key.encapsulation_key(), m);
    let altered = edits::apply(changes, &honest);

    let ours = key
        .decapsulate(&altered)
        .ok()
        .map(|secret| *secret.expose());
    assert_eq!(ours.is_some(), altered.len() == 1088);
    assert_eq!(ours == Some(*secret.expose()), altered == honest);

    let dk = hazmat::expanded_decapsulation_key(&key);
    let aws = kem::DecapsulationKey::new(&ML_KEM_768, &dk).expect("an honest key");
    let aws = aws.decapsulate(altered.as_slice().into()).ok();
    assert_eq!(
        aws.as_ref().map(AsRef::as_ref),
        ours.as_ref().map(<[u8; 32]>::as_slice)
    );

    if let Ok(ciphertext) = mlkem768::Ciphertext::from_bytes(&altered) {
        let key = mlkem768::SecretKey::from_bytes(&dk).expect("an honest key");
        let theirs = mlkem768::decapsulate(&ciphertext, &key);
        assert_eq!(
            ours.as_ref().map(<[u8; 32]>::as_slice),
            Some(theirs.as_bytes())
        );
    }
});
