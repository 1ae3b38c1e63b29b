//! The journal of whoever rekeys.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use zqlite_pq::epoch::FileId;

use super::{HEADER_LEN, MAGIC, NUMBER_LEN, beside, header_of};
use crate::target::is_same_file;
use crate::vfs::code::{Code, Result};
use crate::vfs::sealed::sync_folder;

/// The journal of a running rekey, locked for as long as this lives.
#[derive(Debug)]
pub(crate) struct RekeyJournal {
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
}

impl RekeyJournal {
    /// Makes or takes over the journal beside a database, and locks it.
    ///
    /// # Errors
    /// `ErrorKind::WouldBlock` if another rekey holds it.
    pub(crate) fn open(database: &Path) -> std::io::Result<Self> {
        let path = beside(database);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
            // Readers of the database must be able to read it.
            options.mode(std::fs::metadata(database)?.mode() & 0o666);
        }
        loop {
            if std::fs::symlink_metadata(&path).is_ok_and(|found| !found.is_file()) {
                return Err(std::io::Error::other(format!(
                    "{}: not a regular file",
                    path.display()
                )));
            }
            let file = options.open(&path)?;
            file.try_lock().map_err(|error| match error {
                TryLockError::WouldBlock => ErrorKind::WouldBlock.into(),
                TryLockError::Error(error) => error,
            })?;
            // One that ended between the opening and the lock has removed the file.
            if is_same_file(&file, &path) {
                sync_folder(&path)
                    .map_err(|_| std::io::Error::other("the folder cannot be synced"))?;
                return Ok(Self {
                    path,
                    file,
                    buffer: Vec::new(),
                });
            }
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
        self.file
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.file.write_all(&self.buffer))
            .and_then(|()| self.file.sync_data())
            .map_err(|_| Code::WRITE)
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
            .and_then(|_| self.file.read_to_end(&mut self.buffer))
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

    /// Removes the journal: all its pages are durable in the database.
    pub(crate) fn remove(self) {
        // One that stays has no effect: its pages open in the database.
        let _removed = std::fs::remove_file(&self.path);
    }
}
