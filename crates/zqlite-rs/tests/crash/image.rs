//! Files as they stand at one moment, the operations that change them, and what a power cut leaves of those.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::rng::Rng;

/// What a disk writes whole or not at all.
pub(crate) const SECTOR: usize = 512;

/// A file, whatever its name is now.
pub(crate) type Node = usize;

/// What was done to the files of one folder, or said by the program that did it.
#[derive(Clone)]
pub(crate) enum Op {
    Create {
        name: String,
        node: Node,
    },
    Delete {
        name: String,
    },
    /// Creations and deletions up to here are durable.
    SyncFolder,
    Write {
        node: Node,
        offset: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        node: Node,
        len: usize,
    },
    /// What was written to this file up to here is durable.
    Sync {
        node: Node,
    },
    /// The commit that leads to the state of this number was asked for.
    Started(usize),
    /// That commit was reported as done.
    Acknowledged(usize),
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { name, node } => write!(f, "create {name} as {node}"),
            Self::Delete { name } => write!(f, "delete {name}"),
            Self::SyncFolder => write!(f, "sync the folder"),
            Self::Write {
                node,
                offset,
                bytes,
            } => write!(f, "write {node}: {} bytes at {offset}", bytes.len()),
            Self::Truncate { node, len } => write!(f, "truncate {node} to {len}"),
            Self::Sync { node } => write!(f, "sync {node}"),
            Self::Started(state) => write!(f, "started {state}"),
            Self::Acknowledged(state) => write!(f, "acknowledged {state}"),
        }
    }
}

/// The files of a folder.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) names: BTreeMap<String, Node>,
    pub(crate) contents: BTreeMap<Node, Arc<Vec<u8>>>,
}

impl Image {
    pub(crate) fn content(&self, node: Node) -> &[u8] {
        self.contents
            .get(&node)
            .map_or(&[], |content| content.as_slice())
    }

    fn content_mut(&mut self, node: Node) -> &mut Vec<u8> {
        Arc::make_mut(self.contents.entry(node).or_default())
    }

    /// Does what the operation says. Returns whether that changed anything.
    pub(crate) fn apply(&mut self, op: &Op) -> bool {
        match op {
            Op::Create { name, node } => {
                self.names.insert(name.clone(), *node);
                self.contents.insert(*node, Arc::default());
            }
            Op::Delete { name } => {
                self.names.remove(name);
            }
            Op::Write {
                node,
                offset,
                bytes,
            } => write(self.content_mut(*node), *offset, bytes),
            Op::Truncate { node, len } => self.content_mut(*node).resize(*len, 0),
            Op::SyncFolder | Op::Sync { .. } | Op::Started(_) | Op::Acknowledged(_) => {
                return false;
            }
        }
        true
    }

    /// Files that no name leads to are gone.
    pub(crate) fn forget_nameless(&mut self) {
        let names = &self.names;
        self.contents
            .retain(|node, _| names.values().any(|named| named == node));
    }
}

fn write(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

/// What is durable of a sequence of operations, and what is not yet.
pub(crate) struct Durable {
    image: Image,
    /// Writes and truncations since the file's last sync.
    unsynced: BTreeMap<Node, Vec<Op>>,
    /// What became of a name since the folder's last sync, step by step.
    renamed: BTreeMap<String, Vec<Option<Node>>>,
}

/// What a power cut left.
pub(crate) struct Cut {
    pub(crate) image: Image,
    /// Whether a rollback journal that had been deleted is there again.
    pub(crate) journal_is_back: bool,
    /// What was lost, for whoever has to understand a failure.
    pub(crate) lost: Vec<String>,
}

impl Durable {
    pub(crate) const fn new(image: Image) -> Self {
        Self {
            image,
            unsynced: BTreeMap::new(),
            renamed: BTreeMap::new(),
        }
    }

    pub(crate) fn advance(&mut self, op: &Op) {
        match op {
            Op::Create { name, node } => {
                self.image.contents.insert(*node, Arc::default());
                self.renamed
                    .entry(name.clone())
                    .or_default()
                    .push(Some(*node));
            }
            Op::Delete { name } => self.renamed.entry(name.clone()).or_default().push(None),
            Op::SyncFolder => {
                for (name, steps) in std::mem::take(&mut self.renamed) {
                    self.name(&name, steps.last().copied().flatten());
                }
            }
            Op::Write { node, .. } | Op::Truncate { node, .. } => {
                self.unsynced.entry(*node).or_default().push(op.clone());
            }
            Op::Sync { node } => {
                for op in self.unsynced.remove(node).unwrap_or_default() {
                    self.image.apply(&op);
                }
            }
            Op::Started(_) | Op::Acknowledged(_) => {}
        }
    }

    fn name(&mut self, name: &str, node: Option<Node>) {
        set_name(&mut self.image, name, node);
    }

    /// Whether a power cut could lose anything now.
    pub(crate) fn is_at_risk(&self) -> bool {
        !self.unsynced.is_empty() || !self.renamed.is_empty()
    }

    /// Cuts the power: any part of what is not synced is lost.
    pub(crate) fn cut(&self, rng: &mut Rng) -> Cut {
        let mut cut = Cut {
            image: self.image.clone(),
            journal_is_back: false,
            lost: Vec::new(),
        };
        for (name, steps) in &self.renamed {
            // Steps of one name keep their order; those of different names do not.
            let kept = match rng.below(3) {
                0 => 0,
                1 => steps.len(),
                _ => rng.below(steps.len() + 1),
            };
            if kept < steps.len() {
                cut.lost
                    .push(format!("{name}: {kept} of {steps:?} steps kept"));
            }
            if let Some(node) = kept.checked_sub(1).and_then(|last| steps.get(last)) {
                set_name(&mut cut.image, name, *node);
            }
            cut.journal_is_back |= name.ends_with("-journal")
                && steps[kept..].contains(&None)
                && cut.image.names.contains_key(name);
        }
        for (node, ops) in &self.unsynced {
            lose_some(*node, ops, &mut cut, rng);
        }
        cut.image.forget_nameless();
        cut
    }
}

fn set_name(image: &mut Image, name: &str, node: Option<Node>) {
    match node {
        Some(node) => image.names.insert(name.to_owned(), node),
        None => image.names.remove(name),
    };
}

/// What happens to one operation on the way to the disk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    Lost,
    Torn,
}

/// Applies a part of the operations on one file.
fn lose_some(node: Node, ops: &[Op], cut: &mut Cut, rng: &mut Rng) {
    let some = rng.below(ops.len());
    let mut order: Vec<usize> = (0..ops.len()).collect();
    let how = rng.below(8);
    let fates: Vec<Fate> = (0..ops.len())
        .map(|at| match how {
            // All or nothing; a prefix; all but one; one alone.
            0 => Fate::Kept,
            1 => Fate::Lost,
            2 if at < some => Fate::Kept,
            2 => Fate::Lost,
            3 if at == some => Fate::Lost,
            4 if at != some => Fate::Lost,
            3 | 4 => Fate::Kept,
            // A prefix, the last of it torn; everything, but some of it torn; anything, in any order.
            5 if at == some => Fate::Torn,
            5 if at > some => Fate::Lost,
            5 => Fate::Kept,
            6 if rng.below(3) == 0 => Fate::Torn,
            6 => Fate::Kept,
            _ => [Fate::Kept, Fate::Lost, Fate::Torn][rng.below(3)],
        })
        .collect();
    if how == 7 {
        for at in (1..order.len()).rev() {
            order.swap(at, rng.below(at + 1));
        }
    }
    for at in order {
        let op = &ops[at];
        if fates[at] != Fate::Kept {
            let fate = if fates[at] == Fate::Lost {
                "lost"
            } else {
                "torn"
            };
            cut.lost.push(format!("{fate}: {op:?}"));
        }
        match (fates[at], op) {
            (Fate::Kept, op) | (Fate::Torn, op @ Op::Truncate { .. }) => {
                cut.image.apply(op);
            }
            (Fate::Lost, Op::Write { offset, bytes, .. }) => {
                // The file may have become longer all the same, with zeros or anything in the new part. In a new
                // database, which has no journal that could tell, there are zeros.
                let is_database = (cut.image.names.iter())
                    .any(|(name, named)| *named == node && name.ends_with(".db"));
                let content = cut.image.content_mut(node);
                let rest = if is_database && content.is_empty() {
                    0
                } else {
                    0xa5
                };
                let fill = [None, None, Some(0), Some(rest)][rng.below(4)];
                if let Some(fill) = fill
                    && content.len() < offset + bytes.len()
                {
                    cut.lost.push(format!("… but {fill:#x} is there"));
                    content.resize(*offset, 0);
                    content.resize(offset + bytes.len(), fill);
                }
            }
            (Fate::Torn, Op::Write { offset, bytes, .. }) => {
                tear(cut.image.content_mut(node), *offset, bytes, rng);
            }
            _ => {}
        }
    }
}

/// Writes only some sectors of what was to be written.
fn tear(content: &mut Vec<u8>, offset: usize, bytes: &[u8], rng: &mut Rng) {
    let mut at = offset;
    // Sometimes all but one or only one, sometimes every other.
    let odds = [2, 8, 64][rng.below(3)];
    let inverted = rng.below(2) == 0;
    while at < offset + bytes.len() {
        let end = (at / SECTOR + 1) * SECTOR;
        let end = end.min(offset + bytes.len());
        if (rng.below(odds) == 0) != inverted {
            write(content, at, &bytes[at - offset..end - offset]);
        }
        at = end;
    }
}

/// Filling bytes of a lost extension must not be mistaken for content: see `lose_some`.
#[test]
fn a_power_cut_keeps_what_is_synced_and_loses_only_what_is_not() {
    let mut rng = Rng::new(1);
    let write = |offset: usize, byte: u8| Op::Write {
        node: 1,
        offset,
        bytes: vec![byte; 2 * SECTOR],
    };
    let mut durable = Durable::new(Image::default());
    for op in [
        Op::Create {
            name: "a".to_owned(),
            node: 1,
        },
        Op::SyncFolder,
        write(0, 1),
        Op::Sync { node: 1 },
    ] {
        durable.advance(&op);
    }
    assert!(!durable.is_at_risk());
    for op in [
        write(SECTOR, 2),
        Op::Create {
            name: "a-journal".to_owned(),
            node: 2,
        },
        Op::Delete {
            name: "a-journal".to_owned(),
        },
    ] {
        durable.advance(&op);
    }
    let (mut old, mut torn, mut new, mut back) = (0, 0, 0, 0);
    for _ in 0..1_000 {
        let cut = durable.cut(&mut rng);
        let content = cut.image.content(1);
        assert_eq!(content[..SECTOR], [1; SECTOR]);
        match (content[SECTOR], content.get(2 * SECTOR)) {
            (1, None) => old += 1,
            (2, Some(2)) => new += 1,
            _ => torn += 1,
        }
        back += usize::from(cut.image.names.contains_key("a-journal"));
        assert_eq!(
            cut.journal_is_back,
            cut.image.names.contains_key("a-journal")
        );
    }
    assert!(old > 50 && torn > 50 && new > 50 && back > 50);
}
