//! Who may open what was salvaged.

use std::path::Path;

use zqlite::pq::header::{Keyring, NewSlot, SlotKey};
use zqlite::pq::{Identity, RawKey};
use zqlite::salvage::{SalvageOptions, salvage};
use zqlite::{Builder, Error};

use crate::support::{count, fill, raw_key};

fn ring(identity: Identity) -> Keyring {
    let mut ring = Keyring::new();
    ring.add_identity(identity);
    ring
}

fn read(path: &Path, identity: Identity) -> Result<i64, Error> {
    let connection = Builder::new(path)
        .identity(identity)
        .accept_any_maker()
        .open()?;
    Ok(count(&connection))
}

#[test]
fn the_recipients_of_the_damaged_file_open_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (folder.path().join("a.db"), folder.path().join("out.db"));
    let seeds: Vec<[u8; 32]> = (1..=3).map(|byte| [byte; 32]).collect();
    let identity = |index: usize| Identity::from_seed(seeds[index]);
    let slot = |key, label: &str| NewSlot {
        key,
        label: label.to_owned(),
    };
    let slots = vec![
        slot(SlotKey::Recipient(identity(0).recipient()), "first"),
        slot(SlotKey::Recipient(identity(1).recipient()), "second"),
        slot(SlotKey::RawKey(raw_key()), "raw"),
    ];
    let connection = Builder::new(&path)
        .create(slots)
        .accept_any_maker()
        .open()
        .unwrap();
    fill(&connection, 20);
    drop(connection);
    let report = salvage(
        &path,
        &out,
        SalvageOptions::new(ring(identity(0))),
        &mut |_| true,
    )
    .unwrap();
    assert_eq!(report.slots_left_out, 1);
    assert_eq!(read(&out, identity(0)).unwrap(), 20);
    assert_eq!(read(&out, identity(1)).unwrap(), 20);
    assert!(matches!(read(&out, identity(2)), Err(Error::NoKey { .. })));
    let raw = Builder::new(&out)
        .raw_key(RawKey::from_bytes([7; 32]))
        .open();
    assert!(matches!(raw, Err(Error::NoKey { .. })));
}
