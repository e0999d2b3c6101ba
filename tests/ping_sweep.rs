//! Sweeps end to end, in namespaces of their own: what they tell in JSON, how
//! they end, and that other programs' replies do not count.

mod support;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::Duration;

use nix::libc::IPPROTO_RAW;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use socket2::{Domain, Protocol, Socket, Type};

const SOCKLAB: &str = env!("CARGO_BIN_EXE_socklab");
const GROUND: &str = "set -e; ip link set lo up
ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up
ip addr add 10.1.1.1/24 dev v0
ip neigh add 10.1.1.9 lladdr 02:00:00:00:00:09 dev v0
ip route add unreachable 10.2.0.0/16";

fn command(arguments: &str) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--net", "--mount", "--propagation", "private", "sh", "-c"])
        .arg(format!("{GROUND}\nexec {SOCKLAB} ping {arguments}"))
        .stdin(Stdio::null());
    command
}

fn run(arguments: &str) -> Output {
    command(arguments).output().unwrap()
}

fn events(output: &Output) -> Vec<Value> {
    let lines = output.stdout.split(|&byte| byte == b'\n');
    lines
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

fn of<'e>(events: &'e [Value], echo: &str) -> Vec<&'e Value> {
    let named = events.iter().filter(|event| event["echo"] == echo);
    named.collect()
}

#[test]
fn json_tells_all_of_a_count() {
    if !support::may_make_namespaces("a sweep in a namespace of its own") {
        return;
    }
    let output = run("--json -c 2 -i 0.05 127.0.0.1 10.1.1.9 10.2.0.1 ::1");
    assert_eq!(output.status.code(), Some(1));
    let events = events(&output);
    assert_eq!(of(&events, "started").len(), 4);
    assert_eq!(of(&events, "request").len(), 6);
    assert_eq!(of(&events, "reply").len(), 4);
    assert_eq!(of(&events, "no_answer").len(), 2);
    let failures = of(&events, "failure");
    assert_eq!(failures.len(), 2);
    assert_eq!(
        (&failures[0]["cause"], &failures[0]["name"]),
        (&"send".into(), &"10.2.0.1".into())
    );
    let summaries = of(&events, "summary");
    let rows: Vec<String> = summaries
        .iter()
        .map(|row| {
            let fields = [
                "name",
                "transmitted",
                "received",
                "lost",
                "errors",
                "in_flight",
            ];
            fields.map(|field| row[field].to_string()).join(" ")
        })
        .collect();
    assert_eq!(
        rows,
        [
            r#""127.0.0.1" 2 2 0 0 0"#,
            r#""10.1.1.9" 2 0 2 0 0"#,
            r#""10.2.0.1" 2 0 0 2 0"#,
            r#""::1" 2 2 0 0 0"#,
        ]
    );
    assert!(summaries[0]["rtt_p99_ns"].is_u64());
    let result = &events.last().unwrap()["result"];
    assert_eq!(
        (&result["alive"], &result["unreachable"]),
        (&2.into(), &2.into())
    );
}

/// Of each request of a JSON run, its target and number.
fn numbers(events: &[Value]) -> Vec<(String, u64)> {
    let requests = of(events, "request").into_iter();
    let mut numbers: Vec<_> = requests
        .map(|request| {
            let name = request["name"].as_str().unwrap().to_owned();
            (name, request["number"].as_u64().unwrap())
        })
        .collect();
    numbers.sort();
    numbers
}

#[test]
fn no_target_gets_more_than_it_was_given() {
    if !support::may_make_namespaces("a sweep in a namespace of its own") {
        return;
    }
    for options in ["-i 0 -c 5", "-i 0.0001 -c 5", "-i 0 --columns 5"] {
        let output = run(&format!("--json -W 60 {options} 127.0.0.1 ::1"));
        assert_eq!(output.status.code(), Some(0), "{options}");
        let events = events(&output);
        let each = |name: &'static str| (1..=5).map(move |number| (name.to_owned(), number));
        let expected: Vec<_> = each("127.0.0.1").chain(each("::1")).collect();
        assert_eq!(numbers(&events), expected, "{options}");
        for summary in of(&events, "summary") {
            let figures = ["transmitted", "received", "lost", "in_flight"];
            let figures = figures.map(|field| summary[field].as_u64().unwrap());
            assert_eq!(figures, [5, 5, 0, 0], "{options}: {summary}");
        }
    }
}

#[test]
fn without_a_period_replies_still_count() {
    if !support::may_make_namespaces("a sweep in a namespace of its own") {
        return;
    }
    let output = run("--json -i 0 -c 3 127.0.0.1 10.1.1.9");
    let events = events(&output);
    let rows = of(&events, "summary").into_iter().map(|row| {
        let figures = ["transmitted", "received", "lost"];
        figures.map(|field| row[field].as_u64().unwrap())
    });
    assert_eq!(rows.collect::<Vec<_>>(), [[3, 3, 0], [3, 0, 3]]);
}

#[test]
fn a_run_that_was_stopped_numbers_no_request_twice() {
    if !support::may_make_namespaces("a sweep in a namespace of its own") {
        return;
    }
    let mut child = command("--json -i 0.05 -c 6 -W 60 127.0.0.1 127.0.0.2")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let id = Pid::from_raw(child.id().try_into().unwrap());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut events: Vec<Value> = Vec::new();
    let mut take = |events: &mut Vec<Value>| {
        let line = lines.next()?.unwrap();
        events.push(serde_json::from_str(&line).unwrap());
        Some(())
    };
    while numbers(&events).len() < 3 {
        take(&mut events).unwrap();
    }
    kill(id, Signal::SIGSTOP).unwrap();
    // Another run with the same period has six of them meanwhile.
    assert_eq!(run("-q -i 0.05 -c 7 127.0.0.1").status.code(), Some(0));
    kill(id, Signal::SIGCONT).unwrap();
    while take(&mut events).is_some() {}
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let each = |name: &'static str| (1..=6).map(move |number| (name.to_owned(), number));
    let expected: Vec<_> = each("127.0.0.1").chain(each("127.0.0.2")).collect();
    assert_eq!(numbers(&events), expected);
}

#[test]
fn json_tells_each_verdict() {
    if !support::may_make_namespaces("a sweep in a namespace of its own") {
        return;
    }
    let output = run("--json -W 0.02 --retries 1 127.0.0.0/29 10.1.1.9");
    let events = events(&output);
    let verdicts = of(&events, "verdict");
    let alive = verdicts
        .iter()
        .filter(|verdict| verdict["verdict"] == "alive");
    assert_eq!((alive.count(), verdicts.len()), (6, 7));
    let last = verdicts.last().unwrap();
    assert_eq!(
        (&last["name"], &last["requests"]),
        (&"10.1.1.9".into(), &2.into())
    );
}

#[test]
fn a_large_network_is_swept_whole() {
    if !support::may_make_namespaces("a sweep in a namespace of its own") {
        return;
    }
    let output = run("-q -c 1 --send-gap 0 127.0.0.0/18");
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.lines().count(), 16_382);
    let row = "xmt/rcv/%loss = 1/1/0%, min/avg/max = ";
    assert!(text.lines().all(|line| line.contains(row)));
    assert!(text.lines().last().unwrap().starts_with("127.0.63.254 : "));
}

#[test]
fn a_loop_ends_with_its_figures() {
    if !support::may_make_namespaces("a sweep in a namespace of its own") {
        return;
    }
    let mut command = command("--loop -i 0.02 127.0.0.1 127.0.0.2");
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let third = lines
        .by_ref()
        .map_while(Result::ok)
        .find(|line| line.contains("[2]"));
    assert!(third.is_some());
    kill(
        Pid::from_raw(child.id().try_into().unwrap()),
        Signal::SIGINT,
    )
    .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stderr).unwrap();
    let rows: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("/0%, min/avg/max"))
        .collect();
    assert_eq!(rows.len(), 2, "{text}");
}

#[test]
fn a_name_that_is_still_looked_up_keeps_its_row() {
    if !support::may_make_namespaces("a sweep in a namespace of its own") {
        return;
    }
    // A name server that is there and says nothing.
    let setup = format!(
        "{GROUND}
mount -t tmpfs none /run; echo 'nameserver 10.1.1.9' >/run/resolv
mount --bind /run/resolv /etc/resolv.conf"
    );
    let mut child = Command::new("unshare")
        .args(["--net", "--mount", "--propagation", "private", "sh", "-c"])
        .arg(format!(
            "{setup}\nexec {SOCKLAB} ping --loop -i 0.02 127.0.0.1 slow.example"
        ))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().is_some());
    let child_id = Pid::from_raw(child.id().try_into().unwrap());
    kill(child_id, Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let rows: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(rows.len(), 2, "{text}");
    assert_eq!(rows[0], "slow.example: No name server has answered yet");
    assert!(
        rows[1].starts_with("127.0.0.1 : xmt/rcv/%loss = "),
        "{text}"
    );
    assert_eq!(output.status.code(), Some(2), "{text}");
}

/// Names come in the order of the hosts; each has this many replies by then.
fn see_replies(lines: &mut impl Iterator<Item = String>, hosts: usize, each: usize) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    while seen.len() < hosts || seen.values().any(|&count| count < each) {
        let line = lines.next().expect("it goes on");
        let fields: Vec<&str> = line.split(',').collect();
        if fields[2] == "reply" {
            *seen.entry(fields[4].to_owned()).or_default() += 1;
        }
    }
}

/// Where a run's figures are served, and what else it says.
fn served_at(child: &mut Child) -> (String, Lines<BufReader<ChildStderr>>) {
    let mut notes = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = notes.find_map(|line| {
        let line = line.unwrap();
        let (_, rest) = line.split_once("figures at http://")?;
        Some(rest.trim_end_matches("/metrics").to_owned())
    });
    (address.unwrap(), notes)
}

fn scrape(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let timeout = Some(Duration::from_secs(60));
    stream.set_read_timeout(timeout).unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nHost: ping\r\n\r\n";
    stream.write_all(request).unwrap();
    let mut figures = String::new();
    stream.read_to_string(&mut figures).unwrap();
    figures
}

#[test]
fn csv_and_prometheus_tell_of_every_host() {
    if !support::may_make_namespaces("a sweep with a scrape of its figures") {
        return;
    }
    let hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];
    let options = ["ping", "--loop", "-i", "0.02", "--csv", "-"];
    let mut child = Command::new(SOCKLAB)
        .args(options)
        .args(["--prometheus", "127.0.0.1:0"])
        .args(hosts)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (address, _notes) = served_at(&mut child);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    assert!(lines.next().unwrap().starts_with("at_ns,unix_ns,event,"));
    see_replies(&mut lines, hosts.len(), 3);
    let figures = scrape(&address);
    for host in hosts {
        let label = format!("host=\"{host}\"");
        let of_host = figures
            .lines()
            .find(|line| line.starts_with("socklab_ping_received_total{") && line.contains(&label));
        let (_, count) = of_host.and_then(|line| line.rsplit_once(' ')).unwrap();
        assert!(count.parse::<f64>().unwrap() >= 3.0, "{host} {count}");
    }
    let child_id = Pid::from_raw(child.id().try_into().unwrap());
    kill(child_id, Signal::SIGINT).unwrap();
    assert!(lines.all(|line| line.split(',').count() == 19));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Runs in this thread's network, where no name is known but those of hosts.
fn without_names(arguments: &str) -> Command {
    let setup = "set -e; mount -t tmpfs none /run; : >/run/resolv
mount --bind /run/resolv /etc/resolv.conf";
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "sh", "-c"])
        .arg(format!("{setup}\nexec {SOCKLAB} ping {arguments}"))
        .stdin(Stdio::null());
    command
}

/// What `run_there` gives in a network of its own with [`GROUND`].
fn in_a_network<T: Send>(run_there: impl FnOnce() -> T + Send) -> T {
    // A thread's namespace is its children's too.
    let private = || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let made = Command::new("sh").args(["-c", GROUND]).status();
        assert!(made.unwrap().success());
        run_there()
    };
    std::thread::scope(|scope| scope.spawn(private).join()).unwrap()
}

#[test]
fn a_name_without_an_address_has_a_row_in_csv_and_json() {
    if !support::may_make_namespaces("a sweep in a namespace of its own") {
        return;
    }
    let hosts = "-c 1 127.0.0.1 nosuch.name";
    let [csv, json, quiet] = in_a_network(|| {
        ["--csv -", "--json", "--json -q"]
            .map(|face| without_names(&format!("{face} {hosts}")).output().unwrap())
    });
    for output in [&csv, &json, &quiet] {
        assert_eq!(output.status.code(), Some(2));
    }
    let text = String::from_utf8(csv.stdout).unwrap();
    let cells = text.lines().skip(1).map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells.len(), 19, "{line}");
        (cells[2], cells[4], cells[18].is_empty())
    });
    let mut rows: Vec<_> = cells.collect();
    rows.sort_unstable();
    let expected = [
        ("reply", "127.0.0.1", true),
        ("unresolved", "nosuch.name", false),
    ];
    assert_eq!(rows, expected, "{text}");
    for output in [json, quiet] {
        let events = events(&output);
        let unresolved = of(&events, "unresolved");
        assert_eq!(unresolved.len(), 1);
        assert_eq!(unresolved[0]["name"], "nosuch.name");
    }
}

/// Scrapes once three kinds of rows have been written: the figures' lines.
fn scraped(child: &mut Child) -> Vec<String> {
    let (address, _notes) = served_at(child);
    // Held until the end: without a reader the run would end.
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut awaited = vec![
        ",reply,0,127.0.0.1,1,",
        ",error,1,10.2.0.1,2,",
        ",unresolved,2,nosuch.name,",
    ];
    for line in lines.by_ref().map(Result::unwrap) {
        awaited.retain(|part| !line.contains(part));
        if awaited.is_empty() {
            break;
        }
    }
    assert_eq!(awaited, [""; 0]);
    scrape(&address).lines().map(str::to_owned).collect()
}

#[test]
fn prometheus_knows_the_hosts_that_nothing_reaches() {
    if !support::may_make_namespaces("a sweep with a scrape of its figures") {
        return;
    }
    let figures = in_a_network(|| {
        let options = "--loop -i 0.02 --csv - --prometheus 127.0.0.1:0";
        let mut child = without_names(&format!("{options} 127.0.0.1 10.2.0.1 nosuch.name"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let figures = scraped(&mut child);
        child.kill().unwrap();
        child.wait().unwrap();
        figures
    });
    let has = |start: &str, least: f64| {
        let line = figures.iter().find(|line| line.starts_with(start));
        let count = line.and_then(|line| line.rsplit_once(' ')).map(|of| of.1);
        let count = count.map_or(-1.0, |count| count.parse().unwrap());
        assert!(count >= least, "{start} is {count} in {figures:#?}");
    };
    let unreachable = "{address=\"10.2.0.1\",host=\"10.2.0.1\"";
    has(&format!("socklab_ping_sent_total{unreachable}"), 2.0);
    has(&format!("socklab_ping_failed_total{unreachable}"), 2.0);
    has(&format!("socklab_ping_errors_total{unreachable}"), 2.0);
    has(&format!("socklab_ping_received_total{unreachable}"), 0.0);
    has(
        "socklab_ping_unresolved{host=\"nosuch.name\",reason=\"",
        1.0,
    );
    has("socklab_ping_received_total{address=\"127.0.0.1\"", 1.0);
}

#[test]
fn pictures_follow_the_figures() {
    if !support::may_make_namespaces("a sweep in a namespace of its own") {
        return;
    }
    let output = run("-q -c 3 -i 0.02 --stats always --histogram 127.0.0.1 10.1.1.9 ::1");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let (stats, histogram) = text
        .split_once("── How long the round trips took")
        .expect(&text);
    let columns = |host: &str| {
        let line = stats.lines().find(|line| line.starts_with(host)).unwrap();
        let words: Vec<&str> = line.split_whitespace().skip(1).take(4).collect();
        words.join(" ")
    };
    assert_eq!(columns("127.0.0.1"), "3 0 0 %");
    assert_eq!(columns("10.1.1.9"), "3 3 100 %");
    assert_eq!(columns("::1"), "3 0 0 %");
    assert!(histogram.contains("\n127.0.0.1 ") && histogram.contains("\n::1 "));
}

#[test]
fn what_has_no_effect_is_refused() {
    for (arguments, expected) in [
        ("-f a b", "ping -f: not for many targets; --send-gap 0"),
        ("-A a b", "ping -A: not for many targets"),
        ("-l 3 a b", "ping -l: not for many targets"),
        (
            "-O a b",
            "ping -O: not for many targets; with -c and --loop",
        ),
        ("-v --alive a", "ping -v: not for many targets; --json"),
        ("-R a b", "ping -R: not for many targets; ping one host"),
        ("-b a b", "ping -b: not for many targets"),
        ("-B a b", "ping -B: not for many targets; -I ADDRESS"),
        ("-T tsprespec --alive a b", "ping -T: not for many targets"),
        ("-n --names a b", "ping -n: not for many targets; leave out"),
        ("-W 0 a b", "ping -W 0: not for many targets"),
        (
            "--outage a b",
            "ping --outage: there are no figures of a check",
        ),
        (
            "-c 1 --retries 1 a b",
            "ping --retries: only a check asks again",
        ),
        ("-N name a b", "node information queries"),
    ] {
        let words = arguments.split_whitespace();
        let output = Command::new(SOCKLAB).arg("ping").args(words).output();
        let output = output.unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments}: {error}");
        assert!(error.contains(expected), "{arguments}: {error}");
    }
}

#[test]
fn a_chosen_source_is_told() {
    if !support::may_make_namespaces("a sweep in a namespace of its own") {
        return;
    }
    let output = run("--json -c 1 -I 127.0.0.9 127.0.0.1 127.0.0.2");
    let events = events(&output);
    let started = of(&events, "started");
    assert_eq!(started.len(), 2);
    assert!(started.iter().all(|event| event["source"] == "127.0.0.9"));
}

#[test]
fn what_memory_cannot_hold_is_refused() {
    if !support::may_make_namespaces("a sweep in a namespace of its own") {
        return;
    }
    let output = run("--columns 100000 127.0.0.0/16");
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        error,
        "socklab: keep 100000 round trips of each of 65534 targets: there is room for 67108864 \
         in all; ask for fewer, or write them to a file with --csv\n"
    );
    let output = run("-c 1 --prometheus 127.0.0.1:0 127.0.0.0/16");
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    let expected = "65534 targets are more than the 10000 with series";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_pattern_fills_the_requests() {
    if !support::may_make_namespaces("a sweep in a namespace of its own") {
        return;
    }
    let output = run("--json -c 1 -s 4 -p ab12 127.0.0.1 ::1");
    let events = events(&output);
    let requests = of(&events, "request");
    assert_eq!(requests.len(), 2);
    for request in requests {
        let message = request["message_hex"].as_str().unwrap();
        assert!(message.ends_with("ab12ab12"), "{message}");
    }
    assert!(
        of(&events, "reply")
            .iter()
            .all(|reply| reply["wrong_byte"].is_null())
    );
}

/// What someone else claims in an echo reply to 10.1.1.1.
struct Forgery {
    source: Ipv4Addr,
    identifier: u16,
    sequence: u16,
    payload: Vec<u8>,
    checksum_off_by: u16,
}

impl Forgery {
    fn packet(&self) -> Vec<u8> {
        let mut message = vec![0; 4];
        message.extend_from_slice(&self.identifier.to_be_bytes());
        message.extend_from_slice(&self.sequence.to_be_bytes());
        message.extend_from_slice(&self.payload);
        let checksum = checksum(&message).wrapping_add(self.checksum_off_by);
        message[2..4].copy_from_slice(&checksum.to_be_bytes());
        let length = u16::try_from(message.len() + 20).unwrap().to_be_bytes();
        let mut packet = vec![0x45, 0, length[0], length[1], 0, 0, 0, 0, 64, 1, 0, 0];
        packet.extend_from_slice(&self.source.octets());
        packet.extend_from_slice(&[10, 1, 1, 1]);
        packet.extend_from_slice(&message);
        packet
    }
}

fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2);
    let sum: u32 = words
        .map(|word| u32::from(u16::from_be_bytes([word[0], *word.get(1).unwrap_or(&0)])))
        .sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap()
}

/// Sends what looks like replies to the request of a sweep; the one that ends
/// it comes last.
fn forge_replies(request: &Value) {
    let message = hex::decode(request["message_hex"].as_str().unwrap()).unwrap();
    let word = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
    let (silent, other) = (Ipv4Addr::new(10, 1, 1, 9), Ipv4Addr::new(10, 1, 1, 8));
    let genuine = |source| Forgery {
        source,
        identifier: word(4),
        sequence: word(6),
        payload: message[8..].to_vec(),
        checksum_off_by: 0,
    };
    let mut changed = genuine(silent);
    changed.payload[5] ^= 0xff;
    let forgeries = [
        genuine(other),
        Forgery {
            identifier: word(4) ^ 0x8000,
            ..genuine(silent)
        },
        Forgery {
            sequence: word(6) + 1,
            ..genuine(silent)
        },
        Forgery {
            checksum_off_by: 1,
            ..genuine(silent)
        },
        changed,
    ];
    let protocol = Some(Protocol::from(IPPROTO_RAW));
    let socket = Socket::new(Domain::IPV4, Type::RAW, protocol).unwrap();
    let here = SocketAddr::from(([10, 1, 1, 1], 0)).into();
    for forgery in forgeries {
        socket.send_to(&forgery.packet(), &here).unwrap();
    }
}

#[test]
fn what_others_send_does_not_count() {
    if !support::may_make_namespaces("a sweep in a namespace of its own") {
        return;
    }
    let events = in_a_network(|| {
        let arguments = "ping --json --columns 1 -W 60 10.1.1.9";
        let mut child = Command::new(SOCKLAB)
            .args(arguments.split_whitespace())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut events = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
            if event["echo"] == "request" {
                forge_replies(&event);
            }
            events.push(event);
        }
        child.wait().unwrap();
        events
    });
    let replies = of(&events, "reply");
    let told: Vec<(&str, &str, bool)> = replies
        .iter()
        .map(|reply| {
            let text = |field: &str| reply[field].as_str().unwrap();
            let is_changed = !reply["wrong_byte"].is_null();
            (text("from"), text("judgement"), is_changed)
        })
        .collect();
    assert_eq!(
        told,
        [
            ("10.1.1.8", "different_address", false),
            ("10.1.1.9", "bad_checksum", false),
            ("10.1.1.9", "counted", true),
        ]
    );
    assert_eq!(replies[2]["wrong_byte"]["index"], 5);
    let summary = of(&events, "summary")[0];
    let figures = ["transmitted", "received", "duplicates", "corrupted"];
    let figures = figures.map(|field| summary[field].as_u64().unwrap());
    assert_eq!(figures, [1, 1, 0, 1]);
}
