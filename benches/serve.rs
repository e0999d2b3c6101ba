//! What it costs to serve many: 10,000 idle clients of the epoll loop, and
//! connections opened, used once and closed, beside those of the thread model and
//! of `ncat --keep-open --exec /bin/cat`, in the same run.
//!
//! `cargo bench --bench serve`. Ends with an error where a target is missed:
//! under 4 KiB a client, at least 5 times ncat, at least the thread model, and a
//! round trip of 64 bytes at most 1.05 times that of sockperf's ping-pong.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, setrlimit};
use socklab::serve::measure::{Crowd, Subject, churn};

const CLIENTS: usize = 10_000;
const ROUNDS: usize = 5;
const TIME: Duration = Duration::from_secs(1);
/// Connections at the same time.
const AT_ONCE: usize = 16;

fn main() -> ExitCode {
    let descriptors = CLIENTS as u64 + 100;
    setrlimit(
        Resource::RLIMIT_NOFILE,
        descriptors,
        descriptors.max(20_000),
    )
    .expect("descriptors");
    let per_client = idle();
    println!("{CLIENTS} idle clients, epoll: {per_client} bytes each (target: under 4096)");

    let models = [server("epoll"), server("thread")];
    let ncat = Ncat::start();
    let servers = [models[0].address, models[1].address, ncat.address];
    let mut rates = [const { Vec::new() }; 3];
    // In turn, so that whatever else this machine does meets all alike.
    for _ in 0..ROUNDS {
        for (rates, address) in rates.iter_mut().zip(servers) {
            rates.push(rate(address));
        }
    }
    let [epoll, thread, ncat] = rates.map(median);
    println!("connect, echo, close: epoll {epoll:.0}/s, thread {thread:.0}/s, ncat {ncat:.0}/s");
    println!("epoll / ncat: {:.1} (target: 5)", epoll / ncat);
    println!("epoll / thread: {:.2} (target: 1)", epoll / thread);
    let [of_epoll, of_thread] = models.map(|model| model.snapshot().cpu);
    println!("server's CPU in the same time: epoll {of_epoll:.2?}, thread {of_thread:.2?}");
    let slowness = echo();
    println!("echo, the faster model / sockperf: {slowness:.2} (target: 1.05 at most)");
    let is_met = per_client < 4096 && epoll >= 5.0 * ncat && epoll >= thread && slowness <= 1.05;
    ExitCode::from(u8::from(!is_met))
}

fn server(model: &str) -> Subject {
    let mut command = Command::new(env!("CARGO_BIN_EXE_socklab"));
    command.args([
        "tcp",
        "listen",
        "127.0.0.1:0",
        "--measured",
        "--model",
        model,
    ]);
    Subject::start(command).expect("it listens")
}

/// The memory that each of many idle clients adds, each of which has had its
/// echo.
fn idle() -> u64 {
    let server = server("epoll");
    let before = server.snapshot().memory;
    let crowd = Crowd::gather(server.address, CLIENTS).expect("they connect");
    assert_eq!(crowd.answered(), CLIENTS, "all were answered");
    let grown = server.snapshot().memory - before;
    grown / CLIENTS as u64
}

/// Connections a second.
#[expect(clippy::cast_precision_loss, reason = "three digits matter")]
fn rate(address: SocketAddr) -> f64 {
    let churn = churn(address, AT_ONCE, TIME).expect("they connect");
    assert_eq!(churn.failed, 0, "{address}");
    churn.done as f64 / churn.took.as_secs_f64()
}

/// The median round trip of one connection's 64 bytes, of the faster of two
/// models, as a multiple of sockperf's own.
fn echo() -> f64 {
    let (epoll, thread) = (server("epoll"), server("thread"));
    let port = free_port();
    let mut theirs = Command::new("sockperf");
    theirs.args([
        "server",
        "--tcp",
        "-i",
        "127.0.0.1",
        "-p",
        &port.to_string(),
    ]);
    theirs.stdout(Stdio::null()).stderr(Stdio::null());
    let _theirs = Ended(theirs.spawn().expect("sockperf is installed"));
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        std::thread::yield_now();
    }
    let mut trips = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        trips[0].push(round_trip(epoll.address));
        trips[1].push(round_trip(thread.address));
        trips[2].push(sockperf(port));
    }
    // The quietest round of each: others use this machine too.
    let [epoll, thread, sockperf] = trips.map(least);
    println!(
        "echo of 64 bytes, p50: epoll {epoll:.2} µs, thread {thread:.2} µs, sockperf {sockperf:.2} µs"
    );
    epoll.min(thread) / sockperf
}

/// The median round trip in microseconds.
fn round_trip(address: SocketAddr) -> f64 {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_nodelay(true).expect("TCP_NODELAY");
    let (mut times, began) = (Vec::new(), Instant::now());
    let mut buffer = [7; 64];
    while began.elapsed() < TIME {
        let asked = Instant::now();
        stream.write_all(&buffer).expect("it is sent");
        stream.read_exact(&mut buffer).expect("an echo");
        times.push(asked.elapsed().as_secs_f64() * 1e6);
    }
    median(times)
}

/// The median round trip in microseconds, of which sockperf tells half.
fn sockperf(port: u16) -> f64 {
    let output = Command::new("sockperf")
        .args([
            "ping-pong",
            "--tcp",
            "-i",
            "127.0.0.1",
            "-p",
            &port.to_string(),
        ])
        .args(["-m", "64", "-t", "1"])
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = told.lines();
    let line = lines.find(|line| line.contains("percentile 50.000"));
    let number = line.and_then(|line| line.rsplit('=').next());
    let half: f64 = number
        .and_then(|text| text.trim().parse().ok())
        .expect(&told);
    2.0 * half
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    free.local_addr().expect("an address").port()
}

/// A program that ends with the value.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn least(times: Vec<f64>) -> f64 {
    times.into_iter().fold(f64::INFINITY, f64::min)
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

struct Ncat {
    _child: Ended,
    address: SocketAddr,
}

impl Ncat {
    fn start() -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut command = Command::new("ncat");
        command.args(["--listen", "--keep-open", "--max-conns", "1000"]);
        command.args([
            "--exec",
            "/bin/cat",
            "127.0.0.1",
            &address.port().to_string(),
        ]);
        command.stdin(Stdio::null()).stderr(Stdio::null());
        let child = Ended(command.spawn().expect("ncat is installed"));
        while TcpStream::connect(address).is_err() {
            std::thread::yield_now();
        }
        Self {
            _child: child,
            address,
        }
    }
}
