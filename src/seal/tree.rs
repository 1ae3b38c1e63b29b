//! The Merkle tree over stored pages, in the shape of RFC 9162, section 2.1: a tree of n leaves is split at the largest
//! power of two below n. Leaves come one by one; what is kept meanwhile is one hash for each level.

use sha2::{Digest, Sha256};

use crate::epoch::FileId;

/// A SHA-256 value.
pub type Hash = [u8; 32];

/// Hashes of a path, at most: a tree has fewer than 2^32 leaves.
pub const MAX_PATH_LEN: usize = 32;

/// The leaf of a stored page: `SHA-256(0x00 ‖ file id ‖ u32 page number ‖ the stored page)`.
#[must_use]
pub fn leaf(file_id: &FileId, number: u32, stored: &[u8]) -> Hash {
    let mut prefix = [0; 21];
    // 0x00: a leaf is never taken for a node.
    let (id, page) = prefix[1..].split_at_mut(FileId::LEN);
    id.copy_from_slice(file_id.as_bytes());
    page.copy_from_slice(&number.to_be_bytes());
    Sha256::new_with_prefix(prefix)
        .chain_update(stored)
        .finalize()
        .into()
}

/// The node over two subtrees: `SHA-256(0x01 ‖ left ‖ right)`.
#[must_use]
pub fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new_with_prefix([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

/// A tree that grows leaf by leaf.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    leaves: u64,
    /// Roots of the complete subtrees so far, the largest first: one for each bit that is set in `leaves`.
    peaks: Vec<Hash>,
}

impl Tree {
    /// A tree without leaves.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            leaves: 0,
            peaks: Vec::new(),
        }
    }

    /// How many leaves it has.
    #[must_use]
    pub const fn leaves(&self) -> u64 {
        self.leaves
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        // Equal subtrees meet as a counter carries.
        for _ in 0..self.leaves.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node(&left, &hash);
            }
        }
        self.peaks.push(hash);
        self.leaves += 1;
    }

    /// The root; `None` without leaves.
    #[must_use]
    pub fn root(&self) -> Option<Hash> {
        let (last, rest) = self.peaks.split_last()?;
        Some(rest.iter().rfold(*last, |right, left| node(left, &right)))
    }
}

/// The path of one leaf, while the leaves come one by one.
#[derive(Clone, Debug)]
pub struct PathBuilder {
    index: u64,
    leaves: u64,
    next: u64,
    own: Option<Hash>,
    /// The subtrees beside the path, from the leaf up: first leaf, number of leaves.
    siblings: Vec<(u64, u64, Tree)>,
}

impl PathBuilder {
    /// For leaf `index`, counted from 0, of `leaves`. `None` if there is no such leaf, or there are 2^32 or more.
    #[must_use]
    pub fn new(index: u64, leaves: u64) -> Option<Self> {
        if index >= leaves || leaves > u64::from(u32::MAX) {
            return None;
        }
        let mut siblings = Vec::new();
        let (mut first, mut len) = (0, leaves);
        while len > 1 {
            let left = split(len);
            let sibling = if index < first + left {
                let right = (first + left, len - left);
                len = left;
                right
            } else {
                let whole_left = (first, left);
                first += left;
                len -= left;
                whole_left
            };
            siblings.push((sibling.0, sibling.1, Tree::new()));
        }
        siblings.reverse();
        Some(Self {
            index,
            leaves,
            next: 0,
            own: None,
            siblings,
        })
    }

    /// Takes the next leaf.
    pub fn push(&mut self, leaf: Hash) {
        let at = self.next;
        self.next += 1;
        if at == self.index {
            self.own = Some(leaf);
        }
        let holds = |(first, len, _): &&mut (u64, u64, Tree)| (*first..*first + *len).contains(&at);
        if let Some((_, _, tree)) = self.siblings.iter_mut().find(holds) {
            tree.push(leaf);
        }
    }

    /// The path, from the leaf up, and the root that it leads to. `None` until exactly all leaves were taken.
    #[must_use]
    pub fn finish(self) -> Option<(Vec<Hash>, Hash)> {
        if self.next != self.leaves {
            return None;
        }
        let path: Option<Vec<_>> = self
            .siblings
            .iter()
            .map(|(_, _, tree)| tree.root())
            .collect();
        let path = path?;
        let root = root_of(self.index, self.leaves, self.own?, &path)?;
        Some((path, root))
    }
}

/// The root that a leaf's path leads to (RFC 9162, section 2.1.3.2); `None` if the path is too long or too short.
#[must_use]
pub fn root_of(index: u64, leaves: u64, leaf: Hash, path: &[Hash]) -> Option<Hash> {
    if index >= leaves {
        return None;
    }
    let (mut at, mut last) = (index, leaves - 1);
    let mut hash = leaf;
    for sibling in path {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            hash = node(sibling, &hash);
            // Where the tree is not complete, a leaf climbs without a sibling.
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

/// The largest power of two below `len`, which is at least 2.
const fn split(len: u64) -> u64 {
    1 << (len - 1).ilog2()
}
