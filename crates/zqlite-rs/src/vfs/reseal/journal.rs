//! The rekey journal: the pages that are being written, so that none is lost if the power fails meanwhile
//! (FORMAT.md section 8.1).
//!
//! It holds sealed pages only, and each proves by itself which page it is.

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use zqlite_pq::epoch::FileId;
use zqlite_pq::page::Trailer;

#[cfg(feature = "rusqlite")]
mod writing;
#[cfg(feature = "rusqlite")]
pub(crate) use writing::RekeyJournal;

const MAGIC: &[u8; 16] = b"zqlite rekey \r\n\x1a";
/// Magic ‖ file id ‖ page length u32 ‖ number of records u32.
const HEADER_LEN: usize = 16 + FileId::LEN + 4 + 4;
/// Length of a record's page number.
const NUMBER_LEN: usize = 4;
/// Records in a journal, at most.
pub(crate) const MAX_RECORDS: usize = 1_024;

/// Whether a record may stand for a page that does not open and ends with this trailer: what tore it was the writing of
/// that very record. A page that was written since has another nonce.
pub(super) fn stands_for(torn: Trailer, record: &[u8]) -> bool {
    Trailer::decode(record).is_some_and(|record| torn == record || torn.epoch < record.epoch)
}

/// Copies a stored page out of the journal beside a database, if there is one that has it. What comes out proves itself
/// when it is opened.
pub(super) fn find(database: &Path, file_id: &FileId, number: u32, page: &mut [u8]) -> bool {
    search(database, file_id, number, page).is_some()
}

fn search(database: &Path, file_id: &FileId, number: u32, page: &mut [u8]) -> Option<()> {
    let path = beside(database);
    // Never the database itself: its POSIX locks would be lost when it is closed. And a pipe would keep us waiting.
    let (found, own) = (
        std::fs::symlink_metadata(&path).ok()?,
        std::fs::metadata(database).ok()?,
    );
    if !found.is_file() || is_same(&found, &own) {
        return None;
    }
    let mut file = File::open(path).ok()?;
    let mut header = [0; HEADER_LEN];
    file.read_exact(&mut header).ok()?;
    let count = header_of(&header, file_id, page.len())?;
    for _ in 0..count {
        let mut found = [0; NUMBER_LEN];
        file.read_exact(&mut found).ok()?;
        if u32::from_be_bytes(found) == number {
            return file.read_exact(page).ok();
        }
        file.seek_relative(i64::try_from(page.len()).ok()?).ok()?;
    }
    None
}

/// The number of records, if it is a journal of that file.
fn header_of(header: &[u8; HEADER_LEN], file_id: &FileId, page_len: usize) -> Option<usize> {
    let rest = header
        .strip_prefix(MAGIC)?
        .strip_prefix(file_id.as_bytes())?;
    let (found_len, count) = rest.split_first_chunk()?;
    let count = u32::from_be_bytes(*count.first_chunk()?) as usize;
    let fits = u32::from_be_bytes(*found_len) as usize == page_len && count <= MAX_RECORDS;
    fits.then_some(count)
}

#[cfg(unix)]
fn is_same(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
fn is_same(_a: &Metadata, _b: &Metadata) -> bool {
    false
}

fn beside(database: &Path) -> PathBuf {
    let mut name = OsString::from(database.as_os_str());
    name.push("-rekey");
    name.into()
}
