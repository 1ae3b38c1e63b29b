//! Accumulated digests: SHAKE128 over many random cases, so that breadth costs 32 bytes of vectors.
//! 100 rounds; `ZQLITE_KAT_ROUNDS=10000` runs the long ones.

use ml_dsa::{B32, MlDsa65};
use shake::{ExtendableOutput, Shake128, Update, XofReader};
use zqlite_pq::hazmat;
use zqlite_pq::mldsa::SigningKey;
use zqlite_pq::mlkem::DecapsulationKey;

/// The number of rounds and which of the two digests belongs to it.
fn rounds() -> (usize, usize) {
    match std::env::var("ZQLITE_KAT_ROUNDS").as_deref() {
        Err(_) | Ok("" | "100") => (100, 0),
        Ok("10000") => (10_000, 1),
        Ok(other) => panic!("ZQLITE_KAT_ROUNDS is {other}; digests exist for 100 and 10000"),
    }
}

fn stream() -> impl XofReader {
    Shake128::default().finalize_xof()
}

fn draw<const N: usize>(stream: &mut impl XofReader) -> [u8; N] {
    let mut bytes = [0; N];
    stream.read(&mut bytes);
    bytes
}

fn digest(absorbed: Shake128) -> String {
    let mut out = [0; 32];
    absorbed.finalize_xof().read(&mut out);
    hex::encode(out)
}

#[test]
fn ml_kem_768_matches_the_accumulated_digest() {
    let expected = [
        "8d65b902f28edc683cebee2872962fd165a4d197c9e24ec74caa4470270df0b7",
        "f959d18d3d1180121433bf0e05f11e7908cf9d03edc150b2b07cb90bef5bc1c1",
    ];
    let (count, which) = rounds();
    let (mut stream, mut absorbed) = (stream(), Shake128::default());
    for _ in 0..count {
        let key = DecapsulationKey::from_seed(&draw::<64>(&mut stream));
        let (m, random_ciphertext) = (draw::<32>(&mut stream), draw::<1088>(&mut stream));
        let ek = key.encapsulation_key();
        let (ciphertext, secret) = hazmat::encapsulate(&ek, &m);
        absorbed.update(&ek.to_bytes());
        absorbed.update(&hazmat::expanded_decapsulation_key(&key));
        absorbed.update(&ciphertext);
        absorbed.update(secret.expose());
        absorbed.update(key.decapsulate(&random_ciphertext).unwrap().expose());
    }
    assert_eq!(digest(absorbed), expected[which]);
}

#[test]
fn ml_dsa_65_matches_the_accumulated_digest() {
    let expected = [
        "8358a1843220194417cadbc2651295cd8fc65125b5a5c1a239a16dc8b57ca199",
        "5ff5e196f0b830c3b10a9eb5358e7c98a3a20136cb677f3ae3b90175c3ace329",
    ];
    let (count, which) = rounds();
    let (mut stream, mut absorbed) = (stream(), Shake128::default());
    for _ in 0..count {
        let seed = draw::<32>(&mut stream);
        let key = SigningKey::from_seed(seed);
        // The product only signs hedged; the fixed bytes come from the second implementation and are
        // verified by the product.
        let second = ml_dsa::SigningKey::<MlDsa65>::from_seed(&B32::from(seed));
        let signature = second
            .expanded_key()
            .sign_deterministic(b"", b"")
            .unwrap()
            .encode();
        hazmat::verify_unlabelled(key.verifying_key(), b"", &signature).unwrap();
        absorbed.update(key.verifying_key().as_bytes());
        absorbed.update(&signature);
    }
    assert_eq!(digest(absorbed), expected[which]);
}
