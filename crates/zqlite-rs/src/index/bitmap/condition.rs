//! The conditions of a query that sets meet, from the planner to the rows.

use std::collections::BTreeMap;
use std::rc::Rc;

use roaring::RoaringTreemap;
use rusqlite::types::{Value, ValueRef};

use super::super::fault::{Fault, Result};
use super::super::ffi::{Args, Operator};
use super::super::numbers;
use super::affinity::Affinity;
use super::stored::ALL;
use super::{Bitmap, number_of, query};

/// How rows stand to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Equal,
    /// One of several values, all of which are asked for at once.
    In,
    NotEqual,
    Is,
    IsNot,
    IsNull,
    IsNotNull,
    /// The row with this key.
    Row,
    Query,
}

/// A kind, its letter in a plan, and how EXPLAIN QUERY PLAN shows it.
const KINDS: [(Kind, char, &str); 9] = [
    (Kind::Equal, 'e', " ="),
    (Kind::In, 'l', " IN"),
    (Kind::NotEqual, 'd', " <>"),
    (Kind::Is, 'i', " IS"),
    (Kind::IsNot, 'j', " IS NOT"),
    (Kind::IsNull, 'n', " IS NULL"),
    (Kind::IsNotNull, 'm', " IS NOT NULL"),
    (Kind::Row, 'r', "row"),
    (Kind::Query, 'q', "query"),
];

impl Kind {
    pub(super) const fn of_operator(operator: Operator) -> Option<Self> {
        Some(match operator {
            Operator::Equal => Self::Equal,
            Operator::NotEqual => Self::NotEqual,
            Operator::Is => Self::Is,
            Operator::IsNot => Self::IsNot,
            Operator::IsNull => Self::IsNull,
            Operator::IsNotNull => Self::IsNotNull,
            _ => return None,
        })
    }

    /// Whether it selects rows, rather than leaves some out.
    pub(super) const fn narrows(self) -> bool {
        !matches!(self, Self::NotEqual | Self::IsNot | Self::IsNotNull)
    }
}

/// A condition on a column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) field: usize,
    pub(super) kind: Kind,
}

/// What EXPLAIN QUERY PLAN shows; between the last parentheses is what [`of_words`] reads.
pub(super) fn words(columns: &[String], asked: &[Asked], counts: bool) -> String {
    let mut shown = Vec::new();
    let mut plan = String::new();
    for asked in asked {
        for (_, letter, words) in KINDS.iter().filter(|(kind, ..)| *kind == asked.kind) {
            let column = match asked.kind {
                Kind::Row | Kind::Query => "",
                _ => columns.get(asked.field).map_or("", String::as_str),
            };
            shown.push(format!("{column}{words}"));
            plan.push_str(&format!("{letter}{}", asked.field));
        }
    }
    let shown = if shown.is_empty() {
        "all rows".to_owned()
    } else {
        shown.join(" AND ")
    };
    let counts = if counts { "count of " } else { "" };
    format!("{counts}{shown} ({plan})")
}

/// The conditions of a plan.
pub(super) fn of_words(words: &str) -> Result<Vec<Asked>> {
    let read = || {
        let mut plan = words.rsplit_once('(')?.1.strip_suffix(')')?;
        let mut asked = Vec::new();
        while let Some(letter) = plan.chars().next() {
            let (kind, ..) = KINDS.iter().find(|(_, it, _)| *it == letter)?;
            plan = plan.get(1..)?;
            let digits = plan
                .find(|it: char| !it.is_ascii_digit())
                .unwrap_or(plan.len());
            let (field, rest) = plan.split_at(digits);
            asked.push(Asked {
                field: field.parse().ok()?,
                kind: *kind,
            });
            plan = rest;
        }
        Some(asked)
    };
    read().ok_or_else(|| Fault::usage("bitmap: a plan that is none of ours"))
}

/// The rows that meet all conditions; or, unless they are `exact`ly those of a value that is compared as the column
/// says, all that could meet them whatever type the other side has.
pub(super) fn meet(
    bitmap: &Bitmap,
    asked: &[Asked],
    args: &Args<'_>,
    exact: bool,
) -> Result<(Rows, Known)> {
    bitmap.refresh()?;
    let (mut inside, mut outside) = (Vec::new(), Vec::new());
    let mut known = Known::default();
    for (at, asked) in asked.iter().enumerate() {
        let value = args.get(at);
        let field = asked.field;
        match (asked.kind, value) {
            (Kind::Equal | Kind::NotEqual | Kind::Query, ValueRef::Null) => {
                return Ok((Rows::none(), known));
            }
            (Kind::Equal | Kind::Is, value) if exact => {
                inside.push(rows_of(bitmap, field, owned(value)?)?);
            }
            (Kind::Equal | Kind::Is, value) => {
                inside.push(known.add(field, candidates(bitmap, field, vec![owned(value)?])?));
            }
            (Kind::In, _) => {
                let mut values = Vec::new();
                args.each_of_in(at, |value| {
                    values.push(owned(value)?);
                    Ok(())
                })?;
                inside.push(known.add(field, candidates(bitmap, field, values)?));
            }
            (Kind::NotEqual | Kind::IsNot, value) => {
                if asked.kind == Kind::NotEqual {
                    outside.push(rows_of(bitmap, field, Value::Null)?);
                }
                outside.push(if exact || bitmap.affinity(field)? == Affinity::Numeric {
                    rows_of(bitmap, field, owned(value)?)?
                } else {
                    // The same without any conversion is the same after each.
                    rows_with(bitmap, field, &owned(value)?)?
                });
            }
            (Kind::IsNull, _) => inside.push(rows_of(bitmap, field, Value::Null)?),
            (Kind::IsNotNull, _) => outside.push(rows_of(bitmap, field, Value::Null)?),
            (Kind::Row, ValueRef::Integer(id)) => {
                inside.push(Rc::new(core::iter::once(number_of(id)).collect()));
                inside.push(bitmap.set(ALL)?);
            }
            // SQLite compares it with each row.
            (Kind::Row, _) => {}
            (Kind::Query, value) => inside.push(Rc::new(query::rows(bitmap, value)?)),
        }
    }
    if inside.is_empty() {
        inside.push(bitmap.set(ALL)?);
    }
    Ok((Rows { inside, outside }, known))
}

fn owned(value: ValueRef<'_>) -> Result<Value> {
    Value::try_from(value).map_err(|_| Fault::usage("bitmap: a text that is not UTF-8"))
}

/// The rows whose column has a value.
pub(super) fn rows_of(bitmap: &Bitmap, field: usize, value: Value) -> Result<Rc<RoaringTreemap>> {
    let affinity = bitmap.affinity(field)?;
    let value = affinity.apply(&bitmap.binding().host, value)?;
    rows_with(bitmap, field, &value)
}

fn rows_with(bitmap: &Bitmap, field: usize, value: &Value) -> Result<Rc<RoaringTreemap>> {
    match bitmap.stored.value(field, value)? {
        Some(number) => bitmap.set(number),
        None => Ok(Rc::default()),
    }
}

/// A value of the table, if it is known as it is there, and the rows that have it.
type Candidate = (Option<Value>, Rc<RoaringTreemap>);

/// What could equal one of some values. A value is compared with a column as it is, as the column's own type has it,
/// or, if the other side is a column of numbers, as a number, and so is then a text of this column.
fn candidates(bitmap: &Bitmap, field: usize, values: Vec<Value>) -> Result<Vec<Candidate>> {
    let affinity = bitmap.affinity(field)?;
    let host = &bitmap.binding().host;
    let mut found = BTreeMap::new();
    for value in values {
        let number = match affinity {
            Affinity::Numeric => None,
            _ => numbers::of(host, &value)?,
        };
        let own = affinity.apply(host, value)?;
        if let Some(id) = bitmap.stored.value(field, &own)? {
            // 1 and 1.0 are one value of the index.
            let is_as_it_is = !matches!(own, Value::Integer(_) | Value::Real(_));
            found.insert(id, is_as_it_is.then_some(own));
        }
        let Some(number) = number else {
            continue;
        };
        if let Some(id) = bitmap.stored.value(field, &number)? {
            found.insert(id, None);
        }
        for (id, text) in bitmap.stored.texts(field, &number)? {
            found.insert(id, Some(text));
        }
    }
    found
        .into_iter()
        .map(|(id, value)| Ok((value, bitmap.set(id)?)))
        .collect()
}

/// Of more values than this, the row of the table tells which one it has: looking for it among their sets costs more.
const MOST_KNOWN: usize = 16;

/// The values of columns that follow from what was asked: no row of the table is read for them.
#[derive(Default)]
pub(super) struct Known(Vec<(usize, Vec<Candidate>)>);

impl Known {
    /// Gives the rows of all candidates.
    fn add(&mut self, field: usize, candidates: Vec<Candidate>) -> Rc<RoaringTreemap> {
        let rows = match &candidates[..] {
            [(_, one)] => Rc::clone(one),
            several => {
                let sets = several.iter().map(|(_, rows)| &**rows);
                let mut all = RoaringTreemap::new();
                sets.for_each(|rows| all |= rows);
                Rc::new(all)
            }
        };
        if candidates.len() <= MOST_KNOWN {
            self.0.push((field, candidates));
        }
        rows
    }

    /// The value of a column in a row that was found.
    pub(super) fn value(&self, field: usize, id: i64) -> Option<&Value> {
        let (_, candidates) = self.0.iter().find(|(known, _)| *known == field)?;
        let (value, _) = match &candidates[..] {
            [one] => one,
            several => several
                .iter()
                .find(|(_, rows)| rows.contains(number_of(id)))?,
        };
        value.as_ref()
    }
}

/// The rows that are in each of some sets, and in none of others.
pub(super) struct Rows {
    inside: Vec<Rc<RoaringTreemap>>,
    outside: Vec<Rc<RoaringTreemap>>,
}

impl Rows {
    fn none() -> Self {
        Self {
            inside: vec![Rc::default()],
            outside: Vec::new(),
        }
    }

    /// How many they are, without listing them where that is possible.
    pub(super) fn count(&self) -> u64 {
        match (&self.inside[..], &self.outside[..]) {
            ([one], []) => one.len(),
            ([one, other], []) => one.intersection_len(other),
            ([one], [other]) => one.difference_len(other),
            _ => self.list().len(),
        }
    }

    pub(super) fn list(&self) -> RoaringTreemap {
        let mut inside: Vec<_> = self.inside.iter().collect();
        // What is smallest leaves the least to do.
        inside.sort_by_key(|set| set.len());
        let mut sets = inside.into_iter();
        let mut rows = sets.next().map(|set| (**set).clone()).unwrap_or_default();
        for set in sets {
            rows &= &**set;
        }
        for set in &self.outside {
            rows -= &**set;
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_from_the_words_that_are_shown() {
        let columns = ["os".to_owned(), "a (b)".to_owned()];
        let asked: Vec<Asked> = KINDS
            .iter()
            .enumerate()
            .map(|(at, (kind, ..))| Asked {
                field: if matches!(kind, Kind::Row | Kind::Query) {
                    0
                } else {
                    at % 2
                },
                kind: *kind,
            })
            .collect();
        let shown = words(&columns, &asked, true);
        assert!(
            shown.starts_with("count of os = AND a (b) IN AND os <> AND a (b) IS AND "),
            "{shown}"
        );
        let read = of_words(&shown).unwrap();
        assert_eq!(read.len(), KINDS.len());
        for (read, asked) in read.iter().zip(&asked) {
            assert_eq!((read.field, read.kind), (asked.field, asked.kind));
        }
        assert_eq!(words(&columns, &[], false), "all rows ()");
        assert_eq!(of_words("all rows ()").unwrap().len(), 0);
        for other in [
            "",
            "()x",
            "(e",
            "(e)",
            "(ex)",
            "(z0)",
            "e0)",
            "(e99999999999999999999)",
        ] {
            assert!(of_words(other).is_err(), "{other}");
        }
    }
}
