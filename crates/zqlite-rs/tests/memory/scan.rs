//! Reads all writable memory of another process.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use crate::needles::Needle;

/// A needle that was found.
#[derive(Debug)]
#[expect(dead_code, reason = "printed when a test fails")]
pub(crate) struct Hit {
    pub(crate) name: &'static str,
    /// The mapping, as /proc/PID/maps names it.
    pub(crate) mapping: String,
    pub(crate) offset: u64,
}

/// Every needle that stands in the process's readable and writable memory, wherever.
pub(crate) fn find(process: u32, needles: &[Needle]) -> Vec<Hit> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let memory = File::open(format!("/proc/{process}/mem")).unwrap();
    let mut hits = Vec::new();
    let mut read = 0;
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (start, end) = range(line);
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        memory.read_exact_at(&mut bytes, start).unwrap();
        read += bytes.len();
        for (at, name) in positions(&bytes, needles) {
            hits.push(Hit {
                name,
                mapping: line.to_owned(),
                offset: u64::try_from(at).unwrap(),
            });
        }
    }
    assert!(read > 1 << 20, "only {read} bytes of memory were read");
    hits
}

fn range(line: &str) -> (u64, u64) {
    let (range, _) = line.split_once(' ').unwrap();
    let (start, end) = range.split_once('-').unwrap();
    let number = |text| u64::from_str_radix(text, 16).unwrap();
    (number(start), number(end))
}

fn positions(bytes: &[u8], needles: &[Needle]) -> Vec<(usize, &'static str)> {
    let mut begins = [false; 256];
    for needle in needles {
        begins[usize::from(needle.bytes[0])] = true;
    }
    let mut found = Vec::new();
    for (at, _) in bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| begins[usize::from(**byte)])
    {
        for needle in needles {
            if bytes[at..].starts_with(&needle.bytes) {
                found.push((at, needle.name));
            }
        }
    }
    found
}
