//! Memory for many pages.

use core::mem::MaybeUninit;

/// Asks the system for large pages of memory (2 MiB) where it can give them: it then hands memory out, and the processor
/// finds it, in few steps. Nothing depends on the answer.
#[cfg(target_os = "linux")]
pub(crate) fn prefer_large_pages(memory: &mut [MaybeUninit<u8>]) {
    use core::ffi::{c_int, c_void};

    unsafe extern "C" {
        /// Linux, since 2.6.38: `man 2 madvise`.
        fn madvise(start: *mut c_void, len: usize, advice: c_int) -> c_int;
    }
    const HUGE_PAGE: c_int = 14;
    const ALIGNMENT: usize = 2 << 20;

    let skipped = memory.as_ptr().align_offset(ALIGNMENT);
    if let Some(aligned) = memory.get_mut(skipped..) {
        let len = aligned.len() / ALIGNMENT * ALIGNMENT;
        // SAFETY: memory that we have exclusively; this advice changes none of it.
        let _refused = unsafe { madvise(aligned.as_mut_ptr().cast(), len, HUGE_PAGE) };
    }
}

/// Other systems are not asked.
#[cfg(not(target_os = "linux"))]
pub(crate) fn prefer_large_pages(_memory: &mut [MaybeUninit<u8>]) {}
