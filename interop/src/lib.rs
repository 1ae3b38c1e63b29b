//! Other clients of Rust on sealed files: the tests are in `tests/clients`, the guide's programs run as tests of
//! this crate's documentation.

#[doc = include_str!("../../docs/guides/rust.md")]
#[cfg(doctest)]
pub struct Guide;
