//! What it costs to serve many: 10,000 idle clients of the epoll loop, and
//! connections opened, used once and closed, beside those of the thread model and
//! of `ncat --keep-open --exec /bin/cat`, in the same run.
//!
//! `cargo bench --bench serve`. Ends with an error where a target is missed:
//! under 4 KiB a client, at least 5 times ncat, at least the thread model.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

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

    let (epoll, thread) = (server("epoll"), server("thread"));
    let ncat = Ncat::start();
    let servers = [epoll.address, thread.address, ncat.address];
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
    let is_met = per_client < 4096 && epoll >= 5.0 * ncat && epoll >= thread;
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

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

struct Ncat {
    child: Child,
    address: SocketAddr,
}

impl Ncat {
    fn start() -> Self {
        // A port that was free a moment ago.
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let mut command = Command::new("ncat");
        command.args(["--listen", "--keep-open", "--max-conns", "1000"]);
        command.args([
            "--exec",
            "/bin/cat",
            "127.0.0.1",
            &address.port().to_string(),
        ]);
        command.stdin(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("ncat is installed");
        while TcpStream::connect(address).is_err() {
            std::thread::yield_now();
        }
        Self { child, address }
    }
}

impl Drop for Ncat {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
