//! Opening with an identity. Plain SQLite opens without.

use std::path::Path;

use anyhow::Result;
use rusqlite::Connection;
use zqlite::Builder;
use zqlite::keys::{Identity, NewSlot, SlotKey};

use crate::engine::{Database, Engine};
use crate::{Report, Work, timed};

/// How often the database is opened.
const OPENS: u32 = 200;

pub(crate) fn run(engine: Engine, folder: &Path, slots: u32) -> Result<Report> {
    let name = format!("open-{slots}");
    let path = folder.join(&name);
    let database = Database::new(Engine::Plain, folder, &name);
    drop(std::fs::remove_file(&path));
    let identities: Vec<Identity> = (0..slots)
        .map(|_| Identity::generate(&mut zqlite::os_rng()))
        .collect();
    match engine {
        Engine::Plain => {
            let connection = database.anew()?.open()?;
            connection.execute_batch("CREATE TABLE t(a)")?;
            drop(connection);
            let path = folder.join(format!("{name}.plain"));
            timed(|| opens(|| Ok(Connection::open(&path)?)))
        }
        Engine::Sealed | Engine::Extension => {
            let recipients = identities
                .iter()
                .map(|identity| NewSlot {
                    key: SlotKey::Recipient(identity.recipient()),
                    label: String::new(),
                })
                .collect();
            let connection = Builder::new(&path)
                .create(recipients)
                .accept_any_maker()
                .open()?;
            connection.execute_batch("CREATE TABLE t(a)")?;
            drop(connection);
            let seed = identities.last().map(|identity| *identity.expose_seed());
            timed(|| {
                opens(|| {
                    let mut builder = Builder::new(&path).accept_any_maker();
                    if let Some(seed) = seed {
                        builder = builder.identity(Identity::from_seed(seed));
                    }
                    Ok(builder.open()?)
                })
            })
        }
    }
}

fn opens(open: impl Fn() -> Result<Connection>) -> Result<Work> {
    let mut tables = 0;
    for _ in 0..OPENS {
        let count: u64 =
            open()?.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        tables += count;
    }
    Ok(Work {
        operations: u64::from(OPENS),
        checksum: tables,
    })
}
