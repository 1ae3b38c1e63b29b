//! What the writer has the disk sync. The VFS counts syncs for the whole process: this is the only test in it.
#![cfg(all(unix, feature = "pq"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests may panic"
)]

#[path = "runtime/gate.rs"]
mod gate;
#[path = "support/support.rs"]
mod support;

use tempfile::TempDir;
use zqlite::{Durability, Options, vfs};

use gate::{Gate, ids, insert, open, queue, until_queued};

fn syncs_of_the_log() -> u64 {
    vfs::counters().syncs.wal
}

#[test]
fn a_durable_write_is_synced_before_it_returns_once_for_all_that_waited_and_others_are_not() {
    let folder = TempDir::new().unwrap();
    for (durability, each, together) in [(Durability::Full, 1, 1), (Durability::Normal, 0, 0)] {
        let path = folder.path().join(format!("{durability:?}"));
        let database = open(&path, Options::new().durability(durability));
        // The first write into a log syncs its header, too.
        database.write(|tx| insert(tx, 1_000)).unwrap();
        for id in 1..=20 {
            let before = syncs_of_the_log();
            database.write(move |tx| insert(tx, id)).unwrap();
            assert_eq!(syncs_of_the_log() - before, each, "{durability:?}, {id}");
        }
        let before = syncs_of_the_log();
        let gate = Gate::close(&database);
        let waiting: Vec<_> = (21..=40)
            .map(|id| queue(&database, move |tx| insert(tx, id)))
            .collect();
        until_queued(&database, 20);
        gate.open().unwrap();
        for write in waiting {
            write.join().unwrap().unwrap();
        }
        assert_eq!(syncs_of_the_log() - before, together, "{durability:?}");
        assert_eq!(ids(&database).len(), 42);
    }
}
