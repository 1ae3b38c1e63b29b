//! Sequences of header updates, by a model that knows who may open what. `fuzz/fuzz_targets/header_updates.rs` tells
//! the same stories from bytes of the fuzzer's.

use rand_core::TryRng;

use super::TestRng as Rng;
use crate as pq;

mod acts;
mod attacks;
mod model;
mod people;
mod story;

use story::{Counts, tell};

/// Bytes for a story of a dozen steps.
fn bytes(seed: u64, begin: Option<u8>) -> Vec<u8> {
    let mut bytes = vec![0; 60];
    let Ok(()) = Rng(seed).try_fill_bytes(&mut bytes);
    if let Some(begin) = begin {
        bytes[0] = begin;
    }
    // A passphrase costs more than everything else together.
    for byte in &mut bytes {
        *byte -= u8::from(*byte == 0xff);
    }
    bytes
}

fn add(counts: &mut Counts, more: Counts) {
    counts.steps += more.steps;
    counts.updates += more.updates;
    counts.refused += more.refused;
    counts.power_cuts += more.power_cuts;
    counts.forged += more.forged;
    counts.opened += more.opened;
    counts.shut += more.shut;
    counts.reopened += more.reopened;
    counts.kept_out += more.kept_out;
}

#[test]
fn after_any_updates_power_cuts_and_forgeries_the_file_opens_for_whom_the_model_says() {
    let mut counts = Counts::default();
    for seed in 0..200_u64 {
        // Mostly a few slots: a header that is full takes as long as twenty.
        let few = (!seed.is_multiple_of(30)).then(|| u8::try_from(seed % 128).unwrap());
        add(&mut counts, tell(&bytes(seed, few)));
    }
    println!("{counts:?}");
    assert!(counts.steps > 2_000, "{counts:?}");
    assert!(counts.updates > 200 && counts.refused > 200, "{counts:?}");
    assert!(counts.power_cuts > 70 && counts.forged > 100, "{counts:?}");
    assert!(counts.opened > 1_500 && counts.shut > 1_500, "{counts:?}");
    assert!(counts.reopened > 500 && counts.kept_out > 200, "{counts:?}");
}
