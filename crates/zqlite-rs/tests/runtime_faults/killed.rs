//! A process with many callers is killed at random moments: what it acknowledged is there.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::task::JoinSet;
use zqlite::Options;

use crate::chain;
use crate::faults::Faults;
use crate::rng::Rng;
use crate::support;

const FILE: &str = "ZQLITE_TEST_RUNTIME_FILE";
const FIRST: &str = "ZQLITE_TEST_RUNTIME_FIRST";
const TASKS: i64 = 64;
/// How many closures a task may write in one life of the process.
const LIFE: i64 = 1_000_000;

/// Not a test of its own: what the child does. Without a role it does nothing.
#[test]
fn child_role() {
    let (Some(file), Ok(first)) = (std::env::var_os(FILE), std::env::var(FIRST)) else {
        return;
    };
    let first: i64 = first.parse().unwrap();
    let options = Options::new().checkpoint_pages(40);
    let database = chain::create(&PathBuf::from(file), options).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            let database = database.to_async();
            tasks.spawn(async move {
                for turn in 0..LIFE {
                    let id = first + task * LIFE + turn;
                    let link = database
                        .write(move |tx| match id % 13 {
                            0 => chain::append(tx, id)
                                .and(Err(zqlite::Error::application("as planned"))),
                            _ => chain::append(tx, id),
                        })
                        .await;
                    if link.is_ok() {
                        // In one piece: a line that the kill cuts short says nothing.
                        let line = format!("\nacknowledged {id} .\n");
                        std::io::stdout().write_all(line.as_bytes()).unwrap();
                    }
                }
            });
        }
        while tasks.join_next().await.is_some() {}
    });
}

#[test]
fn what_was_acknowledged_to_any_of_many_callers_survives_a_kill() {
    let _alone = Faults::alone();
    let mut rng = Rng::new(crate::seed());
    let kills = crate::number("ZQLITE_KILLS", 20);
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("db");
    drop(chain::create(&path, Options::new()).unwrap());
    let (mut total, mut before) = (0, 0);
    for kill in 0..kills {
        let first = 1 + i64::try_from(kill).unwrap() * TASKS * LIFE;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "killed::child_role",
                "--exact",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(FILE, &path)
            .env(FIRST, first.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut acknowledged = said.lines().map_while(Result::ok).filter_map(|line| {
            let id = line.strip_prefix("acknowledged ")?.strip_suffix(" .")?;
            id.parse::<i64>().ok()
        });
        let mut known = vec![acknowledged.next().expect("it acknowledged nothing")];
        std::thread::sleep(Duration::from_micros(rng.next() % 30_000));
        child.kill().unwrap();
        known.extend(acknowledged);
        assert_eq!(
            child.wait().unwrap().signal(),
            Some(9),
            "it ended by itself"
        );
        let found = chain::read(&path);
        for id in &known {
            assert!(found.contains_key(id), "{id} was acknowledged");
        }
        assert!(
            found.keys().all(|id| id % 13 != 0),
            "a failed closure is there"
        );
        assert!(found.len() >= before + known.len());
        total += known.len();
        before = found.len();
        if before > 20_000 {
            // The next life begins with an empty chain.
            support::open(&path)
                .execute_batch("DELETE FROM chain")
                .unwrap();
            before = 0;
        }
    }
    println!("{kills} kills, {total} closures acknowledged");
    assert!(total > usize::try_from(kills).unwrap());
    support::assert_clean(&path);
}
