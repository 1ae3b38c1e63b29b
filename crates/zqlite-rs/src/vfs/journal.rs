//! The rollback journal (FORMAT.md section 11).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use core::ffi::c_int;
use libsqlite3_sys::SQLITE_SYNC_NORMAL;
use zqlite_pq::epoch::same_mac;
use zqlite_pq::label;
use zqlite_pq::page::Place;

use super::code::{Code, Result};
use super::ffi::{RawFile, Read};
use super::sealed::{Sealed, full};

/// SQLite's journal magic.
const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
/// Length of a header on disk: SQLite's sector.
const SECTOR_LEN: usize = 512;
/// Bytes of a header that are SQLite's.
const SQLITE_LEN: usize = 28;
/// Bytes of a header under the MAC: SQLite's ‖ id 16 ‖ epoch 4.
const AUTHENTIC_LEN: usize = 48;
/// Bytes of a header with the MAC.
const SEALED_LEN: usize = AUTHENTIC_LEN + MAC_LEN;
const MAC_LEN: usize = 32;
/// Magic ‖ record count: what SQLite fills in when the records are synced.
const COUNT_UPDATE_LEN: usize = 12;
/// The record count of a journal that is never synced.
const COUNT_UNSYNCED: u32 = 0xffff_ffff;
/// A super-journal trailer without the name: lock-byte page 4 ‖ name … ‖ length 4 ‖ checksum 4 ‖ magic 8.
const TRAILER_FIXED_LEN: u64 = 20;
/// The longest super-journal name that is considered, in bytes.
const SUPER_NAME_MAX: u32 = 65_536;

/// The rollback journal of a connection.
pub(super) struct Journal {
    pub(super) sealed: Rc<RefCell<Sealed>>,
    pub(super) raw: RawFile,
    /// Id and MAC epoch, from the header at offset 0.
    identity: Option<Identity>,
    /// Whether this connection wrote the journal: then none of the records that it wrote may be missing.
    own: bool,
    /// End of the last record that it wrote; what stands behind is left from an earlier transaction.
    own_end: u64,
    /// Whether records were written since the last sync.
    unsynced: bool,
    /// SQLite's part of the authentic headers, by offset.
    headers: BTreeMap<u64, [u8; SQLITE_LEN]>,
    /// The 4 bytes that were read or written last, and where.
    word: Option<(u64, [u8; 4])>,
    /// Where the checksum of the last record stands, and what SQLite expects there.
    checksum: Option<(u64, u32)>,
    trailer: Trailer,
}

#[derive(Clone, Copy)]
struct Identity {
    id: [u8; 16],
    epoch: u32,
}

/// The super-journal trailer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trailer {
    Unknown,
    None,
    /// Authentic; its logical end.
    Until(u64),
}

impl Journal {
    pub(super) const fn new(raw: RawFile, sealed: Rc<RefCell<Sealed>>) -> Self {
        Self {
            sealed,
            raw,
            identity: None,
            own: false,
            own_end: 0,
            unsynced: false,
            headers: BTreeMap::new(),
            word: None,
            checksum: None,
            trailer: Trailer::Unknown,
        }
    }

    pub(super) fn len(&mut self) -> Result<u64> {
        let len = self.raw.len()?;
        self.find_trailer(len)?;
        Ok(match self.trailer {
            Trailer::Until(end) => end,
            Trailer::None | Trailer::Unknown => len,
        })
    }

    pub(super) fn truncate(&mut self, len: u64) -> Result<()> {
        if self.trailer == Trailer::Until(len) {
            return Ok(());
        }
        if len == 0 {
            self.forget();
        }
        self.trailer = Trailer::Unknown;
        self.raw.truncate(len)?;
        if len == 0 {
            self.settle_first_commit()
        } else {
            Ok(())
        }
    }

    pub(super) fn sync(&mut self, flags: c_int) -> Result<()> {
        self.raw.sync_with(flags)?;
        self.unsynced = false;
        Ok(())
    }

    /// The journal of a file's first transaction must not come back after a power cut, when the file is marked as
    /// populated (F-10): SQLite syncs its end only with synchronous=FULL.
    fn settle_first_commit(&self) -> Result<()> {
        let sealed = self.sealed.borrow();
        match sealed.opened() {
            Some(opened) if !opened.header.populated() => self.raw.sync(),
            _ => Ok(()),
        }
    }

    // --- reading ------------------------------------------------------------------------------

    pub(super) fn read(&mut self, buf: &mut [u8], offset: u64) -> Result<()> {
        let page_len = self.sealed.borrow().page_size().to_usize();
        match buf.len() {
            8 => {
                let magic = self.read_magic(offset)?;
                buf.copy_from_slice(&magic);
                Ok(())
            }
            4 => {
                let word = self.read_word(offset)?;
                buf.copy_from_slice(&word);
                self.word = Some((offset, word));
                Ok(())
            }
            len if len == page_len => self.read_record(buf, offset),
            // The first byte (is it hot?) and the name of a super-journal.
            _ => full(self.raw.read(buf, offset)?),
        }
    }

    /// A magic is shown only where it is authentic: at a header, or at the end of a trailer.
    fn read_magic(&mut self, offset: u64) -> Result<[u8; 8]> {
        if let Some(header) = self.headers.get(&offset) {
            return Ok(header.first_chunk().copied().unwrap_or_default());
        }
        if self.own {
            // SQLite looks for a stale header behind its own, to invalidate it.
            let mut stale = [0; 8];
            full(self.raw.read(&mut stale, offset)?)?;
            return Ok(stale);
        }
        let len = self.raw.len()?;
        self.find_trailer(len)?;
        if self.trailer == Trailer::Until(offset + 8) {
            return Ok(MAGIC);
        }
        if !offset.is_multiple_of(SECTOR_LEN as u64) {
            return Ok([0; 8]);
        }
        Ok(self
            .read_header(offset)?
            .and_then(|h| h.first_chunk().copied())
            .unwrap_or_default())
    }

    /// A header's fields come from its authentic copy; a record's checksum is computed; page numbers and
    /// the parts of a trailer are as they stand.
    fn read_word(&self, offset: u64) -> Result<[u8; 4]> {
        if let Some((&at, header)) = self.headers.range(..=offset).next_back() {
            let within = usize::try_from(offset - at).map_err(|_| Code::READ)?;
            if let Some(field) = header.get(within..).and_then(<[u8]>::first_chunk) {
                return Ok(*field);
            }
        }
        if let Some((at, checksum)) = self.checksum
            && at == offset
        {
            // Whatever stands there is ignored, but it must be there: SQLite takes a record that reaches beyond the
            // end of the journal for one that was not synced, and leaves its page as it is without an error.
            return match self.raw.read(&mut [0; 4], offset)? {
                Read::Full => Ok(checksum.to_be_bytes()),
                Read::Short => {
                    Err(self.bad_record(offset, self.sealed.borrow().page_size().to_usize()))
                }
            };
        }
        let mut word = [0; 4];
        match self.raw.read(&mut word, offset)? {
            Read::Full => Ok(word),
            // The page number of a record that is not there, though the header may count it.
            Read::Short if self.segment(offset).is_some() => {
                Err(self.bad_record(offset, self.sealed.borrow().page_size().to_usize()))
            }
            Read::Short => Err(Code::SHORT_READ),
        }
    }

    /// Reads and authenticates the header at an offset; `None` where the journal ends (F-29).
    fn read_header(&mut self, offset: u64) -> Result<Option<[u8; SQLITE_LEN]>> {
        if offset > 0 && self.identity.is_none() && self.read_header(0)?.is_none() {
            return Ok(None);
        }
        let mut sector = [0; SECTOR_LEN];
        full(self.raw.read(&mut sector, offset)?)?;
        if !sector.starts_with(&MAGIC) {
            return Ok(None);
        }
        let id = sector.get(SQLITE_LEN..).and_then(<[u8]>::first_chunk::<16>);
        if self.identity.is_some_and(|known| Some(&known.id) != id) {
            return Ok(None);
        }
        let (identity, sqlite) = self.authenticate(&sector, offset)?;
        self.identity.get_or_insert(identity);
        self.headers.insert(offset, sqlite);
        Ok(Some(sqlite))
    }

    fn authenticate(
        &self,
        sector: &[u8; SECTOR_LEN],
        offset: u64,
    ) -> Result<(Identity, [u8; SQLITE_LEN])> {
        let (sqlite, rest) = sector.split_first_chunk::<SQLITE_LEN>().ok_or(Code::DATA)?;
        let (id, rest) = rest.split_first_chunk::<16>().ok_or(Code::DATA)?;
        let (epoch, rest) = rest.split_first_chunk::<4>().ok_or(Code::DATA)?;
        let (mac, rest) = rest.split_first_chunk::<MAC_LEN>().ok_or(Code::DATA)?;
        let identity = Identity {
            id: *id,
            epoch: u32::from_be_bytes(*epoch),
        };
        let expected = header_mac(&self.sealed.borrow(), identity, offset, sqlite)?;
        if !same_mac(&expected, mac) || rest.iter().any(|&byte| byte != 0) {
            return Err(Code::DATA);
        }
        Ok((identity, *sqlite))
    }

    fn read_record(&mut self, page: &mut [u8], offset: u64) -> Result<()> {
        let record_offset = offset.checked_sub(4).ok_or(Code::READ)?;
        let number = self.page_number(record_offset)?;
        let Some(identity) = self.identity else {
            return Err(Code::DATA);
        };
        match self.raw.read(page, offset)? {
            Read::Short => {
                page.fill(0);
                return Err(self.bad_record(record_offset, page.len()));
            }
            // SQLite stops at such a number, wherever it stands: no record has it.
            Read::Full if number == 0 || number == lock_byte_page(page.len()) => {
                page.fill(0);
                return Err(self.bad_record(record_offset, page.len()));
            }
            Read::Full => {}
        }
        let place = Place::Journal {
            record_offset,
            id: identity.id,
        };
        let opened = self.sealed.borrow_mut().open_page(number, place, page);
        match opened {
            Ok(()) => {
                let seed = self
                    .segment(record_offset)
                    .map_or(0, |(_, header)| field(header, 12));
                self.checksum = Some((offset + page.len() as u64, checksum(seed, page)));
                Ok(())
            }
            Err(Code::DATA) => Err(self.bad_record(record_offset, page.len())),
            Err(code) => Err(code),
        }
    }

    /// What a record that does not open means (F-31).
    fn bad_record(&self, record_offset: u64, page_len: usize) -> Code {
        if self.own {
            return if record_offset < self.own_end {
                Code::DATA
            } else {
                Code::SHORT_READ
            };
        }
        let Some((start, header)) = self.segment(record_offset) else {
            return Code::DATA;
        };
        let count = field(header, 8);
        let first = start + SECTOR_LEN as u64;
        let index = record_offset.saturating_sub(first) / (page_len as u64 + 8);
        let synced = count != COUNT_UNSYNCED && index < u64::from(count);
        if synced { Code::DATA } else { Code::SHORT_READ }
    }

    /// The segment that an offset lies in: offset and content of its header.
    fn segment(&self, offset: u64) -> Option<(u64, &[u8; SQLITE_LEN])> {
        self.headers
            .range(..=offset)
            .next_back()
            .map(|(&at, header)| (at, header))
    }

    /// The page number of a record: the one that SQLite has just read or written, if it has.
    fn page_number(&self, record_offset: u64) -> Result<u32> {
        let word = match self.word {
            Some((at, word)) if at == record_offset => word,
            _ => self.read_word(record_offset)?,
        };
        Ok(u32::from_be_bytes(word))
    }

    // --- writing ------------------------------------------------------------------------------

    pub(super) fn write(&mut self, buf: &[u8], offset: u64) -> Result<()> {
        let page_len = self.sealed.borrow().page_size().to_usize();
        match *buf {
            // The name in a trailer follows the number of the lock-byte page.
            _ if self.word.is_some_and(|(at, word)| {
                at + 4 == offset && u32::from_be_bytes(word) == lock_byte_page(page_len)
            }) =>
            {
                self.raw.write(buf, offset)
            }
            // Invalidation: of the journal, or of a stale header behind it.
            [0] => {
                self.headers.remove(&offset);
                self.raw.write(buf, offset)
            }
            _ if buf.len() == SQLITE_LEN && offset == 0 && buf.iter().all(|&b| b == 0) => {
                self.forget();
                self.raw.write(buf, offset)?;
                self.settle_first_commit()
            }
            _ if buf.len() == SECTOR_LEN && offset.is_multiple_of(SECTOR_LEN as u64) => {
                self.write_header(buf, offset)
            }
            _ if buf.len() == COUNT_UPDATE_LEN => self.update_count(buf, offset),
            _ if buf.len() == page_len => self.write_record(buf, offset),
            [a, b, c, d] => self.write_word([a, b, c, d], offset),
            _ if buf == MAGIC => self.write_trailer_end(buf, offset),
            _ => Err(Code::WRITE),
        }
    }

    fn write_header(&mut self, buf: &[u8], offset: u64) -> Result<()> {
        if offset == 0 {
            self.forget();
            let mut id = [0; 16];
            getrandom::fill(&mut id).map_err(|_| Code::WRITE)?;
            let epoch = {
                let sealed = &mut *self.sealed.borrow_mut();
                // The journal of the first transaction comes before the first page.
                sealed.ensure_header()?;
                sealed.newest_keys()?.epoch()
            };
            self.identity = Some(Identity { id, epoch });
            self.own = true;
        }
        let sqlite = *buf.first_chunk::<SQLITE_LEN>().ok_or(Code::WRITE)?;
        let mut sector = [0; SECTOR_LEN];
        let sealed_part = self.seal_header(&sqlite, offset)?;
        let (head, _) = sector.split_at_mut(SEALED_LEN);
        head.copy_from_slice(&sealed_part);
        self.raw.write(&sector, offset)?;
        self.headers.insert(offset, sqlite);
        self.trailer = Trailer::None;
        Ok(())
    }

    fn update_count(&mut self, buf: &[u8], offset: u64) -> Result<()> {
        let mut sqlite = *self.headers.get(&offset).ok_or(Code::WRITE)?;
        let (head, _) = sqlite.split_at_mut(COUNT_UPDATE_LEN);
        head.copy_from_slice(buf);
        let sealed_part = self.seal_header(&sqlite, offset)?;
        // With synchronous=NORMAL SQLite writes the count and then syncs once: after a power cut, a record that
        // is missing below the count could not be told from one that was altered (F-29, F-31).
        if self.unsynced {
            self.sync(SQLITE_SYNC_NORMAL)?;
        }
        self.raw.write(&sealed_part, offset)?;
        self.headers.insert(offset, sqlite);
        Ok(())
    }

    fn seal_header(&self, sqlite: &[u8; SQLITE_LEN], offset: u64) -> Result<[u8; SEALED_LEN]> {
        let identity = self.identity.ok_or(Code::WRITE)?;
        let mac = header_mac(&self.sealed.borrow(), identity, offset, sqlite)?;
        let mut out = [0; SEALED_LEN];
        let mut rest = out.as_mut_slice();
        for part in [
            sqlite.as_slice(),
            &identity.id,
            &identity.epoch.to_be_bytes(),
            &mac,
        ] {
            let (head, tail) = rest.split_at_mut(part.len());
            head.copy_from_slice(part);
            rest = tail;
        }
        Ok(out)
    }

    fn write_record(&mut self, page: &[u8], offset: u64) -> Result<()> {
        let record_offset = offset.checked_sub(4).ok_or(Code::WRITE)?;
        let number = self.page_number(record_offset)?;
        let identity = self.identity.ok_or(Code::WRITE)?;
        let place = Place::Journal {
            record_offset,
            id: identity.id,
        };
        let raw = self.raw;
        self.sealed
            .borrow_mut()
            .seal_page(number, place, &[], page, |stored| raw.write(stored, offset))?;
        let end = offset + page.len() as u64;
        self.checksum = Some((end, 0));
        self.own_end = self.own_end.max(end);
        self.unsynced = true;
        Ok(())
    }

    /// A page number, part of a trailer, or a record's checksum, for which zeros are stored (F-30).
    fn write_word(&mut self, word: [u8; 4], offset: u64) -> Result<()> {
        let is_checksum = self.checksum.is_some_and(|(at, _)| at == offset);
        self.word = Some((offset, word));
        self.raw
            .write(if is_checksum { &[0; 4] } else { &word }, offset)
    }

    // --- super-journal trailer ----------------------------------------------------------------

    /// The last part of a trailer: its MAC is written behind it, and the trailer once more, for whoever looks for it
    /// at the end of the file without knowing our format: the pager of another file of the transaction (F-32).
    fn write_trailer_end(&mut self, magic: &[u8], offset: u64) -> Result<()> {
        self.raw.write(magic, offset)?;
        let end = offset + 8;
        let identity = self.identity.ok_or(Code::WRITE)?;
        let Some((start, trailer)) = self.trailer_before(end)? else {
            return Err(Code::WRITE);
        };
        let mac = trailer_mac(&self.sealed.borrow(), identity, start, &trailer)?;
        let behind = [mac.as_slice(), &trailer].concat();
        self.raw.write(&behind, end)?;
        // A longer journal may lie behind it; SQLite, which cuts it off, sees the logical size.
        self.raw.truncate(end + behind.len() as u64)?;
        self.trailer = Trailer::Until(end);
        Ok(())
    }

    fn find_trailer(&mut self, len: u64) -> Result<()> {
        if self.trailer != Trailer::Unknown {
            return Ok(());
        }
        self.trailer = Trailer::None;
        let Some((copy_start, copy)) = self.trailer_before(len)? else {
            return Ok(());
        };
        let Some(end) = copy_start.checked_sub(MAC_LEN as u64) else {
            return Ok(());
        };
        let Some((start, trailer)) = self.trailer_before(end)?.filter(|(_, t)| *t == copy) else {
            return Ok(());
        };
        if self.identity.is_none() && self.read_header(0)?.is_none() {
            return Ok(());
        }
        let Some(identity) = self.identity else {
            return Ok(());
        };
        let mut mac = [0; MAC_LEN];
        full(self.raw.read(&mut mac, end)?)?;
        let expected = trailer_mac(&self.sealed.borrow(), identity, start, &trailer)?;
        if same_mac(&expected, &mac) {
            self.trailer = Trailer::Until(end);
        }
        Ok(())
    }

    /// What looks like a trailer that ends at `end`: its offset and bytes.
    fn trailer_before(&self, end: u64) -> Result<Option<(u64, Vec<u8>)>> {
        let Some(tail_at) = end.checked_sub(16) else {
            return Ok(None);
        };
        let mut tail = [0; 16];
        full(self.raw.read(&mut tail, tail_at)?)?;
        let name_len = field(&tail, 0);
        if !tail.ends_with(&MAGIC) || name_len == 0 || name_len > SUPER_NAME_MAX {
            return Ok(None);
        }
        let len = TRAILER_FIXED_LEN + u64::from(name_len);
        let Some(start) = end.checked_sub(len) else {
            return Ok(None);
        };
        let mut trailer = vec![0; usize::try_from(len).map_err(|_| Code::READ)?];
        full(self.raw.read(&mut trailer, start)?)?;
        Ok(Some((start, trailer)))
    }

    /// The journal was invalidated, or begins anew.
    fn forget(&mut self) {
        self.identity = None;
        self.own = false;
        self.own_end = 0;
        self.headers.clear();
        self.word = None;
        self.checksum = None;
        self.trailer = Trailer::Unknown;
    }
}

fn header_mac(
    sealed: &Sealed,
    identity: Identity,
    offset: u64,
    sqlite: &[u8; SQLITE_LEN],
) -> Result<[u8; MAC_LEN]> {
    Ok(sealed.keys(identity.epoch)?.journal_mac(
        label::JOURNAL_HEADER_MAC,
        &[
            &offset.to_be_bytes(),
            sqlite,
            &identity.id,
            &identity.epoch.to_be_bytes(),
        ],
    ))
}

fn trailer_mac(
    sealed: &Sealed,
    identity: Identity,
    start: u64,
    trailer: &[u8],
) -> Result<[u8; MAC_LEN]> {
    Ok(sealed.keys(identity.epoch)?.journal_mac(
        label::SUPER_JOURNAL_MAC,
        &[&identity.id, &start.to_be_bytes(), trailer],
    ))
}

/// The page that holds SQLite's lock bytes, in which it keeps nothing.
const fn lock_byte_page(page_len: usize) -> u32 {
    // Page lengths are powers of two from 2^12: the quotient fits.
    match page_len.checked_ilog2() {
        Some(log) => (1 << (30 - log)) + 1,
        None => 0,
    }
}

/// A big-endian integer at an offset; 0 if there is none.
fn field(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .map_or(0, |b| u32::from_be_bytes(*b))
}

/// SQLite's checksum of a record: the seed and every 200th byte from the end.
fn checksum(seed: u32, page: &[u8]) -> u32 {
    let mut at = page.len().saturating_sub(200);
    let mut sum = seed;
    while at > 0 {
        sum = sum.wrapping_add(u32::from(page.get(at).copied().unwrap_or(0)));
        at = at.saturating_sub(200);
    }
    sum
}
