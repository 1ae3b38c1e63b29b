//! Who may open a file that is made, or who is let into one.

use std::path::PathBuf;

use anyhow::Result;
use zqlite::pq::header::{NewSlot, SlotKey};
use zqlite::pq::passphrase::Argon2Params;

use crate::args::NewKeys;
use crate::keys;
use crate::output::Remarks;

/// What the command line names: recipients, and files of recipients, of passphrases and of raw keys.
pub(crate) struct Named<'a> {
    pub(crate) recipients: &'a [String],
    pub(crate) recipients_files: &'a [PathBuf],
    pub(crate) passphrase_files: &'a [PathBuf],
    pub(crate) raw_key_files: &'a [PathBuf],
}

impl Named<'_> {
    /// Reads them, in this order.
    pub(crate) fn keys(&self, remarks: Remarks) -> Result<Vec<SlotKey>> {
        let mut found = Vec::new();
        for text in self.recipients {
            found.push(SlotKey::Recipient(keys::recipient(text)?));
        }
        for path in self.recipients_files {
            let recipients = keys::recipients(path, remarks)?;
            found.extend(recipients.into_iter().map(SlotKey::Recipient));
        }
        for path in self.passphrase_files {
            let passphrase = keys::passphrase(path, remarks)?;
            found.push(SlotKey::Passphrase(passphrase, Argon2Params::DEFAULT));
        }
        for path in self.raw_key_files {
            found.push(SlotKey::RawKey(keys::raw_key(path, remarks)?));
        }
        Ok(found)
    }
}

/// A new passphrase that is asked for.
pub(crate) fn asked_for() -> Result<SlotKey> {
    let passphrase = keys::prompt_new()?;
    Ok(SlotKey::Passphrase(passphrase, Argon2Params::DEFAULT))
}

/// The slots of a file that is made of another; `None` if the command line names none.
pub(crate) fn slots(args: &NewKeys, remarks: Remarks) -> Result<Option<Vec<NewSlot>>> {
    let named = Named {
        recipients: &args.recipient,
        recipients_files: &args.recipients_file,
        passphrase_files: &args.new_passphrase_file,
        raw_key_files: &args.new_raw_key_file,
    };
    let found = named.keys(remarks)?;
    Ok((!found.is_empty()).then(|| without_labels(found)))
}

/// Slots that nobody has named yet.
pub(crate) fn without_labels(keys: Vec<SlotKey>) -> Vec<NewSlot> {
    let slot = |key| NewSlot {
        key,
        label: String::new(),
    };
    keys.into_iter().map(slot).collect()
}
