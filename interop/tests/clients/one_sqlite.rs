//! Three clients share one SQLite, one VFS and one file.

use std::sync::mpsc;
use std::time::Duration;

use diesel::{Connection as _, prelude::*};
use rusqlite::OpenFlags;
use sqlx::Connection as _;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection as SqlxConnection, SqliteJournalMode, SqlitePool,
};

use crate::sealed_file::{SCHEMA, SealedFile, rows};

#[test]
fn the_binary_links_one_sqlite() {
    let lock = include_str!("../../Cargo.lock");
    assert_eq!(lock.matches("name = \"libsqlite3-sys\"").count(), 1);
    assert_eq!(lock.matches("name = \"rusqlite\"").count(), 1);
    let rusqlite = rusqlite::version();
    let mut connection = SqliteConnection::establish(":memory:").unwrap();
    let diesel: String = diesel::select(diesel::dsl::sql::<diesel::sql_types::Text>(
        "sqlite_version()",
    ))
    .get_result(&mut connection)
    .unwrap();
    assert_eq!(diesel, rusqlite);
}

#[tokio::test]
async fn three_clients_work_on_one_open_file() {
    let file = SealedFile::registered();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_URI;
    let by_rusqlite = rusqlite::Connection::open_with_flags(file.uri(), flags).unwrap();
    by_rusqlite
        .pragma_update(None, "journal_mode", "WAL")
        .unwrap();
    by_rusqlite.execute_batch(SCHEMA).unwrap();
    let options = SqliteConnectOptions::new()
        .filename(file.path())
        .vfs("zqlite");
    let mut by_sqlx = SqlxConnection::connect_with(&options).await.unwrap();
    let mut by_diesel = SqliteConnection::establish(&file.uri()).unwrap();

    let mut expected = Vec::new();
    for round in 0..10 {
        by_rusqlite
            .execute("INSERT INTO note(body) VALUES ('rusqlite')", [])
            .unwrap();
        sqlx::query("INSERT INTO note(body) VALUES ('sqlx')")
            .execute(&mut by_sqlx)
            .await
            .unwrap();
        diesel::sql_query("INSERT INTO note(body) VALUES ('diesel')")
            .execute(&mut by_diesel)
            .unwrap();
        expected.extend(["rusqlite", "sqlx", "diesel"]);
        let seen: Vec<String> = sqlx::query_scalar("SELECT body FROM note ORDER BY id")
            .fetch_all(&mut by_sqlx)
            .await
            .unwrap();
        assert_eq!(seen, expected, "{round}");
        assert_eq!(rows(&by_rusqlite), expected, "{round}");
        let count: i64 = diesel::select(diesel::dsl::sql::<diesel::sql_types::BigInt>(
            "(SELECT count(*) FROM note)",
        ))
        .get_result(&mut by_diesel)
        .unwrap();
        assert_eq!(usize::try_from(count).unwrap(), expected.len());
    }
    by_sqlx.close().await.unwrap();
    assert_eq!(expected.len(), 30);
}

/// A pool of sqlx and a connection of diesel write while every page is sealed anew; each step of that waits for both to
/// have written once more.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_write_on_while_the_file_gets_a_new_key() {
    let file = SealedFile::registered();
    let options = SqliteConnectOptions::new()
        .filename(file.path())
        .vfs("zqlite")
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(Duration::from_secs(60));
    let pool = SqlitePool::connect_with(options).await.unwrap();
    sqlx::query(SCHEMA).execute(&pool).await.unwrap();
    let filler = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 6000)
        INSERT INTO note(body) SELECT hex(randomblob(1000)) FROM c";
    sqlx::query(filler).execute(&pool).await.unwrap();

    let (ask, asked) = mpsc::channel::<mpsc::Sender<()>>();
    let uri = file.uri();
    let by_diesel = std::thread::spawn(move || {
        let mut connection = SqliteConnection::establish(&uri).unwrap();
        let mut written = 0_usize;
        for done in asked {
            diesel::sql_query("INSERT INTO note(body) VALUES ('diesel')")
                .execute(&mut connection)
                .unwrap();
            written += 1;
            done.send(()).unwrap();
        }
        written
    });
    let runtime = tokio::runtime::Handle::current();
    let writers = pool.clone();
    let (file, steps, epoch) = tokio::task::spawn_blocking(move || {
        let mut steps = 0_usize;
        let epoch = file.rekey(&mut || {
            let insert = sqlx::query("INSERT INTO note(body) VALUES ('sqlx')");
            runtime.block_on(insert.execute(&writers)).unwrap();
            let (done, is_done) = mpsc::channel();
            ask.send(done).unwrap();
            is_done.recv().unwrap();
            steps += 1;
        });
        (file, steps, epoch)
    })
    .await
    .unwrap();

    assert_eq!(epoch, 2);
    assert!(steps > 3, "{steps}");
    assert_eq!(by_diesel.join().unwrap(), steps);
    let check: String = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(check, "ok");
    pool.close().await;
    let bodies = file.rows_by_rusqlite();
    assert_eq!(bodies.len(), 6_000 + 2 * steps);
    for client in ["sqlx", "diesel"] {
        let count = bodies.iter().filter(|body| *body == client).count();
        assert_eq!(count, steps, "{client}");
    }
}
