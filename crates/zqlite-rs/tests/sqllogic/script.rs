//! One script, up to its end for SQLite.
//!
//! The crate takes no comment behind `onlyif` and `skipif`, and ends a script at the first `halt`, whatever
//! condition stands before it: both are dealt with here, before it reads the script.

use std::fmt::Write as _;
use std::sync::Arc;

use rusqlite::Connection;
use sqllogictest::{
    Control, DefaultColumnType, QueryExpect, Record, RecordOutput, ResultMode, Runner, parse,
};

use crate::corpus::File;
use crate::database::{Columns, Database};

const ENGINE: &str = "sqlite";

pub(crate) struct Script {
    records: Vec<Record<DefaultColumnType>>,
    /// Lines of the statements and queries that are SQLite's to run, counted apart from the crate.
    expected: Vec<u32>,
}

/// What became of a script.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) statements: usize,
    pub(crate) queries: usize,
    /// Lines of the cases that failed.
    pub(crate) failed: Vec<u32>,
    /// What they failed with.
    pub(crate) reasons: String,
}

impl Script {
    pub(crate) fn parse(file: &File) -> Self {
        let (text, expected) = for_sqlite(&file.text);
        let records = parse(&text).unwrap_or_else(|error| panic!("{}: {error}", file.name));
        assert!(
            !records
                .iter()
                .any(|record| matches!(record, Record::Halt { .. } | Record::Include { .. })),
            "{}",
            file.name
        );
        Self { records, expected }
    }

    /// Runs every record, also behind one that fails.
    pub(crate) fn run(self, connection: Connection) -> Outcome {
        let columns = Columns::default();
        let mut database = Some(Database::new(connection, Arc::clone(&columns)));
        let mut runner = Runner::new(|| {
            let database = database.take().expect("a script has one connection");
            async { Ok(database) }
        });
        runner.with_hash_threshold(8);
        runner
            .run(Record::Control(Control::ResultMode(ResultMode::ValueWise)))
            .unwrap();
        // Value by value, to the byte.
        runner.with_validator(|_, actual, expected| actual.iter().flatten().eq(expected));

        let mut outcome = Outcome::default();
        let mut ran = Vec::new();
        for record in self.records {
            let (line, letters, is_query) = match &record {
                Record::Statement { loc, .. } => (loc.line(), None, false),
                Record::Query { loc, expected, .. } => match expected {
                    QueryExpect::Results { types, .. } => (loc.line(), Some(types.clone()), true),
                    QueryExpect::Error(_) => (loc.line(), None, true),
                },
                _ => {
                    runner.run(record).unwrap();
                    continue;
                }
            };
            *columns.lock().unwrap() = letters;
            match runner.run(record) {
                Ok(RecordOutput::Nothing) => continue,
                Ok(_) => {}
                Err(error) => {
                    outcome.failed.push(line);
                    write!(outcome.reasons, "{error}").unwrap();
                }
            }
            ran.push(line);
            if is_query {
                outcome.queries += 1;
            } else {
                outcome.statements += 1;
            }
        }
        assert_eq!(ran, self.expected, "a script runs up to its end");
        outcome
    }
}

/// The script with every `halt` either carried out or taken out, line for line, and where SQLite's statements
/// and queries stand in it.
fn for_sqlite(text: &str) -> (String, Vec<u32>) {
    let mut out: Vec<&str> = Vec::new();
    let mut expected = Vec::new();
    let mut conditions = 0;
    let mut applies = true;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some(word @ ("onlyif" | "skipif")) => {
                let engine = words.next().expect("a condition names an engine");
                applies &= (engine == ENGINE) == (word == "onlyif");
                conditions += 1;
                out.push(
                    line.split_once('#')
                        .map_or(line, |(condition, _)| condition),
                );
                continue;
            }
            Some("halt") if applies => break,
            Some("halt") => {
                let first = out.len() - conditions;
                out[first..].fill("");
                out.push("");
            }
            Some("statement" | "query") => {
                out.push(line);
                if applies {
                    expected.push(u32::try_from(out.len()).unwrap());
                }
            }
            // A comment between a condition and what it is for changes nothing.
            Some(word) if word.starts_with('#') => {
                out.push(line);
                continue;
            }
            _ => out.push(line),
        }
        applies = true;
        conditions = 0;
    }
    (out.join("\n"), expected)
}
