//! What `tcp connect` and `tcp listen` cost beside nc, ncat and sockperf, over
//! loopback, in the same run: bulk from a pipe to a pipe, and an echo of 64
//! bytes on one connection.
//!
//! `cargo bench --bench pipe`. Medians of several rounds, taken in turn.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{SpliceFFlags, splice};

const SOCKLAB: &str = env!("CARGO_BIN_EXE_socklab");
/// Bytes of a bulk transfer.
const BULK: usize = 2 << 30;
/// Bytes of a call of those who fill and empty the pipes.
const BLOCK: usize = 256 << 10;
/// Rounds of each.
const ROUNDS: usize = 5;
/// Echoes of a round.
const ECHOES: usize = 100_000;

fn main() {
    // `cargo test --benches` wants to know that it runs, not how fast.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    bulk();
    echo();
}

/// A program, its words, and how long it takes to be told.
struct Tool {
    name: &'static str,
    server: fn(u16) -> Vec<String>,
    client: fn(u16) -> Vec<String>,
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(String::from).collect()
}

const TOOLS: [Tool; 3] = [
    Tool {
        name: "socklab",
        server: |port| words(&format!("{SOCKLAB} tcp listen 127.0.0.1:{port}")),
        client: |port| words(&format!("{SOCKLAB} tcp connect 127.0.0.1:{port}")),
    },
    Tool {
        name: "nc",
        server: |port| words(&format!("nc -N -l 127.0.0.1 {port}")),
        client: |port| words(&format!("nc -N 127.0.0.1 {port}")),
    },
    Tool {
        name: "ncat",
        server: |port| words(&format!("ncat -l 127.0.0.1 {port}")),
        client: |port| words(&format!("ncat 127.0.0.1 {port}")),
    },
];

fn bulk() {
    // Bytes that are written and read cost those who do so more than what is
    // measured, on whichever processor they run; pages that are moved do not.
    for (ends, how) in [
        (Ends::Moved, "whose ends move pages"),
        (Ends::Copied, "whose ends write and read"),
    ] {
        let mut times: Vec<Vec<Duration>> = vec![Vec::new(); TOOLS.len()];
        for _ in 0..ROUNDS {
            for (tool, times) in TOOLS.iter().zip(&mut times) {
                times.push(transfer(tool, ends));
            }
        }
        let medians: Vec<Duration> = times.iter_mut().map(|times| median(times)).collect();
        println!("bulk, {} MiB from a pipe to a pipe {how}:", BULK >> 20);
        for (tool, time) in TOOLS.iter().zip(&medians) {
            let rate = gigabytes(*time);
            let ratio = time.as_secs_f64() / medians[0].as_secs_f64();
            println!(
                "  {:8} {rate:5.2} GB/s; socklab is {ratio:.2} times as fast",
                tool.name
            );
        }
    }
}

/// What those do who fill the one pipe and empty the other.
#[derive(Clone, Copy)]
enum Ends {
    /// splice(2) from a file in memory and to /dev/null.
    Moved,
    /// write(2) and read(2).
    Copied,
}

#[expect(clippy::cast_precision_loss, reason = "a figure to be read")]
fn gigabytes(time: Duration) -> f64 {
    BULK as f64 / 1e9 / time.as_secs_f64()
}

/// How long it takes until everything that goes into the client has come out of
/// the server.
fn transfer(tool: &Tool, ends: Ends) -> Duration {
    let port = free_port();
    let mut server = start(&(tool.server)(port));
    drop(server.stdin.take());
    wait_for(port);
    let mut client = start(&(tool.client)(port));
    let into = client.stdin.take().expect("piped");
    let from = server.stdout.take().expect("piped");
    let begun = Instant::now();
    let source = thread::spawn(move || match ends {
        Ends::Moved => fill(&into),
        Ends::Copied => write_all(into),
    });
    let total = match ends {
        Ends::Moved => empty(&from),
        Ends::Copied => read_all(from),
    };
    let time = begun.elapsed();
    assert_eq!(total, BULK, "{}", tool.name);
    source.join().expect("it wrote");
    end(client);
    end(server);
    time
}

fn write_all(mut into: ChildStdin) {
    let block = vec![b'x'; BLOCK];
    for _ in 0..BULK / BLOCK {
        into.write_all(&block).expect("it reads");
    }
}

fn read_all(mut from: ChildStdout) -> usize {
    let mut buffer = vec![0; BLOCK];
    let mut total = 0;
    loop {
        match from.read(&mut buffer).expect("readable") {
            0 => return total,
            count => total += count,
        }
    }
}

fn fill(into: &ChildStdin) {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&vec![b'x'; BLOCK]).expect("it is written");
    let mut left = BULK;
    while left > 0 {
        let (mut at, most) = (0, left.min(BLOCK));
        let moved = splice(
            &file,
            Some(&mut at),
            into,
            None,
            most,
            SpliceFFlags::empty(),
        );
        left -= moved.expect("it reads");
    }
}

fn empty(from: &ChildStdout) -> usize {
    let nowhere = File::options().write(true).open("/dev/null");
    let nowhere = nowhere.expect("it is there");
    let mut total = 0;
    loop {
        let moved = splice(from, None, &nowhere, None, BLOCK, SpliceFFlags::empty());
        match moved.expect("readable") {
            0 => return total,
            count => total += count,
        }
    }
}

fn echo() {
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for _ in 0..ROUNDS {
        ours.push(echo_round());
        theirs.extend(sockperf());
    }
    let ours = median(&mut ours);
    println!("echo, 64 bytes, one connection, p50 of the round trip:");
    println!("  socklab  {ours:?}");
    if theirs.is_empty() {
        println!("  sockperf is not here");
        return;
    }
    let theirs = median(&mut theirs);
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    println!("  sockperf {theirs:?}; socklab takes {ratio:.2} times as long");
}

/// The median round trip to `tcp listen --echo`.
fn echo_round() -> Duration {
    let port = free_port();
    let command = format!("{SOCKLAB} tcp listen 127.0.0.1:{port} --echo --opt nodelay");
    let server = start(&words(&command));
    wait_for(port);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connect");
    stream.set_nodelay(true).expect("TCP_NODELAY");
    let mut message = [b'x'; 64];
    let mut times: Vec<Duration> = (0..ECHOES)
        .map(|_| {
            let begun = Instant::now();
            stream.write_all(&message).expect("send");
            stream.read_exact(&mut message).expect("its echo");
            begun.elapsed()
        })
        .collect();
    end(server);
    median(&mut times)
}

/// The median round trip that sockperf's client measures to its server; none
/// where it is not installed.
fn sockperf() -> Option<Duration> {
    let port = free_port();
    let server = Command::new("sockperf")
        .args(words(&format!("server --tcp -i 127.0.0.1 -p {port}")))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    wait_for(port);
    let client = Command::new("sockperf")
        .args(words(&format!(
            "ping-pong --tcp -i 127.0.0.1 -p {port} -m 64 -t 2"
        )))
        .stderr(Stdio::null())
        .stdout(Stdio::piped())
        .spawn();
    let out = BufReader::new(client.ok()?.stdout.take()?);
    let line = out
        .lines()
        .map_while(Result::ok)
        .find(|line| line.contains("percentile 50.000"));
    end(server);
    // It prints half of the round trip.
    let half: f64 = line?.rsplit('=').next()?.trim().parse().ok()?;
    Some(Duration::from_secs_f64(half * 2e-6))
}

fn start(command: &[String]) -> Child {
    Command::new(&command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    listener.local_addr().expect("its address").port()
}

/// Waits until somebody listens there.
fn wait_for(port: u16) {
    let place = format!("0100007F:{port:04X} 00000000:0000 0A");
    let listens = || {
        let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
        table.contains(&place)
    };
    while !listens() {
        thread::yield_now();
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}
