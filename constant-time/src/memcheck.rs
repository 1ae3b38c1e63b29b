//! Valgrind's client requests.

use std::ffi::{c_int, c_void};

unsafe extern "C" {
    safe fn zqlite_on_valgrind() -> c_int;
    safe fn zqlite_count_errors() -> usize;
    fn zqlite_make_undefined(at: *mut c_void, len: usize);
    fn zqlite_make_defined(at: *mut c_void, len: usize);
    fn zqlite_get_vbits(at: *const c_void, bits: *mut c_void, len: usize) -> c_int;
}

pub fn on_valgrind() -> bool {
    zqlite_on_valgrind() != 0
}

/// How much memcheck has reported, without what is suppressed.
pub fn count_errors() -> usize {
    zqlite_count_errors()
}

pub fn make_secret(bytes: &mut [u8]) {
    // SAFETY: the range of a slice; the request changes what memcheck thinks of it, not the bytes.
    unsafe { zqlite_make_undefined(bytes.as_mut_ptr().cast(), bytes.len()) }
}

pub fn make_public(bytes: &mut [u8]) {
    // SAFETY: as above.
    unsafe { zqlite_make_defined(bytes.as_mut_ptr().cast(), bytes.len()) }
}

/// Whether no bit of it depends on a secret.
pub fn is_public(bytes: &[u8]) -> bool {
    let mut undefined = vec![0_u8; bytes.len()];
    // SAFETY: two ranges of this length, the second of them ours to write.
    let answer = unsafe {
        zqlite_get_vbits(
            bytes.as_ptr().cast(),
            undefined.as_mut_ptr().cast(),
            bytes.len(),
        )
    };
    assert_eq!(answer, 1, "memcheck does not answer");
    undefined.iter().all(|bits| *bits == 0)
}
