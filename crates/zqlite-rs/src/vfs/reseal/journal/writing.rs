//! The journal of whoever rekeys.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use zqlite_pq::epoch::FileId;

use super::{HEADER_LEN, MAGIC, MAX_RECORDS, NUMBER_LEN, beside, header_of, is_same};
use crate::target::is_same_file;
use crate::vfs::code::{Code, Result};
use crate::vfs::sealed::sync_folder;

/// Where the number of records stands.
const COUNT_AT: u64 = HEADER_LEN as u64 - 4;

/// The journal of a running rekey, locked for as long as this lives.
#[derive(Debug)]
pub(crate) struct RekeyJournal {
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
    /// Whether it may hold pages that are not durable in the database.
    is_needed: bool,
}

impl RekeyJournal {
    /// Makes or takes over the journal beside a database, and locks it.
    ///
    /// # Errors
    /// `ErrorKind::WouldBlock` if another rekey holds it.
    pub(crate) fn open(database: &Path) -> std::io::Result<Self> {
        let path = beside(database);
        let own = std::fs::metadata(database)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        loop {
            if std::fs::symlink_metadata(&path)
                .is_ok_and(|found| !found.is_file() || is_same(&found, &own))
            {
                return Err(not_ours(&path));
            }
            let file = options.open(&path)?;
            file.try_lock().map_err(|error| match error {
                TryLockError::WouldBlock => ErrorKind::WouldBlock.into(),
                TryLockError::Error(error) => error,
            })?;
            // One that ended between the opening and the lock has removed the file.
            if !is_same_file(&file, &path) {
                continue;
            }
            let found = file.metadata()?;
            if !is_alone(&found) || is_same(&found, &own) {
                return Err(not_ours(&path));
            }
            // Readers of the database must be able to read it, and its owner to go on.
            give_to_the_same(&file, &found, &own)?;
            sync_folder(&path).map_err(|_| std::io::Error::other("the folder cannot be synced"))?;
            return Ok(Self {
                path,
                file,
                buffer: Vec::new(),
                is_needed: found.len() > 0,
            });
        }
    }

    /// Replaces what the journal holds, durably. The pages of the last time are durable in the database.
    pub(in crate::vfs) fn write<'a>(
        &mut self,
        file_id: &FileId,
        page_len: usize,
        records: impl Iterator<Item = (u32, &'a [u8])>,
    ) -> Result<()> {
        self.buffer.clear();
        self.buffer.resize(HEADER_LEN, 0);
        let mut count = 0u32;
        for (number, page) in records {
            self.buffer.extend_from_slice(&number.to_be_bytes());
            self.buffer.extend_from_slice(page);
            count += 1;
        }
        let page_len = u32::try_from(page_len).map_err(|_| Code::INTERNAL)?;
        let header = [
            MAGIC.as_slice(),
            file_id.as_bytes(),
            &page_len.to_be_bytes(),
            &count.to_be_bytes(),
        ]
        .concat();
        if let Some(start) = self.buffer.get_mut(..HEADER_LEN) {
            start.copy_from_slice(&header);
        }
        self.is_needed = true;
        self.file
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.file.write_all(&self.buffer))
            .and_then(|()| self.file.sync_data())
            .map_err(|_| Code::WRITE)
    }

    /// All its pages are durable in the database: from now on it stands for none. It keeps its length: to write the same
    /// blocks again is much cheaper than to have them allocated.
    pub(in crate::vfs) fn clear(&mut self) -> Result<()> {
        if self.is_needed {
            self.file
                .seek(SeekFrom::Start(COUNT_AT))
                .and_then(|_| self.file.write_all(&0u32.to_be_bytes()))
                .map_err(|_| Code::WRITE)?;
            self.is_needed = false;
        }
        Ok(())
    }

    /// What an interrupted rekey left: numbers and stored pages. A record that is not whole was never needed.
    pub(in crate::vfs) fn records(
        &mut self,
        file_id: &FileId,
        page_len: usize,
    ) -> Result<Vec<(u32, Vec<u8>)>> {
        self.buffer.clear();
        self.file
            .seek(SeekFrom::Start(0))
            .and_then(|_| {
                let longest = HEADER_LEN + MAX_RECORDS * (NUMBER_LEN + page_len);
                let mut file = (&self.file).take(longest as u64);
                file.read_to_end(&mut self.buffer)
            })
            .map_err(|_| Code::READ)?;
        let Some((header, records)) = self.buffer.split_first_chunk::<HEADER_LEN>() else {
            return Ok(Vec::new());
        };
        let Some(count) = header_of(header, file_id, page_len) else {
            return Ok(Vec::new());
        };
        let records = records.chunks_exact(NUMBER_LEN + page_len).take(count);
        let split = |record: &[u8]| {
            let (number, page) = record.split_first_chunk()?;
            Some((u32::from_be_bytes(*number), page.to_vec()))
        };
        Ok(records.filter_map(split).collect())
    }
}

impl Drop for RekeyJournal {
    /// Removes the journal, unless it holds what an interrupted step needs.
    fn drop(&mut self) {
        if !self.is_needed {
            // One that stays is empty, and has no effect.
            let _removed = std::fs::remove_file(&self.path);
        }
    }
}

fn not_ours(path: &Path) -> std::io::Error {
    let path = path.display();
    std::io::Error::other(format!("{path}: no file of a rekey stands here; remove it"))
}

/// Whether the file has no other name, under which it would be something else.
#[cfg(unix)]
fn is_alone(file: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(file) == 1
}

#[cfg(not(unix))]
fn is_alone(_file: &Metadata) -> bool {
    true
}

/// Gives the journal the mode of the database, and its owner where that is permitted.
#[cfg(unix)]
fn give_to_the_same(journal: &File, found: &Metadata, database: &Metadata) -> std::io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
    let (is, ought) = ((found.uid(), found.gid()), (database.uid(), database.gid()));
    if is != ought && fchown(journal, Some(ought.0), Some(ought.1)).is_err() {
        // Not the superuser: it stays ours.
    }
    let mode = database.mode() & 0o666;
    if found.uid() == database.uid() && found.mode() & 0o777 != mode {
        journal.set_permissions(std::fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn give_to_the_same(_: &File, _: &Metadata, _: &Metadata) -> std::io::Result<()> {
    Ok(())
}
