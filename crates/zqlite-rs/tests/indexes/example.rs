//! The example runs.

#[path = "../../examples/search.rs"]
mod search;

#[test]
fn full_text_rectangles_addresses_and_tags_stand_in_one_sealed_database() {
    search::main().unwrap();
}
