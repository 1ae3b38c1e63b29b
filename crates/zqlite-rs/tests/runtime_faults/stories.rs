//! Many callers at once, whose closures succeed, fail, panic, time out, are dropped, or have SQLite roll everything back,
//! on a disk that fails now and then: the database is what the acknowledged closures make of it, one after the other.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::task::JoinSet;
use zqlite::{AsyncDatabase, Durability, Error, ErrorKind, Options, WriteTransaction};

use crate::chain::{self, Link};
use crate::faults::{Fault, Faults, Plan, Times};
use crate::rng::Rng;

const ACTS: i64 = 6;
const TASKS: i64 = 24;
const TURNS: i64 = 2;
/// What is written after each act.
const LAST: i64 = 1_000_000;
const ENDLESS: &str = "INSERT INTO chain SELECT v, v, v, v FROM (
    WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n) SELECT v FROM n) WHERE v < 0";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Succeeds,
    Fails,
    Panics,
    ViolatesForeignKey,
    RollsEverythingBack,
    HidesThatItDid,
    TakesTooLong,
    IsDropped,
}

const DEEDS: [Deed; 32] = [
    Deed::Succeeds,
    Deed::Succeeds,
    Deed::Succeeds,
    Deed::Succeeds,
    Deed::Succeeds,
    Deed::Succeeds,
    Deed::Succeeds,
    Deed::Succeeds,
    Deed::Succeeds,
    Deed::Succeeds,
    Deed::Succeeds,
    Deed::Succeeds,
    Deed::Succeeds,
    Deed::Succeeds,
    Deed::Succeeds,
    Deed::Succeeds,
    Deed::Succeeds,
    Deed::Succeeds,
    Deed::Succeeds,
    Deed::Succeeds,
    Deed::Succeeds,
    Deed::Succeeds,
    Deed::Succeeds,
    Deed::Succeeds,
    Deed::Fails,
    Deed::Panics,
    Deed::ViolatesForeignKey,
    Deed::RollsEverythingBack,
    Deed::HidesThatItDid,
    Deed::TakesTooLong,
    Deed::IsDropped,
    Deed::IsDropped,
];

fn act(deed: Deed, id: i64, tx: &WriteTransaction<'_>) -> Result<Link, Error> {
    let link = chain::append(tx, id)?;
    match deed {
        Deed::Succeeds | Deed::IsDropped => {}
        Deed::Fails => return Err(Error::application("as planned")),
        Deed::Panics => panic!("as planned"),
        Deed::ViolatesForeignKey => {
            tx.execute("INSERT INTO child VALUES (?1)", [id])?;
        }
        Deed::RollsEverythingBack => {
            let again = "INSERT OR ROLLBACK INTO chain VALUES (?1, ?2, 0, 0)";
            tx.execute(again, (link.place, id))?;
        }
        Deed::HidesThatItDid => {
            let again = "INSERT OR ROLLBACK INTO chain VALUES (?1, ?2, 0, 0)";
            drop(tx.execute(again, (link.place, id)));
        }
        Deed::TakesTooLong => {
            tx.execute(ENDLESS, [])?;
        }
    }
    Ok(link)
}

/// What a caller learnt of his closure.
#[derive(Clone, Debug)]
enum Told {
    Committed(Link),
    Refused(ErrorKind, String),
    /// He did not wait, or nobody can know.
    Nothing,
}

type Book = Arc<Mutex<HashMap<i64, (Deed, Told)>>>;

async fn caller(database: AsyncDatabase, first: i64, seed: u64, book: Book) {
    let mut rng = Rng::new(seed);
    for id in first..first + TURNS {
        let deed = DEEDS[rng.below(DEEDS.len())];
        let closure = move |tx: &WriteTransaction<'_>| act(deed, id, tx);
        let result = match deed {
            Deed::TakesTooLong => {
                let time = Duration::from_millis(5);
                Some(database.write_within(time, closure).await)
            }
            Deed::IsDropped => {
                let time = Duration::from_micros(rng.next() % 800);
                tokio::time::timeout(time, database.write(closure))
                    .await
                    .ok()
            }
            _ => Some(database.write(closure).await),
        };
        let told = match result {
            None | Some(Err(Error::WriterFailed { .. })) => Told::Nothing,
            Some(Ok(link)) => Told::Committed(link),
            Some(Err(error)) => Told::Refused(error.kind(), format!("{error:?}")),
        };
        book.lock().unwrap().insert(id, (deed, told));
    }
}

fn options(rng: &mut Rng) -> Options {
    Options::new()
        .durability(Durability::Full)
        .queue_capacity(1 + rng.below(64))
        .batch(1 + rng.below(40), Duration::from_millis(20))
        .batch_delay(Duration::from_micros(rng.next() % 700))
        .checkpoint_pages(1 + u32::try_from(rng.below(100)).unwrap())
        .readers(0, 2)
        .busy_timeout(Duration::from_secs(20))
}

/// Strikes at some call to come.
fn strike(faults: &Faults, rng: &mut Rng) {
    let fault = [Fault::Error, Fault::Torn][rng.below(2)];
    faults.strike(Plan {
        at: 1 + rng.next() % 60,
        fault,
        times: Times::Once,
    });
}

/// Tells one story, with a disk that fails or without, and returns what the callers learnt.
fn tell(path: &Path, seed: u64, faults: Option<&Faults>) -> HashMap<i64, (Deed, Told)> {
    let mut rng = Rng::new(seed);
    let mut database = chain::create(path, options(&mut rng)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let book = Book::default();
    for act in 0..ACTS {
        if let Some(faults) = faults {
            strike(faults, &mut rng);
        }
        runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for task in 0..TASKS {
                let first = 1 + (act * TASKS + task) * TURNS;
                let book = Arc::clone(&book);
                tasks.spawn(caller(database.to_async(), first, rng.next(), book));
            }
            while let Some(done) = tasks.join_next().await {
                done.unwrap();
            }
        });
        if let Some(faults) = faults {
            faults.lift();
        }
        // Whatever failed, the writer is there, or says that it is not.
        match database.write(move |tx| chain::append(tx, LAST + act)) {
            Ok(_) => {}
            Err(Error::WriterFailed { .. }) => {
                drop(database);
                database = chain::create(path, options(&mut rng)).unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    }
    drop(runtime);
    drop(database);
    let told = book.lock().unwrap().clone();
    assert_eq!(told.len(), usize::try_from(ACTS * TASKS * TURNS).unwrap());
    told
}

/// Compares what the callers learnt with what is there. Returns how many closures were committed.
fn compare(told: &HashMap<i64, (Deed, Told)>, mut found: HashMap<i64, Link>) -> usize {
    let committed = found.len();
    found.retain(|id, _| *id < LAST);
    for (id, (deed, told)) in told {
        let link = found.remove(id);
        match told {
            Told::Committed(known) => assert_eq!(link, Some(*known), "{id}: {deed:?}"),
            Told::Refused(_, why) => assert_eq!(link, None, "{id}: {deed:?}, {why}"),
            Told::Nothing => {}
        }
        if !matches!(deed, Deed::Succeeds | Deed::IsDropped) {
            assert!(!matches!(told, Told::Committed(_)), "{id}: {deed:?}");
        }
    }
    assert!(found.is_empty(), "nobody wrote {found:?}");
    committed
}

fn count(told: &HashMap<i64, (Deed, Told)>, wanted: impl Fn(Deed, &Told) -> bool) -> usize {
    told.values()
        .filter(|(deed, told)| wanted(*deed, told))
        .count()
}

#[test]
fn the_database_is_what_the_acknowledged_closures_make_of_it() {
    let _alone = Faults::alone();
    let mut rng = Rng::new(crate::seed());
    let (mut committed, mut aborted) = (0, 0);
    let stories = crate::number("ZQLITE_STORIES", 20);
    for _ in 0..stories {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("db");
        let told = tell(&path, rng.next(), None);
        committed += compare(&told, chain::read(&path));
        aborted += count(&told, |deed, told| {
            deed == Deed::Succeeds && matches!(told, Told::Refused(ErrorKind::Aborted, _))
        });
        // Where the disk is in order, a good closure fails only by a bad one's fault.
        let wrong = count(&told, |deed, told| {
            deed == Deed::Succeeds
                && !matches!(
                    told,
                    Told::Committed(_) | Told::Refused(ErrorKind::Aborted, _)
                )
        });
        assert_eq!(wrong, 0);
    }
    println!("{stories} stories, {committed} committed, {aborted} aborted by others");
    assert!(committed > 0 && (aborted > 0 || stories < 10));
}

#[test]
fn the_same_holds_on_a_disk_that_fails_now_and_then() {
    let faults = Faults::alone();
    let mut rng = Rng::new(crate::seed());
    let (mut committed, mut struck) = (0, 0);
    let stories = crate::number("ZQLITE_STORIES", 20);
    for _ in 0..stories {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("db");
        let told = tell(&path, rng.next(), Some(&faults));
        committed += compare(&told, chain::read(&path));
        struck += count(&told, |deed, told| {
            deed == Deed::Succeeds && !matches!(told, Told::Committed(_))
        });
    }
    println!("{stories} stories, {committed} committed, {struck} not");
    assert!(committed > 0 && (struck > 0 || stories < 10));
}
