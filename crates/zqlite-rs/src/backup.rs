//! A copy of a database that others read and write meanwhile.
//!
//! For the same recipients the stored pages are copied as they are: the copy has the same id and the same keys. For
//! others SQLite copies the pages, and they are sealed anew.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::backup::StepResult;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use zqlite_pq::SigningKey;
use zqlite_pq::epoch::FileId;
use zqlite_pq::header::{Expected, Keyring, NewSlot};
use zqlite_pq::page::PageSize;

use crate::builder::{check_path, not_a_uri};
use crate::inspect::beside;
use crate::seal;
use crate::target::Target;
use crate::transfer::{ours_or_sqlite, pragma};
use crate::vfs::{self, Access, Code, with_sealed};
use crate::{Error, Progress};

mod hold;
mod stored;

/// Pages that SQLite copies between two reports of progress.
const PAGES_PER_STEP: i32 = 256;
/// How long others are waited for unless something else is said.
const PATIENCE: Duration = Duration::from_secs(30);

/// How [`backup`] works.
#[derive(Debug)]
#[non_exhaustive]
pub struct BackupOptions {
    /// Keys that may open the file.
    pub keyring: Keyring,
    /// The expected maker; `None` accepts any.
    pub signed_by: Option<Expected>,
    /// Who may open the backup: it then has an id and a key of its own. `None`: whoever may open the file.
    pub slots: Option<Vec<NewSlot>>,
    /// Who signs the header of a backup for other recipients; that for the same has the signature of the file.
    pub signing_key: Option<SigningKey>,
    /// Who signs a seal of the backup, which is written beside it: its name with `.seal` behind it.
    pub seal_with: Option<SigningKey>,
    /// How long writers, readers of the log and checkpoints are waited for, in all (30 seconds).
    pub patience: Duration,
    /// Replace an existing target.
    pub force: bool,
}

impl BackupOptions {
    /// Options with these keys: any maker, the same recipients.
    #[must_use]
    pub const fn new(keyring: Keyring) -> Self {
        Self {
            keyring,
            signed_by: None,
            slots: None,
            signing_key: None,
            seal_with: None,
            patience: PATIENCE,
            force: false,
        }
    }
}

/// What [`backup`] did.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct BackedUp {
    /// The backup's id: that of the file if it is for the same recipients.
    pub file_id: FileId,
    /// Pages in the backup.
    pub pages: u64,
    /// Pages that this run wrote: less than `pages` if it went on with what an interrupted one left, more if pages
    /// changed meanwhile.
    pub pages_written: u64,
    /// Whether it went on with what an interrupted run left.
    pub resumed: bool,
}

/// Copies a sealed database while others work with it.
///
/// The backup is the state after one commit, which is not older than the call, with the WAL folded in; every page of it
/// was opened. For the same recipients, writers wait only for a moment (in WAL mode), or while those last pages are copied
/// that changed during the copying (in the rollback modes); what an interrupted run left is used by the next. For
/// others, `slots` are given, in WAL mode nobody waits, in the rollback modes writers do.
///
/// Needs leave to write to the file and its folder, as every opening does that may have to recover.
///
/// # Errors
/// See [`Error`]: [`Error::BackupStopped`] if the callback says so and a later run can go on, [`Error::Damaged`] if a
/// page does not open. The target is untouched then.
pub fn backup(
    sealed: &Path,
    out: &Path,
    options: BackupOptions,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<BackedUp, Error> {
    vfs::register()?;
    check_path(sealed, false)?;
    refuse_same(sealed, out)?;
    let access = match options.signed_by {
        Some(expected) => Access::new(options.keyring).signed_by(expected),
        None => Access::new(options.keyring).accept_any_maker(),
    };
    let source = Source {
        path: sealed,
        access: Arc::new(access),
        patience: options.patience,
    };
    let sealing = options
        .seal_with
        .map(|key| Sealing::prepare(out, key, options.force))
        .transpose()?;
    let (made, access) = match options.slots {
        None => {
            let made = stored::copy(&source, out, options.force, progress)?;
            (made, Arc::clone(&source.access))
        }
        Some(slots) => {
            let target = Target::create(out, options.force)?;
            let made = reseal(&source, &target, slots, options.signing_key, progress)?;
            target.finish()?;
            made
        }
    };
    if let Some(sealing) = sealing {
        let copy = Source {
            path: out,
            access,
            patience: source.patience,
        };
        sealing.finish(&copy, progress)?;
    }
    Ok(made)
}

/// The seal that will stand beside a backup.
struct Sealing {
    key: SigningKey,
    path: PathBuf,
    unfinished: Target,
}

impl Sealing {
    /// Before anything is copied: it may exist.
    fn prepare(out: &Path, key: SigningKey, force: bool) -> Result<Self, Error> {
        let path = beside(out, ".seal");
        let unfinished = Target::create(&path, force)?;
        Ok(Self {
            key,
            path,
            unfinished,
        })
    }

    fn finish(
        self,
        copy: &Source<'_>,
        progress: &mut dyn FnMut(Progress) -> bool,
    ) -> Result<(), Error> {
        let connection = copy.connect()?;
        let time = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_err(|error| Error::Create(error.to_string()))?;
        let signed = (&self.key, time.as_secs());
        let seal = seal::seal_open(&connection, copy.path, signed, copy.patience, progress)?;
        drop(connection);
        seal::finish(self.unfinished, &self.path, &seal.encode())
    }
}

/// The file that is backed up.
struct Source<'a> {
    path: &'a Path,
    access: Arc<Access>,
    patience: Duration,
}

impl Source<'_> {
    fn connect(&self) -> Result<Connection, Error> {
        self.connect_to(self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)
    }

    /// Opens the file, or a copy of it, with its keys.
    fn connect_to(&self, path: &Path, flags: OpenFlags) -> Result<Connection, Error> {
        let path = not_a_uri(path);
        drop(vfs::take_last_error());
        let connection = vfs::hand_over(Arc::clone(&self.access), || {
            let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            Connection::open_with_flags_and_vfs(&path, flags, vfs::NAME)
        })
        .map_err(ours_or_sqlite)?;
        connection
            .busy_timeout(Duration::ZERO)
            .map_err(ours_or_sqlite)?;
        Ok(connection)
    }

    /// Does something that others may keep from being done. SQLite's own waiting takes ever longer pauses: beside busy
    /// writers it would hardly ever find the moment.
    fn patiently<T>(&self, mut work: impl FnMut() -> rusqlite::Result<T>) -> Result<T, Error> {
        let started = Instant::now();
        loop {
            match work() {
                Err(error)
                    if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                        && started.elapsed() < self.patience =>
                {
                    std::thread::sleep(hold::PAUSE);
                }
                done => return done.map_err(ours_or_sqlite),
            }
        }
    }
}

fn refuse_same(sealed: &Path, out: &Path) -> Result<(), Error> {
    match (sealed.canonicalize(), out.canonicalize()) {
        (Ok(sealed), Ok(out)) if sealed == out => Err(Error::Create(
            "the backup and the file must be two different files".to_owned(),
        )),
        _ => Ok(()),
    }
}

/// Has SQLite copy the pages of one moment into a file of other keys.
fn reseal(
    source: &Source<'_>,
    target: &Target,
    slots: Vec<NewSlot>,
    signing_key: Option<SigningKey>,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<(BackedUp, Arc<Access>), Error> {
    let from = source.connect()?;
    from.execute_batch("BEGIN").map_err(ours_or_sqlite)?;
    source.patiently(|| from.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())))?;
    let page_len: u32 = pragma(&from, "page_size")?;
    let page_size = PageSize::new(page_len).map_err(|error| Error::Create(error.to_string()))?;
    let copy = Source {
        path: target.unfinished(),
        access: Arc::new(
            Access::new(Keyring::new())
                .accept_any_maker()
                .create(slots, page_size, signing_key)
                .layout_set_by_client(),
        ),
        patience: source.patience,
    };
    let mut to = copy.connect()?;
    vfs::reserve_trailer(&to).map_err(|code| code.at(copy.path))?;
    to.pragma_update(None, "page_size", page_len)
        .map_err(ours_or_sqlite)?;
    // A crash leaves an unfinished file, which is thrown away: nothing is synced before the end.
    to.execute_batch("PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF")
        .map_err(ours_or_sqlite)?;
    let page_len = u64::from(page_len);
    let copying = rusqlite::backup::Backup::new(&from, &mut to).map_err(ours_or_sqlite)?;
    loop {
        let step = copying.step(PAGES_PER_STEP).map_err(ours_or_sqlite)?;
        let at = copying.progress();
        let pages = |count: i32| u64::try_from(count).unwrap_or(0);
        let total = pages(at.pagecount);
        let go_on = progress(Progress {
            done: (total - pages(at.remaining).min(total)) * page_len,
            total: total * page_len,
        });
        match step {
            StepResult::Done => break,
            _ if !go_on => return Err(Error::Interrupted),
            StepResult::More => {}
            _ => std::thread::sleep(hold::PAUSE),
        }
    }
    drop(copying);
    let (pages, file_id) = with_sealed(&to, |sealed, _| {
        let opened = sealed.opened().ok_or(Code::NOTFOUND)?;
        Ok((sealed.pages()?.0, *opened.header.file_id()))
    })
    .map_err(|code| code.at(target.unfinished()))?;
    drop(to);
    let made = BackedUp {
        file_id,
        pages,
        pages_written: pages,
        resumed: false,
    };
    Ok((made, copy.access))
}
