//! What reaches a terminal cannot steer it.

use std::io::{self, Write};

use super::steers;

/// A writer that passes everything on as it is, unless it leads to a terminal: there, whatever a database holds
/// is escaped where it could steer the terminal or hide. Tabs and line ends stay.
pub(crate) struct Screen<W> {
    inner: W,
    is_terminal: bool,
    /// The beginning of a character, or a carriage return, that the next bytes complete.
    held: Vec<u8>,
}

impl<W: Write> Screen<W> {
    pub(super) const fn new(inner: W, is_terminal: bool) -> Self {
        Self {
            inner,
            is_terminal,
            held: Vec::new(),
        }
    }
}

impl<W: Write> Write for Screen<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_terminal {
            return self.inner.write(bytes);
        }
        self.held.extend_from_slice(bytes);
        let (text, len) = escaped(&self.held);
        self.held.drain(..len);
        self.inner.write_all(text.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The text for a terminal, and how many bytes it stands for: what may be incomplete at the end is left out.
fn escaped(mut bytes: &[u8]) -> (String, usize) {
    let all = bytes.len();
    let mut text = String::with_capacity(all);
    loop {
        let (valid, rest, broken) = match std::str::from_utf8(bytes) {
            Ok(valid) => (valid, &[][..], 0),
            Err(error) => {
                let (valid, rest) = bytes.split_at(error.valid_up_to());
                // No length: the character may go on with the next bytes.
                let broken = error.error_len().unwrap_or(0);
                (std::str::from_utf8(valid).unwrap_or_default(), rest, broken)
            }
        };
        let mut chars = valid.char_indices().peekable();
        while let Some((_, c)) = chars.next() {
            match (c, chars.peek()) {
                ('\r', Some((_, '\n'))) | ('\n' | '\t', _) => text.push(c),
                ('\r', None) if rest.is_empty() => return (text, all - 1),
                (c, _) if steers(c) => text.extend(c.escape_unicode()),
                (c, _) => text.push(c),
            }
        }
        if broken == 0 {
            return (text, all - rest.len());
        }
        let (broken, rest) = rest.split_at(broken);
        for byte in broken {
            text.push_str(&format!("\\x{byte:02x}"));
        }
        bytes = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(parts: &[&[u8]], is_terminal: bool) -> Vec<u8> {
        let mut screen = Screen::new(Vec::new(), is_terminal);
        for part in parts {
            screen.write_all(part).unwrap();
        }
        screen.flush().unwrap();
        screen.inner
    }

    #[test]
    fn a_pipe_gets_every_byte() {
        let bytes = b"\x1b[2J\r\x9b\xff\xe2\x80\xae\n";
        assert_eq!(shown(&[bytes], false), bytes);
    }

    #[test]
    fn a_terminal_gets_nothing_that_steers_it() {
        let text = "a\tb\r\nc\rd\x1b[2J\u{9b}\u{202e}\u{200b}é\u{feff}\n";
        let expected = "a\tb\r\nc\\u{d}d\\u{1b}[2J\\u{9b}\\u{202e}\\u{200b}é\\u{feff}\n".as_bytes();
        assert_eq!(shown(&[text.as_bytes()], true), expected);
        assert_eq!(shown(&[b"\x9b1m\xff\n"], true), b"\\x9b1m\\xff\n");
    }

    #[test]
    fn characters_may_come_in_parts() {
        let text = "\r\né\u{202e}🦀\r\u{9b}\n".as_bytes();
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(shown(&bytes, true), shown(&[text], true));
    }
}
