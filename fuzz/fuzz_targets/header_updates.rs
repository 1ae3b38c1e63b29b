//! Sequences of header updates, by a model that knows who may open what: it is that of the unit test
//! `header::tests::updates`, which says what the bytes mean.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zqlite_pq as pq;

#[path = "../../src/header/tests/updates/acts.rs"]
mod acts;
#[path = "../../src/header/tests/updates/attacks.rs"]
mod attacks;
mod fixture;
#[path = "../../src/header/tests/updates/model.rs"]
mod model;
#[path = "../../src/header/tests/updates/people.rs"]
mod people;
#[path = "../../src/header/tests/updates/story.rs"]
mod story;

use fixture::FixedRng as Rng;

fuzz_target!(|data: &[u8]| {
    let counts = story::tell(data);
    assert!(counts.opened + counts.shut > 0);
});
