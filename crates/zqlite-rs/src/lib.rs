#![doc = include_str!("../README.md")]

#[cfg(feature = "pq")]
mod anchor;
#[cfg(all(feature = "pq", feature = "rusqlite"))]
mod backup;
#[cfg(feature = "rusqlite")]
mod builder;
#[cfg(feature = "compression")]
pub mod compression;
mod error;
#[cfg(feature = "indexes")]
pub mod index;
#[cfg(all(feature = "pq", feature = "rusqlite"))]
mod inspect;
#[cfg(feature = "pq")]
pub mod key_file;
pub mod keys;
#[cfg(feature = "rusqlite")]
pub mod migrations;
#[cfg(feature = "rusqlite")]
pub mod observe;
#[cfg(all(feature = "pq", feature = "rusqlite"))]
mod owner;
#[cfg(feature = "pq")]
mod random;
#[cfg(all(feature = "pq", feature = "rusqlite"))]
mod recipients;
#[cfg(all(feature = "pq", feature = "rusqlite"))]
mod rekey;
#[cfg(all(feature = "pq", feature = "rusqlite"))]
mod restore;
#[cfg(feature = "runtime")]
mod runtime;
#[cfg(all(feature = "pq", feature = "rusqlite"))]
pub mod salvage;
#[cfg(all(feature = "pq", feature = "rusqlite"))]
mod seal;
#[cfg(all(feature = "pq", feature = "rusqlite"))]
mod target;
#[cfg(all(feature = "pq", feature = "rusqlite"))]
mod transfer;
#[cfg(all(feature = "pq", feature = "rusqlite"))]
mod verify;
#[cfg(feature = "pq")]
pub mod vfs;

#[cfg(feature = "pq")]
pub use anchor::{Anchor, AnchorVerdict, FileAnchor, MemoryAnchor, Sighting};
#[cfg(all(feature = "pq", feature = "rusqlite"))]
pub use backup::{BackedUp, BackupOptions, backup};
#[cfg(feature = "rusqlite")]
pub use builder::Builder;
pub use error::{Error, ErrorKind, Verdict};
#[cfg(all(feature = "pq", feature = "rusqlite"))]
pub use inspect::{FileInspection, inspect};
#[cfg(all(feature = "pq", feature = "rusqlite"))]
pub use owner::OwnerOptions;
#[cfg(feature = "pq")]
pub use random::os_rng;
#[cfg(all(feature = "pq", feature = "rusqlite"))]
pub use recipients::{SlotInfo, Who, add_recipient, recipients, remove_recipients};
#[cfg(all(feature = "pq", feature = "rusqlite"))]
pub use rekey::{RekeyOptions, RekeyProgress, Rekeyed, rekey};
#[cfg(all(feature = "pq", feature = "rusqlite"))]
pub use restore::{RestoreOptions, restore};
#[cfg(feature = "runtime")]
pub use runtime::{
    AsyncDatabase, CHANGES_KEPT, Change, Database, Durability, Notification, Options, READERS_MAX,
    RowSender, RowStream, Rows, Status, Subscription, WriteTransaction,
};
#[cfg(feature = "rusqlite")]
pub use rusqlite;
#[cfg(all(feature = "pq", feature = "rusqlite"))]
pub use salvage::{SalvageOptions, SalvageReport, salvage};
#[cfg(all(feature = "pq", feature = "rusqlite"))]
pub use seal::{
    SealOptions, check_proof, prove, prove_to, read_proof, read_seal, seal, seal_to, verify_seal,
};
#[cfg(all(feature = "pq", feature = "rusqlite"))]
pub use transfer::{DecryptOptions, EncryptOptions, Encrypted, Progress, decrypt, encrypt};
#[cfg(all(feature = "pq", feature = "rusqlite"))]
pub use verify::{VerifyOptions, VerifyReport, verify};
#[cfg(feature = "pq")]
pub use zqlite_pq as pq;

/// Compiles and runs the Rust of the guide.
#[cfg(all(doctest, feature = "prometheus", feature = "tracing"))]
#[doc = include_str!("../../../docs/guides/observability.md")]
struct ObservabilityGuide;

/// Compiles and runs the Rust of the guide.
#[cfg(all(doctest, feature = "runtime"))]
#[doc = include_str!("../../../docs/guides/runtime.md")]
struct RuntimeGuide;
