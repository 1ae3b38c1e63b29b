//! Just enough of the grammar of CREATE TABLE and CREATE INDEX: where the table's name stands, and which
//! definitions name a column. What cannot be told apart counts as naming it.

use std::ops::Range;

use super::table::literal;

/// A word, a name, a literal, or one character.
#[derive(Clone, Copy, Debug)]
struct Token<'a> {
    text: &'a str,
    start: usize,
}

impl Token<'_> {
    fn range(&self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }

    fn is(&self, keyword: &str) -> bool {
        self.text.eq_ignore_ascii_case(keyword)
    }

    /// Whether it is this name, quoted or not. A text literal is no name.
    fn names(&self, name: &str) -> bool {
        unquoted(self.text).is_some_and(|own| own.eq_ignore_ascii_case(name))
    }
}

fn unquoted(text: &str) -> Option<String> {
    let inner = || {
        text.get(1..text.len().saturating_sub(1))
            .unwrap_or_default()
    };
    match text.chars().next()? {
        '\'' => None,
        quote @ ('"' | '`') => {
            Some(inner().replace(&format!("{quote}{quote}"), &quote.to_string()))
        }
        '[' => Some(inner().to_owned()),
        _ => Some(text.to_owned()),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()
}

fn tokens(sql: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut start = 0;
    while let Some(rest) = sql.get(start..).filter(|rest| !rest.is_empty()) {
        let (len, is_token) = token_len(rest);
        if let Some(text) = rest.get(..len).filter(|_| is_token) {
            tokens.push(Token { text, start });
        }
        start += len.max(1);
    }
    tokens
}

/// The length of what a text begins with, and whether that means anything.
fn token_len(rest: &str) -> (usize, bool) {
    let end_of = |close: &str, from: usize| {
        rest.get(from..)
            .and_then(|inner| inner.find(close))
            .map_or(rest.len(), |at| from + at + close.len())
    };
    match rest.chars().next() {
        None => (0, false),
        Some(c) if c.is_ascii_whitespace() || c == '\u{b}' => (1, false),
        Some('-') if rest.starts_with("--") => (end_of("\n", 2), false),
        Some('/') if rest.starts_with("/*") => (end_of("*/", 2), false),
        Some('[') => (end_of("]", 1), true),
        Some(quote @ ('\'' | '"' | '`')) => (quoted_len(rest, quote), true),
        Some(c) if is_word(c) => (rest.find(|c: char| !is_word(c)).unwrap_or(rest.len()), true),
        Some(c) => (c.len_utf8(), true),
    }
}

/// A doubled quote does not end what it quotes.
fn quoted_len(rest: &str, quote: char) -> usize {
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
            return at + 1;
        }
    }
    rest.len()
}

/// Where the table's name stands in the text of a table or an index, if it is where it belongs.
pub(super) fn table_name(sql: &str, table: &str) -> Option<Range<usize>> {
    let tokens = tokens(sql);
    let mut words = tokens.iter();
    words.next().filter(|token| token.is("CREATE"))?;
    let mut kind = words.next()?;
    if kind.is("UNIQUE") {
        kind = words.next()?;
    }
    if kind.is("INDEX") {
        words.next()?;
        words.next().filter(|token| token.is("ON"))?;
    } else if !kind.is("TABLE") {
        return None;
    }
    let name = words.next()?;
    // In this place, and only here, a text literal is a name.
    let is_literal = name.text == literal(table);
    (is_literal || name.names(table)).then(|| name.range())
}

/// The text with another name of the table, as it is to be written, and the spelling that stood there.
pub(super) fn renamed(sql: &str, table: &str, new: &str) -> Option<(String, String)> {
    let range = table_name(sql, table)?;
    let old = sql.get(range.clone())?.to_owned();
    let mut renamed = sql.to_owned();
    renamed.replace_range(range, new);
    Some((renamed, old))
}

/// Whether a text names a column anywhere.
pub(super) fn mentions(sql: &str, column: &str) -> bool {
    tokens(sql).iter().any(|token| token.names(column))
}

/// What in the text of a table keeps a column from being compressed.
pub(super) fn obstacle(create_table: &str, column: &str) -> Option<String> {
    const OWN: [&str; 7] = [
        "AS",
        "CHECK",
        "COLLATE",
        "GENERATED",
        "PRIMARY",
        "REFERENCES",
        "UNIQUE",
    ];
    let mut found = false;
    for definition in definitions(create_table) {
        let is_own = !found && definition.first().is_some_and(|name| name.names(column));
        if is_own {
            found = true;
            if let Some(word) = definition
                .iter()
                .skip(1)
                .find(|token| OWN.iter().any(|word| token.is(word)))
            {
                return Some(format!("its definition says {}", word.text.to_uppercase()));
            }
        } else if definition.iter().any(|token| token.names(column)) {
            return Some("a constraint or another column's definition names it".to_owned());
        }
    }
    (!found).then(|| "its definition cannot be read".to_owned())
}

/// Whether a text names a column with its table before it: that would not be found under another name of the table.
pub(super) fn qualifies(sql: &str, table: &str) -> bool {
    tokens(sql)
        .windows(2)
        .any(|pair| matches!(pair, [name, dot] if name.names(table) && dot.text == "."))
}

/// The expression of a default, as it means the same elsewhere: a word that stands there alone is a text.
pub(super) fn default_value(default: &str) -> String {
    const CONSTANTS: [&str; 6] = [
        "CURRENT_DATE",
        "CURRENT_TIME",
        "CURRENT_TIMESTAMP",
        "FALSE",
        "NULL",
        "TRUE",
    ];
    let is_constant = |token: &Token<'_>| {
        CONSTANTS.iter().any(|word| token.is(word))
            || token.text.starts_with(|first: char| first.is_ascii_digit())
    };
    match tokens(default).as_slice() {
        [token] if !is_constant(token) => match unquoted(token.text) {
            Some(word) => literal(&word),
            None => default.to_owned(),
        },
        _ => default.to_owned(),
    }
}

/// Whether the primary key has a collation of its own, so that it may tell apart what the column's does not.
pub(super) fn has_collated_key(create_table: &str) -> bool {
    definitions(create_table).iter().any(|definition| {
        let is_key = definition
            .first()
            .is_some_and(|word| word.is("PRIMARY") || word.is("CONSTRAINT"));
        is_key && definition.iter().any(|token| token.is("COLLATE"))
    })
}

/// The definitions between the outer parentheses.
fn definitions(create_table: &str) -> Vec<Vec<Token<'_>>> {
    let mut definitions = Vec::new();
    let mut depth = 0_usize;
    for token in tokens(create_table) {
        match token.text {
            "(" => {
                depth += 1;
                if depth == 1 {
                    definitions.push(Vec::new());
                    continue;
                }
            }
            ")" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    break;
                }
            }
            "," if depth == 1 => {
                definitions.push(Vec::new());
                continue;
            }
            _ => {}
        }
        if let Some(definition) = definitions.last_mut() {
            definition.push(token);
        }
    }
    definitions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_table_is_found_however_it_is_written() {
        let cases = [
            ("CREATE TABLE t(a)", "t", "t"),
            ("CREATE TABLE \"a \"\"b\"(x)", "a \"b", "\"a \"\"b\""),
            ("CREATE TABLE [t u] (a)", "t u", "[t u]"),
            ("CREATE TABLE -- t(\n /* ( */ `T`(a)", "t", "`T`"),
            ("CREATE UNIQUE INDEX \"on\" ON T (a)", "t", "T"),
            ("CREATE INDEX i ON \"t\"(a) WHERE t > 1", "t", "\"t\""),
            ("CREATE INDEX i ON 'it''s'(a)", "it's", "'it''s'"),
        ];
        for (sql, table, spelling) in cases {
            let (renamed_to, old) = renamed(sql, table, "\"new\"").unwrap();
            assert_eq!(old, spelling, "{sql}");
            let (back, new) = renamed(&renamed_to, "new", &old).unwrap();
            assert_eq!((back.as_str(), new.as_str()), (sql, "\"new\""));
        }
        for sql in ["CREATE VIEW t AS SELECT 1", "CREATE TABLE u(a)", ""] {
            assert_eq!(table_name(sql, "t"), None, "{sql}");
        }
    }

    #[test]
    fn what_stands_in_the_way_of_a_column_is_found() {
        let free = [
            "CREATE TABLE t(a INTEGER PRIMARY KEY, meta TEXT NOT NULL DEFAULT '{}', b CHECK(b <> 'meta'))",
            "CREATE TABLE t(a DECIMAL(10, 2), [META] json -- meta, meta\n)",
            "CREATE TABLE t(\"meta\", b) WITHOUT ROWID",
        ];
        for sql in free {
            assert_eq!(obstacle(sql, "meta"), None, "{sql}");
        }
        let held = [
            ("CREATE TABLE t(meta TEXT UNIQUE)", "UNIQUE"),
            ("CREATE TABLE t(a, meta CHECK(length(meta) < 9))", "CHECK"),
            ("CREATE TABLE t(a, meta TEXT collate nocase)", "COLLATE"),
            ("CREATE TABLE t(a, meta, b AS (meta + 1))", "another column"),
            (
                "CREATE TABLE t(a, meta, CHECK(\"Meta\" <> 1))",
                "constraint",
            ),
            ("CREATE TABLE t(a, meta, UNIQUE(a, meta))", "constraint"),
            ("CREATE TABLE t(a)", "cannot be read"),
        ];
        for (sql, what) in held {
            assert!(obstacle(sql, "meta").unwrap().contains(what), "{sql}");
        }
        assert!(has_collated_key(
            "CREATE TABLE t(a, PRIMARY KEY(a COLLATE BINARY))"
        ));
        assert!(!has_collated_key(
            "CREATE TABLE t(a COLLATE NOCASE PRIMARY KEY)"
        ));
    }
}
