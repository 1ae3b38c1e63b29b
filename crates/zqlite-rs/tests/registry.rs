//! The VFS by name and by URI, keys registered for paths, whose files are accepted, and the builder's guards.
#![cfg(feature = "pq")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests may panic"
)]

#[path = "support/support.rs"]
mod support;

use std::fs;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, ffi};
use tempfile::tempdir;
use zqlite::keys::{Expected, FileId, Identity, NewSlot, SigningKey, SlotKey};
use zqlite::pq::page::PageSize;
use zqlite::vfs::{self, Access};
use zqlite::{Builder, Error, Verdict, os_rng};

use support::{
    assert_clean, builder, code, count, create, fill, one, open, open_uri, register, register_new,
    ring, ring_of, slots, slots_of, try_one,
};

fn uri(path: &Path) -> String {
    format!("file:{}?vfs=zqlite", path.display())
}

/// Closes the connection and gives what this thread's last callback failed with.
fn reason<T>(result: rusqlite::Result<T>) -> Error {
    assert!(result.is_err());
    vfs::take_last_error().expect("a reason of ours")
}

// --- by name and URI ------------------------------------------------------------------------------

#[test]
fn a_registered_path_opens_by_uri_and_by_name_of_the_vfs() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    register_new(&path);
    fill(&open_uri(&uri(&path)).unwrap(), 10);
    assert_eq!(count(&open_uri(&uri(&path)).unwrap()), 10);
    let by_name =
        Connection::open_with_flags_and_vfs(&path, OpenFlags::SQLITE_OPEN_READ_WRITE, vfs::NAME);
    assert_eq!(count(&by_name.unwrap()), 10);
    assert_clean(&path);
}

#[test]
fn a_file_made_by_another_client_has_the_registered_page_size_and_its_reserved_bytes() {
    for size in [4_096_u32, 16_384, 65_536] {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a.db");
        vfs::register().unwrap();
        let access = Access::new(ring()).create(slots(), PageSize::new(size).unwrap(), None);
        vfs::register_keys(&path, access).unwrap();
        let connection = open_uri(&uri(&path)).unwrap();
        fill(&connection, 50);
        assert_eq!(one::<u32>(&connection, "PRAGMA page_size"), size);
        drop(connection);
        assert_eq!(count(&open(&path)), 50);
        assert_clean(&path);
    }
}

#[test]
fn the_vfs_is_not_the_default() {
    vfs::register().unwrap();
    let dir = tempdir().unwrap();
    let path = dir.path().join("plain.db");
    fill(&Connection::open(&path).unwrap(), 3);
    assert!(fs::read(&path).unwrap().starts_with(b"SQLite format 3\0"));
}

#[test]
fn a_path_without_keys_fails_with_a_code_of_its_own_and_nothing_is_created() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    vfs::register().unwrap();
    let opened = open_uri(&uri(&path));
    assert_eq!(code(opened.map(drop)), ffi::SQLITE_AUTH);
    assert!(matches!(vfs::take_last_error(), Some(Error::NoKey { .. })));
    // SQLite creates a file before anyone asks for keys; it must at least stay empty.
    assert!(!path.exists());
    drop(create(&path));
}

#[test]
fn keys_for_reading_alone_create_nothing() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    register(&path);
    let error = reason(open_uri(&uri(&path)));
    assert!(matches!(error, Error::NotThere { .. }), "{error}");
    assert!(!path.exists());
}

#[test]
fn forgotten_keys_open_nothing_and_open_connections_go_on() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    register_new(&path);
    let connection = open_uri(&uri(&path)).unwrap();
    fill(&connection, 5);
    assert!(vfs::unregister_keys(&path));
    assert!(!vfs::unregister_keys(&path));
    assert_eq!(code(open_uri(&uri(&path)).map(drop)), ffi::SQLITE_AUTH);
    fill(&connection, 5);
    assert_eq!(count(&connection), 10);
    register(&path);
    assert_eq!(count(&open_uri(&uri(&path)).unwrap()), 10);
}

#[test]
fn a_wrong_key_opens_nothing() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    fill(&create(&path), 5);
    let before = fs::read(&path).unwrap();
    vfs::register_keys(&path, Access::new(ring_of([8; 32]))).unwrap();
    let opened = open_uri(&uri(&path));
    assert_eq!(code(opened.map(drop)), ffi::SQLITE_AUTH);
    let error = Builder::new(&path)
        .keyring(ring_of([8; 32]))
        .open()
        .expect_err("a wrong key");
    assert_eq!(error.verdict(), Verdict::NoKey);
    assert!(fs::read(&path).unwrap() == before);
    assert_eq!(count(&open(&path)), 5);
}

#[test]
fn keys_are_found_through_a_symbolic_link() {
    let dir = tempdir().unwrap();
    let (path, link) = (dir.path().join("a.db"), dir.path().join("link.db"));
    fill(&create(&path), 5);
    std::os::unix::fs::symlink(&path, &link).unwrap();
    register(&link);
    assert_eq!(count(&open_uri(&uri(&path)).unwrap()), 5);
    assert_eq!(count(&open_uri(&uri(&link)).unwrap()), 5);
}

// --- ATTACH ---------------------------------------------------------------------------------------

#[test]
fn every_attached_file_is_opened_with_its_own_key() {
    let dir = tempdir().unwrap();
    let (a, b, c) = (
        dir.path().join("a.db"),
        dir.path().join("b.db"),
        dir.path().join("c.db"),
    );
    fill(&create(&a), 3);
    let other = Builder::new(&b)
        .keyring(ring_of([9; 32]))
        .create(slots_of([9; 32]));
    fill(&other.open().unwrap(), 4);
    fill(&create(&c), 5);
    vfs::register_keys(&b, Access::new(ring_of([9; 32]))).unwrap();
    let connection = builder(&a).allow_attach().open().unwrap();
    connection.execute("ATTACH ?1 AS b", [uri(&b)]).unwrap();
    assert_eq!(one::<i64>(&connection, "SELECT count(*) FROM b.t"), 4);
    // The key of the main database was handed over for it alone.
    let attached = connection.execute("ATTACH ?1 AS c", [uri(&c)]);
    assert!(attached.is_err());
    connection
        .execute_batch("BEGIN; INSERT INTO main.t(b) SELECT b FROM b.t; DELETE FROM b.t; COMMIT;")
        .unwrap();
    assert_eq!(count(&connection), 7);
    drop(connection);
    assert_clean(&a);
}

#[test]
fn a_plain_connection_reads_a_sealed_file_only_with_temporary_files_in_memory() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    fill(&create(&path), 50);
    register(&path);
    let plain = Connection::open(dir.path().join("plain.db")).unwrap();
    let refused = plain.execute("ATTACH ?1 AS s", [uri(&path)]);
    let error = reason(refused);
    assert!(matches!(error, Error::TemporaryFiles { .. }), "{error}");
    assert!(error.to_string().contains("temp_store=MEMORY"), "{error}");
    plain.execute_batch("PRAGMA temp_store=MEMORY").unwrap();
    plain.execute("ATTACH ?1 AS s", [uri(&path)]).unwrap();
    assert_eq!(one::<i64>(&plain, "SELECT count(*) FROM s.t"), 50);
    plain
        .execute_batch("INSERT INTO s.t(b) SELECT b FROM s.t ORDER BY b")
        .unwrap();
    // Whoever changes his mind is refused again, in every journal mode.
    for journal_mode in ["DELETE", "WAL"] {
        let set: String = one(&plain, &format!("PRAGMA s.journal_mode={journal_mode}"));
        assert_eq!(set.to_uppercase(), journal_mode);
        assert_eq!(one::<i64>(&plain, "SELECT count(*) FROM s.t"), 100);
        for other in ["FILE", "DEFAULT"] {
            plain
                .execute_batch(&format!("PRAGMA temp_store={other}"))
                .unwrap();
            let error = reason(try_one::<i64>(&plain, "SELECT count(*) FROM s.t"));
            assert!(matches!(error, Error::TemporaryFiles { .. }), "{error}");
            assert!(plain.execute_batch("DELETE FROM s.t").is_err());
            plain.execute_batch("PRAGMA temp_store=MEMORY").unwrap();
            assert_eq!(one::<i64>(&plain, "SELECT count(*) FROM s.t"), 100);
        }
    }
    drop(plain);
    assert_clean(&path);
}

#[test]
fn a_plain_connection_waits_for_a_lock_no_longer_than_it_was_told() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let holder = create(&path);
    fill(&holder, 5);
    register(&path);
    let plain = Connection::open_in_memory().unwrap();
    plain.execute_batch("PRAGMA temp_store=MEMORY").unwrap();
    plain
        .busy_timeout(std::time::Duration::from_millis(300))
        .unwrap();
    plain.execute("ATTACH ?1 AS s", [uri(&path)]).unwrap();
    for journal_mode in ["DELETE", "WAL"] {
        support::mode(&holder, journal_mode);
        holder.execute_batch("BEGIN IMMEDIATE").unwrap();
        // The check at the begin of a read must not set back SQLite's count of retries.
        let refused = plain.execute("INSERT INTO s.t(b) VALUES ('x')", []);
        assert_eq!(code(refused) & 0xff, ffi::SQLITE_BUSY);
        holder.execute_batch("COMMIT").unwrap();
        plain
            .execute("INSERT INTO s.t(b) VALUES ('x')", [])
            .unwrap();
    }
    assert_eq!(count(&holder), 7);
}

#[test]
fn a_sealed_connection_may_attach_a_plain_file() {
    let dir = tempdir().unwrap();
    let (path, plain) = (dir.path().join("a.db"), dir.path().join("plain.db"));
    fill(&Connection::open(&plain).unwrap(), 20);
    drop(create(&path));
    let connection = builder(&path)
        .create(slots())
        .allow_attach()
        .open()
        .unwrap();
    connection
        .execute(
            "ATTACH ?1 AS p",
            [format!("file:{}?vfs=unix", plain.display())],
        )
        .unwrap();
    connection
        .execute_batch("CREATE TABLE t AS SELECT * FROM p.t")
        .unwrap();
    assert_eq!(count(&connection), 20);
    drop(connection);
    assert_clean(&path);
}

// --- whose files are accepted -----------------------------------------------------------------------

/// A file for `reader`, signed or not, with five rows.
fn for_recipient(path: &Path, reader: &Identity, signer: Option<SigningKey>) {
    let slot = NewSlot {
        key: SlotKey::Recipient(reader.recipient()),
        label: String::new(),
    };
    let mut new = Builder::new(path)
        .identity(copy_of(reader))
        .accept_any_maker()
        .create(vec![slot]);
    if let Some(signer) = signer {
        new = new.sign_with(signer);
    }
    fill(&new.open().unwrap(), 5);
}

fn copy_of(identity: &Identity) -> Identity {
    Identity::from_seed(*identity.expose_seed())
}

fn signer(seed: u8) -> SigningKey {
    SigningKey::from_seed([seed; 32])
}

fn expecting(seed: u8, file_id: Option<FileId>) -> Expected {
    Expected {
        key: signer(seed).verifying_key().clone(),
        file_id,
    }
}

#[test]
fn a_recipient_must_say_whose_file_it_may_be() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let reader = Identity::generate(&mut os_rng());
    for signed in [false, true] {
        drop(fs::remove_file(&path));
        for_recipient(&path, &reader, signed.then(|| signer(1)));
        let opened = Builder::new(&path).identity(copy_of(&reader)).open();
        assert!(matches!(opened, Err(Error::MakerUnspecified { .. })));
        let opened = Builder::new(&path)
            .identity(copy_of(&reader))
            .accept_any_maker()
            .open();
        assert_eq!(count(&opened.unwrap()), 5);
    }
}

#[test]
fn the_expected_signature_opens_and_any_other_does_not() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let reader = Identity::generate(&mut os_rng());
    for_recipient(&path, &reader, Some(signer(1)));
    let open_as = |expected| {
        Builder::new(&path)
            .identity(copy_of(&reader))
            .signed_by(expected)
            .open()
    };
    let connection = open_as(expecting(1, None)).unwrap();
    assert_eq!(count(&connection), 5);
    drop(connection);
    let options = {
        let mut ring = zqlite::keys::Keyring::new();
        ring.add_identity(copy_of(&reader));
        zqlite::VerifyOptions::new(ring)
    };
    let file_id = zqlite::verify(&path, options, &mut |_| true)
        .unwrap()
        .file_id;
    assert_eq!(count(&open_as(expecting(1, Some(file_id))).unwrap()), 5);
    let error = open_as(expecting(2, None)).expect_err("another key");
    assert!(
        matches!(error, Error::SignatureUnexpected { .. }),
        "{error}"
    );
    let other = FileId::generate(&mut os_rng());
    let error = open_as(expecting(1, Some(other))).expect_err("another file");
    assert_eq!(error.verdict(), Verdict::Signature);
    assert!(
        matches!(error, Error::SignatureUnexpected { .. }),
        "{error}"
    );
}

#[test]
fn a_missing_signature_is_told_from_a_wrong_one() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let reader = Identity::generate(&mut os_rng());
    for_recipient(&path, &reader, None);
    let opened = Builder::new(&path)
        .identity(copy_of(&reader))
        .signed_by(expecting(1, None))
        .open();
    let error = opened.expect_err("not signed");
    assert!(matches!(error, Error::SignatureMissing { .. }), "{error}");
    assert_eq!(error.verdict(), Verdict::Signature);
}

#[test]
fn a_raw_key_or_a_passphrase_needs_no_signature() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    fill(&create(&path), 5);
    assert_eq!(count(&open(&path)), 5);
}

#[test]
fn the_rule_about_makers_holds_for_registered_paths_too() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let reader = Identity::generate(&mut os_rng());
    for_recipient(&path, &reader, Some(signer(1)));
    let access = || {
        let mut ring = zqlite::keys::Keyring::new();
        ring.add_identity(copy_of(&reader));
        Access::new(ring)
    };
    vfs::register_keys(&path, access()).unwrap();
    let error = reason(open_uri(&uri(&path)));
    assert!(matches!(error, Error::MakerUnspecified { .. }), "{error}");
    vfs::register_keys(&path, access().signed_by(expecting(1, None))).unwrap();
    assert_eq!(count(&open_uri(&uri(&path)).unwrap()), 5);
    vfs::register_keys(&path, access().signed_by(expecting(2, None))).unwrap();
    assert!(open_uri(&uri(&path)).is_err());
}

// --- the builder's guards ---------------------------------------------------------------------------

#[test]
fn attach_and_vacuum_into_are_denied_unless_allowed() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let plain = dir.path().join("plain.db");
    let connection = create(&path);
    fill(&connection, 5);
    let name = plain.to_str().unwrap();
    for file in [name.to_owned(), format!("file:{name}?vfs=unix&reserve=0")] {
        // A bound and a computed name is denied like one that stands there.
        for sql in ["ATTACH ?1 AS p", "ATTACH ?1 || '' AS p", "VACUUM INTO ?1"] {
            let denied = connection.execute(sql, [&file]);
            assert_eq!(code(denied), ffi::SQLITE_AUTH, "{sql}");
        }
        for sql in [
            "ATTACH 'FILE' AS p",
            "VACUUM INTO 'FILE'",
            "VACUUM INTO '' || 'FILE'",
        ] {
            let denied = connection.execute(&sql.replace("FILE", &file), []);
            assert_eq!(code(denied), ffi::SQLITE_AUTH, "{sql}");
        }
        assert!(!plain.exists());
    }
    connection.execute_batch("VACUUM").unwrap();
    drop(connection);
    let allowed = builder(&path).allow_attach().open().unwrap();
    let target = format!("file:{}?vfs=unix&reserve=0", plain.display());
    allowed.execute("VACUUM INTO ?1", [target]).unwrap();
    assert_eq!(count(&Connection::open(&plain).unwrap()), 5);
}

#[test]
fn load_extension_is_denied() {
    let dir = tempdir().unwrap();
    let connection = create(&dir.path().join("a.db"));
    for call in [
        "load_extension('nothing')",
        "Load_Extension('nothing', 'init')",
    ] {
        let denied = try_one::<String>(&connection, &format!("SELECT {call}"));
        assert!(
            denied.is_err_and(|error| error.to_string().contains("not authorized to use function")),
            "{call}"
        );
    }
    assert_eq!(one::<i64>(&connection, "SELECT abs(-1)"), 1);
}

#[test]
fn the_connection_is_defensive_and_does_not_trust_the_schema() {
    let dir = tempdir().unwrap();
    let connection = create(&dir.path().join("a.db"));
    fill(&connection, 1);
    assert!(
        connection
            .db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE)
            .unwrap()
    );
    assert!(
        !connection
            .db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA)
            .unwrap()
    );
    let write = connection.execute_batch("PRAGMA writable_schema=ON; DELETE FROM sqlite_master");
    assert!(write.is_err());
}

#[test]
fn creating_without_anyone_who_could_open_it_fails() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let error = Builder::new(&path)
        .create(Vec::new())
        .open()
        .expect_err("nobody could open it");
    assert!(matches!(error, Error::Create(_)), "{error}");
    assert!(!path.exists());
}

#[test]
fn without_leave_to_create_nothing_is_created() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    for attempt in [
        builder(&path),
        builder(&path).read_only(),
        builder(&path).create(slots()).read_only(),
    ] {
        assert!(matches!(attempt.open(), Err(Error::Io { .. })));
        assert!(!path.exists());
    }
}
