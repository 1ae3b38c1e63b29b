//! The measurements of a database that is used.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread::{JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use rusqlite::limits::Limit;
use tempfile::tempdir;
use zqlite::observe::{self, Exporter, Recorder, TimedOutAt};
use zqlite::{
    Anchor, AnchorVerdict, CHANGES_KEPT, Database, Durability, Error, ErrorKind, Notification,
    Options, Sighting,
};

use crate::exposition::Exposition;
use crate::gate::{self, Gate, insert, queue};
use crate::guide::{Row, rows};
use crate::moved::level;
use crate::scrape::{anywhere, scrape};
use crate::support::{PAGE, flip, len, wal};

const NAME: &str = "used.db";
/// How long the keeper may take for a look at the pool.
const PATIENCE: Duration = Duration::from_secs(120);

/// Which series of the table have moved since the beginning. Gauges come back: each scrape counts.
struct Watch {
    exporter: Exporter,
    before: Exposition,
    rows: Vec<Row>,
    moved: BTreeSet<String>,
}

impl Watch {
    fn new() -> Self {
        let exporter = observe::serve(anywhere()).unwrap();
        let before = scrape(&exporter);
        let rows = rows()
            .into_iter()
            .filter(|row| row.labels.iter().any(|(name, _)| name == "database"))
            .collect();
        Self {
            exporter,
            before,
            rows,
            moved: BTreeSet::new(),
        }
    }

    fn look(&mut self) {
        let now = scrape(&self.exporter);
        for row in &self.rows {
            for labels in row.label_sets(NAME) {
                let then = level(&self.before, row, &labels).unwrap_or(0.0);
                if level(&now, row, &labels).is_some_and(|now| now > then) {
                    self.moved.insert(key(&row.name, &labels[1..]));
                }
            }
        }
    }

    /// Looks until these have moved.
    fn until(&mut self, series: &[&str]) {
        let began = Instant::now();
        loop {
            self.look();
            let missing = series.iter().find(|series| !self.moved.contains(**series));
            let Some(missing) = missing else {
                return;
            };
            assert!(began.elapsed() < PATIENCE, "{missing} does not move");
            std::thread::yield_now();
        }
    }

    fn missing(&self) -> Vec<String> {
        let all = self.rows.iter().flat_map(|row| {
            let sets = row.label_sets(NAME).into_iter();
            sets.map(|labels| key(&row.name, &labels[1..]))
        });
        all.filter(|series| !self.moved.contains(series)).collect()
    }
}

/// A series, without the label `database`.
fn key(name: &str, labels: &[(&str, &str)]) -> String {
    match labels {
        [(_, value)] => format!("{name} {value}"),
        _ => name.to_owned(),
    }
}

/// A read that lasts until it is let go.
pub(crate) struct LongRead(Sender<()>, JoinHandle<Result<(), Error>>);

impl LongRead {
    pub(crate) fn start(database: &Database) -> Self {
        let (go, gone) = channel::<()>();
        let (reads, began) = channel();
        let database = database.clone();
        let thread = std::thread::spawn(move || {
            database.read(|connection| {
                let count: i64 =
                    connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0))?;
                reads.send(count).unwrap();
                let _gone = gone.recv();
                Ok(())
            })
        });
        began.recv().unwrap();
        Self(go, thread)
    }

    pub(crate) fn end(self) {
        drop(self.0);
        self.1.join().unwrap().unwrap();
    }
}

#[test]
fn every_measurement_of_a_database_moves_when_it_is_used() {
    let folder = tempdir().unwrap();
    let path = folder.path().join(NAME);
    let mut watch = Watch::new();

    let options = Options::new()
        .durability(Durability::Normal)
        .queue_capacity(4)
        .readers(1, 2)
        .wait_timeout(Duration::from_millis(20))
        .idle_timeout(Duration::from_millis(1))
        .health_check(true)
        .long_read(Duration::from_millis(1))
        .busy_timeout(Duration::from_millis(200));
    let database = gate::open(&path, options.clone());
    watch.until(&["zqlite_writer_up", "zqlite_pool_connections_max"]);

    writes(&database, &mut watch);
    reads(&database, &mut watch);
    checkpoints(&database, &path, &mut watch);
    notifications(&database);
    database.close(Duration::from_secs(60)).unwrap();

    slow_open(&path, options);
    watch.look();

    // The check of a connection has nothing that it could wait for.
    assert_eq!(watch.missing(), ["zqlite_pool_timeouts_total recycle"]);
    Recorder::new(NAME).pool_timeout(TimedOutAt::Recycle);
    watch.look();
    assert_eq!(watch.missing(), Vec::<String>::new());
    assert_eq!(watch.moved.len(), 40);
}

/// Each outcome of a write.
fn writes(database: &Database, watch: &mut Watch) {
    let failed = database.write(|_| Err::<(), _>(Error::application("no")));
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Application);
    let panicked = database.write(|_| -> Result<(), Error> { panic!("on purpose") });
    assert_eq!(panicked.unwrap_err().kind(), ErrorKind::Panicked);

    // Two that wait behind another one.
    let gate = Gate::close(database);
    let (go, gone) = channel::<()>();
    let (tell, inside) = channel::<()>();
    let first = queue(database, move |tx| {
        tell.send(()).unwrap();
        let _gone = gone.recv();
        insert(tx, 1)
    });
    let second = queue(database, |tx| insert(tx, 2));
    let third = queue(database, |tx| insert(tx, 3));
    let late = database.write_within(Duration::from_millis(1), |tx| insert(tx, 4));
    assert_eq!(late.unwrap_err().kind(), ErrorKind::TimedOut);
    cancel(database);
    let fourth = queue(database, |tx| insert(tx, 4));
    let full = database.try_write(|tx| insert(tx, 5));
    assert_eq!(full.unwrap_err().kind(), ErrorKind::Exhausted);
    let gate = std::thread::spawn(move || gate.open());
    inside.recv().unwrap();
    watch.until(&["zqlite_queue_depth"]);
    drop(go);
    gate.join().unwrap().unwrap();
    for thread in [first, second, third, fourth] {
        thread.join().unwrap().unwrap();
    }

    // Room for the row of the next gate.
    let gone = database.write(|tx| Ok(tx.execute("DELETE FROM t WHERE id=0", [])?));
    assert_eq!(gone.unwrap(), 1);

    // One closure takes the transaction of all with it.
    let gate = Gate::close(database);
    let other = queue(database, |tx| insert(tx, 10));
    let culprit = queue(database, |tx| {
        tx.execute("INSERT OR ROLLBACK INTO t(id) VALUES (2)", [])?;
        Ok(())
    });
    assert_eq!(gate.open().unwrap_err().kind(), ErrorKind::Aborted);
    assert_eq!(
        other.join().unwrap().unwrap_err().kind(),
        ErrorKind::Aborted
    );
    let error = culprit.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Constraint);
    watch.look();
}

/// A future that is dropped while its closure waits.
fn cancel(database: &Database) {
    let database = database.to_async();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut write = pin!(database.write(|tx| insert(tx, 6)));
        let polled = poll_fn(|context| Poll::Ready(write.as_mut().poll(context))).await;
        assert!(polled.is_pending());
    });
}

/// The pool: used up, idle, unhealthy.
fn reads(database: &Database, watch: &mut Watch) {
    let first = LongRead::start(database);
    watch.until(&[
        "zqlite_pool_connections in_use",
        "zqlite_oldest_read_seconds",
        "zqlite_long_reads_total",
        "zqlite_database_bytes",
        "zqlite_wal_bytes",
    ]);
    let second = LongRead::start(database);
    let refused = database.read(|_| Ok(()));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::TimedOut);
    second.end();
    // The keeper looks now and then: somebody waits all the time.
    let second = LongRead::start(database);
    let seen = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !seen.load(Ordering::Relaxed) {
                drop(database.read(|_| Ok(())));
            }
        });
        watch.until(&["zqlite_pool_waiting"]);
        seen.store(true, Ordering::Relaxed);
    });
    second.end();
    first.end();
    watch.until(&[
        "zqlite_pool_connections idle",
        "zqlite_pool_closed_total idle",
    ]);

    // SQLite takes no statement as long as that of the check from this connection any more.
    database
        .read(|connection| {
            connection.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, 20)?;
            Ok(())
        })
        .unwrap();
    database.read(|_| Ok(())).unwrap();
    watch.until(&["zqlite_pool_closed_total unhealthy"]);
}

/// Each result of a checkpoint.
fn checkpoints(database: &Database, path: &Path, watch: &mut Watch) {
    let write = |id| database.write(move |tx| insert(tx, id)).unwrap();
    let pinned = |kind: &str, watch: &mut Watch| {
        let error = database.checkpoint().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exhausted);
        watch.until(&[&format!("zqlite_checkpoints_total {kind}")]);
    };
    write(100);
    database.checkpoint().unwrap();
    watch.until(&["zqlite_checkpoints_total complete"]);

    write(101);
    let reader = LongRead::start(database);
    pinned("busy", watch);
    write(102);
    pinned("partial", watch);
    assert!(watch.moved.contains("zqlite_checkpoint_pending_pages"));
    reader.end();
    database.checkpoint().unwrap();

    // A frame that does not open any more.
    write(103);
    let last = len(&wal(path)) - PAGE as u64 + 100;
    flip(&wal(path), last);
    let error = database.checkpoint().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    watch.until(&["zqlite_checkpoints_total failed"]);
    flip(&wal(path), last);
    database.checkpoint().unwrap();
}

/// An anchor that lets the writer pass, and keeps the readers, which are opened on another thread, until it is told.
#[derive(Debug)]
struct SlowAnchor {
    opener: ThreadId,
    go: Mutex<Receiver<()>>,
}

impl Anchor for SlowAnchor {
    fn check(&self, _: &Sighting) -> Result<AnchorVerdict, Error> {
        if std::thread::current().id() != self.opener {
            let _gone = self.go.lock().unwrap().recv();
        }
        Ok(AnchorVerdict::Current)
    }
}

fn slow_open(path: &Path, options: Options) {
    let (go, gone) = channel();
    let anchor = SlowAnchor {
        opener: std::thread::current().id(),
        go: Mutex::new(gone),
    };
    let builder = crate::support::builder(path).anchor(Arc::new(anchor));
    let options = options.create_timeout(Duration::from_millis(5));
    let error = Database::open(builder, options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    drop(go);
}

/// One that is told, and then more than are kept.
fn notifications(database: &Database) {
    let mut told = database.subscribe(&["t"]);
    for id in 0..=i64::try_from(CHANGES_KEPT).unwrap() + 1 {
        database.write(move |tx| insert(tx, 1_000 + id)).unwrap();
        if id == 0 {
            assert!(matches!(told.try_next(), Some(Notification::Changed(_))));
        }
    }
    assert!(matches!(told.try_next(), Some(Notification::Missed(1..))));
}
