//! A new key for a file that others read and write (FORMAT.md section 8.1).
//!
//! First the header gets a new epoch, whose key only the remaining slots can unwrap: from then on everything is written
//! under it. Then older pages are sealed anew, a few at a time. At last, when none is left and the WAL is empty, the old
//! key leaves the file. Each step survives the end of the process; running it again goes on where it stopped.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use zqlite_pq::SigningKey;
use zqlite_pq::header::{Expected, Keyring, Opened};

use crate::inspect::beside;
use crate::owner::{ChangeError, change_header, open_owned, reason};
use crate::recipients::{SlotInfo, Who, find_all, slots_of};
use crate::vfs::{CheckpointHold, Code, RekeyJournal, Resealed, Sealed, with_sealed};
use crate::{Error, os_rng};

pub(crate) mod pinned;

/// How many bytes are sealed anew in one step, at most: few steps, because others wait for the disk at each.
const STEP: u64 = 4 << 20;
/// Pages whose trailers are looked at between two reports of progress.
const SCAN_STEP: u32 = 65_536;
/// How often the header remembers how far the rekey has come.
const REMEMBERED_EVERY: Duration = Duration::from_secs(10);
/// How long a step waits for a checkpoint or writer.
const STEP_PATIENCE: Duration = Duration::from_secs(30);
/// How long a checkpoint at the end waits for readers, at first and at most: writers wait meanwhile.
const MIN_PATIENCE: Duration = Duration::from_millis(20);
const MAX_PATIENCE: Duration = Duration::from_secs(1);
/// The pause before that checkpoint is tried again.
const PAUSE: Duration = Duration::from_millis(50);
/// How often pages that do not open are tried again: a checkpoint that was interrupted heals them.
const PASSES: u32 = 3;

/// How [`rekey`] works.
#[derive(Debug)]
#[non_exhaustive]
pub struct RekeyOptions {
    /// Keys that may open the file.
    pub keyring: Keyring,
    /// The expected maker; `None` accepts any.
    pub signed_by: Option<Expected>,
    /// The key that signs the header: needed to begin a rekey if the file is signed, not to go on with one.
    pub signing_key: Option<SigningKey>,
    /// Bytes to seal anew per second, at most; `None`: as fast as the disk takes them.
    pub rate: Option<u64>,
    /// Bytes to seal anew at a time, at most 4 MiB (the default). In the rollback modes writers wait for one such step.
    pub step: u64,
    /// The key was compromised: only these slots get the new one, and a rekey that is running is not waited for.
    pub compromised: Option<Vec<Who>>,
    /// How long the write lock is waited for at the beginning (5 seconds).
    pub patience: Duration,
}

impl RekeyOptions {
    /// Options with these keys: any maker, unsigned, all slots, no limit to the rate.
    #[must_use]
    pub const fn new(keyring: Keyring) -> Self {
        Self {
            keyring,
            signed_by: None,
            signing_key: None,
            rate: None,
            step: STEP,
            compromised: None,
            patience: Duration::from_secs(5),
        }
    }
}

/// How far a rekey is; the callback returns whether to go on (`false` stops it; it can be continued).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RekeyProgress<'a> {
    /// Bytes of the file done so far.
    pub done: u64,
    /// Bytes of the file.
    pub total: u64,
    /// Ids of the processes that keep the WAL from being emptied, or the file from being locked; `None` if nobody is
    /// waited for. Where the operating system does not tell, the list is empty.
    pub waiting_for: Option<&'a [u32]>,
}

/// What [`rekey`] did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rekeyed {
    /// The epoch whose key now seals everything.
    pub epoch: u32,
    /// Whether a rekey that had been stopped was finished, and no new key drawn.
    pub continued: bool,
    /// Pages that were sealed anew.
    pub pages: u64,
    /// The slots that did not get the new key.
    pub dropped: Vec<SlotInfo>,
}

type Report<'a> = &'a mut dyn FnMut(RekeyProgress<'_>) -> bool;

/// Replaces the key of a file while others work with it.
///
/// Needs as much memory as one step, whatever the size of the file. Whoever opens the file with one of the remaining
/// keys notices nothing; in WAL mode writers go on, in the rollback modes they wait for one step at a time.
///
/// # Errors
/// See [`Error`]: [`Error::RekeyStopped`] if the callback says so, [`Error::RekeyRuns`] if another one is running,
/// [`Error::Damaged`] if a page does not open: its old key stays then.
pub fn rekey(path: &Path, options: RekeyOptions, progress: Report<'_>) -> Result<Rekeyed, Error> {
    let RekeyOptions {
        keyring,
        signed_by,
        signing_key,
        rate,
        step,
        compromised,
        patience,
    } = options;
    let mut connection = open_owned(path, keyring, signed_by, patience)?;
    // As SQLite resolved it: whoever opens the file by another name finds the same journal.
    let resolved = with_sealed(&connection, |sealed, _| Ok(sealed.path().to_owned()));
    let path = &*resolved.map_err(|code| code.at(path))?;
    let journal = RekeyJournal::open(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::WouldBlock => Error::RekeyRuns {
            path: path.to_owned(),
        },
        _ => Error::Io {
            path: path.to_owned(),
            source,
        },
    })?;
    let (continued, dropped) = begin(&mut connection, path, signing_key.as_ref(), compromised)?;
    let mut run = Run {
        path,
        connection,
        journal,
        rate,
        step,
        progress,
        pages: 0,
        pause_until: Instant::now(),
    };
    run.finish()?;
    let epoch = run.sealed(|opened| opened.header.epoch())?;
    Ok(Rekeyed {
        epoch,
        continued,
        pages: run.pages,
        dropped,
    })
}

/// Draws the new key, unless a rekey that was stopped goes on.
fn begin(
    connection: &mut Connection,
    path: &Path,
    signing_key: Option<&SigningKey>,
    compromised: Option<Vec<Who>>,
) -> Result<(bool, Vec<SlotInfo>), Error> {
    let runs = |opened: &Opened| !opened.header.older_epochs().is_empty();
    if compromised.is_none() {
        // Under the write lock the header is read again. Nobody else begins or ends a rekey meanwhile: we have the journal.
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(reason)?;
        let running = with_sealed(&transaction, |sealed, _| {
            sealed.opened().map(runs).ok_or(Code::NOTFOUND)
        });
        transaction.rollback().map_err(reason)?;
        if running.map_err(|code| code.at(path))? {
            return Ok((true, Vec::new()));
        }
    }
    let dropped = change_header(connection, path, |opened| {
        let slots = slots_of(opened);
        let kept = match &compromised {
            None => (0..slots.len()).collect(),
            Some(who) => find_all(&slots, who)?,
        };
        if kept.is_empty() {
            let what = "name at least one slot to keep: nobody else will open the file";
            return Err(ChangeError::Refused(what.to_owned()));
        }
        let next = opened.new_epoch(|index| kept.contains(&index), signing_key, &mut os_rng())?;
        let dropped = slots.into_iter().enumerate();
        let dropped = dropped.filter_map(|(index, slot)| (!kept.contains(&index)).then_some(slot));
        Ok((next, dropped.collect()))
    })?;
    Ok((false, dropped))
}

/// A rekey under way.
struct Run<'a> {
    path: &'a Path,
    connection: Connection,
    journal: RekeyJournal,
    rate: Option<u64>,
    step: u64,
    progress: Report<'a>,
    pages: u64,
    pause_until: Instant,
}

impl Run<'_> {
    fn finish(&mut self) -> Result<(), Error> {
        self.connection.busy_timeout(STEP_PATIENCE)?;
        self.while_nobody_writes(Sealed::heal)?;
        self.reseal_all()?;
        self.drop_older_epochs()
    }

    /// Seals every page of an older epoch anew.
    fn reseal_all(&mut self) -> Result<(), Error> {
        let first = self.sealed(|opened| opened.header.rekey_next_page().max(1))?;
        let mut unreadable = self.pass(first)?;
        // What stands before that page was done by an earlier run; what did not open may have been healed since.
        for _ in 0..PASSES {
            let Some(left) = self.first_older_page()? else {
                return Ok(());
            };
            self.checkpoint(MAX_PATIENCE)?;
            unreadable = self.pass(left)?;
        }
        match (self.first_older_page()?, unreadable.first()) {
            (None, _) => Ok(()),
            (Some(left), bad) => {
                let number = bad.copied().unwrap_or(left);
                Err(Error::Damaged {
                    path: self.path.to_owned(),
                    what: format!(
                        "page {number} does not open: the old key stays in the file; `zqlite verify` names all such pages"
                    ),
                })
            }
        }
    }

    /// One pass through the file, from a page on; the pages of older epochs that do not open.
    fn pass(&mut self, first: u32) -> Result<Vec<u32>, Error> {
        let page_len = self.page_len()?;
        let step = self.step.min(STEP);
        let count = u32::try_from((step / page_len).max(1)).unwrap_or(1);
        let mut unreadable = Vec::new();
        let mut next = first;
        let mut remembered = Instant::now();
        loop {
            let total = self.page_count()?;
            self.report(
                u64::from(next - 1) * page_len,
                u64::from(total) * page_len,
                None,
            )?;
            if next > total {
                return Ok(unreadable);
            }
            let done = self.step(next, count)?;
            self.pages += u64::from(done.pages);
            unreadable.extend(done.unreadable);
            next = done.next;
            self.pace(u64::from(done.pages) * page_len);
            if remembered.elapsed() >= REMEMBERED_EVERY {
                self.remember(next)?;
                remembered = Instant::now();
            }
        }
    }

    /// Seals a few pages anew.
    fn step(&mut self, first: u32, count: u32) -> Result<Resealed, Error> {
        self.while_nobody_writes(|sealed, journal| sealed.reseal(first, count, journal))
    }

    /// Does something with the file while nobody else writes to it.
    fn while_nobody_writes<T>(
        &mut self,
        work: impl FnOnce(&mut Sealed, &mut RekeyJournal) -> Result<T, Code>,
    ) -> Result<T, Error> {
        let journal = &mut self.journal;
        let path = self.path;
        let work = |connection: &Connection| {
            with_sealed(connection, |sealed, _| work(sealed, journal))
                .map_err(|code| ChangeError::Code(code).at(path))
        };
        if !has_log(&self.connection, path)? {
            let transaction = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(reason)?;
            // Another connection may have switched to WAL since.
            if !has_log(&transaction, path)? {
                let done = work(&transaction)?;
                transaction.rollback().map_err(reason)?;
                return Ok(done);
            }
        }
        let hold = CheckpointHold::take(&self.connection, STEP_PATIENCE)
            .map_err(|code| ChangeError::Code(code).at(path))?;
        let done = work(&self.connection);
        drop(hold);
        done
    }

    /// Drops the older epochs, once SQLite has emptied the log.
    fn drop_older_epochs(&mut self) -> Result<(), Error> {
        let mut patience = MIN_PATIENCE;
        loop {
            let log = has_log(&self.connection, self.path)?;
            let dropped = if log {
                self.drop_with_the_log(patience)?
            } else {
                self.drop_under_exclusive_lock(patience)?
            };
            if dropped {
                return Ok(());
            }
            let total = u64::from(self.page_count()?) * self.page_len()?;
            let holders = pinned::by(self.path, log);
            self.report(total, total, Some(&holders))?;
            std::thread::sleep(PAUSE);
            patience = (patience * 2).min(MAX_PATIENCE);
        }
    }

    fn drop_with_the_log(&self, patience: Duration) -> Result<bool, Error> {
        with_sealed(&self.connection, |sealed, _| {
            sealed.drop_older_epochs_with_the_log(true);
            Ok(())
        })
        .map_err(|code| code.at(self.path))?;
        let emptied = self.checkpoint(patience);
        let left = with_sealed(&self.connection, |sealed, _| {
            sealed.drop_older_epochs_with_the_log(false);
            let opened = sealed.opened().ok_or(Code::NOTFOUND)?;
            Ok(!opened.header.older_epochs().is_empty())
        });
        emptied?;
        left.map(|left| !left).map_err(|code| code.at(self.path))
    }

    /// Copies the log into the file and empties it, if nobody keeps that from happening. Writers wait at most for
    /// `patience`, and for what was written since the log was copied without making them wait.
    fn checkpoint(&self, patience: Duration) -> Result<(), Error> {
        self.connection.busy_timeout(patience)?;
        for kind in ["PASSIVE", "TRUNCATE"] {
            let done = self.connection.query_row(
                &format!("PRAGMA wal_checkpoint({kind})"),
                [],
                |_| Ok(()),
            );
            match done.as_ref().map_err(rusqlite::Error::sqlite_error_code) {
                Ok(()) | Err(Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)) => {}
                Err(_) => return done.map_err(reason),
            }
        }
        Ok(self.connection.busy_timeout(STEP_PATIENCE)?)
    }

    fn drop_under_exclusive_lock(&mut self, patience: Duration) -> Result<bool, Error> {
        self.connection.busy_timeout(patience)?;
        let begun = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Exclusive);
        let transaction = match begun {
            Ok(transaction) => transaction,
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                return Ok(false);
            }
            Err(error) => return Err(reason(error)),
        };
        // A writer may have died since our transaction began: the next one rolls his journal back, which needs his key.
        if has_log(&transaction, self.path)? || may_be_hot(&beside(self.path, "-journal")) {
            return Ok(false);
        }
        with_sealed(&transaction, |sealed, _| {
            Ok(sealed.sync_and_drop_older_epochs())
        })
        .map_err(|code| code.at(self.path))?
        .map_err(|code| ChangeError::Code(code).at(self.path))?;
        transaction.rollback().map_err(reason)?;
        Ok(true)
    }

    /// The first page of an older epoch, to judge by the trailers.
    fn first_older_page(&mut self) -> Result<Option<u32>, Error> {
        let mut next = 1;
        loop {
            let total = self.page_count()?;
            if next > total {
                return Ok(None);
            }
            let found = with_sealed(&self.connection, |sealed, _| {
                sealed.has_older_pages(next, SCAN_STEP)
            });
            let (found, at) = found.map_err(|code| code.at(self.path))?;
            if found {
                return Ok(Some(at));
            }
            next = at;
            let total = u64::from(total) * self.page_len()?;
            self.report(total, total, None)?;
        }
    }

    fn remember(&mut self, next: u32) -> Result<(), Error> {
        change_header(&mut self.connection, self.path, |opened| {
            let header = opened
                .rekeyed_before(next)
                .map_err(|error| ChangeError::Update(error.into()))?;
            Ok(((header, opened.epochs.clone()), ()))
        })
    }

    /// Keeps to the rate.
    fn pace(&mut self, bytes: u64) {
        let Some(rate) = self.rate else {
            return;
        };
        #[expect(clippy::cast_precision_loss, reason = "a pause need not be exact")]
        let pause = Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64);
        self.pause_until = self.pause_until.max(Instant::now()) + pause;
        std::thread::sleep(self.pause_until.saturating_duration_since(Instant::now()));
    }

    fn report(&mut self, done: u64, total: u64, waiting_for: Option<&[u32]>) -> Result<(), Error> {
        let progress = RekeyProgress {
            done: done.min(total),
            total,
            waiting_for,
        };
        if (self.progress)(progress) {
            Ok(())
        } else {
            Err(Error::RekeyStopped {
                path: self.path.to_owned(),
            })
        }
    }

    fn page_count(&self) -> Result<u32, Error> {
        with_sealed(&self.connection, |sealed, _| sealed.page_count())
            .map_err(|code| code.at(self.path))
    }

    fn page_len(&self) -> Result<u64, Error> {
        self.sealed(|opened| u64::from(opened.header.page_size().get()))
    }

    fn sealed<T>(&self, f: impl FnOnce(&Opened) -> T) -> Result<T, Error> {
        with_sealed(&self.connection, |sealed, _| {
            sealed.opened().map(f).ok_or(Code::NOTFOUND)
        })
        .map_err(|code| code.at(self.path))
    }
}

/// Whether a rollback journal stands there that was not finished with.
fn may_be_hot(journal: &Path) -> bool {
    use std::io::Read;
    let mut first = [0];
    std::fs::File::open(journal).is_ok_and(|mut file| file.read_exact(&mut first).is_ok())
        && first != [0]
}

/// Whether the connection has the database's WAL open.
fn has_log(connection: &Connection, path: &Path) -> Result<bool, Error> {
    with_sealed(connection, |_, wal| Ok(wal.is_some())).map_err(|code| code.at(path))
}
