//! What SQLite does to a value before it compares it with a column of a table:
//! <https://www.sqlite.org/datatype3.html#type_conversions_prior_to_comparison>.

use rusqlite::types::Value;

use super::super::binding::Binding;
use super::super::fault::Result;
use super::super::ffi::Host;
use super::super::numbers;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Affinity {
    None = 0,
    Text = 1,
    /// INTEGER and REAL, too: they compare alike.
    Numeric = 2,
}

/// The affinities of the columns that an index sees.
pub(super) fn of_source(binding: &Binding) -> Result<Vec<Affinity>> {
    let types = binding.declared_types()?;
    Ok(types.iter().map(|name| Affinity::of_type(name)).collect())
}

impl Affinity {
    /// <https://www.sqlite.org/datatype3.html#determination_of_column_affinity>
    fn of_type(name: &str) -> Self {
        let name = name.to_ascii_uppercase();
        let has = |part: &str| name.contains(part);
        if has("INT") {
            Self::Numeric
        } else if has("CHAR") || has("CLOB") || has("TEXT") {
            Self::Text
        } else if has("BLOB") || name.is_empty() {
            Self::None
        } else {
            Self::Numeric
        }
    }

    pub(super) const fn of_number(number: i64) -> Option<Self> {
        Some(match number {
            0 => Self::None,
            1 => Self::Text,
            2 => Self::Numeric,
            _ => return None,
        })
    }

    /// A type of this affinity.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Text => "TEXT",
            Self::Numeric => "NUMERIC",
        }
    }

    /// A value as it is compared with a column.
    pub(super) fn apply(self, host: &Host, value: Value) -> Result<Value> {
        let sql = match (self, &value) {
            (Self::Text, Value::Integer(_) | Value::Real(_)) => "SELECT CAST(?1 AS TEXT)",
            (Self::Numeric, Value::Text(_)) => {
                return Ok(numbers::of(host, &value)?.unwrap_or(value));
            }
            _ => return Ok(value),
        };
        Ok(host
            .prepare_cached(sql)?
            .query_row([value], |row| row.get(0))?)
    }
}
