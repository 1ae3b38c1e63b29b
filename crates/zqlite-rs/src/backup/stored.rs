//! Copying stored pages as they are.
//!
//! A page whose trailer (nonce, epoch, tag) is the same is the same page: so a run goes on where the last one stopped, and
//! only what changed meanwhile is copied while writers are kept from changing the file. Whatever is torn, in the copy or
//! by a read beside a write, does not open at the end, and is copied again.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use zqlite_pq::header::HEADER_LEN;
use zqlite_pq::page::TRAILER_LEN;

use super::{BackedUp, Source, hold};
use crate::target::Target;
use crate::verify::PAGES_PER_STEP;
use crate::vfs::{Code, hole_is_zero, layout, read_stored, with_sealed};
use crate::{Error, Progress};

/// Bytes that are read at once: a multiple of every page size.
const CHUNK: usize = 1 << 20;
/// Passes before the last one, at most: until few pages differ.
const EARLY_PASSES: u32 = 4;
/// How many pages may differ for the last pass.
const FEW: u64 = 256;
/// How often pages that do not open are copied again.
const REPAIRS: u32 = 3;

/// One backup under way.
struct Copying<'a> {
    source: &'a Source<'a>,
    path: &'a Path,
    target: Target,
    page_len: usize,
    resumed: bool,
    written: u64,
}

type Report<'a> = &'a mut dyn FnMut(Progress) -> bool;

/// Copies the file as it is; an interrupted run is gone on with.
pub(super) fn copy(
    source: &Source<'_>,
    out: &Path,
    force: bool,
    progress: Report<'_>,
) -> Result<BackedUp, Error> {
    let reader = source.connect()?;
    // Recovers what has to be recovered, and opens the WAL.
    source.patiently(|| reader.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())))?;
    let (file_id, page_len) = with_sealed(&reader, |sealed, _| {
        let header = &sealed.opened().ok_or(Code::NOTFOUND)?.header;
        Ok((*header.file_id(), header.page_size().to_usize()))
    })
    .map_err(|code| code.at(source.path))?;
    let mut copying = Copying {
        source,
        path: out,
        target: Target::resume(out, force, &file_id.to_string())?,
        page_len,
        resumed: false,
        written: 0,
    };
    copying.resumed = copying.copied_len()? > 0;
    match copying.make(&reader, progress) {
        Ok(pages) => {
            let made = BackedUp {
                file_id,
                pages,
                pages_written: copying.written,
                resumed: copying.resumed,
            };
            copying.target.finish()?;
            Ok(made)
        }
        Err(Error::Interrupted) => {
            copying.target.keep();
            Err(Error::BackupStopped {
                path: out.to_owned(),
            })
        }
        Err(error) => Err(error),
    }
}

impl Copying<'_> {
    /// Makes the copy; the number of its pages.
    fn make(&mut self, reader: &Connection, progress: Report<'_>) -> Result<u64, Error> {
        for _ in 0..EARLY_PASSES {
            if self.pass(reader, progress)? <= FEW {
                break;
            }
        }
        for repair in 0..=REPAIRS {
            self.last_pass(reader, progress)?;
            let bad = self.bad_pages(progress)?;
            let Some(first) = bad.first() else {
                break;
            };
            if repair == REPAIRS {
                return Err(Error::Damaged {
                    path: self.source.path.to_owned(),
                    what: format!("page {first} does not open, and a backup without it is none"),
                });
            }
            // Whatever stands there now is no page: it will differ.
            let trailer = [0; TRAILER_LEN];
            for number in bad {
                let end = layout::physical(number * self.page_len as u64 - 1) + 1;
                self.write(&trailer, end - TRAILER_LEN as u64)?;
            }
        }
        Ok(layout::logical_len(self.copied_len()?) / self.page_len as u64)
    }

    /// The pass that gives the state of one moment.
    fn last_pass(&mut self, reader: &Connection, progress: Report<'_>) -> Result<(), Error> {
        let total = self.copied_len()?;
        let source = self.source;
        let mut go_on = || progress(Progress { done: total, total });
        hold::unchanged(source, reader, &mut go_on, |header| {
            self.pass(reader, &mut |_| true)?;
            let [a, b] = header;
            self.write(a, 0)?;
            self.write(b, a.len() as u64)
        })
    }

    /// Copies every page that differs, as the file is now; returns how many.
    fn pass(&mut self, reader: &Connection, progress: Report<'_>) -> Result<u64, Error> {
        let at = |code: Code| code.at(self.source.path);
        let stored_len = || with_sealed(reader, |sealed, _| sealed.file().len()).map_err(at);
        let (mut stored, mut copied) = (vec![0; CHUNK], vec![0; CHUNK]);
        let mut offset = HEADER_LEN;
        let mut differing = 0;
        loop {
            let len = stored_len()?;
            if !progress(Progress {
                done: offset.min(len),
                total: len,
            }) {
                return Err(Error::Interrupted);
            }
            if offset >= len {
                break;
            }
            let present = usize::try_from(len - offset).unwrap_or(CHUNK).min(CHUNK);
            // A page that is being written this moment, at the end of the file, is left to the next pass.
            let present = present - present % self.page_len;
            if present == 0 {
                break;
            }
            let stored = stored
                .get_mut(..present)
                .ok_or_else(|| at(Code::INTERNAL))?;
            let read = with_sealed(reader, |sealed, _| {
                read_stored(sealed.file(), stored, offset)
            });
            // The file became shorter this moment.
            if read == Err(Code::SHORT_READ) {
                break;
            }
            read.map_err(at)?;
            self.read_copied(&mut copied, offset)?;
            differing += self.write_differing(stored, &copied, offset)?;
            offset += present as u64;
        }
        let len = stored_len()?;
        if self.copied_len()? != len {
            self.file()?.set_len(len).map_err(|error| self.io(error))?;
        }
        Ok(differing)
    }

    /// Writes the pages of a chunk that the copy has not, those that follow each other at once.
    fn write_differing(&mut self, stored: &[u8], copied: &[u8], offset: u64) -> Result<u64, Error> {
        let page_len = self.page_len;
        let trailer = |chunk: &[u8], at: usize| {
            let end = at + page_len;
            chunk
                .get(end - TRAILER_LEN..end)
                .and_then(|bytes| <[u8; TRAILER_LEN]>::try_from(bytes).ok())
        };
        let differs = |at: usize| trailer(stored, at) != trailer(copied, at);
        let (mut at, mut count) = (0, 0);
        while at < stored.len() {
            let start = at;
            while at < stored.len() && differs(at) {
                at += page_len;
                count += 1;
            }
            if let Some(run) = stored.get(start..at).filter(|run| !run.is_empty()) {
                self.write(run, offset + start as u64)?;
            } else {
                at += page_len;
            }
        }
        self.written += count;
        Ok(count)
    }

    /// The numbers of the pages of the copy that do not open, and whatever else is wrong with it.
    fn bad_pages(&self, progress: Report<'_>) -> Result<Vec<u64>, Error> {
        let unfinished = self.target.unfinished();
        let at = |code: Code| code.at(unfinished);
        let copy = self
            .source
            .connect_to(unfinished, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let (pages, page_len, odd) = with_sealed(&copy, |sealed, _| sealed.pages()).map_err(at)?;
        let (mut bad, mut next) = (Vec::new(), 0);
        while next < pages {
            let end = (next + PAGES_PER_STEP).min(pages);
            let found = with_sealed(&copy, |sealed, _| sealed.bad_pages(next, end));
            bad.extend(found.map_err(at)?);
            next = end;
            if !progress(Progress {
                done: next * page_len,
                total: pages * page_len,
            }) {
                return Err(Error::Interrupted);
            }
        }
        let mut first = vec![0; self.page_len];
        let is_whole = with_sealed(&copy, |sealed, _| {
            let is_zero = hole_is_zero(sealed.file())?;
            let named = match sealed.first_page(&mut first) {
                Ok(()) => first.get(28..32).and_then(|bytes| bytes.try_into().ok()),
                Err(_) => None,
            };
            Ok(is_zero && named.is_none_or(|named| u64::from(u32::from_be_bytes(named)) <= pages))
        })
        .map_err(at)?;
        if odd > 0 || !is_whole {
            return Err(Error::Damaged {
                path: self.source.path.to_owned(),
                what: "the file lacks pages that it names: verify it, and salvage it".to_owned(),
            });
        }
        Ok(bad)
    }

    fn file(&self) -> Result<&File, Error> {
        self.target
            .file()
            .ok_or_else(|| Code::INTERNAL.at(self.target.unfinished()))
    }

    fn copied_len(&self) -> Result<u64, Error> {
        let metadata = self.file()?.metadata();
        Ok(metadata.map_err(|error| self.io(error))?.len())
    }

    /// What the copy has there; zeros where it has nothing.
    fn read_copied(&self, buf: &mut [u8], offset: u64) -> Result<(), Error> {
        buf.fill(0);
        let mut file = self.file()?;
        file.seek(SeekFrom::Start(offset))
            .and_then(|_| {
                let mut done = 0;
                while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
                    match file.read(rest)? {
                        0 => break,
                        count => done += count,
                    }
                }
                Ok(())
            })
            .map_err(|error| self.io(error))
    }

    fn write(&self, bytes: &[u8], offset: u64) -> Result<(), Error> {
        let mut file = self.file()?;
        file.seek(SeekFrom::Start(offset))
            .and_then(|_| file.write_all(bytes))
            .map_err(|error| self.io(error))
    }

    fn io(&self, source: std::io::Error) -> Error {
        Error::Io {
            path: self.path.to_owned(),
            source,
        }
    }
}
