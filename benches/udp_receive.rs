//! How many 64-byte datagrams a second `socklab udp listen --discard` receives
//! over loopback without losing one, beside iperf3's receiver, in the same run.
//!
//! `cargo bench --bench udp_receive`. Both receive at ever higher rates until
//! one datagram is lost; the highest rate at which none was is the figure. Both
//! senders make one call a datagram, and neither is the receiver's own process.

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Payload bytes.
const SIZE: usize = 64;
/// How long each rate is held.
const TRIAL: Duration = Duration::from_secs(2);
/// Rates in thousands of datagrams a second.
const RATES: &[u64] = &[
    100, 150, 200, 250, 300, 350, 400, 450, 500, 600, 700, 800, 1000,
];
/// A rate is given up when datagrams were lost so many times: one loss may be
/// another program's doing.
const TRIES: usize = 3;

/// What came of one trial.
#[derive(Debug, Clone, Copy)]
struct Trial {
    received: u64,
    lost: u64,
    per_second: f64,
}

fn main() {
    println!("64-byte datagrams over loopback, {TRIAL:?} at each rate");
    let iperf3 = highest("iperf3", iperf3_receives);
    let socklab = highest("socklab", socklab_receives);
    println!("iperf3's receiver     {iperf3:>10.0} datagrams/s without loss");
    println!("udp listen --discard  {socklab:>10.0} datagrams/s without loss");
    println!("ratio                 {:>10.2}", socklab / iperf3);
}

/// The highest rate without loss, as it was received.
fn highest(name: &str, mut receive: impl FnMut(u64) -> Trial) -> f64 {
    let mut best = 0.0_f64;
    for thousands in RATES {
        let rate = thousands * 1000;
        let mut trials = (0..TRIES).map(|_| receive(rate));
        let mut last = None;
        let lossless = trials.find(|trial| {
            last = Some(*trial);
            trial.lost == 0 && trial.received > 0
        });
        let Some(trial) = lossless else {
            let Trial { received, lost, .. } = last.expect("a trial");
            println!(
                "  {name} at {thousands} k/s: {lost} of {} lost",
                received + lost
            );
            break;
        };
        println!(
            "  {name} at {thousands} k/s: {:.0}/s, none lost",
            trial.per_second
        );
        // A sender that cannot keep up gives no higher rate.
        if trial.per_second <= best {
            break;
        }
        best = trial.per_second;
    }
    best
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
    server.wait().expect("it ends with its client");
    let _ = drain.join();
    let report: Value = serde_json::from_slice(&client.stdout).expect("JSON");
    let sum = &report["end"]["sum"];
    let packets = sum["packets"].as_u64().expect("packets");
    let lost = sum["lost_packets"].as_u64().expect("lost packets");
    trial(
        packets - lost,
        lost,
        sum["seconds"].as_f64().expect("seconds"),
    )
}

fn socklab_receives(rate: u64) -> Trial {
    let mut listener = Command::new(env!("CARGO_BIN_EXE_socklab"))
        .args(["udp", "listen", "127.0.0.1:5998", "--discard", "--json"])
        .args(["--idle", "300ms"])
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
    let (sent, took) = send(rate);
    let result = last_line(&mut lines, &mut listener);
    let received = result["result"]["received"]["datagrams"]
        .as_u64()
        .expect("a count");
    trial(received, sent - received, took.as_secs_f64())
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

/// Sends at this rate, a call a datagram; how many, and how long it took.
fn send(rate: u64) -> (u64, Duration) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
    socket.connect("127.0.0.1:5998").expect("connect");
    let data = [b'x'; SIZE];
    let begin = Instant::now();
    let mut sent = 0_u64;
    loop {
        let passed = begin.elapsed();
        if passed >= TRIAL {
            return (sent, passed);
        }
        let due = u64::try_from(passed.as_nanos() * u128::from(rate) / 1_000_000_000);
        let due = due.unwrap_or(u64::MAX);
        for _ in sent..due.min(sent + 64) {
            socket.send(&data).expect("it is taken");
            sent += 1;
        }
    }
}

fn trial(received: u64, lost: u64, seconds: f64) -> Trial {
    #[expect(clippy::cast_precision_loss, reason = "below 2^52")]
    let per_second = received as f64 / seconds;
    Trial {
        received,
        lost,
        per_second,
    }
}
