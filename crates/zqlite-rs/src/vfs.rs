//! The VFS `zqlite`: SQLite's own file layer with sealed files on top (FORMAT.md).
//!
//! SQLite calls [`ffi`]; what a call means for a kind of file is in [`database`], [`wal`], [`journal`] and
//! [`temp`], which know nothing of pointers.

mod access;
mod code;
mod counters;
mod database;
mod ffi;
mod journal;
pub(crate) mod layout;
mod read_cache;
mod reseal;
mod sealed;
#[cfg_attr(
    not(feature = "rusqlite"),
    expect(dead_code, reason = "salvage is what uses it")
)]
pub(crate) mod stand_in;
mod status;
#[cfg(feature = "rusqlite")]
mod stored;
mod temp;
mod uri;
mod wal;
mod wal_state;

#[cfg(feature = "rusqlite")]
pub(crate) use access::hand_over;
pub use access::{
    Access, register as register_keys, take_last_error, unregister as unregister_keys,
};
#[cfg(feature = "rusqlite")]
pub(crate) use code::Code;
pub use counters::{Counters, PerFile, Refused, counters};
#[cfg(feature = "rusqlite")]
pub(crate) use ffi::{
    CheckpointHold, KeylessFile, PlainFile, PlainVfs, RawFile, default_vfs_name, reserve_trailer,
    with_sealed,
};
pub use ffi::{NAME, host_warning, read_key_file, register, register_over};
#[cfg(feature = "rusqlite")]
pub(crate) use reseal::{RekeyJournal, Resealed};
#[cfg(feature = "rusqlite")]
pub(crate) use sealed::{Sealed, header_error};
#[cfg(feature = "rusqlite")]
pub(crate) use stored::{hole_is_zero, read_stored, stored_copies};
pub use uri::permit_uri_keys;
