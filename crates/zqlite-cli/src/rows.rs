//! Running statements and printing their rows as table, JSON or CSV.

use std::io::{self, Write};

use anyhow::Result;
use zqlite::Error;
use zqlite::rusqlite::fallible_iterator::FallibleIterator;
use zqlite::rusqlite::types::ValueRef;
use zqlite::rusqlite::{Batch, Connection, Rows, Statement};

use crate::args::Form;
use crate::output::{hex, printable, printable_json};
use crate::table::Table;

/// Prints the rows of one statement after the other.
#[derive(Debug)]
pub(crate) struct Printer {
    form: Form,
    separator: Separator,
    is_first: bool,
}

/// What stands between the result sets of tables and CSV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Separator {
    /// A blank line.
    BlankLine,
    /// Nothing.
    None,
}

impl Printer {
    pub(crate) const fn new(form: Form, separator: Separator) -> Self {
        Self {
            form,
            separator,
            is_first: true,
        }
    }

    /// Runs every statement of `sql` and prints what it returns.
    pub(crate) fn run(
        &mut self,
        connection: &Connection,
        sql: &str,
        out: &mut impl Write,
    ) -> Result<()> {
        let mut batch = Batch::new(connection, sql);
        while let Some(mut statement) = batch.next().map_err(Error::from)? {
            self.run_one(&mut statement, out)?;
        }
        Ok(())
    }

    fn run_one(&mut self, statement: &mut Statement<'_>, out: &mut impl Write) -> Result<()> {
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.raw_query();
        if names.is_empty() {
            while rows.next().map_err(Error::from)?.is_some() {}
            return Ok(());
        }
        if !self.is_first && self.separator == Separator::BlankLine {
            match self.form {
                Form::Table => out.write_all(b"\n")?,
                Form::Csv => out.write_all(b"\r\n")?,
                Form::Json => {}
            }
        }
        self.is_first = false;
        match self.form {
            Form::Table => print_table(&names, &mut rows, out),
            Form::Json => print_json(&names, &mut rows, out),
            Form::Csv => print_csv(&names, &mut rows, out),
        }
    }
}

fn print_table(names: &[String], rows: &mut Rows<'_>, out: &mut impl Write) -> Result<()> {
    let mut table = Table::new(names.iter().map(|name| printable(name)).collect());
    while let Some(row) = rows.next().map_err(Error::from)? {
        let mut cells = Vec::with_capacity(names.len());
        for index in 0..names.len() {
            let value = row.get_ref(index).map_err(Error::from)?;
            cells.push(table_cell(value));
        }
        table.push(cells, out)?;
    }
    Ok(table.finish(out)?)
}

fn table_cell(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => real(number),
        ValueRef::Text(text) => printable(&String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => format!("x'{}'", hex(bytes)),
    }
}

fn print_csv(names: &[String], rows: &mut Rows<'_>, out: &mut impl Write) -> Result<()> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(&mut *out);
    writer.write_record(names).map_err(into_io)?;
    while let Some(row) = rows.next().map_err(Error::from)? {
        for index in 0..names.len() {
            let field = match row.get_ref(index).map_err(Error::from)? {
                ValueRef::Null => Vec::new(),
                ValueRef::Text(text) => text.to_vec(),
                value => table_cell(value).into_bytes(),
            };
            writer.write_field(field).map_err(into_io)?;
        }
        writer.write_record(None::<&[u8]>).map_err(into_io)?;
    }
    Ok(writer.flush()?)
}

/// The error below, so that a closed pipe is recognised as one.
fn into_io(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        kind => io::Error::other(format!("{kind:?}")),
    }
}

fn print_json(names: &[String], rows: &mut Rows<'_>, out: &mut impl Write) -> Result<()> {
    let keys = unique(names)
        .iter()
        .map(|name| json_text(name))
        .collect::<Result<Vec<_>>>()?;
    out.write_all(b"[")?;
    let outcome = print_json_rows(&keys, rows, out);
    // Closed after an error too: what was printed stays JSON, and the status says that it is not all.
    let closed = writeln!(out, "]");
    outcome?;
    Ok(closed?)
}

fn print_json_rows(keys: &[String], rows: &mut Rows<'_>, out: &mut impl Write) -> Result<()> {
    let mut before = "";
    while let Some(row) = rows.next().map_err(Error::from)? {
        // Complete before any of it is written.
        let mut object = String::new();
        for (index, key) in keys.iter().enumerate() {
            let value = json_value(row.get_ref(index).map_err(Error::from)?)?;
            object.push(if index == 0 { '{' } else { ',' });
            object.extend([key, ":", &value]);
        }
        write!(out, "{before}{object}}}")?;
        before = ",";
    }
    Ok(())
}

fn json_text(text: &str) -> Result<String> {
    Ok(printable_json(&serde_json::to_string(text)?).into_owned())
}

fn json_value(value: ValueRef<'_>) -> Result<String> {
    Ok(match value {
        ValueRef::Null => "null".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => real(number),
        ValueRef::Text(text) => json_text(&String::from_utf8_lossy(text))?,
        ValueRef::Blob(bytes) => format!("\"{}\"", hex(bytes)),
    })
}

/// The shortest text that reads back as the same number, which JSON accepts too.
fn real(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "1e999" } else { "-1e999" }.to_owned();
    }
    format!("{number:?}")
}

/// Object keys: a name that was there before gets a number, as in `a`, `a:1`, `a:2`.
fn unique(names: &[String]) -> Vec<String> {
    let mut unique: Vec<String> = Vec::with_capacity(names.len());
    for name in names {
        let mut candidate = name.clone();
        let mut number = 0;
        while unique.contains(&candidate) {
            number += 1;
            candidate = format!("{name}:{number}");
        }
        unique.push(candidate);
    }
    unique
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(form: Form, sql: &str) -> String {
        let connection = Connection::open_in_memory().unwrap();
        let mut out = Vec::new();
        Printer::new(form, Separator::BlankLine)
            .run(&connection, sql, &mut out)
            .unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_keeps_types_and_digits() {
        let sql =
            "SELECT 9223372036854775807 a, 0.1 b, NULL c, x'00ff' d, 'q\"' e, 1e16 f, 9e999 g, 2 a";
        let expected = "[{\"a\":9223372036854775807,\"b\":0.1,\"c\":null,\"d\":\"00ff\",\"e\":\"q\\\"\",\"f\":1e16,\"g\":1e999,\"a:1\":2}]\n";
        assert_eq!(printed(Form::Json, sql), expected);
        assert_eq!(
            printed(Form::Json, "SELECT 1 a WHERE 0; SELECT 2 b"),
            "[]\n[{\"b\":2}]\n"
        );
    }

    #[test]
    fn csv_quotes_as_rfc_4180_says() {
        let sql = "SELECT 'a,b' x, 'say \"hi\"' y, NULL z, x'00' b";
        assert_eq!(
            printed(Form::Csv, sql),
            "x,y,z,b\r\n\"a,b\",\"say \"\"hi\"\"\",,x'00'\r\n"
        );
    }

    #[test]
    fn tables_are_aligned_and_cannot_steer_the_terminal() {
        let sql = "SELECT 1 n, 'a' t UNION ALL SELECT 200, char(27) || 'x'";
        assert_eq!(
            printed(Form::Table, sql),
            "  n  t\n---  -------\n  1  a\n200  \\u{1b}x\n"
        );
    }

    #[test]
    fn json_escapes_what_steers_a_terminal() {
        let sql = "SELECT char(27, 127, 155, 0x202e, 0x200b, 0xfeff, 233) \"k\u{2066}\"";
        assert_eq!(
            printed(Form::Json, sql),
            "[{\"k\\u2066\":\"\\u001b\\u007f\\u009b\\u202e\\u200b\\ufeffé\"}]\n"
        );
    }

    #[test]
    fn json_is_closed_after_an_error() {
        let connection = Connection::open_in_memory().unwrap();
        let sql = "SELECT abs(v) a FROM (SELECT 1 v UNION ALL SELECT -9223372036854775808)";
        let mut out = Vec::new();
        let outcome = Printer::new(Form::Json, Separator::None).run(&connection, sql, &mut out);
        assert!(outcome.is_err());
        assert_eq!(out, b"[{\"a\":1}]\n");
    }
}
