//! The walk in virtual time.

use proptest::prelude::*;

use super::*;

const RTT: Duration = Duration::from_millis(10);
const WAIT: Duration = Duration::from_secs(1);

/// A path as the walk meets it: what each hop answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Router {
    Speaks,
    Silent,
    Ends,
}

fn plan() -> Plan {
    Plan {
        most_hops: 8,
        under_way: 4,
        ..Plan::default()
    }
}

/// Walks along `path` until finished; the hops in the order told, the probes
/// sent, and how long it took.
fn walk(plan: Plan, path: &[Router]) -> (Vec<Hop<u8>>, u64, Duration) {
    let start = Instant::now();
    let mut now = start;
    let under_way = plan.under_way;
    let mut trace = Trace::new(plan, start);
    let mut answers: Vec<(Instant, u64, Standing)> = Vec::new();
    let mut hops = Vec::new();
    while !trace.is_finished() {
        while let Some(probe) = trace.poll_transmit(now) {
            trace.handle_accepted(probe.number, now);
            assert!(trace.waiting().count() <= under_way);
            let standing = match path.get(usize::from(probe.hop) - 1) {
                Some(Router::Speaks) => Standing::OnTheWay,
                Some(Router::Silent) => continue,
                Some(Router::Ends) | None => Standing::End,
            };
            answers.push((now + RTT, probe.number, standing));
        }
        while let Some(hop) = trace.poll_hop(now) {
            hops.push(hop);
        }
        if trace.is_finished() {
            break;
        }
        let arrival = answers.iter().map(|(at, ..)| *at).min();
        let next = trace.next_deadline().into_iter().chain(arrival).min();
        let next = next.expect("an unfinished walk has something to wait for");
        assert!(next > now, "no time passes at {hops:?}");
        now = next;
        let (arrived, later) = answers.into_iter().partition(|(at, ..)| *at <= now);
        answers = later;
        let arrived: Vec<(Instant, u64, Standing)> = arrived;
        for (at, number, standing) in arrived {
            trace.handle_answer(at, number, standing, 0);
        }
    }
    (hops, trace.sent(), now - start)
}

fn answered(hop: &Hop<u8>) -> usize {
    let answered = |fate: &&Fate<u8>| matches!(fate, Fate::Answered { .. });
    hop.fates.iter().filter(answered).count()
}

#[test]
fn every_hop_is_told_in_order_up_to_the_target() {
    let (hops, sent, took) = walk(plan(), &[Router::Speaks, Router::Speaks, Router::Ends]);
    let told: Vec<(u8, u64, usize, bool)> = hops
        .iter()
        .map(|hop| (hop.hop, hop.first, answered(hop), hop.is_last))
        .collect();
    assert_eq!(told, [(1, 1, 3, false), (2, 4, 3, false), (3, 7, 3, true)]);
    // Four at once: what went beyond the target before its first answer is no
    // more than that.
    assert!((9..=12).contains(&sent), "{sent}");
    assert_eq!(took, RTT * 3);
}

#[test]
fn a_silent_router_costs_one_wait_and_no_more() {
    let path = [Router::Speaks, Router::Silent, Router::Speaks, Router::Ends];
    let (hops, _, took) = walk(plan(), &path);
    let counts: Vec<usize> = hops.iter().map(answered).collect();
    assert_eq!(counts, [3, 0, 3, 3]);
    assert!(took < WAIT + RTT * 5, "{took:?}");
}

#[test]
fn a_path_without_an_end_stops_at_the_farthest_hop() {
    let (hops, sent, _) = walk(plan(), &[Router::Silent; 20]);
    assert_eq!((hops.len(), sent), (8, 24));
    assert!(hops.iter().all(|hop| answered(hop) == 0));
}

#[test]
fn an_answer_counts_once_and_not_after_its_hop_was_told() {
    let start = Instant::now();
    let mut trace = Trace::new(
        Plan {
            probes: 1,
            ..plan()
        },
        start,
    );
    let probe = trace.poll_transmit(start).unwrap();
    let late = start + WAIT * 2;
    assert!(trace.poll_hop(start).is_none());
    // Its wait is over, but its hop waits to be told: late is better than never.
    trace.expire(late);
    assert!(trace.handle_answer(late, probe.number, Standing::OnTheWay, 7));
    assert!(!trace.handle_answer(late, probe.number, Standing::OnTheWay, 8));
    let hop = trace.poll_hop(late).unwrap();
    let round_trip = WAIT * 2;
    assert_eq!(
        hop.fates,
        [Fate::Answered {
            round_trip,
            detail: 7
        }]
    );
    assert!(!trace.handle_answer(late, probe.number, Standing::End, 9));
    for nonsense in [0, 99, u64::MAX] {
        assert!(!trace.handle_answer(late, nonsense, Standing::End, 9));
    }
}

#[test]
fn the_gap_lies_between_probes_and_no_room_is_a_pause() {
    let start = Instant::now();
    let gap = Duration::from_millis(50);
    let mut trace: Trace<u8> = Trace::new(Plan { gap, ..plan() }, start);
    assert_eq!(trace.poll_transmit(start).unwrap().number, 1);
    assert_eq!(trace.poll_transmit(start), None);
    assert_eq!(trace.next_deadline(), Some(start + gap));
    let again = trace.poll_transmit(start + gap).unwrap();
    trace.handle_refused(start + gap);
    assert_eq!(trace.poll_transmit(start + gap), None);
    assert_eq!(trace.poll_transmit(start + gap + PAUSE), Some(again));
}

#[test]
fn nothing_lies_behind_a_probe_that_cannot_be_sent() {
    let start = Instant::now();
    let mut trace = Trace::new(
        Plan {
            probes: 1,
            ..plan()
        },
        start,
    );
    let probe = trace.poll_transmit(start).unwrap();
    trace.handle_failed(probe.number, 5);
    let hop = trace.poll_hop(start).unwrap();
    assert_eq!((hop.fates, hop.is_last), (vec![Fate::Unsent(5)], true));
    assert!(trace.is_finished());
    assert_eq!(trace.poll_transmit(start + WAIT), None);
}

fn router() -> impl Strategy<Value = Router> {
    prop_oneof![
        4 => Just(Router::Speaks),
        2 => Just(Router::Silent),
        1 => Just(Router::Ends),
    ]
}

proptest! {
    #[test]
    fn every_walk_ends_with_each_hop_told_once(
        path in proptest::collection::vec(router(), 0..20),
        probes in 1..5_u8,
        under_way in 1..20_usize,
        gap in 0..30_u64,
    ) {
        let gap = Duration::from_millis(gap);
        let plan = Plan { probes, gap, under_way, ..plan() };
        let (hops, sent, _) = walk(plan, &path);
        let end = path.iter().position(|&router| router == Router::Ends);
        let expected = end.unwrap_or(path.len()).min(7) + 1;
        let numbers: Vec<usize> = hops.iter().map(|hop| usize::from(hop.hop)).collect();
        prop_assert_eq!(numbers, (1..=expected).collect::<Vec<_>>());
        prop_assert!(sent <= 8 * u64::from(probes));
        for (hop, router) in hops.iter().zip(&path) {
            let speaks = *router != Router::Silent;
            prop_assert_eq!(answered(hop), if speaks { usize::from(probes) } else { 0 });
        }
    }
}
