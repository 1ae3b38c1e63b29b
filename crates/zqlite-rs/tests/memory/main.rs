//! What of a key is left in the process after a database was closed: nothing that is looked for here.
//!
//! This binary runs itself again as the process that has the keys, and reads that process's memory from outside
//! while it waits: while the database is open, when the keys must be found, or the search would show nothing, and
//! after it was closed, when they must not. The keys come to the child through files, and what is looked for is
//! computed in the parent only.
#![cfg(all(target_os = "linux", feature = "pq"))]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests may panic, and children report"
)]

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use zqlite::pq::header::{self, Keyring, NewSlot, SlotKey};
use zqlite::pq::page::PageSize;
use zqlite::pq::passphrase::Argon2Params;
use zqlite::pq::{Identity, Passphrase, RawKey};
use zqlite::{Builder, os_rng};

mod holder;
mod needles;
mod scan;

use holder::Holder;
use needles::Needle;

/// How a key comes to the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Identity,
    IdentityText,
    Passphrase,
    RawKey,
    /// A raw key that is registered for the path instead of given to the builder.
    Registered,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Identity,
        Self::IdentityText,
        Self::Passphrase,
        Self::RawKey,
        Self::Registered,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::IdentityText => "identity-text",
            Self::Passphrase => "passphrase",
            Self::RawKey => "raw-key",
            Self::Registered => "registered",
        }
    }
}

/// A sealed file, a file with its key beside it, and what to look for.
struct Fixture {
    folder: TempDir,
    needles: Vec<Needle>,
}

impl Fixture {
    /// The file has one row.
    fn new(kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let secret = zqlite::pq::EpochKey::generate(&mut os_rng());
        let secret = *secret.expose();
        let identity = || Identity::from_seed(secret);
        let mut ring = Keyring::new();
        let (key, bytes) = match kind {
            Kind::Identity => (SlotKey::Recipient(identity().recipient()), secret.to_vec()),
            Kind::IdentityText => (
                SlotKey::Recipient(identity().recipient()),
                identity().to_text().as_bytes().to_vec(),
            ),
            Kind::Passphrase => {
                let text = secret.map(|byte| b'a' + byte % 26).to_vec();
                let key = Passphrase::from_bytes(text.clone());
                (SlotKey::Passphrase(key, Argon2Params::MIN), text)
            }
            Kind::RawKey | Kind::Registered => {
                (SlotKey::RawKey(RawKey::from_bytes(secret)), secret.to_vec())
            }
        };
        std::fs::write(folder.path().join("key"), &bytes).unwrap();
        let slot = NewSlot {
            key,
            label: String::new(),
        };
        let connection = Builder::new(folder.path().join("sealed.db"))
            .create(vec![slot])
            .page_size(PageSize::default())
            .open()
            .unwrap();
        connection
            .execute_batch("CREATE TABLE t(b TEXT); INSERT INTO t VALUES ('a row')")
            .unwrap();
        drop(connection);
        match kind {
            Kind::Identity | Kind::IdentityText => ring.add_identity(identity()),
            Kind::Passphrase => ring.add_passphrase(Passphrase::from_bytes(bytes.clone())),
            Kind::RawKey | Kind::Registered => ring.add_raw_key(RawKey::from_bytes(secret)),
        }
        let header = std::fs::read(folder.path().join("sealed.db")).unwrap();
        let opened = header::open(&header[..65_536], &header[65_536..131_072], &ring).unwrap();
        let mut needles = needles::of_key(kind, &bytes, &secret, &opened.header);
        needles.extend(needles::of_epoch(opened.epochs.newest(), &opened.header));
        needles.extend(needles::of_pages(
            opened.epochs.newest(),
            &opened.header,
            &header,
        ));
        Self { folder, needles }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("sealed.db")
    }
}

/// Not a test of its own: the process that has the keys. Without a role it does nothing.
#[test]
fn child_role() {
    if let Ok(role) = std::env::var(holder::ROLE) {
        let folder = std::env::var(holder::FOLDER).expect("a role has a folder");
        holder::run(&role, Path::new(&folder));
    }
}

#[test]
fn after_close_no_key_is_left_in_memory() {
    let mut ran = 0;
    let mut left = Vec::new();
    for kind in Kind::ALL {
        let fixture = Fixture::new(kind);
        let mut child = Holder::start(kind.name(), fixture.folder.path());
        child.wait_for("open");
        let found = scan::find(child.id(), &fixture.needles);
        for must in ["epoch key", "page key"] {
            assert!(
                found.iter().any(|hit| hit.name == must),
                "{kind:?}: the {must} of an open database is not found: the search shows nothing"
            );
        }
        child.go_on();
        child.wait_for("closed");
        let found = scan::find(child.id(), &fixture.needles);
        left.extend(found.into_iter().map(|hit| (kind, hit)));
        child.finish();
        assert!(fixture.path().exists());
        ran += 1;
    }
    assert_eq!(ran, 5);
    assert!(left.is_empty(), "{left:#?}");
}

#[test]
fn a_key_that_opens_nothing_is_not_left_in_memory() {
    let mut ran = 0;
    let mut left = Vec::new();
    for kind in Kind::ALL {
        let fixture = Fixture::new(kind);
        let other = Fixture::new(kind);
        std::fs::copy(other.path(), fixture.path()).unwrap();
        let mut child = Holder::start(&format!("{}-refused", kind.name()), fixture.folder.path());
        child.wait_for("read");
        let found = scan::find(child.id(), &fixture.needles);
        assert!(
            found.iter().any(|hit| hit.name == "key"),
            "{kind:?}: the key in hand is not found: the search shows nothing"
        );
        child.go_on();
        child.wait_for("closed");
        let found = scan::find(child.id(), &fixture.needles);
        left.extend(found.into_iter().map(|hit| (kind, hit)));
        child.finish();
        ran += 1;
    }
    assert_eq!(ran, 5);
    assert!(left.is_empty(), "{left:#?}");
}
