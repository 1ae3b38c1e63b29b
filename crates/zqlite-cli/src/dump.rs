//! `.dump`: a database as SQL text, the same that the `sqlite3` shell writes.

use std::io::Write;

use anyhow::Result;
use zqlite::Error;
use zqlite::rusqlite::types::ValueRef;
use zqlite::rusqlite::{Connection, Statement};

use crate::keyword::is_keyword;
use crate::output::hex;
use crate::statement::is_complete;

/// Writes the tables whose names fit a LIKE pattern, with what belongs to them.
pub(crate) fn dump(connection: &Connection, pattern: &str, out: &mut impl Write) -> Result<()> {
    writeln!(out, "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;")?;
    // All statements read the same state.
    connection
        .execute_batch("SAVEPOINT dump")
        .map_err(Error::from)?;
    let written = dump_schema(connection, pattern, out);
    connection
        .execute_batch("RELEASE dump")
        .map_err(Error::from)?;
    written?;
    Ok(writeln!(out, "COMMIT;")?)
}

/// Writes the statements that made what fits a LIKE pattern.
pub(crate) fn schema(connection: &Connection, pattern: &str, out: &mut impl Write) -> Result<()> {
    let mut statement = connection
        .prepare(
            "SELECT sql FROM sqlite_schema \
             WHERE tbl_name LIKE ?1 ESCAPE '\\' AND sql NOT NULL ORDER BY rowid",
        )
        .map_err(Error::from)?;
    let mut rows = statement.query([pattern]).map_err(Error::from)?;
    while let Some(row) = rows.next().map_err(Error::from)? {
        writeln!(
            out,
            "{};",
            create_statement(&text(row.get_ref(0).map_err(Error::from)?))
        )?;
    }
    Ok(())
}

fn dump_schema(connection: &Connection, pattern: &str, out: &mut impl Write) -> Result<()> {
    // The shadow tables of a virtual table that fits go with it.
    let mut statement = connection
        .prepare(
            "SELECT name, sql FROM sqlite_schema AS o WHERE (name LIKE ?1 ESCAPE '\\' OR EXISTS ( \
               SELECT 1 FROM sqlite_schema WHERE name LIKE ?1 ESCAPE '\\' \
               AND sql LIKE 'CREATE VIRTUAL TABLE%' \
               AND substr(o.name, 1, length(name) + 1) == (name || '_'))) \
             AND type == 'table' AND sql NOT NULL ORDER BY tbl_name = 'sqlite_sequence', rowid",
        )
        .map_err(Error::from)?;
    let mut rows = statement.query([pattern]).map_err(Error::from)?;
    let mut is_schema_writable = false;
    while let Some(row) = rows.next().map_err(Error::from)? {
        let name = text(row.get_ref(0).map_err(Error::from)?);
        let sql = text(row.get_ref(1).map_err(Error::from)?);
        if name == "sqlite_sequence" {
            writeln!(out, "DELETE FROM sqlite_sequence;")?;
        } else if name.len() == 12 && name.starts_with("sqlite_stat") {
            writeln!(out, "ANALYZE sqlite_schema;")?;
        } else if name.starts_with("sqlite_") {
            continue;
        } else if sql.starts_with("CREATE VIRTUAL TABLE") {
            if !is_schema_writable {
                writeln!(out, "PRAGMA writable_schema=ON;")?;
                is_schema_writable = true;
            }
            let (name, sql) = (name.replace('\'', "''"), sql.replace('\'', "''"));
            writeln!(
                out,
                "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)\
                 VALUES('table','{name}','{name}',0,'{sql}');"
            )?;
            continue;
        } else {
            writeln!(out, "{};", create_statement(&sql))?;
        }
        dump_rows(connection, &name, out)?;
    }
    dump_rest(connection, pattern, out)?;
    if is_schema_writable {
        writeln!(out, "PRAGMA writable_schema=OFF;")?;
    }
    Ok(())
}

/// Indexes, triggers and views.
fn dump_rest(connection: &Connection, pattern: &str, out: &mut impl Write) -> Result<()> {
    let mut statement = connection
        .prepare(
            "SELECT sql FROM sqlite_schema WHERE (name LIKE ?1 ESCAPE '\\' OR tbl_name LIKE ?1 ESCAPE '\\') \
             AND sql NOT NULL AND type IN ('index', 'trigger', 'view')",
        )
        .map_err(Error::from)?;
    let mut rows = statement.query([pattern]).map_err(Error::from)?;
    while let Some(row) = rows.next().map_err(Error::from)? {
        let sql = text(row.get_ref(0).map_err(Error::from)?);
        // A comment at the end must not swallow the semicolon.
        let end = if sql.contains("--") { "\n;" } else { ";" };
        writeln!(out, "{sql}{end}")?;
    }
    Ok(())
}

fn dump_rows(connection: &Connection, table: &str, out: &mut impl Write) -> Result<()> {
    let columns = columns(connection, table)?;
    let table = quoted_name(table);
    let mut statement = connection
        .prepare(&format!("SELECT {} FROM {table}", columns.join(",")))
        .map_err(Error::from)?;
    let mut rows = statement.query([]).map_err(Error::from)?;
    let mut print_real = connection
        .prepare("SELECT printf('%!.20g', ?1)")
        .map_err(Error::from)?;
    while let Some(row) = rows.next().map_err(Error::from)? {
        write!(out, "INSERT INTO {table} VALUES(")?;
        for index in 0..columns.len() {
            if index > 0 {
                out.write_all(b",")?;
            }
            write_value(
                row.get_ref(index).map_err(Error::from)?,
                &mut print_real,
                out,
            )?;
        }
        out.write_all(b");\n")?;
    }
    Ok(())
}

/// The columns that an INSERT takes: generated ones are left out.
fn columns(connection: &Connection, table: &str) -> Result<Vec<String>> {
    let mut statement = connection
        .prepare("SELECT name FROM pragma_table_info(?1)")
        .map_err(Error::from)?;
    let names = statement
        .query_map([table], |row| Ok(quoted_name(&text(row.get_ref(0)?))))
        .map_err(Error::from)?
        .collect::<Result<Vec<_>, _>>();
    Ok(names.map_err(Error::from)?)
}

fn write_value(
    value: ValueRef<'_>,
    print_real: &mut Statement<'_>,
    out: &mut impl Write,
) -> Result<()> {
    match value {
        ValueRef::Null => out.write_all(b"NULL")?,
        ValueRef::Integer(number) => write!(out, "{number}")?,
        ValueRef::Real(number) => out.write_all(real(number, print_real)?.as_bytes())?,
        ValueRef::Text(bytes) => out.write_all(&quoted_text(bytes))?,
        ValueRef::Blob(bytes) => write!(out, "X'{}'", hex(bytes))?,
    }
    Ok(())
}

/// A real with 20 digits, as SQLite itself prints it: it reads back as the same number.
fn real(number: f64, print_real: &mut Statement<'_>) -> Result<String> {
    const I64_END: f64 = 9_223_372_036_854_775_808.0;
    if number.is_infinite() {
        return Ok(if number > 0.0 { "1e999" } else { "-1e999" }.to_owned());
    }
    if number == 0.0 {
        return Ok("0.0".to_owned());
    }
    if number.fract() == 0.0 && (-I64_END..I64_END).contains(&number) {
        return Ok(format!("{number:.1}"));
    }
    Ok(print_real
        .query_row([number], |row| row.get(0))
        .map_err(Error::from)?)
}

/// A string literal on one line: line ends, and zero bytes, are put in by `replace`.
fn quoted_text(text: &[u8]) -> Vec<u8> {
    let specials: [(u8, &str, &str, u8); 3] = [
        (b'\r', "\\r", "\\015", 13),
        (b'\n', "\\n", "\\012", 10),
        (0, "\\0", "\\000", 0),
    ];
    let mut literal = vec![b'\''];
    let mut before = Vec::new();
    let mut after = Vec::new();
    let mut marks: Vec<(u8, String)> = Vec::new();
    for (byte, first, second, code) in specials {
        if text.contains(&byte) {
            let mark = unused(text, first, second);
            before.extend_from_slice(b"replace(");
            after.extend_from_slice(format!(",'{mark}',char({code}))").as_bytes());
            marks.push((byte, mark));
        }
    }
    for byte in text {
        match marks.iter().find(|(special, _)| special == byte) {
            Some((_, mark)) => literal.extend_from_slice(mark.as_bytes()),
            None if *byte == b'\'' => literal.extend_from_slice(b"''"),
            None => literal.push(*byte),
        }
    }
    literal.push(b'\'');
    [before, literal, after].concat()
}

/// A string that does not occur in the text.
fn unused(text: &[u8], first: &str, second: &str) -> String {
    let occurs = |mark: &str| {
        text.windows(mark.len())
            .any(|window| window == mark.as_bytes())
    };
    [first, second]
        .into_iter()
        .map(str::to_owned)
        .chain((0_u64..).map(|number| format!("({first}{number})")))
        .find(|mark| !occurs(mark))
        .unwrap_or_default()
}

/// A name, quoted if SQL needs it.
fn quoted_name(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_plain && !is_keyword(name) {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A CREATE statement without its semicolon, with a comment at its end closed. Tables whose name is quoted may be
/// shadow tables, which loading the dump may already have made.
fn create_statement(sql: &str) -> String {
    let mut sql = sql.to_owned();
    if sql.contains("/*") || sql.contains("--") {
        let ends = ["", "*/", "\n"];
        if let Some(end) = ends.iter().find(|end| is_complete(&format!("{sql}{end};"))) {
            sql.push_str(end);
        }
    }
    match sql.strip_prefix("CREATE TABLE ") {
        Some(rest) if rest.starts_with(['\'', '"']) => {
            format!("CREATE TABLE IF NOT EXISTS {rest}")
        }
        _ => sql,
    }
}

fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted_on_one_line() {
        let quoted = |text: &str| String::from_utf8(quoted_text(text.as_bytes())).unwrap();
        assert_eq!(quoted("it's"), "'it''s'");
        assert_eq!(quoted("a\nb"), "replace('a\\nb','\\n',char(10))");
        assert_eq!(quoted("\\n\n"), "replace('\\n\\012','\\012',char(10))");
        assert_eq!(
            quoted("a\r\nb"),
            "replace(replace('a\\r\\nb','\\r',char(13)),'\\n',char(10))"
        );
    }

    #[test]
    fn quoted_text_reads_back() {
        let connection = Connection::open_in_memory().unwrap();
        for text in ["", "'", "a\0b", "\\n\\012(\\n0)\n", "\r\n\\r\0\\0"] {
            let literal = String::from_utf8(quoted_text(text.as_bytes())).unwrap();
            let read: String = connection
                .query_row(&format!("SELECT {literal}"), [], |row| row.get(0))
                .unwrap();
            assert_eq!(read, text, "{literal}");
        }
    }

    #[test]
    fn names_are_quoted_where_needed() {
        assert_eq!(quoted_name("abc_1"), "abc_1");
        assert_eq!(quoted_name("order"), "\"order\"");
        assert_eq!(quoted_name("1a"), "\"1a\"");
        assert_eq!(quoted_name("a\"b"), "\"a\"\"b\"");
    }

    #[test]
    fn reals_read_back() {
        let connection = Connection::open_in_memory().unwrap();
        let mut print_real = connection.prepare("SELECT printf('%!.20g', ?1)").unwrap();
        for (number, expected) in [(1.0, "1.0"), (-0.0, "0.0"), (1e18, "1000000000000000000.0")] {
            assert_eq!(real(number, &mut print_real).unwrap(), expected);
        }
        for number in [0.1, 1e300, -5e-324, f64::MAX, 123_456.789] {
            let text = real(number, &mut print_real).unwrap();
            assert_eq!(
                text.parse::<f64>().unwrap().to_bits(),
                number.to_bits(),
                "{text}"
            );
        }
    }
}
