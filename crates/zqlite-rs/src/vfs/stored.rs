//! The database file as it stands on the disk: for whoever seals, or checks, exactly these bytes.

use zqlite_pq::header::{self, COPY_LEN, Header};
use zqlite_pq::page::Place;

use super::code::{Code, Result};
use super::ffi::{RawFile, Read};
use super::layout;
use super::sealed::Sealed;

/// SQLite's file layer takes no more than 128 KiB in one call.
const PIECE: usize = 65_536;

/// Reads stored bytes. Fewer than were asked for are damage.
pub(crate) fn read_stored(raw: RawFile, buf: &mut [u8], physical: u64) -> Result<()> {
    let mut at = physical;
    for piece in buf.chunks_mut(PIECE) {
        match raw.read(piece, at)? {
            Read::Full => at += piece.len() as u64,
            Read::Short => return Err(Code::SHORT_READ),
        }
    }
    Ok(())
}

/// Both header copies as they stand.
pub(crate) fn stored_copies(raw: RawFile) -> Result<[Vec<u8>; 2]> {
    let mut copies = [vec![0; COPY_LEN], vec![0; COPY_LEN]];
    for (copy, at) in copies.iter_mut().zip([0, COPY_LEN as u64]) {
        read_stored(raw, copy, at)?;
    }
    Ok(copies)
}

/// Whether the hole, if the file reaches it, is zero (F-4).
pub(crate) fn hole_is_zero(raw: RawFile) -> Result<bool> {
    let present = raw
        .len()?
        .saturating_sub(layout::HOLE_OFFSET)
        .min(layout::HOLE_LEN);
    let mut hole = vec![0; usize::try_from(present).map_err(|_| Code::READ)?];
    read_stored(raw, &mut hole, layout::HOLE_OFFSET)?;
    Ok(hole.iter().all(|&byte| byte == 0))
}

impl Sealed {
    /// The open file below.
    pub(crate) const fn file(&self) -> RawFile {
        self.raw
    }

    /// The header in hand and the bytes of its copy, if both copies are these bytes. The write lock is held.
    pub(crate) fn healthy_header(&self) -> Result<Option<(Header, Vec<u8>)>> {
        let opened = self.opened().ok_or(Code::NOTFOUND)?;
        let [a, b] = stored_copies(self.raw)?;
        if a != b {
            return Ok(None);
        }
        Ok(header::reopen(&a, &b, &opened.epochs)
            .ok()
            .filter(|again| again.is_healthy() && again.header == opened.header)
            .map(|again| (again.header, a)))
    }

    /// Whether a stored page opens in its place in the database. `scratch` has the length of a page and gets its content.
    pub(crate) fn opens(&mut self, number: u32, stored: &[u8], scratch: &mut [u8]) -> Result<bool> {
        match self.open_page_to(number, Place::Database, stored, scratch) {
            Ok(()) => Ok(true),
            Err(Code::DATA) => Ok(false),
            Err(code) => Err(code),
        }
    }
}
