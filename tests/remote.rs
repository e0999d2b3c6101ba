//! `socklab compare --listen` and `socklab compare HOST`: what they say of a
//! real way, and what the server does with clients that mean no good.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use support::program::{As, Program, text};

/// A server on a port of its own, and what it logs.
struct Server {
    child: Child,
    log: BufReader<ChildStderr>,
    address: SocketAddr,
}

impl Server {
    fn start(program: &Program, options: &[&str]) -> Self {
        let mut command = Command::new(program.path());
        command.args(["compare", "--listen", "127.0.0.1:0"]);
        Self::spawn(command.args(options))
    }

    fn spawn(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
        let mut log = BufReader::new(child.stderr.take().expect("piped"));
        let mut line = String::new();
        log.read_line(&mut line).expect("a line");
        let address = line
            .strip_prefix("socklab: listening on ")
            .and_then(|rest| rest.split(',').next())
            .and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("no address in {line:?}"));
        Self {
            child,
            log,
            address,
        }
    }

    /// Waits for a line of the log with these words.
    fn says(&mut self, words: &str) -> String {
        loop {
            let mut line = String::new();
            let count = self.log.read_line(&mut line).expect("a line");
            assert!(count > 0, "it ended without saying {words:?}");
            if line.contains(words) {
                return line;
            }
        }
    }

    /// Ctrl-C, and everything else that it logged.
    fn stop(mut self) -> String {
        interrupt(&self.child);
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).expect("UTF-8");
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "{status}: {rest}");
        rest
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        let patience = Some(Duration::from_secs(60));
        stream.set_read_timeout(patience).expect("a time-out");
        stream
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Where it has ended there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn interrupt(child: &Child) {
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    kill(pid, Signal::SIGINT).expect("kill");
}

fn frame(message: &Value) -> Vec<u8> {
    let body = message.to_string();
    let length = u32::try_from(body.len()).expect("short");
    [&length.to_be_bytes()[..], body.as_bytes()].concat()
}

fn say(mut stream: &TcpStream, message: &Value) {
    stream.write_all(&frame(message)).expect("it is sent");
}

fn hear(mut stream: &TcpStream) -> Value {
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("a length");
    let mut body = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut body).expect("a body");
    serde_json::from_slice(&body).expect("JSON")
}

fn hello() -> Value {
    json!({"say": "hello", "version": 1})
}

fn plan(kinds: &[&str]) -> Value {
    let kinds: Vec<_> = kinds
        .iter()
        .map(|kind| json!({"kind": kind, "echo": null, "protocol": null}))
        .collect();
    json!({"say": "plan", "kinds": kinds, "count": 10, "size": 100, "bytes": 1000,
           "duration_ns": 0, "patience_ns": 0, "timeout_ns": 0, "seed": 0})
}

/// A datagram that asks for the proof of an address.
fn question(token: &str, kind: u8) -> Vec<u8> {
    let token = hex::decode(token).expect("hexadecimal");
    [b"SLQ1", &token[..], &[kind]].concat()
}

/// A client that means well: its result.
fn client(program: &Program, address: SocketAddr, options: &[&str]) -> Value {
    let host = address.to_string();
    let mut command = Command::new(program.path());
    command.args(["compare", &host, "--json"]).args(options);
    result(&command.output().expect("it runs"))
}

fn result(output: &Output) -> Value {
    let said = text(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    let out = text(&output.stdout);
    let last = out.lines().last().unwrap_or_else(|| panic!("{said}"));
    let last: Value = serde_json::from_str(last).expect("JSON");
    assert!(
        last["environment"]["stage"]
            .as_str()
            .is_some_and(|stage| stage.starts_with("real network")),
        "{last}"
    );
    last["result"].clone()
}

fn kind<'a>(result: &'a Value, name: &str) -> &'a Value {
    let mut kinds = result["kinds"].as_array().expect("kinds").iter();
    kinds.find(|kind| kind["kind"] == name).expect("the kind")
}

/// Client and server on the two hosts of a lab, with these options of the lab's.
fn through_the_lab(program: &Program, lab: &[&str], client: &[&str]) -> Option<Output> {
    if !support::may_make_namespaces("a lab") {
        return None;
    }
    let binary = program.path().display().to_string();
    let server = format!("{binary} compare --listen");
    let mut command = program.command(As::Myself, &["lab"])?;
    command.args(lab);
    command.args(["--server", &server, "--ready", "tcp:5073", "--"]);
    command.args([&binary, "compare", "server", "--json"]);
    Some(command.args(client).output().expect("it runs"))
}

#[test]
fn losses_are_the_links_own_and_the_clocks_agree() {
    let program = Program::new();
    let folder = tempfile::tempdir().expect("a temporary folder");
    for family in ["-4", "-6"] {
        let path = folder.path().join(family).display().to_string();
        let lab = [
            "--delay", "10ms", "--loss", "5%", "--seed", "7", "--fates", &path,
        ];
        let Some(output) = through_the_lab(&program, &lab, &[family, "-c", "200"]) else {
            return;
        };
        let result = result(&output);
        let fates = std::fs::read_to_string(&path).expect("the file of fates");
        let udp: Vec<Value> = fates
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .filter(|packet: &Value| packet["protocol"] == "udp")
            .collect();
        let up = |packet: &&Value| packet["direction"] == "client_to_server";
        let length = |packet: &Value| packet["length_bytes"].as_u64().expect("a length");
        // Proofs of address are shorter than messages.
        let lost = udp
            .iter()
            .filter(|packet| up(packet) && length(packet) > 100 && packet["fate"] == "lost");
        let lost = lost.count();
        assert!(lost > 0, "the link lost something");
        assert_eq!(kind(&result, "udp")["lost"], lost, "{result}");
        assert_eq!(kind(&result, "tcp")["lost"], 0);
        assert_eq!(kind(&result, "raw-icmp")["refused"], Value::Null);
        // The server never sends more than it got.
        let asked = udp
            .iter()
            .filter(|packet| up(packet) && length(packet) < 100);
        let answers: Vec<_> = udp.iter().filter(|packet| !up(packet)).collect();
        assert!(answers.len() <= asked.clone().count(), "{answers:?}");
        let longest = asked.map(length).max();
        assert!(answers.iter().all(|answer| Some(length(answer)) <= longest));
        // Both ends have the same clock.
        let clocks = &result["clocks"];
        let offset = clocks["offset_ns"].as_i64().expect("a number");
        let uncertainty = clocks["uncertainty_ns"].as_u64().expect("a number");
        assert!(offset.unsigned_abs() <= uncertainty, "{clocks}");
        assert!(uncertainty >= 10_000_000, "half a round trip: {clocks}");
        assert!(clocks["round_trip_min_ns"].as_u64() >= Some(20_000_000));
    }
}

#[test]
fn a_firewall_is_a_row_that_says_so() {
    let program = Program::new();
    let lab = ["--drop", "c2s udp"];
    let Some(output) = through_the_lab(&program, &lab, &["-c", "10"]) else {
        return;
    };
    let result = result(&output);
    let why = kind(&result, "udp")["refused"].as_str().expect("a reason");
    assert!(why.contains("a firewall may drop"), "{why}");
    assert_eq!(kind(&result, "tcp")["delivered"], 10);
    assert_eq!(kind(&result, "raw-icmp")["delivered"], 10);
}

#[test]
fn two_hundred_bad_clients_and_then_a_good_one() {
    let program = Program::new();
    let mut server = Server::start(&program, &[]);
    let token = "00".repeat(16);
    let bad: [Vec<u8>; 8] = [
        Vec::new(),
        b"GET / HTTP/1.1\r\nHost: server\r\n\r\n".to_vec(),
        vec![0xff; 5000],
        frame(&hello())[..9].to_vec(),
        frame(&json!({"say": "attach", "token": token, "kind": "tcp"})),
        frame(&json!({"say": "hello", "version": 99})),
        frame(&json!({"say": "go"})),
        [frame(&hello()), frame(&json!({"say": "end", "sent": 7}))].concat(),
    ];
    for bytes in bad.iter().cycle().take(200) {
        let stream = server.connect();
        // It may have closed already: that is its right.
        let _ = (&stream).write_all(bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let _ = (&stream).read_to_end(&mut Vec::new());
    }
    let result = client(&program, server.address, &["-c", "20"]);
    assert_eq!(kind(&result, "tcp")["delivered"], 20, "{result}");
    assert_eq!(kind(&result, "udp")["delivered"], 20, "{result}");
    server.says("20 messages sent; arrived: tcp 20, udp 20");
    let again = client(&program, server.address, &["-c", "5"]);
    assert_eq!(kind(&again, "udp")["delivered"], 5, "{again}");
    server.stop();
}

#[test]
fn each_bad_client_is_one_line_that_says_why() {
    let program = Program::new();
    let mut server = Server::start(&program, &[]);
    let token = "00".repeat(16);
    for (bytes, words) in [
        (Vec::new(), "it closed the connection"),
        (
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            "a frame of 1195725856 bytes",
        ),
        (frame(&hello())[..9].to_vec(), "it closed the connection"),
        (
            frame(&json!({"say": "attach", "token": token, "kind": "tcp"})),
            "a wrong token",
        ),
        (frame(&json!({"say": "hello", "version": 99})), "version 99"),
        (
            frame(&json!({"say": "go"})),
            "\"go\" while the session is not open",
        ),
        (b"\0\0\0\x02{}".to_vec(), "no message of this protocol"),
    ] {
        let stream = server.connect();
        (&stream).write_all(&bytes).expect("it is sent");
        stream.shutdown(Shutdown::Write).expect("it is ended");
        let line = server.says("");
        assert!(line.contains(words), "{words}: {line}");
        let peer = stream.local_addr().expect("an address").to_string();
        assert!(line.contains(&peer), "{line}");
    }
    server.stop();
}

#[test]
fn the_fifth_session_is_told_to_try_again() {
    let program = Program::new();
    let server = Server::start(&program, &[]);
    let sessions: Vec<_> = (0..4)
        .map(|_| {
            let stream = server.connect();
            say(&stream, &hello());
            assert_eq!(hear(&stream)["say"], "welcome");
            stream
        })
        .collect();
    let host = server.address.to_string();
    let fifth = Command::new(program.path())
        .args(["compare", &host])
        .output()
        .expect("it runs");
    let said = text(&fifth.stderr);
    assert_eq!(fifth.status.code(), Some(1), "{said}");
    assert!(
        said.contains("busy: ") && said.contains("try again"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
    drop(sessions);
}

/// No datagram is answered that does not know the session's token, or that does
/// not come from the session's own address.
#[test]
fn a_datagram_without_the_token_gets_no_answer() {
    let program = Program::new();
    let server = Server::start(&program, &[]);
    let control = server.connect();
    say(&control, &hello());
    let welcome = hear(&control);
    let token = welcome["token"].as_str().expect("a token");
    say(&control, &plan(&["udp"]));
    assert_eq!(hear(&control)["say"], "ready");
    let (here, elsewhere) = (socket("127.0.0.1:0"), socket("127.0.0.2:0"));
    // The third of all kinds is UDP.
    let (right, wrong) = (question(token, 2), question(&"00".repeat(16), 2));
    for number in 0..10 {
        for bytes in [&wrong[..], &[number; 21], &[number; 1000], &[]] {
            here.send_to(bytes, server.address).expect("it is sent");
        }
        elsewhere
            .send_to(&right, server.address)
            .expect("it is sent");
    }
    // Datagrams are served in their order: with the last one answered, all
    // others have been looked at.
    here.send_to(&right, server.address).expect("it is sent");
    let mut answer = [0; 2000];
    let (length, from) = here.recv_from(&mut answer).expect("an answer");
    assert_eq!(from, server.address);
    assert_eq!(length, right.len());
    assert_eq!(&answer[..4], b"SLA1");
    for socket in [&here, &elsewhere] {
        socket.set_nonblocking(true).expect("it is set");
        let more = socket.recv_from(&mut answer);
        assert!(more.is_err(), "{more:?}");
    }
    server.stop();
}

fn socket(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).expect("an address of loopback");
    let patience = Some(Duration::from_secs(60));
    socket.set_read_timeout(patience).expect("a time-out");
    socket
}

/// The command as a user without any privilege.
fn as_nobody(program: &Program) -> Option<Command> {
    if !nix::unistd::geteuid().is_root() {
        support::skipped("running as nobody", "root");
        return None;
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    command.args(["--bounding-set", "-all", "--inh-caps", "-all"]);
    command.arg(program.path());
    Some(command)
}

#[test]
fn who_may_not_open_raw_sockets_has_a_row_that_says_so() {
    let program = Program::new();
    let Some(mut nobody) = as_nobody(&program) else {
        return;
    };
    let server = Server::start(&program, &[]);
    let host = server.address.to_string();
    nobody.args(["compare", &host, "--json", "-c", "5"]);
    let one = result(&nobody.output().expect("it runs"));
    let why = kind(&one, "raw-icmp")["refused"].as_str().expect("why");
    assert!(
        why.contains("refused by this host") && why.contains("EPERM"),
        "{why}"
    );
    assert_eq!(kind(&one, "udp")["delivered"], 5);
    server.stop();
    let mut nobody = as_nobody(&program).expect("root");
    let server = Server::spawn(nobody.args(["compare", "--listen", "127.0.0.1:0"]));
    let other = client(&program, server.address, &["-c", "5"]);
    let why = kind(&other, "raw-icmp")["refused"].as_str().expect("why");
    assert!(
        why.contains("refused by the server") && why.contains("EPERM"),
        "{why}"
    );
    assert_eq!(kind(&other, "tcp")["delivered"], 5);
    server.stop();
}

#[test]
fn variants_share_the_server_at_once_and_in_turn() {
    let program = Program::new();
    let mut server = Server::start(&program, &[]);
    let kinds = "tcp,tcp-nodelay,udp,udp-connected,raw-icmp,raw-ip";
    for order in ["--at-once", "--sequential"] {
        let options = ["--kinds", kinds, "-c", "20", "-s", "24..900", order];
        let result = client(&program, server.address, &options);
        for name in kinds.split(',') {
            let kind = kind(&result, name);
            let expected = if nix::unistd::geteuid().is_root() || !name.starts_with("raw") {
                json!(20)
            } else {
                Value::Null
            };
            assert_eq!(kind["delivered"], expected, "{order} {kind}");
        }
        server.says("20 messages sent");
    }
    server.stop();
}

/// A client in the middle of a run that would take an hour.
fn started(
    program: &Program,
    address: SocketAddr,
) -> (Child, BufReader<std::process::ChildStdout>) {
    let host = address.to_string();
    let mut child = Command::new(program.path())
        .args(["compare", &host, "--json", "-c", "1000", "-i", "500"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    while !(line.contains("\"udp client\",\"name\":\"sendto\"") && line.contains("100 bytes")) {
        line.clear();
        assert!(lines.read_line(&mut line).expect("a line") > 0, "it ended");
    }
    (child, lines)
}

fn ended(child: Child, mut lines: impl Read) -> (Value, String) {
    let mut rest = String::new();
    lines.read_to_string(&mut rest).expect("UTF-8");
    let output = child.wait_with_output().expect("it ends");
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    let last = rest.lines().last().expect("a line");
    let last: Value = serde_json::from_str(last).expect("JSON");
    (last["result"].clone(), said)
}

#[test]
fn either_side_may_stop_and_what_is_known_is_told() {
    let program = Program::new();
    let mut server = Server::start(&program, &[]);
    let (child, lines) = started(&program, server.address);
    interrupt(&child);
    let (result, said) = ended(child, lines);
    assert!(said.contains("interrupted after 1 of 1000"), "{said}");
    assert_eq!(kind(&result, "udp")["delivered"], 1, "{result}");
    server.says("1 message sent");
    let (child, lines) = started(&program, server.address);
    let log = server.stop();
    assert!(log.contains("the server was stopped"), "{log}");
    let (result, said) = ended(child, lines);
    assert!(said.contains("the server was stopped"), "{said}");
    assert_eq!(kind(&result, "tcp")["delivered"], 1, "{result}");
}

#[test]
fn a_client_that_vanishes_makes_room() {
    let program = Program::new();
    let mut server = Server::start(&program, &["--max-sessions", "1"]);
    let (mut child, _lines) = started(&program, server.address);
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    server.says("closed");
    let result = client(&program, server.address, &["-c", "5"]);
    assert_eq!(kind(&result, "udp")["delivered"], 5, "{result}");
    server.stop();
}

#[test]
fn a_plan_beyond_the_limits_is_refused_with_the_limit() {
    let program = Program::new();
    let options = [
        "--max-messages",
        "50",
        "--max-size",
        "200",
        "--max-rate",
        "1mbit",
    ];
    let server = Server::start(&program, &options);
    let host = server.address.to_string();
    for (options, words) in [
        (&["-c", "51"][..], "1 to 50 messages"),
        (&["-c", "5", "-s", "201"], "24 to 200 bytes"),
        (&["-c", "50", "-s", "200", "-i", "3600000"], "600 seconds"),
    ] {
        let mut command = Command::new(program.path());
        let output = command.args(["compare", &host]).args(options).output();
        let output = output.expect("it runs");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(words), "{said}");
    }
    server.stop();
}

#[test]
fn nobody_listens_and_nothing_else_does() {
    let program = Program::new();
    let port = TcpStream::connect("127.0.0.1:1").map_err(|error| error.kind());
    assert_eq!(port.err(), Some(std::io::ErrorKind::ConnectionRefused));
    for (arguments, code, words) in [
        (
            &["127.0.0.1:1"][..],
            1,
            "is `socklab compare --listen` running there?",
        ),
        (&["127.0.0.1:x"], 2, "a port is 0 to 65535"),
        (&["127.0.0.1", "--loss", "5%"], 2, "a real network"),
        (&["--listen", "--delay", "5ms"], 2, "a real network"),
    ] {
        let mut command = Command::new(program.path());
        let output = command
            .arg("compare")
            .args(arguments)
            .output()
            .expect("it runs");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(words), "{said}");
    }
}
