//! Signals, which are the host's.

/// Starts a thread that gets no signals: the host blocks them, or waits for them, on threads that it knows.
#[cfg(unix)]
pub(crate) fn without_signals<T>(start: impl FnOnce() -> T) -> T {
    use core::mem::MaybeUninit;
    use core::ptr;

    let mut all = MaybeUninit::uninit();
    let mut before = MaybeUninit::uninit();
    // SAFETY: both are places for a set of signals; the first is filled before it is read, the second by a call that
    // succeeded. A new thread inherits the mask.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        let blocked =
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) == 0;
        let started = start();
        if blocked {
            libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut());
        }
        started
    }
}

/// There are none elsewhere.
#[cfg(not(unix))]
pub(crate) fn without_signals<T>(start: impl FnOnce() -> T) -> T {
    start()
}
