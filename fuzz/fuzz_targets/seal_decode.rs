//! Bytes as a seal: what decodes encodes to the same bytes, and only the unaltered seal is the signer's.
//!
//! Input: 0 and raw bytes, or another byte and edits of a seal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zqlite_pq::seal::{DecodeError, SEAL_LEN, Seal};

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
        edits::apply(rest, &honest.seal_bytes)
    };
    match Seal::decode(&bytes) {
        Ok(seal) => {
            assert_eq!(bytes.len(), SEAL_LEN);
            assert_eq!(seal.encode(), bytes);
            let state = seal.state();
            assert!(state.pages > 0 && state.generation > 0 && state.revision > 0);
            let verified = seal.verify(&honest.expected).is_ok();
            assert_eq!(verified, bytes == honest.seal_bytes);
        }
        Err(error) => {
            assert_ne!(bytes, honest.seal_bytes);
            let is_ours = bytes.starts_with(&zqlite_pq::label::SEAL_MAGIC);
            assert_eq!(error == DecodeError::NotASeal, !is_ours);
        }
    }
});
