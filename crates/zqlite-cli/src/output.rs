//! The only way to stdout and stderr.

use std::borrow::Cow;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use screen::Screen;

mod screen;

/// Buffered stdout. Flush it before the command ends: an error must not get lost.
pub(crate) type Stdout = BufWriter<Screen<StdoutLock<'static>>>;

/// Takes stdout.
pub(crate) fn stdout() -> Stdout {
    let stdout = io::stdout();
    let is_terminal = stdout.is_terminal();
    BufWriter::new(Screen::new(stdout.lock(), is_terminal))
}

/// Prints one line and flushes it.
pub(crate) fn print_line(line: &str) -> io::Result<()> {
    let mut out = stdout();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Prints `zqlite: …` on stderr, on one line. A stderr that is gone is no reason to fail.
pub(crate) fn complain(message: &str) {
    complain_lines(&printable(message));
}

/// Prints `zqlite: …` on stderr, with the line ends of the message.
pub(crate) fn complain_lines(message: &str) {
    let lines: Vec<_> = message.split('\n').map(printable).collect();
    writeln!(io::stderr().lock(), "zqlite: {}", lines.join("\n")).ok();
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

/// Whether a character could steer a terminal, or hide in what it shows: control characters, marks that turn the
/// direction of writing, and what has no width.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Text on one line with everything escaped that could steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            c if steers(c) => line.extend(c.escape_unicode()),
            c => line.push(c),
        }
    }
    line
}

/// JSON on one line with everything escaped that could steer a terminal. It reads back the same.
pub(crate) fn printable_json(json: &str) -> Cow<'_, str> {
    if !json.contains(steers) {
        return json.into();
    }
    let mut line = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if steers(c) {
            // Such characters have one UTF-16 unit each.
            line.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            line.push(c);
        }
    }
    line.into()
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('?');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_escaped() {
        for c in (0..0x20)
            .chain(0x7f..0xa0)
            .chain(0x200b..0x2010)
            .chain(0x2028..0x202f)
            .chain(0x2066..0x206a)
            .chain([0xfeff])
        {
            let c = char::from_u32(c).unwrap();
            assert!(printable(&c.to_string()).starts_with('\\'), "{c:?}");
            let json = serde_json::to_string(&format!("a{c}b")).unwrap();
            let shown = printable_json(&json);
            assert!(!shown.contains(steers), "{c:?}");
            assert_eq!(
                serde_json::from_str::<String>(&shown).unwrap(),
                format!("a{c}b")
            );
        }
        assert_eq!(printable("é 語 🦀"), "é 語 🦀");
    }
}
