//! The core in virtual time: what it sends, counts and waits for.

use std::net::IpAddr;

use super::*;
use crate::event::{EchoAddress, EchoSocket, EchoStarted, EchoTarget};

const WIDTH: u64 = 1 << 16;

fn started() -> EchoStarted {
    let nobody = EchoAddress::from(IpAddr::from([192, 0, 2, 1]));
    EchoStarted {
        target: EchoTarget {
            index: 0,
            name: "h".into(),
        },
        address: nobody.clone(),
        address_name: None,
        source: nobody,
        interface: None,
        socket: EchoSocket::Raw,
        identifier: 1,
        payload_bytes: 56,
        interval: ms(1000),
    }
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn count(probes: u64) -> Plan {
    Plan {
        count: Some(probes),
        ..Plan::default()
    }
}

/// A run against a peer that answers probe `n` after `answers(n)`, each answer
/// being a list of delays: none is loss, two are a duplicate. Time jumps from
/// deadline to deadline.
fn simulate(plan: Plan, answers: impl Fn(u64) -> Vec<Duration>) -> (Core, Duration) {
    let start = Instant::now();
    let mut core = Core::new(plan, WIDTH, start);
    let mut now = start;
    let mut arriving: Vec<(Instant, Token)> = Vec::new();
    loop {
        while let Some(probe) = core.poll_transmit(now) {
            core.handle_accepted(probe.number, now);
            for delay in answers(probe.number) {
                arriving.push((now + delay, probe.token));
            }
        }
        arriving.sort();
        while arriving.first().is_some_and(|&(at, _)| at <= now) && !core.is_finished(now) {
            let (_, token) = arriving.remove(0);
            core.handle_reply(now, token, Condition::Sound);
        }
        if core.is_finished(now) {
            return (core, now - start);
        }
        let arrival = arriving.first().map(|&(at, _)| at);
        let next = core.next_deadline().into_iter().chain(arrival).min();
        now = next
            .expect("a run with nothing to wait for is finished")
            .max(now);
    }
}

/// Transmitted, received, duplicates, when it ended, whether it succeeded.
fn outcome(plan: Plan, answers: fn(u64) -> Vec<Duration>) -> (u64, u64, u64, Duration, bool) {
    let (core, ended) = simulate(plan, answers);
    let s = core.summary(&started(), Instant::now());
    (
        s.transmitted,
        s.received,
        s.duplicates,
        ended,
        core.is_success(),
    )
}

fn all(_: u64) -> Vec<Duration> {
    vec![ms(5)]
}

fn none(_: u64) -> Vec<Duration> {
    vec![]
}

fn odd(number: u64) -> Vec<Duration> {
    if number % 2 == 1 { vec![ms(5)] } else { vec![] }
}

#[test]
fn a_counted_run_waits_for_the_last_reply_as_ping_does() {
    let twice = |_| vec![ms(5), ms(6)];
    let not_the_third = |n| if n == 3 { vec![] } else { vec![ms(5)] };
    let slow_not_the_third = |n| if n == 3 { vec![] } else { vec![ms(900)] };
    let brief = Plan {
        linger: Some(ms(500)),
        ..count(3)
    };
    assert_eq!(outcome(count(3), all), (3, 3, 0, ms(2005), true));
    assert_eq!(outcome(count(3), none), (3, 0, 0, ms(12_000), false));
    assert_eq!(outcome(brief, none), (3, 0, 0, ms(2500), false));
    assert_eq!(outcome(count(3), twice), (3, 3, 2, ms(2005), true));
    // An interval, or twice the longest round trip where that is more.
    assert_eq!(outcome(count(3), not_the_third), (3, 2, 0, ms(3000), true));
    assert_eq!(
        outcome(count(3), slow_not_the_third),
        (3, 2, 0, ms(3800), true)
    );
}

#[test]
fn a_deadline_ends_the_run_and_lets_it_send_beyond_the_count() {
    let within = |seconds, count| Plan {
        deadline: Some(Duration::from_secs(seconds)),
        count,
        ..Plan::default()
    };
    assert_eq!(outcome(within(2, None), none), (2, 0, 0, ms(2000), false));
    assert_eq!(outcome(within(5, Some(3)), all), (3, 3, 0, ms(2005), true));
    assert_eq!(outcome(within(5, Some(3)), odd), (5, 3, 0, ms(4005), true));
    assert_eq!(outcome(within(3, Some(3)), odd), (3, 2, 0, ms(3000), false));
}

#[test]
fn send_times_do_not_drift() {
    let start = Instant::now();
    let interval = ms(10);
    let mut core = Core::new(
        Plan {
            interval,
            ..count(10_000)
        },
        WIDTH,
        start,
    );
    let mut now = start;
    for n in 0..10_000_u32 {
        // The caller is always some microseconds late, each time differently.
        now += Duration::from_micros(u64::from(n * 7919 % 3000));
        let probe = core.poll_transmit(now).expect("due");
        assert_eq!(probe.number, u64::from(n) + 1);
        assert_eq!(core.poll_transmit(now), None);
        let due = core.next_probe();
        if n < 9_999 {
            assert_eq!(due, Some(start + interval * (n + 1)), "probe {n}");
            now = due.unwrap();
        }
    }
    assert!(core.all_sent());
}

#[test]
fn a_long_sleep_is_not_made_up_for_by_a_burst() {
    let start = Instant::now();
    let mut core = Core::new(Plan::default(), WIDTH, start);
    assert!(core.poll_transmit(start).is_some());
    let late = start + ms(5_300);
    assert!(core.poll_transmit(late).is_some());
    assert_eq!(core.poll_transmit(late), None);
    assert_eq!(core.next_deadline(), Some(start + ms(6_000)));
}

#[test]
fn short_lateness_at_short_intervals_is_made_up_for() {
    let start = Instant::now();
    let plan = Plan {
        interval: ms(1),
        ..Plan::default()
    };
    let mut core = Core::new(plan, WIDTH, start);
    let now = start + ms(5);
    let sent = std::iter::from_fn(|| core.poll_transmit(now)).count();
    assert_eq!(sent, 6);
}

#[test]
fn replies_out_of_order_count_and_show_in_pipe() {
    let delay = |n| vec![ms(if n == 1 { 2500 } else { 5 })];
    let (core, _) = simulate(count(3), delay);
    let summary = core.summary(&started(), Instant::now());
    assert_eq!((summary.received, summary.pipe), (3, 3));
    assert_eq!((summary.out_of_order, summary.lost), (1, 0));
    assert_eq!(summary.round_trips.unwrap().max, ms(2500));
}

#[test]
fn a_reply_later_than_the_next_probe_is_matched_by_its_sequence_number() {
    let start = Instant::now();
    let mut core = Core::new(count(5), WIDTH, start);
    core.poll_transmit(start).unwrap();
    core.poll_transmit(start + ms(1000)).unwrap();
    let judged = core.handle_reply(start + ms(1700), Token(1), Condition::Sound);
    assert_eq!(
        judged,
        Some(Judged {
            number: 1,
            sent_at: start,
            round_trip: ms(1700),
            judgement: EchoJudgement::Counted,
            out_of_order: false,
        })
    );
}

#[test]
fn replies_to_nothing_we_sent_are_ignored() {
    let start = Instant::now();
    let mut core = Core::new(count(5), WIDTH, start);
    assert_eq!(core.handle_reply(start, Token(1), Condition::Sound), None);
    core.poll_transmit(start).unwrap();
    for token in [0, 2, 3, 40_000, u16::MAX.into()] {
        assert_eq!(
            core.handle_reply(start, Token(token), Condition::Sound),
            None
        );
        assert_eq!(core.handle_error(start, Token(token)), None);
    }
    let summary = core.summary(&started(), Instant::now());
    assert_eq!((summary.received, summary.errors), (0, 0));
}

#[test]
fn unsound_replies_do_not_count() {
    let start = Instant::now();
    let mut core = Core::new(count(1), WIDTH, start);
    core.poll_transmit(start).unwrap();
    for (condition, judgement) in [
        (Condition::BadChecksum, EchoJudgement::BadChecksum),
        (Condition::DifferentAddress, EchoJudgement::DifferentAddress),
    ] {
        let judged = core.handle_reply(start, Token(1), condition).unwrap();
        assert_eq!(judged.judgement, judgement);
    }
    let summary = core.summary(&started(), Instant::now());
    assert_eq!((summary.received, summary.corrupted), (0, 1));
    assert_eq!(summary.round_trips, None);
    assert!(!core.is_finished(start));
}

#[test]
fn errors_settle_a_counted_run_and_end_one_with_a_deadline() {
    let start = Instant::now();
    let mut core = Core::new(count(2), WIDTH, start);
    core.poll_transmit(start).unwrap();
    assert_eq!(core.handle_error(start, Token(1)), Some(1));
    assert!(!core.is_finished(start));
    core.poll_transmit(start + ms(1000)).unwrap();
    core.handle_local_error(start + ms(1000));
    assert!(core.is_finished(start + ms(1000)));
    assert!(!core.is_success());

    let plan = Plan {
        deadline: Some(ms(5000)),
        ..Plan::default()
    };
    let mut core = Core::new(plan, WIDTH, start);
    core.poll_transmit(start).unwrap();
    core.handle_error(start, Token(1));
    assert!(core.is_finished(start));
}

#[test]
fn without_an_interval_a_reply_or_ten_milliseconds_release_the_next_probe() {
    let start = Instant::now();
    let plan = Plan {
        interval: Duration::ZERO,
        ..count(4)
    };
    let mut core = Core::new(plan, WIDTH, start);
    assert!(core.poll_transmit(start).is_some());
    assert_eq!(core.poll_transmit(start), None);
    core.handle_reply(start, Token(1), Condition::Sound);
    assert!(core.poll_transmit(start).is_some());
    assert_eq!(core.next_deadline(), Some(start + ms(10)));
    assert!(core.poll_transmit(start + ms(10)).is_some());
    assert_eq!(core.summary(&started(), Instant::now()).gap, Some(ms(5)));
}

#[test]
fn a_full_send_queue_takes_the_probe_back_and_gives_up_after_the_linger_time() {
    let start = Instant::now();
    let mut core = Core::new(count(1), WIDTH, start);
    let mut now = start;
    let mut offered = 0;
    loop {
        assert_eq!(core.poll_transmit(now).map(|probe| probe.number), Some(1));
        offered += 1;
        if core.handle_refused(now, 1) == Refused::Counted {
            break;
        }
        assert_eq!(core.summary(&started(), Instant::now()).transmitted, 0);
        assert_eq!(core.poll_transmit(now), None);
        now = core.next_deadline().unwrap();
    }
    assert_eq!(offered, 21);
    assert_eq!(core.summary(&started(), Instant::now()).transmitted, 1);
}

#[test]
fn tokens_wrap_and_the_window_stays_bounded() {
    let start = Instant::now();
    let plan = Plan {
        interval: ms(1),
        ..Plan::default()
    };
    let mut core = Core::new(plan, WIDTH, start);
    let mut now = start;
    for number in 1..=200_000_u64 {
        let probe = core.poll_transmit(now).unwrap();
        assert_eq!(u64::from(probe.token.0), number % 65_536);
        if number % 3 != 0 {
            let judged = core.handle_reply(now, probe.token, Condition::Sound);
            assert_eq!(judged.map(|judged| judged.number), Some(number));
        }
        now += ms(1);
    }
    assert_eq!(core.window.len() as u64, WIDTH);
    let summary = core.summary(&started(), Instant::now());
    assert_eq!(summary.received, 133_334);
    assert_eq!(summary.duplicates, 0);
}

#[test]
fn loss_is_a_fraction_of_what_was_sent() {
    assert_eq!(
        Core::new(count(1), WIDTH, Instant::now())
            .summary(&started(), Instant::now())
            .loss_percent,
        None
    );
    let (core, _) = simulate(count(3), |n| if n == 1 { vec![] } else { vec![ms(1)] });
    let loss = core
        .summary(&started(), Instant::now())
        .loss_percent
        .unwrap();
    assert!((loss - 33.333_333).abs() < 1e-4);
}

#[test]
fn what_may_still_be_answered_is_not_lost() {
    let start = Instant::now();
    let mut core = Core::new(Plan::default(), WIDTH, start);
    for second in 0..4 {
        let now = start + ms(second * 1000);
        let probe = core.poll_transmit(now).unwrap();
        core.handle_accepted(probe.number, now);
        if second == 0 {
            core.handle_reply(now + ms(5), probe.token, Condition::Sound);
        }
    }
    core.handle_error(start + ms(1100), Token(2));
    let at = |milliseconds| {
        let summary = core.summary(&started(), start + ms(milliseconds));
        (summary.lost, summary.in_flight)
    };
    assert_eq!(at(3_001), (1, 1), "the second failed, the third is overdue");
    assert_eq!(at(4_000), (2, 0));
}

fn unpaced(probes: u64) -> Plan {
    Plan {
        interval: Duration::ZERO,
        rhythm: Rhythm::Flood,
        ..count(probes)
    }
}

/// Sends all that is due; how many.
fn send_due(core: &mut Core, now: Instant) -> u32 {
    let due = std::iter::from_fn(|| core.poll_transmit(now)).count();
    u32::try_from(due).unwrap()
}

#[test]
fn the_preload_goes_out_at_once_and_then_one_an_interval() {
    let start = Instant::now();
    let plan = Plan {
        preload: 3,
        ..count(5)
    };
    let mut core = Core::new(plan, WIDTH, start);
    assert_eq!(send_due(&mut core, start), 3);
    assert_eq!(core.next_deadline(), Some(start + ms(1000)));
    assert_eq!(send_due(&mut core, start + ms(1000)), 1);
    assert_eq!(send_due(&mut core, start + ms(2000)), 1);
}

#[test]
fn a_preload_that_takes_long_to_send_is_sent_whole() {
    let start = Instant::now();
    let plan = Plan {
        preload: 3,
        ..count(5)
    };
    let mut core = Core::new(plan, WIDTH, start);
    for late in [0, 40, 80] {
        assert!(core.poll_transmit(start + ms(late)).is_some());
    }
    assert_eq!(core.next_deadline(), Some(start + ms(1000)));
}

#[test]
fn without_an_interval_the_preload_bounds_what_is_under_way() {
    let start = Instant::now();
    let plan = Plan {
        preload: 3,
        ..unpaced(9)
    };
    let mut core = Core::new(plan, WIDTH, start);
    assert_eq!(send_due(&mut core, start), 3);
    core.handle_reply(start, Token(1), Condition::Sound);
    assert_eq!(send_due(&mut core, start), 1);
    assert_eq!(core.next_deadline(), Some(start + ms(10)));
}

#[test]
fn batches_grow_while_nobody_waits_and_end_with_the_first_wait() {
    let start = Instant::now();
    let mut core = Core::new(unpaced(1_000_000), WIDTH, start);
    let mut answered = 0;
    for expected in [1, 2, 4, 8, 16, 32, 64, 64] {
        assert_eq!(send_due(&mut core, start), expected);
        for _ in 0..expected {
            answered += 1;
            core.handle_reply(start, Token(answered), Condition::Sound);
        }
        assert!(core.is_caught_up());
        core.handle_promptness();
    }
    assert_eq!(send_due(&mut core, start), 64);
    core.handle_wait();
    assert_eq!(send_due(&mut core, start), 0);
    for _ in 0..64 {
        answered += 1;
        core.handle_reply(start, Token(answered), Condition::Sound);
    }
    assert_eq!(send_due(&mut core, start), 1);
    // Only the batch that was waited for was really under way at once.
    assert_eq!(core.summary(&started(), start).pipe, 64);
}

#[test]
fn a_batch_asks_for_no_more_replies_than_are_wanted() {
    let start = Instant::now();
    let plan = Plan {
        deadline: Some(ms(1000)),
        ..unpaced(3)
    };
    let mut core = Core::new(plan, WIDTH, start);
    for _ in 0..6 {
        core.handle_promptness();
    }
    assert_eq!(send_due(&mut core, start), 3);
}

#[test]
fn an_adaptive_interval_follows_the_round_trips() {
    let start = Instant::now();
    let plan = |shortest| Plan {
        rhythm: Rhythm::Adaptive(shortest),
        ..count(9)
    };
    let mut core = Core::new(plan(Duration::ZERO), WIDTH, start);
    assert_eq!(send_due(&mut core, start), 1);
    assert_eq!(core.next_deadline(), Some(start + ms(1000)));
    core.handle_reply(start + ms(40), Token(1), Condition::Sound);
    assert_eq!(send_due(&mut core, start + ms(40)), 1);
    assert_eq!(core.next_deadline(), Some(start + ms(80)));

    let mut core = Core::new(plan(ms(2)), WIDTH, start);
    assert_eq!(send_due(&mut core, start), 1);
    core.handle_reply(start, Token(1), Condition::Sound);
    assert_eq!(core.next_deadline(), Some(start + ms(2)));
    assert!(!core.is_unpaced());
}

#[test]
fn a_probe_names_the_one_before_it_that_has_no_answer() {
    let start = Instant::now();
    let mut core = Core::new(count(3), WIDTH, start);
    let unanswered = |core: &mut Core, at| core.poll_transmit(start + at).unwrap().unanswered;
    assert_eq!(unanswered(&mut core, ms(0)), None);
    assert_eq!(unanswered(&mut core, ms(1000)), Some(1));
    core.handle_reply(start + ms(1001), Token(2), Condition::Sound);
    assert_eq!(unanswered(&mut core, ms(2000)), None);
}

#[test]
fn a_round_trip_begins_when_the_probe_left() {
    let start = Instant::now();
    let mut core = Core::new(count(3), WIDTH, start);
    let round_trip = |core: &mut Core, called: u64, left: u64, arrived: u64| {
        let probe = core.poll_transmit(start + ms(called)).unwrap();
        core.handle_accepted(probe.number, start + ms(called));
        core.handle_departed(probe.token, start + ms(left));
        let judged = core.handle_reply(start + ms(arrived), probe.token, Condition::Sound);
        judged.map(|judged| (judged.round_trip, judged.sent_at - start))
    };
    assert_eq!(round_trip(&mut core, 0, 2, 9), Some((ms(7), ms(0))));
    // Neither before it was handed over nor after it was answered.
    assert_eq!(
        round_trip(&mut core, 1000, 900, 1009),
        Some((ms(9), ms(1000)))
    );
    assert_eq!(
        round_trip(&mut core, 2000, 2010, 2009),
        Some((ms(9), ms(2000)))
    );
}
