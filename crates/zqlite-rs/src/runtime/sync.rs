//! Locks. The model checker in `model/` puts its own in their place.

use std::time::Instant;

pub(super) use std::sync::{Condvar, Mutex, MutexGuard};

/// Nothing here is left in a state that a panic could spoil.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

pub(super) fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condvar
        .wait(guard)
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Waits, but no longer than until then. Whether the time has not come.
pub(super) fn wait_until<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    until: Instant,
) -> (MutexGuard<'a, T>, bool) {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return (guard, false);
    }
    let (guard, _result) = condvar
        .wait_timeout(guard, left)
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    (guard, Instant::now() < until)
}
