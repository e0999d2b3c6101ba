//! What a 64-byte datagram costs the receiver over loopback, and how many of them
//! are lost: `socklab udp listen --discard` beside iperf3's receiver, in the same
//! run.
//!
//! `cargo bench --bench udp_receive`. The cost is the receiving process's own
//! CPU time, user and system, so that it holds on a machine that is busy; what it
//! leaves room for is how many a second a core can take. Both senders are paced
//! alike. Best of several turns: the one that lost least. Ends with an error where
//! the receiver costs more than iperf3's, or loses more.

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::Value;

/// Payload bytes.
const SIZE: usize = 64;
/// How long a turn lasts.
const TRIAL: Duration = Duration::from_secs(2);
/// Datagrams a second.
const RATES: &[u64] = &[100_000, 200_000, 400_000];
/// Turns at each rate.
const TURNS: usize = 3;

/// What came of one turn.
#[derive(Debug, Clone, Copy)]
struct Trial {
    received: u64,
    lost: u64,
    /// The receiving process's CPU time.
    cpu: Duration,
}

impl Trial {
    /// Nanoseconds of CPU for a datagram.
    fn cost(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "below 2^52")]
        let received = self.received.max(1) as f64;
        self.cpu.as_secs_f64() * 1e9 / received
    }
}

fn main() -> ExitCode {
    let mut is_met = true;
    println!("64-byte datagrams over loopback, best of {TURNS} turns of {TRIAL:?}");
    for rate in RATES {
        let mut best: [Option<Trial>; 2] = [None; 2];
        for _ in 0..TURNS {
            for (best, receive) in best.iter_mut().zip([iperf3_receives, socklab_receives]) {
                let trial = receive(*rate);
                let is_better = |best: &Trial| (trial.lost, trial.cpu) < (best.lost, best.cpu);
                if best.as_ref().is_none_or(is_better) {
                    *best = Some(trial);
                }
            }
        }
        let [iperf3, socklab] = best.map(|best| best.expect("a turn"));
        println!("at {rate}/s");
        for (name, trial) in [("iperf3 -s", iperf3), ("udp listen --discard", socklab)] {
            println!(
                "  {name:<20} {:>7} received {:>7} lost {:>6.0} ns of CPU each: {:>9.0}/s a core",
                trial.received,
                trial.lost,
                trial.cost(),
                1e9 / trial.cost()
            );
        }
        println!("  ratio {:.2}", iperf3.cost() / socklab.cost());
        is_met &= socklab.cost() <= iperf3.cost() && socklab.lost <= iperf3.lost;
    }
    ExitCode::from(u8::from(!is_met))
}

/// The CPU time of all processes that have been waited for.
fn spent() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("getrusage");
    let time = |time: nix::sys::time::TimeVal| {
        let microseconds = time.tv_sec() * 1_000_000 + time.tv_usec();
        Duration::from_micros(u64::try_from(microseconds).unwrap_or_default())
    };
    time(usage.user_time()) + time(usage.system_time())
}

fn iperf3_receives(rate: u64) -> Trial {
    const PORT: &str = "5999";
    let mut server = Command::new("iperf3")
        .args(["-s", "-1", "-p", PORT, "--forceflush"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("iperf3 is installed");
    let mut ready = BufReader::new(server.stdout.take().expect("its output"));
    let mut line = String::new();
    while !line.contains("listening") {
        line.clear();
        ready.read_line(&mut line).expect("a line");
    }
    let drain = std::thread::spawn(move || std::io::copy(&mut ready, &mut std::io::sink()));
    let bits = (rate * SIZE as u64 * 8).to_string();
    let seconds = TRIAL.as_secs().to_string();
    let client = Command::new("iperf3")
        .args(["-c", "127.0.0.1", "-p", PORT, "-u", "-l", &SIZE.to_string()])
        .args(["-b", &bits, "-t", &seconds, "--json"])
        .output()
        .expect("iperf3 runs");
    let before = spent();
    server.wait().expect("it ends with its client");
    let cpu = spent().saturating_sub(before);
    let _ = drain.join();
    let report: Value = serde_json::from_slice(&client.stdout).expect("JSON");
    let sum = &report["end"]["sum"];
    let packets = sum["packets"].as_u64().expect("packets");
    let lost = sum["lost_packets"].as_u64().expect("lost packets");
    Trial {
        received: packets - lost,
        lost,
        cpu,
    }
}

fn socklab_receives(rate: u64) -> Trial {
    let mut listener = Command::new(env!("CARGO_BIN_EXE_socklab"))
        .args(["udp", "listen", "127.0.0.1:5998", "--discard", "--json"])
        .args(["--idle", "3s"])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("socklab runs");
    let mut lines = BufReader::new(listener.stderr.take().expect("its errors"));
    let mut line = String::new();
    while !line.contains("listening on") {
        line.clear();
        lines.read_line(&mut line).expect("a line");
    }
    let sent = send(rate);
    let before = spent();
    let result = last_line(&mut lines, &mut listener);
    let received = &result["result"]["received"]["datagrams"];
    let received = received.as_u64().expect("a count");
    Trial {
        received,
        lost: sent - received,
        cpu: spent().saturating_sub(before),
    }
}

fn last_line(lines: &mut impl BufRead, listener: &mut Child) -> Value {
    let last = lines
        .lines()
        .map_while(Result::ok)
        .last()
        .expect("a result");
    listener.wait().expect("it ends");
    serde_json::from_str(&last).expect("JSON")
}

/// Sends at this rate; how many. As iperf3's client does: for each datagram it
/// asks whether the socket takes it, sends what is due, and sleeps to the end of
/// the millisecond. A sender that never sleeps, or that sends at one go, fills
/// the receive buffer before the receiver runs, whoever receives.
fn send(rate: u64) -> u64 {
    const PACE: u128 = Duration::from_millis(1).as_nanos();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
    socket.connect("127.0.0.1:5998").expect("connect");
    let data = [b'x'; SIZE];
    let begin = Instant::now();
    let mut sent = 0_u64;
    loop {
        let elapsed = begin.elapsed();
        if elapsed >= TRIAL {
            return sent;
        }
        if u128::from(sent) < elapsed.as_nanos() * u128::from(rate) / 1_000_000_000 {
            let mut asked = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
            poll(&mut asked, PollTimeout::MAX).expect("poll");
            socket.send(&data).expect("it is taken");
            sent += 1;
        } else {
            let rest = PACE - elapsed.as_nanos() % PACE;
            std::thread::sleep(Duration::from_nanos(rest.try_into().expect("small")));
        }
    }
}
