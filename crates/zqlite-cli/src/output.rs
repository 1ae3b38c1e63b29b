//! The only way to stdout and stderr.

use std::io::{self, BufWriter, StdoutLock, Write};

/// Buffered stdout. Flush it before the command ends: an error must not get lost.
pub(crate) type Stdout = BufWriter<StdoutLock<'static>>;

/// Takes stdout.
pub(crate) fn stdout() -> Stdout {
    BufWriter::new(io::stdout().lock())
}

/// Prints one line and flushes it.
pub(crate) fn print_line(line: &str) -> io::Result<()> {
    let mut out = stdout();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Prints `zqlite: …` on stderr. A stderr that is gone is no reason to fail.
pub(crate) fn complain(message: &str) {
    writeln!(io::stderr().lock(), "zqlite: {message}").ok();
}

/// Whether remarks are wanted; errors are printed regardless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remarks {
    /// Warnings, notes and progress go to stderr.
    Shown,
    /// `--quiet`
    Hidden,
}

impl Remarks {
    /// Something that the user should look at.
    pub(crate) fn warn(self, message: &str) {
        if self == Self::Shown {
            complain(&format!("warning: {message}"));
        }
    }

    /// Something that the user may want to know.
    pub(crate) fn note(self, message: &str) {
        if self == Self::Shown {
            complain(message);
        }
    }
}

/// Text with everything escaped that could steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            c if c.is_control() => line.extend(c.escape_unicode()),
            c => line.push(c),
        }
    }
    line
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('?');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}
