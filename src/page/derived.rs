//! The derived keys that an opener keeps.

use crate::epoch::EpochKeys;
use crate::{aead, xaes};

/// How many derived keys are kept at most.
pub const OPENER_CACHE_LEN: usize = SETS * WAYS;

/// Which set a key belongs to follows from its prefix.
const SETS: usize = 256;
/// How many keys one set holds.
const WAYS: usize = 4;

/// A set-associative cache: a prefix has [`WAYS`] places, so that few keys displace each other before all places are
/// taken. A set takes memory when it gets its first key.
pub(super) struct DerivedKeys {
    sets: Vec<Vec<Derived>>,
}

struct Derived {
    epoch: u32,
    prefix: [u8; xaes::PREFIX_LEN],
    key: aead::Key,
}

impl DerivedKeys {
    pub(super) fn new() -> Self {
        Self {
            sets: (0..SETS).map(|_| Vec::new()).collect(),
        }
    }

    /// The derived key of a prefix, from the cache or made now.
    pub(super) fn get(
        &mut self,
        keys: &EpochKeys,
        prefix: &[u8; xaes::PREFIX_LEN],
    ) -> Option<&aead::Key> {
        // Prefixes are random: their first byte spreads them evenly.
        let [first, ..] = *prefix;
        let set = self.sets.get_mut(usize::from(first) % SETS)?;
        let hit = set
            .iter()
            .position(|d| d.prefix == *prefix && d.epoch == keys.epoch());
        let at = match hit {
            Some(0) => 0,
            // What is used moves forward, and the last is the one to go.
            Some(at) => {
                set.swap(at - 1, at);
                at - 1
            }
            None => {
                if set.len() == WAYS {
                    set.pop();
                }
                set.push(Derived {
                    epoch: keys.epoch(),
                    prefix: *prefix,
                    key: keys.page_key().derive(prefix),
                });
                set.len() - 1
            }
        };
        set.get(at).map(|d| &d.key)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.sets.iter().map(Vec::len).sum()
    }
}
