//! One script on a plain and on a sealed database: the same rows, errors, counts of changes and pages, and the
//! same state in the end, which verification finds whole.
//!
//! Input: steps by bytes (see `script.rs`); or, if it begins with `--`, SQL text, whose lines that begin with
//! `@` are steps: `@0` and `@1` choose the connection, `@reopen`, `@crash`, `@attach`, `@detach`.
#![no_main]

use libfuzzer_sys::fuzz_target;

mod differential;
mod store;

use differential::{script, world};
use world::World;

const STEPS_MAX: usize = 60;

fuzz_target!(|input: &[u8]| {
    let steps = match input.strip_prefix(b"--") {
        Some(text) => script::from_text(text),
        None => script::from_bytes(input),
    };
    let folder = store::Folder::new();
    let mut plain = World::new(folder.join("p"), false);
    let mut sealed = World::new(folder.join("s"), true);
    for step in steps.iter().take(STEPS_MAX) {
        let (on_plain, on_sealed) = (plain.run(step), sealed.run(step));
        if on_plain
            .iter()
            .chain(&on_sealed)
            .any(|done| done.was_stopped())
        {
            // It took too long: how far it came is a matter of chance.
            return;
        }
        assert_eq!(on_plain, on_sealed, "after {step:?} of {steps:#?}");
    }
    let (left_plain, left_sealed) = (plain.end(), sealed.end());
    assert_eq!(left_plain, left_sealed, "after {steps:#?}");
});
