//! A transaction over two sealed databases, with a super-journal, while calls fail: it has happened in both, or in
//! neither.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::Connection;

use crate::every_call::struck;
use crate::faults::{Fault, Faults, Plan, Times};
use crate::story::Story;
use crate::support::{assert_clean, assert_sound, builder, create, open, register};
use crate::workloads::Template;

fn prepare(path: &Path) {
    for path in [path, &path.with_file_name("b.db")] {
        create(path)
            .execute_batch(
                "CREATE TABLE t(a INTEGER PRIMARY KEY, b);
                 INSERT INTO t VALUES (0, zeroblob(30000));",
            )
            .unwrap();
    }
}

/// What was done with both.
#[derive(Default)]
struct Both {
    acknowledged: BTreeSet<i64>,
    failed: BTreeSet<i64>,
}

impl Both {
    fn step(&mut self, story: &Story, connection: &Connection, step: i64) -> bool {
        let transaction = [
            "BEGIN IMMEDIATE".to_owned(),
            format!("INSERT INTO main.t VALUES ({step}, zeroblob({step} * 3000))"),
            format!("INSERT INTO b.t VALUES ({step}, zeroblob({step} * 2000))"),
            "UPDATE main.t SET b = randomblob(20000) WHERE a = 0".to_owned(),
            "UPDATE b.t SET b = randomblob(20000) WHERE a = 0".to_owned(),
            "COMMIT".to_owned(),
        ];
        let done = transaction.iter().all(|sql| story.run(connection, sql));
        if done {
            self.acknowledged.insert(step);
        } else {
            self.failed.insert(step);
            if !connection.is_autocommit() {
                story.run(connection, "ROLLBACK");
            }
        }
        done
    }

    fn run(&mut self, story: &Story, path: &Path) -> Option<Connection> {
        let connection = match builder(path).allow_attach().open() {
            Ok(connection) => connection,
            Err(error) => {
                story.assert_is_io(&error);
                return None;
            }
        };
        let other = path.with_file_name("b.db");
        let attach = format!("ATTACH 'file:{}?vfs=zqlite' AS b", other.display());
        story.run(&connection, "PRAGMA cache_size=4");
        if story.run(&connection, &attach) {
            story.run(&connection, "PRAGMA b.cache_size=4");
            for step in 1..=2 {
                self.step(story, &connection, step);
            }
        }
        Some(connection)
    }

    fn check(&self, story: &Story, path: &Path) {
        let steps = [path.to_owned(), path.with_file_name("b.db")].map(|path| {
            let connection = open(&path);
            let mut statement = connection.prepare("SELECT a FROM t WHERE a > 0").unwrap();
            let steps = statement.query_map([], |row| row.get(0)).unwrap();
            let steps: BTreeSet<i64> = steps.map(Result::unwrap).collect();
            drop(statement);
            assert_sound(&connection);
            drop(connection);
            assert_clean(&path);
            steps
        });
        let [a, b] = steps;
        assert_eq!(a, b, "{story:?}: a transaction over both is in one of them");
        assert!(a.is_superset(&self.acknowledged), "{story:?}: lost, {a:?}");
        let known: BTreeSet<i64> = self.acknowledged.union(&self.failed).copied().collect();
        assert!(a.is_subset(&known), "{story:?}: nobody made {a:?}");
    }
}

fn case(faults: &Faults, template: &Template, plan: Plan) -> bool {
    let folder = template.put_down();
    let path = folder.path().join("a.db");
    register(&path.with_file_name("b.db"));
    let (mut story, mut both) = (Story::new(format!("{plan:?}")), Both::default());
    faults.strike(plan);
    let connection = both.run(&story, &path);
    // A third of the connections are closed while nothing works yet.
    let connection = connection.filter(|_| plan.times == Times::Once || !plan.at.is_multiple_of(3));
    let struck = faults.lift();
    story.told = format!("{plan:?}, struck: {:?}", struck.first());
    if let Some(connection) = connection
        && story.run(
            &connection,
            "SELECT 1 FROM pragma_database_list WHERE name = 'b'",
        )
        && connection.is_readonly("b").is_ok()
    {
        assert!(
            both.step(&story, &connection, 9),
            "{story:?}: still cannot write"
        );
    }
    both.check(&story, &path);
    zqlite::vfs::unregister_keys(&path.with_file_name("b.db"));
    !struck.is_empty()
}

#[test]
fn a_transaction_over_two_databases_survives_any_call_that_fails() {
    let faults = Faults::alone();
    let template = Template::new(prepare);
    let folder = template.put_down();
    let path = folder.path().join("a.db");
    register(&path.with_file_name("b.db"));
    let (story, mut both) = (Story::default(), Both::default());
    faults.count();
    let connection = both.run(&story, &path).unwrap();
    let calls = faults.calls();
    drop(connection);
    both.check(&story, &path);
    assert_eq!(both.acknowledged.len(), 2);
    let mut cases = 0;
    for (way, fault) in (0..).zip([Fault::Error, Fault::Torn]) {
        for times in [Times::Once, Times::FromThenOn] {
            for at in struck(calls, 11 * way) {
                let made = case(&faults, &template, Plan { at, fault, times });
                assert!(made || at + calls / 10 > calls, "call {at} of {calls}");
                cases += 1;
            }
        }
    }
    println!("calls: {calls}, cases: {cases}");
    assert!(cases > 0 && calls > 100);
}
