//! The ways to serve many clients, each with real peers and with clients that
//! mean no good: what is asserted is who is answered what, never how fast.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use support::program::{As, Program, text};
use support::refusing::{Refused, refusing};

const MODELS: [&str; 9] = [
    "one",
    "fork",
    "thread",
    "pool",
    "poll",
    "epoll",
    "reuseport",
    "async",
    "io-uring",
];
/// Those that attend to everybody at once.
const AT_ONCE: [&str; 7] = [
    "fork",
    "thread",
    "poll",
    "epoll",
    "reuseport",
    "async",
    "io-uring",
];

/// A server, and what it logs.
struct Server {
    child: Child,
    log: BufReader<ChildStderr>,
    address: SocketAddr,
}

impl Server {
    fn start(model: &str, address: &str, options: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_socklab"));
        command.args(["tcp", "listen", address, "--model", model]);
        command
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
        let mut log = BufReader::new(child.stderr.take().expect("piped"));
        let mut said = String::new();
        let address = loop {
            let mut line = String::new();
            let count = log.read_line(&mut line).expect("a line");
            said.push_str(&line);
            assert!(count > 0, "no address in {said}");
            let rest = line
                .split_once("listening on ")
                .map(|(_, rest)| rest.trim());
            let address = rest.and_then(|rest| rest.split(';').next()?.parse().ok());
            if let Some(address) = address {
                break address;
            }
        };
        Self {
            child,
            log,
            address,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        // Only so that a server that fails ends the test.
        let patience = Some(Duration::from_secs(60));
        stream.set_read_timeout(patience).expect("a time-out");
        stream
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

    /// SIGTERM, and everything else that it logged.
    fn stop(mut self) -> String {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"));
        kill(pid, Signal::SIGTERM).expect("kill");
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).expect("UTF-8");
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "{status}: {rest}");
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

fn echo(mut client: &TcpStream, words: &[u8]) {
    client.write_all(words).expect("it is sent");
    echo_of(client, words);
}

fn echo_of(mut client: &TcpStream, words: &[u8]) {
    let mut answer = vec![0; words.len()];
    client.read_exact(&mut answer).expect("an answer");
    assert_eq!(answer, words);
}

/// Everything until the end of the stream.
fn hear(mut client: &TcpStream, from: &str) -> Vec<u8> {
    let mut all = Vec::new();
    let heard = client.read_to_end(&mut all);
    heard.unwrap_or_else(|error| panic!("{from} after {all:?}: {error}"));
    all
}

#[test]
fn every_model_echoes_to_real_peers_on_both_families() {
    let peers: [&[&str]; 3] = [&["nc", "-N"], &["ncat"], &["socat", "-t60", "-"]];
    for model in MODELS {
        for bind in ["127.0.0.1:0", "[::1]:0"] {
            let server = Server::start(model, bind, &[]);
            let (ip, port) = (server.address.ip(), server.address.port().to_string());
            for peer in peers {
                let mut command = Command::new(peer[0]);
                command.args(&peer[1..]);
                match peer[0] {
                    "socat" => command.arg(format!("TCP:{}", server.address)),
                    _ => command.args([&ip.to_string(), &port]),
                };
                command.stdin(Stdio::piped()).stdout(Stdio::piped());
                let mut child = command.spawn().expect("the peer is installed");
                let said = b"one\ntwo\0\xff\n".repeat(2000);
                let mut input = child.stdin.take().expect("piped");
                let words = said.clone();
                let writer = std::thread::spawn(move || input.write_all(&words));
                let output = child.wait_with_output().expect("it ends");
                writer.join().expect("no panic").expect("all is written");
                assert_eq!(output.stdout.len(), said.len(), "{model} {peer:?} {bind}");
                assert_eq!(output.stdout, said, "{model} {peer:?} {bind}");
            }
            let rest = server.stop();
            assert!(rest.contains("3 clients served"), "{model}: {rest}");
        }
    }
}

#[test]
fn every_model_has_the_other_services() {
    for model in MODELS {
        let server = Server::start(model, "127.0.0.1:0", &["--service", "daytime"]);
        for _ in 0..3 {
            let client = server.connect();
            // Unread input would make a careless close reset the connection.
            (&client)
                .write_all(b"what time is it?\n")
                .expect("it is sent");
            let time = text(&hear(&client, model));
            assert!(time.ends_with("-UTC\r\n"), "{model}: {time:?}");
        }
        server.stop();

        let server = Server::start(model, "127.0.0.1:0", &["--service", "discard"]);
        let client = server.connect();
        (&client).write_all(&vec![7; 1 << 20]).expect("it is sent");
        client.shutdown(Shutdown::Write).expect("shutdown");
        assert_eq!(hear(&client, model), b"", "{model}");
        drop(client);
        server.stop();

        let server = Server::start(model, "127.0.0.1:0", &["--service", "chargen"]);
        let mut client = server.connect();
        let mut pattern = vec![0; 300_000];
        client.read_exact(&mut pattern).expect("it never ends");
        for (number, line) in pattern.chunks_exact(74).enumerate() {
            let first = b' ' + u8::try_from(number % 95).expect("below 95");
            assert_eq!((line[0], &line[72..]), (first, &b"\r\n"[..]), "{model}");
        }
        // It ends though it has more to say, and its client is still there.
        server.stop();
    }
}

/// In the order of events: the others get their answers while the bad ones are
/// still there.
#[test]
fn clients_that_mean_no_good_hold_nobody_up() {
    for model in AT_ONCE {
        let server = Server::start(model, "127.0.0.1:0", &[]);
        // One sends until nothing more is taken, and never reads.
        let greedy = server.connect();
        let patience = Some(Duration::from_millis(200));
        greedy.set_write_timeout(patience).expect("a time-out");
        let block = vec![b'.'; 64 << 10];
        while (&greedy).write(&block).is_ok() {}
        // One says half a word and no more.
        let slow = server.connect();
        echo(&slow, b"h");
        for number in 0..20 {
            let client = server.connect();
            let words = format!("client {number}\n").repeat(100);
            echo(&client, words.as_bytes());
            if number == 10 {
                echo(&slow, b"alf");
            }
        }
        server.stop();
    }
}

#[test]
fn a_thousand_that_half_send_and_vanish_leave_nothing_behind() {
    for model in MODELS {
        let server = Server::start(model, "127.0.0.1:0", &[]);
        let descriptors = || {
            let path = format!("/proc/{}/fd", server.child.id());
            std::fs::read_dir(path).expect("proc").count()
        };
        echo(&server.connect(), b"first");
        let before = descriptors();
        for number in 0..1000 {
            let client = server.connect();
            (&client).write_all(b"half a wo").expect("it is sent");
            if number % 2 == 0 {
                // A reset instead of an end.
                let lingering = socket2::SockRef::from(&client);
                lingering.set_linger(Some(Duration::ZERO)).expect("linger");
            }
        }
        // Whoever comes after them is attended to after them.
        for _ in 0..20 {
            let client = server.connect();
            echo(&client, b"still there?");
            client.shutdown(Shutdown::Write).expect("shutdown");
            assert_eq!(hear(&client, model), b"");
        }
        // Until all are closed; a descriptor that is left behind is there for ever.
        while descriptors() > before {
            std::thread::yield_now();
        }
        server.stop();
    }
}

/// A test that is a thousand clients needs as many descriptors.
fn room_for_a_thousand() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit");
    if soft < 2048 {
        setrlimit(Resource::RLIMIT_NOFILE, 2048, hard).expect("as many as are needed");
    }
}

#[test]
fn a_thousand_there_at_once_that_half_send_and_vanish_disturb_nobody() {
    room_for_a_thousand();
    for model in ["thread", "epoll"] {
        let server = Server::start(model, "127.0.0.1:0", &[]);
        let bystander = server.connect();
        echo(&bystander, b"first");
        let descriptors = || {
            let path = format!("/proc/{}/fd", server.child.id());
            std::fs::read_dir(path).expect("proc").count()
        };
        let before = descriptors();
        let crowd: Vec<TcpStream> = (0..1000).map(|_| server.connect()).collect();
        for mut client in &crowd {
            client.write_all(b"half a wo").expect("it is sent");
        }
        // All of them are there, and so is who was there before.
        for client in &crowd {
            echo_of(client, b"half a wo");
        }
        echo(&bystander, b"still there?");
        for client in crowd.iter().step_by(2) {
            // A reset instead of an end.
            let lingering = socket2::SockRef::from(client);
            lingering.set_linger(Some(Duration::ZERO)).expect("linger");
        }
        drop(crowd);
        echo(&bystander, b"and now?");
        echo(&server.connect(), b"and who comes later?");
        // Until all are closed; a descriptor that is left behind is there for ever.
        while descriptors() > before {
            std::thread::yield_now();
        }
        server.stop();
    }
}

/// In the order of events: the others are answered while it is still at it.
#[test]
fn a_client_of_one_byte_a_second_holds_nobody_up() {
    for model in AT_ONCE {
        let server = Server::start(model, "127.0.0.1:0", &[]);
        let mut slow = Command::new(env!("CARGO_BIN_EXE_socklab"))
            .args(["tcp", "connect", &server.address.to_string()])
            .args(["--line-delay", "1s"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut words = slow.stdin.take().expect("piped");
        words
            .write_all("\n".repeat(600).as_bytes())
            .expect("it reads");
        let mut heard = slow.stdout.take().expect("piped");
        heard.read_exact(&mut [0]).expect("it has begun");
        for number in 0..20 {
            let words = format!("client {number}\n").repeat(100);
            echo(&server.connect(), words.as_bytes());
        }
        let ended = slow.try_wait().expect("a child");
        slow.kill().expect("it is ours");
        slow.wait().expect("it ends");
        assert_eq!(ended, None, "{model}: it is still at it");
        server.stop();
    }
}

#[test]
fn without_descriptors_it_keeps_serving_and_says_so() {
    for model in ["thread", "poll", "epoll", "reuseport", "async", "io-uring"] {
        let options = ["--descriptors", "40", "--workers", "1"];
        let mut server = Server::start(model, "127.0.0.1:0", &options);
        let clients: Vec<TcpStream> = (0..60).map(|_| server.connect()).collect();
        let line = server.says("EMFILE");
        assert!(
            line.starts_with("socklab: accept: too many open files (EMFILE)"),
            "{line}"
        );
        // Those that are in are served, and as they leave the others come in.
        for client in clients {
            echo(&client, b"at last");
        }
        echo(&server.connect(), b"as before");
        server.stop();
    }
}

#[test]
fn a_cap_keeps_the_next_waiting() {
    for model in AT_ONCE {
        let options = ["--max-clients", "2", "--workers", "1"];
        let server = Server::start(model, "127.0.0.1:0", &options);
        let (first, second) = (server.connect(), server.connect());
        echo(&first, b"1");
        echo(&second, b"2");
        let third = server.connect();
        (&third).write_all(b"3").expect("it is sent");
        // Nothing has come for the third while the first two are served.
        echo(&first, b"1 again");
        third.set_nonblocking(true).expect("fcntl");
        let early = (&third).read(&mut [0]);
        assert!(early.is_err(), "{model}: {early:?}");
        third.set_nonblocking(false).expect("fcntl");
        drop(first);
        let mut answer = [0];
        (&third).read_exact(&mut answer).expect("its turn");
        assert_eq!(&answer, b"3", "{model}");
        server.stop();
    }
}

/// SIGTERM while clients are connected: they see the end of the stream, and what
/// was owed to them before it.
#[test]
fn a_server_that_ends_says_good_bye() {
    for model in MODELS {
        let server = Server::start(model, "127.0.0.1:0", &[]);
        let clients: Vec<TcpStream> = match model {
            "one" => vec![server.connect()],
            _ => (0..5).map(|_| server.connect()).collect(),
        };
        for client in &clients {
            echo(client, b"hello");
        }
        server.stop();
        for client in &clients {
            assert_eq!(hear(client, model), b"", "{model}");
        }
    }
}

#[test]
fn a_process_for_each_client_leaves_no_zombie() {
    let server = Server::start("fork", "127.0.0.1:0", &[]);
    for _ in 0..50 {
        echo(&server.connect(), b"hello");
    }
    let staying = server.connect();
    echo(&staying, b"hello");
    let path = format!("/proc/{0}/task/{0}/children", server.child.id());
    // Each end of a child wakes the parent, which waits for all that have ended.
    let children = || {
        let text = std::fs::read_to_string(&path).expect("proc");
        text.split_whitespace().count()
    };
    while children() > 1 {
        std::thread::yield_now();
    }
    server.stop();
}

#[test]
fn two_loops_on_one_port_share_the_clients() {
    let server = Server::start("reuseport", "127.0.0.1:0", &["--workers", "2"]);
    let clients: Vec<TcpStream> = (0..200).map(|_| server.connect()).collect();
    for client in &clients {
        echo(client, b"whose am I?");
    }
    let rest = server.stop();
    let each = rest.rsplit("by worker ").next().expect("the figures");
    let each = each.trim().split(", ").map(str::parse::<u32>);
    let each: Vec<u32> = each.collect::<Result<_, _>>().expect("numbers");
    assert_eq!(each.iter().sum::<u32>(), 200, "{rest}");
    // All in one worker would take a hash that is none.
    assert!(
        each.len() == 2 && each.iter().all(|&count| count > 0),
        "{rest}"
    );
}

#[test]
fn a_taken_port_is_said_with_what_would_help() {
    let server = Server::start("epoll", "127.0.0.1:0", &[]);
    let output = Command::new(env!("CARGO_BIN_EXE_socklab"))
        .args([
            "tcp",
            "listen",
            &server.address.to_string(),
            "--model",
            "one",
        ])
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(
        said.contains("address already in use (EADDRINUSE);"),
        "{said}"
    );
}

/// Without an address both families come in; with -6 only one does.
#[test]
fn both_families_come_in_where_no_address_is_given() {
    let server = Server::start("epoll", "0", &[]);
    let port = server.address.port();
    for ip in ["127.0.0.1", "::1"] {
        echo(
            &TcpStream::connect((ip, port)).expect("it listens"),
            b"hello",
        );
    }
    let server = Server::start("epoll", "0", &["-6"]);
    let port = server.address.port();
    echo(
        &TcpStream::connect(("::1", port)).expect("it listens"),
        b"hello",
    );
    let refused = TcpStream::connect(("127.0.0.1", port)).expect_err("nobody");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[test]
fn who_is_not_let_in_is_closed() {
    for model in MODELS {
        let server = Server::start(model, "127.0.0.1:0", &["--deny", "127.0.0.0/8"]);
        let client = server.connect();
        assert_eq!(hear(&client, model), b"", "{model}");
        assert!(server.stop().contains("0 clients served"), "{model}");
    }
}

/// What is typed, and what is said to it.
const REFUSALS: &[(&str, &str)] = &[
    (
        "--model epoll -o x",
        "--output with --model epoll: a service answers",
    ),
    (
        "--model poll -C",
        "--crlf with --model poll: a service sends no lines",
    ),
    (
        "--model poll --line-delay 1",
        "--line-delay with --model poll: a service sends no",
    ),
    (
        "--model one -w 1",
        "--idle-timeout with --model one: a model waits for",
    ),
    (
        "--model pool --listen-timeout 1",
        "--listen-timeout with --model pool: a model serves",
    ),
    (
        "--model fork --packets",
        "--packets with --model fork: a capture is a thread",
    ),
    (
        "--model async --trace",
        "--trace with --model async: tokio makes the system calls",
    ),
    (
        "--model io-uring --trace",
        "--trace with --model io-uring: there are no system calls",
    ),
    (
        "--serve --echo",
        "a built-in service with --serve: it is the operator who answers",
    ),
    (
        "--serve --line-delay 1",
        "--line-delay with --serve: it never waits for one client",
    ),
    (
        "--model epoll --echo --service discard",
        "cannot be used with",
    ),
];

/// What a manner cannot do is refused with the reason and a remedy, and nothing
/// that was asked for is passed over.
#[test]
fn what_a_manner_cannot_do_is_refused() {
    for (typed, words) in REFUSALS {
        let output = Command::new("timeout")
            .args([
                "60",
                env!("CARGO_BIN_EXE_socklab"),
                "tcp",
                "listen",
                "127.0.0.1:0",
            ])
            .args(typed.split(' '))
            .output()
            .expect("it runs");
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{typed}: {told}");
        assert!(told.contains(words), "{typed}: {told}");
        assert!(
            told.contains("; ") || told.contains("Usage"),
            "no remedy: {told}"
        );
    }
}

/// `-v` tells each client's steps in every model, and `--trace` each call and
/// each byte in those whose calls are this program's.
#[test]
fn each_model_tells_its_clients_steps() {
    for model in MODELS {
        let is_traced = !["async", "io-uring"].contains(&model);
        let detail = if is_traced { "--trace" } else { "-v" };
        let options = [
            detail,
            "--opt",
            "keepalive=30,5,3",
            "--opt",
            "nodelay",
            "-m",
            "5",
            "-k",
        ];
        let mut server = Server::start(model, "127.0.0.1:0", &options);
        let client = server.connect();
        echo(&client, b"hello");
        client.shutdown(Shutdown::Write).expect("shutdown");
        assert_eq!(hear(&client, model), b"", "{model}");
        let mut told = String::new();
        while !told.contains("client 1: over after") {
            told.push_str(&server.says("client 1"));
        }
        for words in [
            "client 1: accepted: 127.0.0.1:",
            "client 1: FIN received: the peer says no more, after 5 bytes",
            "5 bytes sent, all acknowledged; 5 received",
        ] {
            assert!(told.contains(words), "{model}: no {words:?} in {told}");
        }
        if is_traced {
            for words in [
                "client 1: recv(",
                ") = 5, \"hello\"",
                "client 1: send(\"hello\") = 5",
                "← 5 bytes received, from byte 0 on (client 1)",
                "→ 5 bytes sent, from byte 0 on (client 1)",
            ] {
                assert!(told.contains(words), "{model}: no {words:?} in {told}");
            }
        }
        server.stop();
    }
}

/// One more than there is room for waits, and is served when another has left.
#[test]
fn no_more_than_so_many_are_served_at_once() {
    for model in AT_ONCE {
        let server = Server::start(model, "127.0.0.1:0", &["-m", "2", "--workers", "1"]);
        let there = [server.connect(), server.connect()];
        let waiting = server.connect();
        (&waiting).write_all(b"me?").expect("it is sent");
        for client in &there {
            echo(client, b"here");
        }
        drop(there);
        let mut answer = [0; 3];
        (&waiting).read_exact(&mut answer).expect("an answer");
        server.stop();
    }
}

#[test]
fn io_uring_that_is_refused_is_told_with_a_remedy() {
    for (errno, words) in [
        (
            Errno::EPERM,
            "operation not permitted (EPERM); kernel.io_uring_disabled or",
        ),
        (
            Errno::ENOSYS,
            "function not implemented (ENOSYS); this kernel has no io_uring",
        ),
        (
            Errno::ENOMEM,
            "out of memory (ENOMEM); its queues are locked memory",
        ),
    ] {
        let refused = Refused {
            call: nix::libc::SYS_io_uring_setup,
            first: None,
            errno,
        };
        let output = refusing(&refused, env!("CARGO_BIN_EXE_socklab"))
            .args(["tcp", "listen", "127.0.0.1:0", "--model", "io-uring"])
            .output()
            .expect("it runs");
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(
            told.contains(&format!("socklab: io_uring_setup: {words}")),
            "{told}"
        );
        assert!(told.trim_end().ends_with("try --model epoll"), "{told}");
    }
}

#[test]
fn the_models_are_measured_side_by_side() {
    let program = Program::new();
    let arguments = ["tcp", "models", "-c", "20", "-m", "20"];
    let who = As::MyselfOnOwnLoopback;
    let Some(lines) = program.json(who, &[&arguments[..], &["--no-link"]].concat()) else {
        return;
    };
    let last = lines.last().expect("the result");
    assert_eq!(last["command"], "tcp models");
    let models = last["result"]["models"].as_array().expect("models");
    let names: Vec<&str> = models
        .iter()
        .filter_map(|it| it["model"].as_str())
        .collect();
    assert_eq!(names, MODELS);
    for model in models {
        let name = model["model"].as_str().expect("a name");
        assert_eq!(model["failed"], Value::Null, "{model}");
        assert!(model["churn"]["done"].as_u64() > Some(0), "{model}");
        let answered = model["crowd"]["answered"].as_u64().expect("a number");
        let beside = model["beside_slow"]["answered"].as_u64().expect("a number");
        let dripped = model["beside_dripper"]["answered"].as_u64();
        assert_eq!(dripped, Some(beside), "{model}");
        match name {
            // The lesson of each: one client keeps the others out, or eight do.
            "one" => assert_eq!((answered, beside), (1, 0), "{model}"),
            "pool" => assert_eq!((answered, beside), (8, 7), "{model}"),
            _ => assert_eq!((answered, beside), (20, 20), "{model}"),
        }
        let exhausted = &model["exhausted"];
        let answered = exhausted["answered"].as_u64().expect("a number");
        let waited = exhausted["came"].as_u64().expect("a number") - answered;
        if !["one", "pool"].contains(&name) {
            // As many as those who left made room for.
            assert_eq!(exhausted["answered_later"], waited.min(answered), "{model}");
        }
        let cost = &model["cost"];
        match name {
            "fork" => assert_eq!(cost["processes"], 21, "{model}"),
            "thread" => assert_eq!(cost["threads"], 21, "{model}"),
            "epoll" => assert_eq!(
                (&cost["threads"], &cost["processes"]),
                (&1.into(), &1.into())
            ),
            _ => {}
        }
    }
}

/// The words alone: figures are `#`, and units, rules and columns' widths, which
/// go with them, are left out.
fn masked(out: &str) -> String {
    const UNITS: &[&str] = &[
        "ns", "µs", "ms", "s", "conn/s", "kconn/s", "k/s", "/s", "KiB", "%",
    ];
    let word = |word: &str| {
        let is_figure = word.chars().any(|letter| letter.is_ascii_digit());
        let is_name = word.starts_with(char::is_alphabetic);
        if is_figure && !is_name {
            "#".to_owned()
        } else {
            word.to_owned()
        }
    };
    let line = |line: &str| {
        let words = line.split_whitespace();
        let words = words.filter(|word| !UNITS.contains(word) && !word.starts_with("──"));
        words.map(word).collect::<Vec<_>>().join(" ")
    };
    out.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_figures_fit_80_columns_and_make_a_page() {
    let program = Program::new();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("models.html").display().to_string();
    let arguments = [
        "tcp",
        "models",
        "-c",
        "10",
        "-m",
        "10",
        "--only",
        "epoll,thread",
    ];
    let arguments = [&arguments[..], &["--html", &path]].concat();
    let Some(output) = program.run(As::Myself, &arguments) else {
        return;
    };
    let out = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
    insta::assert_snapshot!(masked(&out));
    let rows = |name: &str| out.lines().filter(|line| line.starts_with(name)).count();
    assert_eq!((rows("epoll "), rows("thread ")), (5, 5), "{out}");
    let page = std::fs::read_to_string(&path).expect("the page");
    assert!(page.contains("<th scope=\"row\">epoll</th>"), "{page}");
    assert!(!page.contains("<script"));
}
