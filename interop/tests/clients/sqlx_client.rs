//! sqlx: a pool of connections that name the VFS.

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};

use crate::sealed_file::{MARKER, SCHEMA, SealedFile, bytes, holds_marker};

fn options(file: &SealedFile) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file.path())
        .vfs("zqlite")
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(std::time::Duration::from_secs(60))
}

async fn pool(file: &SealedFile) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(4)
        .connect_with(options(file))
        .await
        .unwrap()
}

async fn rows(pool: &SqlitePool) -> Vec<String> {
    sqlx::query_scalar("SELECT body FROM note ORDER BY id")
        .fetch_all(pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn sqlx_creates_writes_and_reads_a_sealed_file_in_wal_mode() {
    let file = SealedFile::registered();
    let pool = pool(&file).await;
    sqlx::query(SCHEMA).execute(&pool).await.unwrap();
    sqlx::query("INSERT INTO note(body) VALUES (?)")
        .bind(MARKER)
        .execute(&pool)
        .await
        .unwrap();
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(mode, "wal");
    let (in_file, in_log) = file.assert_no_plaintext();
    assert!(in_file >= 131_072, "{in_file}");
    assert!(in_log > 4_096, "{in_log}");
    assert_eq!(rows(&pool).await, [MARKER]);
    pool.close().await;
    assert_eq!(file.rows_by_rusqlite(), [MARKER]);
}

#[tokio::test]
async fn the_same_client_without_the_vfs_leaves_plaintext() {
    let file = SealedFile::registered();
    let path = file.path().with_file_name("plain.db");
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    sqlx::query(SCHEMA).execute(&pool).await.unwrap();
    sqlx::query("INSERT INTO note(body) VALUES (?)")
        .bind(MARKER)
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
    assert!(holds_marker(&bytes(&path)));
}

#[tokio::test]
async fn a_url_names_the_vfs() {
    let file = SealedFile::registered();
    let url = format!("sqlite://{}?vfs=zqlite&mode=rwc", file.path().display());
    let pool = SqlitePool::connect(&url).await.unwrap();
    sqlx::query(SCHEMA).execute(&pool).await.unwrap();
    pool.close().await;
    assert!(bytes(&file.path()).starts_with(b"zqlite sealed"));
}

/// Tasks on several connections write and read at the same time, some of their transactions are rolled back.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_pool_of_sqlx_connections_loses_and_invents_no_row() {
    const TASKS: usize = 8;
    const ROUNDS: usize = 10;
    let file = SealedFile::registered();
    let pool = pool(&file).await;
    sqlx::query(SCHEMA).execute(&pool).await.unwrap();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let pool = pool.clone();
            tokio::spawn(async move {
                for round in 0..ROUNDS {
                    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
                    for kind in ["kept", "undone"] {
                        sqlx::query("INSERT INTO note(body) VALUES (?)")
                            .bind(format!("{kind} {task} {round}"))
                            .execute(&mut *transaction)
                            .await
                            .unwrap();
                        if kind == "kept" {
                            transaction.commit().await.unwrap();
                            transaction = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
                        }
                    }
                    transaction.rollback().await.unwrap();
                    let own: i64 =
                        sqlx::query_scalar("SELECT count(*) FROM note WHERE body GLOB ?")
                            .bind(format!("kept {task} *"))
                            .fetch_one(&pool)
                            .await
                            .unwrap();
                    assert_eq!(usize::try_from(own).unwrap(), round + 1);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(pool.size() > 1, "{}", pool.size());
    let check: String = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(check, "ok");
    pool.close().await;
    let mut rows = file.rows_by_rusqlite();
    rows.sort();
    let mut expected: Vec<_> = (0..TASKS * ROUNDS)
        .map(|n| format!("kept {} {}", n / ROUNDS, n % ROUNDS))
        .collect();
    expected.sort();
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn a_wrong_key_is_refused_by_code() {
    let file = SealedFile::registered();
    let pool = pool(&file).await;
    sqlx::query(SCHEMA).execute(&pool).await.unwrap();
    pool.close().await;
    let before = bytes(&file.path());
    SqlitePool::connect_with(options(&file))
        .await
        .unwrap()
        .close()
        .await;

    file.register_stranger();
    let error = SqlitePool::connect_with(options(&file)).await.unwrap_err();
    let database = error.as_database_error().unwrap();
    // SQLITE_AUTH
    assert_eq!(database.code().as_deref(), Some("23"), "{database}");
    assert_eq!(bytes(&file.path()), before);

    zqlite::vfs::unregister_keys(&file.path());
    let error = SqlitePool::connect_with(options(&file)).await.unwrap_err();
    let database = error.as_database_error().unwrap();
    assert_eq!(database.code().as_deref(), Some("23"), "{database}");
    assert_eq!(bytes(&file.path()), before);
}
