//! Plain databases, behind the same API.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::not_a_uri;
use crate::Error;
use crate::keys::PageSize;

/// None: what a file is created with.
pub(super) struct Keys {
    pub(super) page_size: Option<PageSize>,
}

impl Keys {
    pub(super) fn connect(&self, path: &Path, flags: OpenFlags) -> Result<Connection, Error> {
        let connection = Connection::open_with_flags(not_a_uri(path), flags)?;
        if let Some(size) = self.page_size {
            connection.pragma_update(None, "page_size", size.get())?;
        }
        Ok(connection)
    }
}
