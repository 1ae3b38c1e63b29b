//! The text of statements about the shadow tables of one time series.

use super::super::name::quoted;

/// Statements that run for each point, or each query: making their text costs as much as a row.
///
/// `= +?1` and not `= ?1`, where several rows may have the value: SQLite (3.54) estimates their number by what is bound,
/// and so prepares the statement anew for each use out of rusqlite's cache, which costs several times the use.
pub(super) struct Sql {
    pub(super) format: String,
    pub(super) series: String,
    pub(super) put: String,
    pub(super) count: String,
    pub(super) recent: String,
    pub(super) chunk_before: String,
    pub(super) chunk_from: String,
    pub(super) open: String,
}

impl Sql {
    /// For a series with `enough` recent points they are counted no further.
    pub(super) fn new(schema: &str, name: &str, enough: i64) -> Self {
        let sql = |text: &str| with_names(text, schema, name);
        let chunk_where = |which: &str| {
            sql(&format!(
                "SELECT id, first, last, count, min, max, sum, first_value, last_value FROM @chunks
                 WHERE series = +?1 AND {which} LIMIT 1"
            ))
        };
        Self {
            format: sql("SELECT value FROM @state WHERE id = 1"),
            series: sql("SELECT id, series FROM @series WHERE series = ?1"),
            put: sql("INSERT OR REPLACE INTO @recent VALUES (?1, ?2, ?3)"),
            // A parameter of LIMIT would have the same effect.
            count: sql(&format!(
                "SELECT count(*) FROM (SELECT 1 FROM @recent WHERE series = +?1 LIMIT {enough})"
            )),
            recent: sql(
                "SELECT time, value FROM @recent WHERE series = +?1 AND time BETWEEN ?2 AND ?3 ORDER BY time",
            ),
            chunk_before: chunk_where("first <= ?2 ORDER BY first DESC"),
            chunk_from: chunk_where("first >= ?2 ORDER BY first"),
            open: sql("SELECT times, numbers FROM @points
                 WHERE chunk = ?1 AND length(times) <= ?2 AND length(numbers) <= ?2"),
        }
    }
}

/// SQL in which `@x` stands for the shadow table `x`.
pub(super) fn with_names(text: &str, schema: &str, name: &str) -> String {
    let mut sql = String::with_capacity(text.len() + 64);
    let mut parts = text.split('@');
    sql.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let end = part
            .find(|c: char| !c.is_ascii_lowercase())
            .unwrap_or(part.len());
        let (table, rest) = part.split_at_checked(end).unwrap_or((part, ""));
        sql.push_str(&shadow(schema, name, table));
        sql.push_str(rest);
    }
    sql
}

pub(super) fn shadow(schema: &str, name: &str, table: &str) -> String {
    format!("{}.{}", quoted(schema), quoted(&format!("{name}_{table}")))
}
