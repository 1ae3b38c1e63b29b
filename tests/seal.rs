//! Seals and proofs: known answers of a second implementation, and what must hold of every tree.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::io::Read;

use proptest::prelude::*;
use serde_json::Value;
use sha2::{Digest, Sha256};
use shake::{ExtendableOutput, Shake256, Update, XofReader};
use zqlite_pq::SigningKey;
use zqlite_pq::epoch::FileId;
use zqlite_pq::header::Expected;
use zqlite_pq::label::{HEADER_SIGNATURE, SEAL_SIGNATURE};
use zqlite_pq::page::PageSize;
use zqlite_pq::seal::tree::{self, PathBuilder, Tree};
use zqlite_pq::seal::{
    DecodeError, Field, Hash, MAX_PROOF_LEN, Proof, ProofError, SEAL_LEN, Seal, SealError, State,
};

// --- known answers --------------------------------------------------------------------------------

fn vectors() -> Vec<Value> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/kat-vectors/seal/vectors.jsonl.xz"
    );
    let mut text = String::new();
    liblzma::read::XzDecoder::new(std::fs::File::open(path).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn draw(label: &str, len: usize) -> Vec<u8> {
    let mut shake = Shake256::default();
    shake.update(label.as_bytes());
    let mut bytes = vec![0; len];
    shake.finalize_xof().read(&mut bytes);
    bytes
}

fn hash(value: &Value) -> Hash {
    hex::decode(value.as_str().unwrap())
        .unwrap()
        .try_into()
        .unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

#[test]
fn seals_and_proofs_of_the_second_implementation_are_made_and_read() {
    let (mut states, mut proofs) = (0, 0);
    for case in vectors() {
        let id = case["id"].as_str().unwrap();
        let page_size = PageSize::new(u32::try_from(number(&case["page_size"])).unwrap()).unwrap();
        let pages = u32::try_from(number(&case["pages"])).unwrap();
        let file_id = hex::decode(case["file_id"].as_str().unwrap()).unwrap();
        let file_id = FileId::from_bytes(file_id.try_into().unwrap());
        let stored: Vec<_> = (1..=pages)
            .map(|page| draw(&format!("{id}|page|{page}"), page_size.to_usize()))
            .collect();
        let leaves: Vec<_> = (1..)
            .zip(&stored)
            .map(|(page, stored)| tree::leaf(&file_id, page, stored))
            .collect();
        assert_eq!(leaves[0], hash(&case["leaf_1"]), "{id}");
        assert_eq!(root(&leaves), Some(hash(&case["root"])), "{id}");

        let bytes = [
            b"zqlite state\r\n\x1a\n\0\x01\0\x01".as_slice(),
            file_id.as_bytes(),
            &page_size.get().to_be_bytes(),
            &pages.to_be_bytes(),
            &number(&case["generation"]).to_be_bytes(),
            &number(&case["revision"]).to_be_bytes(),
            &hash(&case["header_hash"]),
            &hash(&case["root"]),
            &number(&case["time"]).to_be_bytes(),
            &draw(&format!("{id}|signer"), 1_952),
            &draw(&format!("{id}|signature"), 3_309),
        ]
        .concat();
        let seal = Seal::decode(&bytes).unwrap();
        assert_eq!(seal.encode(), bytes, "{id}");
        assert_eq!(seal.hash(), hash(&case["seal_sha256"]), "{id}");
        let expected = State {
            file_id,
            page_size,
            pages,
            generation: number(&case["generation"]),
            revision: number(&case["revision"]),
            header_hash: hash(&case["header_hash"]),
            root: hash(&case["root"]),
        };
        assert_eq!(*seal.state(), expected, "{id}");
        assert_eq!(seal.time(), number(&case["time"]), "{id}");

        for proof in case["proofs"].as_array().unwrap() {
            let page = u32::try_from(number(&proof["number"])).unwrap();
            let path: Vec<_> = proof["path"].as_array().unwrap().iter().map(hash).collect();
            let (built, root) = path_of(u64::from(page) - 1, &leaves).unwrap();
            assert_eq!((&built, root), (&path, expected.root), "{id}, page {page}");
            let stored = stored[usize::try_from(page).unwrap() - 1].clone();
            let made = Proof::new(&seal, page, stored, built).unwrap();
            let bytes = made.encode();
            assert_eq!(
                Sha256::digest(&bytes)[..],
                hash(&proof["sha256"]),
                "{id}, page {page}"
            );
            assert!(bytes.len() <= MAX_PROOF_LEN);
            assert_eq!(Proof::decode(&bytes).unwrap(), made);
            proofs += 1;
        }
        states += 1;
    }
    assert_eq!((states, proofs), (45, 621));
}

// --- trees ----------------------------------------------------------------------------------------

fn root(leaves: &[Hash]) -> Option<Hash> {
    let mut tree = Tree::new();
    leaves.iter().for_each(|leaf| tree.push(*leaf));
    tree.root()
}

fn path_of(index: u64, leaves: &[Hash]) -> Option<(Vec<Hash>, Hash)> {
    let mut builder = PathBuilder::new(index, leaves.len() as u64)?;
    leaves.iter().for_each(|leaf| builder.push(*leaf));
    builder.finish()
}

/// The definition of RFC 9162, section 2.1.1, word for word.
fn recursive_root(leaves: &[Hash]) -> Hash {
    if let [leaf] = leaves {
        return *leaf;
    }
    let mut split = 1;
    while split * 2 < leaves.len() {
        split *= 2;
    }
    let (left, right) = leaves.split_at(split);
    tree::node(&recursive_root(left), &recursive_root(right))
}

fn some_leaves(count: usize) -> Vec<Hash> {
    (0..count as u64)
        .map(|at| Sha256::digest(at.to_be_bytes()).into())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_tree_that_grows_has_the_root_of_the_definition(count in 1usize..3_000) {
        let leaves = some_leaves(count);
        prop_assert_eq!(root(&leaves), Some(recursive_root(&leaves)));
    }

    #[test]
    fn a_path_leads_from_its_own_leaf_alone_to_the_root(
        count in 1usize..2_000,
        at in any::<prop::sample::Index>(),
        bit in 0usize..256,
        place in any::<prop::sample::Index>(),
    ) {
        let leaves = some_leaves(count);
        let index = at.index(count) as u64;
        let (path, root) = path_of(index, &leaves).unwrap();
        let leaf = leaves[at.index(count)];
        let len = count as u64;
        prop_assert_eq!(root, recursive_root(&leaves));
        prop_assert_eq!(tree::root_of(index, len, leaf, &path), Some(root));
        // Another leaf, another place, a path that is shorter, longer or altered: another root, or none.
        let mut other = leaf;
        other[bit / 8] ^= 1 << (bit % 8);
        prop_assert_ne!(tree::root_of(index, len, other, &path), Some(root));
        let elsewhere = place.index(count) as u64;
        if elsewhere != index {
            prop_assert_ne!(tree::root_of(elsewhere, len, leaf, &path), Some(root));
        }
        let longer = [path.as_slice(), &[leaf]].concat();
        prop_assert_eq!(tree::root_of(index, len, leaf, &longer), None);
        if let Some((_, shorter)) = path.split_last() {
            prop_assert_eq!(tree::root_of(index, len, leaf, shorter), None);
            let mut altered = path.clone();
            altered[place.index(path.len())][bit / 8] ^= 1 << (bit % 8);
            prop_assert_ne!(tree::root_of(index, len, leaf, &altered), Some(root));
        }
    }
}

#[test]
fn a_tree_without_leaves_has_no_root_and_there_is_no_path_beside_the_tree() {
    assert_eq!(Tree::new().root(), None);
    assert!(PathBuilder::new(0, 0).is_none());
    assert!(PathBuilder::new(7, 7).is_none());
    assert!(PathBuilder::new(0, 1 << 32).is_none());
    assert!(PathBuilder::new(0, u64::MAX).is_none());
    let leaf = some_leaves(1)[0];
    assert_eq!(tree::root_of(0, 0, leaf, &[]), None);
    assert_eq!(tree::root_of(1, 1, leaf, &[]), None);
    assert_eq!(tree::root_of(0, 1, leaf, &[]), Some(leaf));
    // Too few leaves, and too many.
    let mut builder = PathBuilder::new(1, 3).unwrap();
    builder.push(leaf);
    builder.push(leaf);
    assert!(builder.clone().finish().is_none());
    builder.push(leaf);
    assert!(builder.clone().finish().is_some());
    builder.push(leaf);
    assert!(builder.finish().is_none());
}

#[test]
fn the_longest_path_is_that_of_the_largest_file() {
    let builder = PathBuilder::new(0, u64::from(zqlite_pq::seal::MAX_PAGES)).unwrap();
    assert!(builder.finish().is_none(), "no leaf was taken");
    let leaf = some_leaves(1)[0];
    let count = u64::from(zqlite_pq::seal::MAX_PAGES);
    let path = [leaf; tree::MAX_PATH_LEN];
    assert!(tree::root_of(0, count, leaf, &path).is_some());
    assert!(tree::root_of(0, count, leaf, &path[1..]).is_none());
}

// --- signatures -----------------------------------------------------------------------------------

const PAGES: u32 = 7;

fn signing_key() -> SigningKey {
    SigningKey::from_seed([3; 32])
}

fn expected() -> Expected {
    Expected {
        key: signing_key().verifying_key().clone(),
        file_id: None,
    }
}

/// A seal over seven pages, and a proof of each.
fn sample() -> (Seal, Vec<Proof>) {
    let file_id = FileId::from_bytes([9; 16]);
    let stored: Vec<_> = (1..=PAGES)
        .map(|page| draw(&format!("page {page}"), 4_096))
        .collect();
    let leaves: Vec<_> = (1..)
        .zip(&stored)
        .map(|(page, stored)| tree::leaf(&file_id, page, stored))
        .collect();
    let state = State {
        file_id,
        page_size: PageSize::new(4_096).unwrap(),
        pages: PAGES,
        generation: 2,
        revision: 5,
        header_hash: [4; 32],
        root: root(&leaves).unwrap(),
    };
    let seal = Seal::sign(state, 1_790_000_000, &signing_key()).unwrap();
    let proofs = (1..)
        .zip(stored)
        .map(|(page, stored)| {
            let (path, _) = path_of(u64::from(page) - 1, &leaves).unwrap();
            Proof::new(&seal, page, stored, path).unwrap()
        })
        .collect();
    (seal, proofs)
}

#[test]
fn a_seal_is_signed_under_its_own_label_over_all_that_stands_before_the_signature() {
    let (seal, _) = sample();
    let bytes = seal.encode();
    let (signed, signature) = bytes.split_at(SEAL_LEN - 3_309);
    let signature = zqlite_pq::Signature::from_bytes(signature).unwrap();
    let key = signing_key();
    let verifies = |label| key.verifying_key().verify(label, signed, &signature);
    assert!(verifies(SEAL_SIGNATURE).is_ok());
    assert!(verifies(HEADER_SIGNATURE).is_err());
    seal.verify(&expected()).unwrap();
}

#[test]
fn any_byte_of_a_seal_flipped_is_noticed() {
    let (seal, _) = sample();
    let bytes = seal.encode();
    assert_eq!(bytes.len(), SEAL_LEN);
    let (mut undecoded, mut unverified) = (0, 0);
    for at in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[at] ^= 1 << (at % 8);
        match Seal::decode(&altered) {
            Err(_) => undecoded += 1,
            Ok(seal) => {
                assert_eq!(seal.encode(), altered, "byte {at}");
                assert!(seal.verify(&expected()).is_err(), "byte {at}");
                unverified += 1;
            }
        }
    }
    assert_eq!(undecoded + unverified, SEAL_LEN);
    // Magic, version, suite and page size; a few bits lead from one number to another that is allowed.
    assert!((20..=24).contains(&undecoded), "{undecoded}");
    Seal::decode(&bytes).unwrap().verify(&expected()).unwrap();
}

#[test]
fn a_seal_of_another_key_or_file_is_not_the_expected_one() {
    let (seal, _) = sample();
    let other = SigningKey::from_seed([8; 32]);
    let by_other = Expected {
        key: other.verifying_key().clone(),
        file_id: None,
    };
    assert_eq!(seal.verify(&by_other), Err(SealError::OtherKey));
    let for_file = |id| Expected {
        file_id: Some(FileId::from_bytes([id; 16])),
        ..expected()
    };
    assert_eq!(seal.verify(&for_file(1)), Err(SealError::OtherFile));
    assert_eq!(seal.verify(&for_file(9)), Ok(()));
    // The signature of one key beside the name of another.
    let mut bytes = seal.encode();
    bytes[132..132 + 1_952].copy_from_slice(other.verifying_key().as_bytes());
    let renamed = Seal::decode(&bytes).unwrap();
    assert_eq!(renamed.verify(&by_other), Err(SealError::Invalid));
    assert_eq!(renamed.verify(&expected()), Err(SealError::OtherKey));
}

#[test]
fn what_no_writer_writes_is_no_seal() {
    let (seal, proofs) = sample();
    let bytes = seal.encode();
    let with = |at: usize, field: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at..at + field.len()].copy_from_slice(field);
        Seal::decode(&bytes).map(drop)
    };
    let malformed = |field| Err(DecodeError::Malformed(field));
    let cases = [
        (with(0, b"x"), Err(DecodeError::NotASeal)),
        (
            with(16, &[0, 2]),
            Err(DecodeError::VersionUnsupported { found: 2 }),
        ),
        (
            with(18, &[1, 1]),
            Err(DecodeError::SuiteUnsupported { found: 257 }),
        ),
        (with(36, &[0, 0, 2, 0]), malformed(Field::PageSize)),
        (with(36, &[0, 0, 16, 1]), malformed(Field::PageSize)),
        (with(40, &[0; 4]), malformed(Field::Pages)),
        (with(40, &[0xff; 4]), malformed(Field::Pages)),
        (with(44, &[0; 8]), malformed(Field::Generation)),
        (with(52, &[0; 8]), malformed(Field::Revision)),
        (with(124, &[0xff; 8]), Ok(())),
    ];
    for (at, (found, wanted)) in cases.into_iter().enumerate() {
        assert_eq!(found, wanted, "case {at}");
    }
    for len in 0..SEAL_LEN {
        assert!(Seal::decode(&bytes[..len]).is_err(), "{len} bytes");
    }
    assert_eq!(
        Seal::decode(&[&bytes[..], &[0]].concat()),
        Err(DecodeError::Malformed(Field::Length))
    );
    assert_eq!(
        Seal::decode(&proofs[0].encode()),
        Err(DecodeError::NotASeal)
    );
    assert_eq!(Proof::decode(&bytes), Err(DecodeError::NotAProof));
}

// --- proofs ---------------------------------------------------------------------------------------

#[test]
fn any_byte_of_a_proof_flipped_is_noticed() {
    let (seal, proofs) = sample();
    let bytes = proofs[5].encode();
    let mut ran = 0;
    for at in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[at] ^= 1 << (at % 8);
        if let Ok(proof) = Proof::decode(&altered) {
            assert_eq!(proof.encode(), altered, "byte {at}");
            let checked = proof.check(&seal, &expected());
            let wanted = if (20..52).contains(&at) {
                ProofError::OtherSeal
            } else {
                ProofError::NotInState
            };
            assert_eq!(checked, Err(wanted), "byte {at}");
        }
        ran += 1;
    }
    assert_eq!(ran, 64 + 4_096 + 3 * 32);
    Proof::decode(&bytes)
        .unwrap()
        .check(&seal, &expected())
        .unwrap();
}

#[test]
fn a_proof_counts_for_its_own_seal_alone_and_under_the_expected_signer() {
    let (seal, proofs) = sample();
    // The same state, sealed once more a second later.
    let later = Seal::sign(*seal.state(), seal.time() + 1, &signing_key()).unwrap();
    let by_other = Seal::sign(*seal.state(), seal.time(), &SigningKey::from_seed([8; 32])).unwrap();
    for proof in &proofs {
        assert_eq!(proof.check(&seal, &expected()), Ok(()));
        assert_eq!(proof.check(&later, &expected()), Err(ProofError::OtherSeal));
        assert_eq!(
            proof.check(&by_other, &expected()),
            Err(ProofError::Seal(SealError::OtherKey))
        );
    }
    assert_eq!(proofs.len(), 7);
}

#[test]
fn what_no_writer_writes_is_no_proof() {
    let (_, proofs) = sample();
    let bytes = proofs[2].encode();
    let with = |at: usize, field: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at..at + field.len()].copy_from_slice(field);
        Proof::decode(&bytes).map(drop)
    };
    let malformed = |field| Err(DecodeError::Malformed(field));
    let cases = [
        (with(3, b"x"), Err(DecodeError::NotAProof)),
        (
            with(16, &[1, 1]),
            Err(DecodeError::VersionUnsupported { found: 257 }),
        ),
        (
            with(18, &[0, 0]),
            Err(DecodeError::SuiteUnsupported { found: 0 }),
        ),
        (with(52, &[0; 4]), malformed(Field::PageNumber)),
        (with(52, &[0xff; 4]), malformed(Field::PageNumber)),
        (with(56, &[0, 0, 32, 0]), malformed(Field::Length)),
        (with(56, &[0xff; 4]), malformed(Field::PageSize)),
        (with(60, &[0, 33]), malformed(Field::PathLength)),
        (with(60, &[0xff, 0xff]), malformed(Field::PathLength)),
        (with(60, &[0, 2]), malformed(Field::Length)),
        (with(62, &[0, 1]), malformed(Field::Zero)),
        (with(52, &[0, 0, 0, 9]), Ok(())),
    ];
    for (at, (found, wanted)) in cases.into_iter().enumerate() {
        assert_eq!(found, wanted, "case {at}");
    }
    for len in 0..bytes.len() {
        assert!(Proof::decode(&bytes[..len]).is_err(), "{len} bytes");
    }
    assert!(Proof::decode(&[&bytes[..], &[0; 32]].concat()).is_err());
}
