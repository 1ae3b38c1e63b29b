//! What the builder does with keys.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags};

use super::{Builder, MakerRule, not_a_uri};
use crate::Error;
use crate::keys::PageSize;
use crate::vfs::{self, Access};

/// What opens a sealed file, any number of times: the epoch keys that the first connection unwraps serve the others.
pub(super) struct Keys {
    access: Arc<Access>,
    page_size: PageSize,
}

impl Builder {
    pub(super) fn keys(self, creates: bool) -> Result<Keys, Error> {
        vfs::register()?;
        let mut access = Access::new(self.keyring);
        if let Some(kibibytes) = self.cache_size {
            let kibibytes = usize::try_from(kibibytes).unwrap_or(usize::MAX);
            access = access.cache_len(kibibytes.saturating_mul(1 << 10));
        }
        access = match self.maker {
            MakerRule::Unspecified => access,
            MakerRule::SignedBy(expected) => access.signed_by(expected),
            MakerRule::Any => access.accept_any_maker(),
        };
        if let Some(anchor) = self.anchor {
            access = access.anchor(anchor);
        }
        if let Some(slots) = self.create
            && creates
        {
            if slots.is_empty() {
                return Err(Error::Create(
                    "give at least one recipient, passphrase or raw key".to_owned(),
                ));
            }
            access = access
                .create(slots, self.page_size, self.signing_key)
                .layout_set_by_client();
        }
        Ok(Keys {
            access: Arc::new(access),
            page_size: self.page_size,
        })
    }
}

impl Keys {
    pub(super) fn connect(&self, path: &Path, flags: OpenFlags) -> Result<Connection, Error> {
        let connection = open_sealed(path, flags, Arc::clone(&self.access))?;
        if vfs::with_sealed(&connection, |sealed, _| Ok(sealed.opened().is_none())) == Ok(true) {
            vfs::reserve_trailer(&connection)
                .map_err(|code| Error::Create(format!("SQLite returned {}", code.0)))?;
            connection.pragma_update(None, "page_size", self.page_size.get())?;
        }
        Ok(connection)
    }
}

/// Opens a connection through the VFS; an error of ours comes out in place of SQLite's code for it.
pub(crate) fn open_sealed(
    path: &Path,
    flags: OpenFlags,
    access: impl Into<Arc<Access>>,
) -> Result<Connection, Error> {
    let path = not_a_uri(path);
    drop(vfs::take_last_error());
    vfs::hand_over(access.into(), || {
        Connection::open_with_flags_and_vfs(&path, flags, vfs::NAME)
    })
    .map_err(|error| vfs::take_last_error().unwrap_or(Error::Sqlite(error)))
}
