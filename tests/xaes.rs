//! XAES-256-GCM against the vectors of its specification (C2SP, XAES-256-GCM.md).

use shake::{ExtendableOutput, Shake128, Update, XofReader};
use zqlite_pq::xaes::Key;

#[test]
fn the_published_vectors_seal_and_open() {
    let mut ran = 0;
    for line in include_str!("../kat-vectors/xaes256gcm.jsonl").lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let field = |name: &str| hex::decode(case[name].as_str().unwrap()).unwrap();
        let key = Key::new(&field("key").try_into().unwrap());
        let nonce = field("nonce").try_into().unwrap();
        let mut buf = field("pt");
        let tag = key.seal_in_place(&nonce, &field("aad"), &mut buf);
        assert_eq!(
            [buf.as_slice(), &tag].concat(),
            field("ct"),
            "{}",
            case["id"]
        );
        key.open_in_place(&nonce, &field("aad"), &mut buf, &tag)
            .unwrap();
        assert_eq!(buf, field("pt"));
        let mut other = nonce;
        other[0] ^= 1;
        let tag = key.seal_in_place(&nonce, &field("aad"), &mut buf);
        assert!(
            key.open_in_place(&other, &field("aad"), &mut buf, &tag)
                .is_err()
        );
        ran += 1;
    }
    assert_eq!(ran, 2);
}

#[test]
fn ten_thousand_random_cases_match_the_accumulated_digest() {
    let mut stream = Shake128::default().finalize_xof();
    let mut draw = |len: usize| {
        let mut bytes = vec![0; len];
        stream.read(&mut bytes);
        bytes
    };
    let mut absorbed = Shake128::default();
    for _ in 0..10_000 {
        let key = Key::new(&draw(32).try_into().unwrap());
        let nonce = draw(24).try_into().unwrap();
        let len = usize::from(draw(1)[0]);
        let mut buf = draw(len);
        let len = usize::from(draw(1)[0]);
        let aad = draw(len);
        let tag = key.seal_in_place(&nonce, &aad, &mut buf);
        absorbed.update(&buf);
        absorbed.update(&tag);
    }
    let mut digest = [0; 32];
    absorbed.finalize_xof().read(&mut digest);
    let expected = "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939";
    assert_eq!(hex::encode(digest), expected);
}
