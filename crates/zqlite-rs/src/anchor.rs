//! Anchors: what remembers, outside a file, how new its header was when it was last seen.
//!
//! An older copy of a header is authentic. Only something that the attacker cannot write can tell that a newer one was
//! seen before. An anchor protects the header, and with it who may read, and keys that were given up; how new the pages
//! are, a [seal](crate::seal()) tells.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};

use zqlite_pq::epoch::FileId;
use zqlite_pq::header::Stamp;

use crate::Error;

mod file;

pub use file::FileAnchor;

/// A header that was read and is authentic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sighting {
    /// The file's id.
    pub file_id: FileId,
    /// Generation and revision.
    pub stamp: Stamp,
    /// SHA-256 of the header copy.
    pub header_hash: [u8; 32],
    /// Both copies are durable and the same. Of a half-finished update, which a power cut may undo, nothing is
    /// remembered.
    pub settled: bool,
}

/// What an anchor says to a header.
#[derive(Debug)]
#[non_exhaustive]
pub enum AnchorVerdict {
    /// The header is the last one that was seen, or a newer one, or the first of its file.
    Current,
    /// A newer header was seen before.
    Older {
        /// Generation and revision of that one.
        seen: Stamp,
    },
    /// Another header of the same generation and revision was seen before.
    Forked,
}

/// Remembers the newest header of each file.
///
/// An anchor must live where whoever can write the database cannot write: what it says is believed.
pub trait Anchor: Debug + Send + Sync {
    /// Judges a header, and remembers it if it is settled and newer. In one step, also for other processes.
    ///
    /// # Errors
    /// If the anchor cannot be read, or does not keep what it was told: the file is not opened then.
    fn check(&self, sighting: &Sighting) -> Result<AnchorVerdict, Error>;
}

/// An anchor that lasts as long as the process: against what happens to a file while it is in use.
#[derive(Debug, Default)]
pub struct MemoryAnchor(Mutex<Seen>);

impl MemoryAnchor {
    /// An anchor that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Anchor for MemoryAnchor {
    fn check(&self, sighting: &Sighting) -> Result<AnchorVerdict, Error> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(seen.judge(sighting).0)
    }
}

/// The newest header of each file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen(BTreeMap<[u8; FileId::LEN], Entry>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    stamp: Stamp,
    header_hash: [u8; 32],
}

impl Seen {
    /// The verdict, and whether there is something new to remember.
    fn judge(&mut self, sighting: &Sighting) -> (AnchorVerdict, bool) {
        let entry = Entry {
            stamp: sighting.stamp,
            header_hash: sighting.header_hash,
        };
        let last = self.0.get(sighting.file_id.as_bytes());
        let newer = match last {
            Some(last) if sighting.stamp < last.stamp => {
                return (AnchorVerdict::Older { seen: last.stamp }, false);
            }
            Some(last) if sighting.stamp == last.stamp => {
                if sighting.settled && sighting.header_hash != last.header_hash {
                    return (AnchorVerdict::Forked, false);
                }
                false
            }
            _ => sighting.settled,
        };
        if newer {
            self.0.insert(*sighting.file_id.as_bytes(), entry);
        }
        (AnchorVerdict::Current, newer)
    }
}
