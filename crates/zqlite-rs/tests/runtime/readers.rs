//! The pool of readers.

use std::sync::mpsc::channel;
use std::time::Duration;

use tempfile::TempDir;
use zqlite::{Error, ErrorKind, Options};

use crate::gate::{ids, insert, open};
use crate::support::one;

const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_read_sees_one_state_whatever_is_written_meanwhile() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder.path().join("db"), Options::new());
    database.write(|tx| insert(tx, 1)).unwrap();
    let writes = database.clone();
    let seen = database.read(|c| {
        let before: i64 = one(c, "SELECT count(*) FROM t");
        writes.write(|tx| insert(tx, 2))?;
        Ok((before, one::<i64>(c, "SELECT count(*) FROM t")))
    });
    assert_eq!(seen.unwrap(), (1, 1));
    assert_eq!(ids(&database), [1, 2]);
}

#[test]
fn whoever_finds_no_reader_waits_and_gives_up_in_time() {
    let folder = TempDir::new().unwrap();
    let options = Options::new()
        .readers(0, 1)
        .wait_timeout(Duration::from_millis(50));
    let database = open(&folder.path().join("db"), options);
    let (enters, entered) = channel();
    let (leave, left) = channel::<()>();
    let holds = database.clone();
    let holder = std::thread::spawn(move || {
        holds.read(|_| {
            enters.send(()).unwrap();
            left.recv().unwrap();
            Ok(())
        })
    });
    entered.recv().unwrap();
    let error = database.read(|_| Ok(())).unwrap_err();
    assert_eq!(
        (error.kind(), error.is_retryable()),
        (ErrorKind::TimedOut, true)
    );
    let readers = database.status().readers;
    assert_eq!((readers.in_use, readers.idle, readers.max), (1, 0, 1));
    assert_eq!(database.status().running_reads.len(), 1);
    leave.send(()).unwrap();
    holder.join().unwrap().unwrap();
    database.read(|_| Ok(())).unwrap();
    let readers = database.status().readers;
    assert_eq!((readers.in_use, readers.idle), (0, 1));
    assert_eq!(database.status().running_reads, [Duration::ZERO; 0]);
}

#[test]
fn no_error_and_no_panic_leaves_a_reader_in_a_transaction_or_lost() {
    let folder = TempDir::new().unwrap();
    let database = open(
        &folder.path().join("db"),
        Options::new().readers(1, 1).health_check(true),
    );
    for _ in 0..3 {
        let error = database
            .read(|c| Ok(c.execute_batch("no SQL")?))
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.path()),
            (ErrorKind::Other, Some(database.path()))
        );
        let error = database.read(|_| -> Result<(), Error> { panic!("a bug, on purpose") });
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Panicked);
        let error = database.read(|c| {
            c.execute_batch("SAVEPOINT s")?;
            Err::<(), _>(Error::application("left inside"))
        });
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Application);
        let endless = "WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n) SELECT count(*) FROM n";
        let error = database.read_within(Duration::from_millis(30), |c| {
            Ok(c.query_row(endless, [], |row| row.get::<_, i64>(0))?)
        });
        assert_eq!(error.unwrap_err().kind(), ErrorKind::TimedOut);
        database.write(|tx| insert(tx, 1)).unwrap();
        assert_eq!(ids(&database), [1]);
        database
            .write(|tx| Ok(tx.execute_batch("DELETE FROM t")?))
            .unwrap();
    }
    assert_eq!(database.status().readers.idle, 1);
}

#[test]
fn idle_readers_are_closed_down_to_the_minimum() {
    let folder = TempDir::new().unwrap();
    let options = Options::new()
        .readers(1, 4)
        .idle_timeout(Duration::from_millis(1));
    let database = open(&folder.path().join("db"), options);
    let three = database
        .read(|_| database.read(|_| database.read(|_| Ok(database.status().readers.in_use))));
    assert_eq!(three.unwrap(), 3);
    let started = std::time::Instant::now();
    while database.status().readers.idle > 1 {
        assert!(started.elapsed() < LONG, "they stay");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(ids(&database), [0; 0]);
}

#[test]
fn a_stream_is_no_further_ahead_than_its_buffer_and_stops_when_it_is_dropped() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder.path().join("db"), Options::new().readers(0, 1));
    database
        .write(|tx| {
            for id in 0..1_000 {
                insert(tx, id)?;
            }
            Ok(())
        })
        .unwrap();
    let (sent, ahead) = channel();
    let stream = |told: Option<std::sync::mpsc::Sender<i64>>| {
        database.stream(10, move |c, rows| {
            let mut statement = c.prepare("SELECT id FROM t ORDER BY id")?;
            let mut found = statement.query([])?;
            while let Some(row) = found.next()? {
                let id: i64 = row.get(0)?;
                if let Some(told) = &told {
                    told.send(id).unwrap();
                }
                rows.send(id)?;
            }
            Ok(())
        })
    };
    let all: Result<Vec<i64>, Error> = stream(None).unwrap().into_iter().collect();
    assert_eq!(all.unwrap(), (0..1_000).collect::<Vec<_>>());
    let mut rows = stream(Some(sent)).unwrap().into_iter();
    assert_eq!(rows.next().unwrap().unwrap(), 0);
    // The twelfth waits for room: one was taken, ten lie in the buffer.
    while ahead.recv().unwrap() < 11 {}
    assert!(ahead.try_recv().is_err());
    assert_eq!(database.status().readers.in_use, 1);
    drop(rows);
    // The only reader comes back.
    assert_eq!(ids(&database).len(), 1_000);
    let failing = database
        .stream(1, |c, rows| {
            rows.send(one::<i64>(c, "SELECT 1"))?;
            Err(Error::application("the end"))
        })
        .unwrap();
    let items: Vec<_> = failing.into_iter().collect();
    assert_eq!(items.len(), 2);
    assert_eq!(
        items.last().unwrap().as_ref().unwrap_err().kind(),
        ErrorKind::Application
    );
}
