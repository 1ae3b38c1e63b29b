//! The write-ahead log (FORMAT.md section 10).

use std::cell::RefCell;
use std::rc::Rc;

use core::ffi::c_int;

#[cfg(feature = "rusqlite")]
use zeroize::Zeroizing;
use zqlite_pq::mask::WalMask;
use zqlite_pq::page::Place;

use super::code::{Code, Result};
use super::database::is_our_first_page;
use super::ffi::{RawFile, Read};
use super::sealed::{Sealed, full};
use super::wal_state::Generation;

const HEADER_LEN: u64 = 32;
const FRAME_HEADER_LEN: usize = 24;
/// Masked bytes of the WAL header: salts and checksum.
const HEADER_MASKED: usize = 16;
/// Masked bytes of a frame header: salts and checksum.
const FRAME_MASKED: usize = 8;
const MASKED_LEN: usize = 16;

/// The write-ahead log of a connection.
pub(crate) struct Wal {
    pub(super) sealed: Rc<RefCell<Sealed>>,
    pub(super) raw: RawFile,
    /// The generation that the known frames are of.
    known_of: Option<Generation>,
    /// The header was read and nothing written since: without shared memory, this is how recovery looks.
    read_from_the_start: bool,
    /// The masked header of a new frame, and its offset, until its page comes: one write for both.
    begun: Option<(u64, [u8; FRAME_HEADER_LEN])>,
    /// A frame as it stands in the file.
    frame: Vec<u8>,
}

/// What part of the log a request is about.
enum Part {
    Header,
    HeaderChecksum,
    FrameHeader,
    FrameChecksum,
    Page,
    Frame,
}

impl Wal {
    pub(super) fn new(raw: RawFile, sealed: Rc<RefCell<Sealed>>) -> Self {
        {
            let wal = &mut sealed.borrow_mut().wal;
            wal.generation = None;
            wal.open = true;
            wal.known.clear();
        }
        Self {
            sealed,
            raw,
            known_of: None,
            read_from_the_start: false,
            begun: None,
            frame: Vec::new(),
        }
    }

    pub(super) fn read(&mut self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.finish_begun()?;
        let sealed = self.sealed.clone();
        let sealed = &mut *sealed.borrow_mut();
        let page_len = sealed.page_size().to_usize();
        match part(offset, buf.len(), page_len).ok_or(Code::READ)? {
            Part::Header => {
                self.read_from_the_start = true;
                let header = self.read_header(sealed)?;
                // Where the shared memory is read-only, SQLite reads the header at the start of each transaction,
                // and the frames only if it has changed.
                if sealed.wal.generation.is_none() || self.known_of != sealed.wal.generation {
                    sealed.wal.known.clear();
                    self.known_of = sealed.wal.generation;
                }
                buf.copy_from_slice(&header);
                Ok(())
            }
            Part::HeaderChecksum => {
                let header = self.read_header(sealed)?;
                copy_tail(buf, &header)
            }
            Part::FrameHeader => {
                let header = self.read_frame_header(sealed, offset)?;
                buf.copy_from_slice(&header);
                Ok(())
            }
            Part::FrameChecksum => {
                let header = self.read_frame_header(sealed, offset - HEADER_MASKED as u64)?;
                copy_tail(buf, &header)
            }
            Part::Page => {
                let offset = offset - FRAME_HEADER_LEN as u64;
                let opened = self.read_indexed_frame(sealed, offset, buf);
                if opened.is_err() {
                    buf.fill(0);
                }
                opened
            }
            Part::Frame => {
                let (header, page) = buf
                    .split_first_chunk_mut::<FRAME_HEADER_LEN>()
                    .ok_or(Code::READ)?;
                match self.read_frame(sealed, offset, page) {
                    Ok(stored_header) => {
                        *header = stored_header;
                        unmask_frame(sealed, header, offset)?;
                        sealed
                            .wal
                            .remember(frame_index(offset, page_len), first_8(header))
                    }
                    Err(code) => {
                        // A header of zeros is no valid frame: recovery ends here.
                        buf.fill(0);
                        if code == Code::DATA && self.is_recovery(sealed) {
                            Ok(())
                        } else {
                            Err(code)
                        }
                    }
                }
            }
        }
    }

    pub(super) fn write(&mut self, buf: &[u8], offset: u64) -> Result<()> {
        let sealed = self.sealed.clone();
        let sealed = &mut *sealed.borrow_mut();
        let page_len = sealed.page_size().to_usize();
        self.read_from_the_start = false;
        match part(offset, buf.len(), page_len).ok_or(Code::WRITE)? {
            Part::Header => {
                self.finish_begun()?;
                self.write_header(sealed, buf)
            }
            Part::FrameHeader => self.write_frame_header(sealed, buf, offset),
            Part::Page => self.write_frame_page(sealed, buf, offset - FRAME_HEADER_LEN as u64),
            Part::HeaderChecksum | Part::FrameChecksum | Part::Frame => Err(Code::WRITE),
        }
    }

    fn write_frame_header(&mut self, sealed: &mut Sealed, buf: &[u8], offset: u64) -> Result<()> {
        self.finish_begun()?;
        self.ensure_current(sealed)?;
        let mut header = [0; FRAME_HEADER_LEN];
        header.copy_from_slice(buf);
        let generation = sealed.wal.generation.ok_or(Code::WRITE)?;
        let mask = sealed.keys(generation.mask_epoch)?.wal_mask();
        apply(&mut header, FRAME_MASKED, |at, block| {
            mask.mask(offset + at, block)
        });
        let frame = frame_index(offset, sealed.page_size().to_usize());
        let start = first_8(&header);
        // SQLite writes new checksums over those of frames that it has written before. A new frame's page follows
        // its header at once.
        if sealed.wal.known_start(frame).is_some() {
            self.raw.write(&header, offset)?;
        } else {
            self.begun = Some((offset, header));
        }
        sealed.wal.remember(frame, start)
    }

    fn write_frame_page(&mut self, sealed: &mut Sealed, page: &[u8], offset: u64) -> Result<()> {
        let begun = self.begun.take_if(|(at, _)| *at == offset);
        self.finish_begun()?;
        self.ensure_current(sealed)?;
        // SQLite overwrites a page of its own transaction without the header. What stands in the file may have been
        // changed: only what was written counts.
        let start = sealed
            .wal
            .known_start(frame_index(offset, page.len()))
            .ok_or(Code::WRITE)?;
        let generation = sealed.wal.generation.ok_or(Code::WRITE)?;
        let (number, place) = locate(start, offset, generation);
        if number == 1 && !is_our_first_page(page) {
            return Err(Code::WRITE);
        }
        let raw = self.raw;
        match begun {
            Some((_, header)) => sealed.seal_page(number, place, &header, page, |stored| {
                raw.write(stored, offset)
            }),
            None => sealed.seal_page(number, place, &[], page, |stored| {
                raw.write(stored, offset + FRAME_HEADER_LEN as u64)
            }),
        }
    }

    /// Writes the header of a frame whose page did not come.
    pub(super) fn finish_begun(&mut self) -> Result<()> {
        match self.begun.take() {
            Some((offset, header)) => self.raw.write(&header, offset),
            None => Ok(()),
        }
    }

    pub(super) fn truncate(&mut self, len: u64) -> Result<()> {
        self.finish_begun()?;
        // SQLite also trims the log behind frames that it still needs.
        let mut sealed = self.sealed.borrow_mut();
        let frames = frame_index(len, sealed.page_size().to_usize());
        sealed
            .wal
            .known
            .truncate(usize::try_from(frames).unwrap_or(usize::MAX));
        self.raw.truncate(len)?;
        #[cfg(feature = "rusqlite")]
        if len == 0 {
            sealed.log_is_empty(self.raw)?;
        }
        Ok(())
    }

    pub(super) fn sync(&mut self, flags: c_int) -> Result<()> {
        self.finish_begun()?;
        self.raw.sync_with(flags)
    }

    pub(super) fn len(&mut self) -> Result<u64> {
        self.finish_begun()?;
        self.raw.len()
    }

    /// Reads the frame that SQLite found in its index: it must be of the generation and hold the page that the
    /// index says. Frames of another generation, or of a transaction that was rolled back, are authentic, too.
    fn read_indexed_frame(
        &mut self,
        sealed: &mut Sealed,
        offset: u64,
        page: &mut [u8],
    ) -> Result<()> {
        let header = self.read_frame(sealed, offset, page)?;
        let frame = frame_index(offset, page.len());
        let [a, b, c, d, ..] = first_8(&header);
        let number = u32::from_be_bytes([a, b, c, d]);
        let wal = &sealed.wal;
        let current = wal.generation_is_current || wal.is_indexed_generation();
        if current && wal.expected_page(frame) == Some(number) {
            Ok(())
        } else {
            Err(Code::DATA)
        }
    }

    /// Whether a frame that does not open ends the log instead of failing (F-28).
    const fn is_recovery(&self, sealed: &Sealed) -> bool {
        let wal = &sealed.wal;
        wal.recovering
            || wal.shared_memory_read_only
            || (!wal.shared_memory && self.read_from_the_start)
    }

    /// Reads the WAL header unmasked, and learns the generation from it (F-27). A generation that no key of ours
    /// unmasks may be of an epoch that has begun since the header was read.
    fn read_header(&self, sealed: &mut Sealed) -> Result<[u8; 32]> {
        let header = self.try_read_header(sealed)?;
        if sealed.wal.generation.is_none() && sealed.refresh()? {
            return self.try_read_header(sealed);
        }
        Ok(header)
    }

    fn try_read_header(&self, sealed: &mut Sealed) -> Result<[u8; 32]> {
        let mut stored = [0; 32];
        full(self.raw.read(&mut stored, 0)?)?;
        sealed.wal.generation = None;
        let mut found = None;
        for keys in sealed.all_keys()? {
            let mut header = stored;
            apply(&mut header, HEADER_MASKED, |at, block| {
                keys.wal_mask().unmask(at, block)
            });
            if has_right_checksum(&header) {
                found = Some((keys.epoch(), header));
                break;
            }
        }
        let Some((mask_epoch, header)) = found else {
            return Ok(stored);
        };
        sealed.wal.generation = Some(Generation {
            mask_epoch,
            salts: salts(&header),
        });
        Ok(header)
    }

    fn write_header(&mut self, sealed: &mut Sealed, buf: &[u8]) -> Result<()> {
        let mut header = [0; 32];
        header.copy_from_slice(buf);
        let generation = Generation {
            mask_epoch: sealed.newest_keys()?.epoch(),
            salts: salts(&header),
        };
        let mask: &WalMask = sealed.newest_keys()?.wal_mask();
        apply(&mut header, HEADER_MASKED, |at, block| mask.mask(at, block));
        self.raw.write(&header, 0)?;
        sealed.wal.known.clear();
        self.known_of = Some(generation);
        sealed.wal.generation = Some(generation);
        sealed.wal.generation_is_current = true;
        Ok(())
    }

    /// Before a frame is written: the salts must be those that stand in the file now.
    fn ensure_current(&self, sealed: &mut Sealed) -> Result<()> {
        if !sealed.wal.generation_is_current {
            self.read_header(sealed)?;
            if !sealed.wal.is_indexed_generation() {
                return Err(Code::WRITE);
            }
            sealed.wal.generation_is_current = true;
        }
        Ok(())
    }

    /// A frame header, unmasked; as it stands if no generation is known.
    fn read_frame_header(
        &self,
        sealed: &mut Sealed,
        offset: u64,
    ) -> Result<[u8; FRAME_HEADER_LEN]> {
        let mut header = [0; FRAME_HEADER_LEN];
        full(self.raw.read(&mut header, offset)?)?;
        self.ensure_generation(sealed)?;
        unmask_frame(sealed, &mut header, offset)?;
        Ok(header)
    }

    fn ensure_generation(&self, sealed: &mut Sealed) -> Result<()> {
        if sealed.wal.generation.is_none() {
            self.read_header(sealed)?;
        }
        Ok(())
    }

    /// Reads a frame: returns its header as it stands, masked, and opens its page into `page`.
    ///
    /// Another connection may have begun a generation since the salts were read: then they are read
    /// again, once.
    fn read_frame(
        &mut self,
        sealed: &mut Sealed,
        offset: u64,
        page: &mut [u8],
    ) -> Result<[u8; FRAME_HEADER_LEN]> {
        self.ensure_generation(sealed)?;
        let tried = sealed.wal.generation;
        match self.open_frame(sealed, offset, page) {
            Err(Code::DATA) => {
                self.read_header(sealed)?;
                if sealed.wal.generation == tried {
                    return Err(Code::DATA);
                }
                self.open_frame(sealed, offset, page)
            }
            other => other,
        }
    }

    fn open_frame(
        &mut self,
        sealed: &mut Sealed,
        offset: u64,
        page: &mut [u8],
    ) -> Result<[u8; FRAME_HEADER_LEN]> {
        self.frame.resize(FRAME_HEADER_LEN + page.len(), 0);
        match self.raw.read(&mut self.frame, offset)? {
            Read::Full => {}
            Read::Short => return Err(Code::DATA),
        }
        let (header, stored) = self
            .frame
            .split_first_chunk_mut::<FRAME_HEADER_LEN>()
            .ok_or(Code::READ)?;
        let generation = sealed.wal.generation.ok_or(Code::DATA)?;
        let (number, place) = locate(first_8(header), offset, generation);
        sealed.open_page_to(number, place, stored, page)?;
        Ok(*header)
    }

    // --- verification -------------------------------------------------------------------------

    /// What stands in the log. A frame is good if it opens and continues SQLite's checksums: else recovery ends
    /// before it.
    #[cfg(feature = "rusqlite")]
    pub(crate) fn verify(&mut self, sealed: &mut Sealed) -> Result<VerifiedWal> {
        let mut found = VerifiedWal::default();
        let len = self.raw.len()?;
        if len < HEADER_LEN {
            return Ok(found);
        }
        let header = self.read_header(sealed)?;
        let frame_len = (FRAME_HEADER_LEN + sealed.page_size().to_usize()) as u64;
        let frames = (len - HEADER_LEN) / frame_len;
        let Some(generation) = sealed.wal.generation else {
            found.lost = frames;
            return Ok(found);
        };
        let big_endian = is_big_endian(&header);
        let mut sum = Some(stored_sum(&header));
        let mut page = Zeroizing::new(vec![0; sealed.page_size().to_usize()]);
        let mut bad = Vec::new();
        for index in 0..frames {
            let offset = HEADER_LEN + index * frame_len;
            match self.open_frame(sealed, offset, &mut page) {
                Ok(mut header) => {
                    unmask_frame(sealed, &mut header, offset)?;
                    let stored = stored_sum(&header);
                    // Behind a frame that does not open, nobody can tell.
                    let expected = sum.map_or(stored, |sum| {
                        let sum = add_to_sum(big_endian, sum, &first_8(&header));
                        add_to_sum(big_endian, sum, &page)
                    });
                    sum = Some(expected);
                    if stored == expected && header.get(8..16) == Some(&generation.salts) {
                        found.good += 1;
                        found.damaged.append(&mut bad);
                    } else {
                        bad.push(index);
                    }
                }
                Err(Code::DATA) => {
                    sum = None;
                    bad.push(index);
                }
                Err(code) => return Err(code),
            }
        }
        Ok(found)
    }
}

/// What [`Wal::verify`] finds.
#[cfg(feature = "rusqlite")]
#[derive(Default)]
pub(crate) struct VerifiedWal {
    /// How many frames are good.
    pub(crate) good: u64,
    /// The indices (from 0) of those that are not, but stand before one that is.
    pub(crate) damaged: Vec<u64>,
    /// How many frames stand behind a header that does not authenticate: none of them counts.
    pub(crate) lost: u64,
}

impl Drop for Wal {
    fn drop(&mut self) {
        self.sealed.borrow_mut().wal.open = false;
    }
}

/// The number of a frame, from 0.
const fn frame_index(offset: u64, page_len: usize) -> u64 {
    offset.saturating_sub(HEADER_LEN) / (FRAME_HEADER_LEN + page_len) as u64
}

/// Which part a request names; `None` for a shape that SQLite does not have.
fn part(offset: u64, len: usize, page_len: usize) -> Option<Part> {
    let frame_len = (FRAME_HEADER_LEN + page_len) as u64;
    match (offset.checked_sub(HEADER_LEN), len) {
        (None, 32) if offset == 0 => Some(Part::Header),
        (None, 8) if offset == 24 => Some(Part::HeaderChecksum),
        (None, _) => None,
        (Some(rest), len) => match rest % frame_len {
            0 if len == FRAME_HEADER_LEN => Some(Part::FrameHeader),
            0 if len == FRAME_HEADER_LEN + page_len => Some(Part::Frame),
            16 if len == 8 => Some(Part::FrameChecksum),
            24 if len == page_len => Some(Part::Page),
            _ => None,
        },
    }
}

/// Page number and place of a frame, from the first 8 bytes of its header.
fn locate(start: [u8; 8], frame_offset: u64, generation: Generation) -> (u32, Place) {
    let [a, b, c, d, e, f, g, h] = start;
    let commit_size = u32::from_be_bytes([e, f, g, h]);
    let place = Place::Wal {
        frame_offset,
        commit_size,
        salts: generation.salts,
    };
    (u32::from_be_bytes([a, b, c, d]), place)
}

fn unmask_frame(sealed: &Sealed, frame: &mut [u8], offset: u64) -> Result<()> {
    if let Some(generation) = sealed.wal.generation {
        let mask = sealed.keys(generation.mask_epoch)?.wal_mask();
        apply(frame, FRAME_MASKED, |at, block| {
            mask.unmask(offset + at, block)
        });
    }
    Ok(())
}

/// Replaces the 16 bytes at `at` by what `f` makes of their offset and value.
fn apply(bytes: &mut [u8], at: usize, f: impl FnOnce(u64, [u8; MASKED_LEN]) -> [u8; MASKED_LEN]) {
    if let Some(block) = bytes
        .get_mut(at..)
        .and_then(<[u8]>::first_chunk_mut::<MASKED_LEN>)
    {
        *block = f(at as u64, *block);
    }
}

fn first_8(bytes: &[u8]) -> [u8; 8] {
    bytes.first_chunk().copied().unwrap_or_default()
}

fn salts(header: &[u8; 32]) -> [u8; 8] {
    let (_, tail) = header.split_at(HEADER_MASKED);
    first_8(tail)
}

fn copy_tail(buf: &mut [u8], bytes: &[u8]) -> Result<()> {
    let from = bytes.len().checked_sub(buf.len()).ok_or(Code::READ)?;
    buf.copy_from_slice(bytes.get(from..).ok_or(Code::READ)?);
    Ok(())
}

/// SQLite's WAL checksum over the first 24 bytes of the header, in the byte order that its magic names.
fn has_right_checksum(header: &[u8; 32]) -> bool {
    let (summed, _) = header.split_at(24);
    add_to_sum(is_big_endian(header), (0, 0), summed) == stored_sum(header)
}

const fn is_big_endian(header: &[u8; 32]) -> bool {
    header[3] & 1 == 1
}

/// The checksum at the end of a header of the log or of a frame.
fn stored_sum(header: &[u8]) -> (u32, u32) {
    let word = |bytes: Option<&[u8; 4]>| bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes));
    let (first, last) = header.split_at(header.len().saturating_sub(4));
    (word(first.last_chunk()), word(last.first_chunk()))
}

/// Goes on with SQLite's checksum over these bytes.
fn add_to_sum(big_endian: bool, (mut s0, mut s1): (u32, u32), bytes: &[u8]) -> (u32, u32) {
    let word = |bytes: &[u8; 4]| {
        if big_endian {
            u32::from_be_bytes(*bytes)
        } else {
            u32::from_le_bytes(*bytes)
        }
    };
    for pair in bytes.as_chunks::<4>().0.as_chunks::<2>().0 {
        let [x, y] = pair.each_ref().map(word);
        s0 = s0.wrapping_add(x).wrapping_add(s1);
        s1 = s1.wrapping_add(y).wrapping_add(s0);
    }
    (s0, s1)
}
