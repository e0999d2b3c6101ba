//! Events to render: a stream's and a datagram's story with made-up times, and
//! packets that met every fate.

use std::borrow::Cow;
use std::time::Duration;

use socklab::event::{
    Call, Changes, Event, Fate, Note, Outcome, Packet, Place, SocketName, StateChange, What,
};
use socklab::flow::{Direction, FiveTuple, Kind, TcpState};

use super::fixtures;

const CLIENT: &str = "10.77.0.1:40312";
const SERVER: &str = "10.77.0.2:5073";

/// A time in microseconds.
pub fn at(microseconds: u64) -> Duration {
    Duration::from_micros(microseconds)
}

pub fn note(microseconds: u64, text: &str) -> Event<'static> {
    Event {
        at: at(microseconds),
        host: Place::Wire,
        what: What::Note(Note { text: text.into() }),
    }
}

/// A call: `host socket name(arguments)`, and what it returned after `took`
/// microseconds.
pub fn call(
    (microseconds, took): (u64, u64),
    (host, socket): (Place, &'static str),
    (name, arguments): (&'static str, &str),
    outcome: Outcome,
) -> Event<'static> {
    Event {
        at: at(microseconds),
        host,
        what: What::Call(Call {
            socket: SocketName::from(socket),
            name,
            arguments: arguments.into(),
            outcome,
            took: at(took),
        }),
    }
}

pub fn returned(value: i64) -> Outcome {
    Outcome::Returned {
        returned: value,
        detail: None,
    }
}

pub fn gave(value: i64, detail: &str) -> Outcome {
    Outcome::Returned {
        returned: value,
        detail: Some(detail.into()),
    }
}

pub fn failed(errno: &str) -> Outcome {
    Outcome::Failed {
        errno: errno.into(),
    }
}

pub fn state(microseconds: u64, host: Place, from: TcpState, to: TcpState) -> Event<'static> {
    let client = FiveTuple {
        protocol: Kind::Tcp,
        local: CLIENT.parse().expect("an address"),
        remote: SERVER.parse().expect("an address"),
    };
    let connection = match host {
        Place::Client => client,
        _ => client.mirrored(),
    };
    Event {
        at: at(microseconds),
        host,
        what: What::State(StateChange {
            connection,
            from,
            to,
        }),
    }
}

/// What a packet met on its way.
pub struct Way {
    fate: Fate,
    changes: Changes,
    is_held: bool,
}

impl From<Fate> for Way {
    fn from(fate: Fate) -> Self {
        Self {
            fate,
            changes: Changes::default(),
            is_held: false,
        }
    }
}

impl From<Changes> for Way {
    fn from(changes: Changes) -> Self {
        Self {
            changes,
            ..Fate::Delivered.into()
        }
    }
}

/// Held on purpose.
pub fn delayed() -> Way {
    Way {
        is_held: true,
        ..Fate::Delivered.into()
    }
}

/// A copy of a packet.
pub fn copy(of: u64) -> Changes {
    Changes {
        copy_of: Some(of),
        ..Changes::default()
    }
}

/// A fixture on the wire for some microseconds.
pub fn packet(
    (microseconds, under_way): (u64, u64),
    name: &str,
    direction: Direction,
    way: impl Into<Way>,
) -> Event<'static> {
    let fixture = fixtures::named(name);
    let way = way.into();
    let is_delivered = matches!(way.fate, Fate::Delivered | Fate::Unknown);
    let left_at = at(microseconds + under_way);
    Event {
        at: at(microseconds),
        host: Place::Wire,
        what: What::Packet(Packet {
            id: microseconds,
            direction,
            link: fixture.link,
            bytes: Cow::Owned(fixture.bytes),
            sent_at: at(microseconds),
            fate: way.fate,
            changes: way.changes,
            place: None,
            due_at: way.is_held.then_some(left_at),
            delivered_at: is_delivered.then_some(left_at),
        }),
    }
}

pub fn lost(cause: &'static str) -> Fate {
    Fate::Lost {
        cause: Cow::Borrowed(cause),
    }
}

/// Up and down.
pub use Direction::{ClientToServer as UP, ServerToClient as DOWN};

/// A connection from `listen()` to TIME_WAIT.
#[expect(clippy::too_many_lines, reason = "it is a table")]
pub fn tcp() -> Vec<Event<'static>> {
    use Place::{Client, Server};
    use TcpState::{
        CloseWait, Closed, Established, FinWait1, FinWait2, LastAck, SynRecv, SynSent, TimeWait,
    };
    const LISTENER: (Place, &str) = (Server, "listener");
    const CONNECTION: (Place, &str) = (Server, "connection");
    const SOCKET: (Place, &str) = (Client, "client");
    let through = || Fate::Delivered;
    vec![
        note(
            1000,
            "The server listens. This socket waits for connections; it never carries data.",
        ),
        call(
            (1010, 5),
            LISTENER,
            ("socket", "AF_INET, SOCK_STREAM"),
            gave(0, "listener"),
        ),
        call(
            (1020, 3),
            LISTENER,
            ("setsockopt", "SO_REUSEADDR, 1"),
            returned(0),
        ),
        call((1030, 3), LISTENER, ("bind", SERVER), returned(0)),
        call((1040, 3), LISTENER, ("listen", "5"), returned(0)),
        note(1050, "Three-way handshake."),
        call(
            (1060, 4),
            SOCKET,
            ("socket", "AF_INET, SOCK_STREAM"),
            gave(0, "client"),
        ),
        call((1070, 151), SOCKET, ("connect", SERVER), returned(0)),
        state(1090, Client, Closed, SynSent),
        packet((1090, 9), "syn", UP, through()),
        state(1101, Server, Closed, SynRecv),
        packet((1120, 5), "syn_ack", DOWN, through()),
        state(1127, Client, SynSent, Established),
        packet((1130, 5), "ack", UP, through()),
        state(1137, Server, SynRecv, Established),
        call(
            (1240, 9),
            LISTENER,
            ("accept", ""),
            gave(0, "connection, 10.77.0.1:40312"),
        ),
        call((1260, 1), SOCKET, ("getsockname", ""), gave(0, CLIENT)),
        note(1300, "One small write."),
        call(
            (1310, 40),
            CONNECTION,
            ("recv", "65536"),
            gave(5, "\"hello\""),
        ),
        call((1320, 4), SOCKET, ("send", "\"hello\""), returned(5)),
        packet((1330, 5), "data", UP, through()),
        call((1400, 2), SOCKET, ("shutdown", "SHUT_WR"), returned(0)),
        state(1410, Client, Established, FinWait1),
        packet((1410, 5), "fin", UP, through()),
        state(1420, Server, Established, CloseWait),
        call(
            (1430, 2),
            CONNECTION,
            ("recv", "65536"),
            gave(0, "end of stream"),
        ),
        state(1440, Client, FinWait1, FinWait2),
        call((1450, 2), CONNECTION, ("close", ""), returned(0)),
        state(1460, Server, CloseWait, LastAck),
        state(1460, Client, FinWait2, TimeWait),
        packet((1470, 5), "rst", UP, through()),
        state(1480, Server, LastAck, Closed),
        call((1490, 2), SOCKET, ("close", ""), returned(0)),
    ]
}

/// Datagrams, fragments, and an ICMP error that one of two sockets hears of.
#[expect(clippy::too_many_lines, reason = "it is a table")]
pub fn udp() -> Vec<Event<'static>> {
    use Place::{Client, Server};
    const SOCKET: (Place, &str) = (Server, "server");
    let through = || Fate::Delivered;
    vec![
        note(0, "Two sockets, no connection."),
        call(
            (10, 4),
            SOCKET,
            ("socket", "AF_INET, SOCK_DGRAM"),
            gave(0, "server"),
        ),
        call((20, 4), SOCKET, ("bind", SERVER), returned(0)),
        call(
            (30, 4),
            (Client, "client"),
            ("socket", "AF_INET, SOCK_DGRAM"),
            gave(0, "client"),
        ),
        call(
            (40, 4),
            (Client, "client"),
            ("sendto", "\"datagram\", 10.77.0.2:5073"),
            returned(8),
        ),
        packet((50, 2), "udp", UP, through()),
        call(
            (60, 4),
            SOCKET,
            ("recvfrom", "65507, MSG_TRUNC"),
            gave(8, "\"datagram\" from 10.77.0.1:50000"),
        ),
        note(
            70,
            "What exceeds the MTU crosses the wire as IP fragments, and is put together again.",
        ),
        packet((80, 2), "fragment_first", UP, through()),
        packet((90, 2), "fragment_last", UP, through()),
        call(
            (95, 4),
            SOCKET,
            ("recvfrom", "10, MSG_TRUNC"),
            gave(72, "\"twenty-six\" from 10.77.0.1:50000, cut to 10"),
        ),
        note(100, "A connected socket hears of a closed port."),
        call(
            (110, 4),
            (Client, "connected"),
            ("connect", "10.77.0.2:5099"),
            returned(0),
        ),
        packet((120, 2), "udp", UP, through()),
        call(
            (125, 30),
            (Client, "connected"),
            ("recvfrom", "64, MSG_TRUNC"),
            failed("ECONNREFUSED"),
        ),
        packet((130, 2), "port_unreachable", DOWN, through()),
        call(
            (160, 1_000_123),
            (Client, "client"),
            ("recvfrom", "64, MSG_TRUNC"),
            failed("EAGAIN"),
        ),
    ]
}

/// Packets that met every fate.
#[expect(clippy::too_many_lines, reason = "it is a table")]
pub fn fates() -> Vec<Event<'static>> {
    vec![
        packet((10, 5), "syn", UP, lost("queue")),
        packet((1010, 5), "syn", UP, lost("the random draw said no")),
        packet((3010, 5), "syn_ack", DOWN, lost("queue")),
        packet((3020, 20_000), "syn", UP, Fate::Delivered),
        packet((23_040, 400), "syn_ack", DOWN, delayed()),
        packet((23_100, 40_000), "data", UP, delayed()),
        packet(
            (23_200, 5),
            "ack",
            UP,
            Changes {
                hastened: true,
                ..Changes::default()
            },
        ),
        packet((63_300, 5), "ack", DOWN, Fate::Delivered),
        packet((63_310, 5), "ack", DOWN, copy(63_300)),
        packet((63_320, 5), "data", UP, copy(23_100)),
        packet(
            (63_330, 5),
            "data",
            UP,
            Changes {
                corrupted_bit: Some(431),
                ..Changes::default()
            },
        ),
        packet(
            (63_340, 5),
            "echo_request",
            UP,
            Changes {
                truncated_to: Some(40),
                ..Changes::default()
            },
        ),
        packet(
            (63_350, 5),
            "data_with_ecn",
            UP,
            Changes {
                marked: true,
                ..Changes::default()
            },
        ),
        packet(
            (63_352, 5),
            "data",
            UP,
            Way {
                changes: copy(63_350),
                ..lost("queue").into()
            },
        ),
        packet(
            (63_354, 5),
            "ack",
            DOWN,
            Changes {
                corrupted_bit: Some(7),
                reordered: true,
                ..copy(63_300)
            },
        ),
        packet(
            (63_356, 30_000),
            "udp",
            DOWN,
            Way {
                changes: copy(63_350),
                ..delayed()
            },
        ),
        packet((63_360, 5), "fragmentation_needed", DOWN, Fate::Unknown),
        packet((63_370, 5), "bare_ip", UP, Fate::Unknown),
        packet((93_400, 0), "udp", UP, Fate::Queued),
        packet((93_410, 0), "data", DOWN, Fate::Queued),
    ]
}
