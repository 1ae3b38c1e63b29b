//! Keys come and go while calls fail: what was asked for is done, or is an error that is about the disk and can be asked
//! for again. No transaction that was acknowledged is lost, and the file opens for exactly those who may.

use std::path::Path;

use rusqlite::Connection;
use zqlite::pq::RawKey;
use zqlite::pq::header::{NewSlot, SlotKey};
use zqlite::{Builder, Error, OwnerOptions, RekeyOptions, Who};

use crate::every_call::struck;
use crate::faults::{self, Fault, Faults, Plan, Times};
use crate::story::{self, Story};
use crate::support::{KEY, builder, header_of, mode, ring};
use crate::workloads::Template;

const NEWCOMER: [u8; 32] = [8; 32];
const LEAVER: [u8; 32] = [9; 32];
/// Steps of the story, in order: before anything fails, meanwhile, and afterwards.
const BEFORE: i64 = 1;
const MEANWHILE: i64 = 10;
const AFTERWARDS: i64 = 91;

fn slot(key: [u8; 32], label: &str) -> NewSlot {
    NewSlot {
        key: SlotKey::RawKey(RawKey::from_bytes(key)),
        label: label.to_owned(),
    }
}

fn prepare(path: &Path, journal_mode: &str) {
    let slots = vec![slot(KEY, "owner"), slot(LEAVER, "leaver")];
    let connection = builder(path).create(slots).open().unwrap();
    mode(&connection, journal_mode);
    story::begin(&connection);
}

/// A connection that accepts a key that it saw nothing of, as after a whole rekey in which it did nothing.
fn open_writer(path: &Path) -> Connection {
    builder(path).accept_any_maker().open().unwrap()
}

/// One of the owner's acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Add,
    Remove,
    Rekey,
}

impl Act {
    /// Does it; somebody writes while a rekey runs.
    fn run(self, path: &Path, story: &mut Story, writer: Option<&Connection>) -> Result<(), Error> {
        let owner = || OwnerOptions::new(ring());
        match self {
            Self::Add => zqlite::add_recipient(path, owner(), slot(NEWCOMER, "newcomer")).map(drop),
            Self::Remove => {
                let who = [Who::Label("leaver".to_owned())];
                zqlite::remove_recipients(path, owner(), &who).map(drop)
            }
            Self::Rekey => {
                let mut options = RekeyOptions::new(ring());
                options.compromised = Some(vec![Who::Label("owner".to_owned())]);
                // Small steps, that wait for nothing.
                options.step = 256 << 10;
                let mut step = MEANWHILE;
                zqlite::rekey(path, options, &mut |progress| {
                    // Who could not give a lock up keeps it until he closes the file: nobody waits for that here.
                    if step >= MEANWHILE + 40 {
                        let struck = faults::first_struck().unwrap_or_default();
                        assert!(struck.starts_with("unlock"), "{struck}: {progress:?}");
                        return false;
                    }
                    if let Some(writer) = writer
                        && step < MEANWHILE + 4
                        && faults::first_struck().is_none()
                    {
                        story.step(writer, step);
                    }
                    step += 1;
                    true
                })
                .map(drop)
            }
        }
    }

    /// Whether the file says that it is done.
    fn is_done(self, path: &Path) -> bool {
        let slots = zqlite::recipients(path, ring(), None).unwrap();
        let has = |label: &str| {
            slots
                .iter()
                .any(|slot| slot.label.as_deref() == Some(label))
        };
        assert!(has("owner"));
        match self {
            Self::Add => has("newcomer"),
            Self::Remove => !has("leaver"),
            Self::Rekey => {
                let header = header_of(path).header;
                !has("leaver") && header.older_epochs().is_empty()
            }
        }
    }

    fn assert_who_may(self, path: &Path) {
        let opens = |key: [u8; 32]| {
            let opened = Builder::new(path).raw_key(RawKey::from_bytes(key)).open();
            match opened {
                Ok(connection) => {
                    let rows =
                        connection.query_row("SELECT count(*) > 0 FROM t", [], |row| row.get(0));
                    assert_eq!(rows, Ok(true));
                    true
                }
                Err(Error::NoKey { .. }) => false,
                Err(error) => panic!("{error:?}"),
            }
        };
        let may = [opens(KEY), opens(NEWCOMER), opens(LEAVER)];
        assert_eq!(may, [true, self == Self::Add, self == Self::Add]);
        let opened = header_of(path);
        assert!(opened.is_healthy());
        assert_eq!(opened.header.epoch() > 1, self == Self::Rekey);
        assert_eq!(opened.header.min_epoch(), opened.header.epoch());
    }
}

/// How a case went.
#[derive(Default)]
struct Outcome {
    was_struck: bool,
    failed: bool,
    was_done_all_the_same: bool,
}

/// An act, with one call struck, and what comes after it. `goes_on`: with the connections that saw the errors still open.
fn case(faults: &Faults, act: Act, template: &Template, plan: Plan) -> Outcome {
    let folder = template.put_down();
    let path = folder.path().join("a.db");
    let mut story = Story::new(format!("{act:?} {plan:?}"));
    let writer = open_writer(&path);
    assert!(story.step(&writer, BEFORE));
    faults.strike(plan);
    let outcome = act.run(&path, &mut story, Some(&writer));
    let struck = faults.lift();
    story.told = format!("{act:?} {plan:?}, struck: {:?}", struck.first());
    let failed = outcome.is_err();
    match &outcome {
        Ok(()) | Err(Error::RekeyStopped { .. }) => {}
        Err(error) => story.assert_is_io(error),
    }
    // Half of the time whoever was there is gone when the owner comes back.
    let writer = Some(writer).filter(|_| plan.at.is_multiple_of(2));
    if let Some(writer) = &writer {
        story.goes_on(writer, AFTERWARDS - 1);
    }
    let is_done = act.is_done(&path);
    assert!(failed || is_done, "{story:?}");
    if !is_done {
        let again = act.run(&path, &mut Story::new(String::new()), None);
        again.unwrap_or_else(|error| panic!("{story:?}: {error:?}"));
        assert!(act.is_done(&path), "{story:?}");
    }
    if let Some(writer) = &writer {
        assert!(story.look(writer), "{story:?}");
    }
    drop(writer);
    story.ends_well(&path, AFTERWARDS);
    act.assert_who_may(&path);
    Outcome {
        was_struck: !struck.is_empty(),
        failed,
        was_done_all_the_same: failed && is_done,
    }
}

fn sweep(act: Act, journal_mode: &'static str, offset: u64) {
    let faults = Faults::alone();
    let template = Template::new(match journal_mode {
        "WAL" => |path| prepare(path, "WAL"),
        _ => |path| prepare(path, "DELETE"),
    });
    let folder = template.put_down();
    let path = folder.path().join("a.db");
    let mut story = Story::new("nothing was struck".to_owned());
    let writer = open_writer(&path);
    assert!(story.step(&writer, BEFORE));
    assert!(!act.is_done(&path));
    faults.count();
    act.run(&path, &mut story, Some(&writer)).unwrap();
    let calls = faults.calls();
    drop(writer);
    story.ends_well(&path, AFTERWARDS);
    act.assert_who_may(&path);
    let (mut cases, mut failed, mut done_all_the_same) = (0, 0, 0);
    let ways = [
        (Fault::Error, Times::Once),
        (Fault::Error, Times::FromThenOn),
        (Fault::Torn, Times::Once),
        (Fault::Torn, Times::FromThenOn),
    ];
    for (way, (fault, times)) in (0..).zip(ways) {
        for at in struck(calls, offset + 5 * way) {
            let outcome = case(&faults, act, &template, Plan { at, fault, times });
            assert!(
                outcome.was_struck || at + calls / 10 > calls,
                "call {at} of {calls}"
            );
            cases += 1;
            failed += usize::from(outcome.failed);
            done_all_the_same += usize::from(outcome.was_done_all_the_same);
        }
    }
    println!(
        "calls: {calls}, cases: {cases}, failed: {failed}, done all the same: {done_all_the_same}"
    );
    assert!(calls > 20 && failed > cases / 4, "{failed} of {cases}");
}

#[test]
fn adding_a_recipient_survives_any_call_that_fails() {
    sweep(Act::Add, "WAL", 0);
    sweep(Act::Add, "DELETE", 3);
}

#[test]
fn removing_a_recipient_survives_any_call_that_fails() {
    sweep(Act::Remove, "WAL", 6);
    sweep(Act::Remove, "DELETE", 9);
}

#[test]
fn a_rekey_with_a_log_survives_any_call_that_fails() {
    sweep(Act::Rekey, "WAL", 12);
}

#[test]
fn a_rekey_with_a_rollback_journal_survives_any_call_that_fails() {
    sweep(Act::Rekey, "DELETE", 15);
}
