//! Longest prefix match: the index `cidr` through SQL, and the table in memory behind it, against the best way of plain
//! SQLite: a B-tree by length and address, probed once for each length that exists, longest first, in one statement.

use std::time::Instant;

use anyhow::Result;
use rusqlite::{Connection, OptionalExtension as _, Statement, ToSql};
use serde_json::Value;
use zqlite::index::cidr::PrefixTable;

use crate::Args;
use crate::contest::{Sheet, Work, contest, fold, timed};
use crate::databases::Databases;
use crate::routes::{Family, Routes};

/// Lengths from the longest to the shortest, and a search in the B-tree for each until one is found.
const PROBE: &str = "SELECT routes.id FROM lengths CROSS JOIN routes
    WHERE routes.len = lengths.len AND routes.base = ?1 & lengths.mask
    ORDER BY lengths.len DESC LIMIT 1";

const INDEX: &str = "SELECT rowid FROM route_ip WHERE longest_match = ?1";

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measures")]
pub(crate) fn measure(family: Family, name: &str, args: &Args) -> Result<Value> {
    let routes = Routes::new(family, args.routes);
    let addresses = routes.addresses(args.lookups);
    let dbs = Databases::new()?;
    fill(&dbs, &routes)?;
    let started = Instant::now();
    let table: PrefixTable<i64> = (1_i64..)
        .zip(&routes.routes)
        .map(|(id, route)| Ok((routes.text(*route).parse()?, id)))
        .collect::<Result<_>>()?;
    let built = started.elapsed();

    let numbers: Vec<i64> = addresses.iter().map(|asked| asked.number).collect();
    let texts: Vec<String> = addresses
        .iter()
        .map(|asked| asked.address.to_string())
        .collect();
    let (mut probe, mut index) = (dbs.plain.prepare(PROBE)?, dbs.sealed.prepare(INDEX)?);
    let (mut probe_alone, mut index_alone) =
        (dbs.plain.prepare(PROBE)?, dbs.sealed.prepare(INDEX)?);
    let in_one: Vec<Work<'_>> = vec![
        Box::new(|| look_up(Some(&dbs.plain), &mut probe, &numbers)),
        Box::new(|| look_up(Some(&dbs.sealed), &mut index, &texts)),
        Box::new(|| {
            timed(|| {
                Ok(addresses.iter().fold(0, |found, asked| {
                    let id = table.longest_match(asked.address).map_or(0, |(_, id)| *id);
                    fold(found, id.cast_unsigned())
                }))
            })
        }),
    ];
    let alone: Vec<Work<'_>> = vec![
        Box::new(|| look_up(None, &mut probe_alone, &numbers)),
        Box::new(|| look_up(None, &mut index_alone, &texts)),
    ];
    let lookups = f64::from(u32::try_from(addresses.len())?);
    let each = |times: Vec<f64>| times.into_iter().map(|time| time / lookups).collect();
    let in_one: Vec<f64> = each(contest(name, args.rounds, in_one)?);
    let alone: Vec<f64> = each(contest(name, args.rounds, alone)?);

    let mut sheet = Sheet::new(&format!(
        "{name}: longest match, {} routes, ns",
        args.routes
    ));
    sheet.line("index", "through SQL, sealed", in_one[0], in_one[1]);
    sheet.line("library", "the library", in_one[0], in_one[2]);
    let what = "through SQL, a transaction each";
    sheet.line("index_alone", what, alone[0], alone[1]);
    println!(
        "  {} lengths occur; the library's table was built in {:.1} ms",
        routes.masks().len(),
        built.as_secs_f64() * 1e3
    );
    Ok(sheet.into_json())
}

fn fill(dbs: &Databases, routes: &Routes) -> Result<()> {
    let ids = || (1_i64..).zip(&routes.routes);
    dbs.plain.execute_batch(
        "BEGIN;
         CREATE TABLE routes(len INTEGER, base INTEGER, id INTEGER, PRIMARY KEY(len, base)) WITHOUT ROWID;
         CREATE TABLE lengths(len INTEGER PRIMARY KEY, mask INTEGER);",
    )?;
    let mut insert = dbs
        .plain
        .prepare("INSERT INTO routes(len, base, id) VALUES (?1, ?2, ?3)")?;
    for (id, route) in ids() {
        insert.execute((route.len, route.base.cast_signed(), id))?;
    }
    for (len, mask) in routes.masks() {
        let sql = "INSERT INTO lengths VALUES (?1, ?2)";
        dbs.plain.execute(sql, (len, mask))?;
    }
    dbs.plain.execute_batch("COMMIT; ANALYZE;")?;
    dbs.sealed
        .execute_batch("BEGIN; CREATE TABLE routes(id INTEGER PRIMARY KEY, prefix TEXT);")?;
    let mut insert = dbs
        .sealed
        .prepare("INSERT INTO routes(id, prefix) VALUES (?1, ?2)")?;
    for (id, route) in ids() {
        insert.execute((id, routes.text(*route)))?;
    }
    dbs.sealed
        .execute_batch("CREATE VIRTUAL TABLE route_ip USING cidr(routes, prefix); COMMIT;")?;
    Ok(())
}

/// Looks all up, in one transaction of the connection if one is named.
fn look_up(
    db: Option<&Connection>,
    statement: &mut Statement<'_>,
    asked: &[impl ToSql],
) -> Result<(u64, std::time::Duration)> {
    let transaction = db.map(Connection::unchecked_transaction).transpose()?;
    let found = timed(|| {
        asked.iter().try_fold(0, |found, asked| {
            let id: Option<i64> = statement.query_row([asked], |row| row.get(0)).optional()?;
            Ok(fold(found, id.unwrap_or(0).cast_unsigned()))
        })
    })?;
    transaction.map(rusqlite::Transaction::commit).transpose()?;
    Ok(found)
}
