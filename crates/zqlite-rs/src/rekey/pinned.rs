//! Which processes hold the locks that a rekey waits for: what Linux says in /proc/locks.

use std::path::Path;

/// Where SQLite locks the shared-memory index for readers of the WAL (slots 4 to 7; slot 3 reads no frames).
const READERS_OF_THE_LOG: core::ops::RangeInclusive<u64> = 124..=127;
/// Where it locks the database file: PENDING, RESERVED and SHARED.
const LOCKS_OF_THE_FILE: core::ops::RangeInclusive<u64> = 0x4000_0000..=0x4000_01ff;

/// The ids of other processes that read the log (or, without one, that have locked the file), ascending.
pub(crate) fn by(database: &Path, log: bool) -> Vec<u32> {
    let (file, bytes) = if log {
        (crate::inspect::beside(database, "-shm"), READERS_OF_THE_LOG)
    } else {
        (database.to_owned(), LOCKS_OF_THE_FILE)
    };
    let Some(inode) = inode(&file) else {
        return Vec::new();
    };
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let own = std::process::id();
    let holders = locks.lines().filter_map(|line| holder(line, inode, &bytes));
    let mut holders: Vec<_> = holders.filter(|holder| *holder != own).collect();
    holders.sort_unstable();
    holders.dedup();
    holders
}

/// `N: POSIX ADVISORY READ|WRITE PID MAJOR:MINOR:INODE FIRST LAST|EOF`; a line with `->` waits for the lock of that number.
fn holder(line: &str, inode: u64, bytes: &core::ops::RangeInclusive<u64>) -> Option<u32> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    if fields.next()? != "POSIX" {
        return None;
    }
    let (_advisory, _kind) = (fields.next()?, fields.next()?);
    let holder = fields.next()?.parse().ok()?;
    let (_device, found) = fields.next()?.rsplit_once(':')?;
    let first: u64 = fields.next()?.parse().ok()?;
    let last = fields.next()?.parse().unwrap_or(u64::MAX);
    let meant = found.parse() == Ok(inode) && first <= *bytes.end() && last >= *bytes.start();
    meant.then_some(holder)
}

#[cfg(unix)]
fn inode(file: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    Some(std::fs::metadata(file).ok()?.ino())
}

#[cfg(not(unix))]
fn inode(_file: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_whoever_holds_a_lock_among_the_bytes() {
        let line = "3: POSIX  ADVISORY  READ 4711 fe:00:1234 124 124";
        assert_eq!(holder(line, 1234, &READERS_OF_THE_LOG), Some(4711));
        assert_eq!(holder(line, 1235, &READERS_OF_THE_LOG), None);
        assert_eq!(holder(line, 1234, &(125..=127)), None);
        let whole = "4: POSIX  ADVISORY  WRITE 5 fe:00:9 0 EOF";
        assert_eq!(holder(whole, 9, &LOCKS_OF_THE_FILE), Some(5));
        let flock = "5: FLOCK  ADVISORY  WRITE 5 fe:00:9 0 EOF";
        assert_eq!(holder(flock, 9, &LOCKS_OF_THE_FILE), None);
        let waits = "4: -> POSIX  ADVISORY  WRITE 6 fe:00:9 0 EOF";
        assert_eq!(holder(waits, 9, &LOCKS_OF_THE_FILE), None);
    }
}
