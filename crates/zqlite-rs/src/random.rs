//! The operating system's generator.

use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;

/// The operating system's generator, as the key-making functions of [`crate::pq`] take it.
///
/// Drawing from it panics if the operating system has no randomness to give.
#[must_use]
pub const fn os_rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}
