//! What a long comparison costs in memory. A process of its own: the kernel
//! tells only the largest of all children (getrusage(2)).

mod support;

use std::io::Read;
use std::process::Stdio;

use nix::sys::resource::{UsageWho, getrusage};
use support::program::{As, Program};

#[test]
fn ten_thousand_messages_lose_nothing_and_take_little_memory() {
    let program = Program::new();
    let arguments = [
        "compare",
        "-c",
        "10000",
        "-s",
        "1024",
        "-i",
        "1",
        "--expect",
        "udp.lost == 0",
        "--expect",
        "tcp.lost == 0",
        "--expect",
        "raw-icmp.lost == 0",
    ];
    let Some(mut command) = program.command(As::NobodyWithTun, &arguments) else {
        return;
    };
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut text = String::new();
    let mut output = child.stdout.take().expect("piped");
    output.read_to_string(&mut text).expect("it ends");
    assert!(child.wait().expect("it ended").success(), "{text}");
    let peak = getrusage(UsageWho::RUSAGE_CHILDREN)
        .expect("getrusage")
        .max_rss();
    assert!(peak < 100 * 1024, "{peak} KiB");
}
