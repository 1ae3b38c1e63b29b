//! The damaged file: how it is opened, and what its schema says.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use zqlite_pq::epoch::FileId;
use zqlite_pq::header::{Expected, Keyring, NewSlot, SlotKey};
use zqlite_pq::page::PageSize;
use zqlite_pq::slot::SlotKind;

use super::rows::{Failure, Kept, Scan, Shape};
use super::{Lost, SalvagedTable};
use crate::builder::{check_path, not_a_uri};
use crate::inspect::beside;
use crate::transfer::{ours_or_sqlite, uri};
use crate::verify::PAGES_PER_STEP;
use crate::vfs::stand_in::{Answer, Leaf, Marker, StandIns};
use crate::vfs::{self, Access, Code, with_sealed};
use crate::{Error, Progress, Verdict};

/// One row of the schema table.
pub(super) struct Object {
    pub(super) name: String,
    pub(super) root: i64,
    pub(super) sql: String,
}

/// What of the schema could be read.
#[derive(Default)]
pub(super) struct Schema {
    /// Tables with a B-tree.
    pub(super) tables: Vec<Object>,
    pub(super) virtual_tables: Vec<Object>,
    /// Indexes that have SQL.
    pub(super) indexes: Vec<Object>,
    /// Views and triggers.
    pub(super) others: Vec<Object>,
}

/// The damaged file, open for reading.
pub(super) struct Source {
    path: PathBuf,
    /// What `path` is to SQLite: with `immutable=1` if no WAL and no journal is to count.
    uri: PathBuf,
    access: Arc<Access>,
    connection: Connection,
    marker: Marker,
    pages: u64,
    page_len: u64,
    file_id: FileId,
    page_size: PageSize,
    problems: Vec<String>,
}

impl Source {
    pub(super) fn open(
        path: &Path,
        keyring: Keyring,
        signed_by: Option<Expected>,
        ignore_wal: bool,
    ) -> Result<Self, Error> {
        vfs::register()?;
        check_path(path, false)?;
        let access = Access::new(keyring);
        let access = Arc::new(match signed_by {
            Some(expected) => access.signed_by(expected),
            None => access.accept_any_maker(),
        });
        let as_it_stands = PathBuf::from(uri(path) + "?immutable=1");
        let mut problems = Vec::new();
        let (name, connection) = if ignore_wal {
            let connection = connect(&as_it_stands, false, &access)?;
            begin(&connection, path)?;
            (as_it_stands, connection)
        } else {
            let hot = std::fs::metadata(beside(path, "-journal"))
                .is_ok_and(|metadata| metadata.len() > 0);
            let usual = not_a_uri(path);
            let opened = connect(&usual, hot, &access)?;
            match begin(&opened, path) {
                Ok(()) => (usual, opened),
                Err(error) if error.verdict() != Verdict::Damaged => return Err(error),
                Err(_) => {
                    // The journal's damage, or that of page 1?
                    let connection = connect(&as_it_stands, false, &access)?;
                    begin(&connection, path)?;
                    problems.push(
                        "what stands beside the file could not be used: the pages were read as they stand, perhaps \
                         in the middle of a transaction"
                            .to_owned(),
                    );
                    (as_it_stands, connection)
                }
            }
        };
        let (pages, page_len, file_id, page_size) = with_sealed(&connection, |sealed, _| {
            let (pages, page_len, odd) = sealed.pages()?;
            let header = &sealed.opened().ok_or(Code::NOTFOUND)?.header;
            let (file_id, page_size) = (*header.file_id(), header.page_size());
            Ok((pages + u64::from(odd > 0), page_len, file_id, page_size))
        })
        .map_err(|code| code.at(path))?;
        let mut source = Self {
            path: path.to_owned(),
            uri: name,
            access,
            connection,
            marker: new_marker(path)?,
            pages,
            page_len,
            file_id,
            page_size,
            problems,
        };
        source.prepare(None)?;
        Ok(source)
    }

    pub(super) const fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) const fn marker(&self) -> Marker {
        self.marker
    }

    pub(super) const fn pages(&self) -> u64 {
        self.pages
    }

    pub(super) const fn len(&self) -> u64 {
        self.pages * self.page_len
    }

    pub(super) const fn file_id(&self) -> FileId {
        self.file_id
    }

    /// Whether the file is in WAL mode (FORMAT of SQLite: the write version in page 1 is 2).
    pub(super) fn is_wal(&self) -> bool {
        let mut page = vec![0; self.page_size.to_usize()];
        let read = with_sealed(&self.connection, |sealed, _| sealed.first_page(&mut page));
        read.is_ok() && page.get(18) == Some(&2)
    }

    pub(super) const fn page_size(&self) -> PageSize {
        self.page_size
    }

    pub(super) fn take_problems(&mut self) -> Vec<String> {
        core::mem::take(&mut self.problems)
    }

    /// New slots for the recipients of the file, and how many other slots it has.
    pub(super) fn recipients(&self) -> Result<(Vec<NewSlot>, usize), Error> {
        let (slots, others) = with_sealed(&self.connection, |sealed, _| {
            let opened = sealed.opened().ok_or(Code::NOTFOUND)?;
            let (mut slots, mut others) = (Vec::new(), 0);
            for slot in opened.header.slots() {
                let details = slot.open_details(opened.epochs.newest(), opened.header.file_id());
                match details {
                    Ok(details) if slot.kind() == SlotKind::Recipient => slots.push(NewSlot {
                        key: SlotKey::Recipient(details.recipient),
                        label: details.label,
                    }),
                    _ => others += 1,
                }
            }
            Ok((slots, others))
        })
        .map_err(|code| code.at(&self.path))?;
        if slots.is_empty() {
            return Err(Error::Create(
                "the damaged file has no slot for a recipient, and passphrases and raw keys are bound to its id: \
                 say who may open the new one"
                    .to_owned(),
            ));
        }
        Ok((slots, others))
    }

    /// The numbers of the pages that do not open.
    pub(super) fn bad_pages(
        &self,
        progress: &mut dyn FnMut(Progress) -> bool,
    ) -> Result<Vec<u64>, Error> {
        let mut bad = Vec::new();
        let mut next = 0;
        while next < self.pages {
            let end = (next + PAGES_PER_STEP).min(self.pages);
            let found = with_sealed(&self.connection, |sealed, _| {
                sealed.bad_pages(next, end).or_else(|_| {
                    // The disk itself fails somewhere among them.
                    let bad = (next..end).filter(|page| {
                        let found = sealed.bad_pages(*page, page + 1);
                        !found.is_ok_and(|bad| bad.is_empty())
                    });
                    Ok(bad.map(|page| page + 1).collect())
                })
            });
            bad.extend(found.map_err(|code| code.at(&self.path))?);
            next = end;
            self.report(next, progress)?;
        }
        Ok(bad)
    }

    /// Looking at every page is the first half of the work, reading the rows the other.
    fn report(&self, pages: u64, progress: &mut dyn FnMut(Progress) -> bool) -> Result<(), Error> {
        let go_on = progress(Progress {
            done: pages * self.page_len,
            total: 2 * self.len(),
        });
        if go_on {
            Ok(())
        } else {
            Err(Error::Interrupted)
        }
    }

    /// What is given to SQLite from now on for a page that does not open.
    pub(super) fn answer(&self, answer: Answer) -> Result<(), Error> {
        with_sealed(&self.connection, |sealed, _| {
            if let Some(stand_ins) = &mut sealed.stand_ins {
                stand_ins.answer(answer);
            }
            Ok(())
        })
        .map_err(|code| code.at(&self.path))
    }

    /// The pages that something stands in for.
    pub(super) fn stand_ins(&self) -> Result<HashSet<u32>, Error> {
        with_sealed(&self.connection, |sealed, _| {
            Ok(sealed.stand_ins.iter().flat_map(StandIns::pages).collect())
        })
        .map_err(|code| code.at(&self.path))
    }

    /// Reads the schema table row by row, then has SQLite load as much of it as it can.
    pub(super) fn read_schema(&mut self) -> Result<Schema, Error> {
        let shape = Shape::schema();
        let mut found = SalvagedTable::new("sqlite_schema".to_owned());
        let mut schema = Schema::default();
        let mut roots = HashSet::new();
        let (mut unnamed, mut shared) = (0, 0);
        self.answer(Answer::Leaf(Leaf::Table))?;
        let walked = Scan::new(self, &shape).walk();
        self.answer(Answer::Error)?;
        walked.map_err(|_| {
            self.damaged(
                "page 1 does not open or does not hold a schema: nothing is known of the tables",
            )
        })?;
        Scan::new(self, &shape)
            .rows(&mut found, &mut |_, values| {
                let [kind, name, root, sql] = values else {
                    return Ok(Kept::Refused);
                };
                let object = match (kind, text(name), text(sql)) {
                    // The index of a constraint comes with its table.
                    (ValueRef::Text(b"index"), Some(_), None) => return Ok(Kept::Saved),
                    (_, Some(name), Some(sql)) => Object {
                        name,
                        root: root.as_i64().unwrap_or(0),
                        sql,
                    },
                    _ => {
                        unnamed += 1;
                        return Ok(Kept::Refused);
                    }
                };
                match kind {
                    ValueRef::Text(b"table") if object.root == 0 => {
                        schema.virtual_tables.push(object);
                    }
                    // Two tables in one B-tree are nothing that SQLite makes.
                    ValueRef::Text(b"table") if !roots.insert(object.root) => shared += 1,
                    ValueRef::Text(b"table") => schema.tables.push(object),
                    ValueRef::Text(b"index") => schema.indexes.push(object),
                    _ => schema.others.push(object),
                }
                Ok(Kept::Saved)
            })
            .map_err(|failure| match failure {
                Failure::Table(error) => ours_or_sqlite(error),
                Failure::Other(error) => error,
            })?;
        for lost in &found.lost {
            if let Lost::Rowids { first, last } = lost {
                self.problems.push(format!(
                    "the schema table lacks its rows {first} to {last}: whatever they name is lost"
                ));
            }
        }
        for (count, what) in [
            (unnamed, "no name or no SQL"),
            (shared, "the pages of another table"),
        ] {
            if count > 0 {
                self.problems.push(format!(
                    "{count} objects of the schema have {what} and are left out"
                ));
            }
        }
        self.load_schema()?;
        Ok(schema)
    }

    /// A new connection, whose SQLite gets over what is missing in the schema table.
    fn load_schema(&mut self) -> Result<(), Error> {
        let stand_ins = with_sealed(&self.connection, |sealed, _| Ok(sealed.stand_ins.take()))
            .map_err(|code| code.at(&self.path))?;
        self.connection = connect(&self.uri, false, &self.access)?;
        self.prepare(stand_ins)?;
        // Long SQL whose end is lost reads as zeros, is no SQL, and counts for nothing.
        self.answer(Answer::Zeros)?;
        let loaded = self
            .connection
            .execute_batch("BEGIN; SELECT 1 FROM sqlite_schema LIMIT 0");
        self.answer(Answer::Error)?;
        loaded.map_err(ours_or_sqlite)?;
        // Those zeros must not be taken for pages later.
        self.connection
            .execute_batch("PRAGMA shrink_memory")
            .map_err(ours_or_sqlite)
    }

    fn prepare(&mut self, stand_ins: Option<StandIns>) -> Result<(), Error> {
        let stand_ins = stand_ins.unwrap_or_else(|| StandIns::new(self.marker));
        with_sealed(&self.connection, |sealed, _| {
            sealed.stand_ins = Some(stand_ins);
            Ok(())
        })
        .map_err(|code| code.at(&self.path))?;
        // No value is longer than the file, whatever a cell claims.
        let longest = i32::try_from(self.len()).unwrap_or(i32::MAX);
        self.connection
            .set_limit(Limit::SQLITE_LIMIT_LENGTH, longest)
            .map_err(ours_or_sqlite)?;
        Ok(())
    }

    fn damaged(&self, what: &str) -> Error {
        Error::Damaged {
            path: self.path.clone(),
            what: what.to_owned(),
        }
    }
}

fn text(value: &ValueRef<'_>) -> Option<String> {
    value.as_str().ok().map(str::to_owned)
}

fn connect(name: &Path, write: bool, access: &Arc<Access>) -> Result<Connection, Error> {
    let flags = if write {
        OpenFlags::SQLITE_OPEN_READ_WRITE
    } else {
        OpenFlags::SQLITE_OPEN_READ_ONLY
    };
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    drop(vfs::take_last_error());
    let connection = vfs::hand_over(Arc::clone(access), || {
        Connection::open_with_flags_and_vfs(name, flags, vfs::NAME)
    })
    .map_err(ours_or_sqlite)?;
    // SQLite then goes on with what it understood of a damaged schema.
    connection
        .execute_batch("PRAGMA writable_schema=ON; PRAGMA trusted_schema=OFF; PRAGMA query_only=ON")
        .map_err(ours_or_sqlite)?;
    Ok(connection)
}

/// One read transaction for everything; a hot journal is rolled back and the WAL recovered before it begins.
fn begin(connection: &Connection, path: &Path) -> Result<(), Error> {
    let begun = connection
        .execute_batch("BEGIN; SELECT 1 FROM sqlite_schema LIMIT 0")
        .and_then(|()| connection.query_row("PRAGMA data_version", [], |_| Ok(())));
    begun.map_err(|error| match vfs::take_last_error() {
        Some(error) => error,
        None => match Error::Sqlite(error) {
            error if error.verdict() == Verdict::Damaged => Error::Damaged {
                path: path.to_owned(),
                what: "page 1 does not open: without it nothing is known of the tables".to_owned(),
            },
            error => error,
        },
    })
}

fn new_marker(path: &Path) -> Result<Marker, Error> {
    let (mut value, mut number) = ([0; 16], [0; 8]);
    getrandom::fill(&mut value)
        .and_then(|()| getrandom::fill(&mut number))
        .map_err(|error| Error::Io {
            path: path.to_owned(),
            source: error.into(),
        })?;
    // Above all rowids that a table has in practice: who looks for the row after one finds the marker first.
    let below = i64::from_be_bytes(number) & 0xff_ffff_ffff_ffff;
    Ok(Marker {
        rowid: i64::MAX - below,
        value,
    })
}
