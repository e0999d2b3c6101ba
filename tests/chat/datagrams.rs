//! The room over datagrams, and without a host: what is lost, late or doubled
//! shows, and nobody comes in under another's address.

use std::net::UdpSocket;
use std::time::Duration;

use crate::stage::{Running, alone};

/// A member that is nothing but a datagram socket.
struct Guest(UdpSocket);

impl Guest {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.connect("127.0.0.1:5073").expect("it can");
        socket
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("it can");
        Self(socket)
    }

    /// Comes in as a person with `nc -u` would.
    fn join() -> Self {
        let guest = Self::new();
        guest.say("hello?");
        let asked = guest.hear();
        let ticket = asked.strip_prefix("* to come in, say ").expect("a ticket");
        guest.say(ticket);
        assert!(guest.hear().starts_with("#1 * you are guest"));
        guest
    }

    fn say(&self, text: &str) {
        self.0.send(text.as_bytes()).expect("it can");
    }

    fn hear(&self) -> String {
        let mut bytes = [0; 5000];
        let count = self.0.recv(&mut bytes).expect("somebody speaks");
        String::from_utf8_lossy(&bytes[..count])
            .trim_end()
            .to_owned()
    }
}

#[test]
fn a_room_over_datagrams_numbers_its_messages() {
    alone("datagrams", || {
        for address in ["127.0.0.1:5073", "[::1]:5073"] {
            let mut host = Running::host(&["--udp", address]);
            let mut ann = Running::join(&["--udp", address, "--nick", "ann"]);
            ann.sees("* you are ann");
            let mut bob = Running::join(&["--udp", address, "--nick", "bob"]);
            bob.sees("* you are bob");
            for line in ["/who", "", "good morning"] {
                host.say(line);
            }
            assert_eq!(
                host.sees("* 2 here").last().map(String::as_str),
                Some("* 2 here")
            );
            assert_eq!(
                ann.sees("<server>").pop().as_deref(),
                Some("<server> good morning")
            );
            ann.say("hello");
            bob.sees("<ann> hello");
            bob.say("/msg ann psst");
            ann.sees("[bob to you] psst");
            bob.say("exit");
            ann.sees("* bob left");
            let (out, told, code) = bob.end();
            assert_eq!((out.as_str(), code), ("* bye\n", 0), "{told}");
            host.interrupt();
            ann.sees("* the room closes");
            assert_eq!(ann.end().2, 0);
            host.sees("* ann left");
            assert_eq!(host.end().2, 0);
        }
    });
}

#[test]
fn the_host_says_what_it_missed() {
    alone("lost upwards", || {
        let mut host = Running::host(&["--udp", "-v"]);
        let guest = Guest::join();
        for datagram in ["#1 one", "#4 four", "#3 three", "#3 three"] {
            guest.say(datagram);
        }
        assert_eq!(guest.hear(), "#2 * lost on the way here: #2 to #3");
        guest.say("=6");
        assert_eq!(guest.hear(), "#3 * lost on the way here: #5 to #6");
        let said = host.sees("<guest1> three");
        assert_eq!(
            said[1..],
            ["<guest1> one", "<guest1> four", "<guest1> three"]
        );
        host.told("lost on the way: 2 messages of guest1 (#2 to #3)");
        host.told("#3 of guest1 came late");
        host.told("#3 of guest1 came a second time");
        host.told("lost on the way: 2 messages of guest1 (#5 to #6)");
        guest.say(&format!("#7 {}", "x".repeat(6000)));
        let refused = guest.hear();
        assert!(
            refused.starts_with("#4 ") && refused.contains("6000"),
            "{refused}"
        );
        guest.say("#18446744073709551615 far");
        assert_eq!(guest.hear(), "#5 * you number anew: #18446744073709551615");
        guest.say("#8 eight");
        host.sees("<guest1> eight");
    });
}

#[test]
fn a_member_says_what_it_missed() {
    alone("lost downwards", || {
        let room = UdpSocket::bind("127.0.0.1:5073").expect("a port");
        let mut join = Running::join(&["--udp", "127.0.0.1", "-v"]);
        let mut bytes = [0; 100];
        let (_, member) = room.recv_from(&mut bytes).expect("it knocks");
        for datagram in [
            "#1 * you are guest1",
            "#2 <ann> one",
            "#5 <ann> \x1b[2Jfour",
            "#4 <ann> three",
            "#4 <ann> three",
            "=6",
            "#7 * the room closes",
        ] {
            room.send_to(datagram.as_bytes(), member).expect("it can");
        }
        let seen = join.sees("* the room closes");
        let expected = [
            "* you are guest1",
            "<ann> one",
            "* lost on the way here: #3 to #4",
            "<ann> [2Jfour",
            "<ann> three (late)",
            "* lost on the way here: #6",
            "* the room closes",
        ];
        assert_eq!(seen, expected);
        let (_, told, code) = join.end();
        assert_eq!(code, 0, "{told}");
        let summary = "0 messages sent, 5 received, 2 lost on the way here";
        assert!(told.contains(summary), "{told}");
        assert!(told.contains("#4 of server came a second time"), "{told}");
    });
}

#[test]
fn nobody_comes_in_without_the_ticket_of_their_address() {
    alone("tickets", || {
        let mut host = Running::host(&["--udp"]);
        let (one, other) = (Guest::new(), Guest::new());
        one.say("hello?");
        other.say("=0");
        let (ticket, others) = (one.hear(), other.hear());
        assert_ne!(ticket, others);
        // Somebody else's is not one's own.
        one.say(others.strip_prefix("* to come in, say ").expect("a ticket"));
        assert_eq!(one.hear(), ticket);
        let guest = Guest::join();
        assert_eq!(host.sees("joined").len(), 1, "nobody came in before");
        guest.say("#1 exit");
        assert_eq!(guest.hear(), "#2 * bye");
        assert!(ticket.len() < 40, "an answer is no amplifier: {ticket}");
    });
}

/// One datagram under the room's own address, or another room's, would otherwise
/// be answered for ever.
#[test]
fn what_nobody_says_who_asks_to_come_in_is_not_answered() {
    alone("strangers", || {
        let host = Running::host(&["--udp"]);
        let stranger = Guest::new();
        for datagram in ["", "x", "#1 x", "* to come in, say /here 01234567", "* bye"] {
            stranger.say(datagram);
        }
        stranger.say("=0");
        assert!(stranger.hear().starts_with("* to come in, say "));
        // Everything before it was taken before it, in the order it was sent.
        stranger.0.set_nonblocking(true).expect("it can");
        let more = stranger.0.recv(&mut [0; 100]);
        assert_eq!(
            more.expect_err("one answer").kind(),
            std::io::ErrorKind::WouldBlock
        );
        host.interrupt();
        assert_eq!(host.end().2, 0);
    });
}

/// As a forger sends it: from the room's own address, and from another room's.
#[test]
fn a_forged_sender_makes_no_room_talk_to_itself_or_to_another() {
    alone("forged senders", || {
        let mut rooms = ["127.0.0.1:5073", "127.0.0.1:5074"]
            .map(|address| Running::host(&["--udp", "-v", address]));
        for (from, text) in [(5073, "x"), (5074, "x"), (5073, "=0"), (5074, "hello")] {
            forge(from, 5073, text.as_bytes());
        }
        // Whoever asks after that is answered after that.
        let _guest = Guest::join();
        for room in &mut rooms {
            room.interrupt();
        }
        for room in rooms {
            assert_eq!(room.end().2, 0);
        }
        let sent = datagrams_sent();
        assert!(sent < 20, "{sent} datagrams");
    });
}

/// A datagram on loopback from a port that is not the sender's (raw(7)).
fn forge(from: u16, to: u16, text: &[u8]) {
    let udp = socket2::Protocol::UDP;
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::RAW, Some(udp));
    let socket = socket.expect("a raw socket");
    let length = u16::try_from(8 + text.len()).expect("it is short");
    let mut datagram = Vec::new();
    for field in [from, to, length, 0] {
        datagram.extend(field.to_be_bytes());
    }
    datagram.extend(text);
    let loopback = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    socket.send_to(&datagram, &loopback.into()).expect("it can");
}

/// What this namespace's UDP has sent (proc(5)).
fn datagrams_sent() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/net/snmp").expect("it is there");
    let mut lines = text.lines().filter(|line| line.starts_with("Udp: "));
    let names = lines.next().expect("names").split(' ');
    let at = names.clone().position(|name| name == "OutDatagrams");
    let values = lines.next().expect("values").split(' ');
    let value = values.clone().nth(at.expect("it is counted"));
    value.expect("a value").parse().expect("a number")
}

#[test]
fn a_closed_port_and_a_full_room_are_the_networks_no() {
    alone("no room", || {
        let (_, told, code) = Running::join(&["--udp", "127.0.0.1"]).end();
        assert_eq!(code, 1, "{told}");
        let refused = "connection refused (ECONNREFUSED); the host is there, and nothing listens";
        assert!(told.contains(refused), "{told}");
        let _host = Running::host(&["--udp", "--max", "1"]);
        let _guest = Guest::join();
        let (out, told, code) = Running::join(&["--udp", "127.0.0.1"]).end();
        assert_eq!(
            (out.as_str(), code),
            ("* the room is full: 1 are here\n", 1),
            "{told}"
        );
        assert!(told.contains("the room did not let us in"), "{told}");
    });
}

#[test]
fn a_group_needs_no_host() {
    alone("multicast", || {
        for group in ["239.255.50.73", "ff02::5073"] {
            let arguments = |name| ["--multicast", group, "--interface", "net0", "--nick", name];
            let mut ann = Running::join(&arguments("ann"));
            ann.sees("* you are ann in ");
            let mut bob = Running::join(&arguments("bob"));
            ann.sees("* bob joined");
            bob.sees("* ann joined");
            let mut carl = Running::join(&arguments("carl"));
            for member in [&mut ann, &mut bob] {
                member.sees("* carl joined");
            }
            carl.sees("joined");
            carl.sees("joined");
            ann.say("hello, all");
            for member in [&mut bob, &mut carl] {
                member.sees("<ann> hello, all");
            }
            bob.say("/nick rob");
            ann.sees("* bob is now rob");
            bob.say("/who");
            bob.sees("* 2 here besides you");
            bob.hang_up();
            ann.sees("* rob left");
            assert_eq!(bob.end().2, 0);
            carl.interrupt();
            ann.sees("* carl left");
            assert_eq!(carl.end().2, 0);
        }
    });
}

#[test]
fn a_group_says_what_was_lost() {
    alone("lost in a group", || {
        let mut ann = Running::join(&[
            "--multicast",
            "239.255.50.73",
            "--interface",
            "net0",
            "--nick",
            "ann",
        ]);
        ann.sees("* you are ann");
        let bob = UdpSocket::bind("192.0.2.1:0").expect("a port");
        bob.set_multicast_loop_v4(true).expect("it can");
        for datagram in [
            "#1 bob one",
            "#3 bob three",
            "#2 bob two",
            "#2 bob two",
            "not one of ours \x1b[2J",
            "=4 bob",
            "-4 bob",
        ] {
            bob.send_to(datagram.as_bytes(), "239.255.50.73:5073")
                .expect("it can");
        }
        let seen = ann.sees("* bob left");
        let expected = [
            "<bob> one",
            "* lost: 1 message of bob (#2)",
            "<bob> three",
            "<bob> two (late)",
            "* lost: 1 message of bob (#4)",
            "* bob left",
        ];
        assert_eq!(seen[1..], expected, "{seen:?}");
    });
}

#[test]
fn a_group_that_cannot_be_joined_says_what_would_help() {
    alone("a group's errors", || {
        for (group, more, words) in [
            (
                "ff02::5073",
                &[][..],
                "--interface NAME says on which network",
            ),
            (
                "239.255.50.73",
                &["-i", "nope"],
                "`ip link` lists the interfaces",
            ),
            (
                "ff02::5073",
                &["-i", "nope"],
                "`ip link` lists the interfaces",
            ),
            (
                "ff02::5073",
                &["-i", "net1"],
                "net1 has no IPv6 address; `ip -6 address`",
            ),
            (
                "ff05::5073",
                &["-i", "lo"],
                "lo is down, or has no IPv6 address or route",
            ),
        ] {
            let arguments = [&["--multicast", group], more].concat();
            let (_, told, code) = Running::join(&arguments).end();
            assert_ne!(code, 0, "{group}: {told}");
            assert!(told.contains(words), "{group}: {told}");
        }
    });
}

/// Nothing else would tell a member that it is in.
#[test]
fn a_greeting_that_was_lost_is_made_up_for() {
    alone("a lost greeting", || {
        let _host = Running::host(&["--udp"]);
        let guest = Guest::new();
        guest.say("=0");
        let asked = guest.hear();
        let ticket = asked.strip_prefix("* to come in, say ").expect("a ticket");
        guest.say(ticket);
        guest.hear();
        guest.say(ticket);
        assert_eq!(guest.hear(), "=1");
    });
}

/// One datagram of thousands of lines would cut off everybody else as too slow.
#[test]
fn a_datagram_of_many_lines_costs_its_sender_and_nobody_else() {
    alone("many lines", || {
        let host = Running::host(&["--udp", "--rate", "10"]);
        let (ann, eve) = (Guest::join(), Guest::join());
        ann.say("#1 /nick ann");
        while ann.hear() != "#3 * you are ann" {}
        eve.say(&format!("#1 {}", "x\n".repeat(30_000)));
        let mut seen = Vec::new();
        while seen
            .last()
            .is_none_or(|line: &String| !line.ends_with("left out"))
        {
            seen.push(eve.hear());
        }
        ann.say("#2 still here?");
        let (mut heard, mut line) = (0, eve.hear());
        while !line.ends_with("<ann> still here?") {
            line = eve.hear();
        }
        ann.say("#3 /who");
        loop {
            let line = ann.hear();
            heard += usize::from(line.ends_with("> x"));
            if line.ends_with("* 2 are here") {
                break;
            }
        }
        // A burst of four times the rate, less what it took to come in.
        assert!((30..=40).contains(&heard), "{heard} lines");
        host.interrupt();
        let (_, told, code) = host.end();
        assert_eq!(code, 0, "{told}");
        assert!(told.contains("0 too slow"), "{told}");
    });
}
