//! What the owner of a database does to it between transactions, and who may open it then.

use std::path::Path;

use zqlite::pq::RawKey;
use zqlite::pq::header::{self, NewSlot, Opened, SlotKey};
use zqlite::pq::page::{PageContext, PageOpener, Place, Trailer};
use zqlite::{OwnerOptions, RekeyOptions, Who};

use crate::support::{PAGE, ring, ring_of};

const NEWCOMER: [u8; 32] = [8; 32];

/// The file's own slot is called `test`, and may always open it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// The newcomer gets a slot.
    Add,
    /// His slot is taken away.
    Remove,
    /// The file gets a new key, which he does not get.
    Rekey,
}

impl Act {
    pub(crate) fn run(self, path: &Path) {
        let owner = OwnerOptions::new(ring());
        match self {
            Self::Add => {
                let slot = NewSlot {
                    key: SlotKey::RawKey(RawKey::from_bytes(NEWCOMER)),
                    label: "newcomer".to_owned(),
                };
                zqlite::add_recipient(path, owner, slot).unwrap();
            }
            Self::Remove => {
                let who = [Who::Label("newcomer".to_owned())];
                zqlite::remove_recipients(path, owner, &who).unwrap();
            }
            Self::Rekey => {
                let mut options = RekeyOptions::new(ring());
                options.compromised = Some(vec![Who::Label("test".to_owned())]);
                // Small steps, that wait for nothing.
                options.step = 256 << 10;
                zqlite::rekey(path, options, &mut |_| true).unwrap();
            }
        }
    }

    pub(crate) fn lets_newcomer_in(self) -> bool {
        self == Self::Add
    }
}

/// Ends a rekey that a crash interrupted.
pub(crate) fn finish_rekey(path: &Path) -> Result<(), String> {
    let done = zqlite::rekey(path, RekeyOptions::new(ring()), &mut |_| true);
    let done = done.map_err(|error| format!("the rekey does not go on: {error:?}"))?;
    assert!(done.continued);
    Ok(())
}

pub(crate) fn opened(file: &[u8]) -> Result<Opened, String> {
    let (a, b) = copies(file);
    header::open(a, b, &ring()).map_err(|error| format!("the header: {error}"))
}

pub(crate) fn newcomer_is_in(file: &[u8]) -> bool {
    let (a, b) = copies(file);
    header::open(a, b, &ring_of(NEWCOMER)).is_ok()
}

/// Pages that do not open as they stand in the file.
pub(crate) fn torn_pages(file: &[u8]) -> usize {
    let Ok(opened) = opened(file) else {
        return 0;
    };
    let mut opener = PageOpener::new();
    let pages = file[2 * header::COPY_LEN..].chunks_exact(PAGE);
    let torn = (1..).zip(pages).filter(|(number, page)| {
        let context = PageContext {
            file_id: *opened.header.file_id(),
            number: *number,
            place: Place::Database,
        };
        let epoch = Trailer::decode(page).unwrap().epoch;
        let keys = opened.epochs.get(epoch);
        keys.is_none_or(|keys| opener.open(keys, &context, &mut page.to_vec()).is_err())
    });
    torn.count()
}

fn copies(file: &[u8]) -> (&[u8], &[u8]) {
    (
        &file[..header::COPY_LEN],
        &file[header::COPY_LEN..][..header::COPY_LEN],
    )
}
