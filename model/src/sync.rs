//! What `runtime/sync.rs` is in the product.

use std::time::Instant;

pub(super) use loom::sync::{Condvar, Mutex, MutexGuard};

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

/// No time passes in the model: whoever waits for company gives up at once.
pub(super) fn wait_until<'a, T>(
    _condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    _until: Instant,
) -> (MutexGuard<'a, T>, bool) {
    (guard, false)
}
