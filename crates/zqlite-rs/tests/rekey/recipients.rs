//! Who may open a file.

use super::*;

fn labels(path: &Path) -> Vec<String> {
    let slots = zqlite::recipients(path, ring_of(OWNER), None).unwrap();
    slots.into_iter().map(|slot| slot.label.unwrap()).collect()
}

#[test]
fn a_recipient_who_is_added_opens_the_file_and_no_page_changes() {
    for journal_mode in ["WAL", "DELETE"] {
        let folder = tempfile::tempdir().unwrap();
        let path = database(&folder, journal_mode);
        let before = std::fs::read(&path).unwrap();
        let other = open_with(&path, COLLEAGUE).unwrap();
        let identity = Identity::from_seed([9; 32]);
        let new = NewSlot {
            key: SlotKey::Recipient(identity.recipient()),
            label: "laptop".to_owned(),
        };
        let slots = zqlite::add_recipient(&path, owner(), new).unwrap();
        assert_eq!(slots.len(), 4);
        assert_eq!(slots[3].recipient, Some(identity.recipient()));
        other.execute("INSERT INTO t(b) VALUES ('on')", []).unwrap();
        drop(other);
        let mut ring = Keyring::new();
        ring.add_identity(Identity::from_seed([9; 32]));
        let connection = Builder::new(&path)
            .keyring(ring)
            .accept_any_maker()
            .open()
            .unwrap();
        assert_eq!(support::count(&connection), 3_001);
        drop(connection);
        let after = std::fs::read(&path).unwrap();
        let (first, last) = (usize::try_from(PAGES_AT).unwrap() + 2 * PAGE, 150 * PAGE);
        assert!(before[first..last] == after[first..last]);
        assert_eq!(labels(&path), ["owner", "colleague", "leaver", "laptop"]);
        assert!(opened(&path, OWNER).is_healthy());
    }
}

#[test]
fn who_is_removed_opens_it_no_more_and_after_a_rekey_not_with_what_he_kept_either() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(&folder, "WAL");
    let kept = opened(&path, LEAVER);
    let removed = zqlite::remove_recipients(&path, owner(), &[Who::Label("leaver".to_owned())]);
    assert_eq!(removed.unwrap()[0].number, 3);
    assert_eq!(labels(&path), ["owner", "colleague"]);
    assert!(matches!(open_with(&path, LEAVER), Err(Error::NoKey { .. })));
    // What he knew he knows: the epoch key still opens the header, and every page.
    let copy = |offset| support::peek(&path, offset, 65_536);
    let again = |known| zqlite::pq::header::reopen(&copy(0), &copy(65_536), known);
    assert!(again(&kept.epochs).is_ok());
    rekey(&path);
    assert!(again(&kept.epochs).is_err());
    assert!(matches!(open_with(&path, LEAVER), Err(Error::NoKey { .. })));
    assert_eq!(support::count(&open_with(&path, COLLEAGUE).unwrap()), 3_000);
}

#[test]
fn nobody_of_that_name_two_of_it_and_the_last_one_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(&folder, "DELETE");
    let before = std::fs::read(&path).unwrap();
    let refused = |who: &[Who]| {
        let error = zqlite::remove_recipients(&path, owner(), who).unwrap_err();
        assert!(matches!(error, Error::Update { .. }), "{error}");
        error.to_string()
    };
    assert!(refused(&[Who::Label("nobody".to_owned())]).contains("nobody"));
    assert!(refused(&[Who::Number(4)]).contains("no slot 4"));
    assert!(refused(&[Who::Number(0)]).contains("no slot 0"));
    let all = [Who::Number(1), Who::Number(2), Who::Number(3)];
    assert!(refused(&all).contains("last slot"));
    let again = zqlite::add_recipient(&path, owner(), slot([8; 32], "owner")).unwrap_err();
    assert!(again.to_string().contains("label"), "{again}");
    let twice = zqlite::add_recipient(&path, owner(), slot(COLLEAGUE, "other")).unwrap_err();
    assert!(
        twice.to_string().contains("slot 2 is for this key"),
        "{twice}"
    );
    assert!(before == std::fs::read(&path).unwrap());
    zqlite::remove_recipients(&path, owner(), &all[1..]).unwrap();
    assert_eq!(labels(&path), ["owner"]);
}

#[test]
fn a_signed_file_is_changed_only_with_its_signing_key_and_stays_signed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let signer = |n: u8| SigningKey::from_seed([n; 32]);
    let connection = Builder::new(&path)
        .raw_key(RawKey::from_bytes(OWNER))
        .create(vec![slot(OWNER, "owner")])
        .sign_with(signer(1))
        .open()
        .unwrap();
    fill(&connection, 100);
    drop(connection);
    let expected = || zqlite::pq::header::Expected {
        key: signer(1).verifying_key().clone(),
        file_id: None,
    };
    let with = |key: Option<SigningKey>| {
        let mut options = owner();
        options.signed_by = Some(expected());
        options.signing_key = key;
        options
    };
    let add = |key| zqlite::add_recipient(&path, with(key), slot(COLLEAGUE, "colleague"));
    let error = add(None).unwrap_err();
    assert!(
        error.to_string().contains("signing key is needed"),
        "{error}"
    );
    let error = add(Some(signer(2))).unwrap_err();
    assert!(error.to_string().contains("another key"), "{error}");
    add(Some(signer(1))).unwrap();
    let mut options = RekeyOptions::new(ring_of(COLLEAGUE));
    options.signed_by = Some(expected());
    let error = zqlite::rekey(&path, options, &mut |_| true).unwrap_err();
    assert!(
        error.to_string().contains("signing key is needed"),
        "{error}"
    );
    let mut options = RekeyOptions::new(ring_of(COLLEAGUE));
    options.signed_by = Some(expected());
    options.signing_key = Some(signer(1));
    zqlite::rekey(&path, options, &mut |_| true).unwrap();
    let connection = Builder::new(&path)
        .raw_key(RawKey::from_bytes(COLLEAGUE))
        .signed_by(expected())
        .open()
        .unwrap();
    assert_eq!(support::count(&connection), 100);
    assert_eq!(opened(&path, OWNER).header.generation(), 3);
}

#[test]
fn a_compromised_key_and_everything_that_it_opened_open_no_new_page() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(&folder, "WAL");
    let old_file = std::fs::read(&path).unwrap();
    let stolen = opened(&path, LEAVER);
    let mut options = RekeyOptions::new(ring_of(OWNER));
    options.compromised = Some(vec![Who::Label("owner".to_owned())]);
    let done = zqlite::rekey(&path, options, &mut |_| true).unwrap();
    let dropped: Vec<_> = done
        .dropped
        .iter()
        .map(|slot| slot.label.clone().unwrap())
        .collect();
    assert_eq!(dropped, ["colleague", "leaver"]);
    let connection = open_with(&path, OWNER).unwrap();
    connection
        .execute("INSERT INTO t(b) VALUES ('secret')", [])
        .unwrap();
    drop(connection);
    for key in [COLLEAGUE, LEAVER] {
        assert!(matches!(open_with(&path, key), Err(Error::NoKey { .. })));
    }
    // The thief has the old header, the old epoch key, and every old page.
    let new_file = std::fs::read(&path).unwrap();
    let file_id = *stolen.header.file_id();
    let open_pages = |file: &[u8]| {
        let mut opener = zqlite::pq::page::PageOpener::new();
        let pages = file[usize::try_from(PAGES_AT).unwrap()..].chunks_exact(PAGE);
        let numbered = (1..).zip(pages);
        let opens = numbered.map(|(number, page)| {
            let context = zqlite::pq::page::PageContext {
                file_id,
                number,
                place: zqlite::pq::page::Place::Database,
            };
            let keys = stolen.epochs.newest();
            opener.open(keys, &context, &mut page.to_vec()).is_ok()
        });
        opens.collect::<Vec<_>>()
    };
    assert!(open_pages(&old_file).into_iter().all(|opens| opens));
    let new = open_pages(&new_file);
    assert!(new.len() > 300 && new.into_iter().all(|opens| !opens));
    // Nor does the old header in front of the new pages, or the new file's header under the old key.
    let copy = |file: &[u8], at: usize| file[at..at + 65_536].to_vec();
    let (a, b) = (copy(&new_file, 0), copy(&new_file, 65_536));
    assert!(zqlite::pq::header::reopen(&a, &b, &stolen.epochs).is_err());
    let mixed = folder.path().join("mixed.db");
    let header_len = usize::try_from(PAGES_AT).unwrap();
    std::fs::write(
        &mixed,
        [&old_file[..header_len], &new_file[header_len..]].concat(),
    )
    .unwrap();
    assert!(open_with(&mixed, LEAVER).is_err());
    assert_eq!(support::count(&open_with(&path, OWNER).unwrap()), 3_001);
}

#[test]
fn an_update_that_was_interrupted_between_the_copies_is_finished_by_the_next_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(&folder, "DELETE");
    let old_copy = support::peek(&path, 65_536, 65_536);
    zqlite::remove_recipients(&path, owner(), &[Who::Label("leaver".to_owned())]).unwrap();
    support::poke(&path, 65_536, &old_copy);
    // The one who was removed finds his slot in the old copy, and with the key in it the new one: it counts.
    let leaver = open_with(&path, LEAVER).unwrap();
    leaver
        .execute("INSERT INTO t(b) VALUES ('yes')", [])
        .unwrap();
    drop(leaver);
    assert!(opened(&path, OWNER).is_healthy());
    assert!(matches!(open_with(&path, LEAVER), Err(Error::NoKey { .. })));
}

#[test]
fn who_is_removed_while_a_rekey_is_stopped_does_not_know_the_key_that_it_ends_with() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(&folder, "WAL");
    let mut steps = 0;
    let stopped = zqlite::rekey(&path, RekeyOptions::new(ring_of(OWNER)), &mut |_| {
        steps += 1;
        steps < 2
    });
    assert!(matches!(stopped, Err(Error::RekeyStopped { .. })));
    let kept = opened(&path, LEAVER);
    assert_eq!(kept.header.epoch(), 2);
    zqlite::remove_recipients(&path, owner(), &[Who::Label("leaver".to_owned())]).unwrap();
    let done = rekey(&path);
    assert!(done.continued);
    assert_eq!(done.epoch, 3);
    assert!(epochs(&path).iter().all(|epoch| *epoch == 3));
    let copy = |offset| support::peek(&path, offset, 65_536);
    assert!(zqlite::pq::header::reopen(&copy(0), &copy(65_536), &kept.epochs).is_err());
    assert_eq!(support::count(&open_with(&path, COLLEAGUE).unwrap()), 3_000);
}
