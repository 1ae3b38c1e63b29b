//! The rows of a query, or their number.

use core::cell::RefCell;
use std::rc::Rc;

use rusqlite::types::{Value, ValueRef};

use super::super::fault::{Fault, Result};
use super::super::ffi::{Args, Cell};
use super::super::module::{self, Plan};
use super::condition::{Asked, Kind, Known, meet, of_words};
use super::{Bitmap, key_of, value_of};

pub(in super::super) struct Cursor {
    bitmap: Rc<Bitmap>,
    /// The values that were asked for with `=`, by column.
    asked: Vec<(usize, Value)>,
    known: Known,
    at: At,
    /// How often the connection had changed the index when it was asked.
    changes: u64,
    /// The row that was read last.
    row: RefCell<Option<(i64, Vec<Value>)>>,
}

enum At {
    Rows(Box<roaring::treemap::IntoIter>, Option<i64>),
    Count(u64),
    End,
}

impl Cursor {
    pub(super) fn new(bitmap: Rc<Bitmap>) -> Self {
        Self {
            bitmap,
            asked: Vec::new(),
            known: Known::default(),
            at: At::End,
            changes: 0,
            row: RefCell::new(None),
        }
    }

    fn remember(&mut self, asked: &[Asked], args: &Args<'_>) -> Result<()> {
        self.asked.clear();
        for (at, asked) in asked.iter().enumerate() {
            let column = match asked.kind {
                Kind::Equal | Kind::Is => asked.field,
                Kind::Query => self.bitmap.query_at(),
                Kind::IsNull => {
                    self.asked.push((asked.field, Value::Null));
                    continue;
                }
                _ => continue,
            };
            let value = Value::try_from(args.get(at))
                .map_err(|_| Fault::usage("bitmap: a text that is not UTF-8"))?;
            self.asked.push((column, value));
        }
        Ok(())
    }

    fn asked(&self, column: usize) -> Option<&Value> {
        let (_, value) = self.asked.iter().find(|(asked, _)| *asked == column)?;
        Some(value)
    }

    /// A column of the table, as it is in the row.
    fn field(&self, id: i64, column: usize) -> Result<Value> {
        if let Some((last, values)) = &*self.row.borrow()
            && *last == id
        {
            return Ok(values.get(column).cloned().unwrap_or(Value::Null));
        }
        let binding = self.bitmap.binding();
        let values = binding.row(id, |row| {
            let Some(row) = row else {
                return Ok(None);
            };
            (1..=self.bitmap.fields())
                .map(|at| value_of(id, row.get_ref(at)?))
                .collect::<Result<Vec<_>>>()
                .map(Some)
        })?;
        let values = match values {
            Some(values) => values,
            // It was deleted after the query had come to it.
            None if self.bitmap.stored.row(id)?.is_none() => return Ok(Value::Null),
            None => {
                return Err(Fault::corrupt(format!(
                    "index {}: row {id} is not in its table",
                    binding.name()
                )));
            }
        };
        let value = values.get(column).cloned().unwrap_or(Value::Null);
        self.row.replace(Some((id, values)));
        Ok(value)
    }
}

impl module::Cursor for Cursor {
    fn filter(&mut self, plan: &Plan<'_>, args: &Args<'_>) -> Result<()> {
        self.at = At::End;
        self.row.take();
        let asked = of_words(plan.words)?;
        self.remember(&asked, args)?;
        let counts = plan.number == 1;
        let (rows, known) = meet(&self.bitmap, &asked, args, counts)?;
        self.known = known;
        self.at = if counts {
            At::Count(rows.count())
        } else {
            let mut numbers = Box::new(rows.list().into_iter());
            let first = numbers.next().map(key_of);
            At::Rows(numbers, first)
        };
        self.changes = self.bitmap.changes.get();
        Ok(())
    }

    fn next(&mut self) -> Result<()> {
        let At::Rows(numbers, current) = &mut self.at else {
            self.at = At::End;
            return Ok(());
        };
        *current = numbers.next().map(key_of);
        // A row that the connection has deleted while it reads is not there any more.
        while let Some(id) = *current
            && self.changes != self.bitmap.changes.get()
            && self.bitmap.stored.row(id)?.is_none()
        {
            *current = numbers.next().map(key_of);
        }
        Ok(())
    }

    fn eof(&self) -> bool {
        matches!(self.at, At::End | At::Rows(_, None))
    }

    fn column(&self, cell: &mut Cell<'_>, column: usize) -> Result<()> {
        let bitmap = &self.bitmap;
        match (&self.at, self.asked(column)) {
            (At::Count(count), _) if column == bitmap.count_at() => {
                cell.set_int(i64::try_from(*count).unwrap_or(i64::MAX));
            }
            (_, _) if column == bitmap.changed_at() => {}
            (_, Some(asked)) if column == bitmap.query_at() => cell.set(ValueRef::from(asked)),
            (At::Count(_), Some(asked)) => cell.set(ValueRef::from(asked)),
            (At::Rows(_, Some(id)), _) if column < bitmap.fields() => {
                match self.known.value(column, *id) {
                    Some(value) => cell.set(ValueRef::from(value)),
                    None => cell.set(ValueRef::from(&self.field(*id, column)?)),
                }
            }
            (At::Count(_), None) => return Err(alone()),
            _ => {
                return Err(Fault::usage(
                    "query can only be asked as query = X, for one X at a time",
                ));
            }
        }
        Ok(())
    }

    fn rowid(&self) -> Result<i64> {
        match self.at {
            At::Rows(_, Some(id)) => Ok(id),
            _ => Err(alone()),
        }
    }
}

/// An answer would be wrong: there is one row for many.
fn alone() -> Fault {
    Fault::usage(
        "count is the number of rows: beside it there are only the values that were asked for with =, \
         and no conditions but those that sets meet",
    )
}
