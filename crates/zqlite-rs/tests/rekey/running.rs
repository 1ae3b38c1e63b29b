//! A rekey while others have the file open.

use super::*;

#[test]
fn after_a_rekey_every_page_is_under_the_new_key_and_the_old_one_is_gone() {
    for journal_mode in ["WAL", "DELETE", "PERSIST"] {
        let folder = tempfile::tempdir().unwrap();
        let path = database(&folder, journal_mode);
        let before = epochs(&path);
        assert!(before.len() > 300 && before.iter().all(|epoch| *epoch == 1));
        let done = rekey(&path);
        assert_eq!((done.epoch, done.continued), (2, false));
        assert_eq!(done.pages, before.len() as u64);
        assert!(epochs(&path).iter().all(|epoch| *epoch == 2));
        let opened = opened(&path, OWNER);
        assert_eq!(opened.header.min_epoch(), 2);
        assert!(opened.header.older_epochs().is_empty());
        assert_eq!(opened.header.generation(), 2);
        assert!(!path.with_file_name("a.db-rekey").exists());
        for key in [OWNER, COLLEAGUE, LEAVER] {
            assert_eq!(support::count(&open_with(&path, key).unwrap()), 3_000);
        }
        let connection = open_with(&path, OWNER).unwrap();
        assert_sound(&connection);
        drop(connection);
        let problems = zqlite::verify(
            &path,
            zqlite::VerifyOptions::new(ring_of(OWNER)),
            &mut |_| true,
        );
        assert_eq!(problems.unwrap().problems, Vec::<String>::new());
    }
}

#[test]
fn open_connections_read_and_write_on_during_a_rekey_and_after_it() {
    for journal_mode in ["WAL", "DELETE"] {
        let folder = tempfile::tempdir().unwrap();
        let path = database(&folder, journal_mode);
        let writer = open_with(&path, COLLEAGUE).unwrap();
        let other = open_with(&path, OWNER).unwrap();
        let mut options = RekeyOptions::new(ring_of(OWNER));
        options.step = 256 << 10;
        let mut steps = 0;
        let done = zqlite::rekey(&path, options, &mut |_| {
            steps += 1;
            writer
                .execute("INSERT INTO t(b) VALUES (hex(randomblob(300)))", [])
                .unwrap();
            assert!(support::count(&other) > 3_000);
            true
        });
        assert_eq!(done.unwrap().epoch, 2);
        assert!(steps > 3, "{steps}");
        let rows = 3_000 + i64::from(steps);
        for (rows, connection) in (rows..).zip([&writer, &other]) {
            assert_eq!(support::count(connection), rows);
            connection
                .execute("INSERT INTO t(b) VALUES ('after')", [])
                .unwrap();
        }
        assert_sound(&writer);
        drop((writer, other));
        assert!(epochs(&path).iter().all(|epoch| *epoch == 2));
    }
}

#[test]
fn a_rekey_that_was_stopped_goes_on_with_the_same_key() {
    for journal_mode in ["WAL", "DELETE"] {
        let folder = tempfile::tempdir().unwrap();
        let path = database(&folder, journal_mode);
        let mut options = RekeyOptions::new(ring_of(OWNER));
        options.step = 256 << 10;
        let mut steps = 0;
        let stopped = zqlite::rekey(&path, options, &mut |_| {
            steps += 1;
            steps < 3
        });
        assert!(matches!(stopped, Err(Error::RekeyStopped { .. })));
        assert!(!path.with_file_name("a.db-rekey").exists());
        let found = epochs(&path);
        assert!(found.contains(&1) && found.contains(&2));
        // Everybody reads and writes in between.
        let connection = open_with(&path, LEAVER).unwrap();
        connection
            .execute("INSERT INTO t(b) VALUES ('between')", [])
            .unwrap();
        assert_sound(&connection);
        drop(connection);
        let done = rekey(&path);
        assert_eq!((done.epoch, done.continued), (2, true));
        assert!(done.pages < found.len() as u64);
        assert!(epochs(&path).iter().all(|epoch| *epoch == 2));
        assert_eq!(support::count(&open_with(&path, OWNER).unwrap()), 3_001);
    }
}

#[test]
fn who_reads_the_log_is_waited_for_and_the_old_key_stays_until_then() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(&folder, "WAL");
    let writer = open_with(&path, COLLEAGUE).unwrap();
    writer
        .execute("INSERT INTO t(b) VALUES ('in the log')", [])
        .unwrap();
    let reader = open_with(&path, COLLEAGUE).unwrap();
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM t;")
        .unwrap();
    writer
        .execute("INSERT INTO t(b) VALUES ('behind the reader')", [])
        .unwrap();
    let mut waits = 0;
    let done = zqlite::rekey(&path, RekeyOptions::new(ring_of(OWNER)), &mut |progress| {
        if progress.waiting_for.is_some() {
            waits += 1;
            let header = opened(&path, OWNER).header;
            assert_eq!(header.older_epochs().len(), 1);
            // Writers do not wait with it.
            writer
                .execute("INSERT INTO t(b) VALUES ('meanwhile')", [])
                .unwrap();
            if waits == 3 {
                reader.execute_batch("COMMIT").unwrap();
            }
        }
        true
    });
    assert_eq!(done.unwrap().epoch, 2);
    assert!(waits >= 3);
    assert!(opened(&path, OWNER).header.older_epochs().is_empty());
    assert_eq!(support::count(&reader), 3_002 + waits);
    drop((reader, writer));
    assert!(epochs(&path).iter().all(|epoch| *epoch == 2));
}

#[test]
fn two_rekeys_of_one_file_do_not_run_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(&folder, "WAL");
    let mut refused = 0;
    let done = zqlite::rekey(&path, RekeyOptions::new(ring_of(OWNER)), &mut |_| {
        let second = zqlite::rekey(&path, RekeyOptions::new(ring_of(OWNER)), &mut |_| true);
        assert!(matches!(second, Err(Error::RekeyRuns { .. })));
        refused += 1;
        true
    });
    assert_eq!(done.unwrap().epoch, 2);
    assert!(refused > 0);
    assert_eq!(rekey(&path).epoch, 3);
}

#[test]
fn a_damaged_page_keeps_the_old_key_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(&folder, "DELETE");
    support::flip(&path, PAGES_AT + 100 * PAGE as u64 + 5);
    let failed = zqlite::rekey(&path, RekeyOptions::new(ring_of(OWNER)), &mut |_| true);
    let error = failed.unwrap_err();
    assert_eq!(error.verdict(), zqlite::Verdict::Damaged);
    assert!(error.to_string().contains("page 101"), "{error}");
    assert_eq!(epochs(&path).iter().filter(|epoch| **epoch == 1).count(), 1);
    assert_eq!(opened(&path, OWNER).header.older_epochs().len(), 1);
    // Once it is healed, the rekey ends.
    support::flip(&path, PAGES_AT + 100 * PAGE as u64 + 5);
    assert!(rekey(&path).continued);
    assert!(opened(&path, OWNER).header.older_epochs().is_empty());
}

#[test]
#[cfg(target_os = "linux")]
fn a_process_that_keeps_the_log_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(&folder, "WAL");
    let writer = open_with(&path, OWNER).unwrap();
    writer
        .execute("INSERT INTO t(b) VALUES ('in the log')", [])
        .unwrap();
    let mut reader = killed::start("read", &path, 0);
    reader.says("reads .");
    writer
        .execute("INSERT INTO t(b) VALUES ('behind the reader')", [])
        .unwrap();
    let id = reader.child.id();
    let mut named = 0;
    let done = zqlite::rekey(&path, RekeyOptions::new(ring_of(OWNER)), &mut |progress| {
        if let Some(holders) = progress.waiting_for {
            if holders == [id] {
                named += 1;
            }
            drop(reader.child.stdin.take());
        }
        true
    });
    assert_eq!(done.unwrap().epoch, 2);
    assert!(named > 0);
    assert!(reader.child.wait().unwrap().success());
}

#[test]
fn pages_of_every_size_are_sealed_anew() {
    let mut ran = 0;
    for size in [8_192, 16_384, 32_768, 65_536] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let connection = support::create_sized(&path, size);
        fill(&connection, 3_000);
        drop(connection);
        let done = zqlite::rekey(&path, RekeyOptions::new(support::ring()), &mut |_| true).unwrap();
        assert!(done.pages > 15);
        let connection = support::open(&path);
        assert_sound(&connection);
        assert_eq!(support::count(&connection), 3_000);
        drop(connection);
        support::assert_clean(&path);
        assert_eq!(support::header_of(&path).header.min_epoch(), 2);
        ran += 1;
    }
    assert_eq!(ran, 4);
}

/// Anyone can make a header for a known public key: what is in the cache must not be sealed for him.
#[test]
fn a_connection_that_slept_through_two_rekeys_goes_on_if_a_signature_says_whose_key_it_is() {
    for signed in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let signer = || SigningKey::from_seed([1; 32]);
        let mut builder = Builder::new(&path).raw_key(RawKey::from_bytes(OWNER));
        if signed {
            builder = builder.sign_with(signer());
        }
        let connection = builder.create(vec![slot(OWNER, "owner")]).open().unwrap();
        fill(&connection, 300);
        drop(connection);
        let idle = open_with(&path, OWNER).unwrap();
        assert_eq!(support::count(&idle), 300);
        let mut options = RekeyOptions::new(ring_of(OWNER));
        options.signing_key = signed.then(signer);
        zqlite::rekey(&path, options, &mut |_| true).unwrap();
        // One is vouched for by the key that the connection knows.
        idle.execute("INSERT INTO t(b) VALUES ('on')", []).unwrap();
        let idle = open_with(&path, OWNER).unwrap();
        for _ in 0..2 {
            let mut options = RekeyOptions::new(ring_of(OWNER));
            options.signing_key = signed.then(signer);
            zqlite::rekey(&path, options, &mut |_| true).unwrap();
        }
        let wrote = idle.execute("INSERT INTO t(b) VALUES ('on')", []);
        if signed {
            assert_eq!(wrote.unwrap(), 1);
        } else {
            assert_eq!(support::code(wrote), rusqlite::ffi::SQLITE_AUTH);
            assert!(matches!(
                zqlite::vfs::take_last_error(),
                Some(Error::KeyReplaced { .. })
            ));
            let again = open_with(&path, OWNER).unwrap();
            again.execute("INSERT INTO t(b) VALUES ('on')", []).unwrap();
        }
        assert_eq!(support::count(&open_with(&path, OWNER).unwrap()), 302);
    }
}
