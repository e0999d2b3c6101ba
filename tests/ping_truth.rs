//! Every figure of a ping run against the record of the wire it ran over.
//!
//! A run on the client of a private link whose wire loses, copies, reorders,
//! damages and delays; then each count of the summary is compared with what the
//! wire says it did, and each round trip with the wire's own times.

mod support;

use std::sync::Arc;
use std::time::Duration;

use socklab::event::{Echo, EchoJudgement, EchoReply, EchoSummary, Event, Packet, Recording, What};
use socklab::flow::{Direction, Family};
use socklab::impair::{Chance, Course, Delay, Loss, Plan, Reorder, Settings};
use socklab::link::{self, Account, Link, Traffic};
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
    ping_by(&config(up, down), family)
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

fn ping_by(config: &link::Config, family: Family) -> Seen {
    let wire = Arc::new(Recording::new());
    let link = Link::build(config, Clock::start(), Arc::clone(&wire) as _).unwrap();
    let server = link.server().addresses().of(family).to_string();
    let (outcome, echoes) = link.client().run(move || {
        let socket = ping::open(family).unwrap();
        let target = Target::resolve(&server, Some(family)).unwrap();
        let recording = Recording::new();
        let signals = Signals::unconnected().unwrap();
        let outcome = ping::run(&probes(target, family), &socket, &signals, &recording);
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

/// The sequence number of an echo message in a bare IP packet without options.
fn sequence(packet: &Packet<'_>) -> u16 {
    let header = match packet.bytes[0] >> 4 {
        4 => 20,
        _ => 40,
    };
    let at = header + 6;
    u16::from_be_bytes([packet.bytes[at], packet.bytes[at + 1]])
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
        let seen = ping_by(&config, family);
        assert_eq!(seen.summary().received, u64::from(PROBES));
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
