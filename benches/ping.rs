//! How fast echo requests go out and replies come in on loopback, beside
//! `ping -f -q` in the same run: what the exchange reaches by itself at several
//! batch sizes, and what the program reaches. And how far round trips over the
//! private link with 10 ms of delay are from the wire's own times, beside ping's.
//!
//! `cargo bench --bench ping`, with the right to open raw sockets. It runs in a
//! network namespace of its own; where none can be had, on the machine's own
//! loopback.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use socklab::event::{EchoSocket, Event, Recording, Sink, Topic, What};
use socklab::flow::Family;
use socklab::impair::{Course, Delay, Plan, Settings};
use socklab::link::{Config, Link};
use socklab::ping::exchange::{Arrival, BATCH, Exchange, Ready, Request, Sending};
use socklab::ping::wire;
use socklab::recorder::Clock;
use socklab::socket::icmp::IcmpSocket;

/// Requests in one measurement, and how often each is repeated; the best
/// counts, as what disturbs only slows.
const REQUESTS: u64 = 200_000;
const ROUNDS: u32 = 5;
const PAYLOAD: usize = 56;

/// Round trips over the link, and the time between two.
const TRIPS: u32 = 300;
const PACE: Duration = Duration::from_millis(20);

fn main() {
    flood();
    bias();
}

fn flood() {
    let private = unshare(CloneFlags::CLONE_NEWNET).is_ok()
        && Command::new("ip")
            .args(["link", "set", "lo", "up"])
            .status()
            .is_ok();
    println!(
        "{}",
        if private {
            "in a namespace"
        } else {
            "on this machine's loopback"
        }
    );
    let batches = [1, 16, 32, 64, 128];
    // All take turns, so that what disturbs one round disturbs each.
    let mut peer = Duration::MAX;
    let mut ours = [Duration::MAX; 5];
    let mut program = Duration::MAX;
    for _ in 0..ROUNDS {
        peer = peer.min(of_program("ping"));
        program = program.min(of_program(env!("CARGO_BIN_EXE_socklab")));
        for (best, batch) in ours.iter_mut().zip(batches) {
            *best = (*best).min(of_exchange(batch));
        }
    }
    tell("ping -f -q", peer, peer);
    tell("socklab ping -f -q", program, peer);
    for (took, batch) in ours.into_iter().zip(batches) {
        tell(&format!("exchange, batches of {batch}"), took, peer);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn tell(what: &str, took: Duration, peer: Duration) {
    if took == Duration::MAX {
        println!("{what:<28} could not be run");
        return;
    }
    let rate = REQUESTS as f64 / took.as_secs_f64();
    let ratio = peer.as_secs_f64() / took.as_secs_f64();
    println!("{what:<28} {rate:>9.0} round trips/s   {ratio:.2} x ping");
}

/// How long a flood of requests takes, by the program's own account.
fn of_program(program: &str) -> Duration {
    let mut command = Command::new(program);
    if program != "ping" {
        command.arg("ping");
    }
    let count = REQUESTS.to_string();
    let output = command
        .args(["-f", "-q", "-c", &count, "127.0.0.1"])
        .output();
    let Ok(output) = output else {
        return Duration::MAX;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let time = text
        .split(" time ")
        .nth(1)
        .and_then(|rest| rest.split("ms").next());
    time.and_then(|time| time.trim().parse().ok())
        .map_or(Duration::MAX, Duration::from_millis)
}

/// How long the exchange takes for as many, a batch at a time.
fn of_exchange(batch: usize) -> Duration {
    let socket = IcmpSocket::open_kind(Family::Ipv4, EchoSocket::Raw).expect("a raw socket");
    let payload = wire::counting_payload(PAYLOAD);
    let mut exchange = Exchange::new([&socket], &payload, batch);
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let began = Instant::now();
    let (mut sent, mut back) = (0, 0);
    while back < REQUESTS {
        while sent < REQUESTS && sent - back < batch as u64 {
            let token = exchange.token(sent);
            sent += 1;
            exchange.push(Request {
                token,
                to,
                ttl: None,
                payload_bytes: PAYLOAD,
            });
        }
        exchange.flush(|_, _, _, sending| assert_eq!(sending, Sending::Taken));
        exchange.receive(Ready::ALL, |arrival| {
            back += u64::from(matches!(arrival, Arrival::Reply(_)));
        });
    }
    began.elapsed()
}

/// How far round trips are from the wire's own: the time from a request's entry
/// to its reply's delivery.
fn bias() {
    println!("round trips over a link of 10 ms, less the wire's own");
    let (link, packets) = link();
    let server: SocketAddr = (link.server().addresses().of(Family::Ipv4), 0).into();
    let ours = link.client().run(move || round_trips(server));
    let mut wire = wire_times(&packets.take());
    let of = |pick: fn(&Trip) -> Duration| -> Vec<f64> {
        let differences = ours.iter().filter_map(|trip| {
            let own = wire.get(&(trip.identifier, trip.sequence))?;
            Some(micros(pick(trip)) - micros(*own))
        });
        differences.collect()
    };
    tell_bias(
        "sent by our clock, arrived by the kernel's",
        of(|trip| trip.arrived),
    );
    tell_bias("sent and taken by our clock", of(|trip| trip.taken));
    tell_bias("both by the kernel's stamps", of(|trip| trip.stamps));

    let average = link.client().run(move || average_of_ping(server));
    wire = wire_times(&packets.take());
    let own = wire.values().map(|&time| micros(time)).sum::<f64>() / f64::from(TRIPS);
    println!(
        "{:<44} mean {:>6.1} us",
        "ping, by its average",
        average - own
    );
    link.finish().expect("the link is torn down");
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn tell_bias(what: &str, mut differences: Vec<f64>) {
    differences.sort_unstable_by(f64::total_cmp);
    let count = differences.len();
    let mean = differences.iter().sum::<f64>() / f64::from(u32::try_from(count).unwrap_or(1));
    let at = |part: usize| {
        differences
            .get(count * part / 100)
            .copied()
            .unwrap_or(f64::NAN)
    };
    let (median, high) = (at(50), at(99));
    println!(
        "{what:<44} mean {mean:>6.1} us  median {median:>6.1} us  p99 {high:>6.1} us  of {count}"
    );
}

struct Packets(Recording);

impl Sink for Packets {
    fn wants(&self, topic: Topic) -> bool {
        topic == Topic::Packet
    }

    fn record(&self, event: &Event<'_>) {
        self.0.record(event);
    }
}

impl Packets {
    fn take(&self) -> Vec<Event<'static>> {
        self.0.take()
    }
}

fn link() -> (Link, Arc<Packets>) {
    let half = Settings {
        delay: Delay {
            base: Duration::from_millis(5),
            ..Delay::default()
        },
        ..Settings::default()
    };
    let course = Course {
        first: half,
        changes: Vec::new(),
    };
    let config = Config {
        plan: Plan {
            seed: 1,
            up: course.clone(),
            down: course,
        },
        ..Config::default()
    };
    let packets = Arc::new(Packets(Recording::new()));
    let link = Link::build(&config, Clock::start(), packets.clone()).expect("the link is built");
    (link, packets)
}

/// From each request's entry into the wire to its reply's delivery.
fn wire_times(events: &[Event<'_>]) -> HashMap<(u16, u16), Duration> {
    let mut entered = HashMap::new();
    let mut times = HashMap::new();
    for event in events {
        let What::Packet(packet) = &event.what else {
            continue;
        };
        let Some(&[kind, _, _, _, a, b, c, d]) = packet.bytes.get(20..28) else {
            continue;
        };
        let echo = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        if kind == 8 {
            entered.insert(echo, packet.sent_at);
        } else if let (Some(entered), Some(left)) = (entered.get(&echo), packet.delivered_at) {
            times.insert(echo, left.saturating_sub(*entered));
        }
    }
    times
}

struct Trip {
    identifier: u16,
    sequence: u16,
    arrived: Duration,
    taken: Duration,
    stamps: Duration,
}

fn round_trips(to: SocketAddr) -> Vec<Trip> {
    let socket = IcmpSocket::open_kind(Family::Ipv4, EchoSocket::Raw).expect("a raw socket");
    socket.stamp_departures().expect("stamps");
    let mut exchange = Exchange::new([&socket], &wire::counting_payload(PAYLOAD), BATCH);
    let began = Instant::now();
    let mut trips = Vec::new();
    for number in 1..=TRIPS {
        let token = exchange.token(number.into());
        exchange.push(Request {
            token,
            to,
            ttl: None,
            payload_bytes: PAYLOAD,
        });
        let mut sent_at = None;
        exchange.flush(|at, _, _, _| sent_at = Some(at));
        let next = began + PACE * number;
        let mut left = None;
        while Instant::now() < next {
            let ready = exchange.wait(&[], Some(next)).expect("ppoll");
            exchange.receive(ready, |arrival| match arrival {
                Arrival::Departed(departed) => left = Some(departed.stamp),
                Arrival::Reply(reply) => {
                    let both = sent_at.zip(reply.times.stamp);
                    trips.extend(both.map(|(sent_at, stamp)| Trip {
                        identifier: socket.identifiers().first(),
                        sequence: wire::sequence(reply.token),
                        arrived: reply.times.arrived.saturating_duration_since(sent_at),
                        taken: reply.times.taken.saturating_duration_since(sent_at),
                        stamps: stamp.saturating_sub(left.unwrap_or_default()),
                    }));
                }
                _ => {}
            });
        }
    }
    trips
}

/// Ping's average round trip in microseconds.
fn average_of_ping(to: SocketAddr) -> f64 {
    let (count, pace) = (TRIPS.to_string(), PACE.as_secs_f64().to_string());
    let target = to.ip().to_string();
    let output = Command::new("ping")
        .args(["-q", "-c", &count, "-i", &pace, &target])
        .output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let average = text.ok().and_then(|text| {
        let figures = text.split(" = ").nth(1)?.split('/').nth(1)?;
        figures.parse::<f64>().ok()
    });
    average.map_or(f64::NAN, |milliseconds| milliseconds * 1e3)
}
