//! Tables with indexes behind the writer of the runtime, whose guard denies most pragmas.
#![cfg(feature = "runtime")]

use std::time::Duration;

use zqlite::{Database, Options};

use crate::cidr::{assert_agrees, ids};
use crate::support::{builder, open, slots};

#[test]
fn closures_that_share_a_transaction_and_those_that_fail_keep_the_index_true() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let db = Database::open(builder(&path).create(slots()), Options::new()).unwrap();
    db.write(|tx| {
        Ok(tx.execute_batch(
            "CREATE TABLE routes(id INTEGER PRIMARY KEY, prefix TEXT UNIQUE, kind TEXT);
             CREATE VIRTUAL TABLE route_ip USING cidr(routes, prefix);
             CREATE VIRTUAL TABLE route_tags USING bitmap(routes, kind);",
        )?)
    })
    .unwrap();
    let written: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..32)
            .map(|n| {
                let db = db.clone();
                scope.spawn(move || {
                    let done = db.write(move |tx| {
                        let prefix = format!("10.{}.0.0/16", n / 2);
                        tx.execute(
                            "REPLACE INTO routes(prefix, kind) VALUES (?1, ?2)",
                            (prefix, n % 3),
                        )?;
                        // Bits after the length: of every fourth closure nothing stays.
                        let second = if n % 4 == 0 {
                            "11.0.0.1/8"
                        } else {
                            "11.0.0.0/8"
                        };
                        tx.execute("REPLACE INTO routes(prefix) VALUES (?1)", [second])?;
                        Ok(())
                    });
                    usize::from(done.is_ok())
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(written, 24);
    let found: i64 = db
        .read(|c| {
            let sql = "SELECT count(*) FROM route_ip WHERE within = '10.0.0.0/8'";
            Ok(c.query_row(sql, [], |row| row.get(0))?)
        })
        .unwrap();
    assert_eq!(found, 16);
    db.close(Duration::from_secs(10)).unwrap();
    let db = open(&path);
    assert_eq!(ids(&db, "SELECT count FROM route_tags"), [17]);
    assert_agrees(&db);
}
