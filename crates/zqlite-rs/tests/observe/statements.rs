//! Spans of statements: their text, never the values that are bound.

use std::cell::RefCell;
use std::fmt::{self, Debug, Write};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, params};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_core::span::Current;
use zqlite::observe::{self, Span};

/// Which level somebody listens to is known to the whole process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Writes down everything that a subscriber is given.
#[derive(Clone)]
pub(crate) struct Transcript {
    level: Level,
    text: Arc<Mutex<String>>,
    spans: Arc<Mutex<Vec<&'static Metadata<'static>>>>,
}

thread_local! {
    /// The spans that this thread is in.
    static INSIDE: RefCell<Vec<Id>> = const { RefCell::new(Vec::new()) };
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Transcript {
    pub(crate) fn at(level: Level) -> Self {
        Self {
            level,
            text: Arc::default(),
            spans: Arc::default(),
        }
    }

    fn line(&self, start: fmt::Arguments<'_>, fields: impl FnOnce(&mut Fields<'_>)) {
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        text.write_fmt(start).unwrap();
        fields(&mut Fields(&mut text));
        text.push('\n');
    }

    pub(crate) fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }
}

impl Subscriber for Transcript {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::from_level(self.level))
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        spans.push(span.metadata());
        let id = spans.len();
        drop(spans);
        let (name, target) = (span.metadata().name(), span.metadata().target());
        self.line(format_args!("new {id} {target} {name}"), |fields| {
            span.record(fields);
        });
        if let Some(parent) = INSIDE.with_borrow(|inside| inside.last().cloned()) {
            self.line(format_args!("under {id} {}", parent.into_u64()), |_| {});
        }
        Id::from_u64(u64::try_from(id).unwrap())
    }

    fn current_span(&self) -> Current {
        let Some(id) = INSIDE.with_borrow(|inside| inside.last().cloned()) else {
            return Current::none();
        };
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let metadata = spans.get(usize::try_from(id.into_u64()).unwrap() - 1);
        Current::new(id, metadata.unwrap())
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.line(format_args!("record {}", span.into_u64()), |fields| {
            values.record(fields);
        });
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.line(format_args!("event"), |fields| event.record(fields));
    }

    fn enter(&self, span: &Id) {
        INSIDE.with_borrow_mut(|inside| inside.push(span.clone()));
        self.line(format_args!("enter {}", span.into_u64()), |_| {});
    }

    fn exit(&self, span: &Id) {
        INSIDE.with_borrow_mut(|inside| {
            let at = inside.iter().rposition(|other| other == span);
            inside.remove(at.unwrap())
        });
        self.line(format_args!("exit {}", span.into_u64()), |_| {});
    }

    fn try_close(&self, span: Id) -> bool {
        self.line(format_args!("close {}", span.into_u64()), |_| {});
        true
    }
}

/// What a subscriber at this level sees.
fn watch(level: Level, f: impl FnOnce()) -> String {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let transcript = Transcript::at(level);
    tracing::subscriber::with_default(transcript.clone(), f);
    transcript.text()
}

const SECRET: &str = "sesame-7a1f";
const NUMBER: i64 = 918_273_645;
const REAL: f64 = 1_234.567_25;

/// Statements of all kinds with bound values, one of which fails.
fn run(db: &Connection) {
    db.execute_batch(
        "CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE, c, d);
         CREATE TABLE log(b);
         CREATE TRIGGER tell AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.b); END;",
    )
    .unwrap();
    let insert = "INSERT INTO t(b, c, d) VALUES (?1, ?2, :real)";
    let values = params![SECRET, NUMBER, REAL];
    db.execute(insert, values).unwrap();
    db.execute(insert, values).unwrap_err();
    db.execute("UPDATE t SET d=?1", params![SECRET.as_bytes()])
        .unwrap();
    let mut select = db.prepare("SELECT a FROM t WHERE b=?1 OR c=?2").unwrap();
    for _ in 0..2 {
        let found: i64 = select
            .query_row(params![SECRET, NUMBER], |row| row.get(0))
            .unwrap();
        assert_eq!(found, 1);
    }
    let literal: String = db
        .query_row("SELECT 'written-in-the-text' || ?1", [SECRET], |row| {
            row.get(0)
        })
        .unwrap();
    assert!(literal.ends_with(SECRET));
    // The statement is dropped in the middle, while another one runs within it.
    let mut open = db
        .prepare("SELECT b FROM t, (SELECT 1 UNION SELECT 2)")
        .unwrap();
    let mut rows = open.query([]).unwrap();
    rows.next().unwrap().unwrap();
    let inner: i64 = db
        .query_row("SELECT count(*) FROM log", [], |row| row.get(0))
        .unwrap();
    assert_eq!(inner, 1);
}

/// The ways in which a value might be written.
fn forms() -> Vec<String> {
    let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
    let list = format!("{:?}", SECRET.as_bytes());
    vec![
        SECRET.to_owned(),
        hex.to_uppercase(),
        hex,
        list.trim_matches(['[', ']']).to_owned(),
        NUMBER.to_string(),
        "1234.567".to_owned(),
    ]
}

#[test]
fn a_bound_value_appears_nowhere_in_what_a_subscriber_sees() {
    let seen = watch(Level::TRACE, || {
        let mut db = Connection::open_in_memory().unwrap();
        observe::trace(&mut db).unwrap();
        run(&db);
    });
    for form in forms() {
        assert!(!seen.contains(&form), "{form} in {seen}");
    }
    assert_eq!(forms().len(), 6);
    // The text does, and literals in it.
    assert!(seen.contains("sql=\"INSERT INTO t(b, c, d) VALUES (?1, ?2, :real)\""));
    assert!(seen.contains("sql=\"SELECT a FROM t WHERE b=?1 OR c=?2\""));
    assert!(seen.contains("'written-in-the-text'"));

    // What SQLite could have said instead.
    let db = Connection::open_in_memory().unwrap();
    let mut select = db.prepare("SELECT ?1").unwrap();
    select.raw_bind_parameter(1, SECRET).unwrap();
    assert!(select.expanded_sql().unwrap().contains(SECRET));
}

#[test]
fn each_statement_has_a_span_that_ends_with_it() {
    let seen = watch(Level::DEBUG, || {
        let mut db = Connection::open_in_memory().unwrap();
        observe::trace(&mut db).unwrap();
        run(&db);
    });
    let new: Vec<_> = seen
        .lines()
        .filter(|line| line.starts_with("new "))
        .collect();
    let count = |sql: &str| new.iter().filter(|line| line.contains(sql)).count();
    assert_eq!(count("INSERT INTO t(b"), 2, "{seen}");
    assert_eq!(count("SELECT a FROM t"), 2);
    assert_eq!(count("SELECT count(*) FROM log"), 1);
    assert_eq!(count("CREATE TRIGGER"), 1);
    assert_eq!(count("TRIGGER tell"), 1, "its firing is no statement");
    let spans = new.len();
    assert_eq!(spans, 11);
    for prefix in ["record ", "close "] {
        let lines = seen.lines().filter(|line| line.starts_with(prefix));
        assert_eq!(lines.count(), spans, "{prefix}{seen}");
    }
    let timed = seen
        .lines()
        .filter(|line| line.contains("elapsed_seconds="));
    assert_eq!(timed.count(), spans);
}

#[test]
fn nothing_is_traced_for_whom_nobody_listens_to() {
    let mut db = Connection::open_in_memory().unwrap();
    let quiet = watch(Level::INFO, || {
        observe::trace(&mut db).unwrap();
        run(&db);
    });
    assert_eq!(quiet, "");
    // No callback was left behind that would cost something.
    let select = |db: &Connection| assert_eq!(db.execute("UPDATE t SET c=1", []).unwrap(), 1);
    let later = watch(Level::DEBUG, || select(&db));
    assert_eq!(later, "");
    let asked = watch(Level::DEBUG, || {
        observe::trace(&mut db).unwrap();
        select(&db);
    });
    assert!(asked.contains("UPDATE t SET c=1"));
}

#[test]
fn a_statement_belongs_to_the_span_in_which_it_runs() {
    let seen = watch(Level::DEBUG, || {
        let mut db = Connection::open_in_memory().unwrap();
        observe::trace(&mut db).unwrap();
        let caller = Span::read(&Span::none(), "a.db");
        caller.in_scope(|| {
            Span::write(&Span::current(), "a.db").in_scope(|| {
                db.execute_batch("SELECT 1").unwrap();
            });
        });
    });
    let order: Vec<_> = seen
        .lines()
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    let entered = |span: &str| {
        order
            .iter()
            .position(|line| line == &format!("enter {span}"))
    };
    let statement = order.iter().position(|line| line == "new 3").unwrap();
    assert!(entered("1") < entered("2"), "{seen}");
    assert!(entered("2") < Some(statement));
    assert!(seen.contains("new 1 zqlite read database=\"a.db\""));
    assert!(seen.contains("new 2 zqlite write database=\"a.db\""));
    assert!(seen.contains("new 3 zqlite::sql statement sql=\"SELECT 1\""));
    assert!(
        !order.contains(&"enter 3".to_owned()),
        "it is stepped between others"
    );
}

#[test]
fn spans_of_the_runtime_name_what_they_are_about() {
    let seen = watch(Level::DEBUG, || {
        for span in [
            Span::batch("a.db"),
            Span::commit("a.db", 7),
            Span::checkpoint("a.db"),
            Span::checkout("a.db"),
            Span::migration(3),
        ] {
            assert_eq!(span.in_scope(|| 1), 1);
        }
    });
    let new: Vec<_> = seen
        .lines()
        .filter_map(|line| line.strip_prefix("new "))
        .collect();
    assert_eq!(
        new,
        [
            "1 zqlite batch database=\"a.db\"",
            "2 zqlite commit database=\"a.db\" closures=7",
            "3 zqlite checkpoint database=\"a.db\"",
            "4 zqlite checkout database=\"a.db\"",
            "5 zqlite migration version=3",
        ]
    );
    let quiet = watch(Level::INFO, || drop(Span::batch("a.db")));
    assert_eq!(quiet, "");
}
