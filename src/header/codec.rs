//! A header copy as bytes (FORMAT.md section 5).

use crate::epoch::FileId;
use crate::label::MAGIC;
use crate::mldsa::{SIGNATURE_LEN, Signature, VERIFYING_KEY_LEN, VerifyingKey};
use crate::page::PageSize;
use crate::slot::{SLOT_LEN, Slot};

use super::epochs::OlderEpoch;
use super::succession::{MAX_PREDECESSORS, Predecessor};
use super::wire::{Reader, Writer};
use super::{
    COPY_LEN, DecodeError, Field, Header, MAC_LEN, MAX_OLDER_EPOCHS, MAX_PASSPHRASE_SLOTS,
    MAX_SLOTS, PREFIX_LEN, SUITE, Signer, VERSION,
};

/// Length of the body without slots.
const BODY_FIXED_LEN: usize = 2_024;
/// Where the epoch table begins.
const TABLE_OFFSET: usize = COPY_LEN - MAC_LEN - MAX_OLDER_EPOCHS * OlderEpoch::LEN;
/// Where the predecessors of the newest epoch begin.
const SUCCESSION_OFFSET: usize = TABLE_OFFSET - MAX_PREDECESSORS * Predecessor::LEN;
/// Length of what the owner's signature covers of the prefix.
const SIGNED_PREFIX_LEN: usize = 24;
/// Length of what [`stamp`] needs.
pub(crate) const STAMP_LEN: usize = 160;

const _: () = assert!(BODY_FIXED_LEN == 16 + 4 + 8 + 4 + 32 + 2 + 2 + 4 + VERIFYING_KEY_LEN);
const _: () = assert!(TABLE_OFFSET == 63_776);
const _: () = assert!(SUCCESSION_OFFSET == 63_164);
const _: () = assert!(
    PREFIX_LEN + BODY_FIXED_LEN + MAX_SLOTS * SLOT_LEN + SIGNATURE_LEN <= SUCCESSION_OFFSET
);

/// How recent a header copy claims to be: ordered by generation, then revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "F-9 orders copies by these two")]
pub struct Stamp {
    /// Raised by every act of the owner.
    pub generation: u64,
    /// Raised by every update.
    pub revision: u64,
}

/// The claimed stamp of a copy, from its first 160 bytes (F-20); nothing is authenticated.
///
/// `None` if they are fewer, or if magic, version or suite are not ours.
#[must_use]
pub fn stamp(copy_start: &[u8]) -> Option<Stamp> {
    let start = copy_start.first_chunk::<STAMP_LEN>()?;
    check_kind(start).ok()?;
    let mut reader = Reader::new(start);
    reader.slice(SIGNED_PREFIX_LEN).ok()?;
    let revision = reader.u64().ok()?;
    reader
        .slice(PREFIX_LEN - SIGNED_PREFIX_LEN - 8 + 16 + 4)
        .ok()?;
    Some(Stamp {
        generation: reader.u64().ok()?,
        revision,
    })
}

/// Whether bytes begin as a header copy does, as far as they go.
pub(crate) fn begins_sealed(copy: &[u8]) -> bool {
    !copy.is_empty() && copy.iter().zip(&MAGIC).all(|(a, b)| a == b)
}

impl Header {
    /// Reads a header copy of [`COPY_LEN`] bytes, strictly (F-1). The MAC is not looked at: that takes
    /// a key.
    ///
    /// # Errors
    /// [`DecodeError`] names the first thing that is wrong.
    pub fn decode(copy: &[u8]) -> Result<Self, DecodeError> {
        check_kind(copy)?;
        if copy.len() < COPY_LEN {
            return Err(DecodeError::Truncated {
                found_len: copy.len(),
            });
        }
        if copy.len() > COPY_LEN {
            return Err(DecodeError::Malformed(Field::CopyLength));
        }
        let mut reader = Reader::new(copy);
        reader.slice(MAGIC.len() + 4)?;
        let prefix = Prefix::read(&mut reader)?;
        let body = Body::read(&mut reader, prefix.slot_count)?;
        let signer = match body.signer {
            Some(key) => {
                let signature = Signature::from_bytes(reader.slice(SIGNATURE_LEN)?)
                    .map_err(|_| DecodeError::Malformed(Field::Signature))?;
                Some(Signer { key, signature })
            }
            None => {
                reader.zeros(SIGNATURE_LEN, Field::Signature)?;
                None
            }
        };
        reader.zeros(
            reader.left().saturating_sub(COPY_LEN - SUCCESSION_OFFSET),
            Field::Padding,
        )?;
        let predecessors = Predecessor::read_all(&mut reader, body.epoch)?;
        if prefix.min_epoch > body.epoch {
            return Err(DecodeError::Malformed(Field::MinEpoch));
        }
        let older = read_epoch_table(&mut reader, &prefix, body.epoch)?;
        Ok(Self {
            file_id: body.file_id,
            page_size: body.page_size,
            generation: body.generation,
            revision: prefix.revision,
            populated: prefix.populated,
            epoch: body.epoch,
            commitment: body.commitment,
            min_epoch: prefix.min_epoch,
            rekey_next_page: prefix.rekey_next_page,
            slots: body.slots,
            signer,
            older,
            predecessors,
        })
    }

    /// The bytes of a copy that its MAC covers: all but the last 32 (F-8).
    #[must_use]
    pub fn authenticated_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(COPY_LEN);
        self.write_prefix(&mut writer);
        self.write_body(&mut writer, self.signer());
        match &self.signer {
            Some(signer) => writer.bytes(signer.signature.as_bytes()),
            None => writer.zeros(SIGNATURE_LEN),
        }
        writer.zeros(SUCCESSION_OFFSET.saturating_sub(writer.len()));
        Predecessor::write_all(&self.predecessors, &mut writer);
        for entry in &self.older {
            entry.write(&mut writer);
        }
        writer.zeros((COPY_LEN - MAC_LEN).saturating_sub(writer.len()));
        writer.into_bytes()
    }

    /// What the owner signs, naming `signer` as his key: `copy[0..24] ‖ body` (F-16).
    pub(super) fn signed_bytes(&self, signer: &VerifyingKey) -> Vec<u8> {
        let mut writer = Writer::with_capacity(COPY_LEN);
        self.write_prefix(&mut writer);
        writer.truncate(SIGNED_PREFIX_LEN);
        self.write_body(&mut writer, Some(signer));
        writer.into_bytes()
    }

    fn write_prefix(&self, writer: &mut Writer) {
        writer.bytes(&MAGIC);
        writer.bytes(&VERSION.to_be_bytes());
        writer.bytes(&SUITE.to_be_bytes());
        writer.count_u32(BODY_FIXED_LEN + self.slots.len() * SLOT_LEN);
        writer.bytes(&self.revision.to_be_bytes());
        writer.bytes(&u32::from(self.populated).to_be_bytes());
        writer.bytes(&self.min_epoch.to_be_bytes());
        writer.bytes(&self.rekey_next_page.to_be_bytes());
        writer.count_u16(self.older.len());
        writer.zeros(PREFIX_LEN - 46);
    }

    fn write_body(&self, writer: &mut Writer, signer: Option<&VerifyingKey>) {
        writer.bytes(self.file_id.as_bytes());
        writer.bytes(&self.page_size.get().to_be_bytes());
        writer.bytes(&self.generation.to_be_bytes());
        writer.bytes(&self.epoch.to_be_bytes());
        writer.bytes(&self.commitment);
        writer.count_u16(self.slots.len());
        writer.bytes(&u16::from(signer.is_some()).to_be_bytes());
        writer.zeros(4);
        match signer {
            Some(key) => writer.bytes(key.as_bytes()),
            None => writer.zeros(VERIFYING_KEY_LEN),
        }
        for slot in &self.slots {
            slot.write(writer);
        }
    }
}

/// Magic, version and suite, as far as the bytes go.
fn check_kind(copy: &[u8]) -> Result<(), DecodeError> {
    if !copy.is_empty() && !begins_sealed(copy) {
        return Err(DecodeError::NotSealed);
    }
    let truncated = DecodeError::Truncated {
        found_len: copy.len(),
    };
    let mut reader = Reader::new(copy);
    reader.slice(MAGIC.len()).map_err(|_| truncated)?;
    let version = reader.u16().map_err(|_| truncated)?;
    if version != VERSION {
        return Err(DecodeError::VersionUnsupported { found: version });
    }
    let suite = reader.u16().map_err(|_| truncated)?;
    if suite != SUITE {
        return Err(DecodeError::SuiteUnsupported { found: suite });
    }
    Ok(())
}

/// The prefix after magic, version and suite.
struct Prefix {
    slot_count: usize,
    revision: u64,
    populated: bool,
    min_epoch: u32,
    rekey_next_page: u32,
    older_count: usize,
}

impl Prefix {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let body_len = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
        let slot_count = (1..=MAX_SLOTS)
            .find(|count| BODY_FIXED_LEN + count * SLOT_LEN == body_len)
            .ok_or(DecodeError::Malformed(Field::BodyLength))?;
        let revision = at_least_1(reader.u64()?, Field::Revision)?;
        let flags = reader.u32()?;
        if flags > 1 {
            return Err(DecodeError::Malformed(Field::Flags));
        }
        let min_epoch = at_least_1(reader.u32()?, Field::MinEpoch)?;
        let rekey_next_page = reader.u32()?;
        let older_count = usize::from(reader.u16()?);
        if older_count > MAX_OLDER_EPOCHS {
            return Err(DecodeError::Malformed(Field::EpochCount));
        }
        if rekey_next_page != 0 && older_count == 0 {
            return Err(DecodeError::Malformed(Field::RekeyProgress));
        }
        reader.zeros(PREFIX_LEN - 46, Field::PrefixZero)?;
        let populated = flags == 1;
        Ok(Self {
            slot_count,
            revision,
            populated,
            min_epoch,
            rekey_next_page,
            older_count,
        })
    }
}

struct Body {
    file_id: FileId,
    page_size: PageSize,
    generation: u64,
    epoch: u32,
    commitment: [u8; 32],
    signer: Option<VerifyingKey>,
    slots: Vec<Slot>,
}

impl Body {
    fn read(reader: &mut Reader<'_>, expected_slots: usize) -> Result<Self, DecodeError> {
        let file_id = FileId::from_bytes(*reader.array()?);
        let page_size =
            PageSize::new(reader.u32()?).map_err(|_| DecodeError::Malformed(Field::PageSize))?;
        let generation = at_least_1(reader.u64()?, Field::Generation)?;
        let epoch = at_least_1(reader.u32()?, Field::Epoch)?;
        let commitment = *reader.array()?;
        if usize::from(reader.u16()?) != expected_slots {
            return Err(DecodeError::Malformed(Field::SlotCount));
        }
        let signed = reader.u16()?;
        reader.zeros(4, Field::BodyZero)?;
        let signer = match signed {
            0 => {
                reader.zeros(VERIFYING_KEY_LEN, Field::Signer)?;
                None
            }
            1 => Some(
                VerifyingKey::from_bytes(reader.slice(VERIFYING_KEY_LEN)?)
                    .map_err(|_| DecodeError::Malformed(Field::Signer))?,
            ),
            _ => return Err(DecodeError::Malformed(Field::Signed)),
        };
        let slots = (0..expected_slots)
            .map(|_| Slot::decode(reader.array()?))
            .collect::<Result<Vec<_>, _>>()?;
        let passphrases = slots.iter().filter(|slot| slot.kind().is_passphrase());
        if passphrases.count() > MAX_PASSPHRASE_SLOTS {
            return Err(DecodeError::Malformed(Field::PassphraseCount));
        }
        Ok(Self {
            file_id,
            page_size,
            generation,
            epoch,
            commitment,
            signer,
            slots,
        })
    }
}

fn read_epoch_table(
    reader: &mut Reader<'_>,
    prefix: &Prefix,
    newest: u32,
) -> Result<Vec<OlderEpoch>, DecodeError> {
    let mut entries = Vec::with_capacity(prefix.older_count);
    let mut above = newest;
    for _ in 0..prefix.older_count {
        let entry = OlderEpoch::read(reader)?;
        if entry.epoch() < prefix.min_epoch || entry.epoch() >= above {
            return Err(DecodeError::Malformed(Field::EpochTable));
        }
        above = entry.epoch();
        entries.push(entry);
    }
    reader.zeros(reader.left().saturating_sub(MAC_LEN), Field::EpochTable)?;
    Ok(entries)
}

fn at_least_1<T: Default + PartialEq>(value: T, field: Field) -> Result<T, DecodeError> {
    if value == T::default() {
        Err(DecodeError::Malformed(field))
    } else {
        Ok(value)
    }
}
