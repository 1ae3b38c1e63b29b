//! The process that writes beside a rekey: one row a commit, with a pause, WAL, synchronous=FULL.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use zqlite::Builder;
use zqlite::pq::RawKey;

/// As a service that is used does, and not a loop that fights for the disk.
const PAUSE: Duration = Duration::from_millis(2);

static STOPPED: AtomicBool = AtomicBool::new(false);

pub(crate) fn run(path: &Path) -> Result<()> {
    let connection = Builder::new(path)
        .raw_key(RawKey::from_bytes(super::KEY))
        .open()?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.execute_batch("PRAGMA synchronous=FULL")?;
    std::thread::spawn(|| {
        let _until_it_is_closed = std::io::stdin().read_to_end(&mut Vec::new());
        STOPPED.store(true, Ordering::Relaxed);
    });
    let mut insert = connection.prepare("INSERT INTO w(b) VALUES (randomblob(400))")?;
    let mut times = Vec::new();
    while !STOPPED.load(Ordering::Relaxed) {
        let started = Instant::now();
        insert.execute([])?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
        std::thread::sleep(PAUSE);
    }
    let mut out = std::io::stdout().lock();
    for time in times {
        writeln!(out, "{time}")?;
    }
    Ok(())
}
