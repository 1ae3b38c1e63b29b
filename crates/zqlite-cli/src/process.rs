//! What the process does to itself: no core dumps, quiet panics, signals as a flag.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crate::output;

/// Keeps secrets in memory out of core dumps and out of panic messages.
pub(crate) fn harden() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        // Where it is forbidden, the command still works; SECURITY.md does not promise more.
        setrlimit(
            Resource::Core,
            Rlimit {
                current: Some(0),
                maximum: Some(0),
            },
        )
        .ok();
    }
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable).ok();
    // A panic's message may hold what was being worked on: only its place is printed.
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(String::new, |place| {
            format!(" at {}:{}", place.file(), place.line())
        });
        output::complain(&format!("internal error{place}; please report it"));
    }));
}

/// The signals that ask the command to stop.
static SIGNAL: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// From now on the first SIGINT or SIGTERM only sets a flag, see [`interrupted`]. The second ends the process
/// at once, whatever it waits for.
pub(crate) fn catch_signals() -> io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    // Registered twice, the first signal would count as two.
    if SIGNAL.get().is_some() {
        return Ok(());
    }
    let flag = SIGNAL.get_or_init(Arc::default);
    let is_second = Arc::new(AtomicBool::new(false));
    for (signal, value, status) in [(SIGINT, 2, 130), (SIGTERM, 15, 143)] {
        // In this order: what runs first must not see what the second sets.
        signal_hook::flag::register_conditional_shutdown(signal, status, Arc::clone(&is_second))?;
        signal_hook::flag::register(signal, Arc::clone(&is_second))?;
        signal_hook::flag::register_usize(signal, Arc::clone(flag), value)?;
    }
    Ok(())
}

/// Whether a signal arrived since [`catch_signals`].
pub(crate) fn interrupted() -> bool {
    SIGNAL
        .get()
        .is_some_and(|flag| flag.load(Ordering::Relaxed) != 0)
}

/// The number of the signal that arrived, SIGINT's if none did.
pub(crate) fn last_signal() -> u8 {
    let number = SIGNAL.get().map_or(0, |flag| flag.load(Ordering::Relaxed));
    u8::try_from(number)
        .ok()
        .filter(|number| *number != 0)
        .unwrap_or(2)
}
