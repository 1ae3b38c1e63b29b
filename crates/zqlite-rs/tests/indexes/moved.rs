//! Databases that are copied, rebuilt or written anew, in each of SQLite's encodings: what the indexes then say is what
//! the tables say.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::backup::Backup;
use zqlite::{BackupOptions, DecryptOptions, EncryptOptions, SalvageOptions};

use crate::cidr::{ids, memory, message, values};
use crate::support::{
    PAGE, PAGES_AT, assert_sound, builder, code, create, flip, one, open, register_new, ring, slots,
};

const ENCODINGS: [&str; 3] = ["UTF-8", "UTF-16le", "UTF-16be"];

/// A table with all kinds of indexes, its series beside it as rows.
const TABLES: &str = "
    CREATE TABLE net(id INTEGER PRIMARY KEY, prefix TEXT, os TEXT, any, u INTEGER UNIQUE);
    CREATE VIRTUAL TABLE ip USING cidr(net, prefix);
    INSERT INTO net VALUES
      (1, '10.0.0.0/8', 'linux', 1, 1), (2, '10.1.0.0/16', 'ΔΩ', '1', 2), (-3, 'fd00::/8', '𐍈', x'31', 3),
      (9000, NULL, NULL, 1.0, 4), (5, '10.1.2.3', '01', '01', 5), (6, '0.0.0.0/0', '', NULL, 6);
    CREATE VIRTUAL TABLE tags USING bitmap(net, os, any);
    CREATE VIRTUAL TABLE load USING timeseries(chunk=16);
    CREATE TABLE points(series, time INTEGER, value REAL);
    CREATE TRIGGER both AFTER INSERT ON points BEGIN
      INSERT INTO load VALUES (new.series, new.time, new.value);
    END;
    WITH RECURSIVE n(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM n WHERE x < 99)
    INSERT INTO points SELECT s, x, x / 4.0 FROM n, (SELECT '𐍈' AS s UNION ALL SELECT 7 UNION ALL SELECT '07');";

/// Writes of all kinds.
fn change(db: &Connection) {
    db.execute_batch(
        "INSERT INTO net VALUES (7, '10.1.2.0/24', '𐍈Ω', 'x', 7);
         REPLACE INTO net VALUES (20, '10.2.0.0/16', 'linux', 'Ω', 5);
         UPDATE net SET os = 'Ω' || os WHERE id < 3;
         UPDATE OR REPLACE net SET u = 3 WHERE id = 1;
         BEGIN; DELETE FROM net; INSERT INTO net VALUES (1, '10.0.0.0/9', 'none', 'none', 1);
         INSERT INTO points VALUES ('none', 1, 1.0); ROLLBACK;
         SAVEPOINT a; UPDATE net SET os = 'none', prefix = '10.0.0.0/9'; INSERT INTO points VALUES ('none', 1, 1.0);
         ROLLBACK TO a; INSERT INTO points VALUES ('Ω', 5, 2.5); RELEASE a;",
    )
    .unwrap();
}

/// Compares all with the tables; gives how many rows there were.
fn agrees(db: &Connection) -> usize {
    let mut rows = 0;
    let mut same = |index: &str, table: &str| {
        let found = values(db, index);
        assert!(found == values(db, table), "{index}: {found:?}");
        rows += found.len();
    };
    same(
        "SELECT rowid, os, any, typeof(any) FROM tags ORDER BY 1",
        "SELECT id, os, any, typeof(any) FROM net ORDER BY 1",
    );
    for condition in [
        "os = 'linux'",
        "os = 'ΩΔΩ' OR os = 'ΔΩ'",
        "os = '𐍈' OR os = '𐍈Ω'",
        "os = 'none'",
        "os <> 'ΔΩ'",
        "os IN ('', '𐍈', '01', 'linux')",
        "os IN (SELECT 1 UNION ALL SELECT '𐍈')",
        "os = CAST('1' AS INTEGER)",
        "any = 1",
        "any = '1'",
        "any = CAST('1' AS INTEGER)",
        "any IS NULL",
        "any IS NOT x'31'",
    ] {
        same(
            &format!("SELECT rowid FROM tags WHERE {condition} ORDER BY 1"),
            &format!("SELECT id FROM net WHERE {condition} ORDER BY 1"),
        );
    }
    same(
        "SELECT count FROM tags WHERE query = '[\"not\",[\"in\",\"os\",\"𐍈\",\"linux\"]]'",
        "SELECT count(*) FROM net WHERE ifnull(os, '') NOT IN ('𐍈', 'linux')",
    );
    same(
        "SELECT rowid FROM ip ORDER BY 1",
        "SELECT id FROM net WHERE prefix IS NOT NULL ORDER BY 1",
    );
    same(
        "SELECT max(length), count(*) FROM ip WHERE covers = '10.1.2.3'",
        "SELECT max(iif(instr(prefix, '/'), substr(prefix, instr(prefix, '/') + 1), 32) + 0), count(*) FROM net
         WHERE prefix IN ('0.0.0.0/0', '10.0.0.0/8', '10.0.0.0/9', '10.1.0.0/16', '10.1.2.0/24', '10.1.2.3')",
    );
    for condition in [
        "series = '𐍈'",
        "series = 7",
        "series = '07'",
        "series = 'Ω'",
        "time < 9",
        "1",
    ] {
        same(
            &format!("SELECT series, time, value FROM load WHERE {condition} ORDER BY 1, 2"),
            &format!("SELECT series, time, value FROM points WHERE {condition} ORDER BY 1, 2"),
        );
    }
    assert_sound(db);
    rows
}

/// What moves the database in a folder, from `a.db`; gives what it moved it to.
type Way = fn(&Path) -> Connection;

fn backed_up(folder: &Path) -> Connection {
    let (from, to) = (folder.join("a.db"), folder.join("b.db"));
    zqlite::backup(&from, &to, BackupOptions::new(ring()), &mut |_| true).unwrap();
    open(&to)
}

fn copied_by_sqlite(folder: &Path) -> Connection {
    let from = open(&folder.join("a.db"));
    let mut to = create(&folder.join("c.db"));
    Backup::new(&from, &mut to)
        .unwrap()
        .run_to_completion(7, std::time::Duration::ZERO, None)
        .unwrap();
    drop(to);
    open(&folder.join("c.db"))
}

fn vacuumed_into(folder: &Path) -> Connection {
    let from = builder(&folder.join("a.db")).allow_attach().open().unwrap();
    let to = folder.join("d.db");
    register_new(&to);
    from.execute(
        "VACUUM INTO ?1",
        [format!("file:{}?vfs=zqlite", to.display())],
    )
    .unwrap();
    open(&to)
}

fn vacuumed(folder: &Path) -> Connection {
    let db = open(&folder.join("a.db"));
    db.execute_batch("VACUUM").unwrap();
    db
}

fn decrypted_and_encrypted(folder: &Path) -> Connection {
    let (plain, to) = (folder.join("plain.db"), folder.join("e.db"));
    let options = DecryptOptions::new(ring());
    zqlite::decrypt(&folder.join("a.db"), &plain, options, &mut |_| true).unwrap();
    let bare = Connection::open(&plain).unwrap();
    // A program that does not know the modules can read the tables, and does not write them behind the indexes' back.
    assert!(message(bare.execute_batch("DELETE FROM net")).contains("no such module"));
    zqlite::index::register(&bare).unwrap();
    assert!(agrees(&bare) > 300);
    drop(bare);
    zqlite::encrypt(&plain, &to, EncryptOptions::new(slots()), &mut |_| true).unwrap();
    open(&to)
}

fn salvaged(folder: &Path) -> Connection {
    let to = folder.join("f.db");
    let mut options = SalvageOptions::new(ring());
    options.slots = Some(slots());
    let report = zqlite::salvage(&folder.join("a.db"), &to, options, &mut |_| true).unwrap();
    assert!(report.is_complete(), "{report:?}");
    open(&to)
}

#[test]
fn a_database_that_is_moved_keeps_true_indexes_in_every_encoding() {
    let ways: [(&str, Way); 6] = [
        ("backup", backed_up),
        ("SQLite's backup", copied_by_sqlite),
        ("VACUUM INTO", vacuumed_into),
        ("VACUUM", vacuumed),
        ("decrypt and encrypt", decrypted_and_encrypted),
        ("salvage", salvaged),
    ];
    let mut moved = 0;
    for encoding in ENCODINGS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let db = create(&path);
        db.execute_batch(&format!("PRAGMA encoding='{encoding}'; {TABLES}"))
            .unwrap();
        assert_eq!(one::<String>(&db, "PRAGMA encoding"), encoding);
        assert!(agrees(&db) > 300);
        change(&db);
        let rows = agrees(&db);
        drop(db);
        for (name, way) in ways {
            let db = way(folder.path());
            assert_eq!(one::<String>(&db, "PRAGMA encoding"), encoding, "{name}");
            assert_eq!(agrees(&db), rows, "{name}");
            change_more(&db, name);
            moved += 1;
        }
    }
    assert_eq!(moved, 18);
}

/// What was moved is written like the original, if it is not the original.
fn change_more(db: &Connection, way: &str) {
    db.execute_batch("SAVEPOINT more; INSERT INTO net VALUES (8, '10.1.2.3', '𐍈', 'Ω', 8); DELETE FROM net WHERE id = 2")
        .unwrap();
    assert_eq!(
        ids(db, "SELECT rowid FROM ip WHERE longest_match = '10.1.2.3'"),
        [8],
        "{way}"
    );
    agrees(db);
    db.execute_batch("ROLLBACK TO more; RELEASE more").unwrap();
    agrees(db);
    for index in ["ip", "tags"] {
        db.execute_batch(&format!("INSERT INTO {index}(changed) VALUES ('all')"))
            .unwrap();
    }
    agrees(db);
}

#[test]
fn a_text_that_is_not_utf_16_is_refused() {
    // Half a pair, at the end, before another letter, the second half alone; as bytes of the encoding.
    for (encoding, wrong, right) in [
        (
            "UTF-16le",
            ["00D8", "00D80000", "610000D84100", "00DC", "00DC6100"],
            "00D800DC",
        ),
        (
            "UTF-16be",
            ["D800", "D8000000", "0061D8000041", "DC00", "DC000061"],
            "D800DC00",
        ),
    ] {
        let db = memory();
        db.execute_batch(&format!(
            "PRAGMA encoding='{encoding}'; CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b TEXT);
             INSERT INTO t VALUES (1, CAST(x'{right}' AS TEXT), '10.0.0.0/8');
             CREATE VIRTUAL TABLE x USING bitmap(t, a); CREATE VIRTUAL TABLE ip USING cidr(t, b);"
        ))
        .unwrap();
        for wrong in wrong {
            for sql in [
                format!("INSERT INTO t(a) VALUES (CAST(x'{wrong}' AS TEXT))"),
                format!("UPDATE t SET a = CAST(x'{wrong}' AS TEXT)"),
                format!("UPDATE t SET b = CAST(x'{wrong}' AS TEXT)"),
            ] {
                let refused = db.execute(&sql, []);
                assert_eq!(code(refused), rusqlite::ffi::SQLITE_MISMATCH, "{sql}");
            }
        }
        db.execute_batch("INSERT INTO t VALUES (2, '', NULL), (3, 'ab' || char(0) || 'c', NULL), (4, x'00D8', NULL)")
            .unwrap();
        let joined = "SELECT count(*) FROM t JOIN x ON x.a = t.a AND x.rowid = t.id";
        assert_eq!(ids(&db, joined), [4]);
        assert_sound(&db);
        // Nor is a table indexed that has one.
        db.execute_batch(&format!(
            "DROP TABLE x; INSERT INTO t(a) VALUES (CAST(x'{}' AS TEXT))",
            wrong[1]
        ))
        .unwrap();
        let created = db.execute_batch("CREATE VIRTUAL TABLE x USING bitmap(t, a)");
        assert!(message(created).contains("row 5 cannot be indexed: a text is not UTF-16"));
    }
}

/// Pages of the table are lost, and none of its index, or the other way round.
#[test]
fn what_salvage_saves_of_a_table_and_its_index_is_told_apart_and_can_be_indexed_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let db = create(&path);
    db.execute_batch(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, prefix TEXT, more);
         WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 2000)
         INSERT INTO t SELECT x, x % 700, '10.' || (x >> 8) || '.' || (x & 255) || '.0/24', zeroblob(40) FROM n;
         CREATE VIRTUAL TABLE tags USING bitmap(t, a); CREATE VIRTUAL TABLE ip USING cidr(t, prefix);",
    )
    .unwrap();
    let mut cases = 0;
    for (lost, rows) in [
        ("t", None),
        ("tags_rows", Some(2_000)),
        ("tags_values", Some(2_000)),
        ("ip_rows", Some(2_000)),
    ] {
        let page: i64 = one(
            &db,
            &format!("SELECT max(pageno) FROM dbstat WHERE name = '{lost}' AND pagetype = 'leaf'"),
        );
        let (damaged, to) = (
            folder.path().join("damaged.db"),
            folder.path().join("saved.db"),
        );
        std::fs::copy(&path, &damaged).unwrap();
        let at = PAGES_AT + u64::try_from(page - 1).unwrap() * u64::try_from(PAGE).unwrap();
        flip(&damaged, at + 100);
        let mut options = SalvageOptions::new(ring());
        options.slots = Some(slots());
        options.force = true;
        let report = zqlite::salvage(&damaged, &to, options, &mut |_| true).unwrap();
        let bad = report.tables.iter().filter(|table| !table.is_complete());
        assert_eq!(
            bad.map(|table| table.name.as_str()).collect::<Vec<_>>(),
            [lost]
        );
        let saved = open(&to);
        let count = ids(&saved, "SELECT count(*) FROM t")[0];
        assert!(rows.map_or(count < 2_000, |rows| count == rows));
        let found: String = one(
            &saved,
            "SELECT group_concat(integrity_check) FROM pragma_integrity_check",
        );
        assert!(found.contains("index "), "{lost}: {found}");
        for index in ["tags", "ip"] {
            saved
                .execute_batch(&format!("INSERT INTO {index}(changed) VALUES ('all')"))
                .unwrap();
        }
        assert_sound(&saved);
        let joined = "SELECT count(*) FROM t JOIN tags ON tags.a = t.a AND tags.rowid = t.id
                      JOIN ip ON ip.rowid = t.id AND ip.prefix = t.prefix";
        assert_eq!(ids(&saved, joined), [count]);
        cases += 1;
    }
    assert_eq!(cases, 4);
}
