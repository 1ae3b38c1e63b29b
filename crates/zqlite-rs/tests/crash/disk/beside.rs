//! The rekey journal, which our library writes without SQLite: it is a file of the operating system. What is done to it
//! is seen when it is synced, and when the folder is.
#![expect(unsafe_code, reason = "a C function is called here first")]

use core::ffi::c_int;
use std::fs;
use std::path::Path;

use super::{Disk, find, lock};
use crate::image::{Image, Op};

const SUFFIX: &str = "-rekey";

/// Notes which journals were created and removed since the last time.
pub(super) fn note_names(disk: &mut Disk, folder: &Path) {
    let names = fs::read_dir(folder).unwrap();
    let there = names.filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    let there: Vec<String> = there.filter(|name| name.ends_with(SUFFIX)).collect();
    let known = disk.image.names.keys();
    let known: Vec<String> = known
        .filter(|name| name.ends_with(SUFFIX))
        .cloned()
        .collect();
    for name in known.iter().filter(|name| !there.contains(name)) {
        disk.perform(Op::Delete { name: name.clone() });
    }
    for name in there.into_iter().filter(|name| !known.contains(name)) {
        let node = disk.next_node;
        disk.next_node += 1;
        disk.perform(Op::Create { name, node });
    }
}

/// Makes the journals of a folder those of an image.
pub(super) fn write_out(image: &Image, folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.to_str().unwrap().ends_with(SUFFIX) {
            fs::remove_file(path).unwrap();
        }
    }
    for (name, node) in &image.names {
        if name.ends_with(SUFFIX) {
            fs::write(folder.join(name), image.content(*node)).unwrap();
        }
    }
}

/// A journal is synced.
// SAFETY: the signature is that of POSIX; the C library has it under this name and is not called by it.
#[unsafe(no_mangle)]
extern "C" fn fdatasync(fd: c_int) -> c_int {
    let path = fs::read_link(format!("/proc/self/fd/{fd}"));
    if let Ok(path) = path
        && let Some(folder) = path.parent()
        && let Some(disk) = find(folder)
        && let Some(name) = path.file_name().and_then(|name| name.to_str())
        && name.ends_with(SUFFIX)
    {
        let mut disk = lock(&disk);
        note_names(&mut disk, folder);
        let node = disk.image.names[name];
        let bytes = fs::read(&path).unwrap();
        disk.perform(Op::Write {
            node,
            offset: 0,
            bytes,
        });
        disk.perform(Op::Sync { node });
        return 0;
    }
    // SAFETY: the system call of this name has one argument, a descriptor, whatever it is.
    let rc = unsafe { libc::syscall(libc::SYS_fdatasync, fd) };
    c_int::try_from(rc).unwrap()
}
