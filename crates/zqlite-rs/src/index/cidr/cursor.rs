//! The rows that a query finds, read at once: what the query then writes does not change them.

use std::rc::Rc;

use rusqlite::types::ValueRef;

use super::super::fault::{Fault, Result};
use super::super::ffi::{Args, Cell};
use super::super::module;
use super::prefix::Prefix;
use super::relation::{Relation, of_plan};
use super::stored::Enough;
use super::{CHANGED_AT, Cidr, FAMILY, LENGTH, PREFIX};

pub(in super::super) struct Cursor {
    cidr: Rc<Cidr>,
    /// What was asked, as it was given.
    asked: Vec<(Relation, String)>,
    hits: Vec<Hit>,
    at: usize,
}

#[derive(Clone, Copy)]
struct Hit {
    prefix: Prefix,
    id: i64,
}

impl Cursor {
    pub(super) const fn new(cidr: Rc<Cidr>) -> Self {
        Self {
            cidr,
            asked: Vec::new(),
            hits: Vec::new(),
            at: 0,
        }
    }

    fn hit(&self) -> Result<Hit> {
        self.hits
            .get(self.at)
            .copied()
            .ok_or_else(|| Fault::usage("there is no row"))
    }

    fn find(&mut self, relation: Relation, value: ValueRef<'_>) -> Result<()> {
        let stored = &self.cidr.stored;
        let hits = &mut self.hits;
        let asked = match (relation, value) {
            (_, ValueRef::Null) => return Ok(()),
            (Relation::Row, ValueRef::Integer(id)) => {
                self.cidr.binding().stamp()?;
                hits.extend(stored.prefix(id)?.map(|prefix| Hit { prefix, id }));
                return Ok(());
            }
            // SQLite compares it with each row.
            (Relation::Row, _) => return self.find_all(),
            (_, value) => asked_prefix(relation, value)?,
        };
        let in_memory = self.cidr.in_memory()?;
        let Some(table) = in_memory else {
            return self.find_stored(relation, asked);
        };
        let mut add = |(prefix, ids): (Prefix, &super::stored::Ids)| {
            hits.extend(ids.as_slice().iter().map(|&id| Hit { prefix, id }));
        };
        match relation {
            Relation::Row => {}
            Relation::LongestMatch => table.longest_match(asked).into_iter().for_each(add),
            Relation::Covers => table.all_matches(asked).for_each(add),
            Relation::Within => table.contained_in(asked).for_each(&mut add),
            Relation::Overlaps => table.overlaps(asked).for_each(&mut add),
        }
        Ok(())
    }

    fn find_stored(&mut self, relation: Relation, asked: Prefix) -> Result<()> {
        let stored = &self.cidr.stored;
        let hits = &mut self.hits;
        if relation != Relation::Within {
            stored.covering(asked, |prefix| {
                // It comes with those that lie in it.
                if relation == Relation::Overlaps && prefix == asked {
                    return Ok(Enough::No);
                }
                stored.ids(prefix, |id| hits.push(Hit { prefix, id }))?;
                Ok(match relation {
                    Relation::LongestMatch => Enough::Yes,
                    _ => Enough::No,
                })
            })?;
        }
        if matches!(relation, Relation::Within | Relation::Overlaps) {
            stored.within(asked, |prefix, id| hits.push(Hit { prefix, id }))?;
        }
        Ok(())
    }

    fn find_all(&mut self) -> Result<()> {
        self.cidr.binding().stamp()?;
        let hits = &mut self.hits;
        self.cidr
            .stored
            .all(|prefix, id| hits.push(Hit { prefix, id }))
    }

    /// Keeps only the rows that meet another condition, too.
    fn sort_out(&mut self, relation: Relation, value: ValueRef<'_>) -> Result<()> {
        match (relation, value) {
            (_, ValueRef::Null) => {
                self.hits.clear();
                return Ok(());
            }
            // SQLite compares it itself.
            (Relation::Row, _) => return Ok(()),
            _ => {}
        }
        let asked = asked_prefix(relation, value)?;
        let longest = match relation {
            Relation::LongestMatch => self.longest(asked)?,
            _ => None,
        };
        self.hits.retain(|hit| match relation {
            Relation::Row => true,
            Relation::LongestMatch => Some(hit.prefix) == longest,
            Relation::Covers => hit.prefix.covers(asked),
            Relation::Within => asked.covers(hit.prefix),
            Relation::Overlaps => hit.prefix.covers(asked) || asked.covers(hit.prefix),
        });
        Ok(())
    }

    fn longest(&self, asked: Prefix) -> Result<Option<Prefix>> {
        let mut longest = None;
        self.cidr.stored.covering(asked, |prefix| {
            longest = Some(prefix);
            Ok(Enough::Yes)
        })?;
        Ok(longest)
    }
}

fn asked_prefix(relation: Relation, value: ValueRef<'_>) -> Result<Prefix> {
    let refused = |why: &str| Fault::usage(format!("{}: {why}", relation.name()));
    let ValueRef::Text(text) = value else {
        return Err(refused("an address or a prefix is text"));
    };
    let text = core::str::from_utf8(text).map_err(|_| refused("not UTF-8"))?;
    text.parse()
        .map_err(|error| refused(&format!("{error}: {text}")))
}

impl module::Cursor for Cursor {
    fn filter(&mut self, plan: &module::Plan<'_>, args: &Args<'_>) -> Result<()> {
        self.hits.clear();
        self.asked.clear();
        self.at = 0;
        for (at, relation) in of_plan(plan.number).enumerate() {
            let value = args.get(at);
            if let ValueRef::Text(text) = value {
                let text = String::from_utf8_lossy(text).into_owned();
                self.asked.push((relation, text));
            }
            if at == 0 {
                self.find(relation, value)?;
            } else {
                self.sort_out(relation, value)?;
            }
        }
        if plan.number == 0 {
            self.find_all()?;
        }
        Ok(())
    }

    fn next(&mut self) -> Result<()> {
        self.at += 1;
        Ok(())
    }

    fn eof(&self) -> bool {
        self.at >= self.hits.len()
    }

    fn column(&self, cell: &mut Cell<'_>, column: usize) -> Result<()> {
        let hit = self.hit()?;
        match column {
            PREFIX => cell.set_text(&hit.prefix.to_string()),
            LENGTH => cell.set_int(hit.prefix.len().into()),
            FAMILY => cell.set_int(if hit.prefix.is_ipv4() { 4 } else { 6 }),
            CHANGED_AT => {}
            column => {
                let relation = Relation::of_column(Some(column))
                    .ok_or_else(|| Fault::usage("no such column"))?;
                // An answer would be wrong where the condition has not reached the index.
                let (_, text) = self
                    .asked
                    .iter()
                    .find(|(asked, _)| *asked == relation)
                    .ok_or_else(|| {
                        Fault::usage(format!(
                            "{name} can only be asked as {name} = X, for one X at a time",
                            name = relation.name()
                        ))
                    })?;
                cell.set_text(text);
            }
        }
        Ok(())
    }

    fn rowid(&self) -> Result<i64> {
        Ok(self.hit()?.id)
    }
}
