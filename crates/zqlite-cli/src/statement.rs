//! Where a statement ends.

use std::io::{self, BufRead, Error, ErrorKind, Read};

/// The longest SQL text that SQLite takes.
pub(crate) const MAX_LEN: usize = 1_000_000_000;

/// The next line without its end, of at most `max` bytes: a source without line ends must not fill the memory.
pub(crate) fn next_line(source: &mut impl BufRead, max: usize) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    source.take(limit).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.len() > max {
        return Err(too_long());
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
    String::from_utf8(line)
        .map(Some)
        .map_err(|_| Error::new(ErrorKind::InvalidData, "no UTF-8 text"))
}

/// All of a text of at most `max` bytes.
pub(crate) fn read_all(source: impl Read, max: usize) -> io::Result<String> {
    let mut sql = String::new();
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    source.take(limit).read_to_string(&mut sql)?;
    if sql.len() > max {
        return Err(too_long());
    }
    Ok(sql)
}

fn too_long() -> Error {
    Error::new(ErrorKind::InvalidData, "longer than a statement can be")
}

/// Whether a text ends with a complete statement, as `sqlite3_complete` tells: not inside a string, a
/// name, a comment or the body of a trigger.
pub(crate) fn is_complete(sql: &str) -> bool {
    let mut rest = sql.as_bytes();
    let mut state = State::Invalid;
    while let Some((token, len)) = next_token(rest) {
        state = state.after(token);
        rest = rest.get(len..).unwrap_or_default();
    }
    // A comment to the end of the line may be the last thing; anything else that is left is unfinished.
    (rest.is_empty() || rest.starts_with(b"--")) && state == State::Start
}

/// How far a statement is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing but white space so far.
    Invalid,
    /// The last statement is complete.
    Start,
    /// In an ordinary statement.
    Normal,
    /// After EXPLAIN at the beginning.
    Explain,
    /// After CREATE at the beginning.
    Create,
    /// In the body of a trigger.
    Trigger,
    /// After a semicolon in the body of a trigger.
    TriggerSemicolon,
    /// After `; END` in the body of a trigger.
    TriggerEnd,
}

#[derive(Clone, Copy)]
enum Token {
    Semicolon,
    Space,
    Explain,
    Create,
    Temp,
    Trigger,
    End,
    Other,
}

impl State {
    const fn after(self, token: Token) -> Self {
        match (self, token) {
            (state, Token::Space) => state,
            (Self::Trigger | Self::TriggerSemicolon, Token::Semicolon) => Self::TriggerSemicolon,
            (_, Token::Semicolon) => Self::Start,
            (Self::TriggerSemicolon, Token::End) => Self::TriggerEnd,
            (Self::Trigger | Self::TriggerSemicolon | Self::TriggerEnd, _) => Self::Trigger,
            (Self::Invalid | Self::Start, Token::Explain) => Self::Explain,
            (Self::Invalid | Self::Start | Self::Explain, Token::Create) => Self::Create,
            // EXPLAIN QUERY PLAN
            (Self::Explain, Token::Other) => Self::Explain,
            (Self::Create, Token::Temp) => Self::Create,
            (Self::Create, Token::Trigger) => Self::Trigger,
            _ => Self::Normal,
        }
    }
}

/// The first token and its length; `None` at the end and before a token that does not end.
fn next_token(sql: &[u8]) -> Option<(Token, usize)> {
    let end_of = |mark: &[u8], from: usize| {
        let tail = sql.get(from..)?;
        let at = tail.windows(mark.len()).position(|window| window == mark)?;
        Some(from + at + mark.len())
    };
    Some(match sql {
        [] => return None,
        [b';', ..] => (Token::Semicolon, 1),
        [b' ' | b'\r' | b'\t' | b'\n' | 0x0c, ..] => (Token::Space, 1),
        [b'/', b'*', ..] => (Token::Space, end_of(b"*/", 2)?),
        [b'-', b'-', ..] => (Token::Space, end_of(b"\n", 2)?),
        [b'[', ..] => (Token::Other, end_of(b"]", 1)?),
        [quote @ (b'\'' | b'"' | b'`'), ..] => (Token::Other, end_of(&[*quote], 1)?),
        [first, ..] if is_word(*first) => {
            let len = sql
                .iter()
                .position(|byte| !is_word(*byte))
                .unwrap_or(sql.len());
            (word(sql.get(..len).unwrap_or_default()), len)
        }
        _ => (Token::Other, 1),
    })
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | 0x80..)
}

fn word(word: &[u8]) -> Token {
    match word.to_ascii_lowercase().as_slice() {
        b"create" => Token::Create,
        b"end" => Token::End,
        b"explain" => Token::Explain,
        b"temp" | b"temporary" => Token::Temp,
        b"trigger" => Token::Trigger,
        _ => Token::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::{is_complete, next_line, read_all};

    #[test]
    fn lines_and_texts_are_bounded() {
        let mut source = &b"one\ntwo\r\n\nlonger"[..];
        let mut next = || next_line(&mut source, 5);
        assert_eq!(next().unwrap().unwrap(), "one");
        assert_eq!(next().unwrap().unwrap(), "two");
        assert_eq!(next().unwrap().unwrap(), "");
        assert!(next().is_err());
        assert!(next_line(&mut &b""[..], 5).unwrap().is_none());
        assert!(next_line(&mut &b"\xff\n"[..], 5).is_err());
        assert!(next_line(&mut std::io::BufReader::new(std::io::repeat(b'x')), 5).is_err());
        assert_eq!(read_all(&b"12345"[..], 5).unwrap(), "12345");
        assert!(read_all(std::io::repeat(b'x'), 5).is_err());
    }

    #[test]
    fn statements_end_with_a_semicolon_outside_strings_and_comments() {
        for sql in [
            "SELECT 1;",
            "SELECT ';' ;  ",
            "SELECT 1; -- done",
            "SELECT 1; /* done */\n",
            "EXPLAIN QUERY PLAN SELECT 1;",
            "CREATE TEMP TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; END;",
            "CREATE TABLE trigger_end(x);",
            "SELECT \"a;\", [b;], `c;`;",
        ] {
            assert!(is_complete(sql), "{sql}");
        }
    }

    #[test]
    fn unfinished_statements_are_not_complete() {
        for sql in [
            "",
            "  ",
            "SELECT 1",
            "SELECT ';",
            "SELECT 1 /* ;",
            "SELECT 1 -- ;",
            "SELECT 1; /* open",
            "SELECT [a;",
            "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1;",
            "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; END",
            "EXPLAIN CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; SELECT 2;",
        ] {
            assert!(!is_complete(sql), "{sql}");
        }
    }
}
