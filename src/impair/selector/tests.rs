//! Each word of a selector against every kind of packet; what is refused; that
//! what is shown is read.

use proptest::prelude::*;

use super::*;

const UP: Direction = Direction::ClientToServer;
const DOWN: Direction = Direction::ServerToClient;

fn heading(protocol: IpProtocol, length: usize, transport: Transport) -> Heading {
    Heading {
        source: [10, 77, 0, 1].into(),
        destination: [10, 77, 0, 2].into(),
        protocol,
        ecn: 0,
        length,
        fragment: None,
        transport,
    }
}

fn segment(flags: TcpFlags, data: usize) -> Heading {
    let transport = Transport::Tcp {
        source: 40_000,
        destination: 5073,
        flags,
        sequence: 1,
        data,
    };
    heading(IpProtocol::TCP, 52 + data, transport)
}

fn datagram(data: usize) -> Heading {
    let transport = Transport::Udp {
        source: 5073,
        destination: 40_000,
        data,
    };
    heading(IpProtocol::UDP, 28 + data, transport)
}

fn echo(protocol: IpProtocol, kind: u8) -> Heading {
    let transport = Transport::Icmp {
        kind,
        identifier: Some(7),
    };
    heading(protocol, 84, transport)
}

fn describes(selector: &str, direction: Direction, heading: &Heading) -> bool {
    let selector: Selector = selector.parse().expect("a selector");
    let seen = Seen {
        direction,
        heading,
        is_retransmission: false,
    };
    selector.describes(seen)
}

/// Each kind of packet by all the words that describe it.
#[test]
fn words_describe_packets() {
    let (ack, psh) = (TcpFlags::ACK, TcpFlags::PSH);
    let packets = [
        (segment(TcpFlags::SYN, 0), "ip tcp syn port len<"),
        (segment(TcpFlags::SYN | ack, 0), "ip tcp synack port len<"),
        (segment(ack, 0), "ip tcp ack port len<"),
        (segment(ack | psh, 1448), "ip tcp data port len>"),
        (segment(ack | TcpFlags::FIN, 0), "ip tcp fin port len<"),
        (segment(ack | TcpFlags::RST, 0), "ip tcp rst port len<"),
        (datagram(0), "ip udp port len<"),
        (datagram(1200), "ip udp data port len>"),
        (echo(IpProtocol::ICMP, 8), "ip icmp echo len<"),
        (echo(IpProtocol::ICMP, 0), "ip icmp reply len<"),
        (echo(IpProtocol::ICMP, 128), "ip icmp len<"),
        (echo(IpProtocol::ICMPV6, 128), "ip icmp6 echo len<"),
        (echo(IpProtocol::ICMPV6, 129), "ip icmp6 reply len<"),
        (
            heading(IpProtocol::UDP, 1500, Transport::Other),
            "ip udp len>",
        ),
    ];
    let words = [
        "ip", "tcp", "udp", "icmp", "icmp6", "syn", "synack", "ack", "data", "fin", "rst", "echo",
        "reply", "retrans",
    ];
    for (heading, expected) in packets {
        let mut found: Vec<&str> = words
            .into_iter()
            .filter(|word| describes(word, UP, &heading))
            .collect();
        for (selector, name) in [
            ("port 5073", "port"),
            ("len<200", "len<"),
            ("len>=200", "len>"),
        ] {
            if describes(selector, DOWN, &heading) {
                found.push(name);
            }
        }
        assert_eq!(found.join(" "), expected, "{heading:?}");
    }
}

#[test]
fn directions_and_retransmissions_are_the_callers_to_say() {
    let heading = segment(TcpFlags::ACK, 10);
    for (selector, up, down) in [
        ("c2s data", true, false),
        ("up", true, false),
        ("s2c", false, true),
        ("down tcp data len=62", false, true),
        ("len>62", false, false),
        ("len<=62", true, true),
    ] {
        assert_eq!(describes(selector, UP, &heading), up, "{selector}");
        assert_eq!(describes(selector, DOWN, &heading), down, "{selector}");
    }
    let selector: Selector = "retrans".parse().expect("a selector");
    assert!(selector.describes(Seen {
        direction: UP,
        heading: &heading,
        is_retransmission: true,
    }));
}

#[test]
fn numbers_choose_among_the_packets_of_the_kind() {
    for (selector, taken) in [
        ("data#3", &[3][..]),
        ("c2s #1", &[1]),
        ("#2 data", &[2]),
        ("ack#5..7", &[5, 6, 7]),
        ("syn#7..", &[7, 8, 9]),
        ("data every 4", &[4, 8]),
        ("every 1", &[1, 2, 3, 4, 5, 6, 7, 8, 9]),
    ] {
        let selector: Selector = selector.parse().expect("a selector");
        let found: Vec<u64> = (1..10).filter(|count| selector.takes(*count)).collect();
        assert_eq!(found, taken, "{selector}");
    }
}

#[test]
fn nonsense_is_named() {
    for (text, said) in [
        ("  ", "chooses nothing"),
        ("c2s dato#3", "\"dato\" is no word of a selector"),
        ("data#0", "\"#0\" is no number of a packet"),
        ("data#7..5", "\"#7..5\""),
        ("data#", "\"#\""),
        ("every", "every 400"),
        ("every 0", "every 400"),
        ("port http", "port 5073"),
        ("port 65536", "port 5073"),
        ("len1000", "\"len1000\" compares no length"),
        ("len>", "\"len>\""),
        ("len=>5", "\"len=>5\""),
        ("data#1 every 2", "second number"),
        ("up down", "no packet is both up and down"),
        ("udp syn#1", "no packet is both udp and syn"),
        ("icmp tcp", "no packet is both icmp and tcp"),
        ("echo data", "no packet is both echo and data"),
    ] {
        let error = text.parse::<Selector>().expect_err(text).to_string();
        assert!(error.contains(said), "{text:?}: {error}");
    }
}

proptest! {
    #[test]
    fn what_is_shown_is_read(
        direction in prop_oneof![Just(""), Just("c2s"), Just("down")],
        kind in prop_oneof![Just(""), Just("data"), Just("ack"), Just("tcp syn")],
        length in prop_oneof![Just(String::new()), (0_usize..70_000).prop_map(|n| format!("len>={n}"))],
        which in prop_oneof![
            (1_u64..).prop_map(|n| format!("#{n}")),
            (1_u64..100, 100_u64..).prop_map(|(a, b)| format!(" #{a}..{b}")),
            (1_u64..).prop_map(|n| format!(" every {n}")),
        ],
    ) {
        let text = format!(" {direction}  {length} {kind}{which}");
        let selector: Selector = text.parse().expect("a selector");
        prop_assert_eq!(selector.to_string().parse(), Ok(selector));
    }

    #[test]
    fn nothing_panics(text in "\\PC*|([a-z0-9#.<>=]{0,8} ?){0,6}|(c2s|data|len|#|\\.\\.|every|port|[<>=]|[0-9]{1,25}| ){0,8}") {
        let _ = text.parse::<Selector>();
    }
}
