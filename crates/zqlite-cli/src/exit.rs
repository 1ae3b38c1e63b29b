//! Exit statuses, and the one line that says why.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::process::ExitCode;

use zqlite::rusqlite;
use zqlite::{Error, Verdict};

use crate::output::{self, printable};

/// What the process says to its caller. Scripts depend on these numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// 0
    Done,
    /// 1: any failure without a number of its own.
    Failure,
    /// 2: the command line is wrong.
    Usage,
    /// 3: no key opens the file.
    NoKey,
    /// 4: the file is altered or damaged.
    Damaged,
    /// 5: a signature is missing or not the expected one.
    Signature,
    /// 128 + the signal's number.
    Interrupted(u8),
}

impl Status {
    const fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::NoKey => 3,
            Self::Damaged => 4,
            Self::Signature => 5,
            Self::Interrupted(signal) => signal.saturating_add(128),
        }
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status.number())
    }
}

impl From<Verdict> for Status {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::NoKey => Self::NoKey,
            Verdict::Damaged => Self::Damaged,
            Verdict::Signature => Self::Signature,
            _ => Self::Failure,
        }
    }
}

/// A failure that the command itself finds, with its status and a hint what to do.
#[derive(Debug)]
pub(crate) struct Fault {
    status: Status,
    message: String,
    hint: Option<String>,
}

impl Fault {
    /// A failure with status 1.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            status: Status::Failure,
            message: message.into(),
            hint: None,
        }
    }

    /// A wrong command line, status 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            status: Status::Usage,
            ..Self::new(message)
        }
    }

    /// Another status.
    pub(crate) fn with_status(self, status: Status) -> Self {
        Self { status, ..self }
    }

    /// What the user can do about it.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Fault {}

/// The status of an error.
pub(crate) fn status(error: &anyhow::Error) -> Status {
    for cause in error.chain() {
        if let Some(fault) = cause.downcast_ref::<Fault>() {
            return fault.status;
        }
        if let Some(error) = cause.downcast_ref::<Error>() {
            return match error {
                Error::BackupStopped { .. } | Error::Interrupted | Error::RekeyStopped { .. } => {
                    Status::Interrupted(crate::process::last_signal())
                }
                error => error.verdict().into(),
            };
        }
    }
    Status::Failure
}

/// Prints an error as `zqlite: …` and returns its status.
pub(crate) fn report(error: &anyhow::Error) -> Status {
    if is_broken_pipe(error) {
        output::complain(
            "stdout is closed: not all was printed, and what comes after it was not done",
        );
        return status(error);
    }
    output::complain(&message(error));
    if let Some(hint) = hint(error) {
        output::complain(&format!("hint: {hint}"));
    }
    status(error)
}

/// The error and its causes on one line.
pub(crate) fn message(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let (text, is_last) = describe(cause);
        if line.is_empty() {
            line = text;
        } else if !line.ends_with(&text) {
            line = format!("{line}: {text}");
        }
        if is_last {
            break;
        }
    }
    let words: Vec<_> = line
        .split(['\n', '\r', '\t'])
        .filter(|part| !part.is_empty())
        .collect();
    printable(&words.join(" "))
}

/// The text of one cause, and whether the causes below it would only repeat it.
fn describe(cause: &(dyn StdError + 'static)) -> (String, bool) {
    // What the library advises there is for programs, and names its functions.
    let own = match cause.downcast_ref::<Error>() {
        Some(Error::Empty { path }) => Some((path, "not a sealed database: the file is empty")),
        Some(Error::SignatureMissing { path }) => {
            Some((path, "not signed, and --signed-by asks for a signature"))
        }
        _ => None,
    };
    if let Some((path, what)) = own {
        return (format!("{}: {what}", path.display()), true);
    }
    let sqlite = match cause.downcast_ref::<Error>() {
        Some(error) if is_unfinished(error) => {
            let what = "a process was killed in the middle of a transaction, which has to be taken back before anything is read";
            return (what.to_owned(), true);
        }
        Some(Error::Sqlite(error)) => Some(error),
        _ => cause.downcast_ref::<rusqlite::Error>(),
    };
    match sqlite {
        // The statement itself stays out: it may be long, and may hold what should not be logged.
        Some(rusqlite::Error::SqlInputError { msg, offset, .. }) => {
            (format!("{msg} (at byte {offset} of the statement)"), true)
        }
        Some(error) => (error.to_string(), true),
        None => (cause.to_string(), false),
    }
}

/// Whether somebody was killed in the middle of a transaction, and a connection that may not write cannot take it back.
pub(crate) fn is_unfinished(error: &Error) -> bool {
    matches!(
        error.extended_code(),
        Some(rusqlite::ffi::SQLITE_READONLY_ROLLBACK | rusqlite::ffi::SQLITE_READONLY_RECOVERY)
    )
}

fn hint(error: &anyhow::Error) -> Option<String> {
    error
        .chain()
        .find_map(|cause| match cause.downcast_ref::<Fault>() {
            Some(fault) => fault.hint.clone(),
            None => cause
                .downcast_ref::<Error>()
                .and_then(library_hint)
                .map(str::to_owned),
        })
}

fn library_hint(error: &Error) -> Option<&'static str> {
    match error {
        Error::NoKey { .. } => Some(
            "`zqlite inspect FILE` lists the kinds of keys that open it; name yours with -i, --passphrase-file or --raw-key-file",
        ),
        Error::Exists { .. } => Some("--force replaces it"),
        Error::SignatureMissing { .. } => Some(
            "anyone can have made an unsigned file; do not use it, and ask the owner for the signed one",
        ),
        Error::SignatureUnexpected { .. } => Some(
            "ask the owner for the verifying key and the file id; do not use the file until they agree",
        ),
        Error::Damaged { .. } => {
            Some("`zqlite verify` lists what is damaged; restore the file from a backup")
        }
        Error::NotSealedState { .. } => Some(
            "any commit changes the file: seal it again after one; if there was none, restore what was sealed from a backup",
        ),
        Error::HeaderTooOld { .. } => Some(
            "somebody put back an older copy of the file, or the anchor is that of a newer one: restore the newest backup",
        ),
        error if is_unfinished(error) => {
            Some("what may write does so: `zqlite query FILE --write \"PRAGMA user_version\"`")
        }
        Error::Sqlite(_) if error.verdict() == Verdict::Damaged => Some(
            "a page is altered or damaged; `zqlite verify` lists what is, restore the file from a backup",
        ),
        _ => None,
    }
}

/// Whether the reader of stdout went away.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn causes_stand_on_one_line_and_are_not_repeated() {
        let source = io::Error::other("disk\nfull");
        let error = anyhow::Error::from(Error::Io {
            path: "a.db".into(),
            source,
        });
        assert_eq!(message(&error), "a.db: disk full");
        assert_eq!(message(&anyhow!("why").context("what")), "what: why");
    }

    #[test]
    fn no_function_of_the_library_is_advised() {
        let path = || "a.db".into();
        for error in [
            Error::Empty { path: path() },
            Error::SignatureMissing { path: path() },
        ] {
            let error = anyhow::Error::from(error);
            let said = [message(&error), hint(&error).unwrap_or_default()].concat();
            assert!(said.starts_with("a.db: "), "{said}");
            assert!(
                !said.contains('_') && !said.contains("recipients"),
                "{said}"
            );
            assert!(!said.contains("without --signed-by"), "{said}");
        }
    }

    #[test]
    fn verdicts_keep_their_numbers() {
        let error = anyhow::Error::from(Error::NoKey {
            path: "a.db".into(),
        })
        .context("opening");
        assert_eq!(status(&error).number(), 3);
        assert_eq!(status(&Fault::usage("x").into()).number(), 2);
        assert_eq!(status(&anyhow!("x")).number(), 1);
        assert_eq!(Status::Interrupted(2).number(), 130);
    }
}
