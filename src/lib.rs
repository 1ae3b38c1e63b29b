#![doc = include_str!("../README.md")]
//!
//! # This crate
//!
//! `zqlite-pq` is the part that knows the file format: bytes in, bytes out. [`header`] makes and opens
//! headers with the keys of a [`header::Keyring`], [`page`] seals and opens pages under an epoch's keys,
//! [`text`] reads and writes keys. To work with databases, use `zqlite-rs`.
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing, clippy::exhaustive_enums)]

pub mod aead;
pub mod epoch;
mod error;
#[cfg(feature = "hazmat")]
pub mod hazmat;
pub mod header;
pub mod kdf;
pub mod label;
pub mod mask;
pub mod mldsa;
pub mod mlkem;
pub mod page;
pub mod passphrase;
pub mod seal;
mod secret;
pub mod slot;
pub mod text;
pub mod wrap;
pub mod xaes;
pub mod xwing;

pub use error::{DecodeError, KeyError, OpenError, VerifyError};
pub use mldsa::{Signature, SigningKey, VerifyingKey};
pub use secret::{EpochKey, Passphrase, RawKey, SharedSecret};
pub use xwing::{Identity, Recipient};
