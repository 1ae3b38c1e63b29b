//! Who may open a file: listed, added, removed, while others work with it.

use std::path::Path;

use zqlite_pq::Recipient;
use zqlite_pq::header::{Expected, Keyring, NewSlot, Opened, UpdateError};
use zqlite_pq::slot::SlotKind;

use crate::owner::{ChangeError, OwnerOptions, change_header, open_owned};
use crate::verify::open_reading;
use crate::vfs::{self, with_sealed};
use crate::{Error, os_rng};

/// One slot of a file, as key holders see it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SlotInfo {
    /// Its number, from 1; numbers move up when a slot before is removed.
    pub number: usize,
    /// What yields its key pair.
    pub kind: SlotKind,
    /// Its label; `None` if the details were altered.
    pub label: Option<String>,
    /// Its X-Wing public key; `None` if the details were altered.
    pub recipient: Option<Recipient>,
    /// Whether one of the given keys opened it.
    pub opened: bool,
}

/// Which slot is meant.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Who {
    /// The slot of this number, from 1.
    Number(usize),
    /// The slot with this label.
    Label(String),
    /// The slot of this recipient.
    Recipient(Box<Recipient>),
}

impl core::fmt::Display for Who {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "#{number}"),
            Self::Label(label) => write!(f, "{label:?}"),
            Self::Recipient(_) => f.write_str("that recipient"),
        }
    }
}

impl core::str::FromStr for Who {
    type Err = zqlite_pq::text::KeyTextError;

    /// `#N` is a number, `age1pq1…` a recipient, everything else a label.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(number) = text.strip_prefix('#').and_then(|rest| rest.parse().ok()) {
            return Ok(Self::Number(number));
        }
        if text.starts_with("age1pq1") {
            return Ok(Self::Recipient(Box::new(text.parse()?)));
        }
        Ok(Self::Label(text.to_owned()))
    }
}

/// The slots of a file, in order.
///
/// # Errors
/// See [`Error`].
pub fn recipients(
    path: &Path,
    keyring: Keyring,
    signed_by: Option<Expected>,
) -> Result<Vec<SlotInfo>, Error> {
    let connection = open_reading(path, keyring, signed_by)?;
    with_sealed(&connection, |sealed, _| {
        sealed.opened().map(slots_of).ok_or(vfs::Code::NOTFOUND)
    })
    .map_err(|code| code.at(path))
}

/// Lets one more key open a file; no page is touched. Returns the slots that the file then has.
///
/// Durable in both header copies when it returns. Connections of other processes go on.
///
/// # Errors
/// See [`Error`]; the file is then as it was, or an error about the disk says otherwise.
pub fn add_recipient(
    path: &Path,
    options: OwnerOptions,
    slot: NewSlot,
) -> Result<Vec<SlotInfo>, Error> {
    let signing_key = options.signing_key;
    let mut connection = open_owned(path, options.keyring, options.signed_by, options.patience)?;
    change_header(&mut connection, path, |opened| {
        let next = opened.add_slot(slot, signing_key.as_ref(), &mut os_rng())?;
        Ok((next, ()))
    })?;
    slots_after(&connection, path)
}

/// Takes keys away. Whoever held one can still read with the epoch key that he knew, until a rekey, and what he copied
/// forever. Returns the slots that were removed.
///
/// # Errors
/// See [`Error`]: nobody of that name, or nobody would be left.
pub fn remove_recipients(
    path: &Path,
    options: OwnerOptions,
    who: &[Who],
) -> Result<Vec<SlotInfo>, Error> {
    let signing_key = options.signing_key;
    let mut connection = open_owned(path, options.keyring, options.signed_by, options.patience)?;
    change_header(&mut connection, path, |opened| {
        let slots = slots_of(opened);
        let indices = find_all(&slots, who)?;
        let next = opened.remove_slots(&indices, signing_key.as_ref(), &mut os_rng())?;
        let removed = slots
            .into_iter()
            .enumerate()
            .filter_map(|(index, slot)| indices.contains(&index).then_some(slot))
            .collect();
        Ok((next, removed))
    })
}

/// The indices of the slots that are meant; an error for one that is not there, or not the only one.
pub(crate) fn find_all(slots: &[SlotInfo], who: &[Who]) -> Result<Vec<usize>, ChangeError> {
    who.iter().map(|who| find(slots, who)).collect()
}

fn find(slots: &[SlotInfo], who: &Who) -> Result<usize, ChangeError> {
    let fits = |slot: &SlotInfo| match who {
        Who::Number(number) => slot.number == *number,
        Who::Label(label) => slot.label.as_ref() == Some(label),
        Who::Recipient(recipient) => slot.recipient.as_ref() == Some(recipient),
    };
    let mut found = slots.iter().enumerate().filter(|(_, slot)| fits(slot));
    match (found.next(), found.next(), who) {
        (Some((index, _)), None, _) => Ok(index),
        (None, _, Who::Number(number)) => Err(UpdateError::NoSuchSlot { number: *number }.into()),
        (None, _, _) => Err(ChangeError::Refused(format!(
            "no slot is that of {who}; `zqlite recipients list` shows them"
        ))),
        (Some((first, _)), Some((second, _)), _) => Err(ChangeError::Refused(format!(
            "slots #{} and #{} both are that of {who}: name one by its number",
            first + 1,
            second + 1
        ))),
    }
}

pub(crate) fn slots_of(opened: &Opened) -> Vec<SlotInfo> {
    let slots = opened.header.slots().iter().enumerate();
    slots
        .zip(opened.slot_details())
        .map(|((index, slot), details)| {
            let (label, recipient) = match details {
                Ok(details) => (Some(details.label), Some(details.recipient)),
                Err(_) => (None, None),
            };
            SlotInfo {
                number: index + 1,
                kind: slot.kind(),
                label,
                recipient,
                opened: opened.slot == Some(index),
            }
        })
        .collect()
}

fn slots_after(connection: &rusqlite::Connection, path: &Path) -> Result<Vec<SlotInfo>, Error> {
    with_sealed(connection, |sealed, _| {
        sealed.opened().map(slots_of).ok_or(vfs::Code::NOTFOUND)
    })
    .map_err(|code| code.at(path))
}
