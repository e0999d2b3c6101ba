//! Sweeps end to end, in namespaces of their own: what they tell in JSON, how
//! they end, and that other programs' replies do not count.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

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
    assert_eq!(of(&events, "started").len(), 3, "nothing left for 10.2.0.1");
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
