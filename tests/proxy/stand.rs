//! Where the tests play: a network namespace, the proxy in it, servers behind
//! it, and a client that speaks byte by byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::thread;

use nix::sched::{CloneFlags, unshare};

use crate::support;

pub const SOCKLAB: &str = env!("CARGO_BIN_EXE_socklab");

/// Runs `test` on a thread in a network namespace of its own, where loopback is
/// up, every port is free, and names are those of `HOSTS`.
pub fn alone(what: &str, test: impl FnOnce() + Send + 'static) {
    if !support::may_make_namespaces(what) {
        return;
    }
    let stage = move || {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("namespaces");
        let names = tempfile::tempdir().expect("a folder");
        sh("mount --make-rprivate / && ip link set lo up");
        for (file, text) in [("hosts", HOSTS), ("resolv.conf", RESOLVER)] {
            let own = names.path().join(file);
            std::fs::write(&own, text).expect("it is written");
            sh(&format!("mount --bind {} /etc/{file}", own.display()));
        }
        test();
    };
    thread::spawn(stage).join().expect("the test passes");
}

const HOSTS: &str = "127.0.0.1 localhost four.test\n::1 six.test\n";
/// Nobody answers there, at once.
const RESOLVER: &str = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n";

pub fn sh(script: &str) {
    let status = Command::new("sh").args(["-ec", script]).status();
    assert!(status.expect("sh runs").success(), "{script}");
}

/// A program that is killed when the test is over.
pub struct Running {
    pub child: Child,
    told: BufReader<ChildStderr>,
}

impl Running {
    pub fn start(program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments);
        Self::begin(command)
    }

    pub fn begin(mut command: Command) -> Self {
        let mut child = command
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let told = BufReader::new(child.stderr.take().expect("piped"));
        Self { child, told }
    }

    /// The first line on standard error that has these words.
    pub fn until(&mut self, words: &str) -> String {
        let all = self.through(words);
        all.lines().last().unwrap_or_default().to_owned() + "\n"
    }

    /// All lines on standard error up to the first that has these words.
    pub fn through(&mut self, words: &str) -> String {
        let mut all = String::new();
        loop {
            let mut line = String::new();
            let count = self.told.read_line(&mut line).expect("readable");
            all.push_str(&line);
            assert!(count > 0, "it never said {words:?}, but: {all}");
            if line.contains(words) {
                return all;
            }
        }
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let id = i32::try_from(self.child.id()).expect("a process number");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), signal).expect("it runs");
    }

    /// Asks it to end: its other words, its output and its exit code.
    pub fn interrupt(mut self) -> (String, String, i32) {
        self.signal(nix::sys::signal::Signal::SIGINT);
        let (mut told, mut out) = (String::new(), String::new());
        self.told.read_to_string(&mut told).expect("UTF-8");
        let stdout = self.child.stdout.as_mut().expect("piped");
        stdout.read_to_string(&mut out).expect("UTF-8");
        let code = self.child.wait().expect("it ends").code();
        (told, out, code.unwrap_or(-1))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The proxy, once it listens.
pub struct Proxy {
    pub running: Running,
    pub address: SocketAddr,
}

impl Proxy {
    pub fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(SOCKLAB);
        command.args(["proxy", "serve"]).args(arguments);
        Self::begin(command)
    }

    pub fn begin(command: Command) -> Self {
        let mut running = Running::begin(command);
        let line = running.until("listening on ");
        let address = line.rsplit("listening on ").next().expect("it is there");
        let address = address.trim().parse().expect("an address");
        Self { running, address }
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the proxy is there");
        stream.set_nodelay(true).expect("an option");
        // A proxy that never answers fails the test instead of hanging it.
        let patience = Some(std::time::Duration::from_secs(60));
        stream.set_read_timeout(patience).expect("an option");
        stream
    }

    /// A tunnel by SOCKS5, without a password.
    pub fn tunnel(&self, to: SocketAddr) -> TcpStream {
        let mut stream = self.connect();
        stream.write_all(&socks5_connect(to)).expect("written");
        assert_eq!(take(&mut stream, 2), [5, 0]);
        assert_eq!(reply(&mut stream), 0, "it is granted");
        stream
    }

    /// What SOCKS5's reply to this request is.
    pub fn answer(&self, request: &[u8]) -> u8 {
        let mut stream = self.connect();
        let whole = [&[5, 1, 0][..], request].concat();
        stream.write_all(&whole).expect("written");
        assert_eq!(take(&mut stream, 2), [5, 0]);
        reply(&mut stream)
    }

    /// The status line of HTTP's answer.
    pub fn status(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("written");
        let mut line = String::new();
        let mut reader = BufReader::new(stream);
        reader.read_line(&mut line).expect("readable");
        line.trim_end().to_owned()
    }
}

/// SOCKS5's greeting and request, all at once.
pub fn socks5_connect(to: SocketAddr) -> Vec<u8> {
    [&[5, 1, 0][..], &request(1, to)].concat()
}

/// SOCKS5's request.
pub fn request(command: u8, to: SocketAddr) -> Vec<u8> {
    let mut bytes = vec![5, command, 0];
    match to {
        SocketAddr::V4(to) => {
            bytes.push(1);
            bytes.extend(to.ip().octets());
        }
        SocketAddr::V6(to) => {
            bytes.push(4);
            bytes.extend(to.ip().octets());
        }
    }
    bytes.extend(to.port().to_be_bytes());
    bytes
}

/// SOCKS5's request for a name.
pub fn request_name(name: &[u8], port: u16) -> Vec<u8> {
    let length = u8::try_from(name.len()).expect("a short name");
    let port = port.to_be_bytes();
    [&[5, 1, 0, 3, length], name, &port].concat()
}

/// SOCKS5's reply: its code.
pub fn reply(stream: &mut TcpStream) -> u8 {
    replied(stream).0
}

/// SOCKS5's reply: its code and its address.
pub fn replied(stream: &mut TcpStream) -> (u8, SocketAddr) {
    let head = take(stream, 4);
    assert_eq!(head[0], 5, "{head:?}");
    let ip: std::net::IpAddr = if head[3] == 4 {
        let octets: [u8; 16] = take(stream, 16).try_into().expect("sixteen");
        octets.into()
    } else {
        let octets: [u8; 4] = take(stream, 4).try_into().expect("four");
        octets.into()
    };
    let port = take(stream, 2).try_into().expect("two");
    (head[1], SocketAddr::new(ip, u16::from_be_bytes(port)))
}

pub fn take(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).expect("so many bytes");
    bytes
}

pub fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("until the end");
    bytes
}

/// A server on this address that gives each client to `attend`.
pub fn serve(address: &str, attend: fn(TcpStream)) -> SocketAddr {
    let listener = TcpListener::bind(address).expect("a free port");
    let own = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || attend(client));
        }
    });
    own
}

/// Says everything back as it comes.
pub fn echo(mut client: TcpStream) {
    let mut buffer = vec![0; 65536];
    while let Ok(count) = client.read(&mut buffer) {
        if count == 0 || client.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
}

/// Says everything back once all has been said.
pub fn echo_late(mut client: TcpStream) {
    let mut all = Vec::new();
    if client.read_to_end(&mut all).is_ok() {
        let _ = client.write_all(&all);
    }
}

/// A web server: one page for all.
pub fn web(mut client: TcpStream) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match client.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let page = b"HTTP/1.0 200 OK\r\nContent-Length: 11\r\n\r\nhello page\n";
    let _ = client.write_all(page);
    let _ = client.shutdown(Shutdown::Write);
}

pub const PAGE: &str = "hello page\n";

/// Runs a program to its end.
pub fn run(program: &str, arguments: &[&str], input: &[u8]) -> Output {
    let mut running = Running::start(program, arguments);
    let mut stdin = running.child.stdin.take().expect("piped");
    let mut stdout = running.child.stdout.take().expect("piped");
    let (mut out, mut told) = (Vec::new(), Vec::new());
    thread::scope(|scope| {
        // A program that has failed reads nothing.
        scope.spawn(move || stdin.write_all(input));
        scope.spawn(|| stdout.read_to_end(&mut out));
        let _ = running.told.read_to_end(&mut told);
    });
    Output {
        status: running.child.wait().expect("it ends"),
        stdout: out,
        stderr: told,
    }
}

/// What a program printed, once it has succeeded.
pub fn printed(program: &str, arguments: &[&str], input: &[u8]) -> String {
    let output = run(program, arguments, input);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {told}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Every byte, and more than any buffer holds.
pub fn bytes(count: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..count).map(|_| next()).collect()
}
