//! Names in SQL text.

/// A name between double quotes.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text between single quotes.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The name that an argument of a virtual table means: as it stands, or without the quotes that SQL knows.
pub(crate) fn unquoted(argument: &str) -> String {
    let argument = argument.trim();
    let close = match argument.chars().next() {
        Some(quote @ ('"' | '\'' | '`')) => quote,
        Some('[') => ']',
        _ => return argument.to_owned(),
    };
    let Some(inner) = argument.get(1..).and_then(|rest| rest.strip_suffix(close)) else {
        return argument.to_owned();
    };
    if close == ']' {
        return inner.to_owned();
    }
    inner.replace(&format!("{close}{close}"), &close.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_and_unquoted_as_sql_does() {
        for name in ["a", "a b", "a\"b", "a'b", "a]b", "", "Ä\"\""] {
            assert_eq!(unquoted(&quoted(name)), name);
            assert_eq!(unquoted(&literal(name)), name);
        }
        assert_eq!(unquoted(" routes "), "routes");
        assert_eq!(unquoted("[a\"b]"), "a\"b");
        assert_eq!(unquoted("`a``b`"), "a`b");
        assert_eq!(unquoted("\""), "\"");
    }
}
