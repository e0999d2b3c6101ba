//! The core in virtual time, against a network of which each request's fate is
//! known beforehand.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use proptest::prelude::*;

use super::*;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Reply(Duration),
    Twice(Duration),
    Error(Duration),
    Silence,
    Refused,
}

#[derive(Debug, Default)]
struct Told {
    sends: Vec<(Duration, u32, u32)>,
    replies: Vec<(u32, u32)>,
    duplicates: usize,
    reordered: usize,
    over: Vec<(Duration, u32, u32)>,
    errors: usize,
    most_under_way: usize,
}

/// Runs a sweep over `targets` targets to its end, in steps of its own
/// deadlines and the network's.
#[expect(
    clippy::too_many_lines,
    reason = "one turn of the network, read at once"
)]
fn simulate(
    plan: Plan,
    window: u64,
    targets: u32,
    fate: impl Fn(u32, u32) -> Fate,
) -> (Core, Told) {
    let start = Instant::now();
    let mut core = Core::new(plan, window, start);
    core.add_targets(start, targets);
    core.keep_round_trips(Keeping::Latest);
    let mut arrivals = BinaryHeap::new();
    let (mut now, mut told) = (start, Told::default());
    while !core.is_finished(now) {
        while let Some(probe) = core.poll_transmit(now) {
            let Probe {
                target,
                index,
                token,
            } = probe;
            let fate = fate(target, index);
            if fate == Fate::Refused {
                core.handle_refused(now, token);
                continue;
            }
            core.handle_sent(now, token);
            told.sends.push((now - start, target, index));
            let (delays, error) = match fate {
                Fate::Reply(delay) => (vec![delay], false),
                Fate::Twice(delay) => (vec![delay, delay * 2], false),
                Fate::Error(delay) => (vec![delay], true),
                _ => (Vec::new(), false),
            };
            for delay in delays {
                arrivals.push(Reverse((now + delay, error, token, target)));
            }
        }
        while let Some(Reverse((at, error, token, target))) = arrivals.peek().copied() {
            if at > now {
                break;
            }
            arrivals.pop();
            if error {
                told.errors += usize::from(core.handle_error(now, token).is_some());
            } else if core.target_of(token) == Some(target)
                && let Some(judged) = core.handle_reply(at, token, Condition::Sound)
            {
                told.reordered += usize::from(judged.out_of_order);
                match judged.judgement {
                    EchoJudgement::Duplicate => told.duplicates += 1,
                    _ => told.replies.push((target, judged.probe.index)),
                }
            }
        }
        while let Some(over) = core.poll_expired(now) {
            told.over
                .push((now - start, over.probe.target, over.probe.index));
        }
        let totals = core.totals();
        let settled = told.replies.len() as u64 + totals.lost + totals.failed;
        let under_way = usize::try_from(totals.sent - settled).unwrap();
        told.most_under_way = told.most_under_way.max(under_way);
        let next = core.next_deadline().into_iter();
        let next = next
            .chain(arrivals.peek().map(|Reverse(arrival)| arrival.0))
            .min();
        now = now.max(next.unwrap_or(now));
    }
    (core, told)
}

const fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn counting(count: u32) -> Plan {
    Plan {
        goal: Goal::Count(count),
        ..Plan::default()
    }
}

#[test]
fn a_check_asks_four_times_with_growing_patience() {
    let (core, told) = simulate(Plan::default(), 1 << 16, 1, |_, _| Fate::Silence);
    let sends: Vec<u128> = told.sends.iter().map(|send| send.0.as_micros()).collect();
    assert_eq!(sends, [0, 500_000, 1_250_000, 2_375_000]);
    assert_eq!(told.over.last().unwrap().0.as_micros(), 4_062_500);
    assert_eq!(core.figures(0).verdict(), Verdict::Unreachable);
    assert_eq!((core.totals().sent, core.totals().lost), (4, 4));
}

#[test]
fn a_check_ends_with_the_first_reply_even_a_late_one() {
    // The reply to the first request comes while the second is waited for.
    let (core, told) = simulate(Plan::default(), 1 << 16, 1, |_, index| match index {
        0 => Fate::Reply(milliseconds(600)),
        _ => Fate::Silence,
    });
    assert_eq!(told.sends.len(), 2);
    assert_eq!(core.figures(0).verdict(), Verdict::Alive);
    let figures = core.figures(0);
    assert_eq!(
        (figures.received, figures.lost, figures.under_way()),
        (1, 0, 1)
    );
}

#[test]
fn an_error_ends_the_wait_for_its_request() {
    let error = |_, _| Fate::Error(milliseconds(1));
    let (core, told) = simulate(Plan::default(), 1 << 16, 1, error);
    let last = told.sends.last().unwrap();
    assert_eq!((last.0, told.errors), (milliseconds(30), 4));
    assert_eq!(core.figures(0).failed, 4);
    let (core, told) = simulate(counting(3), 1 << 16, 2, error);
    assert_eq!((told.errors, told.over.len()), (6, 0));
    assert_eq!(core.figures(1).loss_percent(), Some(100.0));
}

#[test]
fn what_cannot_be_sent_is_not_tried_again_in_a_check() {
    let (core, told) = simulate(Plan::default(), 1 << 16, 3, |target, _| match target {
        1 => Fate::Refused,
        _ => Fate::Reply(milliseconds(1)),
    });
    assert_eq!(told.sends.len(), 2);
    let verdicts = [0, 1, 2].map(|target| core.figures(target).verdict());
    assert_eq!(
        verdicts,
        [Verdict::Alive, Verdict::Unreachable, Verdict::Alive]
    );
    let (core, _) = simulate(counting(2), 1 << 16, 1, |_, _| Fate::Refused);
    assert_eq!((core.figures(0).sent(), core.figures(0).failed), (2, 2));
}

#[test]
fn the_schedule_does_not_drift() {
    let plan = Plan {
        period: milliseconds(100),
        ..counting(50)
    };
    let reply = |target, index| Fate::Reply(Duration::from_micros(u64::from(target * 7 + index)));
    let (core, told) = simulate(plan, 1 << 16, 200, reply);
    let gap = plan.gap_between(200);
    for &(at, target, index) in &told.sends {
        assert_eq!(
            at,
            gap * target + milliseconds(100) * index,
            "{target} {index}"
        );
    }
    let figures = core.figures(7);
    assert_eq!((figures.settled(), figures.received), (50, 50));
    assert_eq!(core.round_trips(7).flatten().count(), 50);
}

#[test]
fn a_stall_delays_no_later_round() {
    let plan = Plan {
        period: milliseconds(100),
        ..counting(3)
    };
    let start = Instant::now();
    let mut core = Core::new(plan, 1 << 16, start);
    core.add_targets(start, 100);
    let mut sends = vec![Vec::new(); 100];
    // Nothing happens for 40 ms in the first round, one request a millisecond.
    for at in (0..50).chain(90..500).map(milliseconds) {
        while let Some(probe) = core.poll_transmit(start + at) {
            core.handle_sent(start + at, probe.token);
            sends[probe.target as usize].push(at);
            let due = Duration::from_nanos(core.figures(probe.target).due);
            assert!(probe.index == 0 || at == due, "{probe:?} {at:?}");
        }
    }
    for sends in &sends {
        assert_eq!(sends.len(), 3);
        assert_eq!(sends[2], sends[1] + milliseconds(100));
    }
}

#[test]
fn loss_is_never_told_early() {
    let plan = Plan {
        wait: Some(milliseconds(300)),
        period: milliseconds(100),
        ..counting(4)
    };
    let (core, told) = simulate(plan, 1 << 16, 1, |_, index| match index {
        1 => Fate::Silence,
        2 => Fate::Reply(milliseconds(301)),
        _ => Fate::Reply(milliseconds(299)),
    });
    let over: Vec<u128> = told.over.iter().map(|over| over.0.as_millis()).collect();
    assert_eq!(over, [400, 500], "300 ms after requests 1 and 2");
    assert_eq!((core.figures(0).received, core.figures(0).lost), (2, 2));
    assert_eq!(told.most_under_way, 3);
}

#[test]
fn duplicates_and_reordering_are_told_apart() {
    let plan = Plan {
        period: milliseconds(10),
        wait: Some(milliseconds(500)),
        ..counting(3)
    };
    let (core, told) = simulate(plan, 1 << 16, 1, |_, index| match index {
        0 => Fate::Reply(milliseconds(45)),
        _ => Fate::Twice(milliseconds(12)),
    });
    assert_eq!(
        (told.replies.len(), told.duplicates, told.reordered),
        (3, 2, 1)
    );
    let figures = core.figures(0);
    assert_eq!((figures.duplicates, figures.out_of_order), (2, 1));
}

#[test]
fn a_hundred_thousand_targets_on_a_small_window() {
    let plan = Plan {
        gap: Some(Duration::ZERO),
        wait: Some(milliseconds(50)),
        ..counting(2)
    };
    let fate = |target: u32, index: u32| match (target.wrapping_mul(2_654_435_761) ^ index) % 10 {
        0 => Fate::Silence,
        1 => Fate::Error(milliseconds(3)),
        2 => Fate::Twice(milliseconds(2)),
        _ => Fate::Reply(Duration::from_micros(u64::from(target % 4000))),
    };
    let (core, told) = simulate(plan, 1 << 12, 100_000, fate);
    assert!(told.most_under_way <= 1 << 12, "{}", told.most_under_way);
    assert_eq!(told.sends.len(), 200_000);
    for target in 0..100_000 {
        let figures = core.figures(target);
        let fates = [0, 1].map(|index| fate(target, index));
        let of = |wanted: fn(&Fate) -> bool| {
            u32::try_from(fates.iter().filter(|f| wanted(f)).count()).unwrap()
        };
        assert_eq!(figures.lost, of(|fate| *fate == Fate::Silence));
        assert_eq!(figures.failed, of(|fate| matches!(fate, Fate::Error(_))));
        assert_eq!(figures.settled(), 2, "{target}");
    }
}

#[test]
fn what_found_no_room_is_offered_again() {
    let start = Instant::now();
    let mut core = Core::new(counting(1), 1 << 16, start);
    core.add_targets(start, 2);
    let first = core.poll_transmit(start).unwrap();
    core.take_back(start + milliseconds(3), first.token);
    assert_eq!(core.poll_transmit(start + milliseconds(2)), None);
    let again = core.poll_transmit(start + milliseconds(10)).unwrap();
    assert_eq!((again.target, again.index), (0, 0));
    core.handle_sent(start, again.token);
    assert_eq!(core.totals().sent, 1);
}

/// All that the core hands out at once, before any of it is known to be sent.
fn batch(core: &mut Core, now: Instant) -> Vec<Probe> {
    std::iter::from_fn(|| core.poll_transmit(now)).collect()
}

fn indices(batch: &[Probe], target: u32) -> Vec<u32> {
    let of_target = batch.iter().filter(|probe| probe.target == target);
    of_target.map(|probe| probe.index).collect()
}

#[test]
fn a_batch_numbers_each_of_its_requests() {
    let plan = Plan {
        period: Duration::ZERO,
        ..counting(5)
    };
    let start = Instant::now();
    let mut core = Core::new(plan, 1 << 16, start);
    core.add_targets(start, 2);
    let all = batch(&mut core, start);
    for target in [0, 1] {
        assert_eq!(indices(&all, target), [0, 1, 2, 3, 4]);
    }
    for probe in all {
        core.handle_sent(start, probe.token);
        core.handle_reply(start, probe.token, Condition::Sound);
    }
    assert!(core.is_finished(start));
    assert_eq!((core.totals().sent, core.totals().replies), (10, 10));
}

#[test]
fn what_a_stall_held_up_has_numbers_of_its_own() {
    let start = Instant::now();
    let mut core = Core::new(counting(5), 1 << 16, start);
    core.add_targets(start, 1);
    let mut sent = Vec::new();
    for at in [0, 5000, 5001, 6000, 7000, 8000, 9000].map(milliseconds) {
        let batch = batch(&mut core, start + at);
        sent.extend(indices(&batch, 0));
        for probe in batch {
            core.handle_sent(start + at, probe.token);
        }
    }
    assert_eq!(sent, [0, 1, 2, 3, 4]);
    assert_eq!(core.figures(0).sent(), 5);
}

#[test]
fn a_batch_that_found_no_room_keeps_its_numbers() {
    let plan = Plan {
        period: Duration::ZERO,
        ..counting(4)
    };
    let start = Instant::now();
    let mut core = Core::new(plan, 1 << 16, start);
    core.add_targets(start, 1);
    let first = batch(&mut core, start);
    core.handle_sent(start, first[0].token);
    for probe in &first {
        core.take_back(start, probe.token);
    }
    assert_eq!((core.figures(0).sent(), core.totals().sent), (1, 1));
    let again = batch(&mut core, start);
    assert_eq!(indices(&again, 0), [1, 2, 3]);
    for probe in again {
        core.handle_sent(start, probe.token);
    }
    assert_eq!((core.figures(0).sent(), core.totals().sent), (4, 4));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the network does, every request is settled once, the gap is
    /// kept, and the window is never exceeded.
    #[test]
    fn every_request_is_settled_once(
        targets in 1..40_u32,
        count in 1..6_u32,
        gap in 0..20_u64,
        period in 1..60_u64,
        wait in 1..90_u64,
        bits in 2..9_u32,
        seed: u32,
    ) {
        let plan = Plan {
            period: milliseconds(period),
            gap: Some(milliseconds(gap)),
            wait: Some(milliseconds(wait)),
            ..counting(count)
        };
        let fate = |target: u32, index: u32| {
            let draw = (target * 31 + index * 7 + 1).wrapping_mul(seed | 1) >> 8;
            let delay = milliseconds(u64::from(draw >> 3) % 120);
            match draw % 8 {
                0 => Fate::Silence,
                1 => Fate::Error(delay),
                2 => Fate::Twice(delay),
                3 => Fate::Refused,
                _ => Fate::Reply(delay),
            }
        };
        let (core, told) = simulate(plan, 1 << bits, targets, fate);
        prop_assert!(told.most_under_way <= 1 << bits);
        for target in 0..targets {
            let figures = core.figures(target);
            prop_assert_eq!(figures.settled(), count);
            prop_assert_eq!(figures.sent(), count);
        }
        for pair in told.sends.windows(2) {
            prop_assert!(pair[1].0 >= pair[0].0 + milliseconds(gap));
        }
    }
}
