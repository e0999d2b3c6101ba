//! Every figure of a ping run against the record of the wire it ran over.
//!
//! A run on the client of a private link whose wire loses, copies, reorders,
//! damages and delays; then each count of the summary is compared with what the
//! wire says it did, and each round trip with the wire's own times.

mod support;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use socklab::event::{Echo, EchoJudgement, EchoReply, EchoSummary, Event, Packet, Recording, What};
use socklab::flow::{Direction, Family};
use socklab::impair::{Chance, Course, Delay, Loss, Plan, Reorder, Settings};
use socklab::link::{self, Account, Link, Traffic};
use socklab::ping::sweep;
use socklab::ping::targets::Spec;
use socklab::ping::{
    self, ArrivalTime, Config, Naming, Outcome, Responders, Rhythm, Signals, Target,
};
use socklab::recorder::Clock;
use socklab::units::Probability;

const PROBES: u32 = 400;
const FAMILIES: [Family; 2] = [Family::Ipv4, Family::Ipv6];

struct Seen {
    outcome: Outcome,
    echoes: Vec<Event<'static>>,
    wire: Vec<Event<'static>>,
    account: Account,
}

impl Seen {
    fn up(&self) -> &Traffic {
        &self.account.count.wire.client_to_server
    }

    fn down(&self) -> &Traffic {
        &self.account.count.wire.server_to_client
    }

    fn summary(&self) -> &EchoSummary {
        &self.outcome.summary
    }

    fn packets(&self) -> impl Iterator<Item = &Packet<'static>> {
        self.wire.iter().filter_map(|event| match &event.what {
            What::Packet(packet) => Some(packet),
            _ => None,
        })
    }

    /// Packets with a flipped bit that some checksum or address covers: IPv6's
    /// traffic class, flow label and hop limit are covered by none.
    fn noticeably_damaged(&self, family: Family) -> u64 {
        let noticed = |bit: u64| family == Family::Ipv4 || !matches!(bit, 4..32 | 56..64);
        let bits = self
            .packets()
            .filter_map(|packet| packet.changes.corrupted_bit);
        bits.filter(|&bit| noticed(bit)).count() as u64
    }

    fn replies(&self) -> impl Iterator<Item = &EchoReply<'static>> {
        self.echoes.iter().filter_map(|event| match &event.what {
            What::Echo(Echo::Reply(reply)) => Some(&**reply),
            _ => None,
        })
    }
}

fn chance(probability: f64) -> Chance {
    Chance {
        probability: Probability::new(probability).unwrap(),
        ..Chance::default()
    }
}

/// What `PROBES` probes to the server of such a link come to.
fn ping_over(up: Settings, down: Settings, family: Family) -> Seen {
    ping_by(&config(up, down), family, None)
}

fn config(up: Settings, down: Settings) -> link::Config {
    let course = |first| Course {
        first,
        ..Course::default()
    };
    link::Config {
        plan: Plan {
            seed: 7,
            up: course(up),
            down: course(down),
        },
        ..link::Config::default()
    }
}

/// With a deadline, until `PROBES` replies have come, however late they are;
/// probes go out as long.
fn ping_by(config: &link::Config, family: Family, deadline: Option<Duration>) -> Seen {
    let wire = Arc::new(Recording::new());
    let link = Link::build(config, Clock::start(), Arc::clone(&wire) as _).unwrap();
    let server = link.server().addresses().of(family).to_string();
    let (outcome, echoes) = link.client().run(move || {
        let socket = ping::open(family).unwrap();
        let target = Target::resolve(&server, Some(family)).unwrap();
        let recording = Recording::new();
        let signals = Signals::unconnected().unwrap();
        let mut probes = probes(target, family);
        probes.plan.deadline = deadline;
        let outcome = ping::run(&probes, &socket, &signals, &recording);
        (outcome.unwrap(), recording.take())
    });
    let account = link.finish().unwrap();
    assert!(account.is_conserved(), "{account:?}");
    assert_eq!(account.unmodelled_loss(), 0, "{account:?}");
    Seen {
        outcome,
        echoes,
        wire: wire.take(),
        account,
    }
}

fn probes(target: Target, family: Family) -> Config {
    Config {
        target,
        plan: ping::Plan {
            family,
            interval: Duration::from_millis(1),
            rhythm: Rhythm::Steady,
            count: Some(PROBES.into()),
            // Longer than anything is under way.
            linger: Some(Duration::from_secs(2)),
            ..ping::Plan::default()
        },
        payload_bytes: 56,
        pattern: Vec::new(),
        naming: Naming::Numbers,
        arrival: ArrivalTime::Kernel,
        responders: Responders::Target,
    }
}

fn delayed(milliseconds: u64) -> Settings {
    Settings {
        delay: Delay {
            base: Duration::from_millis(milliseconds),
            ..Delay::default()
        },
        ..Settings::default()
    }
}

#[test]
fn loss_is_what_the_wire_lost() {
    if !support::may_make_namespaces("a lossy link") {
        return;
    }
    for family in FAMILIES {
        let lossy = || Settings {
            loss: Loss::Random(chance(0.1)),
            ..Settings::default()
        };
        let seen = ping_over(lossy(), lossy(), family);
        let (summary, up, down) = (seen.summary(), seen.up(), seen.down());
        assert_eq!(summary.transmitted, u64::from(PROBES));
        assert_eq!(summary.transmitted, up.offered.packets);
        assert_eq!(summary.received, down.delivered.packets);
        let lost = up.lost_in_all().packets + down.lost_in_all().packets;
        assert!(lost > 0);
        assert_eq!(summary.lost + summary.in_flight, lost);
        let percent = 100.0 * f64::from(u32::try_from(lost).unwrap()) / f64::from(PROBES);
        assert!((summary.loss_percent.unwrap() - percent).abs() < 1e-9);
        let nothing = (summary.duplicates, summary.corrupted, summary.errors);
        assert_eq!((nothing, summary.out_of_order), ((0, 0, 0), 0));
    }
}

#[test]
fn duplicates_are_what_the_wire_copied() {
    if !support::may_make_namespaces("a copying link") {
        return;
    }
    for family in FAMILIES {
        let copying = || Settings {
            duplicate: chance(0.2),
            ..Settings::default()
        };
        let seen = ping_over(copying(), copying(), family);
        let summary = seen.summary();
        assert_eq!(
            (summary.transmitted, summary.received),
            (PROBES.into(), PROBES.into())
        );
        // Copies of the last replies may come when the run is over.
        let told = seen.replies().count() as u64;
        assert_eq!(summary.received + summary.duplicates, told);
        assert!(seen.up().copied.packets > 0 && seen.down().copied.packets > 0);
        assert!(told <= seen.down().delivered.packets);
        let after_the_end = seen.down().delivered.packets - told;
        assert!(after_the_end <= 3, "{after_the_end} of the last probe");
    }
}

#[test]
fn what_is_out_of_order_is_what_the_wire_reordered() {
    if !support::may_make_namespaces("a reordering link") {
        return;
    }
    for family in FAMILIES {
        let hasty = Settings {
            reorder: Some(Reorder {
                chance: chance(0.25),
                gap: 1,
            }),
            ..delayed(10)
        };
        let seen = ping_over(Settings::default(), hasty, family);
        let summary = seen.summary();
        assert_eq!((summary.received, summary.lost), (PROBES.into(), 0));
        assert!(summary.out_of_order > 0);
        assert_eq!(summary.out_of_order, seen.down().changed.reordered);
        let marked = seen.replies().filter(|reply| reply.out_of_order).count();
        assert_eq!(summary.out_of_order, marked as u64);
    }
}

#[test]
fn no_damaged_reply_counts() {
    if !support::may_make_namespaces("a damaging link") {
        return;
    }
    for family in FAMILIES {
        let damaging = Settings {
            corrupt: chance(0.2),
            ..Settings::default()
        };
        let seen = ping_over(Settings::default(), damaging, family);
        let (summary, damaged) = (seen.summary(), seen.noticeably_damaged(family));
        assert!(damaged > 0 && damaged <= seen.down().changed.corrupted);
        assert_eq!(summary.received + damaged, u64::from(PROBES));
        assert_eq!(summary.lost + summary.in_flight, damaged);
        // A damaged IP header or identifier makes it nobody's; the kernel
        // itself drops what is damaged by ICMPv6.
        let told = |reply: &&EchoReply<'_>| reply.judgement == EchoJudgement::BadChecksum;
        assert_eq!(
            summary.corrupted,
            seen.replies().filter(told).count() as u64
        );
        assert!(summary.corrupted <= damaged);
        assert_eq!(family == Family::Ipv4, summary.corrupted > 0);
        let wrong = seen.replies().filter(|reply| reply.wrong_byte.is_some());
        assert_eq!(family == Family::Ipv4, wrong.count() > 0);
    }
}

/// What was handed over of the damaged replies, from the ICMP header on: those
/// that must be told, and those that may be, as their number is damaged or the
/// run was over. Replies come in order, so all before the newest that counts
/// were taken; a damaged type or identifier makes one nobody's.
fn damaged_replies(seen: &Seen) -> [Vec<Vec<u8>>; 2] {
    let counted = seen.replies();
    let counted = counted.filter(|reply| reply.judgement == EchoJudgement::Counted);
    let newest = counted.map(|reply| reply.icmp_sequence).max().unwrap();
    let mut kinds = [Vec::new(), Vec::new()];
    for packet in seen.packets() {
        let Some(bit) = packet.changes.corrupted_bit else {
            continue;
        };
        let kind = match usize::try_from(bit).unwrap() / 8 {
            22..=23 | 28.. if sequence(packet) < newest => 0,
            21..=23 | 26.. => 1,
            _ => continue,
        };
        kinds[kind].push(packet.bytes_delivered()[20..].to_vec());
    }
    kinds
}

#[test]
fn what_is_told_as_damaged_is_what_the_wire_damaged() {
    if !support::may_make_namespaces("a damaging link") {
        return;
    }
    let damaging = Settings {
        corrupt: chance(0.5),
        ..Settings::default()
    };
    let seen = ping_over(Settings::default(), damaging, Family::Ipv4);
    let told = seen.replies();
    let told = told.filter(|reply| reply.judgement == EchoJudgement::BadChecksum);
    let mut told: Vec<&[u8]> = told.map(|reply| &*reply.message).collect();
    assert_eq!(seen.summary().corrupted, told.len() as u64);
    let [certain, possible] = damaged_replies(&seen);
    assert!(certain.len() > 100, "{}", certain.len());
    for message in &certain {
        let place = told.iter().position(|one| one == message);
        assert!(place.is_some(), "{message:02x?} is not told");
        told.swap_remove(place.unwrap());
    }
    for message in told {
        assert!(possible.iter().any(|one| one == message), "{message:02x?}");
    }
}

/// The sequence number of an echo message in a bare IP packet without options.
fn sequence(packet: &Packet<'_>) -> u16 {
    let header = match packet.bytes[0] >> 4 {
        4 => 20,
        _ => 40,
    };
    let at = header + 6;
    u16::from_be_bytes([packet.bytes[at], packet.bytes[at + 1]])
}

/// Whether it is an echo request or reply (RFC 792, RFC 4443).
fn is_echo(packet: &Packet<'_>) -> bool {
    match packet.bytes[0] >> 4 {
        4 => packet.bytes[9] == 1 && matches!(packet.bytes[20], 0 | 8),
        _ => packet.bytes[6] == 58 && matches!(packet.bytes[40], 128 | 129),
    }
}

#[test]
fn no_round_trip_is_shorter_than_the_wire_took() {
    if !support::may_make_namespaces("a slow link") {
        return;
    }
    // By a wire that sleeps, and by one that does not.
    let spins = [Duration::ZERO, Duration::from_secs(1)];
    let cases = FAMILIES.map(|family| spins.map(|spin| (family, spin)));
    for (family, spin) in cases.into_iter().flatten() {
        let config = link::Config {
            spin,
            ..config(delayed(5), delayed(5))
        };
        let seen = ping_by(&config, family, Some(Duration::from_secs(60)));
        assert!(seen.summary().received >= u64::from(PROBES));
        for reply in seen.replies() {
            let of = |direction| {
                seen.packets().find(|packet| {
                    packet.direction == direction && sequence(packet) == reply.icmp_sequence
                })
            };
            let request = of(Direction::ClientToServer).unwrap();
            let answer = of(Direction::ServerToClient).unwrap();
            let on_the_way = answer.due_at.unwrap().checked_sub(request.sent_at).unwrap();
            assert!(on_the_way >= Duration::from_millis(10));
            assert!(
                reply.round_trip >= on_the_way,
                "{:?} against {on_the_way:?}",
                reply.round_trip
            );
            assert!(reply.user_round_trip >= reply.round_trip);
        }
    }
}

/// A reply by the run's clock and the wire's.
struct Passage {
    /// When the program sent the request and took the reply, by the run.
    sent: Duration,
    taken: Duration,
    round_trip: Duration,
    /// When the wire began to hand the reply over, by the wire.
    handed_over: Duration,
}

fn passages(seen: &Seen) -> Vec<Passage> {
    let answers: HashMap<u16, &Packet<'_>> = seen
        .packets()
        .filter(|packet| packet.direction == Direction::ServerToClient && is_echo(packet))
        .map(|packet| (sequence(packet), packet))
        .collect();
    let replies = seen.echoes.iter().filter_map(|event| match &event.what {
        What::Echo(Echo::Reply(reply)) => Some((event.at, reply)),
        _ => None,
    });
    let passages = replies.map(|(taken, reply)| Passage {
        sent: taken.checked_sub(reply.user_round_trip).unwrap(),
        taken,
        round_trip: reply.round_trip,
        handed_over: answers[&reply.icmp_sequence].delivered_at.unwrap(),
    });
    passages.collect()
}

#[test]
fn no_round_trip_is_longer_than_the_wires_record_allows() {
    if !support::may_make_namespaces("a slow link") {
        return;
    }
    // The kernel begins to stamp what arrives some time after the first socket
    // asks for it, and goes on while one does.
    let _asks = FAMILIES.map(|family| ping::open(family).unwrap());
    let config = link::Config {
        spin: Duration::from_secs(1),
        ..config(delayed(5), delayed(5))
    };
    for family in FAMILIES {
        let seen = ping_by(&config, family, Some(Duration::from_secs(60)));
        let passages = passages(&seen);
        assert!(passages.len() >= PROBES as usize);
        // All that the wire's one thread did, in its order.
        let stamps: BTreeSet<Duration> = seen
            .packets()
            .flat_map(|packet| [Some(packet.sent_at), packet.delivered_at])
            .flatten()
            .collect();
        // Nothing is taken before it is handed over: the wire's clock is ahead
        // of the run's at least so much.
        let ahead = |one: &Passage| one.handed_over.checked_sub(one.taken);
        let ahead = passages.iter().filter_map(ahead).max().unwrap();
        let mut bounded = 0;
        for one in &passages {
            let after = (Bound::Excluded(one.handed_over), Bound::Unbounded);
            let Some(&next) = stamps.range(after).next() else {
                continue;
            };
            // The reply is in the kernel before the wire does anything else.
            let longest = next.checked_sub(ahead + one.sent).unwrap();
            let round_trip = one.round_trip;
            assert!(round_trip <= longest, "{round_trip:?} against {longest:?}");
            bounded += 1;
        }
        assert!(bounded >= PROBES - 1, "{bounded}");
    }
}

/// One round trip after the other, as the JSON of a run has them.
fn told_in_json(echoes: &[Event<'static>], name: &str) -> Vec<u64> {
    let lines = echoes
        .iter()
        .map(|event| serde_json::to_value(event).unwrap());
    lines
        .filter(|line| line["echo"] == "reply" && line["name"] == name)
        .filter(|line| line["judgement"] == "counted")
        .map(|line| line["rtt_ns"].as_u64().unwrap())
        .collect()
}

/// All figures of a summary from the single round trips, by their definitions;
/// percentiles are rounded up by one part in so many at most, where they are
/// taken from classes.
fn assert_figures(summary: &EchoSummary, round_trips: &[u64], classes: u64) {
    let figures = summary.round_trips.unwrap();
    let count = round_trips.len() as u64;
    assert_eq!(summary.received, count);
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap();
    let mut sorted = round_trips.to_vec();
    sorted.sort_unstable();
    assert_eq!(nanoseconds(figures.min), sorted[0]);
    assert_eq!(Some(&nanoseconds(figures.max)), sorted.last());
    let mean = round_trips.iter().sum::<u64>() / count;
    assert_eq!(nanoseconds(figures.average), mean);
    let real = |value: u64| Duration::from_nanos(value).as_secs_f64() * 1e9;
    let exact = round_trips.iter().map(|&value| real(value)).sum::<f64>() / real(count);
    let squares = round_trips
        .iter()
        .map(|&value| (real(value) - exact).powi(2));
    let deviation = (squares.sum::<f64>() / real(count)).sqrt();
    let steps = round_trips
        .windows(2)
        .map(|pair| real(pair[0].abs_diff(pair[1])));
    let jitter = steps.fold(0.0, |jitter, step| jitter + (step - jitter) / 16.0);
    for (told, computed) in [(figures.deviation, deviation), (figures.jitter, jitter)] {
        let off = (told.as_secs_f64() * 1e9 - computed).abs();
        assert!(off < 100.0, "{told:?} against {computed} ns");
    }
    for (told, percent) in [(figures.p50, 50), (figures.p90, 90), (figures.p99, 99)] {
        let rank = (sorted.len() * percent).div_ceil(100);
        let (told, exact) = (nanoseconds(told), sorted[rank - 1]);
        let most = exact + 10 + exact / classes;
        assert!((exact..=most).contains(&told), "p{percent}: {told} {exact}");
    }
}

#[test]
fn the_figures_are_those_of_the_single_round_trips() {
    if !support::may_make_namespaces("an unsteady link") {
        return;
    }
    for family in FAMILIES {
        let unsteady = || Settings {
            delay: Delay {
                jitter: Duration::from_millis(2),
                ..delayed(4).delay
            },
            ..Settings::default()
        };
        let seen = ping_over(unsteady(), unsteady(), family);
        let summary = seen.summary();
        let round_trips = told_in_json(&seen.echoes, &summary.target.name);
        assert!(summary.round_trips.unwrap().jitter > Duration::from_micros(100));
        // Classes of a histogram of three digits.
        assert_figures(summary, &round_trips, 1000);
    }
}

/// Both addresses of the server at once.
struct Swept {
    echoes: Vec<Event<'static>>,
    wire: Vec<Event<'static>>,
}

fn sweep_over(up: Settings, down: Settings) -> Swept {
    let wire = Arc::new(Recording::new());
    let link = Link::build(&config(up, down), Clock::start(), Arc::clone(&wire) as _).unwrap();
    let server = link.server().addresses();
    let specs = FAMILIES.map(|family| server.of(family).to_string());
    let echoes = link.client().run(move || {
        let config = sweep::Config {
            plan: sweep::Plan {
                goal: sweep::Goal::Count(PROBES),
                period: Duration::from_millis(1),
                // Longer than anything is under way, and than any copy.
                wait: Some(Duration::from_secs(2)),
                ..sweep::Plan::default()
            },
            payload_bytes: 56,
            ..sweep::Config::default()
        };
        let sockets = FAMILIES.map(|family| ping::open(family).unwrap());
        let specs = specs.map(|one| Spec::parse(&one).unwrap()).to_vec();
        let (recording, signals) = (Recording::new(), Signals::unconnected().unwrap());
        sweep::run(&config, specs, &sockets, &signals, (&recording, &())).unwrap();
        recording.take()
    });
    let account = link.finish().unwrap();
    assert!(account.is_conserved(), "{account:?}");
    assert_eq!(account.unmodelled_loss(), 0, "{account:?}");
    let wire = wire.take();
    Swept { echoes, wire }
}

impl Swept {
    fn summaries(&self) -> Vec<&EchoSummary> {
        let summaries = self.echoes.iter().filter_map(|event| match &event.what {
            What::Echo(Echo::Summary(summary)) => Some(&**summary),
            _ => None,
        });
        summaries.collect()
    }

    /// Echo messages of one family that went this way.
    fn messages(&self, family: Family, direction: Direction) -> Vec<&Packet<'static>> {
        let packets = self.wire.iter().filter_map(|event| match &event.what {
            What::Packet(packet) => Some(packet),
            _ => None,
        });
        let version = match family {
            Family::Ipv4 => 4,
            Family::Ipv6 => 6,
        };
        packets
            .filter(|packet| packet.direction == direction && is_echo(packet))
            .filter(|packet| packet.bytes[0] >> 4 == version)
            .collect()
    }
}

#[test]
fn many_targets_figures_are_the_wires() {
    if !support::may_make_namespaces("a lossy, copying link") {
        return;
    }
    let faulty = || Settings {
        loss: Loss::Random(chance(0.1)),
        duplicate: chance(0.2),
        ..Settings::default()
    };
    let swept = sweep_over(faulty(), faulty());
    let summaries = swept.summaries();
    assert_eq!(summaries.len(), 2);
    for (summary, family) in summaries.into_iter().zip(FAMILIES) {
        let requests = swept.messages(family, Direction::ClientToServer);
        let replies = swept.messages(family, Direction::ServerToClient);
        let sent = requests.iter().filter(|one| one.changes.copy_of.is_none());
        assert_eq!(summary.transmitted, sent.count() as u64);
        assert_eq!(summary.transmitted, u64::from(PROBES));
        let delivered = replies.iter().filter(|one| one.delivered_at.is_some());
        let delivered: Vec<u16> = delivered.map(|packet| sequence(packet)).collect();
        let answered: HashSet<u16> = delivered.iter().copied().collect();
        let (delivered, answered) = (delivered.len() as u64, answered.len() as u64);
        assert!(answered < summary.transmitted && delivered > answered);
        assert_eq!(summary.received, answered);
        assert_eq!(summary.duplicates, delivered - answered);
        assert_eq!(summary.lost, summary.transmitted - answered);
        let others = (summary.in_flight, summary.errors, summary.corrupted);
        assert_eq!(others, (0, 0, 0));
        let round_trips = told_in_json(&swept.echoes, &summary.target.name);
        assert_figures(summary, &round_trips, u64::MAX);
    }
}
