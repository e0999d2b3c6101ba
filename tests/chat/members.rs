//! Members who do not read, reset, fall silent, come in crowds, or send what could
//! harm a terminal.

use std::io::Write;
use std::net::{Shutdown, TcpListener};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use socket2::SockRef;

use crate::stage::{Member, Running, alone};

/// ncat --chat froze for everybody when one reader stopped (apps.md).
#[test]
fn who_does_not_read_is_cut_off_and_nobody_else_notices() {
    alone("a slow reader", || {
        let mut host = Running::host(&["--rate", "0"]);
        let mut speaker = Member::named("speaker");
        let mut other = Member::named("other");
        let mut slow = Member::named("slow");
        other.sees("is now slow");
        let text = "x".repeat(1000);
        let (mut number, mut is_cut) = (0, false);
        while !is_cut {
            for _ in 0..50 {
                speaker.say(&format!("{number} {text}"));
                let expected = format!("<speaker> {number} {text}");
                let seen = other.sees(&expected);
                is_cut |= seen.contains(&"* slow left: too slow".to_owned());
                assert!(seen.len() <= 2, "nothing else: {seen:?}");
                number += 1;
            }
            assert!(
                number < 100_000,
                "{number} lines were queued for who does not read"
            );
        }
        host.sees("* slow left: too slow");
        // What it does read has no torn line, and says why.
        let heard = slow.rest();
        let mut lines = heard.lines().rev();
        assert_eq!(
            lines.next(),
            Some("* you are cut off: you do not read what is said")
        );
        let is_whole = |line: &str| line.starts_with("<speaker> ") && line.ends_with(&text);
        assert!(lines.all(is_whole), "a line was torn");
        speaker.say("still here?");
        other.sees("<speaker> still here?");
    });
}

#[test]
fn a_reset_is_told_and_disturbs_nobody() {
    alone("a reset", || {
        let mut host = Running::host(&[]);
        let mut ann = Member::named("ann");
        let bob = Member::named("bob");
        SockRef::from(&bob.stream)
            .set_linger(Some(Duration::ZERO))
            .expect("it can");
        drop(bob);
        ann.sees("* bob left: connection reset");
        let carl = Member::named("carl");
        carl.stream.shutdown(Shutdown::Write).expect("it can");
        ann.sees("* carl left");
        host.sees("* carl left");
    });
}

#[test]
fn nothing_that_moves_a_cursor_reaches_anybody() {
    alone("escapes", || {
        let mut host = Running::host(&[]);
        let mut ann = Member::named("ann");
        let mut join = Running::join(&["127.0.0.1", "--nick", "bob"]);
        join.sees("* you are bob");
        ann.send(b"\x1b[2J\x1b]0;owned\x07 caf\xe9 \xc2\x9b31m \xe2\x80\xae\xff\xf4gnp\r\n");
        let expected = "<ann> [2J]0;owned caf\u{fffd} 31m gnp";
        assert_eq!(join.sees("<ann>").pop().as_deref(), Some(expected));
        assert_eq!(host.sees("<ann>").pop().as_deref(), Some(expected));
        ann.say("/nick \x1b[31mred");
        ann.sees("* a name has letters");
    });
}

/// Nor does it where the room itself is hostile.
#[test]
fn nothing_of_a_hostile_host_moves_a_cursor() {
    alone("a hostile host", || {
        let listener = TcpListener::bind("127.0.0.1:5073").expect("a free port");
        let join = Running::join(&["127.0.0.1"]);
        let (mut stream, _) = listener.accept().expect("it connects");
        let mut bytes = b"\x1b[2J\x1b[Hboo\x9b\xc2\x9b1m\rno\n".to_vec();
        bytes.extend(std::iter::repeat_n(b'x', 100_000));
        bytes.extend(b"\nlast");
        stream.write_all(&bytes).expect("it reads");
        drop(stream);
        let (out, told, code) = join.end();
        let expected = "[2J[Hboo\u{fffd}1mno\n* a line of 100000 bytes was left out\nlast\n";
        assert_eq!((out.as_str(), code), (expected, 0), "{told}");
    });
}

/// ncat made two of one (apps.md).
#[test]
fn a_line_in_pieces_is_one_line() {
    alone("pieces", || {
        let _host = Running::host(&["--ack"]);
        let (mut ann, mut bob) = (Member::named("ann"), Member::named("bob"));
        ann.stream.set_nodelay(true).expect("it can");
        for byte in b"par\xff\xfd\x06tial\r\ntwo\nlast" {
            ann.send(&[*byte]);
        }
        bob.sees("<ann> partial");
        bob.sees("<ann> two");
        ann.sees("* received 7 bytes, passed on to 1");
        ann.stream.shutdown(Shutdown::Write).expect("it can");
        bob.sees("<ann> last");
        ann.sees("* received 4 bytes, passed on to 1");
        ann.rest();
    });
}

#[test]
fn a_line_that_is_too_long_is_refused_and_the_next_is_heard() {
    alone("a long line", || {
        let _host = Running::host(&[]);
        let (mut ann, mut bob) = (Member::named("ann"), Member::named("bob"));
        ann.say(&"x".repeat(1 << 20));
        assert_eq!(
            ann.sees("a line has").pop().as_deref(),
            Some("* a line has at most 4096 bytes; 1048576 were not passed on")
        );
        let longest = "y".repeat(4096);
        ann.say(&longest);
        assert_eq!(bob.line(), format!("<ann> {longest}"));
    });
}

#[test]
fn who_falls_silent_is_cut_off() {
    alone("silence", || {
        let host = &["--idle-timeout", "300ms"];
        let mut host = Running::host(host);
        let mut idle = Member::join();
        assert_eq!(
            idle.rest(),
            "* you are cut off: nothing came for too long\n"
        );
        host.sees("* guest1 left: idle");
        drop(host);
        let mut host = Running::host(&["--line-timeout", "300ms"]);
        let mut unfinished = Member::join();
        unfinished.send(b"this goes on and");
        assert_eq!(
            unfinished.rest(),
            "* you are cut off: a line took too long\n"
        );
        host.sees("* guest1 left: a line took too long");
    });
}

#[test]
fn a_newcomer_sees_what_was_said_before() {
    alone("history", || {
        let mut host = Running::host(&["--history", "2"]);
        let mut ann = Member::named("ann");
        for line in ["one", "two", "three"] {
            ann.say(line);
        }
        host.sees("<ann> three");
        host.say("welcome all");
        ann.sees("<server> welcome all");
        let mut bob = Member::connect("127.0.0.1:5073");
        let expected = [
            "* 2 lines from before you came:",
            "<ann> three",
            "<server> welcome all",
            "* you are guest2; 1 other is here; /help tells the commands",
        ];
        assert_eq!(bob.sees("* you are guest2"), expected);
    });
}

#[test]
fn an_interrupt_closes_the_room_in_order() {
    alone("closing", || {
        let host = Running::host(&[]);
        let (mut ann, join) = (Member::named("ann"), Running::join(&["127.0.0.1"]));
        ann.sees("* guest2 joined");
        host.interrupt();
        assert_eq!(ann.rest(), "* the room closes\n");
        ann.stream.shutdown(Shutdown::Write).expect("it can");
        let (out, told, code) = join.end();
        assert!(out.ends_with("* the room closes\n"), "{out}");
        assert_eq!(code, 0, "{told}");
        let (out, told, code) = host.end();
        assert_eq!(code, 0, "{told}");
        assert!(out.ends_with("* ann left\n* guest2 left\n"), "{out}");
        assert!(
            told.contains("2 came in (2 at once), 0 refused, 0 too slow"),
            "{told}"
        );
    });
}

#[test]
fn a_thousand_members_hear_one() {
    alone("a crowd", || {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
        setrlimit(Resource::RLIMIT_NOFILE, soft.max(2500.min(hard)), hard).expect("it can");
        let mut host = Running::host(&["--max", "1000", "--history", "0"]);
        let mut members: Vec<Member> = (0..1000).map(|_| Member::join()).collect();
        members[0].say("hello, everybody");
        for member in &mut members[1..] {
            member.sees("<guest1> hello, everybody");
        }
        members[0].say("/who");
        members[0].sees("*   and 950 more");
        let mut late = Member::connect("127.0.0.1:5073");
        assert_eq!(late.rest(), "* the room is full: 1000 are here\n");
        drop(members);
        host.interrupt();
        host.sees("* guest1000 left");
        let (_, told, code) = host.end();
        assert_eq!(code, 0, "{told}");
        assert!(
            told.contains("1000 came in (1000 at once), 1 refused, 0 too slow"),
            "{told}"
        );
    });
}

/// socat's listener exits and ncat spins (apps.md).
#[test]
fn descriptors_that_have_run_out_are_waited_for() {
    alone("EMFILE", || {
        let command = "ulimit -n 24; exec \"$0\" chat host --max 100";
        let mut host = Running::start("sh", &["-c", command, crate::stage::SOCKLAB]);
        host.told("listening on [::1]:5073");
        let mut members: Vec<Member> = (0..24).map(|_| Member::connect("127.0.0.1:5073")).collect();
        host.told("EMFILE");
        let mut last = members.pop().expect("one");
        let mut first = members.remove(0);
        first.say("still here");
        members.truncate(4);
        last.sees("* you are guest24");
        last.say("I am in");
        first.sees("<guest24> I am in");
    });
}

#[test]
fn a_flood_is_slowed_down_and_loses_nothing() {
    alone("a flood", || {
        let _host = Running::host(&["--rate", "1000"]);
        let (mut ann, mut bob) = (Member::named("ann"), Member::named("bob"));
        let flood: Vec<String> = (0..5000).map(|number| format!("{number}\n")).collect();
        let flood = flood.concat();
        let mut stream = ann.stream.try_clone().expect("a descriptor");
        let sending = std::thread::spawn(move || stream.write_all(flood.as_bytes()));
        for number in 0..5000 {
            assert_eq!(bob.line(), format!("<ann> {number}"));
        }
        sending.join().expect("it ran").expect("it was read");
        ann.say("/who");
        ann.sees("*   ann: 5002 lines");
    });
}

/// Bytes that never make a line were read as fast as they came.
#[test]
fn who_sends_no_lines_at_all_is_read_no_faster() {
    alone("no lines", || {
        let host = Running::host(&["--rate", "1"]);
        let (mut ann, mut bob) = (Member::named("ann"), Member::named("bob"));
        let eve = Member::join();
        ann.sees("* guest3 joined");
        let mut stream = eve.stream.try_clone().expect("a descriptor");
        stream
            .set_write_timeout(Some(Duration::from_millis(500)))
            .expect("it can");
        // More than the kernel keeps for it at both ends.
        let (nothing, mut taken) = ([0; 4096], 0);
        let stuck = loop {
            match stream.write(&nothing) {
                Ok(count) => taken += count,
                Err(error) => break error,
            }
            assert!(taken < 1 << 28, "it is read without end");
        };
        assert_eq!(stuck.kind(), std::io::ErrorKind::WouldBlock);
        ann.say("hello");
        bob.sees("<ann> hello");
        host.interrupt();
        assert_eq!(host.end().2, 0);
    });
}
