//! A VFS below ours, and below plain SQLite too, that fails where it is told to: at the n-th call, or when a quota of
//! bytes is used up.
//!
//! It becomes SQLite's default VFS before anything is opened, so that everything in this process goes through it:
//! the library's connections, the plain side of a transfer, temporary files.

use std::sync::{Mutex, MutexGuard, PoisonError};

mod vfs;

/// What happens at the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The call does nothing, and fails.
    Error,
    /// A write leaves the sectors of its first half, and fails; other calls fail.
    Torn,
    /// A read finds half of the bytes; other calls go on.
    Short,
}

/// When it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Times {
    Once,
    FromThenOn,
}

/// Which call fails, how, and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// The number of the call, from 1.
    pub(crate) at: u64,
    pub(crate) fault: Fault,
    pub(crate) times: Times,
}

struct State {
    calls: u64,
    plan: Option<Plan>,
    /// How many more bytes the files of the process may grow by.
    quota: Option<u64>,
    /// Files are opened for reading only, and nothing is created.
    read_only: bool,
    /// What was struck, in order: method and file.
    struck: Vec<String>,
}

static STATE: Mutex<State> = Mutex::new(State {
    calls: 0,
    plan: None,
    quota: None,
    read_only: false,
    struck: Vec::new(),
});
/// One test at a time: the VFS belongs to the process.
static ALONE: Mutex<()> = Mutex::new(());
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The process's files, as long as it lives for one test alone. Nothing fails until it is told to.
pub(crate) struct Faults(#[expect(dead_code, reason = "held")] MutexGuard<'static, ()>);

impl Faults {
    pub(crate) fn alone() -> Self {
        let alone = lock(&ALONE);
        vfs::install();
        let faults = Self(alone);
        faults.lift();
        faults
    }

    /// Counts calls from 1, and strikes as planned.
    pub(crate) fn strike(&self, plan: Plan) {
        let mut state = lock(&STATE);
        state.calls = 0;
        state.struck.clear();
        state.plan = Some(plan);
    }

    /// The files may grow by so many bytes, then the disk is full.
    pub(crate) fn limit(&self, quota: u64) {
        lock(&STATE).quota = Some(quota);
        lock(&STATE).struck.clear();
    }

    /// Nothing may be created or written, as on a disk that is mounted read-only.
    pub(crate) fn read_only(&self) {
        lock(&STATE).read_only = true;
    }

    /// The cause is gone. Tells what was struck.
    pub(crate) fn lift(&self) -> Vec<String> {
        let mut state = lock(&STATE);
        state.plan = None;
        state.quota = None;
        state.read_only = false;
        core::mem::take(&mut state.struck)
    }

    /// Begins to count calls anew.
    pub(crate) fn count(&self) {
        lock(&STATE).calls = 0;
    }

    /// How many calls were made.
    pub(crate) fn calls(&self) -> u64 {
        lock(&STATE).calls
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        self.lift();
    }
}

/// The first call that was struck, for messages.
pub(crate) fn first_struck() -> Option<String> {
    lock(&STATE).struck.first().cloned()
}

/// Counts a call; what it is to do instead of its work.
fn strike(method: &str, file: &str) -> Option<Fault> {
    let mut state = lock(&STATE);
    state.calls += 1;
    let plan = state.plan?;
    let now = match plan.times {
        Times::Once => state.calls == plan.at,
        Times::FromThenOn => state.calls >= plan.at,
    };
    if now {
        state.struck.push(format!("{method} {file}"));
    }
    now.then_some(plan.fault)
}

/// As [`strike`], for a method that can only fail.
fn fails(method: &str, file: &str) -> bool {
    matches!(strike(method, file), Some(Fault::Error | Fault::Torn))
}

fn is_read_only() -> bool {
    lock(&STATE).read_only
}

/// The disk is to take a write that makes a file longer by so many bytes: how many of them fit, if not all.
fn takes(growth: u64, file: &str) -> Result<(), u64> {
    let mut state = lock(&STATE);
    let Some(left) = state.quota else {
        return Ok(());
    };
    if growth <= left {
        state.quota = Some(left - growth);
        return Ok(());
    }
    state.quota = Some(0);
    state.struck.push(format!("full {file}"));
    Err(left)
}
