//! How fast echo requests go out and replies come in on loopback, beside
//! `ping -f -q` in the same run: what the exchange reaches by itself at several
//! batch sizes, and what the program reaches. And how far round trips over the
//! private link with 10 ms of delay are from the wire's own times, beside ping's
//! over the same link in turn; `cargo bench --bench ping bias` for that alone.
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
use serde_json::Value;
use socklab::event::{EchoSocket, Event, Recording, Sink, Topic, What};
use socklab::flow::Family;
use socklab::impair::{Course, Delay, Plan, Settings};
use socklab::link::{Config, Link};
use socklab::ping::exchange::{Arrival, Exchange, Ready, Request, Sending};
use socklab::ping::wire;
use socklab::recorder::Clock;
use socklab::socket::icmp::IcmpSocket;

/// Requests in one measurement, and how often each is repeated. The median
/// counts, of many: where the kernel puts a process's sockets makes it up to an
/// eighth faster or slower from start to end, ours and ping(8) alike.
const REQUESTS: u64 = 100_000;
const ROUNDS: u32 = 31;
const PAYLOAD: usize = 56;

/// Round trips over the link, and the time between two of one run.
const TRIPS: u32 = 200;
const PACE: Duration = Duration::from_millis(20);

fn main() {
    let only = std::env::args().find(|argument| argument == "flood" || argument == "bias");
    if only.as_deref() != Some("bias") {
        flood();
    }
    if only.as_deref() != Some("flood") {
        bias();
    }
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
    let (mut theirs, mut programs) = (Vec::new(), Vec::new());
    let mut exchanges = [const { Vec::new() }; 5];
    for _ in 0..ROUNDS {
        theirs.push(of_program("ping"));
        programs.push(of_program(env!("CARGO_BIN_EXE_socklab")));
        for (times, batch) in exchanges.iter_mut().zip(batches) {
            times.push(of_exchange(batch));
        }
    }
    let (peer, program, ours) = (median(theirs), median(programs), exchanges.map(median));
    tell("ping -f -q", peer, peer);
    tell("socklab ping -f -q", program, peer);
    for (took, batch) in ours.into_iter().zip(batches) {
        tell(&format!("exchange, batches of {batch}"), took, peer);
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
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
    exchange.sort_here();
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

/// How far printed round trips are from the wire's own: the time from a request's
/// entry to its reply's delivery. A wire that sleeps is told of a packet when it
/// has woken up, which every ping's time then includes.
fn bias() {
    println!("round trips over a link of 10 ms, less the wire's own");
    bias_beside("the wire is awake:", Duration::from_secs(1));
    bias_beside("the wire sleeps:", Duration::ZERO);
}

fn bias_beside(wire: &str, spin: Duration) {
    println!("{wire}");
    let bench = Bench::build(spin);
    let (mut peers, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..TRIPS {
        peers.extend(bench.one_trip("ping"));
        ours.extend(bench.one_trip(env!("CARGO_BIN_EXE_socklab")));
    }
    let peer = tell_bias("ping -q -c 1", peers);
    let own = tell_bias("socklab ping -q -c 1", ours);
    println!("the medians' ratio {:.2}", own / peer);
    let own = bench.many_trips();
    tell_bias(&format!("socklab ping --json -c {TRIPS}"), own);
    bench.link.finish().expect("the link is torn down");
}

/// A link, and what crossed it.
struct Bench {
    link: Link,
    packets: Arc<Packets>,
    target: String,
}

impl Bench {
    fn build(spin: Duration) -> Self {
        let (link, packets) = link(spin);
        let target = link.server().addresses().of(Family::Ipv4).to_string();
        Self {
            link,
            packets,
            target,
        }
    }

    /// A program's output, run on the client.
    fn output(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(program);
        if program != "ping" {
            command.arg("ping");
        }
        command.args(arguments).arg(&self.target);
        let output = self.link.client().run(move || command.output());
        // The last packet is recorded once it was handed over.
        self.link.settle().expect("the wire settles");
        String::from_utf8_lossy(&output.expect("it runs").stdout).into_owned()
    }

    /// By how many microseconds a program's one round trip is off: it prints the
    /// average to the microsecond.
    fn one_trip(&self, program: &str) -> Option<f64> {
        self.packets.take();
        let text = self.output(program, &["-q", "-c", "1"]);
        let figures = text.split(" = ").nth(1)?.split('/').nth(1)?;
        let printed = figures.parse::<f64>().ok()? * 1e3;
        let wire = wire_times(&self.packets.take());
        Some(printed - micros(*wire.values().next()?))
    }

    /// The same of a longer run of ours, whose JSON has each round trip.
    fn many_trips(&self) -> Vec<f64> {
        self.packets.take();
        let (count, pace) = (TRIPS.to_string(), PACE.as_secs_f64().to_string());
        let text = self.output(
            env!("CARGO_BIN_EXE_socklab"),
            &["--json", "-c", &count, "-i", &pace],
        );
        let mut wire = HashMap::new();
        for ((_, sequence), time) in wire_times(&self.packets.take()) {
            wire.insert(u64::from(sequence), time);
        }
        let trips = text.lines().filter_map(|line| {
            let event: Value = serde_json::from_str(line).ok()?;
            let printed = event["rtt_ns"].as_u64()?;
            let own = wire.get(&event["icmp_sequence"].as_u64()?)?;
            Some(micros(Duration::from_nanos(printed)) - micros(*own))
        });
        trips.collect()
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Returns the median.
fn tell_bias(what: &str, mut differences: Vec<f64>) -> f64 {
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
        "{what:<28} mean {mean:>6.1} us  median {median:>6.1} us  p99 {high:>6.1} us  of {count}"
    );
    median
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

fn link(spin: Duration) -> (Link, Arc<Packets>) {
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
        spin,
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
