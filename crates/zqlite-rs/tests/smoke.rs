//! scratch
use zqlite::pq::RawKey;
use zqlite::pq::header::{Keyring, NewSlot, SlotKey};
fn slot() -> Vec<NewSlot> {
    vec![NewSlot {
        key: SlotKey::RawKey(RawKey::from_bytes([7; 32])),
        label: "k".into(),
    }]
}
fn ring() -> Keyring {
    let mut k = Keyring::new();
    k.add_raw_key(RawKey::from_bytes([7; 32]));
    k
}

#[test]
fn smoke() {
    let dir = tempfile::tempdir().unwrap();
    for mode in ["DELETE", "TRUNCATE", "PERSIST", "MEMORY", "WAL"] {
        let path = dir.path().join(format!("{mode}.db"));
        {
            let c = zqlite::Builder::new(&path)
                .raw_key(RawKey::from_bytes([7; 32]))
                .create(slot())
                .open()
                .unwrap();
            let m: String = c
                .query_row(&format!("PRAGMA journal_mode={mode}"), [], |r| r.get(0))
                .unwrap();
            assert_eq!(m.to_uppercase(), mode);
            c.execute_batch(
                "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT); CREATE INDEX i ON t(b);",
            )
            .unwrap();
            c.execute_batch("PRAGMA cache_size=10; BEGIN; WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n WHERE x<5000) INSERT INTO t SELECT x, hex(randomblob(100)) FROM n; SAVEPOINT s; DELETE FROM t WHERE a%3=0; ROLLBACK TO s; COMMIT;").unwrap();
            c.execute_batch("BEGIN; UPDATE t SET b='x'||b; ROLLBACK;")
                .unwrap();
            c.execute_batch("VACUUM;").unwrap();
            let n: i64 = c
                .query_row("SELECT count(*) FROM t", [], |r| r.get(0))
                .unwrap();
            assert_eq!(n, 5000);
            let ok: String = c
                .query_row("PRAGMA integrity_check", [], |r| r.get(0))
                .unwrap();
            assert_eq!(ok, "ok");
        }
        let c = zqlite::Builder::new(&path)
            .raw_key(RawKey::from_bytes([7; 32]))
            .open()
            .unwrap();
        let n: i64 = c
            .query_row("SELECT count(*) FROM t", [], |r| r.get(0))
            .unwrap();
        assert_eq!(n, 5000);
        drop(c);
        let r = zqlite::verify(&path, zqlite::VerifyOptions::new(ring()), &mut |_| true).unwrap();
        assert_eq!(r.problems, Vec::<String>::new(), "{mode}");
        let plain = dir.path().join(format!("{mode}.plain"));
        zqlite::decrypt(
            &path,
            &plain,
            zqlite::DecryptOptions::new(ring()),
            &mut |_| true,
        )
        .unwrap();
        let back = dir.path().join(format!("{mode}.back"));
        let e = zqlite::encrypt(
            &plain,
            &back,
            zqlite::EncryptOptions::new(slot()),
            &mut |_| true,
        )
        .unwrap();
        println!("{e:?}");
        let r = zqlite::verify(&back, zqlite::VerifyOptions::new(ring()), &mut |_| true).unwrap();
        assert_eq!(r.problems, Vec::<String>::new(), "{mode}");
    }
    for e in std::fs::read_dir(dir.path()).unwrap() {
        println!("{:?}", e.unwrap().file_name());
    }
}
