//! What a proxy costs: one download, 10,000 idle tunnels, and connections
//! opened, used once and closed, beside `microsocks` in the same run.
//!
//! `cargo bench --bench proxy`. Ends with an error where a target is missed: at
//! least twice its throughput, under 16 KiB an idle tunnel, at least its rate.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{MsgFlags, recv};
use socklab::serve::measure::{Subject, bound};

const TUNNELS: usize = 10_000;
const ROUNDS: usize = 5;
/// What is downloaded.
const LENGTH: usize = 1 << 30;
/// What the served file holds; it is sent as often as needed.
const FILE: usize = 16 << 20;
/// How long connections are opened for.
const TIME: Duration = Duration::from_secs(1);
/// Connections at the same time: enough that no processor waits for one.
const AT_ONCE: usize = 32;
const WORD: &[u8] = b"hello";

fn main() -> ExitCode {
    let tunnels = tunnels();
    let each = idle(tunnels);
    println!("{tunnels} idle tunnels: {each} bytes each (target: under 16384)");

    let (ours, theirs) = (ours(), Microsocks::start());
    let proxies = [ours.address, theirs.address];
    let (source, echo) = (source(), echo());
    let direct = median((0..ROUNDS).map(|_| download(None, source)).collect());
    // In turn, so that whatever else this machine does meets all alike.
    let [down, their_down] = in_turn(proxies, |proxy| download(Some(proxy), source));
    println!(
        "one download: direct {direct:.2} GB/s, socklab {down:.2} GB/s, \
         microsocks {their_down:.2} GB/s"
    );
    let [rate, their_rate] = in_turn(proxies, |proxy| churn(proxy, echo.address));
    println!("connect, ask, echo, close: socklab {rate:.0}/s, microsocks {their_rate:.0}/s");
    println!(
        "download, socklab / microsocks: {:.2} (target: 2)",
        down / their_down
    );
    println!(
        "connections, socklab / microsocks: {:.2} (target: 1)",
        rate / their_rate
    );
    let is_met = each < 16_384 && down >= 2.0 * their_down && rate >= their_rate;
    ExitCode::from(u8::from(!is_met))
}

/// 10,000, or, where no process may have the descriptors of so many, almost as
/// many as it may.
fn tunnels() -> usize {
    const SPARE: usize = 200;
    let wanted = (2 * TUNNELS + SPARE) as u64;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    let limit = match setrlimit(Resource::RLIMIT_NOFILE, wanted, wanted.max(hard)) {
        Ok(()) => wanted,
        Err(_) => hard,
    };
    setrlimit(Resource::RLIMIT_NOFILE, limit, limit.max(hard)).expect("our own limit");
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    (limit.saturating_sub(SPARE) / 2).min(TUNNELS)
}

fn ours() -> Subject {
    let mut command = Command::new(env!("CARGO_BIN_EXE_socklab"));
    command.args([
        "proxy",
        "serve",
        "127.0.0.1:0",
        "--max-connections",
        "20000",
    ]);
    Subject::start(command).expect("it listens")
}

fn in_turn(proxies: [SocketAddr; 2], measure: impl Fn(SocketAddr) -> f64) -> [f64; 2] {
    let mut all = [const { Vec::new() }; 2];
    for _ in 0..ROUNDS {
        for (all, proxy) in all.iter_mut().zip(proxies) {
            all.push(measure(proxy));
        }
    }
    all.map(median)
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// The memory that each of many tunnels adds that have carried a word each way.
fn idle(count: usize) -> u64 {
    let (proxy, echo) = (ours(), echo());
    talk(&mut through(proxy.address, echo.address).expect("a tunnel")).expect("an echo");
    let before = proxy.snapshot().memory;
    let mut tunnels = Vec::with_capacity(count);
    for _ in 0..count {
        let mut tunnel = through(proxy.address, echo.address).expect("a tunnel");
        talk(&mut tunnel).expect("an echo");
        tunnels.push(tunnel);
    }
    let snapshot = proxy.snapshot();
    assert!(
        snapshot.descriptors < 2 * count + 200,
        "idle tunnels hold two descriptors each: {}",
        snapshot.descriptors
    );
    (snapshot.memory - before) / count as u64
}

/// Gigabytes a second.
#[expect(clippy::cast_precision_loss, reason = "three digits matter")]
fn download(proxy: Option<SocketAddr>, source: SocketAddr) -> f64 {
    let stream = match proxy {
        Some(proxy) => through(proxy, source),
        None => TcpStream::connect(source),
    };
    let stream = stream.expect("a connection");
    let mut buffer = vec![0; 4 << 20];
    let (began, mut length) = (Instant::now(), 0);
    while length < LENGTH {
        // Thrown away by the kernel: what is measured is the proxy.
        let count = recv(stream.as_raw_fd(), &mut buffer, MsgFlags::MSG_TRUNC);
        let count = count.expect("more of it");
        assert!(count > 0, "the download is whole");
        length += count;
    }
    length as f64 / began.elapsed().as_secs_f64() / 1e9
}

/// Connections a second.
#[expect(clippy::cast_precision_loss, reason = "three digits matter")]
fn churn(proxy: SocketAddr, echo: SocketAddr) -> f64 {
    let done = AtomicU64::new(0);
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while began.elapsed() < TIME {
                    let mut tunnel = through(proxy, echo).expect("a tunnel");
                    talk(&mut tunnel).expect("an echo");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    done.into_inner() as f64 / began.elapsed().as_secs_f64()
}

/// A tunnel by SOCKS5.
fn through(proxy: SocketAddr, to: SocketAddr) -> io::Result<TcpStream> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    // From one address to one other there are ports for a second or two: loopback has many of both.
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let [.., host] = number.to_be_bytes();
    let destination = Ipv4Addr::new(127, 0, 2, host);
    let socket = bound(number)?;
    socket.connect(&proxy.into())?;
    let mut stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.write_all(&[5, 1, 0])?;
    let mut reply = [0; 10];
    stream.read_exact(&mut reply[..2])?;
    let mut request = vec![5, 1, 0, 1];
    request.extend(destination.octets());
    request.extend(to.port().to_be_bytes());
    stream.write_all(&request)?;
    stream.read_exact(&mut reply)?;
    assert_eq!(reply[..2], [5, 0], "it is granted");
    Ok(stream)
}

fn talk(tunnel: &mut TcpStream) -> io::Result<()> {
    tunnel.write_all(WORD)?;
    let mut echo = [0; WORD.len()];
    tunnel.read_exact(&mut echo)
}

/// A server that sends without end.
fn source() -> SocketAddr {
    let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || pour(&client));
        }
    });
    address
}

/// Sends until nobody listens, without copying.
fn pour(client: &TcpStream) {
    let mut file: File = tempfile::tempfile().expect("a file");
    file.write_all(&vec![b'x'; FILE]).expect("it is written");
    loop {
        file.rewind().expect("it is a file");
        let sent = nix::sys::sendfile::sendfile(client, file.as_fd(), None, FILE);
        if sent.is_err() {
            return;
        }
    }
}

/// A server that says everything back, in one loop: it must not be what is
/// measured.
fn echo() -> Subject {
    let mut command = Command::new(env!("CARGO_BIN_EXE_socklab"));
    command.args([
        "tcp",
        "listen",
        "0.0.0.0:0",
        "--measured",
        "--model",
        "epoll",
    ]);
    Subject::start(command).expect("it listens")
}

struct Microsocks {
    child: Child,
    address: SocketAddr,
}

impl Microsocks {
    fn start() -> Self {
        // A port that was free a moment ago.
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let mut command = Command::new("microsocks");
        command.args(["-i", "127.0.0.1", "-p", &address.port().to_string()]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("microsocks is installed");
        while TcpStream::connect(address).is_err() {
            thread::yield_now();
        }
        Self { child, address }
    }
}

impl Drop for Microsocks {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
