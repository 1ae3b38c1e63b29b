//! How much memory the kept pages of all connections of a process take together.
//!
//! Each connection may keep some pages whatever the others do. More are kept as long as memory is left in one budget, so
//! that a database of some hundred megabytes is opened once, and a pool of connections takes no multiple of that.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What part of the memory that the process may use is for kept pages.
const PART_OF_MEMORY: u64 = 8;
/// The budget, in bytes: at least so much, where a quarter of the memory is more than that, or nobody says how much there is.
const LEAST: u64 = 64 << 20;
/// And at most, as far as addresses reach.
const MOST: u64 = if usize::BITS < u64::BITS {
    256 << 20
} else {
    1 << 30
};

static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// What one connection has taken of the budget; given back when it is dropped.
#[derive(Default)]
pub(super) struct Share {
    bytes: usize,
}

impl Share {
    /// Takes more, if there is as much left.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        let total = total();
        let taken = TAKEN.try_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
            taken.checked_add(bytes).filter(|&sum| sum <= total)
        });
        if taken.is_ok() {
            self.bytes += bytes;
        }
        taken.is_ok()
    }

    /// Gives back what is not needed any more.
    pub(super) fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        TAKEN.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

/// The budget, read once: before any other thread can fork, for it reads files.
pub(in crate::vfs) fn total() -> usize {
    static TOTAL: OnceLock<usize> = OnceLock::new();
    *TOTAL.get_or_init(|| usize::try_from(budget(memory())).unwrap_or(usize::MAX))
}

fn budget(memory: Option<u64>) -> u64 {
    memory.map_or(LEAST, |bytes| {
        (bytes / PART_OF_MEMORY).clamp(LEAST.min(bytes / 4), MOST)
    })
}

/// How many bytes of memory the process may use; `None` where nobody says so.
fn memory() -> Option<u64> {
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    let machine = machine(&read(Path::new("/proc/meminfo"))?)?;
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    limit_files(&groups)
        .iter()
        .filter_map(|file| read(file)?.trim().parse().ok())
        .chain([machine])
        .min()
}

/// `MemTotal` of `/proc/meminfo`, in bytes (`man 5 proc_meminfo`).
fn machine(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1_024)
}

/// The files that may limit the memory of a process in these control groups (`man 7 cgroups`): those of the groups, and of
/// all that they are in. In a container, where the names are those of the host, the outermost is its own.
fn limit_files(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else {
            continue;
        };
        let (root, name) = if controllers.is_empty() {
            ("/sys/fs/cgroup", "memory.max")
        } else if controllers.split(',').any(|name| name == "memory") {
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
        } else {
            continue;
        };
        let group = Path::new(group.trim_start_matches('/'));
        for group in group.ancestors() {
            files.push(Path::new(root).join(group).join(name));
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_given_back() {
        let mut first = Share::default();
        assert!(!first.grow(usize::MAX), "more than there is");
        assert_eq!(first.bytes, 0);
        assert!(first.grow(1_000));
        assert!(first.grow(24));
        assert_eq!(first.bytes, 1_024);
        assert!(TAKEN.load(Ordering::Relaxed) >= 1_024);
        let all = total();
        let mut second = Share::default();
        assert!(!second.grow(all), "some is taken");
        first.shrink(1_000);
        assert_eq!(first.bytes, 24);
        first.shrink(usize::MAX);
        assert_eq!(first.bytes, 0, "no more than it has");
    }

    #[test]
    fn the_budget_is_a_part_of_the_memory_within_bounds() {
        assert_eq!(budget(None), LEAST);
        assert_eq!(budget(Some(0)), 0);
        assert_eq!(budget(Some(64 << 20)), 16 << 20);
        assert_eq!(budget(Some(300 << 20)), LEAST);
        assert_eq!(budget(Some(1 << 30)), 128 << 20);
        assert_eq!(budget(Some(u64::MAX)), MOST);
        let most = usize::try_from(MOST).unwrap_or(usize::MAX);
        assert!((1..=most).contains(&total()));
    }

    #[test]
    fn the_memory_of_the_machine_is_read_in_bytes() {
        let text = "MemTotal:       24137560 kB\nMemFree:         1 kB\n";
        assert_eq!(machine(text), Some(24_137_560 * 1_024));
        for other in ["", "MemTotal: many kB", "MemTotal: 1", "MemFree: 1 kB"] {
            assert_eq!(machine(other), None, "{other}");
        }
    }

    #[test]
    fn limits_of_all_groups_around_the_process_count() {
        let files = |text| -> Vec<String> {
            limit_files(text)
                .iter()
                .map(|path| path.display().to_string())
                .collect()
        };
        assert_eq!(
            files("0::/a.slice/b.service\n"),
            [
                "/sys/fs/cgroup/a.slice/b.service/memory.max",
                "/sys/fs/cgroup/a.slice/memory.max",
                "/sys/fs/cgroup/memory.max",
            ]
        );
        assert_eq!(
            files("5:cpu,memory:/d\n4:pids:/d\n"),
            [
                "/sys/fs/cgroup/memory/d/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            ]
        );
        assert_eq!(files("nothing\n\n1:pids:/\n"), Vec::<String>::new());
    }
}
