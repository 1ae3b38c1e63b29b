//! Bytes as a proof: what decodes encodes to the same bytes, and only an unaltered proof checks.
//!
//! Input: 0 and raw bytes, or a page number and edits of its proof.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zqlite_pq::seal::{DecodeError, MAX_PROOF_LEN, Proof};

mod edits;
mod sealed_state;

use sealed_state::honest;

fuzz_target!(|input: &[u8]| {
    let Some((what, rest)) = input.split_first() else {
        return;
    };
    let honest = honest();
    let bytes = if *what == 0 {
        rest.to_vec()
    } else {
        edits::apply(
            rest,
            &honest.proofs[usize::from(*what) % honest.proofs.len()],
        )
    };
    let unaltered = honest.proofs.contains(&bytes);
    match Proof::decode(&bytes) {
        Ok(proof) => {
            assert!(bytes.len() <= MAX_PROOF_LEN);
            assert_eq!(proof.encode(), bytes);
            let checked = proof.check(&honest.seal, &honest.expected);
            assert_eq!(checked.is_ok(), unaltered);
        }
        Err(error) => {
            assert!(!unaltered);
            let is_ours = bytes.starts_with(&zqlite_pq::label::PROOF_MAGIC);
            assert_eq!(error == DecodeError::NotAProof, !is_ours);
        }
    }
});
