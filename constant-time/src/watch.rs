//! Marks secrets, and counts what memcheck reports.

use std::hint::black_box;
use std::process::ExitCode;

use crate::memcheck::{self, count_errors};

/// How many cases there are: one that is lost is noticed.
const CASES: usize = 31;

/// Counts reports case by case.
pub struct Watch {
    ran: usize,
    failed: usize,
}

impl Watch {
    /// `None` if this process does not run under valgrind.
    pub fn new() -> Option<Self> {
        memcheck::on_valgrind().then_some(Self { ran: 0, failed: 0 })
    }

    /// Runs what must not be reported, and must give a value that is still secret.
    pub fn secret(&mut self, name: &str, run: impl FnOnce() -> Vec<u8>) {
        let before = count_errors();
        let value = black_box(run());
        let reports = count_errors() - before;
        let lost = memcheck::is_public(&value);
        self.note(name, reports == 0 && !lost, reports);
        if lost {
            println!("     the result does not depend on the secret: this shows nothing");
        }
    }

    /// Runs what must not be reported, and must end with this verdict.
    pub fn verdict(&mut self, name: &str, expected: bool, run: impl FnOnce() -> bool) {
        let before = count_errors();
        let right = public(run()) == expected;
        let reports = count_errors() - before;
        self.note(name, reports == 0 && right, reports);
        if !right {
            println!("     the verdict should be {expected}");
        }
    }

    /// Runs a leak, which must be reported.
    pub fn leak(&mut self, name: &str, run: impl FnOnce()) {
        let before = count_errors();
        run();
        let reports = count_errors() - before;
        self.note(name, reports > 0, reports);
    }

    fn note(&mut self, name: &str, good: bool, reports: usize) {
        let word = if good { "ok  " } else { "FAIL" };
        println!("{word} {name}: {reports} reports");
        self.ran += 1;
        self.failed += usize::from(!good);
    }

    pub fn finish(self) -> ExitCode {
        println!("{} cases, {} failed", self.ran, self.failed);
        if self.ran == CASES && self.failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

/// From here on these bytes are secret, and so is what is computed from them.
pub fn secret<const N: usize>(mut bytes: [u8; N]) -> [u8; N] {
    memcheck::make_secret(&mut bytes);
    black_box(bytes)
}

/// Whether a secret opens something is public.
pub fn public(verdict: bool) -> bool {
    let mut verdict = [u8::from(black_box(verdict))];
    memcheck::make_public(&mut verdict);
    black_box(verdict) != [0]
}
