//! Combinations of conditions as a JSON array. SQLite parses it: this only sees the tree.

use roaring::RoaringTreemap;
use rusqlite::types::{Value, ValueRef};

use super::super::fault::{Fault, Result};
use super::stored::ALL;
use super::{Bitmap, condition};

/// The most arrays, names and values in a query.
pub const MAX_QUERY_PARTS: usize = 10_000;

/// How deep arrays may stand in each other.
pub const MAX_QUERY_DEPTH: usize = 64;

/// An array, or a value.
enum Part {
    Array(Vec<usize>),
    Value(Value),
    Object,
}

/// The rows that a query means.
pub(super) fn rows(bitmap: &Bitmap, value: ValueRef<'_>) -> Result<RoaringTreemap> {
    let Ok(text) = value.as_str() else {
        return Err(refused("it is not text"));
    };
    let parts = parse(bitmap, text)?;
    evaluate(bitmap, &parts, 0, MAX_QUERY_DEPTH)
}

fn refused(why: &str) -> Fault {
    Fault::usage(format!("bitmap: query: {why}"))
}

fn parse(bitmap: &Bitmap, text: &str) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    // Where the part with this id of SQLite's stands.
    let mut places = std::collections::HashMap::new();
    let host = &bitmap.binding().host;
    let mut statement =
        host.prepare_cached("SELECT id, parent, type, atom FROM json_tree(?1) ORDER BY id")?;
    let mut rows = statement.query([text])?;
    while let Some(row) = rows.next()? {
        if parts.len() == MAX_QUERY_PARTS {
            return Err(refused("it has too many parts"));
        }
        let at = parts.len();
        let (id, parent): (i64, Option<i64>) = (row.get(0)?, row.get(1)?);
        let kind: String = row.get(2)?;
        parts.push(match kind.as_str() {
            "array" => Part::Array(Vec::new()),
            "object" => Part::Object,
            "true" => Part::Value(Value::Integer(1)),
            "false" => Part::Value(Value::Integer(0)),
            _ => Part::Value(row.get(3)?),
        });
        if let Some(&parent) = parent.and_then(|parent| places.get(&parent))
            && let Some(Part::Array(parts)) = parts.get_mut(parent)
        {
            parts.push(at);
        }
        places.insert(id, at);
    }
    Ok(parts)
}

fn evaluate(bitmap: &Bitmap, parts: &[Part], at: usize, depth: usize) -> Result<RoaringTreemap> {
    let Some(Part::Array(array)) = parts.get(at) else {
        return Err(refused(
            "each condition is an array like [\"=\", \"column\", 1]",
        ));
    };
    let deeper = depth
        .checked_sub(1)
        .ok_or_else(|| refused("arrays stand too deep in each other"))?;
    let text = |at: usize| match array.get(at).and_then(|part| parts.get(*part)) {
        Some(Part::Value(Value::Text(text))) => Some(text.as_str()),
        _ => None,
    };
    let rest = array.get(1..).unwrap_or_default();
    let mut sets = rest
        .iter()
        .map(|part| evaluate(bitmap, parts, *part, deeper));
    match text(0) {
        Some("and") => {
            let first = match sets.next() {
                Some(first) => first?,
                None => (*bitmap.set(ALL)?).clone(),
            };
            sets.try_fold(first, |rows, set| Ok(rows & set?))
        }
        Some("or") => sets.try_fold(RoaringTreemap::new(), |rows, set| Ok(rows | set?)),
        Some("not") => match (sets.next(), sets.next()) {
            (Some(set), None) => Ok(&*bitmap.set(ALL)? - set?),
            _ => Err(refused("\"not\" takes one condition")),
        },
        Some(operator @ ("=" | "in")) => {
            let values = array.get(2..).unwrap_or_default();
            if operator == "=" && values.len() != 1 {
                return Err(refused("\"=\" takes a column and a value"));
            }
            let column = text(1).ok_or_else(|| refused("the name of a column is missing"))?;
            let field = bitmap
                .binding()
                .columns()
                .iter()
                .position(|name| name.eq_ignore_ascii_case(column))
                .ok_or_else(|| refused(&format!("the index has no column {column}")))?;
            let mut rows = RoaringTreemap::new();
            for value in values {
                let Some(Part::Value(value)) = parts.get(*value) else {
                    return Err(refused("a value is a text, a number or null"));
                };
                rows |= &*condition::rows_of(bitmap, field, value.clone())?;
            }
            Ok(rows)
        }
        _ => Err(refused(
            "a condition begins with \"and\", \"or\", \"not\", \"=\" or \"in\"",
        )),
    }
}
