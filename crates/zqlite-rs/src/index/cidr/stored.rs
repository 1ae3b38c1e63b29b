//! The shadow table of an index: `INDEX_rows`, for each row of the table its key and its prefix.
//!
//! A prefix is stored as a byte 4 or 6, the address in network order, and the length: in this form SQLite sorts it as
//! [`Prefix`] does.

use rusqlite::OptionalExtension as _;
use rusqlite::types::ValueRef;

use super::super::binding::Binding;
use super::super::fault::Result;
use super::prefix::{Bits, Prefix};
use super::table::PrefixTable;

pub(super) const ROWS: &str = "rows";

/// The rows that have one prefix, in ascending order; mostly one.
pub(super) enum Ids {
    One(i64),
    Many(Vec<i64>),
}

impl Ids {
    pub(super) fn as_slice(&self) -> &[i64] {
        match self {
            Self::One(id) => core::slice::from_ref(id),
            Self::Many(ids) => ids,
        }
    }

    fn add(&mut self, id: i64) {
        match self {
            Self::One(own) if *own == id => {}
            Self::One(own) => *self = Self::Many(vec![id.min(*own), id.max(*own)]),
            // Rows are loaded in ascending order: each goes to the end.
            Self::Many(ids) => {
                if let Err(at) = ids.binary_search(&id) {
                    ids.insert(at, id);
                }
            }
        }
    }

    /// Whether any is left.
    fn remove(&mut self, id: i64) -> bool {
        match self {
            Self::One(own) => *own != id,
            Self::Many(ids) => {
                ids.retain(|own| *own != id);
                !ids.is_empty()
            }
        }
    }
}

/// Changes the prefix of a row.
pub(super) fn change(
    table: &mut PrefixTable<Ids>,
    id: i64,
    old: Option<Prefix>,
    new: Option<Prefix>,
) {
    if let Some(old) = old
        && let Some(ids) = table.get_mut(old)
        && !ids.remove(id)
    {
        table.remove(old);
    }
    if let Some(new) = new {
        match table.get_mut(new) {
            Some(ids) => ids.add(id),
            None => drop(table.insert(new, Ids::One(id))),
        }
    }
}

pub(super) struct Stored {
    pub(super) binding: Binding,
    sql: Sql,
}

struct Sql {
    prefix: String,
    set: String,
    remove: String,
    before: String,
    ids: String,
    between: String,
    all: String,
    count: String,
}

impl Stored {
    pub(super) fn new(binding: Binding) -> Self {
        let rows = binding.qualified(ROWS);
        let sql = Sql {
            prefix: format!("SELECT prefix FROM {rows} WHERE id = ?1"),
            set: format!(
                "INSERT INTO {rows}(id, prefix) VALUES (?1, ?2)
                 ON CONFLICT(id) DO UPDATE SET prefix = excluded.prefix"
            ),
            remove: format!("DELETE FROM {rows} WHERE id = ?1"),
            before: format!(
                "SELECT prefix FROM {rows} WHERE prefix <= ?1 ORDER BY prefix DESC LIMIT 1"
            ),
            // With `= ?1`, SQLite (3.54) estimates by what is bound how many rows there are, and so prepares the statement
            // anew for each use out of the cache.
            ids: format!("SELECT id FROM {rows} WHERE prefix = +?1 ORDER BY id"),
            between: format!(
                "SELECT prefix, id FROM {rows} WHERE prefix BETWEEN ?1 AND ?2 ORDER BY prefix, id"
            ),
            all: format!("SELECT prefix, id FROM {rows} ORDER BY prefix, id"),
            count: format!("SELECT count(*) FROM {rows}"),
        };
        Self { binding, sql }
    }

    pub(super) fn create(&self) -> Result<()> {
        Ok(self.binding.host.execute_batch(&format!(
            "CREATE TABLE {}(id INTEGER PRIMARY KEY, prefix BLOB NOT NULL, UNIQUE(prefix, id))",
            self.binding.qualified(ROWS)
        ))?)
    }

    pub(super) fn clear(&self) -> Result<()> {
        let rows = self.binding.qualified(ROWS);
        self.binding
            .host
            .execute(&format!("DELETE FROM {rows}"), [])?;
        Ok(())
    }

    pub(super) fn count(&self) -> Result<usize> {
        let rows: i64 = self
            .binding
            .host
            .query_row(&self.sql.count, [], |row| row.get(0))?;
        Ok(usize::try_from(rows).unwrap_or(usize::MAX))
    }

    /// The indexed prefix of a row.
    pub(super) fn prefix(&self, id: i64) -> Result<Option<Prefix>> {
        self.one(&self.sql.prefix, id)
    }

    fn one(&self, sql: &str, parameter: impl rusqlite::ToSql) -> Result<Option<Prefix>> {
        let mut statement = self.binding.host.prepare_cached(sql)?;
        let found = statement
            .query_row([parameter], |row| Ok(decode(row.get_ref(0)?)))
            .optional()?;
        match found {
            None => Ok(None),
            Some(Some(prefix)) => Ok(Some(prefix)),
            Some(None) => Err(self.binding.damaged(ROWS)),
        }
    }

    pub(super) fn set(&self, id: i64, prefix: Option<Prefix>) -> Result<()> {
        let host = &self.binding.host;
        match prefix {
            Some(prefix) => host
                .prepare_cached(&self.sql.set)?
                .execute((id, Key::of(prefix).as_slice()))?,
            None => host.prepare_cached(&self.sql.remove)?.execute([id])?,
        };
        Ok(())
    }

    /// Shows the prefixes that cover this one, the longest first, until `see` has seen enough.
    ///
    /// The last stored prefix that is not after it is the longest, or shows by how many bits it differs how short the
    /// next one to look for is.
    pub(super) fn covering(
        &self,
        prefix: Prefix,
        mut see: impl FnMut(Prefix) -> Result<Enough>,
    ) -> Result<()> {
        let mut sought = prefix;
        loop {
            let Some(found) = self.one(&self.sql.before, Key::of(sought).as_slice())? else {
                return Ok(());
            };
            let Some(common) = sought.common(found) else {
                return Ok(());
            };
            let next = if found.covers(sought) {
                if see(found)? == Enough::Yes {
                    return Ok(());
                }
                found.len().checked_sub(1)
            } else {
                Some(common)
            };
            let Some(len) = next.filter(|len| *len < sought.len()) else {
                return Ok(());
            };
            sought = sought.cut(len);
        }
    }

    pub(super) fn ids(&self, prefix: Prefix, mut see: impl FnMut(i64)) -> Result<()> {
        let mut statement = self.binding.host.prepare_cached(&self.sql.ids)?;
        let mut rows = statement.query([Key::of(prefix).as_slice()])?;
        while let Some(row) = rows.next()? {
            see(row.get(0)?);
        }
        Ok(())
    }

    /// Shows the rows whose prefix lies in this one, by prefix and key.
    pub(super) fn within(&self, prefix: Prefix, see: impl FnMut(Prefix, i64)) -> Result<()> {
        let (first, last) = Key::bounds(prefix);
        self.rows(&self.sql.between, (first.as_slice(), last.as_slice()), see)
    }

    /// Shows all rows, by prefix and key.
    pub(super) fn all(&self, see: impl FnMut(Prefix, i64)) -> Result<()> {
        self.rows(&self.sql.all, (), see)
    }

    fn rows(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        mut see: impl FnMut(Prefix, i64),
    ) -> Result<()> {
        let mut statement = self.binding.host.prepare_cached(sql)?;
        let mut rows = statement.query(parameters)?;
        while let Some(row) = rows.next()? {
            let prefix = decode(row.get_ref(0)?).ok_or_else(|| self.binding.damaged(ROWS))?;
            see(prefix, row.get(1)?);
        }
        Ok(())
    }

    pub(super) fn load(&self) -> Result<PrefixTable<Ids>> {
        let mut table = PrefixTable::new();
        self.all(|prefix, id| change(&mut table, id, None, Some(prefix)))?;
        Ok(table)
    }

    /// Reads everything, and counts it.
    pub(super) fn check(&self) -> Result<usize> {
        let mut rows = 0;
        self.all(|_, _| rows += 1)?;
        Ok(rows)
    }
}

#[derive(PartialEq, Eq)]
pub(super) enum Enough {
    Yes,
    No,
}

/// A stored prefix.
struct Key {
    bytes: [u8; 18],
    len: usize,
}

impl Key {
    fn of(prefix: Prefix) -> Self {
        let mut bytes = [0; 18];
        let len = match prefix.bits() {
            Bits::V4(address, len) => {
                bytes[0] = 4;
                bytes[1..5].copy_from_slice(&address.to_be_bytes());
                bytes[5] = len;
                6
            }
            Bits::V6(address, len) => {
                bytes[0] = 6;
                bytes[1..17].copy_from_slice(&address.to_be_bytes());
                bytes[17] = len;
                18
            }
        };
        Self { bytes, len }
    }

    /// The first and the last that a prefix which lies in this one can have.
    fn bounds(prefix: Prefix) -> (Self, Self) {
        let last = match prefix.bits() {
            Bits::V4(address, len) => {
                let host = u32::MAX.checked_shr(u32::from(len)).unwrap_or(0);
                Bits::V4(address | host, 32)
            }
            Bits::V6(address, len) => {
                let host = u128::MAX.checked_shr(u32::from(len)).unwrap_or(0);
                Bits::V6(address | host, 128)
            }
        };
        (Self::of(prefix), Self::of(Prefix::from_bits(last)))
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Reads what [`Key::of`] writes, and nothing else.
fn decode(value: ValueRef<'_>) -> Option<Prefix> {
    let ValueRef::Blob(bytes) = value else {
        return None;
    };
    let prefix = match bytes {
        [4, address @ .., len] => {
            let address: [u8; 4] = address.try_into().ok()?;
            Prefix::new(address.into(), *len)
        }
        [6, address @ .., len] => {
            let address: [u8; 16] = address.try_into().ok()?;
            Prefix::new(address.into(), *len)
        }
        _ => return None,
    };
    // A mapped prefix has two forms, of which one is stored.
    prefix
        .ok()
        .filter(|prefix| Key::of(*prefix).as_slice() == bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read_back_and_nothing_else_is() {
        for text in ["0.0.0.0/0", "10.0.0.0/8", "10.1.2.3", "::/0", "fd00::1"] {
            let prefix: Prefix = text.parse().unwrap();
            let key = Key::of(prefix);
            assert_eq!(decode(ValueRef::Blob(key.as_slice())), Some(prefix));
        }
        let mut mapped = [0_u8; 18];
        mapped[0] = 6;
        mapped[11..13].fill(0xff);
        mapped[17] = 96;
        for forged in [
            &b""[..],
            &[4],
            &[4, 10, 0, 0, 0],
            &[4, 10, 0, 0, 1, 8],
            &[4, 10, 0, 0, 0, 33],
            &[6, 10, 0, 0, 0, 8],
            &[5, 10, 0, 0, 0, 8],
            &mapped,
        ] {
            assert_eq!(decode(ValueRef::Blob(forged)), None, "{forged:?}");
        }
        assert_eq!(decode(ValueRef::Text(b"10.0.0.0/8")), None);
        assert_eq!(decode(ValueRef::Integer(4)), None);
    }
}
