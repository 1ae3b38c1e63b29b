//! HPKE over X-Wing: published vectors of the KEM, our suite against an independent key schedule
//! (`kat-vectors/generate_hpke.py`), and what must not unwrap.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::path::Path;

use serde_json::Value;
use zqlite_pq::label::{PASSPHRASE_SEED, SLOT_WRAP};
use zqlite_pq::wrap::{ENC_LEN, WRAPPED_LEN, WrappedKey, unwrap_key, wrap_key};
use zqlite_pq::{EpochKey, Identity, KeyError, OpenError, Recipient, hazmat};

/// One vector: byte strings by name.
struct Vector(Value);

impl Vector {
    fn bytes(&self, name: &str) -> Vec<u8> {
        hex::decode(self.0[name].as_str().unwrap()).unwrap()
    }

    fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        self.bytes(name).try_into().unwrap()
    }
}

fn vectors(file: &str) -> Vec<Vector> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("kat-vectors")
        .join(file);
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| Vector(serde_json::from_str(line).unwrap()))
        .collect()
}

#[test]
fn x_wing_matches_the_vectors_of_the_hpke_pq_draft() {
    let vectors = vectors("public/hpke_pq.jsonl");
    assert_eq!(vectors.len(), 2);
    for v in &vectors {
        let identity = Identity::from_seed(v.array("skRm"));
        let recipient = identity.recipient();
        assert_eq!(recipient.as_bytes().as_slice(), v.bytes("pkRm"));
        let (enc, secret) = hazmat::xwing_encapsulate(&recipient, &v.array("ikmE")).unwrap();
        assert_eq!(enc.as_slice(), v.bytes("enc"));
        assert_eq!(secret.expose(), &v.array::<32>("shared_secret"));
        let opened = hazmat::xwing_decapsulate(&identity, &enc).unwrap();
        assert_eq!(opened.expose(), secret.expose());
    }
}

#[test]
fn wrapping_matches_an_independent_implementation_of_the_suite() {
    let vectors = vectors("generated/hpke.jsonl");
    assert_eq!(vectors.len(), 16);
    for v in &vectors {
        assert_eq!(v.bytes("info"), SLOT_WRAP.as_bytes());
        let (identity, aad) = (Identity::from_seed(v.array("seed")), v.bytes("aad"));
        let recipient = Recipient::from_bytes(&v.bytes("pk")).unwrap();
        assert_eq!(identity.recipient(), recipient);
        let key = EpochKey::from_bytes(v.array("pt"));
        let wrapped = hazmat::wrap_key(&recipient, SLOT_WRAP, &aad, &key, &v.array("eseed"));
        assert_eq!(wrapped.enc.as_slice(), v.bytes("enc"));
        assert_eq!(wrapped.sealed.as_slice(), v.bytes("ct"));
        let opened = unwrap_key(&identity, SLOT_WRAP, &aad, &wrapped).unwrap();
        assert_eq!(opened.expose(), key.expose());
    }
}

fn system_rng() -> rand_core::UnwrapErr<getrandom::SysRng> {
    rand_core::UnwrapErr(getrandom::SysRng)
}

#[test]
fn each_wrap_is_fresh_and_opens_only_for_its_recipient_label_and_data() {
    let mut rng = system_rng();
    let (identity, stranger) = (Identity::generate(&mut rng), Identity::generate(&mut rng));
    let key = EpochKey::generate(&mut rng);
    let wrap = |rng: &mut _| wrap_key(&identity.recipient(), SLOT_WRAP, b"data", &key, rng);
    let (first, second) = (wrap(&mut rng), wrap(&mut rng));
    assert_ne!(first, second);
    for wrapped in [&first, &second] {
        let opened = unwrap_key(&identity, SLOT_WRAP, b"data", wrapped).unwrap();
        assert_eq!(opened.expose(), key.expose());
    }
    let refused = [
        unwrap_key(&stranger, SLOT_WRAP, b"data", &first),
        unwrap_key(&identity, PASSPHRASE_SEED, b"data", &first),
        unwrap_key(&identity, SLOT_WRAP, b"date", &first),
        unwrap_key(&identity, SLOT_WRAP, b"", &first),
        unwrap_key(
            &identity,
            SLOT_WRAP,
            b"data",
            &WrappedKey {
                enc: first.enc,
                sealed: second.sealed,
            },
        ),
    ];
    for opened in refused {
        assert_eq!(opened.unwrap_err(), OpenError);
    }
}

#[test]
fn no_flipped_bit_of_a_wrapped_key_opens() {
    let mut rng = system_rng();
    let identity = Identity::generate(&mut rng);
    let key = EpochKey::generate(&mut rng);
    let wrapped = wrap_key(&identity.recipient(), SLOT_WRAP, b"", &key, &mut rng);
    let mut tried = 0;
    // A step coprime to 8 reaches every bit position of a byte.
    for bit in (0..8 * (ENC_LEN + WRAPPED_LEN)).step_by(61) {
        let mut altered = wrapped.clone();
        match bit.checked_sub(8 * ENC_LEN) {
            None => altered.enc[bit / 8] ^= 1 << (bit % 8),
            Some(bit) => altered.sealed[bit / 8] ^= 1 << (bit % 8),
        }
        // X25519 ignores the highest bit of a public key; X-Wing hashes it, so that it counts.
        assert!(
            unwrap_key(&identity, SLOT_WRAP, b"", &altered).is_err(),
            "bit {bit}"
        );
        tried += 1;
    }
    assert_eq!(tried, 154);
}

#[test]
fn low_order_x25519_parts_are_refused_on_both_sides() {
    let mut rng = system_rng();
    let identity = Identity::generate(&mut rng);
    let key = EpochKey::generate(&mut rng);
    let mut one = [0; 32];
    one[0] = 1;
    for low in [[0; 32], one] {
        let mut public = identity.recipient().to_bytes();
        public[1184..].copy_from_slice(&low);
        assert_eq!(
            Recipient::from_bytes(&public).unwrap_err(),
            KeyError::LowOrder
        );
        let mut wrapped = wrap_key(&identity.recipient(), SLOT_WRAP, b"", &key, &mut rng);
        wrapped.enc[1088..].copy_from_slice(&low);
        assert!(unwrap_key(&identity, SLOT_WRAP, b"", &wrapped).is_err());
    }
}

#[test]
fn recipients_with_a_malformed_ml_kem_part_are_refused() {
    let recipient = Identity::from_seed([7; 32]).recipient();
    let short = &recipient.as_bytes()[..1215];
    assert_eq!(
        Recipient::from_bytes(short).unwrap_err(),
        KeyError::Length {
            found: 1215,
            expected: 1216
        }
    );
    let mut unreduced = recipient.to_bytes();
    unreduced[0] = 0xff;
    unreduced[1] |= 0x0f;
    assert_eq!(
        Recipient::from_bytes(&unreduced).unwrap_err(),
        KeyError::NotReduced
    );
}
