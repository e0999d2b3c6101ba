//! The search in virtual time.

use proptest::prelude::*;

use super::*;

const RTT: Duration = Duration::from_millis(10);
const WAIT: Duration = Duration::from_secs(1);

fn plan() -> Plan {
    Plan {
        least: 68,
        most: 65_535,
        tries: 3,
        wait: WAIT,
    }
}

/// A path: this host's own MTU, then routers from near to far, each with the
/// MTU behind it and with what it says to packets that are larger.
#[derive(Debug, Clone)]
struct Path {
    own: u32,
    routers: Vec<(u32, Says)>,
    answers: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Mtu,
    NoMtu,
    Nothing,
    /// Another than its own.
    Lies(u32),
}

/// Who says so: 0 is this host, then the routers.
type Who = usize;

fn search(path: &Path) -> (Verdict<Who>, u64, Duration) {
    let start = Instant::now();
    let mut now = start;
    let mut search = Search::new(plan(), start);
    let mut replies: Vec<(Instant, u64)> = Vec::new();
    while !search.is_finished(now) {
        while let Some(probe) = search.poll_transmit(now) {
            if probe.bytes > path.own {
                search.handle_error(probe.number, Some(path.own), 0);
                continue;
            }
            search.handle_accepted(probe.number, now);
            let too_small = |(_, (mtu, _)): &(usize, &(u32, Says))| probe.bytes > *mtu;
            match path.routers.iter().enumerate().find(too_small) {
                Some((_, (_, Says::Nothing))) => {}
                Some((place, (mtu, says))) => {
                    let mtu = match says {
                        Says::Lies(other) => Some(*other),
                        Says::NoMtu => Some(0),
                        _ => Some(*mtu),
                    };
                    search.handle_error(probe.number, mtu, place + 1);
                }
                None if path.answers => replies.push((now + RTT, probe.number)),
                None => {}
            }
        }
        if search.is_finished(now) {
            break;
        }
        let arrival = replies.iter().map(|(at, _)| *at).min();
        let next = search.next_deadline().into_iter().chain(arrival).min();
        let next = next.expect("an unfinished search has something to wait for");
        assert!(next > now, "no time passes: {search:?}");
        now = next;
        let (arrived, later): (Vec<_>, Vec<_>) = replies.iter().partition(|(at, _)| *at <= now);
        replies = later;
        for (at, number) in arrived {
            search.handle_reply(at, number);
        }
    }
    (search.verdict(), search.sent(), now - start)
}

fn path(routers: &[(u32, Says)]) -> Path {
    Path {
        own: 1500,
        routers: routers.to_vec(),
        answers: true,
    }
}

fn refused_by(verdict: &Verdict<Who>) -> Option<(u32, Who)> {
    match verdict.beyond?.finding {
        Finding::Refused { mtu, detail } => Some((mtu?, detail)),
        _ => None,
    }
}

#[test]
fn an_unhindered_path_takes_this_hosts_mtu() {
    let (verdict, sent, took) = search(&path(&[]));
    assert_eq!(verdict.mtu, Some(1500));
    assert_eq!(refused_by(&verdict), Some((1500, 0)));
    assert_eq!(
        sent, 4,
        "the least, the most, what the kernel said, one more"
    );
    assert_eq!(took, RTT * 2);
}

#[test]
fn what_a_router_says_is_tried() {
    let (verdict, _, took) = search(&path(&[(1400, Says::Mtu), (1300, Says::Mtu)]));
    assert_eq!(verdict.mtu, Some(1300));
    assert_eq!(refused_by(&verdict), Some((1300, 2)));
    assert!(took < WAIT, "{took:?}");
}

#[test]
fn a_black_hole_is_found_and_told_apart() {
    let (verdict, _, took) = search(&path(&[(1400, Says::Mtu), (1300, Says::Nothing)]));
    assert_eq!(verdict.mtu, Some(1300));
    let beyond = verdict.beyond.unwrap();
    assert_eq!((beyond.bytes, beyond.tries), (1301, 3));
    assert_eq!(beyond.finding, Finding::Vanishes);
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn a_router_that_lies_or_names_no_mtu_does_not_mislead() {
    for says in [
        Says::NoMtu,
        Says::Lies(1000),
        Says::Lies(1499),
        Says::Lies(9),
    ] {
        let (verdict, ..) = search(&path(&[(1303, says)]));
        assert_eq!(verdict.mtu, Some(1303), "{says:?}");
    }
}

#[test]
fn loss_of_single_probes_is_not_taken_for_a_limit() {
    let start = Instant::now();
    let mut search: Search<Who> = Search::new(plan(), start);
    let least = search.poll_transmit(start).unwrap();
    assert_eq!(least.bytes, 68);
    // Lost: tried again after a wait, as no round trip is known yet.
    let most = search.poll_transmit(start).unwrap();
    search.handle_error(most.number, Some(1500), 0);
    assert_eq!(search.poll_transmit(start), None);
    assert_eq!(search.next_deadline(), Some(start + WAIT));
    let again = search.poll_transmit(start + WAIT).unwrap();
    assert_eq!(again.bytes, 68);
    search.handle_reply(start + WAIT + RTT, again.number);
    assert_eq!(search.verdict().mtu, Some(68));
}

#[test]
fn without_any_answer_there_is_no_verdict() {
    let silent = Path {
        answers: false,
        ..path(&[])
    };
    let (verdict, sent, took) = search(&silent);
    assert_eq!(verdict.mtu, None);
    assert_eq!(verdict.beyond.unwrap().finding, Finding::Vanishes);
    assert_eq!((sent, took), (4, WAIT * 3));
}

#[test]
fn the_kernel_without_room_delays_a_probe_and_costs_it_no_try() {
    let start = Instant::now();
    let mut search: Search<Who> = Search::new(plan(), start);
    let first = search.poll_transmit(start).unwrap();
    search.handle_no_room(start);
    assert_eq!(search.poll_transmit(start), None);
    assert_eq!(search.next_deadline(), Some(start + PAUSE));
    assert_eq!(search.poll_transmit(start + PAUSE), Some(first));
    for nonsense in [0, 99, u64::MAX] {
        search.handle_reply(start, nonsense);
        search.handle_error(nonsense, None, 0);
    }
}

fn says() -> impl Strategy<Value = Says> {
    prop_oneof![
        Just(Says::Mtu),
        Just(Says::NoMtu),
        Just(Says::Nothing),
        (0..70_000_u32).prop_map(Says::Lies),
    ]
}

proptest! {
    #[test]
    fn every_path_is_measured_exactly(
        own in 68..=65_536_u32,
        routers in proptest::collection::vec((68..=65_535_u32, says()), 0..6),
    ) {
        let narrowest = routers.iter().map(|(mtu, _)| *mtu).chain([own, 65_535]).min();
        let (verdict, sent, took) = search(&Path { own, routers, answers: true });
        prop_assert_eq!(verdict.mtu, narrowest);
        prop_assert!(sent < 250, "{} probes", sent);
        prop_assert!(took < Duration::from_secs(20), "{:?}", took);
    }
}
