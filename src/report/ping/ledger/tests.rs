//! The running figures of made-up runs.

use super::*;
use crate::report::ping::made_up::{failure, reply, request, silence, started, unresolved};

const MS: Duration = Duration::from_millis(1);

fn ledger(events: &[(u64, Echo<'_>)]) -> Ledger {
    let mut ledger = Ledger::default();
    for (millis, echo) in events {
        ledger.record(MS * u32::try_from(*millis).unwrap(), echo);
    }
    ledger
}

#[test]
fn requests_are_waiting_answered_given_up_or_failed() {
    let mut ledger = ledger(&[
        (0, started(0, "a")),
        (0, request(0, 1)),
        (10, reply(0, 1, 10, EchoJudgement::Counted)),
        (20, request(0, 2)),
        (30, request(0, 3)),
        (31, failure(0, 3)),
        (40, request(0, 4)),
        (41, silence(0, 4)),
    ]);
    let count = |ledger: &Ledger| {
        let account = ledger.account(0).unwrap();
        let Account {
            sent,
            received,
            lost,
            failed,
            late,
            ..
        } = *account;
        (sent, received, lost, failed, late, account.in_flight())
    };
    assert_eq!(count(&ledger), (4, 1, 1, 1, 0, 1));
    ledger.settle(MS * 1019, |_, _| unreachable!());
    assert_eq!(count(&ledger), (4, 1, 1, 1, 0, 1), "not yet");
    ledger.settle(MS * 1020, |index, sent_at| {
        assert_eq!((index, sent_at), (0, MS * 20));
    });
    assert_eq!(count(&ledger), (4, 1, 2, 1, 0, 0));
    ledger.record(MS * 1100, &reply(0, 2, 1080, EchoJudgement::Counted));
    assert_eq!(count(&ledger), (4, 2, 2, 1, 1, 0), "a loss stays counted");
}

#[test]
fn what_cannot_be_sent_fails_and_what_has_no_address_is_kept() {
    let ledger = ledger(&[
        (0, started(0, "a")),
        (0, failure(0, 1)),
        (10, failure(0, 2)),
        (20, unresolved(1, "b")),
    ]);
    let account = ledger.account(0).unwrap();
    assert_eq!((account.sent, account.failed), (2, 2));
    let names: Vec<&str> = ledger.unresolved().map(|one| &*one.target.name).collect();
    assert_eq!((names, ledger.hosts()), (vec!["b"], 1));
}

#[test]
fn an_error_without_a_target_belongs_to_an_only_host() {
    let local = Echo::Failure(Box::new(EchoFailure {
        target: None,
        number: None,
        icmp_sequence: None,
        cause: EchoCause::TooLong { mtu_bytes: 1300 },
    }));
    let one = ledger(&[(0, started(0, "a")), (1, local.clone())]);
    assert_eq!(one.account(0).unwrap().errors["message_too_long"], 1);
    let two = ledger(&[(0, started(0, "a")), (0, started(1, "b")), (1, local)]);
    assert_eq!(two.strays["message_too_long"], 1);
}

#[test]
fn duplicates_count_as_round_trips_and_wrong_replies_do_not() {
    let ledger = ledger(&[
        (0, started(0, "a")),
        (0, request(0, 1)),
        (10, reply(0, 1, 10, EchoJudgement::Counted)),
        (20, reply(0, 1, 20, EchoJudgement::Duplicate)),
        (30, reply(0, 1, 30, EchoJudgement::BadChecksum)),
        (40, reply(0, 1, 40, EchoJudgement::DifferentAddress)),
    ]);
    let account = ledger.account(0).unwrap();
    assert_eq!(account.round_trips.count(), 2);
    assert_eq!(account.round_trips.average(), Some(MS * 15));
    let counts = (account.duplicates, account.corrupted, account.elsewhere);
    assert_eq!(counts, (1, 1, 1));
}
