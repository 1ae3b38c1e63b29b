//! What can be known of a sealed file without a key.

use std::path::{Path, PathBuf};

use zqlite_pq::header::{self, COPY_LEN, Inspection};

use crate::Error;
use crate::builder::check_path;
use crate::vfs::{PlainFile, PlainVfs, header_error, layout};

/// A header and the file around it.
#[derive(Debug)]
#[non_exhaustive]
pub struct FileInspection {
    /// Physical length of the file in bytes.
    pub file_len: u64,
    /// Length of SQLite's database in bytes.
    pub database_len: u64,
    /// The header.
    pub header: Inspection,
    /// Whether a WAL stands beside the file.
    pub has_wal: bool,
    /// Whether a rollback journal stands beside the file.
    pub has_journal: bool,
}

/// Reads the header of a sealed file. Needs no key and proves nothing.
///
/// Takes no lock, and reads through SQLite's file layer: connections of this process keep theirs.
///
/// # Errors
/// See [`Error`]; [`Error::Damaged`] only if neither header copy can be read.
pub fn inspect(path: &Path) -> Result<FileInspection, Error> {
    check_path(path, false)?;
    let io = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    let file = PlainVfs::of_sqlite()
        .and_then(|vfs| PlainFile::open(vfs, path))
        .map_err(io)?;
    let file_len = file.len().map_err(io)?;
    let copy = |offset: u64| -> std::io::Result<Vec<u8>> {
        let present = file_len.saturating_sub(offset).min(COPY_LEN as u64);
        let mut bytes = vec![0; usize::try_from(present).map_err(std::io::Error::other)?];
        file.read_exact(&mut bytes, offset)?;
        Ok(bytes)
    };
    let (a, b) = (copy(0).map_err(io)?, copy(COPY_LEN as u64).map_err(io)?);
    let header = header::inspect(&a, &b);
    if let Some(refusal) = &header.refusal {
        return Err(header_error(refusal, path, &a, file_len));
    }
    Ok(FileInspection {
        file_len,
        database_len: layout::logical_len(file_len),
        header,
        has_wal: is_nonempty(&beside(path, "-wal")),
        has_journal: is_nonempty(&beside(path, "-journal")),
    })
}

/// The path with a suffix, as SQLite names its companions.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn is_nonempty(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0)
}
