//! Opening a sealed file with the keys that the command line names.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use zqlite::pq::header::{Expected, Keyring};
use zqlite::rusqlite::Connection;
use zqlite::{Anchor, Builder};

use crate::args::Keys;
use crate::exit::Fault;
use crate::keys;
use crate::output::Remarks;

/// Whether a connection may change the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// It may not.
    Read,
    /// It may.
    Write,
    /// It may, and the schema table too: what `.dump` prints can be read back.
    WriteSchema,
}

/// What opens a file, and who must have made it.
pub(crate) struct Credentials {
    pub(crate) keyring: Keyring,
    pub(crate) signed_by: Option<Expected>,
    /// What remembers the newest header; set by the commands that take one.
    pub(crate) anchor: Option<Arc<dyn Anchor>>,
}

/// Reads the keys that the command line names; asks for a passphrase if it names none.
pub(crate) fn credentials(args: &Keys, remarks: Remarks) -> Result<Credentials> {
    let signed_by = args
        .signed_by
        .as_deref()
        .map(|key| keys::expected(key, remarks))
        .transpose()?;
    let mut keyring = Keyring::new();
    for path in &args.identity {
        keys::identities(path, remarks)?
            .into_iter()
            .for_each(|id| keyring.add_identity(id));
    }
    for path in &args.passphrase_file {
        keyring.add_passphrase(keys::passphrase(path, remarks)?);
    }
    for path in &args.raw_key_file {
        keyring.add_raw_key(keys::raw_key(path, remarks)?);
    }
    if args.passphrase || (keyring.is_empty() && keys::can_prompt()) {
        keyring.add_passphrase(keys::prompt("Passphrase: ")?);
    }
    if keyring.is_empty() {
        return Err(Fault::usage(
            "no key is named, and there is no terminal to ask for a passphrase",
        )
        .hint("name one with -i, --identity FILE, --passphrase-file FILE or --raw-key-file FILE")
        .into());
    }
    if signed_by.is_none() {
        remarks.warn(
            "nothing says who made this file: whoever knows a recipient, or ever held any key of the file, \
             can make one that opens with yours; --signed-by KEY[@FILE-ID] checks it",
        );
    }
    Ok(Credentials {
        keyring,
        signed_by,
        anchor: None,
    })
}

/// Opens a connection.
pub(crate) fn connect(
    path: &Path,
    credentials: Credentials,
    access: Access,
) -> Result<Connection, zqlite::Error> {
    let mut builder = Builder::new(path).keyring(credentials.keyring);
    builder = match credentials.signed_by {
        Some(expected) => builder.signed_by(expected),
        None => builder.accept_any_maker(),
    };
    if let Some(anchor) = credentials.anchor {
        builder = builder.anchor(anchor);
    }
    builder = match access {
        Access::Read => builder.read_only(),
        Access::Write => builder,
        Access::WriteSchema => builder.allow_schema_writes(),
    };
    builder.open()
}
