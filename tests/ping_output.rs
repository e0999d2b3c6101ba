//! What `socklab ping` prints beyond the lines of ping, end to end: runs over the
//! private link, whose fates a seed decides, and over loopback in a namespace.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

const SOCKLAB: &str = env!("CARGO_BIN_EXE_socklab");
/// Twenty requests of which some are lost, some doubled.
const IMPAIRED: [&str; 8] = [
    "ping",
    "--link",
    "delay 5ms 1ms loss 20% duplicate 20%",
    "--seed",
    "7",
    "-i",
    "0.01",
    "-c20",
];

fn socklab(arguments: &[&str]) -> Command {
    let mut command = Command::new(SOCKLAB);
    command.args(arguments).stdin(Stdio::null());
    command.env("LC_ALL", "C.UTF-8").env_remove("NO_COLOR");
    command
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[track_caller]
fn succeeded(output: &Output) -> &str {
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    text(&output.stdout)
}

/// What the impaired run prints, and what else is asked for.
#[track_caller]
fn impaired(more: &[&str]) -> Output {
    let arguments = [&IMPAIRED[..], more].concat();
    socklab(&arguments).output().expect("it runs")
}

#[test]
fn a_pipe_gets_what_ping_prints_and_nothing_more() {
    if !support::may_make_namespaces("ping over the private link") {
        return;
    }
    let plain = impaired(&[]);
    let ends = succeeded(&plain).lines().last().expect("a summary");
    assert!(ends.starts_with("rtt min/avg/max/mdev = "), "{ends}");
}

#[test]
fn the_closing_pictures_follow_the_summary() {
    if !support::may_make_namespaces("ping over the private link") {
        return;
    }
    let run = impaired(&["--stats", "always", "--histogram"]);
    let out = succeeded(&run);
    let (ping, beyond) = out.split_once("\n── Beyond ping ─").expect(out);
    assert!(ping.contains("\nrtt min/avg/max/mdev = "), "{ping}");
    let (figures, bars) = beyond
        .split_once("\n── How long the round trips took ─")
        .expect(out);
    for name in [
        "round trips  p50 ",
        "jitter       ",
        "loss         ",
        "order        ",
    ] {
        assert!(
            figures.contains(&format!("\n{name}")),
            "{name} in {figures}"
        );
    }
    assert!(
        figures.contains("\nsent from    10.77.0.1 on "),
        "{figures}"
    );
    assert!(figures.contains("a raw socket; identifier "), "{figures}");
    assert!(bars.contains('█') && bars.contains(" ms"), "{bars}");
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
}

/// Every line parses, its fields keep their types, and the summary is what the
/// lines add up to.
#[test]
fn json_adds_up_to_its_summary() {
    if !support::may_make_namespaces("ping over the private link") {
        return;
    }
    let run = impaired(&["--json"]);
    let lines = succeeded(&run)
        .lines()
        .map(|line| serde_json::from_str(line).expect(line));
    let lines: Vec<Value> = lines.collect();
    let of = |echo: &str| {
        let is_one = |line: &&Value| line["type"] == "echo" && line["echo"] == echo;
        lines.iter().filter(is_one).collect::<Vec<_>>()
    };
    assert_eq!(of("started").len(), 1);
    for line in &lines {
        assert_types(line);
    }
    let summary = &lines.last().expect("a result")["result"];
    let [told] = of("summary")[..] else {
        panic!("one summary")
    };
    for (name, value) in summary.as_object().expect("an object") {
        assert_eq!(&told[name], value, "{name}");
    }
    let judged = |judgement: &str| {
        let replies = of("reply").into_iter();
        replies
            .filter(|line| line["judgement"] == judgement)
            .count() as u64
    };
    assert_eq!(summary["transmitted"], of("request").len() as u64);
    assert_eq!(summary["received"], judged("counted"));
    assert_eq!(summary["duplicates"], judged("duplicate"));
    assert_eq!(summary["errors"], of("failure").len() as u64);
    let unanswered = of("request").len() as u64 - judged("counted");
    let lost_or_not_yet = [&summary["lost"], &summary["in_flight"]].map(Value::as_u64);
    let sum: u64 = lost_or_not_yet.into_iter().flatten().sum();
    assert_eq!(sum, unanswered, "{summary}");
    assert!(
        judged("duplicate") > 0 && unanswered > 0,
        "the seed makes both"
    );
    let mut times = Vec::new();
    for reply in of("reply") {
        times.push(reply["rtt_ns"].as_u64().expect("nanoseconds"));
    }
    assert_eq!(summary["rtt_min_ns"].as_u64(), times.iter().min().copied());
    assert_eq!(summary["rtt_max_ns"].as_u64(), times.iter().max().copied());
    let average = times.iter().sum::<u64>() / times.len() as u64;
    assert_eq!(summary["rtt_avg_ns"], average);
}

/// A field's name says its type: units are whole numbers.
fn assert_types(line: &Value) {
    for (name, value) in line.as_object().expect("an object") {
        let whole = [
            "_ns",
            "_bytes",
            "number",
            "icmp_sequence",
            "index",
            "ttl",
            "identifier",
        ];
        if whole.iter().any(|end| name.ends_with(end)) {
            assert!(value.is_u64(), "{name} in {line}");
        }
        if ["_hex", "name", "address", "source", "from"]
            .iter()
            .any(|end| name.ends_with(end))
        {
            assert!(value.is_string(), "{name} in {line}");
        }
    }
}

#[test]
fn csv_holds_a_line_for_every_request() {
    if !support::may_make_namespaces("ping over the private link") {
        return;
    }
    let file = tempfile::NamedTempFile::new().expect("a file");
    let path = file.path().to_str().expect("a name");
    let with_file = impaired(&["--csv", path]);
    assert!(succeeded(&with_file).contains("ping statistics"));
    let table = fs::read_to_string(path).expect("it was written");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split(',').collect())
        .collect();
    let columns = rows[0].len();
    assert!(rows.iter().all(|row| row.len() == columns), "{table}");
    assert!(
        table
            .split_inclusive('\n')
            .all(|line| line.ends_with("\r\n"))
    );
    let mut fates: Vec<(u64, &str)> = Vec::new();
    for row in rows[1..].iter().filter(|row| row[2] != "duplicate") {
        fates.push((row[5].parse().expect("a number"), row[2]));
    }
    fates.sort_unstable();
    let numbers: Vec<u64> = fates.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=20).collect::<Vec<u64>>(), "{table}");
    assert!(fates.iter().any(|(_, fate)| *fate == "lost"), "{table}");

    let piped = impaired(&["--csv", "-"]);
    let out = succeeded(&piped);
    assert!(out.starts_with("at_ns,unix_ns,event,"), "{out}");
    assert!(!out.contains("PING"), "{out}");
}

#[test]
fn a_full_disk_is_an_error_and_a_reader_that_is_gone_is_none() {
    if !support::may_make_namespaces("ping over the private link") {
        return;
    }
    let full = impaired(&["--csv", "/dev/full"]);
    assert_eq!(full.status.code(), Some(2));
    let error = text(&full.stderr);
    let expected = "write /dev/full: no space left on device (ENOSPC)";
    assert!(
        error.to_lowercase().contains(&expected.to_lowercase()),
        "{error}"
    );

    for format in [&["--json"][..], &["--csv", "-"], &["--histogram"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let arguments = [&IMPAIRED[..], format].concat();
        let status = socklab(&arguments)
            .stdout(writer)
            .stderr(Stdio::null())
            .status();
        assert_eq!(status.expect("it runs").code(), Some(0), "{format:?}");
    }
}

#[test]
fn what_cannot_be_had_together_is_refused_with_a_remedy() {
    for (arguments, expected) in [
        (
            &["--graph"][..],
            "draw --graph: standard output is not a terminal; --csv FILE and --json",
        ),
        (
            &["--csv", "-", "--json"],
            "write --csv -: --json writes to standard output too; give --csv",
        ),
        (
            &["--csv", "-", "--histogram"],
            "--histogram writes to standard output too",
        ),
        (&["--json", "--histogram"], "cannot be used with"),
        (
            &["--prometheus", "9427"],
            "expected ADDRESS:PORT, such as 127.0.0.1:9427",
        ),
        (
            &["--prometheus", "192.0.2.1:9427"],
            "bind --prometheus 192.0.2.1:9427: cannot assign requested address (EADDRNOTAVAIL); \
             it is not an address of this host",
        ),
    ] {
        let arguments = [&["ping", "-c1", "127.0.0.1"], arguments].concat();
        let run = socklab(&arguments).output().expect("it runs");
        let error = text(&run.stderr);
        assert_eq!(run.status.code(), Some(2), "{error}");
        assert!(
            error.to_lowercase().contains(&expected.to_lowercase()),
            "{error}"
        );
        assert!(run.stdout.is_empty());
    }
}

/// A ping that goes on until it is told to stop, and whom to ask how it is
/// getting on.
struct Watched {
    ping: Child,
    notes: BufReader<ChildStderr>,
    address: String,
}

impl Watched {
    fn start(more: &[&str]) -> Self {
        let always = [
            "ping",
            "--link",
            "delay 1ms",
            "-i",
            "0.01",
            "--prometheus",
            "127.0.0.1:0",
        ];
        let mut command = socklab(&[&always[..], more].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut ping = command.spawn().expect("it runs");
        let mut notes = BufReader::new(ping.stderr.take().expect("it is piped"));
        let address = loop {
            let mut line = String::new();
            assert_ne!(notes.read_line(&mut line).expect("text"), 0, "it ended");
            if let Some((_, rest)) = line.split_once("figures at http://") {
                break rest.trim_end().trim_end_matches("/metrics").to_owned();
            }
        };
        Self {
            ping,
            notes,
            address,
        }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).expect("it listens")
    }

    fn ask(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    }

    fn scrape(&self) -> String {
        let answer = self.ask("GET /metrics HTTP/1.1\r\nHost: ping\r\n\r\n");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        let kind = "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n";
        assert!(head.contains(kind), "{head}");
        body.to_owned()
    }

    /// Waits for lines of the run's own, and so for replies.
    fn see_replies(&mut self, count: usize) {
        let out = self.ping.stdout.as_mut().expect("it is piped");
        let lines = BufReader::with_capacity(1, out)
            .lines()
            .map_while(Result::ok);
        let replies = lines.filter(|line| line.contains("icmp_seq="));
        assert_eq!(replies.take(count).count(), count);
    }

    /// Ctrl-C; what is printed after.
    fn stop(mut self) -> String {
        let id = i32::try_from(self.ping.id()).expect("an id");
        kill(Pid::from_raw(id), Signal::SIGINT).expect("it runs");
        let mut rest = String::new();
        let out = self.ping.stdout.as_mut().expect("it is piped");
        out.read_to_string(&mut rest).expect("text");
        let mut notes = String::new();
        self.notes.read_to_string(&mut notes).expect("text");
        assert_eq!(self.ping.wait().expect("it ran").code(), Some(0), "{notes}");
        rest
    }
}

/// The value of a series of the only host.
fn value(scrape: &str, name: &str) -> f64 {
    let mut lines = scrape.lines().filter(|line| !line.starts_with('#'));
    let line = lines
        .find(|line| line.split('{').next() == Some(name))
        .expect(name);
    let (_, value) = line.rsplit_once(' ').expect("a value");
    value.parse().expect("a number")
}

#[test]
fn prometheus_gets_the_running_figures() {
    if !support::may_make_namespaces("ping over the private link") {
        return;
    }
    let mut run = Watched::start(&[]);
    run.see_replies(5);
    let first = run.scrape();
    assert_well_formed(&first);
    run.see_replies(5);
    let second = run.scrape();
    let series = ["sent_total", "received_total", "rtt_seconds_count"];
    for name in series.map(|name| format!("socklab_ping_{name}")) {
        let (before, after) = (value(&first, &name), value(&second, &name));
        assert!(
            before >= 5.0 && after >= before + 5.0,
            "{name}: {before}, {after}"
        );
    }
    assert!(
        first.contains("{address=\"10.77.0.2\",host=\"10.77.0.2\""),
        "{first}"
    );
    for scrape in [&first, &second] {
        let of = |name: &str| value(scrape, &format!("socklab_ping_{name}"));
        let settled =
            of("received_total") - of("late_total") + of("lost_total") + of("failed_total");
        assert!(
            (of("sent_total") - settled - of("in_flight")).abs() < 0.5,
            "{scrape}"
        );
        assert!(of("rtt_seconds_sum") / of("rtt_seconds_count") >= 0.002);
    }
    let rest = run.stop();
    assert!(rest.contains("ping statistics"), "{rest}");
}

/// The text format 0.0.4: a HELP and a TYPE before the samples of each metric,
/// and buckets that grow to the count.
fn assert_well_formed(scrape: &str) {
    assert!(scrape.ends_with('\n'));
    let mut described = "";
    let mut bucket = 0.0;
    for line in scrape.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            described = rest.split(' ').next().expect("a name");
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert_eq!(name, described);
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            continue;
        }
        let (series, number) = line.rsplit_once(' ').expect("a sample");
        assert!(series.starts_with(described), "{line} under {described}");
        let (name, labels) = series.split_once('{').expect("labels");
        assert!(
            labels.ends_with('}') && labels.contains("host=\""),
            "{line}"
        );
        let number: f64 = number.parse().expect("a number");
        if name.ends_with("_bucket") {
            assert!(number >= bucket, "{line}");
            bucket = number;
        }
        if name.ends_with("_count") {
            assert!((number - bucket).abs() < 0.5, "{line}");
        }
    }
}

#[test]
fn slow_and_senseless_clients_do_not_hold_up_a_scrape() {
    if !support::may_make_namespaces("ping over the private link") {
        return;
    }
    let mut run = Watched::start(&[]);
    run.see_replies(1);
    let mut slow: Vec<TcpStream> = Vec::new();
    for _ in 0..100 {
        let mut stream = run.connect();
        stream.write_all(b"GET /met").expect("it reads");
        slow.push(stream);
    }
    run.scrape();
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "404"),
        (
            "POST /metrics HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody",
            "405",
        ),
        ("\u{16}\u{3}\u{1} garbage\r\n\r\n", "400"),
    ] {
        let answer = run.ask(request);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
    }
    let head = run.ask("HEAD /metrics HTTP/1.0\r\n\r\n");
    assert!(
        head.contains("\r\nContent-Length: ") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    // Too many at once: the oldest went.
    let closed = slow[0].read(&mut [0]).map_err(|error| error.kind());
    assert!(
        matches!(closed, Ok(0) | Err(ErrorKind::ConnectionReset)),
        "{closed:?}"
    );
    // With connections still open, Ctrl-C ends at once.
    assert!(run.stop().contains("ping statistics"));
}

#[test]
fn curl_can_scrape() {
    if !support::may_make_namespaces("ping over the private link") {
        return;
    }
    if Command::new("curl").arg("--version").output().is_err() {
        assert_ne!(
            std::env::var("SOCKLAB_REQUIRE_PRIVILEGED").as_deref(),
            Ok("1")
        );
        eprintln!("SKIPPED: curl is not installed");
        return;
    }
    let mut run = Watched::start(&[]);
    run.see_replies(3);
    let url = format!("http://{}/metrics", run.address);
    let mut curl = Command::new("curl");
    let output = curl
        .args(["--noproxy", "*", "-sSf", &url])
        .output()
        .expect("it runs");
    let out = succeeded(&output);
    assert!(value(out, "socklab_ping_received_total") >= 3.0, "{out}");
    run.stop();
}

#[test]
fn two_pings_cannot_listen_at_one_address() {
    if !support::may_make_namespaces("ping over the private link") {
        return;
    }
    let mut run = Watched::start(&[]);
    run.see_replies(1);
    let arguments = ["ping", "-c1", "127.0.0.1", "--prometheus", &run.address];
    let second = socklab(&arguments).output().expect("it runs");
    assert_eq!(second.status.code(), Some(2));
    let error = text(&second.stderr).to_lowercase();
    let expected = format!(
        "bind --prometheus {}: address already in use (eaddrinuse);",
        run.address
    );
    assert!(error.contains(&expected), "{error}");
    run.stop();
}

/// A program in a terminal of its own, by `script(1)`.
fn in_terminal(rows: u16, columns: u16, line: &str) -> Child {
    let line = format!("stty rows {rows} cols {columns}; exec {SOCKLAB} {line}");
    let mut script = Command::new("script");
    script
        .args(["-qefc", &line, "/dev/null"])
        .env("LC_ALL", "C.UTF-8");
    script.env("TERM", "xterm-256color").env("SHELL", "/bin/sh");
    script.stdin(Stdio::piped()).stdout(Stdio::piped());
    script.spawn().expect("script(1) is there")
}

/// Everything up to where `text` has been seen.
fn read_until(out: &mut impl Read, text: &str) -> String {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(text) {
        let mut byte = [0];
        assert_ne!(
            out.read(&mut byte).expect("it is a pipe"),
            0,
            "{text} never came"
        );
        seen.extend(byte);
    }
    String::from_utf8_lossy(&seen).into_owned()
}

#[test]
fn the_graph_gives_the_screen_back_with_the_summary_on_it() {
    const ENTER: &str = "\x1b[?1049h";
    const LEAVE: &str = "\x1b[?1049l";
    if !support::may_make_namespaces("ping over the private link") {
        return;
    }
    for (key, size) in [("q", (24, 80)), ("\x03", (12, 44)), ("\x1b", (3, 9))] {
        let line = "ping --link 'delay 1ms' -i 0.01 --graph";
        let mut terminal = in_terminal(size.0, size.1, line);
        let mut out = terminal.stdout.take().expect("it is piped");
        let before = read_until(&mut out, ENTER);
        assert!(!before.contains("PING"), "{before}");
        // A whole picture: its last line is the host's.
        let sign = if size.0 > 10 { "●" } else { "the" };
        read_until(&mut out, sign);
        let keys = terminal.stdin.as_mut().expect("it is piped");
        keys.write_all(key.as_bytes()).expect("it reads");
        keys.flush().expect("it reads");
        read_until(&mut out, LEAVE);
        let mut rest = String::new();
        out.read_to_string(&mut rest).expect("text");
        let code = terminal.wait().expect("it ran").code();
        assert!(
            rest.contains("PING 10.77.0.2") && rest.contains("ping statistics"),
            "{rest}"
        );
        assert!(rest.contains("Beyond ping"), "{rest}");
        assert!(matches!(code, Some(0 | 1)), "{code:?}: {rest}");
    }
}
