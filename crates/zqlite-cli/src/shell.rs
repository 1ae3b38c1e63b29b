//! The shell: statements line by line, and commands that begin with a point.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use zqlite::Error;
use zqlite::rusqlite::Connection;

use crate::args::Form;
use crate::dump;
use crate::exit::{self, Fault};
use crate::keys;
use crate::output::{self, Stdout};
use crate::rows::{Printer, Separator};
use crate::statement::{MAX_LEN, is_complete, next_line};

mod editor;

/// `.read` may name a file that names a file, to this depth.
const MAX_READ_DEPTH: usize = 16;

const HELP: &str = "\
.dump [NAME]             the database, or one table, as SQL
.exit, .quit             leave
.help                    this list
.mode table|json|csv     how rows are printed
.read FILE               run the SQL and the commands of a file
.schema [NAME]           the statements that made the tables
.tables [NAME]           the names of tables and views
NAME is a LIKE pattern. Statements end with a semicolon; Ctrl-C drops one that is half typed.";

/// What a line asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Continue,
    Quit,
}

/// A shell on an open database.
pub(crate) struct Shell<'c> {
    connection: &'c Connection,
    form: Form,
    out: Stdout,
    read_depth: usize,
}

impl<'c> Shell<'c> {
    pub(crate) fn new(connection: &'c Connection, form: Form) -> Self {
        Self {
            connection,
            form,
            out: output::stdout(),
            read_depth: 0,
        }
    }

    /// Reads stdin to its end: with a prompt and line editing on a terminal, where an error ends nothing;
    /// otherwise the first error ends the shell.
    pub(crate) fn run(mut self, history: Option<&Path>) -> Result<()> {
        if io::stdin().is_terminal() && io::stdout().is_terminal() {
            return editor::run(&mut self, history);
        }
        self.run_lines(keys::claim_stdin()?, "stdin")?;
        Ok(self.out.flush()?)
    }

    /// Runs each statement and command of a text.
    fn run_lines(&mut self, source: impl BufRead, name: &str) -> Result<Flow> {
        let mut pending = String::new();
        let outcome = self.run_all_lines(source, &mut pending, name);
        // What was printed before an error belongs to the reader.
        self.out.flush()?;
        if outcome? == Flow::Quit {
            return Ok(Flow::Quit);
        }
        self.run_sql(&pending)?;
        Ok(Flow::Continue)
    }

    fn run_all_lines(
        &mut self,
        mut source: impl BufRead,
        pending: &mut String,
        name: &str,
    ) -> Result<Flow> {
        for number in 1_u64.. {
            let place = || format!("{name}, line {number}");
            let room = MAX_LEN.saturating_sub(pending.len());
            let Some(line) = next_line(&mut source, room).with_context(place)? else {
                break;
            };
            if self.feed(pending, &line).with_context(place)? == Flow::Quit {
                return Ok(Flow::Quit);
            }
            // A program that writes into a pipe and waits for each answer gets it.
            self.out.flush()?;
        }
        Ok(Flow::Continue)
    }

    /// Takes one more line: a command, or a part of a statement that runs once it is complete.
    fn feed(&mut self, pending: &mut String, line: &str) -> Result<Flow> {
        if pending.trim().is_empty() && line.starts_with('.') {
            pending.clear();
            return self.run_command(line);
        }
        pending.push_str(line);
        pending.push('\n');
        // Looking at the whole text for each line would take quadratic time.
        if line.contains(';') && is_complete(pending) {
            let sql = std::mem::take(pending);
            self.run_sql(&sql)?;
        }
        Ok(Flow::Continue)
    }

    fn run_sql(&mut self, sql: &str) -> Result<()> {
        let mut printer = Printer::new(self.form, Separator::None);
        printer.run(self.connection, sql, &mut self.out)
    }

    fn run_command(&mut self, line: &str) -> Result<Flow> {
        let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let argument = Some(argument.trim()).filter(|argument| !argument.is_empty());
        let pattern = argument.unwrap_or("%");
        match (name, argument) {
            (".quit" | ".exit", _) => return Ok(Flow::Quit),
            (".help", _) => writeln!(self.out, "{HELP}")?,
            (".dump", _) => dump::dump(self.connection, pattern, &mut self.out)?,
            (".schema", _) => dump::schema(self.connection, pattern, &mut self.out)?,
            (".tables", _) => self.print_tables(pattern)?,
            (".mode", Some("table")) => self.form = Form::Table,
            (".mode", Some("json")) => self.form = Form::Json,
            (".mode", Some("csv")) => self.form = Form::Csv,
            (".mode", _) => bail!(Fault::new("modes are table, json and csv")),
            (".read", Some(file)) => return self.read(Path::new(file)),
            (".read", None) => bail!(Fault::new(".read takes the name of a file")),
            _ => bail!(Fault::new(format!("{name}: no such command")).hint(".help lists them")),
        }
        Ok(Flow::Continue)
    }

    fn read(&mut self, path: &Path) -> Result<Flow> {
        let name = path.display().to_string();
        if self.read_depth == MAX_READ_DEPTH {
            bail!(Fault::new(format!(
                "{name}: files read each other more than {MAX_READ_DEPTH} deep"
            )));
        }
        let file = std::fs::File::open(path).with_context(|| name.clone())?;
        self.read_depth += 1;
        let outcome = self.run_lines(io::BufReader::new(file), &name);
        self.read_depth -= 1;
        outcome
    }

    fn print_tables(&mut self, pattern: &str) -> Result<()> {
        let mut statement = self
            .connection
            .prepare(
                "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') \
                 AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name LIKE ?1 ESCAPE '\\' ORDER BY 1",
            )
            .map_err(Error::from)?;
        let mut rows = statement.query([pattern]).map_err(Error::from)?;
        while let Some(row) = rows.next().map_err(Error::from)? {
            let name: String = row.get(0).map_err(Error::from)?;
            writeln!(self.out, "{}", output::printable(&name))?;
        }
        Ok(())
    }

    /// Prints what a line of a terminal did wrong.
    fn complain(error: &anyhow::Error) {
        exit::report(error);
    }
}
