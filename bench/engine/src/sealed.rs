//! The VFS `zqlite`, through its builder.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use bench_work::{Engine, Opener};
use rusqlite::Connection;
use zqlite::Builder;
use zqlite::keys::{Identity, NewSlot, RawKey, SlotKey};

mod group;

pub(crate) struct Sealed;

fn builder(path: &Path) -> Builder {
    Builder::new(path)
        .raw_key(RawKey::from_bytes([7; 32]))
        .create(vec![NewSlot {
            key: SlotKey::RawKey(RawKey::from_bytes([7; 32])),
            label: String::new(),
        }])
}

impl Engine for Sealed {
    fn open(&self, path: &Path) -> Result<Connection> {
        Ok(builder(path).open()?)
    }

    fn opener(&self, path: &Path, slots: u32) -> Result<Opener> {
        let identities: Vec<Identity> = (0..slots)
            .map(|_| Identity::generate(&mut zqlite::os_rng()))
            .collect();
        let recipients = identities
            .iter()
            .map(|identity| NewSlot {
                key: SlotKey::Recipient(identity.recipient()),
                label: String::new(),
            })
            .collect();
        Builder::new(path)
            .create(recipients)
            .accept_any_maker()
            .open()?
            .execute_batch("CREATE TABLE t(a)")?;
        let seed = identities.last().map(|identity| *identity.expose_seed());
        let path = path.to_owned();
        Ok(Box::new(move || {
            let mut builder = Builder::new(&path).accept_any_maker();
            if let Some(seed) = seed {
                builder = builder.identity(Identity::from_seed(seed));
            }
            Ok(builder.open()?)
        }))
    }

    fn group(&self, path: &Path, clients: u32, ids: RangeInclusive<u32>) -> Result<Vec<Duration>> {
        group::insert(builder(path), clients, ids)
    }
}
