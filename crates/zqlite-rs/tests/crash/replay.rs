//! Runs a workload over a disk that records, and opens what a crash at any moment leaves of it.

use std::fs;
use std::path::Path;

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::{Batch, Connection, OpenFlags};
use tempfile::TempDir;
use zqlite::pq::page::PageSize;
use zqlite::vfs::{self, Access};

use crate::disk;
use crate::image::{Cut, Durable, Image, Op};
use crate::rng::Rng;
use crate::support::{ring, slots};
use crate::workload::{Promise, Step, Workload};

mod oracle;
mod torn;

use oracle::state;

const FILES: [&str; 2] = ["a.db", "b.db"];

/// Whether the databases are sealed, or plain SQLite's: what that survives, a sealed one must survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sealed,
    Plain,
}

/// What was checked.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) prefixes: usize,
    pub(crate) cuts: usize,
    pub(crate) in_recovery: usize,
    pub(crate) real: usize,
    pub(crate) with_torn_free_pages: usize,
    /// Of these: VACUUM failed.
    pub(crate) not_vacuumed: usize,
    /// Rekeys that were under way, and went on.
    pub(crate) rekeys_finished: usize,
    /// Images in which only the rekey journal had some page.
    pub(crate) with_pages_in_rekey_journal: usize,
}

/// A workload that was run, and everything that it did to the disk.
pub(crate) struct Replay<'a> {
    workload: &'a Workload,
    kind: Kind,
    folder: TempDir,
    base: Image,
    log: Vec<Op>,
    /// What is in the databases after each transaction.
    states: Vec<u64>,
    /// Whether the newcomer may open the database after each.
    newcomer: Vec<bool>,
    /// The step during which the power is cut; at any time if `None`.
    cut_during: Option<usize>,
    /// Whether the images that are checked may have torn pages.
    may_tear: bool,
    pub(crate) counts: Counts,
}

impl<'a> Replay<'a> {
    /// Runs the workload, and records it from behind its setup.
    pub(crate) fn record(workload: &'a Workload, kind: Kind) -> Self {
        let mut replay = Self {
            workload,
            kind,
            folder: tempfile::tempdir().unwrap(),
            base: Image::default(),
            log: Vec::new(),
            states: Vec::new(),
            newcomer: vec![false],
            cut_during: None,
            may_tear: false,
            counts: Counts::default(),
        };
        let folder = replay.folder().to_owned();
        disk::insert(&folder, Image::default());
        vfs::register().unwrap();
        for file in FILES {
            // The library asks the operating system whether there is a file.
            fs::write(folder.join(file), "").unwrap();
            replay.permit(&folder.join(file));
        }
        let model = Connection::open_in_memory().unwrap();
        if workload.files == 2 {
            model.execute_batch("ATTACH ':memory:' AS other").unwrap();
        }
        replay.run(&workload.setup, &model);
        let (mut image, _) = disk::take(&folder);
        image.forget_nameless();
        replay.base = image.clone();
        replay.states = vec![state(&model, workload.files).unwrap()];
        replay.newcomer = replay.newcomer.last().copied().into_iter().collect();
        disk::insert(&folder, image);
        replay.run(&workload.steps, &model);
        (_, replay.log) = disk::take(&folder);
        let sealed = !replay.holds_plaintext();
        assert_eq!(sealed, kind == Kind::Sealed);
        let first = replay.states[0];
        assert!(replay.states.len() > 2 && replay.states[1] != first);
        replay
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Whether anything that was written begins as SQLite's databases do.
    fn holds_plaintext(&self) -> bool {
        self.log.iter().any(
            |op| matches!(op, Op::Write { bytes, .. } if bytes.starts_with(b"SQLite format 3\0")),
        )
    }

    fn creates_database(&self) -> bool {
        self.workload.setup.is_empty()
    }

    fn permit(&self, path: &Path) {
        let access = Access::new(ring()).create(slots(), PageSize::default(), None);
        vfs::register_keys(path, access).unwrap();
    }

    fn open(&self, path: &Path) -> rusqlite::Result<Connection> {
        let vfs = match self.kind {
            Kind::Sealed => vfs::NAME,
            Kind::Plain => disk::NAME,
        };
        Connection::open_with_flags_and_vfs(path, OpenFlags::default(), vfs)
    }

    fn connect(&self) -> Connection {
        let connection = self.open(&self.folder().join(FILES[0])).unwrap();
        if self.workload.files == 2 {
            let other = self.folder().join(FILES[1]);
            connection
                .execute("ATTACH ?1 AS other", [other.to_str().unwrap()])
                .unwrap();
        }
        execute(&connection, &self.workload.pragmas);
        connection
    }

    fn run(&mut self, steps: &[Step], model: &Connection) {
        let mut connection = self.connect();
        for step in steps {
            match step {
                Step::Commit(sql) => {
                    let next = self.states.len();
                    disk::mark(self.folder(), Op::Started(next));
                    execute(&connection, sql);
                    disk::mark(self.folder(), Op::Acknowledged(next));
                    execute(model, sql);
                    self.states.push(state(model, self.workload.files).unwrap());
                    self.newcomer.extend(self.newcomer.last().copied());
                }
                Step::Keep(sql) => execute(&connection, sql),
                Step::Reopen => {
                    drop(connection);
                    connection = self.connect();
                }
                Step::Owner(act) => {
                    drop(connection);
                    let next = self.states.len();
                    disk::mark(self.folder(), Op::Started(next));
                    act.run(&self.folder().join(FILES[0]));
                    disk::mark(self.folder(), Op::Acknowledged(next));
                    self.states.push(state(model, self.workload.files).unwrap());
                    self.newcomer.push(act.lets_newcomer_in());
                    connection = self.connect();
                }
            }
        }
        let found = state(&connection, self.workload.files).unwrap();
        let expected = state(model, self.workload.files).unwrap();
        assert_eq!(found, expected);
    }

    /// Opens the files as they were after each operation; of more than `limit` moments every so many, and all in
    /// which a commit was reported.
    pub(crate) fn every_prefix(&mut self, limit: usize) {
        let log = std::mem::take(&mut self.log);
        let stride = log.len().div_ceil(limit);
        if stride > 1 {
            println!(
                "{} operations: every {stride}th prefix is opened",
                log.len()
            );
        }
        let mut image = self.base.clone();
        let mut progress = Progress::default();
        for (at, op) in log.iter().enumerate() {
            progress.advance(op);
            let changed = image.apply(op);
            if changed && at % stride == 0 || matches!(op, Op::Acknowledged(_)) {
                let mut image = image.clone();
                image.forget_nameless();
                let allowed = progress.acknowledged..=progress.started;
                let result = self.check(image, allowed);
                self.counts.prefixes += 1;
                if let Err(error) = result {
                    panic!("{error}\n{}", self.story(&log, at, &[]));
                }
            }
        }
        self.log = log;
    }

    /// Cuts the power, as [`Self::power_cuts`] does, but only on the way to the state of this number.
    pub(crate) fn power_cuts_during(
        &mut self,
        state: usize,
        images: usize,
        recoveries: usize,
        rng: &mut Rng,
    ) {
        self.cut_during = Some(state);
        self.power_cuts(images, recoveries, rng);
    }

    fn may_be_cut(&self, progress: &Progress) -> bool {
        let is_under_way =
            |state: usize| progress.acknowledged + 1 == state && progress.started == state;
        self.cut_during.is_none_or(is_under_way)
    }

    /// Cuts the power `images` times, and crashes the recovery of some of what that leaves.
    pub(crate) fn power_cuts(&mut self, images: usize, recoveries: usize, rng: &mut Rng) {
        let log = std::mem::take(&mut self.log);
        self.may_tear = true;
        let mut durable = Durable::new(self.base.clone());
        let mut progress = Progress::default();
        let at_risk = log
            .iter()
            .filter(|op| {
                durable.advance(op);
                progress.advance(op);
                durable.is_at_risk() && self.may_be_cut(&progress)
            })
            .count();
        assert_ne!(at_risk, 0);
        durable = Durable::new(self.base.clone());
        progress = Progress::default();
        for (at, op) in log.iter().enumerate() {
            durable.advance(op);
            progress.advance(op);
            if matches!(op, Op::Sync { .. }) {
                progress.synced = progress.acknowledged;
            }
            if !durable.is_at_risk() || !self.may_be_cut(&progress) {
                continue;
            }
            let chance = |count: usize, rng: &mut Rng| {
                count / at_risk + usize::from(rng.below(at_risk) < count % at_risk)
            };
            for _ in 0..chance(images, rng) {
                let Cut {
                    image,
                    journal_is_back,
                    lost,
                } = durable.cut(rng);
                let allowed = self.floor(&progress, journal_is_back)..=progress.started;
                let result = self.check(image.clone(), allowed);
                self.counts.cuts += 1;
                let result = result.and_then(|state| {
                    if rng.below(images) < recoveries {
                        self.crash_recovery(&image, state, rng)
                    } else {
                        Ok(())
                    }
                });
                if let Err(error) = result {
                    panic!("{error}\n{}", self.story(&log, at, &lost));
                }
            }
        }
        self.log = log;
    }

    /// The number of the last state that must have survived a power cut.
    fn floor(&self, progress: &Progress, journal_is_back: bool) -> usize {
        match self.workload.promise {
            Promise::Acknowledged => progress.acknowledged,
            Promise::UnlessJournalIsBack => {
                progress.acknowledged.saturating_sub(journal_is_back.into())
            }
            Promise::LastSync => progress.synced,
        }
    }

    /// Opens an image, and everything that a crash of that opening leaves: the state is always the same.
    fn crash_recovery(&mut self, image: &Image, state: usize, rng: &mut Rng) -> Result<(), String> {
        self.insert(image.clone());
        self.read(0)?;
        let (_, log) = disk::take(self.folder());
        let mut prefix = image.clone();
        let mut durable = Durable::new(image.clone());
        for (at, op) in log.iter().enumerate() {
            durable.advance(op);
            let mut images = Vec::new();
            if prefix.apply(op) {
                images.push(prefix.clone());
            }
            if durable.is_at_risk() && rng.below(4) == 0 {
                images.push(durable.cut(rng).image);
            }
            for mut image in images {
                image.forget_nameless();
                self.check(image, state..=state).map_err(|error| {
                    format!(
                        "{error}, in the recovery, after {}",
                        tail(&log[..=at]).join(", ")
                    )
                })?;
                self.counts.in_recovery += 1;
            }
        }
        Ok(())
    }

    fn story(&self, log: &[Op], at: usize, lost: &[String]) -> String {
        format!(
            "{:?}, {} files, {}\nafter operation {at}: … {:#?}\nlost: {lost:#?}",
            self.kind,
            self.workload.files,
            self.workload.pragmas,
            tail(&log[..=at]),
        )
    }
}

/// Runs every statement to its end: `execute_batch` stops at the first row.
fn execute(connection: &Connection, sql: &str) {
    let mut batch = Batch::new(connection, sql);
    while let Some(mut statement) = batch.next().unwrap() {
        let mut rows = statement.query([]).unwrap();
        while rows.next().unwrap().is_some() {}
    }
}

/// What the program was told so far.
#[derive(Default)]
struct Progress {
    started: usize,
    acknowledged: usize,
    /// Acknowledged when a file was last synced.
    synced: usize,
}

impl Progress {
    const fn advance(&mut self, op: &Op) {
        match op {
            Op::Started(state) => self.started = *state,
            Op::Acknowledged(state) => self.acknowledged = *state,
            _ => {}
        }
    }
}

fn tail(log: &[Op]) -> Vec<String> {
    let from = log.len().saturating_sub(30);
    log[from..].iter().map(|op| format!("{op:?}")).collect()
}
