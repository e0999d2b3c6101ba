//! `socklab tcp listen --serve`: a server that knows its clients, with real peers
//! and with clients that mean no good. Waited for is always the event itself.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};
use support::program::text;

/// A server that is spoken to in JSON.
struct Server {
    child: Child,
    orders: Option<ChildStdin>,
    events: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Server {
    fn start(address: &str, options: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_socklab"));
        command.args(["tcp", "listen", address, "--serve", "--control"]);
        command
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
        let mut log = BufReader::new(child.stderr.take().expect("piped"));
        let mut line = String::new();
        log.read_line(&mut line).expect("a line");
        // What else it says must go somewhere.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        let address = line
            .strip_prefix("socklab: listening on ")
            .and_then(|rest| rest.split(';').next())
            .and_then(|address| address.parse().ok());
        Self {
            orders: child.stdin.take(),
            events: BufReader::new(child.stdout.take().expect("piped")),
            child,
            address: address.unwrap_or_else(|| panic!("no address in {line:?}")),
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        // Only so that a server that fails ends the test.
        let patience = Some(Duration::from_secs(60));
        stream.set_read_timeout(patience).expect("a time-out");
        stream
    }

    fn order(&mut self, order: &Value) {
        let orders = self.orders.as_mut().expect("it is open");
        writeln!(orders, "{order}").expect("it reads");
    }

    /// The next event of a type; those before it are passed over.
    fn next(&mut self, kind: &str) -> Value {
        loop {
            let mut line = String::new();
            let count = self.events.read_line(&mut line).expect("UTF-8");
            assert!(count > 0, "it ended before any {kind}");
            let event: Value = serde_json::from_str(&line).expect("JSON");
            if event["type"] == kind {
                return event;
            }
        }
    }

    /// The event by which a client has this name.
    fn next_named(&mut self, handle: u64, name: &str) {
        loop {
            let named = self.next("named");
            if named["handle"] == handle && named["name"] == name {
                return;
            }
        }
    }

    /// A client that has joined, and its handle.
    fn join(&mut self) -> (TcpStream, u64) {
        let client = self.connect();
        let own = client.local_addr().expect("an address").to_string();
        loop {
            let joined = self.next("joined");
            if joined["address"] == own {
                return (client, joined["handle"].as_u64().expect("a number"));
            }
        }
    }

    /// `quit`, and everything that it told after it.
    fn quit(mut self) -> String {
        self.order(&json!({"order": "quit"}));
        let mut rest = String::new();
        self.events.read_to_string(&mut rest).expect("UTF-8");
        assert!(self.child.wait().expect("it ends").success());
        rest
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Where it has ended there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line(client: &TcpStream) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while byte != *b"\n" && (&*client).read(&mut byte).expect("a byte") == 1 {
        line.push(byte[0]);
    }
    text(&line)
}

#[test]
fn clients_are_known_and_spoken_to() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let mut server = Server::start(address, &[]);
        let (first, one) = server.join();
        let (second, two) = server.join();
        (&first)
            .write_all(b"/name Eve\r\nhello\r\n")
            .expect("it is sent");
        // Its address may get its name first.
        server.next_named(one, "Eve");
        let said = server.next("said");
        assert_eq!(
            (&said["handle"], &said["text"]),
            (&one.into(), &"hello".into())
        );

        server.order(&json!({"order": "send", "handle": two, "text": "hi two"}));
        assert_eq!(line(&second), "hi two\n");
        server.order(&json!({"order": "broadcast", "text": "all of you"}));
        assert_eq!(
            (line(&first), line(&second)),
            ("all of you\n".into(), "all of you\n".into())
        );

        server.order(&json!({"order": "list"}));
        let list = server.next("list");
        let clients = list["clients"].as_array().expect("clients");
        assert_eq!(clients.len(), 2);
        assert_eq!(clients[0]["name"], "Eve");
        assert_eq!(clients[0]["bytes_in"], 18);
        assert_eq!(clients[1]["bytes_out"], 18);
        assert!(clients.iter().all(|client| client["online"] == true));

        server.order(&json!({"order": "kick", "handle": two}));
        assert_eq!(line(&second), "you are asked to leave\n");
        assert_eq!(line(&second), "", "the end of the stream");
        let left = server.next("left");
        assert_eq!(
            (&left["client"]["handle"], &left["how"]),
            (&two.into(), &"kicked".into())
        );
        // Its 18 bytes, and the words of farewell.
        assert_eq!(left["client"]["bytes_out"], 18 + 23);

        server.order(&json!({"order": "send", "handle": two, "text": "still there?"}));
        let why = server.next("misunderstood")["why"].to_string();
        assert!(
            why.contains(&format!("nobody here has the handle {two}")),
            "{why}"
        );
        server.order(&json!({"order": "stats"}));
        let stats = server.next("stats");
        assert_eq!(
            (&stats["joined"], &stats["left"], &stats["online"]),
            (&2.into(), &1.into(), &1.into())
        );
        assert_eq!(stats["most"], 10);

        let rest = server.quit();
        assert_eq!(line(&first), "the server ends\n");
        assert!(rest.contains("\"how\":\"server_ended\""), "{rest}");
    }
}

#[test]
fn one_too_many_is_told_so_and_disturbs_nobody() {
    let mut server = Server::start("127.0.0.1:0", &[]);
    let clients: Vec<_> = (0..10).map(|_| server.join()).collect();
    let eleventh = server.connect();
    assert_eq!(line(&eleventh), "no room: 10 clients are here; try later\n");
    assert_eq!(line(&eleventh), "", "the end of the stream");
    let refused = server.next("refused");
    let own = eleventh.local_addr().expect("an address").to_string();
    assert_eq!(
        (&refused["address"], &refused["most"]),
        (&own.into(), &10.into())
    );
    // One leaves, and there is room again.
    drop(clients.into_iter().next());
    server.next("left");
    server.join();
    server.quit();
}

#[test]
fn leaving_resetting_and_silent_clients_disturb_nobody() {
    let mut server = Server::start("127.0.0.1:0", &["--max-clients", "2000"]);
    let (good, handle) = server.join();
    // One never reads: what waits for it is bounded, and then it is told no more.
    let (deaf, deafs) = server.join();
    for number in 0..500 {
        let (client, _) = server.join();
        (&client).write_all(b"half a wo").expect("it is sent");
        if number % 2 == 0 {
            let lingering = socket2::SockRef::from(&client);
            lingering.set_linger(Some(Duration::ZERO)).expect("linger");
        }
        drop(client);
        let how = server.next("left")["how"].to_string();
        assert!(how == "\"ended\"" || how == "\"ECONNRESET\"", "{how}");
    }
    let words = "w".repeat(60_000);
    let mut told = 0;
    server.order(&json!({"order": "send", "handle": deafs, "text": words}));
    loop {
        let mut line = String::new();
        server.events.read_line(&mut line).expect("UTF-8");
        let event: Value = serde_json::from_str(&line).expect("JSON");
        match event["type"].as_str() {
            Some("told") => {
                told += 1;
                server.order(&json!({"order": "send", "handle": deafs, "text": words}));
            }
            Some("deaf") => {
                assert!(event["waiting"].as_u64() <= Some(64 << 10), "{line}");
                break;
            }
            _ => {}
        }
    }
    assert!(told > 0);
    // The others are told all the same.
    server.order(&json!({"order": "broadcast", "text": "are you there?"}));
    assert_eq!(line(&good), "are you there?\n");
    (&good).write_all(b"yes\n").expect("it is sent");
    let said = server.next("said");
    assert_eq!(
        (&said["handle"], &said["text"]),
        (&handle.into(), &"yes".into())
    );
    drop(deaf);
    server.quit();
}

/// A byte at a time: the line comes when it is whole, and others' lines before
/// it.
#[test]
fn a_slow_client_is_heard_in_its_time() {
    let mut server = Server::start("127.0.0.1:0", &[]);
    let (slow, slows) = server.join();
    let (quick, quicks) = server.join();
    for letter in b"slow" {
        (&slow).write_all(&[*letter]).expect("it is sent");
        (&quick).write_all(b"quick\n").expect("it is sent");
        let said = server.next("said");
        assert_eq!(
            (&said["handle"], &said["text"]),
            (&quicks.into(), &"quick".into())
        );
    }
    slow.shutdown(Shutdown::Write).expect("shutdown");
    let said = server.next("said");
    assert_eq!(
        (&said["handle"], &said["text"]),
        (&slows.into(), &"slow".into())
    );
    server.quit();
}

#[test]
fn nc_ncat_and_socat_are_clients() {
    let peers: [&[&str]; 3] = [&["nc", "-N"], &["ncat"], &["socat", "-t60", "-"]];
    for bind in ["127.0.0.1:0", "[::1]:0"] {
        let mut server = Server::start(bind, &[]);
        let (ip, port) = (
            server.address.ip().to_string(),
            server.address.port().to_string(),
        );
        for peer in peers {
            let mut command = Command::new(peer[0]);
            command.args(&peer[1..]);
            match peer[0] {
                "socat" => command.arg(format!("TCP:{}", server.address)),
                _ => command.args([&ip, &port]),
            };
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command.spawn().expect("the peer is installed");
            let handle = server.next("joined")["handle"].clone();
            let mut input = child.stdin.take().expect("piped");
            input.write_all(b"from a peer\n").expect("it is sent");
            let said = server.next("said");
            assert_eq!(
                (&said["handle"], &said["text"]),
                (&handle, &"from a peer".into())
            );
            server.order(&json!({"order": "send", "handle": handle, "text": "to a peer"}));
            let mut output = BufReader::new(child.stdout.take().expect("piped"));
            let mut answer = String::new();
            output.read_line(&mut answer).expect("a line");
            assert_eq!(answer, "to a peer\n", "{peer:?}");
            drop(input);
            assert_eq!(server.next("left")["client"]["handle"], handle);
            assert!(child.wait().expect("it ends").success(), "{peer:?}");
        }
        server.quit();
    }
}

/// On a console: what a client sends is shown, and moves no cursor.
#[test]
fn escape_sequences_never_reach_the_terminal() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_socklab"))
        .args([
            "--color",
            "never",
            "tcp",
            "listen",
            "127.0.0.1:0",
            "--serve",
        ])
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut log = BufReader::new(child.stderr.take().expect("piped"));
    let mut said = String::new();
    log.read_line(&mut said).expect("a line");
    let address = said.rsplit("listening on ").next().expect("an address");
    let address = address.split(';').next().expect("an address");
    let client = TcpStream::connect(address).expect("it listens");
    let hostile = b"/name \x1b[31mE\x07ve\n\x1b]0;title\x07\xff\xe2\x80\xae!\n";
    (&client).write_all(hostile).expect("it is sent");
    client.shutdown(Shutdown::Write).expect("shutdown");
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    let mut text = String::new();
    while !text.contains("left (ended)") {
        assert!(out.read_line(&mut text).expect("UTF-8") > 0, "{text}");
    }
    let mut orders = child.stdin.take().expect("piped");
    orders
        .write_all(b"list\nnonsense\nquit\n")
        .expect("it reads");
    out.read_to_string(&mut text).expect("UTF-8");
    assert!(child.wait().expect("it ends").success());
    assert!(text.contains("< 1 ·]0;title·\u{fffd}·!\n"), "{text}");
    assert!(text.contains("= 1 is [31mEve\n"), "{text}");
    assert!(
        text.contains("? there is no order \"nonsense\"; help lists them\n"),
        "{text}"
    );
    let is_hostile = |letter: char| letter.is_control() && letter != '\n';
    assert!(!text.contains(is_hostile), "{text:?}");
}

/// Without descriptors the door is left alone, and those who are there stay.
#[test]
fn without_descriptors_the_clients_stay() {
    let mut server = Server::start(
        "127.0.0.1:0",
        &["--descriptors", "24", "--max-clients", "99"],
    );
    let waiting: Vec<TcpStream> = (0..30).map(|_| server.connect()).collect();
    let mut joined = 0;
    for client in waiting {
        // As one leaves another comes in.
        server.next("joined");
        joined += 1;
        drop(client);
    }
    assert_eq!(joined, 30);
    server.quit();
}

/// What is shared with the other listeners holds here too.
#[test]
fn lines_end_as_asked_and_the_idle_are_seen_off() {
    let mut server = Server::start("127.0.0.1:0", &["-C", "--opt", "nodelay"]);
    let (client, handle) = server.join();
    server.order(&json!({"order": "send", "handle": handle, "text": "hello"}));
    server.order(&json!({"order": "kick", "handle": handle}));
    let mut heard = String::new();
    (&client).read_to_string(&mut heard).expect("UTF-8");
    assert_eq!(heard, "hello\r\nyou are asked to leave\r\n");
    server.quit();

    let mut server = Server::start("127.0.0.1:0", &["-w", "50ms"]);
    let (client, _) = server.join();
    let mut heard = String::new();
    (&client).read_to_string(&mut heard).expect("UTF-8");
    assert_eq!(heard, "you have been idle for too long\n");
    assert_eq!(server.next("left")["how"], "idle");
    server.quit();
}

#[test]
fn nobody_is_waited_for_no_longer_than_asked() {
    let output = Command::new(env!("CARGO_BIN_EXE_socklab"))
        .args([
            "tcp",
            "listen",
            "127.0.0.1:0",
            "--serve",
            "--listen-timeout",
            "50ms",
        ])
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains("nobody was here for 50ms (--listen-timeout)"),
        "{told}"
    );
}

#[test]
fn a_registry_tells_each_call_beside_what_happens() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("happenings");
    let mut child = Command::new(env!("CARGO_BIN_EXE_socklab"))
        .args(["tcp", "listen", "127.0.0.1:0", "--serve", "--trace", "-o"])
        .arg(&file)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut log = BufReader::new(child.stderr.take().expect("piped"));
    let mut told = String::new();
    let mut until = |words: &str| loop {
        let mut line = String::new();
        assert!(
            log.read_line(&mut line).expect("UTF-8") > 0,
            "no {words}: {told}"
        );
        told.push_str(&line);
        if line.contains(words) {
            return line;
        }
    };
    let line = until("  listening on ");
    let address = line.rsplit(' ').next().expect("an address").trim();
    let client = TcpStream::connect(address).expect("it listens");
    (&client).write_all(b"hi\n").expect("it is sent");
    until("client 1: accepted: 127.0.0.1:");
    until("client 1: recv(16384) = 3");
    until("3 bytes received, from byte 0 on (client 1)");
    drop(client);
    until("client 1: FIN received");
    until("client 1: over after");
    child
        .stdin
        .take()
        .expect("piped")
        .write_all(b"quit\n")
        .expect("it reads");
    assert!(child.wait().expect("it ends").success());
    let kept = std::fs::read_to_string(file).expect("the file");
    assert!(kept.contains("< 1 hi"), "{kept}");
}

#[test]
fn a_thousand_there_at_once_that_half_say_a_line_and_vanish_disturb_nobody() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit");
    if soft < 2048 {
        setrlimit(Resource::RLIMIT_NOFILE, 2048, hard).expect("as many as are needed");
    }
    let mut server = Server::start("127.0.0.1:0", &["--max-clients", "1001"]);
    let (bystander, own) = server.join();
    let crowd: Vec<TcpStream> = (0..1000).map(|_| server.join().0).collect();
    for mut client in &crowd {
        client.write_all(b"half a li").expect("it is sent");
    }
    server.order(&json!({"order": "send", "handle": own, "text": "there are many"}));
    assert_eq!(line(&bystander), "there are many\n");
    for client in crowd.iter().step_by(2) {
        // A reset instead of an end.
        let lingering = socket2::SockRef::from(client);
        lingering.set_linger(Some(Duration::ZERO)).expect("linger");
    }
    drop(crowd);
    for _ in 0..1000 {
        let left = server.next("left");
        assert_ne!(left["client"]["handle"], own);
    }
    server.order(&json!({"order": "send", "handle": own, "text": "only you"}));
    assert_eq!(line(&bystander), "only you\n");
    server.order(&json!({"order": "stats"}));
    let stats = server.next("stats");
    assert_eq!(
        (&stats["joined"], &stats["left"], &stats["online"]),
        (&1001.into(), &1000.into(), &1.into())
    );
    server.quit();
}
