//! Group commit where things go wrong: closures that fail in every way, disks that do, and kills.
//!
//! `ZQLITE_STORIES`: how many random stories are told (default 20). `ZQLITE_KILLS`: how often a writer is killed
//! (default 20). `ZQLITE_SEED`: the seed of both (default: another one in each run, printed).
#![cfg(all(unix, feature = "pq"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests may panic, and children report"
)]

#[path = "../damage"]
mod damage {
    #[expect(dead_code, reason = "other tests need more of it")]
    pub(crate) mod faults;
}
#[path = "../crash/rng.rs"]
mod rng;
#[path = "../support/support.rs"]
mod support;

use damage::faults;

mod chain;
mod disk;
mod killed;
mod stories;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Another one in each run, unless it is named.
fn seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    let seed = number("ZQLITE_SEED", now.unwrap().subsec_nanos().into());
    println!("ZQLITE_SEED={seed}");
    seed
}
