//! Writes of which a part is missing, taken one after the other.

use super::Progress;
use super::{FILES, Replay};
use crate::image::{Node, Op, SECTOR};

/// Both header copies.
const HEADER_LEN: usize = 131_072;

impl Replay<'_> {
    /// Each write to a header copy is torn: one sector of it is missing, or only one is there.
    pub(crate) fn torn_headers(&mut self) -> usize {
        let log = std::mem::take(&mut self.log);
        let database = self.node_of_database(&log);
        let mut image = self.base.clone();
        let mut progress = Progress::default();
        let mut torn = 0;
        for (at, op) in log.iter().enumerate() {
            progress.advance(op);
            if let Op::Write {
                node,
                offset,
                bytes,
            } = op
                && *node == database
                && *offset < HEADER_LEN
            {
                // Every sector that holds a field or a slot, and some of the padding.
                let sectors = bytes.len() / SECTOR;
                for sector in (0..sectors).filter(|at| *at < 16 || at % 9 == 0 || at + 1 == sectors)
                {
                    let (start, end) = (sector * SECTOR, (sector + 1) * SECTOR);
                    let part = |from: usize, to: usize| Op::Write {
                        node: *node,
                        offset: offset + from,
                        bytes: bytes[from..to].to_vec(),
                    };
                    let missing = [part(0, start), part(end, bytes.len())];
                    for parts in [&missing[..], &[part(start, end)]] {
                        let mut image = image.clone();
                        for part in parts {
                            image.apply(part);
                        }
                        image.forget_nameless();
                        let allowed = progress.acknowledged..=progress.started;
                        if let Err(error) = self.check(image, allowed) {
                            panic!("{error}\nsector {sector}\n{}", self.story(&log, at, &[]));
                        }
                        torn += 1;
                    }
                }
            }
            image.apply(op);
        }
        self.log = log;
        torn
    }

    /// Each write to a page of the database is torn in the middle, and what comes after it is lost.
    pub(crate) fn torn_pages(&mut self) -> usize {
        let log = std::mem::take(&mut self.log);
        self.may_tear = true;
        let database = self.node_of_database(&log);
        let mut image = self.base.clone();
        let mut progress = Progress::default();
        let mut torn = 0;
        for (at, op) in log.iter().enumerate() {
            progress.advance(op);
            if let Op::Write {
                node,
                offset,
                bytes,
            } = op
                && *node == database
                && *offset >= HEADER_LEN
            {
                let mut image = image.clone();
                image.apply(&Op::Write {
                    node: *node,
                    offset: *offset,
                    bytes: bytes[..bytes.len() / 2].to_vec(),
                });
                image.forget_nameless();
                let allowed = progress.acknowledged..=progress.started;
                if let Err(error) = self.check(image, allowed) {
                    panic!("{error}\n{}", self.story(&log, at, &[]));
                }
                torn += 1;
            }
            image.apply(op);
        }
        self.log = log;
        torn
    }

    fn node_of_database(&self, log: &[Op]) -> Node {
        let created = log.iter().find_map(|op| match op {
            Op::Create { name, node } if name == FILES[0] => Some(*node),
            _ => None,
        });
        created.unwrap_or_else(|| self.base.names[FILES[0]])
    }
}
