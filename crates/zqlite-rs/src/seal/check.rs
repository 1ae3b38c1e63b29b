//! Checking a file against a seal, without any key of the file.

use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use zqlite_pq::header::{self, COPY_LEN, Expected, HEADER_LEN};
use zqlite_pq::seal::tree::{PathBuilder, Tree};
use zqlite_pq::seal::{Hash, Proof, Seal, header_hash};

use super::leaves::{self, Look, Pages};
use super::{PATIENCE, unexpected};
use crate::builder::check_path;
use crate::inspect::beside;
use crate::vfs::{Code, KeylessFile, RawFile, header_error, hole_is_zero, layout, stored_copies};
use crate::{Error, Progress};

/// The pause before a locked file is tried again.
const PAUSE: Duration = Duration::from_millis(10);
/// What SQLite looks at to see whether a journal is hot: zeros mean that it is not.
const JOURNAL_START: usize = 28;

/// Checks that a file is in the state that the expected signer sealed: every byte of it. Needs no key of the file.
///
/// The file is opened for reading, through SQLite's file layer and under its SHARED lock, so that locks of this process
/// are kept. In WAL mode that lock does not keep others from writing: the verdict is about the moments at which the
/// bytes were read, and a log that is not empty is refused.
///
/// # Errors
/// [`Error::SignatureUnexpected`] if the seal is not the expected signer's; [`Error::NotSealedState`] says, as far as
/// a seal can tell, what differs; see [`Error`] for the others.
pub fn verify_seal(
    path: &Path,
    seal: &Seal,
    expected: &Expected,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<(), Error> {
    seal.verify(expected)
        .map_err(|error| unexpected(path, &error))?;
    let file = Unchanged::open(path, seal, progress)?;
    let mut tree = Tree::new();
    file.read(&mut |_, _| Ok(()), |leaf| tree.push(leaf), progress)?;
    file.has_root(tree.root())
}

/// Makes the proof that a page belongs to a sealed state, from the file in that state. Needs no key.
///
/// Whose seal it is, is for [`check_proof`](super::check_proof) to say.
///
/// # Errors
/// [`Error::NotSealedState`] if there is no such page, or the file is not in the state of the seal; see [`Error`].
pub fn prove(
    path: &Path,
    seal: &Seal,
    number: u32,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<Proof, Error> {
    let differs = |what: String| Error::NotSealedState {
        path: path.to_owned(),
        what,
    };
    let pages = seal.state().pages;
    let builder = u64::from(number)
        .checked_sub(1)
        .and_then(|index| PathBuilder::new(index, pages.into()));
    let Some(mut builder) = builder else {
        return Err(differs(format!(
            "there is no page {number}: the sealed state has {pages}"
        )));
    };
    let file = Unchanged::open(path, seal, progress)?;
    let mut page = Vec::new();
    file.read(
        &mut |at, stored| {
            if at == number {
                page = stored.to_vec();
            }
            Ok(())
        },
        |leaf| builder.push(leaf),
        progress,
    )?;
    let (path_up, root) = builder.finish().ok_or_else(|| Code::INTERNAL.at(path))?;
    file.has_root(Some(root))?;
    Proof::new(seal, number, page, path_up).ok_or_else(|| Code::INTERNAL.at(path))
}

/// A file whose header and size are those of a seal, and beside which nothing stands that SQLite would read.
struct Unchanged<'a> {
    path: &'a Path,
    seal: &'a Seal,
    file: KeylessFile,
}

impl<'a> Unchanged<'a> {
    fn open(
        path: &'a Path,
        seal: &'a Seal,
        progress: &mut dyn FnMut(Progress) -> bool,
    ) -> Result<Self, Error> {
        check_path(path, false)?;
        let file = KeylessFile::open(path).map_err(|code| code.at(path))?;
        let started = Instant::now();
        while let Err(code) = file.lock_shared() {
            if code != Code::BUSY {
                return Err(code.at(path));
            }
            if started.elapsed() >= PATIENCE {
                return Err(Error::Io {
                    path: path.to_owned(),
                    source: std::io::Error::other("another connection does not stop writing to it"),
                });
            }
            if !progress(Progress { done: 0, total: 0 }) {
                return Err(Error::Interrupted);
            }
            std::thread::sleep(PAUSE);
        }
        let opened = Self { path, seal, file };
        opened.check_around()?;
        Ok(opened)
    }

    const fn raw(&self) -> RawFile {
        self.file.raw()
    }

    /// Everything but the pages.
    fn check_around(&self) -> Result<(), Error> {
        self.check_companions()?;
        let at = |code: Code| code.at(self.path);
        let len = self.raw().len().map_err(at)?;
        if len < HEADER_LEN {
            return Err(self.differs("the file ends within its header"));
        }
        let copies = stored_copies(self.raw()).map_err(at)?;
        self.check_header(&copies, len)?;
        let state = self.seal.state();
        let wanted =
            layout::physical_len(u64::from(state.pages) * u64::from(state.page_size.get()));
        if len != wanted {
            return Err(self.differs(&format!(
                "the file has {len} bytes, and the sealed state {wanted}"
            )));
        }
        if !hole_is_zero(self.raw()).map_err(at)? {
            return Err(self.differs("the hole at 1 GiB is not zero"));
        }
        Ok(())
    }

    fn check_header(&self, [a, b]: &[Vec<u8>; 2], len: u64) -> Result<(), Error> {
        let state = self.seal.state();
        let inspected = header::inspect(a, b);
        if let Some(refusal) = &inspected.refusal {
            return Err(header_error(refusal, self.path, a, len));
        }
        debug_assert!(a.len() == COPY_LEN && b.len() == COPY_LEN, "read in full");
        let Some(header) = inspected.header() else {
            return Err(self.differs("no header copy can be read"));
        };
        if *header.file_id() != state.file_id {
            return Err(self.differs("this is another file, with another file id"));
        }
        let (is_a, is_b) = (
            header_hash(a) == state.header_hash,
            header_hash(b) == state.header_hash,
        );
        let what = match (is_a, is_b) {
            (true, true) => {
                let same = header.page_size() == state.page_size
                    && header.generation() == state.generation
                    && header.revision() == state.revision;
                return if same {
                    Ok(())
                } else {
                    Err(self.differs("the seal contradicts the header that it names"))
                };
            }
            (true, false) => "header copy B is not that of the sealed state".to_owned(),
            (false, true) => "header copy A is not that of the sealed state".to_owned(),
            (false, false) => format!(
                "the header is another: generation {}, revision {}, and in the sealed state {}, {}",
                header.generation(),
                header.revision(),
                state.generation,
                state.revision
            ),
        };
        Err(self.differs(&what))
    }

    /// A log or a hot journal would change what SQLite reads: a seal is about the database file alone.
    fn check_companions(&self) -> Result<(), Error> {
        // SQLite follows symbolic links; what it keeps stands beside the file itself.
        let real = self.path.canonicalize().map_err(|source| Error::Io {
            path: self.path.to_owned(),
            source,
        })?;
        for (suffix, is_log) in [("-wal", true), ("-journal", false)] {
            let companion = beside(&real, suffix);
            let io = |source| Error::Io {
                path: companion.clone(),
                source,
            };
            let metadata = match std::fs::metadata(&companion) {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(io(error)),
            };
            if !metadata.is_file() {
                return Err(self.differs(&format!("{} is no file", companion.display())));
            }
            if is_log && metadata.len() > 0 {
                return Err(self.differs(
                    "a WAL that is not empty stands beside the file: what it holds is in no seal",
                ));
            }
            let mut start = Vec::new();
            std::fs::File::open(&companion)
                .and_then(|file| file.take(JOURNAL_START as u64).read_to_end(&mut start))
                .map_err(io)?;
            if start.iter().any(|&byte| byte != 0) {
                return Err(self.differs(
                    "a rollback journal that may be hot stands beside the file: SQLite would undo something with it",
                ));
            }
        }
        Ok(())
    }

    /// Reads all pages, and then looks once more at what stands around them.
    fn read(
        &self,
        look: Look<'_>,
        take: impl FnMut(Hash) + Send,
        progress: &mut dyn FnMut(Progress) -> bool,
    ) -> Result<(), Error> {
        let state = self.seal.state();
        let pages = Pages {
            file_id: state.file_id,
            page_size: state.page_size,
            count: state.pages,
        };
        leaves::read(self.raw(), self.path, pages, look, take, progress)?;
        self.check_around()
    }

    fn has_root(&self, root: Option<Hash>) -> Result<(), Error> {
        if root == Some(self.seal.state().root) {
            return Ok(());
        }
        Err(self.differs(
            "both header copies are those of the sealed state, and at least one page is not; a seal cannot say which",
        ))
    }

    fn differs(&self, what: &str) -> Error {
        Error::NotSealedState {
            path: self.path.to_owned(),
            what: what.to_owned(),
        }
    }
}
