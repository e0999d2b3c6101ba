//! Which conversation a packet belongs to, and where it stands in it: numbers
//! from 1 by the first packet in either direction, and an identity that draws
//! are keyed by, the same from run to run.
//!
//! The fragments of a datagram belong to the flow of their first. Memory is
//! bounded: flows beyond [`MOST_FLOWS`] share one.

use std::collections::HashMap;
use std::net::IpAddr;

use super::datagrams::Datagrams;
use super::draw::Key;
use super::flow_name::{FlowEnd, FlowName, FlowProtocol};
use crate::event::InFlow;
use crate::flow::Direction;
use crate::packet::{Heading, Transport};

/// Flows that are told apart.
const MOST_FLOWS: usize = 65_536;
/// Talks of a direction that are found without a search.
const LATEST: usize = 32;

/// The conversations of a wire, both directions together.
#[derive(Debug, Default)]
pub(super) struct FlowTable {
    numbers: HashMap<Talk, u32>,
    names: Vec<FlowName>,
    flows: Vec<Flow>,
    /// The latest talks and their numbers, for either direction: a few, each at
    /// its own place.
    latest: [[Option<(Talk, u32)>; LATEST]; 2],
    /// How many flows of a kind there were: their identities.
    kinds: HashMap<Kind, u64>,
    datagrams: Datagrams,
}

/// A packet's place, and what its flow's draws are keyed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) place: InFlow,
    pub(super) identity: Key,
}

#[derive(Debug)]
struct Flow {
    identity: Key,
    packets: [u64; 2],
}

/// Who talks to whom, as one packet has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Talk {
    protocol: FlowProtocol,
    ends: Option<(FlowEnd, FlowEnd)>,
    identifier: Option<u16>,
}

/// What the flows of one kind have in common, whatever ports and identifiers
/// the kernel chose for them.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Kind {
    protocol: FlowProtocol,
    service: Option<u16>,
    is_ipv6: bool,
    opened: Direction,
}

impl FlowTable {
    /// Counts a packet and says where it stands.
    pub(super) fn place(&mut self, direction: Direction, heading: Option<&Heading>) -> Placed {
        let number = self.number(direction, heading);
        let flow = &mut self.flows[number as usize - 1];
        let packets = &mut flow.packets[direction as usize];
        *packets += 1;
        Placed {
            place: InFlow {
                flow: number,
                index: *packets,
            },
            identity: flow.identity,
        }
    }

    /// The flows' names; a flow's number is its position here plus one.
    pub(super) fn names(&self) -> &[FlowName] {
        &self.names
    }

    fn number(&mut self, direction: Direction, heading: Option<&Heading>) -> u32 {
        let piece = heading.and_then(|heading| Some((heading, heading.fragment?)));
        if let Some((heading, piece)) = piece
            && !piece.is_first
            && let Some(number) = self.datagrams.flow_of(heading, piece.identification)
        {
            return number;
        }
        let talk = Talk::of(heading);
        let latest = self.latest[direction as usize][talk.shelf()];
        let number = match latest {
            Some((last, number)) if last == talk => number,
            _ => self.looked_up(direction, talk),
        };
        if let Some((heading, piece)) = piece
            && piece.is_first
        {
            self.datagrams
                .remember(heading, piece.identification, number);
        }
        number
    }

    fn looked_up(&mut self, direction: Direction, talk: Talk) -> u32 {
        let number = self.known_or_added(direction, talk);
        self.latest[direction as usize][talk.shelf()] = Some((talk, number));
        number
    }

    fn known_or_added(&mut self, direction: Direction, talk: Talk) -> u32 {
        let key = talk.undirected();
        if let Some(number) = self.numbers.get(&key) {
            return *number;
        }
        if self.numbers.len() < MOST_FLOWS {
            let number = self.added(direction, talk);
            self.numbers.insert(key, number);
            return number;
        }
        if self.flows.len() == MOST_FLOWS {
            self.added(direction, Talk::REST);
        }
        number_of(self.flows.len())
    }

    fn added(&mut self, opened: Direction, talk: Talk) -> u32 {
        let kind = Kind {
            protocol: talk.protocol,
            service: talk.ends.and_then(|(_, responder)| responder.port),
            is_ipv6: talk
                .ends
                .is_some_and(|(opener, _)| opener.address.is_ipv6()),
            opened,
        };
        let words = kind.words();
        let ordinal = self.kinds.entry(kind).or_default();
        *ordinal += 1;
        let [protocol, service, version, direction] = words;
        self.flows.push(Flow {
            identity: Key::of(&[protocol, service, version, direction, *ordinal]),
            packets: [0, 0],
        });
        self.names.push(FlowName {
            protocol: talk.protocol,
            opener: talk.ends.map(|(opener, _)| opener),
            other: talk.ends.map(|(_, responder)| responder),
            identifier: talk.identifier,
        });
        number_of(self.flows.len())
    }
}

/// At most [`MOST_FLOWS`] + 1.
fn number_of(flows: usize) -> u32 {
    u32::try_from(flows).unwrap_or(u32::MAX)
}

impl Talk {
    const REST: Self = Self {
        protocol: FlowProtocol::Rest,
        ends: None,
        identifier: None,
    };

    fn of(heading: Option<&Heading>) -> Self {
        let Some(heading) = heading else {
            return Self {
                protocol: FlowProtocol::NotIp,
                ..Self::REST
            };
        };
        let (ports, echo) = match heading.transport {
            Transport::Tcp {
                source,
                destination,
                ..
            }
            | Transport::Udp {
                source,
                destination,
                ..
            } => (Some((source, destination)), None),
            Transport::Icmp { identifier, .. } => (None, identifier),
            Transport::Other => (None, None),
        };
        let end = |address: IpAddr, port| FlowEnd { address, port };
        Self {
            protocol: match echo {
                Some(_) => FlowProtocol::Echo(heading.protocol),
                None => FlowProtocol::Ip(heading.protocol),
            },
            ends: Some((
                end(heading.source, ports.map(|(source, _)| source)),
                end(
                    heading.destination,
                    ports.map(|(_, destination)| destination),
                ),
            )),
            identifier: echo,
        }
    }

    /// Its place among the latest: neighbouring ports have different ones.
    fn shelf(self) -> usize {
        let port = |end: FlowEnd| usize::from(end.port.unwrap_or_default());
        let ports = self
            .ends
            .map_or(0, |(source, destination)| port(source) ^ port(destination));
        (ports ^ usize::from(self.identifier.unwrap_or_default())) % LATEST
    }

    /// The same for both directions.
    fn undirected(self) -> Self {
        Self {
            ends: self
                .ends
                .map(|(one, other)| (one.min(other), one.max(other))),
            ..self
        }
    }
}

impl Kind {
    fn words(&self) -> [u64; 4] {
        let protocol = match self.protocol {
            FlowProtocol::Ip(protocol) => u64::from(protocol.0),
            FlowProtocol::Echo(protocol) => 0x100 | u64::from(protocol.0),
            FlowProtocol::NotIp => 0x200,
            FlowProtocol::Rest => 0x300,
        };
        let service = self.service.map_or(1 << 16, u64::from);
        [protocol, service, self.is_ipv6.into(), self.opened as u64]
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{FlowTable, MOST_FLOWS, Placed};
    use crate::flow::Direction::{ClientToServer, ServerToClient};
    use crate::packet::{Heading, IpProtocol, Piece, Transport};

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 77, 0, 1));
    const SERVER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 77, 0, 2));

    fn udp(source: u16, destination: u16) -> Heading {
        Heading {
            source: CLIENT,
            destination: SERVER,
            protocol: IpProtocol::UDP,
            ecn: 0,
            length: 100,
            fragment: None,
            transport: Transport::Udp {
                source,
                destination,
                data: 72,
            },
        }
    }

    fn reply(heading: Heading) -> Heading {
        let Transport::Udp {
            source,
            destination,
            data,
        } = heading.transport
        else {
            return heading;
        };
        Heading {
            source: heading.destination,
            destination: heading.source,
            transport: Transport::Udp {
                source: destination,
                destination: source,
                data,
            },
            ..heading
        }
    }

    fn icmp(kind: u8, identifier: Option<u16>) -> Heading {
        Heading {
            protocol: IpProtocol::ICMP,
            transport: Transport::Icmp { kind, identifier },
            ..udp(0, 0)
        }
    }

    fn stand(placed: Placed) -> (u32, u64) {
        (placed.place.flow, placed.place.index)
    }

    #[test]
    fn both_directions_are_one_flow_and_count_apart() {
        let mut flows = FlowTable::default();
        let question = udp(40000, 5073);
        assert_eq!(stand(flows.place(ClientToServer, Some(&question))), (1, 1));
        assert_eq!(stand(flows.place(ClientToServer, Some(&question))), (1, 2));
        assert_eq!(
            stand(flows.place(ServerToClient, Some(&reply(question)))),
            (1, 1)
        );
        assert_eq!(
            stand(flows.place(ClientToServer, Some(&udp(40001, 5073)))),
            (2, 1)
        );
        assert_eq!(stand(flows.place(ClientToServer, Some(&question))), (1, 3));
        assert_eq!(stand(flows.place(ClientToServer, None)), (3, 1));
        let names: Vec<String> = flows.names().iter().map(ToString::to_string).collect();
        assert_eq!(
            names,
            [
                "udp 10.77.0.1:40000 → 10.77.0.2:5073",
                "udp 10.77.0.1:40001 → 10.77.0.2:5073",
                "not IP",
            ]
        );
    }

    #[test]
    fn an_identity_is_the_same_whatever_port_and_traffic_there_is() {
        let mut quiet = FlowTable::default();
        let alone = quiet.place(ClientToServer, Some(&udp(40000, 5073)));
        let second = quiet.place(ClientToServer, Some(&udp(40001, 5073)));
        let mut busy = FlowTable::default();
        busy.place(ClientToServer, Some(&icmp(8, Some(3))));
        busy.place(ClientToServer, Some(&udp(5353, 53)));
        let among = busy.place(ClientToServer, Some(&udp(51234, 5073)));
        assert_eq!(alone.identity, among.identity);
        assert_ne!(alone.place.flow, among.place.flow);
        assert_ne!(alone.identity, second.identity);
    }

    #[test]
    fn echoes_are_told_apart_by_identifier_and_errors_by_address() {
        let mut flows = FlowTable::default();
        assert_eq!(
            flows
                .place(ClientToServer, Some(&icmp(8, Some(1))))
                .place
                .flow,
            1
        );
        assert_eq!(
            flows
                .place(ClientToServer, Some(&icmp(8, Some(2))))
                .place
                .flow,
            2
        );
        let back = Heading {
            source: SERVER,
            destination: CLIENT,
            ..icmp(0, Some(1))
        };
        assert_eq!(flows.place(ServerToClient, Some(&back)).place.flow, 1);
        assert_eq!(
            flows.place(ClientToServer, Some(&icmp(3, None))).place.flow,
            3
        );
        assert_eq!(
            flows
                .place(ClientToServer, Some(&icmp(11, None)))
                .place
                .flow,
            3
        );
        assert_eq!(
            flows.names()[0].to_string(),
            "icmp echo 10.77.0.1 → 10.77.0.2 id 1"
        );
    }

    #[test]
    fn later_fragments_join_the_first_ones_flow() {
        let fragment = |identification, is_first, heading: Heading| Heading {
            fragment: Some(Piece {
                identification,
                is_first,
            }),
            transport: if is_first {
                heading.transport
            } else {
                Transport::Other
            },
            ..heading
        };
        let mut flows = FlowTable::default();
        for (index, port) in [(1, 40000), (2, 40001)] {
            let first = fragment(index, true, udp(port, 5073));
            assert_eq!(flows.place(ClientToServer, Some(&first)).place.flow, index);
        }
        for index in [1, 2] {
            let later = fragment(index, false, udp(0, 0));
            assert_eq!(stand(flows.place(ClientToServer, Some(&later))), (index, 2));
        }
        // Of which no first one was seen: by address.
        let lone = fragment(99, false, udp(0, 0));
        assert_eq!(flows.place(ClientToServer, Some(&lone)).place.flow, 3);
    }

    #[test]
    fn memory_is_bounded() {
        let mut flows = FlowTable::default();
        let nth = |number: u32| {
            udp(
                u16::try_from(number & 0xffff).unwrap_or(0),
                1 + u16::try_from(number >> 16).unwrap_or(0),
            )
        };
        let most = u32::try_from(MOST_FLOWS).expect("it fits");
        for number in 0..most + 10 {
            let expected = (number + 1).min(most + 1);
            let heading = nth(number);
            assert_eq!(
                flows.place(ClientToServer, Some(&heading)).place.flow,
                expected
            );
        }
        assert_eq!(flows.names().len(), MOST_FLOWS + 1);
        assert_eq!(flows.names()[MOST_FLOWS].to_string(), "other");
        assert_eq!(flows.place(ClientToServer, Some(&nth(5))).place.flow, 6);
    }
}
