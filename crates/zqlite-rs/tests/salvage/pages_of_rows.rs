//! Which pages each row needs, by SQLite's own account of the undamaged file (the virtual table `dbstat`).

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

/// One page of a B-tree.
struct Node {
    page: u32,
    is_leaf: bool,
    cells: usize,
}

/// The B-tree of a table, and of what SQLite puts into one cell.
pub(crate) struct Tree {
    /// By their path: the indices of the children that lead there.
    nodes: BTreeMap<Vec<usize>, Node>,
    /// Overflow pages, by node and cell.
    overflow: BTreeMap<(Vec<usize>, usize), BTreeSet<u32>>,
}

impl Tree {
    pub(crate) fn of(connection: &Connection, table: &str) -> Self {
        let mut tree = Self {
            nodes: BTreeMap::new(),
            overflow: BTreeMap::new(),
        };
        let mut statement = connection
            .prepare("SELECT path, pageno, pagetype, ncell FROM dbstat WHERE name = ?1")
            .unwrap();
        let mut rows = statement.query([table]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let path: String = row.get(0).unwrap();
            let (page, kind): (u32, String) = (row.get(1).unwrap(), row.get(2).unwrap());
            let hex = |digits: &str| usize::from_str_radix(digits, 16).unwrap();
            if kind == "overflow" {
                let (node, cell) = path.rsplit_once('/').unwrap();
                let cell = hex(cell.split_once('+').unwrap().0);
                let node: Vec<usize> = node
                    .split('/')
                    .filter(|part| !part.is_empty())
                    .map(hex)
                    .collect();
                tree.overflow.entry((node, cell)).or_default().insert(page);
            } else {
                let at = path
                    .split('/')
                    .filter(|part| !part.is_empty())
                    .map(hex)
                    .collect();
                let node = Node {
                    page,
                    is_leaf: kind == "leaf",
                    cells: usize::try_from(row.get::<_, i64>(3).unwrap()).unwrap(),
                };
                assert!(tree.nodes.insert(at, node).is_none(), "{path}");
            }
        }
        tree
    }

    /// The pages that each row needs, in the order of the rows.
    pub(crate) fn rows(&self, has_rowids: bool) -> Vec<BTreeSet<u32>> {
        let mut rows = Vec::new();
        self.collect(&mut Vec::new(), &BTreeSet::new(), has_rowids, &mut rows);
        rows
    }

    pub(crate) fn levels(&self) -> usize {
        self.nodes.keys().map(Vec::len).max().unwrap() + 1
    }

    /// All its pages, overflow pages too.
    pub(crate) fn pages(&self) -> BTreeSet<u32> {
        let overflow = self.overflow.values().flatten().copied();
        overflow
            .chain(self.nodes.values().map(|node| node.page))
            .collect()
    }

    fn collect(
        &self,
        path: &mut Vec<usize>,
        above: &BTreeSet<u32>,
        has_rowids: bool,
        rows: &mut Vec<BTreeSet<u32>>,
    ) {
        let node = &self.nodes[path.as_slice()];
        let mut here = above.clone();
        here.insert(node.page);
        // An interior page has one child more than cells.
        for cell in 0..=node.cells {
            if !node.is_leaf {
                path.push(cell);
                self.collect(path, &here, has_rowids, rows);
                path.pop();
            }
            // The cells of interior pages are rows where there are no rowids.
            if cell < node.cells && (node.is_leaf || !has_rowids) {
                let mut needs = here.clone();
                needs.extend(
                    self.overflow
                        .get(&(path.clone(), cell))
                        .into_iter()
                        .flatten(),
                );
                rows.push(needs);
            }
        }
    }
}
