//! How fast echo requests go out and replies come in on loopback, beside
//! `ping -f -q` in the same run: what the exchange reaches by itself at several
//! batch sizes, and what the program reaches.
//!
//! `cargo bench --bench ping`, with the right to open raw sockets. It runs in a
//! network namespace of its own; where none can be had, on the machine's own
//! loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use socklab::event::EchoSocket;
use socklab::flow::Family;
use socklab::ping::exchange::{Arrival, Exchange, Ready, Request, Sending};
use socklab::ping::wire;
use socklab::socket::icmp::IcmpSocket;

/// Requests in one measurement, and how often each is repeated; the best
/// counts, as what disturbs only slows.
const REQUESTS: u64 = 200_000;
const ROUNDS: u32 = 5;
const PAYLOAD: usize = 56;

fn main() {
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
