#![expect(clippy::unwrap_used, reason = "tests may panic")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::*;
use crate::Builder;
use crate::keys::{NewSlot, RawKey, SlotKey};
use crate::observe::Recorder;
use crate::runtime::changes::Publisher;
use crate::runtime::job::job;
use crate::runtime::options::Options;
use crate::runtime::queue::Manner;

const LONG: Duration = Duration::from_secs(600);

/// Whether the batch has ended, one way or another.
struct Ended(AtomicBool);

struct Tells<'a>(&'a Ended);

impl Drop for Tells<'_> {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::SeqCst);
    }
}

fn rhythm(callers: usize, commit: Duration) -> Rhythm {
    Rhythm {
        callers,
        commit,
        ..Rhythm::default()
    }
}

/// A writer whose last batches were like that, and a closure that it has taken. Another comes when the writer waits for
/// it. Whether the one that was taken and the other are committed when the batch has ended.
fn batch_of(rhythm: Rhythm) -> (bool, bool) {
    let dir = tempfile::tempdir().unwrap();
    let key = || RawKey::from_bytes([7; 32]);
    let builder = Builder::new(dir.path().join("a.db"))
        .raw_key(key())
        .create(vec![NewSlot {
            key: SlotKey::RawKey(key()),
            label: "test".to_owned(),
        }]);
    let options = Options::new().batch(1_024, LONG).batch_delay(LONG);
    let opener = Arc::new(builder.opener().unwrap());
    let recorder = Recorder::of_path(opener.path());
    let mut writer =
        Writer::open(&opener, &options, &recorder, Publisher::new().tracker()).unwrap();
    writer.rhythm = rhythm;
    let queue: Queue<Box<dyn Job>> = Queue::new(8);
    let (first, mut first_reply) = job(|tx| Ok(tx.execute_batch("CREATE TABLE one(id)")?), None);
    let (second, mut second_reply) = job(|tx| Ok(tx.execute_batch("CREATE TABLE two(id)")?), None);
    let manner = |serves| Manner {
        serves,
        waits: true,
    };
    let (_, serving) = queue.push(first, manner(true)).unwrap();
    assert!(serving.is_some());
    let ended = Ended(AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while queue.wanted().is_none() {
                if ended.0.load(Ordering::SeqCst) {
                    return;
                }
                thread::yield_now();
            }
            assert!(queue.push(second, manner(false)).unwrap().1.is_none());
        });
        let _tells = Tells(&ended);
        run(&writer.connection, "BEGIN IMMEDIATE").unwrap();
        writer.batch(&queue).unwrap();
    });
    assert!(writer.connection.is_autocommit());
    (
        matches!(first_reply.try_recv(), Ok(Ok(()))),
        matches!(second_reply.try_recv(), Ok(Ok(()))),
    )
}

#[test]
fn a_batch_waits_for_callers_that_are_likely_to_come() {
    assert_eq!(batch_of(rhythm(2, 2 * LONG)), (true, true));
}

#[test]
fn a_lone_caller_and_one_whose_commits_cost_nothing_wait_for_nobody() {
    assert_eq!(batch_of(rhythm(1, 2 * LONG)), (true, false));
    assert_eq!(batch_of(rhythm(2, Duration::ZERO)), (true, false));
    assert_eq!(batch_of(Rhythm::default()), (true, false));
}

#[test]
fn patience_is_half_of_a_commit_and_callers_are_forgotten_slowly() {
    let mut rhythm = Rhythm::default();
    for _ in 0..100 {
        rhythm.after(8, 24, Duration::from_millis(4));
    }
    assert_eq!(rhythm.callers, 32);
    let patience = rhythm.patience(LONG);
    assert!(
        (1_900..=2_000).contains(&patience.as_micros()),
        "{patience:?}"
    );
    assert_eq!(
        rhythm.patience(Duration::from_micros(500)),
        Duration::from_micros(500)
    );
    rhythm.after(2, 2, Duration::from_millis(4));
    assert_eq!(rhythm.callers, 24);
    rhythm.after(40, 0, Duration::from_millis(4));
    assert_eq!(rhythm.callers, 40);
    rhythm.after(1, 0, Duration::from_millis(4));
    assert_eq!(rhythm.callers, 1, "alone");
}
