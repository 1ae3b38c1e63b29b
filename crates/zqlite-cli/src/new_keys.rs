//! Who may open a file that is made of another.

use anyhow::Result;
use zqlite::pq::header::{NewSlot, SlotKey};
use zqlite::pq::passphrase::Argon2Params;

use crate::args::NewKeys;
use crate::keys;
use crate::output::Remarks;

/// The slots that the command line names; `None` if it names none.
pub(crate) fn slots(args: &NewKeys, remarks: Remarks) -> Result<Option<Vec<NewSlot>>> {
    let mut found = Vec::new();
    for text in &args.recipient {
        found.push(SlotKey::Recipient(keys::recipient(text)?));
    }
    for path in &args.recipients_file {
        let recipients = keys::recipients(path, remarks)?;
        found.extend(recipients.into_iter().map(SlotKey::Recipient));
    }
    for path in &args.new_passphrase_file {
        let passphrase = keys::passphrase(path, remarks)?;
        found.push(SlotKey::Passphrase(passphrase, Argon2Params::DEFAULT));
    }
    for path in &args.new_raw_key_file {
        found.push(SlotKey::RawKey(keys::raw_key(path, remarks)?));
    }
    let slot = |key| NewSlot {
        key,
        label: String::new(),
    };
    Ok((!found.is_empty()).then(|| found.into_iter().map(slot).collect()))
}
