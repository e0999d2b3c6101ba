//! What a sweep costs, beside fping in the same run: time and memory for a /16,
//! the same for a /12, and how well ten thousand targets keep their schedule.
//!
//! Each program runs in a network namespace of its own (`unshare(1)`), its output
//! goes to /dev/null. `SOCKLAB` names another socklab to measure.

use std::collections::HashMap;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

const ROUNDS: usize = 5;
const SECONDS: u64 = 5;

fn socklab() -> String {
    let built = env!("CARGO_BIN_EXE_socklab").to_owned();
    std::env::var("SOCKLAB").unwrap_or(built)
}

fn private(line: &str) -> Command {
    let mut command = Command::new("unshare");
    let script = format!("ip link set lo up && exec {line}");
    command.args(["--net", "sh", "-c", &script]);
    command
}

/// The shortest of some runs.
fn shortest(line: &str, rounds: usize) -> Duration {
    let one = || {
        let mut command = private(line);
        let begin = Instant::now();
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(status.is_ok_and(|status| status.success()), "{line}");
        begin.elapsed()
    };
    (0..rounds).map(|_| one()).min().unwrap_or_default()
}

/// The most memory that any process of this run so far has had.
fn mebibytes_so_far() -> i64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN);
    usage.map_or(0, |usage| usage.max_rss() / 1024)
}

fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}

fn sweeps() {
    let ours = |network| {
        let program = socklab();
        format!("{program} ping -q -c 1 --send-gap 0 {network}")
    };
    // In the order of their memory: only the largest so far can be asked for.
    let own = shortest(&ours("127.0.0.0/16"), ROUNDS);
    let own_memory = mebibytes_so_far();
    let theirs = shortest("fping -q -c1 -g 127.0.0.0/16 -i 0", ROUNDS);
    let their_memory = mebibytes_so_far();
    let ratio = theirs.as_secs_f64() / own.as_secs_f64();
    println!("127.0.0.0/16  socklab {}, {own_memory} MiB", seconds(own));
    println!(
        "              fping   {}, {their_memory} MiB at most",
        seconds(theirs)
    );
    println!("              {ratio:.2} × as fast (≥ 3 wanted)");
    let large = shortest(&ours("127.0.0.0/12"), 1);
    println!(
        "127.0.0.0/12  socklab {}, {} MiB (< 256 wanted), {:.1} × the /16's time for 16 × the targets",
        seconds(large),
        mebibytes_so_far(),
        large.as_secs_f64() / own.as_secs_f64()
    );
}

/// How late each request left, by the times of its event.
fn schedule() {
    let line = format!(
        "{} ping --json -c {SECONDS} --range 127.0.0.1 127.0.39.16",
        socklab()
    );
    let mut child = private(&line)
        .stdout(Stdio::piped())
        .spawn()
        .expect("unshare runs");
    let mut stdout = child.stdout.take().expect("it is piped");
    // Whoever reads slowly holds the sender up: lines are read later.
    let mut lines = Vec::new();
    stdout.read_to_end(&mut lines).expect("it is read");
    let mut times: HashMap<u64, Vec<u64>> = HashMap::new();
    for line in lines.split(|&byte| byte == b'\n') {
        let Ok(event) = serde_json::from_slice::<serde_json::Value>(line) else {
            continue;
        };
        if event["echo"] == "request" {
            let field = |name: &str| event[name].as_u64().unwrap_or_default();
            let due = (field("number") - 1) * 1_000_000_000;
            let start = field("at_ns").saturating_sub(due);
            times.entry(field("index")).or_default().push(start);
        }
    }
    let _ = child.wait();
    let complete = times.values().filter(|times| times.len() as u64 == SECONDS);
    let complete = complete.count();
    // No request leaves before it is due: a target's earliest stands for its
    // schedule.
    let mut lates: Vec<u64> = Vec::new();
    for starts in times.values() {
        let first = starts.iter().min().copied().unwrap_or_default();
        lates.extend(starts.iter().map(|start| start - first));
    }
    lates.sort_unstable();
    let late = |percent: usize| {
        let rank = (lates.len() * percent).div_ceil(100).max(1) - 1;
        lates.get(rank).map_or(0, |late| late / 1000)
    };
    println!(
        "10,000 targets, {SECONDS} requests each, one a second: late by p50 {} µs, p99 {} µs, at most {} µs \
         (p99 < 2,000 wanted); {complete} targets complete",
        late(50),
        late(99),
        late(100)
    );
}

fn main() {
    sweeps();
    schedule();
}
