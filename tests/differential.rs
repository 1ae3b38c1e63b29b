//! The product against second implementations, both ways round, on honest inputs and on mutations made by
//! proptest: equal answers and equal verdicts.

use aws_lc_rs::kem::{self as aws_kem, ML_KEM_768};
use ml_dsa::{B32, MlDsa65};
use pqcrypto_mlkem::mlkem768;
use pqcrypto_traits::kem::{Ciphertext as _, PublicKey as _, SecretKey as _, SharedSecret as _};
use proptest::collection::vec;
use proptest::prelude::*;
use zqlite_pq::label::{HEADER_SIGNATURE, SEAL_SIGNATURE};
use zqlite_pq::mldsa::{Signature, SigningKey, VerifyingKey};
use zqlite_pq::mlkem::{DecapsulationKey, EncapsulationKey};
use zqlite_pq::{aead, hazmat};

/// A change to a byte string.
#[derive(Clone, Debug)]
enum Mutation {
    None,
    Flip(proptest::sample::Index, u8),
    Set(proptest::sample::Index, u8),
    Truncate(proptest::sample::Index),
    Extend(u8),
    /// Overwrites up to 64 bytes from some place on.
    Overwrite(proptest::sample::Index, Vec<u8>),
}

impl Mutation {
    fn apply(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        match self {
            Self::None => {}
            Self::Flip(at, bit) => out[at.index(bytes.len())] ^= 1 << (bit % 8),
            Self::Set(at, value) => out[at.index(bytes.len())] = *value,
            Self::Truncate(at) => out.truncate(at.index(bytes.len())),
            Self::Extend(byte) => out.push(*byte),
            Self::Overwrite(at, with) => {
                let start = at.index(bytes.len());
                out.iter_mut()
                    .skip(start)
                    .zip(with)
                    .for_each(|(old, new)| *old = *new);
            }
        }
        out
    }
}

fn mutation() -> impl Strategy<Value = Mutation> {
    use proptest::sample::Index;
    prop_oneof![
        1 => Just(Mutation::None),
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        1 => any::<Index>().prop_map(Mutation::Truncate),
        1 => any::<u8>().prop_map(Mutation::Extend),
        2 => (any::<Index>(), vec(any::<u8>(), 1..64))
            .prop_map(|(at, with)| Mutation::Overwrite(at, with)),
    ]
}

fn system_rng() -> rand_core::UnwrapErr<getrandom::SysRng> {
    rand_core::UnwrapErr(getrandom::SysRng)
}

fn aws_decapsulate(dk: &[u8], ciphertext: &[u8]) -> Option<Vec<u8>> {
    let key = aws_kem::DecapsulationKey::new(&ML_KEM_768, dk).ok()?;
    Some(key.decapsulate(ciphertext.into()).ok()?.as_ref().to_vec())
}

fn pqcrypto_decapsulate(dk: &[u8], ciphertext: &[u8]) -> Option<Vec<u8>> {
    let key = mlkem768::SecretKey::from_bytes(dk).ok()?;
    let ciphertext = mlkem768::Ciphertext::from_bytes(ciphertext).ok()?;
    Some(mlkem768::decapsulate(&ciphertext, &key).as_bytes().to_vec())
}

fn aws_verifies(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let key = VerifyingKey::from_bytes(key);
    key.is_ok_and(|key| hazmat::verify_unlabelled(&key, message, signature).is_ok())
}

fn second_verifies(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Ok(key) = ml_dsa::EncodedVerifyingKey::<MlDsa65>::try_from(key) else {
        return false;
    };
    ml_dsa::Signature::<MlDsa65>::try_from(signature).is_ok_and(|signature| {
        ml_dsa::VerifyingKey::<MlDsa65>::decode(&key).verify_with_context(message, b"", &signature)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_others_encapsulate_we_decapsulate(seed in vec(any::<u8>(), 64)) {
        let key = DecapsulationKey::from_seed(&seed.try_into().unwrap());
        let ek = key.encapsulation_key().to_bytes();

        let theirs = aws_kem::EncapsulationKey::new(&ML_KEM_768, &ek).unwrap();
        let (ciphertext, secret) = theirs.encapsulate().unwrap();
        let opened = key.decapsulate(ciphertext.as_ref()).unwrap();
        prop_assert_eq!(opened.expose().as_slice(), secret.as_ref());

        let theirs = mlkem768::PublicKey::from_bytes(&ek).unwrap();
        let (secret, ciphertext) = mlkem768::encapsulate(&theirs);
        let opened = key.decapsulate(ciphertext.as_bytes()).unwrap();
        prop_assert_eq!(opened.expose().as_slice(), secret.as_bytes());
    }

    #[test]
    fn what_we_encapsulate_others_decapsulate(_case in 0..1) {
        let theirs = aws_kem::DecapsulationKey::generate(&ML_KEM_768).unwrap();
        let ek = theirs.encapsulation_key().unwrap().key_bytes().unwrap().as_ref().to_vec();
        let (ciphertext, secret) =
            EncapsulationKey::from_bytes(&ek).unwrap().encapsulate(&mut system_rng());
        let opened = theirs.decapsulate(ciphertext.as_slice().into()).unwrap();
        prop_assert_eq!(opened.as_ref(), secret.expose());

        let (ek, dk) = mlkem768::keypair();
        let (ciphertext, secret) =
            EncapsulationKey::from_bytes(ek.as_bytes()).unwrap().encapsulate(&mut system_rng());
        let opened = pqcrypto_decapsulate(dk.as_bytes(), &ciphertext).unwrap();
        prop_assert_eq!(opened.as_slice(), secret.expose());
    }

    #[test]
    fn altered_ciphertexts_are_rejected_implicitly_and_alike(
        seed in vec(any::<u8>(), 64), m: [u8; 32], mutation in mutation(),
    ) {
        let key = DecapsulationKey::from_seed(&seed.try_into().unwrap());
        let dk = hazmat::expanded_decapsulation_key(&key);
        let (ciphertext, secret) = hazmat::encapsulate(&key.encapsulation_key(), &m);
        let altered = mutation.apply(&ciphertext);
        let ours = key.decapsulate(&altered).ok().map(|secret| secret.expose().to_vec());
        prop_assert_eq!(ours.is_some(), altered.len() == 1088);
        prop_assert_eq!(ours.as_deref() == Some(secret.expose()), altered == ciphertext);
        prop_assert_eq!(&aws_decapsulate(&dk, &altered), &ours);
        prop_assert_eq!(&pqcrypto_decapsulate(&dk, &altered), &ours);
    }

    #[test]
    fn altered_encapsulation_keys_get_equal_verdicts(
        seed in vec(any::<u8>(), 64), mutation in mutation(),
    ) {
        let key = DecapsulationKey::from_seed(&seed.try_into().unwrap());
        let altered = mutation.apply(&key.encapsulation_key().to_bytes());
        let ours = EncapsulationKey::from_bytes(&altered);
        // aws-lc checks the modulus when it encapsulates; pqcrypto-mlkem never does.
        let aws = aws_kem::EncapsulationKey::new(&ML_KEM_768, &altered)
            .is_ok_and(|key| key.encapsulate().is_ok());
        prop_assert_eq!(ours.is_ok(), aws);
        if let Ok(ours) = ours {
            prop_assert!(mlkem768::PublicKey::from_bytes(&altered).is_ok());
            prop_assert_eq!(ours.to_bytes().to_vec(), altered);
        }
    }

    #[test]
    fn altered_expanded_decapsulation_keys_get_equal_verdicts(
        seed in vec(any::<u8>(), 64), m: [u8; 32], mutation in mutation(),
    ) {
        let key = DecapsulationKey::from_seed(&seed.try_into().unwrap());
        let (ciphertext, _) = hazmat::encapsulate(&key.encapsulation_key(), &m);
        // Only what the checks of section 7.3 cover: the length, the public half and its hash. How a
        // secret coefficient that is not reduced is used, FIPS 203 leaves open.
        let dk = hazmat::expanded_decapsulation_key(&key);
        let altered = [&dk[..1152], &mutation.apply(&dk[1152..2368]), &dk[2368..]].concat();
        let ours = hazmat::decapsulation_key_from_expanded(&altered)
            .map(|key| key.decapsulate(&ciphertext).unwrap().expose().to_vec());
        prop_assert_eq!(ours.is_ok(), altered == dk);
        prop_assert_eq!(ours.ok(), aws_decapsulate(&altered, &ciphertext));
    }

    #[test]
    fn aes_256_gcm_seals_alike_and_opens_alike(
        key: [u8; 32], nonce: [u8; 12], aad in vec(any::<u8>(), 0..64),
        text in vec(any::<u8>(), 0..600), mutation in mutation(), what in 0..4,
    ) {
        use aes_gcm::aead::{AeadInOut, KeyInit};
        let (ours, theirs) = (aead::Key::new(&key), aes_gcm::Aes256Gcm::new(&key.into()));
        let mut sealed = text.clone();
        let tag = ours.seal_in_place(&nonce, &aad, &mut sealed);
        let mut second = text.clone();
        let second_tag =
            theirs.encrypt_inout_detached(&nonce.into(), &aad, second.as_mut_slice().into()).unwrap();
        prop_assert_eq!(&sealed, &second);
        prop_assert_eq!(tag.as_slice(), second_tag.as_slice());

        let mutate = |which: i32, bytes: &[u8]| {
            let applies = what == which && !bytes.is_empty();
            if applies { mutation.apply(bytes) } else { bytes.to_vec() }
        };
        let (a, t) = (mutate(0, &aad), mutate(1, &sealed));
        let fixed = |bytes: Vec<u8>| <[u8; 16]>::try_from(bytes).unwrap_or([0xa5; 16]);
        let g = fixed(mutate(2, &tag));
        let (mut one, mut two) = (t.clone(), t.clone());
        let our_verdict = ours.open_in_place(&nonce, &a, &mut one, &g).is_ok();
        let their_verdict = theirs
            .decrypt_inout_detached(&nonce.into(), &a, two.as_mut_slice().into(), &g.into())
            .is_ok();
        prop_assert_eq!(our_verdict, their_verdict);
        prop_assert_eq!(our_verdict, a == aad && t == sealed && g == tag);
        if our_verdict {
            prop_assert_eq!(&one, &text);
            prop_assert_eq!(&two, &text);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn signatures_are_verified_across_implementations(
        seed: [u8; 32], message in vec(any::<u8>(), 0..300), rnd: [u8; 32],
    ) {
        let ours = SigningKey::from_seed(seed);
        let second = ml_dsa::SigningKey::<MlDsa65>::from_seed(&B32::from(seed));
        let pk = ours.verifying_key().as_bytes();
        prop_assert_eq!(second.expanded_key().verifying_key().encode().to_vec(), pk.to_vec());

        let signature = ours.sign(HEADER_SIGNATURE, &message).unwrap();
        let labelled = [HEADER_SIGNATURE.as_bytes(), b"\0", &message].concat();
        prop_assert!(second_verifies(pk, &labelled, signature.as_bytes()));
        prop_assert!(!second_verifies(pk, &message, signature.as_bytes()));

        let formatted = [&[0, 0], labelled.as_slice()].concat();
        let theirs = second.expanded_key().sign_internal(&[&formatted], &B32::from(rnd)).encode();
        let theirs = Signature::from_bytes(&theirs).unwrap();
        ours.verifying_key().verify(HEADER_SIGNATURE, &message, &theirs).unwrap();
        prop_assert!(ours.verifying_key().verify(SEAL_SIGNATURE, &message, &theirs).is_err());
    }

    #[test]
    fn altered_signatures_keys_and_messages_get_equal_verdicts(
        seed: [u8; 32], message in vec(any::<u8>(), 1..100), mutation in mutation(), what in 0..3,
    ) {
        let key = SigningKey::from_seed(seed);
        let signature = hazmat::sign_unlabelled(&key, &message).unwrap();
        let pk = key.verifying_key().as_bytes();
        let mutate = |which: i32, bytes: &[u8]| {
            if what == which { mutation.apply(bytes) } else { bytes.to_vec() }
        };
        let (s, k, m) = (mutate(0, &signature), mutate(1, pk), mutate(2, &message));
        let verdict = aws_verifies(&k, &m, &s);
        prop_assert_eq!(verdict, second_verifies(&k, &m, &s));
        prop_assert_eq!(verdict, s == signature && k == pk && m == message);
    }
}

/// The hint of a signature has one encoding: each of its 61 bytes is altered in turn.
#[test]
fn no_other_encoding_of_the_hint_verifies() {
    let key = SigningKey::from_seed([3; 32]);
    let signature = hazmat::sign_unlabelled(&key, b"hint").unwrap();
    let pk = key.verifying_key().as_bytes();
    let mut tried = 0;
    for at in 3309 - 61..3309 {
        for value in [0, 1, 54, 55, 56, 255] {
            let mut altered = signature;
            altered[at] = value;
            let verdict = aws_verifies(pk, b"hint", &altered);
            assert_eq!(
                verdict,
                second_verifies(pk, b"hint", &altered),
                "byte {at} = {value}"
            );
            assert_eq!(verdict, altered == signature, "byte {at} = {value}");
            tried += 1;
        }
    }
    assert_eq!(tried, 366);
}
