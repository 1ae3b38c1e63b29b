//! Whoever changes the header or the key is killed at random moments, while two processes write.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

use super::rng::Rng;
use super::*;

const ROLE: &str = "ZQLITE_TEST_REKEY_ROLE";
const FILE: &str = "ZQLITE_TEST_REKEY_FILE";
const NUMBER: &str = "ZQLITE_TEST_REKEY_NUMBER";
const WRITERS: i64 = 2;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Not a test of its own: what a child does. Without a role it does nothing.
#[test]
fn child_role() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let path = PathBuf::from(std::env::var_os(FILE).unwrap());
    match role.as_str() {
        "write" => write_for_ever(&path, number(NUMBER).unwrap().try_into().unwrap()),
        "update" => update_for_ever(&path),
        "read" => read_until_told(&path),
        "rekey" => {
            println!("\nbegun .");
            zqlite::rekey(&path, to_rekey(), &mut |_| true).unwrap();
            println!("\ndone .");
        }
        other => panic!("no role {other}"),
    }
}

/// One row a transaction; each writer has numbers of its own.
fn write_for_ever(path: &Path, writer: i64) {
    let connection = open_with(path, COLLEAGUE).unwrap();
    connection.busy_timeout(Duration::from_secs(60)).unwrap();
    connection
        .execute_batch(
            "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=20; PRAGMA cache_size=20;",
        )
        .unwrap();
    for n in 0_i64.. {
        connection
            .execute("INSERT INTO w VALUES (?1, ?2, ?3)", (writer, n, value(n)))
            .unwrap();
        println!("\ncommitted {n} .");
    }
}

fn value(n: i64) -> String {
    format!("row {n} ").repeat(if n % 29 == 0 { 900 } else { 10 })
}

fn update_for_ever(path: &Path) {
    loop {
        zqlite::add_recipient(path, patient(), slot(LEAVER, "leaver")).unwrap();
        println!("\nadded .");
        zqlite::remove_recipients(path, patient(), &[Who::Label("leaver".to_owned())]).unwrap();
        println!("\nremoved .");
    }
}

/// Reads the log, and keeps it, until stdin is closed.
fn read_until_told(path: &Path) {
    let connection = open_with(path, COLLEAGUE).unwrap();
    connection
        .execute_batch("BEGIN; SELECT count(*) FROM t;")
        .unwrap();
    println!("\nreads .");
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

/// A rekey of so small a file takes milliseconds: a writer may sleep through several, and knows the signer only.
fn to_rekey() -> RekeyOptions {
    let mut options = RekeyOptions::new(ring_of(OWNER));
    options.patience = Duration::from_secs(60);
    options.signing_key = Some(signer());
    options
}

fn patient() -> OwnerOptions {
    let mut options = owner();
    options.signing_key = Some(signer());
    options.patience = Duration::from_secs(60);
    options
}

pub(super) struct Role {
    pub(super) child: Child,
    said: BufReader<ChildStdout>,
}

pub(super) fn start(role: &str, path: &Path, number: i64) -> Role {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "killed::child_role",
            "--exact",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(ROLE, role)
        .env(FILE, path)
        .env(NUMBER, number.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    Role { child, said }
}

impl Role {
    /// Waits until it has said this.
    pub(super) fn says(&mut self, expected: &str) {
        let mut lines = self.said.by_ref().lines().map_while(Result::ok);
        assert!(lines.any(|line| line == expected), "{expected}");
    }
}

/// A process that writes as long as this lives.
struct Writer {
    child: Child,
    acknowledged: Arc<AtomicI64>,
    listens: Option<JoinHandle<()>>,
}

impl Writer {
    fn start(path: &Path, writer: i64) -> Self {
        let Role { child, said } = start("write", path, writer);
        let acknowledged = Arc::new(AtomicI64::new(-1));
        let counter = Arc::clone(&acknowledged);
        let (first, begun) = mpsc::channel();
        let listens = std::thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                let number = line
                    .strip_prefix("committed ")
                    .and_then(|rest| rest.strip_suffix(" .")?.parse().ok());
                if let Some(number) = number {
                    counter.store(number, Ordering::SeqCst);
                    let _nobody_waits_any_more = first.send(());
                }
            }
        });
        begun
            .recv_timeout(Duration::from_secs(60))
            .expect("it does not write");
        Self {
            child,
            acknowledged,
            listens: Some(listens),
        }
    }

    fn stop(&mut self) -> i64 {
        assert!(
            self.child.try_wait().unwrap().is_none(),
            "a writer has failed"
        );
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.listens.take().unwrap().join().unwrap();
        self.acknowledged.load(Ordering::SeqCst)
    }
}

/// A database in WAL mode with two writers at work.
struct Bench {
    folder: TempDir,
    writers: Vec<Writer>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = database_of(&folder, "WAL", Some(signer()));
        let connection = open_with(&path, OWNER).unwrap();
        connection
            .execute_batch(
                "CREATE TABLE w(writer INTEGER, n INTEGER, b TEXT, PRIMARY KEY(writer, n))",
            )
            .unwrap();
        drop(connection);
        let writers = (0..WRITERS)
            .map(|writer| Writer::start(&path, writer))
            .collect();
        Self { folder, writers }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("a.db")
    }

    /// Everything that was acknowledged is there, for whoever is entitled.
    fn check(&self, key: [u8; 32]) {
        let acknowledged: Vec<i64> = self
            .writers
            .iter()
            .map(|writer| writer.acknowledged.load(Ordering::SeqCst))
            .collect();
        let connection = open_with(&self.path(), key).unwrap();
        for (writer, acknowledged) in (0_i64..).zip(acknowledged) {
            let (count, last): (i64, i64) = connection
                .query_row(
                    "SELECT count(*), max(n) FROM w WHERE writer = ?1",
                    [writer],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .unwrap();
            assert!(last >= acknowledged && count == last + 1);
        }
        assert_eq!(support::count(&connection), 3_000);
    }

    fn finish(mut self) -> i64 {
        let mut rows = 0;
        for writer in &mut self.writers {
            rows += writer.stop() + 1;
        }
        let connection = open_with(&self.path(), OWNER).unwrap();
        assert_sound(&connection);
        assert!(one::<i64>(&connection, "SELECT count(*) FROM w") >= rows);
        let mut statement = connection.prepare("SELECT n, b FROM w").unwrap();
        let found = statement
            .query_map([], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
            })
            .unwrap();
        for row in found {
            let (n, b) = row.unwrap();
            assert_eq!(b, value(n));
        }
        drop(statement);
        drop(connection);
        let report = zqlite::verify(
            &self.path(),
            zqlite::VerifyOptions::new(ring_of(OWNER)),
            &mut |_| true,
        );
        assert_eq!(report.unwrap().problems, Vec::<String>::new());
        rows
    }
}

fn kills() -> u64 {
    number("ZQLITE_KILLS").unwrap_or(15)
}

fn rng() -> Rng {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = number("ZQLITE_KILLS_SEED").unwrap_or_else(|| now.unwrap().subsec_nanos().into());
    println!("ZQLITE_KILLS_SEED={seed}");
    Rng::new(seed)
}

/// Kills a role some time after it has said something; returns the last thing that it said.
fn kill(mut role: Role, rng: &mut Rng, within_millis: usize) -> String {
    let mut said = role
        .said
        .lines()
        .map_while(Result::ok)
        .filter(|line| line.ends_with(" ."));
    let first = said.next().expect("it said nothing");
    sleep(Duration::from_millis(
        rng.below(within_millis).try_into().unwrap(),
    ));
    role.child.kill().unwrap();
    role.child.wait().unwrap();
    said.last().unwrap_or(first)
}

#[test]
fn a_header_update_that_is_killed_is_done_or_not_and_nobody_loses_anything() {
    let mut rng = rng();
    let bench = Bench::new();
    let path = bench.path();
    let is_there = |path: &Path| {
        let slots = zqlite::recipients(path, ring_of(OWNER), None).unwrap();
        slots
            .iter()
            .any(|slot| slot.label.as_deref() == Some("leaver"))
    };
    let mut outcomes = [0_u32; 2];
    for _ in 0..kills() {
        if is_there(&path) {
            zqlite::remove_recipients(&path, patient(), &[Who::Label("leaver".to_owned())])
                .unwrap();
        }
        let last = kill(start("update", &path, 0), &mut rng, 60);
        let there = is_there(&path);
        outcomes[usize::from(there)] += 1;
        // The one after what was acknowledged last may have been done, too, or may have been finished by a writer.
        assert!(["added .", "removed ."].contains(&last.as_str()), "{last}");
        let opens = open_with(&path, LEAVER);
        match opens {
            Ok(connection) => drop(connection),
            Err(error) => assert!(matches!(error, Error::NoKey { .. }), "{error}"),
        }
        bench.check(OWNER);
        bench.check(COLLEAGUE);
    }
    println!(
        "left out {}, let in {}, rows {}",
        outcomes[0],
        outcomes[1],
        bench.finish()
    );
}

#[test]
fn a_rekey_that_is_killed_goes_on_and_nobody_loses_anything() {
    let mut rng = rng();
    let bench = Bench::new();
    let path = bench.path();
    let mut finished = 0_u32;
    let mut left = None;
    for n in 0..kills() {
        // Somebody leaves now and then; what he has kept opens nothing after the next rekey that is finished.
        if left.is_none()
            && zqlite::recipients(&path, ring_of(OWNER), None)
                .unwrap()
                .len()
                == 3
        {
            left = Some(opened(&path, LEAVER));
            zqlite::remove_recipients(&path, patient(), &[Who::Label("leaver".to_owned())])
                .unwrap();
        }
        let said = kill(start("rekey", &path, 0), &mut rng, 250);
        bench.check(OWNER);
        bench.check(COLLEAGUE);
        if said == "done ." || n % 5 == 4 {
            let mut done = zqlite::rekey(&path, to_rekey(), &mut |_| true).unwrap();
            if done.continued {
                // It may have been begun before the last one left.
                done = zqlite::rekey(&path, to_rekey(), &mut |_| true).unwrap();
            }
            assert!(!done.continued);
            finished += 1;
            if let Some(kept) = left.take() {
                let copy = |offset| support::peek(&path, offset, 65_536);
                let again = zqlite::pq::header::reopen(&copy(0), &copy(65_536), &kept.epochs);
                assert!(again.is_err(), "what was kept opens the file after a rekey");
                assert!(matches!(open_with(&path, LEAVER), Err(Error::NoKey { .. })));
                zqlite::add_recipient(&path, patient(), slot(LEAVER, "leaver")).unwrap();
            }
            bench.check(OWNER);
        }
    }
    assert!(finished > 0);
    zqlite::rekey(&path, to_rekey(), &mut |_| true).unwrap();
    let epoch = opened(&path, OWNER).header.epoch();
    println!("finished {finished} times, at epoch {epoch}");
    let folder = bench.folder.path().to_owned();
    assert!(!folder.join("a.db-rekey").exists());
    println!("rows {}", bench.finish());
}
