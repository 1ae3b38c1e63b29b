//! Several programs at once, and programs that die.
//!
//! `ZQLITE_KILLS` (20 if unset): kills at random moments.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, thread};

use tempfile::tempdir;
use zqlite::migrations::{Migration, Migrations};

use crate::support::{assert_clean, assert_sound, create, mode, one, open};
use crate::{counting, seen, up_to, version};

const CHILD: &str = "ZQLITE_MIGRATIONS_CHILD";

/// Starts this test binary once more, as a program that migrates this database.
fn start(task: &str, path: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "processes::a_program_that_migrates",
            "--nocapture",
        ])
        .env(CHILD, task)
        .env("ZQLITE_MIGRATIONS_PATH", path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A database that has something in it, and no version.
fn made(path: &Path, journal: &str) {
    let db = create(path);
    mode(&db, journal);
    db.execute_batch("CREATE TABLE other(a)").unwrap();
}

/// Waits until the program has said this word.
fn wait_for(child: &mut Child, word: &str) {
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let found = lines.any(|line| line.unwrap().ends_with(word));
    assert!(found, "{word}");
}

/// What the started programs do. Without a task: nothing.
#[test]
fn a_program_that_migrates() {
    let Ok(task) = env::var(CHILD) else {
        return;
    };
    let mut db = open(Path::new(&env::var_os("ZQLITE_MIGRATIONS_PATH").unwrap()));
    db.busy_timeout(Duration::from_secs(60)).unwrap();
    let stop_before = task.strip_prefix("stop before ");
    if let Some(number) = stop_before {
        stopping(30, number.parse().unwrap())
            .to_latest(&mut db)
            .unwrap();
    } else if task == "once" {
        say("ready");
        std::io::stdin().read_line(&mut String::new()).unwrap();
        counting(30).to_latest(&mut db).unwrap();
    } else {
        say("ready");
        loop {
            counting(30).to_version(&mut db, 30).unwrap();
            counting(30).to_version(&mut db, 2).unwrap();
        }
    }
}

fn say(word: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{word}").unwrap();
    out.flush().unwrap();
}

/// [`counting`], but before one of them the program says `reached` and waits.
fn stopping(count: usize, before: usize) -> Migrations {
    (1..=count)
        .map(|number| {
            let first = if number == 1 {
                "CREATE TABLE seen(number INTEGER NOT NULL)"
            } else {
                "SELECT 1"
            };
            Migration::sql(first)
                .then_hook(move |_| {
                    if number == before {
                        say("reached");
                        std::io::stdin().read_line(&mut String::new()).unwrap();
                    }
                    Ok(())
                })
                .then_sql(format!("INSERT INTO seen VALUES ({number})"))
        })
        .collect()
}

#[test]
fn of_programs_that_start_at_once_one_applies_each_migration() {
    const PROGRAMS: usize = 4;
    for journal in ["WAL", "DELETE"] {
        let folder = tempdir().unwrap();
        let path = folder.path().join("a.db");
        made(&path, journal);
        let mut programs: Vec<_> = (0..PROGRAMS).map(|_| start("once", &path)).collect();
        for program in &mut programs {
            wait_for(program, "ready");
        }
        for program in &mut programs {
            program.stdin.take().unwrap().write_all(b"\n").unwrap();
        }
        for mut program in programs {
            assert!(program.wait().unwrap().success());
        }
        let db = open(&path);
        assert_eq!((version(&db), seen(&db)), (30, up_to(30)), "{journal}");
        assert_sound(&db);
    }
}

#[test]
fn of_threads_that_start_at_once_one_applies_each_migration() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.db");
    made(&path, "WAL");
    let applied: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut db = open(&path);
                    db.busy_timeout(Duration::from_secs(60)).unwrap();
                    let done = counting(30).to_latest(&mut db).unwrap();
                    done.to - done.from
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(applied, 30);
    let db = open(&path);
    assert_eq!((version(&db), seen(&db)), (30, up_to(30)));
}

#[test]
fn a_program_that_is_killed_between_two_migrations_leaves_the_version_that_was_there() {
    let mut cases = 0;
    for journal in ["WAL", "DELETE"] {
        for before in [1, 2, 17, 30] {
            let folder = tempdir().unwrap();
            let path = folder.path().join("a.db");
            made(&path, journal);
            let mut program = start(&format!("stop before {before}"), &path);
            wait_for(&mut program, "reached");
            program.kill().unwrap();
            program.wait().unwrap();

            let mut db = open(&path);
            assert_eq!((version(&db), seen(&db)), (0, Vec::new()));
            counting(30).to_latest(&mut db).unwrap();
            assert_eq!((version(&db), seen(&db)), (30, up_to(30)));
            drop(db);
            assert_clean(&path);
            cases += 1;
        }
    }
    assert_eq!(cases, 8);
}

#[test]
fn a_program_that_is_killed_at_any_moment_leaves_a_version_and_its_schema() {
    let kills: u64 = env::var("ZQLITE_KILLS").map_or(20, |kills| kills.parse().unwrap());
    for (journal, pace) in [("WAL", 3), ("DELETE", 7)] {
        let folder = tempdir().unwrap();
        let path = folder.path().join("a.db");
        made(&path, journal);
        for kill in 0..kills {
            let mut program = start("forever", &path);
            wait_for(&mut program, "ready");
            // Any moment will do: nothing is waited for.
            thread::sleep(Duration::from_millis(kill * pace % 40));
            program.kill().unwrap();
            program.wait().unwrap();
            let db = open(&path);
            let version = version(&db);
            assert!([0, 2, 30].contains(&version), "{version}");
            assert_eq!(seen(&db), up_to(version));
            assert_eq!(one::<String>(&db, "PRAGMA integrity_check"), "ok");
        }
        assert_clean(&path);
    }
}
