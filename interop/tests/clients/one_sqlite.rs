//! Three clients share one SQLite, one VFS and one file.

use diesel::{Connection as _, prelude::*};
use rusqlite::OpenFlags;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection as SqlxConnection};

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
