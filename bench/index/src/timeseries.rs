//! Points of time series in compressed chunks, against a table without rowids that is clustered by series and time.

use anyhow::{Result, ensure};
use rusqlite::{Connection, Row, Statement};
use serde_json::Value;

use crate::Args;
use crate::contest::{Found, Sheet, Work, contest, fold, timed};
use crate::databases::{Databases, checkpoint};
use crate::points::{Point, SERIES, STEP, points, ranges};

const PLAIN: &str = "CREATE TABLE load(series INTEGER, time INTEGER, value REAL, PRIMARY KEY(series, time)) WITHOUT ROWID";
const APPEND: &str = "INSERT OR REPLACE INTO load(series, time, value) VALUES (?1, ?2, ?3)";
/// Points of one transaction.
const BATCH: usize = 1_000;
/// Rounds of appending all points.
const APPENDS: usize = 5;
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

pub(crate) fn measure(args: &Args) -> Result<Value> {
    let ours = format!(
        "CREATE VIRTUAL TABLE load USING timeseries(chunk={})",
        args.chunk
    );
    let points = points(args.points);
    let count = f64::from(u32::try_from(points.len())?);
    let mut sheet = Sheet::new(&format!("time series: {} points", points.len()));
    let times = contest(
        "append",
        args.rounds.min(APPENDS),
        vec![
            Box::new(|| append(&Databases::new()?.plain, PLAIN, &points)),
            Box::new(|| append(&Databases::new()?.sealed, &ours, &points)),
        ],
    )?;
    sheet.line(
        "append",
        "append, ns a point",
        times[0] / count,
        times[1] / count,
    );

    let dbs = Databases::new()?;
    append(&dbs.plain, PLAIN, &points)?;
    append(&dbs.sealed, &ours, &points)?;
    let mut size = |key: &str, what: &str| -> Result<()> {
        let (plain, ours) = dbs.bytes()?;
        let each = |bytes| Ok::<_, anyhow::Error>(f64::from(u32::try_from(bytes)?) / count);
        sheet.line(key, what, each(plain)?, each(ours)?);
        Ok(())
    };
    size("size", "size of the file, bytes a point")?;
    for db in [&dbs.plain, &dbs.sealed] {
        db.execute_batch("VACUUM")?;
    }
    size("size_vacuumed", "the same after VACUUM")?;

    for (key, what, length, count) in [
        ("range_100", "range of 100 points, us", 100, 100),
        ("range_5000", "range of 5,000 points, us", 5_000, 10),
    ] {
        let sql = "SELECT time, value FROM load WHERE series = ?1 AND time >= ?2 AND time < ?3";
        let ranges = ranges(args.points, length, count);
        let span = i64::try_from(length)? * STEP;
        let times = ask(&dbs, args.rounds, what, (sql, sql), &ranges, span, point)?;
        sheet.line(key, what, times[0], times[1]);
    }
    for (key, what, width, span) in [
        ("hours_of_day", "hours of a day, us", HOUR, DAY),
        ("hours", "hours of all time, us", HOUR, i64::MAX >> 1),
        ("days", "days of all time, us", DAY, i64::MAX >> 1),
    ] {
        let plain = format!(
            "SELECT time - time % {width}, count(*), min(value), max(value), avg(value) FROM load
             WHERE series = ?1 AND time >= ?2 AND time < ?3 GROUP BY time - time % {width}"
        );
        let ours = format!(
            "SELECT time, count, min, max, avg FROM load
             WHERE series = ?1 AND time >= ?2 AND time < ?3 AND bucket = {width}"
        );
        // Buckets are whole: they begin and end at multiples of their width.
        let starts: Vec<(i64, i64)> = ranges(args.points, 5_760, 10)
            .into_iter()
            .map(|(series, time)| (series, if span == DAY { time - time % width } else { 0 }))
            .collect();
        let times = ask(
            &dbs,
            args.rounds,
            what,
            (&plain, &ours),
            &starts,
            span,
            bucket,
        )?;
        sheet.line(key, what, times[0], times[1]);
    }
    Ok(sheet.into_json())
}

/// Makes the table, appends all points, and brings them into the file. The same points must then be there.
fn append(db: &Connection, create: &str, points: &[Point]) -> Result<Found> {
    let (_, time) = timed(|| {
        db.execute_batch(create)?;
        let mut insert = db.prepare(APPEND)?;
        for batch in points.chunks(BATCH) {
            let transaction = db.unchecked_transaction()?;
            for point in batch {
                insert.execute((point.series, point.time, point.value))?;
            }
            transaction.commit()?;
        }
        checkpoint(db)?;
        Ok(0)
    })?;
    let (mut found, mut count) = (0, 0);
    let mut read = db.prepare("SELECT time, value FROM load WHERE series = ?1 ORDER BY time")?;
    for series in 0..SERIES {
        let mut rows = read.query([series])?;
        while let Some(row) = rows.next()? {
            found = fold(found, point(row)?);
            count += 1;
        }
    }
    ensure!(count == points.len(), "{count} points are there");
    Ok((found, time))
}

/// Asks for each series and time, up to so much later; microseconds for each.
fn ask(
    dbs: &Databases,
    rounds: usize,
    what: &str,
    (plain, ours): (&str, &str),
    starts: &[(i64, i64)],
    span: i64,
    row: fn(&Row<'_>) -> Result<u64>,
) -> Result<Vec<f64>> {
    let (mut plain, mut ours) = (dbs.plain.prepare(plain)?, dbs.sealed.prepare(ours)?);
    let all = |statement: &mut Statement<'_>| {
        timed(|| {
            let mut found = 0;
            for (series, start) in starts {
                let mut rows = statement.query((series, start, start + span))?;
                while let Some(next) = rows.next()? {
                    found = fold(found, row(next)?);
                }
            }
            Ok(found)
        })
    };
    ensure!(all(&mut plain)?.0 != 0, "{what}: nothing was found");
    let sides: Vec<Work<'_>> = vec![Box::new(|| all(&mut plain)), Box::new(|| all(&mut ours))];
    let each = 1e3 * f64::from(u32::try_from(starts.len())?);
    let times = contest(what, rounds, sides)?;
    Ok(times.into_iter().map(|time| time / each).collect())
}

fn point(row: &Row<'_>) -> Result<u64> {
    let (time, value): (i64, f64) = (row.get(0)?, row.get(1)?);
    Ok(fold(time.cast_unsigned(), value.to_bits()))
}

/// Averages are compared to some seven places: sums in another order differ in their last bits.
fn bucket(row: &Row<'_>) -> Result<u64> {
    let integers: (i64, i64) = (row.get(0)?, row.get(1)?);
    let reals: (f64, f64, f64) = (row.get(2)?, row.get(3)?, row.get(4)?);
    let parts = [
        integers.0.cast_unsigned(),
        integers.1.cast_unsigned(),
        reals.0.to_bits(),
        reals.1.to_bits(),
        // Bits below 2^-24 are rounded away.
        (reals.2 + f64::from(1 << 28)).to_bits(),
    ];
    Ok(parts.into_iter().fold(0, fold))
}
