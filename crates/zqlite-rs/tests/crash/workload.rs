//! What is run while the disk records: transactions whose SQL is the same in every run with the same seed.

use std::fmt::Write;

use crate::owner::Act;
use crate::rng::Rng;

/// One step of a program.
#[derive(Clone)]
pub(crate) enum Step {
    /// A transaction that leads to another state.
    Commit(String),
    /// Something that leaves all rows as they are.
    Keep(String),
    /// The connection is closed, and opened again.
    Reopen,
    /// While nobody has the database open.
    Owner(Act),
}

/// Which acknowledged transactions a power cut may not take.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promise {
    /// All.
    Acknowledged,
    /// All, but the last one if the deletion of its journal was lost: SQLite syncs the folder behind a deletion
    /// with synchronous=EXTRA only.
    UnlessJournalIsBack,
    /// All until anything was last synced: synchronous=NORMAL.
    LastSync,
}

/// A program.
pub(crate) struct Workload {
    /// For each connection that is opened.
    pub(crate) pragmas: String,
    /// How many databases: the second one is attached as `other`.
    pub(crate) files: usize,
    /// What is there before anything is recorded; nothing if the creation itself is.
    pub(crate) setup: Vec<Step>,
    pub(crate) steps: Vec<Step>,
    pub(crate) promise: Promise,
}

/// Writes SQL, and knows which rows there may be.
struct Author {
    rng: Rng,
    next: usize,
}

const TABLES: &str = "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT); CREATE INDEX i ON t(b);";

impl Author {
    fn new(seed: u64) -> Self {
        Self {
            rng: Rng::new(seed),
            next: 1,
        }
    }

    /// Text that SQL makes longer.
    fn text(&mut self, len: usize) -> String {
        format!(
            "substr(replace(hex(zeroblob({len})), '0', '{:016x}'), 1, {len})",
            self.rng.next()
        )
    }

    fn insert(&mut self, table: &str, rows: usize, len: usize) -> String {
        let mut sql = format!("INSERT INTO {table} VALUES ");
        for row in 0..rows {
            let text = self.text(len);
            let comma = if row == 0 { "" } else { "," };
            write!(sql, "{comma}({}, {text})", self.next).unwrap();
            self.next += 1;
        }
        sql + ";"
    }

    /// Changes every `nth` row.
    fn update(&mut self, table: &str, nth: usize, len: usize) -> String {
        let text = self.text(len);
        let rest = self.rng.below(nth);
        format!("UPDATE {table} SET b = a || {text} WHERE a % {nth} = {rest};")
    }

    fn delete(&mut self, table: &str, nth: usize) -> String {
        let rest = self.rng.below(nth);
        format!("DELETE FROM {table} WHERE a % {nth} = {rest};")
    }

    /// A table with rows on about `rows / 8` pages, besides its index.
    fn base(&mut self, rows: usize) -> Vec<Step> {
        vec![
            Step::Commit(format!("BEGIN; {TABLES} COMMIT;")),
            Step::Commit(self.insert("t", rows, 300)),
        ]
    }

    /// Transactions of every kind; each of them changes something.
    fn mixed(&mut self, count: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        for at in 0..count {
            let insert = self.insert("t", 1, 120);
            let rest = match at % 6 {
                0 => self.insert("t", 4, 300),
                1 => self.update("t", 11, 300),
                // Overflow pages.
                2 => self.insert("t", 1, 9_000),
                3 => self.delete("t", 9),
                4 => self.undone(),
                // Rows that grow split pages.
                _ => self.update("t", 13, 900),
            };
            steps.push(Step::Commit(format!("BEGIN; {insert} {rest} COMMIT;")));
        }
        steps
    }

    /// Changes that a savepoint takes back, between some that stay.
    fn undone(&mut self) -> String {
        format!(
            "SAVEPOINT one; {} SAVEPOINT two; {} ROLLBACK TO two; {} RELEASE one;
             SAVEPOINT three; {} ROLLBACK TO three; RELEASE three;",
            self.update("t", 7, 200),
            self.delete("t", 2),
            self.insert("t", 2, 200),
            self.update("t", 3, 500),
        )
    }

    /// The database gets pages that are free at once.
    fn growth_without_content(&mut self) -> Step {
        Step::Commit(format!(
            "BEGIN; {} CREATE TABLE x(a); INSERT INTO x VALUES (zeroblob(80000)); DROP TABLE x; COMMIT;",
            self.insert("t", 1, 20_000)
        ))
    }

    /// A transaction that is rolled back.
    fn rolled_back(&mut self) -> Step {
        Step::Keep(format!(
            "BEGIN; {} {} ROLLBACK;",
            self.update("t", 3, 400),
            self.delete("t", 4)
        ))
    }
}

/// Puts a step behind every `nth` of others.
fn every(nth: usize, steps: Vec<Step>, others: &[Step]) -> Vec<Step> {
    let mut out = Vec::new();
    let mut next = others.iter().cycle();
    for (at, step) in steps.into_iter().enumerate() {
        out.push(step);
        if at % nth == nth - 1 {
            out.extend(next.next().cloned());
        }
    }
    out
}

fn keep(sql: &str) -> Step {
    Step::Keep(sql.to_owned())
}

/// Transactions of every kind in a journal mode.
pub(crate) fn mixed(seed: u64, pragmas: &str, promise: Promise) -> Workload {
    let mut author = Author::new(seed);
    let setup = author.base(60);
    let rolled_back = author.rolled_back();
    let steps = every(4, author.mixed(12), &[rolled_back, Step::Reopen]);
    Workload {
        pragmas: pragmas.to_owned(),
        files: 1,
        setup,
        steps,
        promise,
    }
}

/// WAL with checkpoints of each kind, while the file grows, and logs that begin anew.
pub(crate) fn checkpoints(seed: u64, pragmas: &str, promise: Promise) -> Workload {
    let checkpoint = |kind: &str| keep(&format!("PRAGMA wal_checkpoint({kind})"));
    let mut workload = mixed(seed, pragmas, promise);
    let mut author = Author {
        rng: Rng::new(seed + 1),
        next: 1_000,
    };
    let mut commits = author.mixed(14);
    for at in [9, 5, 0] {
        commits.insert(at, author.growth_without_content());
    }
    workload.steps = every(
        2,
        commits,
        &[
            checkpoint("PASSIVE"),
            checkpoint("TRUNCATE"),
            checkpoint("RESTART"),
            Step::Reopen,
        ],
    );
    workload
}

/// Transactions bigger than the cache.
pub(crate) fn spilling(seed: u64, pragmas: &str, promise: Promise) -> Workload {
    let mut author = Author::new(seed);
    let setup = author.base(100);
    let mut steps = Vec::new();
    for _ in 0..2 {
        steps.push(Step::Commit(format!(
            "BEGIN; {} {} {} {} COMMIT;",
            author.update("t", 2, 320),
            author.insert("t", 20, 300),
            author.undone(),
            author.delete("t", 8),
        )));
        steps.push(author.rolled_back());
    }
    Workload {
        pragmas: format!("{pragmas} PRAGMA cache_size=5; PRAGMA cache_spill=5;"),
        files: 1,
        setup,
        steps,
        promise,
    }
}

/// Rows go away, and the file becomes shorter.
pub(crate) fn shrinking(seed: u64, pragmas: &str, kind: &str, promise: Promise) -> Workload {
    let mut author = Author::new(seed);
    let mut setup = author.base(80);
    setup.push(keep(&format!("PRAGMA auto_vacuum={kind}; VACUUM;")));
    let mut steps = Vec::new();
    for _ in 0..3 {
        steps.push(Step::Commit(author.delete("t", 3)));
        steps.push(keep("PRAGMA incremental_vacuum(3)"));
        steps.push(Step::Commit(author.insert("t", 12, 400)));
        steps.push(Step::Commit(author.update("t", 5, 1_500)));
        steps.push(keep("PRAGMA incremental_vacuum"));
    }
    Workload {
        pragmas: pragmas.to_owned(),
        files: 1,
        setup,
        steps,
        promise,
    }
}

/// The whole file is written anew, and becomes shorter.
pub(crate) fn vacuum(seed: u64, pragmas: &str, promise: Promise) -> Workload {
    let mut author = Author::new(seed);
    let setup = author.base(70);
    let steps = vec![
        Step::Commit(author.delete("t", 2)),
        keep("VACUUM"),
        Step::Commit(author.insert("t", 10, 300)),
        Step::Commit(author.delete("t", 3)),
        keep("VACUUM"),
        Step::Commit(author.update("t", 4, 300)),
    ];
    Workload {
        pragmas: pragmas.to_owned(),
        files: 1,
        setup,
        steps,
        promise,
    }
}

/// Each transaction changes two databases.
pub(crate) fn attached(seed: u64, pragmas: &str, promise: Promise) -> Workload {
    let mut author = Author::new(seed);
    let tables = TABLES.replace("TABLE t", "TABLE other.t");
    let tables = tables.replace("INDEX i", "INDEX other.i");
    let mut setup = author.base(30);
    setup.push(Step::Commit(format!("BEGIN; {tables} COMMIT;")));
    setup.push(Step::Commit(author.insert("other.t", 30, 300)));
    let mut steps = Vec::new();
    for at in 0..5 {
        let rows = 3 + 4 * (at % 2);
        steps.push(Step::Commit(format!(
            "BEGIN; {} {} {} {} COMMIT;",
            author.insert("main.t", rows, 300),
            author.update("other.t", 6, 250),
            author.update("main.t", 9, 250),
            author.insert("other.t", 2, 2_000),
        )));
        if at == 2 {
            steps.push(Step::Reopen);
        }
    }
    Workload {
        pragmas: pragmas.to_owned(),
        files: 2,
        setup,
        steps,
        promise,
    }
}

/// Keys are added and removed between transactions, and the file gets a new one.
pub(crate) fn owners(seed: u64, pragmas: &str, promise: Promise) -> Workload {
    let mut author = Author::new(seed);
    // More pages than a rekey seals in one step.
    let setup = author.base(400);
    let mut steps = author.mixed(1);
    for act in [Act::Add, Act::Remove, Act::Add, Act::Rekey] {
        steps.push(Step::Owner(act));
        steps.extend(author.mixed(1));
    }
    Workload {
        pragmas: pragmas.to_owned(),
        files: 1,
        setup,
        steps,
        promise,
    }
}

/// The file gets a new key, and hardly anything else happens.
pub(crate) fn rekey(seed: u64, pragmas: &str, promise: Promise) -> Workload {
    let mut author = Author::new(seed);
    let mut setup = author.base(400);
    setup.push(Step::Owner(Act::Add));
    let mut steps = vec![Step::Commit(author.insert("t", 1, 100))];
    steps.push(Step::Owner(Act::Rekey));
    steps.push(Step::Commit(author.insert("t", 1, 100)));
    Workload {
        pragmas: pragmas.to_owned(),
        files: 1,
        setup,
        steps,
        promise,
    }
}

/// From no file to some rows, and from one journal mode to the other.
pub(crate) fn creation(seed: u64, pragmas: &str, promise: Promise) -> Workload {
    let mut author = Author::new(seed);
    let mut steps = author.base(12);
    steps.push(keep("PRAGMA journal_mode=WAL"));
    steps.extend(author.mixed(2));
    steps.push(keep("PRAGMA journal_mode=DELETE"));
    steps.extend(author.mixed(1));
    steps.push(Step::Reopen);
    steps.extend(author.mixed(1));
    Workload {
        pragmas: pragmas.to_owned(),
        files: 1,
        setup: Vec::new(),
        steps,
        promise,
    }
}
