//! Telling a process from those that were forked from it, without a system call for each page.
//!
//! The child of a bare `clone` system call is not told: it may not use a connection, and neither may any other child
//! (<https://www.sqlite.org/howtocorrupt.html>, section 2.6); this is the second line of defence.

use core::ffi::c_int;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

static FORKS: AtomicU32 = AtomicU32::new(0);
static REGISTER: Once = Once::new();

#[cfg(unix)]
unsafe extern "C" {
    /// POSIX.1: has `child` called in every process that `fork` makes.
    fn pthread_atfork(
        prepare: Option<unsafe extern "C" fn()>,
        parent: Option<unsafe extern "C" fn()>,
        child: Option<unsafe extern "C" fn()>,
    ) -> c_int;
}

/// Runs in the child: it may do nothing but touch memory that needs no lock.
#[cfg(unix)]
unsafe extern "C" fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// A number that differs between a process and those forked from it since this was first called.
pub(crate) fn generation() -> u32 {
    #[cfg(unix)]
    REGISTER.call_once(|| {
        // SAFETY: the handler is a function that lives as long as the program, and is safe to call after fork.
        if unsafe { pthread_atfork(None, None, Some(forked)) } != 0 {
            FORKS.store(UNKNOWN, Ordering::Relaxed);
        }
    });
    match FORKS.load(Ordering::Relaxed) {
        UNKNOWN => std::process::id(),
        forks => forks,
    }
}

/// The handler could not be registered: ask the operating system each time.
const UNKNOWN: u32 = u32::MAX;
