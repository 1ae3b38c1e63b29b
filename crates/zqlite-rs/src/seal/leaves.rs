//! All stored pages of a file, hashed on a second thread while this one reads on.

use std::path::Path;
use std::sync::mpsc::sync_channel;

use zqlite_pq::epoch::FileId;
use zqlite_pq::page::PageSize;
use zqlite_pq::seal::Hash;
use zqlite_pq::seal::tree;

use crate::vfs::{Code, RawFile, layout, read_stored};
use crate::{Error, Progress};

/// Bytes that are read before they are handed over.
const CHUNK: usize = 512 * 1_024;
/// Chunks on their way to the other thread.
const WAITING: usize = 3;

/// What is done with each page on the thread that reads it.
pub(super) type Look<'a> = &'a mut dyn FnMut(u32, &[u8]) -> Result<(), Error>;

/// The pages of a file.
#[derive(Clone, Copy)]
pub(super) struct Pages {
    pub(super) file_id: FileId,
    pub(super) page_size: PageSize,
    pub(super) count: u32,
}

impl Pages {
    fn len(&self) -> u64 {
        u64::from(self.count) * u64::from(self.page_size.get())
    }
}

/// Reads all pages in order. `look` sees each one on this thread; `take` gets the leaves on another.
pub(super) fn read(
    raw: RawFile,
    path: &Path,
    pages: Pages,
    look: Look<'_>,
    mut take: impl FnMut(Hash) + Send,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<(), Error> {
    let page_len = pages.page_size.to_usize();
    std::thread::scope(|scope| {
        let (filled, to_hash) = sync_channel::<(u32, Vec<u8>)>(WAITING);
        let (hashed, to_fill) = sync_channel::<Vec<u8>>(WAITING + 2);
        let worker = scope.spawn(move || {
            for (first, chunk) in to_hash {
                for (number, stored) in (first..).zip(chunk.chunks_exact(page_len)) {
                    take(tree::leaf(&pages.file_id, number, stored));
                }
                // There is room for all that exist; after an error nobody takes them back.
                let _nobody = hashed.send(chunk);
            }
        });
        let outcome = (|| {
            let mut next: u64 = 0;
            let mut made = 0;
            while next < pages.len() {
                if !progress(Progress {
                    done: next,
                    total: pages.len(),
                }) {
                    return Err(Error::Interrupted);
                }
                let mut chunk = if made <= WAITING {
                    made += 1;
                    Vec::new()
                } else {
                    to_fill.recv().map_err(|_| lost(path))?
                };
                let end = (next + CHUNK as u64)
                    .min(pages.len())
                    .min(layout::piece_end(next));
                let len = usize::try_from(end - next).map_err(|_| Code::READ.at(path))?;
                chunk.resize(len, 0);
                read_stored(raw, &mut chunk, layout::physical(next)).map_err(
                    |code| match code {
                        Code::SHORT_READ => Error::Damaged {
                            path: path.to_owned(),
                            what: "the file became shorter while it was read".to_owned(),
                        },
                        code => code.at(path),
                    },
                )?;
                let first =
                    u32::try_from(next / page_len as u64 + 1).map_err(|_| Code::READ.at(path))?;
                for (number, stored) in (first..).zip(chunk.chunks_exact(page_len)) {
                    look(number, stored)?;
                }
                filled.send((first, chunk)).map_err(|_| lost(path))?;
                next = end;
            }
            Ok(())
        })();
        drop(filled);
        worker.join().map_err(|_| lost(path))?;
        outcome
    })
}

fn lost(path: &Path) -> Error {
    Error::Io {
        path: path.to_owned(),
        source: std::io::Error::other("the hashing thread panicked"),
    }
}
