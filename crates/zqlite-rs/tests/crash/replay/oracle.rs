//! What must be true of everything that a crash leaves.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use zqlite::vfs;

use super::{FILES, Kind, Replay};
use crate::image::Image;
use crate::support::problems;
use crate::workload::Step;
use crate::{disk, owner};

/// Of so many images one is checked in a folder of the operating system, too.
const REAL_EVERY: usize = 150;

impl Replay<'_> {
    pub(super) fn insert(&self, image: Image) {
        disk::insert(self.folder(), image);
        if self.creates_database() {
            self.permit(&self.folder().join(FILES[0]));
        }
    }

    /// Opens an image, and checks that it holds one of these states, is sound, and can be written to. Returns the
    /// state's number.
    pub(super) fn check(
        &mut self,
        image: Image,
        allowed: RangeInclusive<usize>,
    ) -> Result<usize, String> {
        let checked = self.counts.prefixes + self.counts.cuts + self.counts.in_recovery;
        if checked % REAL_EVERY == REAL_EVERY - 1 && !self.creates_database() {
            self.counts.real += 1;
            disk::remove(self.folder());
            write_out(&image, self.folder());
            self.examine(checked, allowed.clone())
                .map_err(|error| format!("{error}, in a folder of the operating system"))?;
        }
        self.insert(image);
        self.examine(checked, allowed)
    }

    fn examine(&mut self, order: usize, allowed: RangeInclusive<usize>) -> Result<usize, String> {
        self.check_newcomer(&allowed)?;
        let found = self.read(order)?;
        let number = allowed.clone().find(|&number| self.states[number] == found);
        let number = number.ok_or_else(|| {
            let found = self.states.iter().position(|&state| state == found);
            format!("state {found:?} was found, {allowed:?} allowed")
        })?;
        for path in self.paths() {
            self.write(&path)
                .map_err(|error| format!("after recovery: {error}"))?;
            self.verify(&path)?;
        }
        self.finish_rekey()?;
        if self.read(order)? != found {
            return Err("verification changed something".to_owned());
        }
        Ok(number)
    }

    fn has_owner(&self) -> bool {
        let mut steps = self.workload.steps.iter();
        self.kind == Kind::Sealed && steps.any(|step| matches!(step, Step::Owner(_)))
    }

    fn database(&self) -> Vec<u8> {
        let file = disk::content(self.folder(), FILES[0]);
        file.unwrap_or_else(|| fs::read(self.folder().join(FILES[0])).unwrap())
    }

    /// The newcomer may open the database if he could after one of these states.
    fn check_newcomer(&mut self, allowed: &RangeInclusive<usize>) -> Result<(), String> {
        if !self.has_owner() {
            return Ok(());
        }
        let database = self.database();
        let is_in = owner::newcomer_is_in(&database);
        let journal = disk::content(self.folder(), "a.db-rekey");
        if journal.is_some() && owner::torn_pages(&database) > 0 {
            self.counts.with_pages_in_rekey_journal += 1;
        }
        // An act changes no rows: what follows a state with the same rows is not told from it.
        let last = *allowed.end();
        let same = self.states[last..].iter();
        let same = same.take_while(|state| **state == self.states[last]);
        let may = &self.newcomer[*allowed.start()..last + same.count()];
        if may.contains(&is_in) {
            Ok(())
        } else {
            Err(format!("the newcomer is in: {is_in}, after {allowed:?}"))
        }
    }

    /// Both copies of the header are whole since somebody wrote; a rekey that was interrupted goes on.
    fn finish_rekey(&mut self) -> Result<(), String> {
        if !self.has_owner() {
            return Ok(());
        }
        let opened = owner::opened(&self.database())?;
        if !opened.is_healthy() {
            return Err(format!("header copies: {:?}", opened.copies));
        }
        if opened.header.older_epochs().is_empty() {
            return Ok(());
        }
        let path = self.folder().join(FILES[0]);
        owner::finish_rekey(&path)?;
        self.counts.rekeys_finished += 1;
        self.verify(&path)
    }

    /// Verification finds nothing, or free pages that a power cut tore.
    ///
    /// SQLite puts nothing into a rollback journal about a page that was free before the transaction: if the power
    /// fails while such a page is written, it stays torn. It holds nothing, and is whole again when SQLite uses it;
    /// until then a VACUUM, which reads what it writes over, may fail.
    fn verify(&mut self, path: &Path) -> Result<(), String> {
        if self.kind == Kind::Plain {
            return Ok(());
        }
        let found = problems(path);
        if found.is_empty() {
            return Ok(());
        }
        let says = format!("verification says {found:?}");
        let connection = self.open(path).map_err(|error| error.to_string())?;
        for problem in &found {
            let number = problem.strip_prefix("page ");
            let number = number.and_then(|rest| rest.strip_suffix(" does not open"));
            let number: i64 = number.ok_or(&says)?.parse().unwrap();
            let uses = connection
                .query_row(
                    "SELECT count(*) FROM dbstat WHERE pageno = ?1",
                    [number],
                    |row| row.get::<_, i64>(0),
                )
                .map_err(|error| error.to_string())?;
            if uses > 0 || !self.may_tear || self.workload.pragmas.contains("WAL") {
                return Err(says);
            }
        }
        let failed = connection.execute_batch("VACUUM").is_err();
        self.counts.with_torn_free_pages += 1;
        self.counts.not_vacuumed += usize::from(failed);
        connection
            .execute_batch(
                "CREATE TABLE probe(x);
                 WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n
                     WHERE i < (SELECT freelist_count + 2 FROM pragma_freelist_count))
                 INSERT INTO probe SELECT zeroblob(4000) FROM n;
                 DROP TABLE probe;
                 VACUUM;",
            )
            .map_err(|error| format!("{says}, and then: {error}"))?;
        drop(connection);
        match problems(path) {
            left if left.is_empty() => Ok(()),
            left => Err(format!("{says}, and after a VACUUM {left:?}")),
        }
    }

    fn paths(&self) -> Vec<PathBuf> {
        FILES[..self.workload.files]
            .iter()
            .map(|file| self.folder().join(file))
            .collect()
    }

    /// Reads all databases, one after the other; `order` says which is recovered first.
    pub(super) fn read(&self, order: usize) -> Result<u64, String> {
        let mut states = vec![0; self.workload.files];
        for at in 0..states.len() {
            let at = (at + order) % states.len();
            let read = || -> rusqlite::Result<(u64, String)> {
                let connection = self.open(&self.folder().join(FILES[at]))?;
                let state = state_of(&connection, "main")?;
                let sound = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
                Ok((state, sound))
            };
            let (state, sound) = read().map_err(|error| {
                let reason = vfs::take_last_error();
                format!("{}: {error:?} {reason:?}", FILES[at])
            })?;
            if sound != "ok" {
                return Err(format!("{}: {sound}", FILES[at]));
            }
            states[at] = state;
        }
        Ok(combined(&states))
    }

    /// Writes, and empties the log: closing would not say that it cannot be checkpointed.
    fn write(&self, path: &Path) -> rusqlite::Result<()> {
        let connection = self.open(path)?;
        connection.execute_batch(
            "CREATE TABLE probe(x); INSERT INTO probe VALUES (zeroblob(5000)); DROP TABLE probe;",
        )?;
        let busy: i64 =
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        assert_eq!(busy, 0);
        Ok(())
    }
}

fn write_out(image: &Image, folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    for (name, node) in &image.names {
        fs::write(folder.join(name), image.content(*node)).unwrap();
    }
}

pub(super) fn state(connection: &Connection, files: usize) -> rusqlite::Result<u64> {
    let states: Result<Vec<u64>, _> = ["main", "other"][..files]
        .iter()
        .map(|schema| state_of(connection, schema))
        .collect();
    Ok(combined(&states?))
}

fn combined(states: &[u64]) -> u64 {
    let mut hasher = DefaultHasher::new();
    states.hash(&mut hasher);
    hasher.finish()
}

/// Something that changes with any row and with the schema.
fn state_of(connection: &Connection, schema: &str) -> rusqlite::Result<u64> {
    let mut hasher = DefaultHasher::new();
    let mut tables = connection.prepare(&format!(
        "SELECT sql FROM {schema}.sqlite_master ORDER BY name"
    ))?;
    let tables: Vec<String> = tables
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    tables.hash(&mut hasher);
    if !tables.is_empty() {
        let mut rows = connection.prepare(&format!("SELECT a, b FROM {schema}.t ORDER BY a"))?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            row.get_ref(0)?.as_i64()?.hash(&mut hasher);
            row.get_ref(1)?.as_str()?.hash(&mut hasher);
        }
    }
    Ok(hasher.finish())
}
