//! Conditions on several columns: sets of rows by value, against ordinary indexes on each column and covering ones on
//! several, of which plain SQLite gets the fastest for each question.

use std::time::Duration;

use anyhow::{Context as _, Result};
use rusqlite::{Connection, Statement};
use serde_json::Value;

use crate::Args;
use crate::contest::{Found, Sheet, Work, contest, timed};
use crate::databases::Databases;
use crate::numbers::Numbers;

/// A question: its key and words, and its condition in plain SQL and for the index.
struct Question {
    key: &'static str,
    what: &'static str,
    plain: &'static str,
    bitmap: &'static str,
}

/// A condition that both understand.
const fn same(key: &'static str, what: &'static str, condition: &'static str) -> Question {
    Question {
        key,
        what,
        plain: condition,
        bitmap: condition,
    }
}

const QUESTIONS: &[Question] = &[
    same("one", "tenant", "tenant = 17"),
    same("two", "os AND region", "os = 'macos' AND region = 'r3'"),
    same(
        "three",
        "os AND region AND active",
        "os = 'linux' AND region = 'r3' AND active = 1",
    ),
    same(
        "without",
        "active AND NOT os",
        "active = 1 AND os <> 'linux'",
    ),
    Question {
        key: "or",
        what: "os OR region",
        plain: "os = 'bsd' OR region = 'r7'",
        bitmap: r#"query = '["or", ["=", "os", "bsd"], ["=", "region", "r7"]]'"#,
    },
    Question {
        key: "deep",
        what: "(os OR region IN) AND NOT active",
        plain: "(os = 'bsd' OR region IN ('r1', 'r2')) AND active <> 1",
        bitmap: r#"query = '["and", ["or", ["=", "os", "bsd"], ["in", "region", "r1", "r2"]],
            ["not", ["=", "active", 1]]]'"#,
    },
];

const COLUMNS: &[&str] = &["os", "region", "tenant", "active"];
/// Columns of covering indexes.
const COVERING: &[&str] = &[
    "os, region, active, tenant",
    "region, os, active, tenant",
    "active, os, region, tenant",
];
/// Rows that one transaction writes.
const WRITTEN: usize = 1_000;

pub(crate) fn measure(args: &Args) -> Result<Value> {
    let dbs = Databases::new()?;
    fill(&dbs, args.rows)?;
    let (plain_other, sealed_other) = dbs.others()?;
    for db in [&plain_other, &sealed_other] {
        // Nobody times it.
        db.execute_batch("PRAGMA synchronous=OFF")?;
    }
    let mut sheet = Sheet::new(&format!("bitmap: {} rows, us a question", args.rows));
    for (result, of_plain, of_bitmap) in [
        ("count", "count(*)", "count"),
        ("rowids", "id", "rowid"),
        ("fresh", "count(*)", "count"),
    ] {
        for question in QUESTIONS {
            let mut plain = fastest(&dbs.plain, of_plain, question.plain)?;
            let sql = format!(
                "SELECT {of_bitmap} FROM event_tags WHERE {}",
                question.bitmap
            );
            let mut sealed = dbs.sealed.prepare(&sql)?;
            let is_fresh = result == "fresh";
            let sides: Vec<Work<'_>> = vec![
                Box::new(|| {
                    if is_fresh {
                        change(&plain_other)?;
                    }
                    numbers(&mut plain)
                }),
                Box::new(|| {
                    if is_fresh {
                        change(&sealed_other)?;
                    }
                    numbers(&mut sealed)
                }),
            ];
            let times = contest(question.what, args.rounds, sides)?;
            let what = match result {
                "rowids" => format!("rowids of {}", question.what),
                "fresh" => format!("changed, {}", question.what),
                _ => format!("count of {}", question.what),
            };
            let key = format!("{result}_{}", question.key);
            sheet.line(&key, &what, times[0] / 1e3, times[1] / 1e3);
        }
    }
    drop((plain_other, sealed_other));
    write(&dbs, args, &mut sheet)?;
    Ok(sheet.into_json())
}

fn fill(dbs: &Databases, rows: usize) -> Result<()> {
    for db in [&dbs.plain, &dbs.sealed] {
        let mut numbers = Numbers::new(3);
        db.execute_batch(
            "BEGIN;
             CREATE TABLE events(id INTEGER PRIMARY KEY, os TEXT, region TEXT, tenant INTEGER, active INTEGER, note TEXT);",
        )?;
        insert(db, &mut numbers, rows)?;
        db.execute_batch("COMMIT")?;
    }
    for (at, columns) in COLUMNS.iter().chain(COVERING).enumerate() {
        dbs.plain
            .execute_batch(&format!("CREATE INDEX index_{at} ON events({columns})"))?;
    }
    dbs.plain.execute_batch("ANALYZE")?;
    let columns = COLUMNS.join(", ");
    dbs.sealed.execute_batch(&format!(
        "CREATE VIRTUAL TABLE event_tags USING bitmap(events, {columns})"
    ))?;
    dbs.bytes()?;
    Ok(())
}

/// Rows of some 130 bytes: four systems, most of them linux, twelve regions, three hundred tenants, four of five active.
fn insert(db: &Connection, numbers: &mut Numbers, rows: usize) -> Result<()> {
    let mut statement = db.prepare_cached(
        "INSERT INTO events(os, region, tenant, active, note) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let note = "what happened, in some words; ".repeat(3);
    for _ in 0..rows {
        let (os, region) = (os(numbers), region(numbers));
        let (tenant, active) = (numbers.below(300), numbers.below(5) > 0);
        statement.execute((os, region, tenant, active, &note))?;
    }
    Ok(())
}

fn os(numbers: &mut Numbers) -> &'static str {
    match numbers.below(20) {
        0 => "bsd",
        1..=2 => "macos",
        3..=7 => "windows",
        _ => "linux",
    }
}

fn region(numbers: &mut Numbers) -> String {
    format!("r{}", numbers.below(12))
}

/// The statement that answers fastest, be it as the planner chooses or by any one index.
fn fastest<'a>(db: &'a Connection, result: &str, condition: &str) -> Result<Statement<'a>> {
    let hints = (0..COLUMNS.len() + COVERING.len()).map(|at| format!("INDEXED BY index_{at}"));
    let mut best: Option<(Duration, Statement<'a>)> = None;
    for hint in core::iter::once(String::new()).chain(hints) {
        let sql = format!("SELECT {result} FROM events {hint} WHERE {condition}");
        // An index that is of no use for the condition is an error.
        let Ok(mut statement) = db.prepare(&sql) else {
            continue;
        };
        numbers(&mut statement)?;
        let mut times = (0..3)
            .map(|_| Ok(numbers(&mut statement)?.1))
            .collect::<Result<Vec<_>>>()?;
        times.sort();
        if best.as_ref().is_none_or(|(best, _)| times[1] < *best) {
            best = Some((times[1], statement));
        }
    }
    Ok(best.context("no way to ask")?.1)
}

/// How many numbers a statement gives, and which, in whatever order.
fn numbers(statement: &mut Statement<'_>) -> Result<Found> {
    timed(|| {
        let mut rows = statement.query([])?;
        let mut found = 0_u64;
        while let Some(row) = rows.next()? {
            let number: i64 = row.get(0)?;
            // An odd factor, and one more: neither a number nor a zero is lost.
            let mixed = number.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1;
            found = found.wrapping_add(mixed ^ (mixed >> 29));
        }
        Ok(found)
    })
}

/// Changes a row, and changes it back: what another connection keeps in memory is out of date then.
fn change(db: &Connection) -> Result<()> {
    let mut statement = db.prepare_cached("UPDATE events SET active = NOT active WHERE id = 1")?;
    for _ in 0..2 {
        statement.execute([])?;
    }
    Ok(())
}

/// What the index costs those who write, beside ordinary indexes on each column.
fn write(dbs: &Databases, args: &Args, sheet: &mut Sheet) -> Result<()> {
    for at in COLUMNS.len()..COLUMNS.len() + COVERING.len() {
        dbs.plain.execute_batch(&format!("DROP INDEX index_{at}"))?;
    }
    let times = contest(
        "inserts",
        args.rounds,
        vec![
            Box::new(|| inserts(&dbs.plain, args.rows)),
            Box::new(|| inserts(&dbs.sealed, args.rows)),
        ],
    )?;
    let what = format!("insert of a row, {WRITTEN} in a transaction");
    sheet.line("insert", &what, times[0] / 1e6, times[1] / 1e6);
    let times = contest(
        "updates",
        args.rounds,
        vec![
            Box::new(|| updates(&dbs.plain, args.rows)),
            Box::new(|| updates(&dbs.sealed, args.rows)),
        ],
    )?;
    let what = format!("update of a row, {WRITTEN} in a transaction");
    sheet.line("update", &what, times[0] / 1e6, times[1] / 1e6);
    Ok(())
}

/// Inserts rows, and deletes them untimed.
fn inserts(db: &Connection, rows: usize) -> Result<Found> {
    let found = timed(|| {
        let transaction = db.unchecked_transaction()?;
        insert(db, &mut Numbers::new(4), WRITTEN)?;
        transaction.commit()?;
        let newest: i64 = db.query_row("SELECT max(id) FROM events", [], |row| row.get(0))?;
        Ok(newest.cast_unsigned())
    })?;
    db.execute("DELETE FROM events WHERE id > ?1", [rows])?;
    Ok(found)
}

/// Gives rows here and there another region and system, and then, untimed, what they had.
fn updates(db: &Connection, rows: usize) -> Result<Found> {
    let mut statement =
        db.prepare_cached("UPDATE events SET os = ?2, region = ?3 WHERE id = ?1")?;
    let mut read = db.prepare_cached("SELECT os, region FROM events WHERE id = ?1")?;
    let mut draw = Numbers::new(5);
    let mut olds = Vec::new();
    for _ in 0..WRITTEN {
        let id = draw.below(rows) + 1;
        let old: (String, String) = read.query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        olds.push((id, old));
    }
    let found = timed(|| {
        let transaction = db.unchecked_transaction()?;
        let mut changed = 0;
        for (id, _) in &olds {
            changed += statement.execute((id, os(&mut draw), region(&mut draw)))?;
        }
        transaction.commit()?;
        Ok(changed.try_into()?)
    })?;
    let transaction = db.unchecked_transaction()?;
    for (id, (os, region)) in olds {
        statement.execute((id, os, region))?;
    }
    transaction.commit()?;
    Ok(found)
}
