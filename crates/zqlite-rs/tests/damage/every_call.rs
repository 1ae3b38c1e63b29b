//! Every call of the file layer fails in turn, once or from then on, in every workload.

use std::path::Path;

use rusqlite::Connection;

use crate::faults::{Fault, Faults, Plan, Times};
use crate::story::Story;
use crate::workloads as work;
use crate::workloads::Template;

/// What is done while calls fail: from opening the file to the connection, if it could be opened.
type Run = fn(&Path, &mut Story) -> Option<Connection>;

/// Steps that the connection, and whoever opens the file afterwards, take when the cause is gone.
const AFTERWARDS: [i64; 2] = [90, 91];

/// Every n-th call is struck only: 1, all of them, takes minutes.
pub(crate) fn stride() -> u64 {
    std::env::var("ZQLITE_FAULT_STRIDE").map_or(17, |text| text.parse().unwrap())
}

/// The calls to strike, of `calls`: the first is another in every workload and way, so that a stride misses none for
/// ever.
pub(crate) fn struck(calls: u64, offset: u64) -> impl Iterator<Item = u64> {
    let stride = usize::try_from(stride()).unwrap();
    (1..=calls)
        .skip(usize::try_from(offset).unwrap() % stride)
        .step_by(stride)
}

const WAYS: [(Fault, Times); 4] = [
    (Fault::Error, Times::Once),
    (Fault::Error, Times::FromThenOn),
    (Fault::Torn, Times::Once),
    (Fault::Torn, Times::FromThenOn),
];

/// One workload, with one call struck; whether the call was made.
fn case(faults: &Faults, run: Run, template: &Template, plan: Plan) -> bool {
    let folder = template.put_down();
    let path = folder.path().join("a.db");
    let mut story = Story::new(format!("{plan:?}"));
    story.may_look_damaged = plan.fault == Fault::Short;
    faults.strike(plan);
    let connection = run(&path, &mut story);
    // Half of the connections are closed while nothing works yet.
    let connection = connection.filter(|_| plan.times == Times::Once || plan.at.is_multiple_of(2));
    let struck = faults.lift();
    story.told = format!("{plan:?}, struck: {:?}", struck.first());
    if let Some(connection) = connection {
        story.goes_on(&connection, AFTERWARDS[0]);
    }
    story.ends_well(&path, AFTERWARDS[1]);
    !struck.is_empty()
}

/// Strikes the calls of a workload in turn. `offset` makes different workloads begin with different calls.
fn sweep(offset: u64, prepare: fn(&Path), run: Run) {
    sweep_ways(offset, prepare, run, &WAYS);
}

fn sweep_ways(offset: u64, prepare: fn(&Path), run: Run, ways: &[(Fault, Times)]) {
    let faults = Faults::alone();
    let template = Template::new(prepare);
    let folder = template.put_down();
    let path = folder.path().join("a.db");
    let mut story = Story::new("nothing was struck".to_owned());
    faults.count();
    let connection = run(&path, &mut story);
    let calls = faults.calls();
    drop(connection.unwrap());
    story.ends_well(&path, AFTERWARDS[1]);
    let mut cases = 0;
    for (way, &(fault, times)) in (0..).zip(ways) {
        for at in struck(calls, offset + 7 * way) {
            let plan = Plan { at, fault, times };
            // The last calls depend on chance: on what is found in a random key, and on the clock.
            let made = case(&faults, run, &template, plan);
            assert!(made || at + calls / 10 > calls, "call {at} of {calls}");
            cases += 1;
        }
    }
    println!("calls: {calls}, cases: {cases}");
    assert!(cases > 0 && calls > 20);
}

#[test]
fn a_rollback_journal_that_is_deleted_survives_any_call_that_fails() {
    sweep(0, work::prepare_delete, work::transactions);
}

#[test]
fn a_rollback_journal_that_is_kept_survives_any_call_that_fails() {
    sweep(3, work::prepare_delete, work::persistent_journal);
}

#[test]
fn a_rollback_journal_that_is_cut_to_nothing_survives_any_call_that_fails() {
    sweep(6, work::prepare_delete, work::truncated_journal);
}

#[test]
fn a_log_survives_any_call_that_fails() {
    sweep(9, work::prepare_wal, work::transactions);
}

#[test]
fn checkpoints_of_every_kind_survives_any_call_that_fails() {
    sweep(12, work::prepare_wal, work::with_checkpoints);
}

#[test]
fn closing_a_database_with_a_log_survives_any_call_that_fails() {
    sweep(15, work::prepare_wal, work::closing);
}

#[test]
fn a_log_without_shared_memory_survives_any_call_that_fails() {
    sweep(18, work::prepare_wal, work::exclusive);
}

#[test]
fn vacuum_with_a_rollback_journal_survives_any_call_that_fails() {
    sweep(21, work::prepare_delete, work::vacuum);
}

#[test]
fn vacuum_with_a_log_survives_any_call_that_fails() {
    sweep(24, work::prepare_wal, work::vacuum);
}

#[test]
fn changing_the_journal_mode_survives_any_call_that_fails() {
    sweep(27, work::prepare_delete, work::modes);
}

#[test]
fn rolling_back_a_hot_journal_at_open_survives_any_call_that_fails() {
    sweep(30, work::prepare_hot_journal, work::transactions);
}

#[test]
fn recovering_a_log_at_open_survives_any_call_that_fails() {
    sweep(33, work::prepare_unrecovered_wal, work::transactions);
}

#[test]
fn temporary_files_of_every_kind_survives_any_call_that_fails() {
    sweep(36, work::prepare_delete, work::temporary_files);
}

#[test]
fn opening_with_an_identity_survives_any_call_that_fails() {
    sweep(
        39,
        work::prepare_for_identity,
        work::opening_with_an_identity,
    );
}

/// A read that finds less than there is, once, looks like a file that was cut: that may be called damage. The row that
/// was not there is not made up, and the file is not changed for it.
#[test]
fn a_read_that_falls_short_is_an_error_and_no_row() {
    let ways = [(Fault::Short, Times::Once)];
    sweep_ways(2, work::prepare_delete, work::transactions, &ways);
    sweep_ways(4, work::prepare_wal, work::with_checkpoints, &ways);
    sweep_ways(6, work::prepare_delete, work::vacuum, &ways);
}
