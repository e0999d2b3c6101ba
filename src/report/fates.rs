//! Every packet's fate as JSON Lines (`--fates FILE`): a header, then one line
//! a packet in the order in which packets entered the wire.
//!
//! The header is `{"format": "socklab-fates", "version": 1, "seed": …, "plan":
//! …}`: the seed of all draws, and the link's settings as they were given. A
//! packet's line has
//!
//! | name | meaning |
//! |---|---|
//! | `id` | its number on the wire, from 1; a copy that the wire made has its own |
//! | `direction` | `client_to_server` or `server_to_client` |
//! | `flow`, `flow_packet` | its conversation's number, and its own number in that and this direction, from 1 |
//! | `protocol` | such as `tcp`, `udp`, `icmp` |
//! | `source`, `destination` | address and port, or the address alone |
//! | `length_bytes` | as it was sent, IP header included |
//! | `sent_at_ns` | when it entered, since the run began |
//! | `due_at_ns` | when it was to leave, where it was held on purpose |
//! | `delivered_at_ns` | when it left, if it did |
//! | `fate` | `delivered`, `lost` with its `cause`, or `queued`: still under way at the end |
//! | `copy_of` | the id of the packet that it is a copy of |
//! | `corrupted_bit` | the bit flipped, counted from the first byte's most significant |
//! | `truncated_to_bytes` | how much was handed over |
//! | `marked`, `hastened`, `reordered` | marked Congestion Experienced, sent without the delay of others, handed over after later ones of its flow |
//!
//! What does not apply is left out. Names are stable: fields are added, never
//! renamed. The same seed and the same packets give the same fates, whatever
//! the timing; to compare two runs, leave the times out:
//!
//! ```text
//! jq -c 'del(.sent_at_ns, .due_at_ns, .delivered_at_ns)' fates.jsonl
//! ```

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::sequence::Sequence;
use crate::event::{Changes, Event, Fate, InFlow, Packet, Sink, Topic, What};
use crate::flow::Direction;
use crate::packet::{Heading, LinkType, Transport};
use crate::units::{nanoseconds, optional_nanoseconds};

/// What the file's first line says of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run<'a> {
    /// The seed of all draws.
    pub seed: u64,
    /// The link's settings in words.
    pub plan: &'a str,
}

/// A sink that writes a line for every packet.
///
/// A sink cannot fail, so the file's first error is kept, ends the writing, and
/// is what [`finish`](Self::finish) returns. Memory is bounded by the packets
/// that are under way at once; beyond a million of those, lines are no longer
/// in order.
pub struct FatesFile<Out: Write + Send>(Mutex<State<Out>>);

struct State<Out> {
    out: Out,
    lines: Sequence<Vec<u8>>,
    failure: Option<io::Error>,
}

/// Lines that wait for an earlier one.
const MOST: usize = 1 << 20;

#[derive(Serialize)]
struct Header<'a> {
    format: &'static str,
    version: u32,
    seed: u64,
    plan: &'a str,
}

#[derive(Serialize)]
struct PacketLine<'a> {
    id: u64,
    direction: Direction,
    #[serde(flatten)]
    place: Option<InFlow>,
    #[serde(flatten)]
    ends: Option<Ends>,
    length_bytes: usize,
    #[serde(serialize_with = "nanoseconds")]
    sent_at_ns: Duration,
    #[serde(
        serialize_with = "optional_nanoseconds",
        skip_serializing_if = "Option::is_none"
    )]
    due_at_ns: Option<Duration>,
    #[serde(
        serialize_with = "optional_nanoseconds",
        skip_serializing_if = "Option::is_none"
    )]
    delivered_at_ns: Option<Duration>,
    #[serde(flatten)]
    fate: &'a Fate,
    #[serde(flatten)]
    changes: Changes,
}

/// Whose packet it is.
#[derive(Serialize)]
struct Ends {
    protocol: String,
    source: String,
    destination: String,
}

impl<Out: Write + Send> FatesFile<Out> {
    /// Begins a file with its header. Wrap a file in an [`io::BufWriter`].
    pub fn begin(mut out: Out, run: Run<'_>) -> io::Result<Self> {
        let header = Header {
            format: "socklab-fates",
            version: 1,
            seed: run.seed,
            plan: run.plan,
        };
        out.write_all(&line(&header)?)?;
        Ok(Self(Mutex::new(State {
            out,
            lines: Sequence::holding(MOST),
            failure: None,
        })))
    }

    /// Writes what is left and empties all buffers. Returns the writer, or the
    /// first error that the file gave at any time.
    pub fn finish(self) -> io::Result<Out> {
        let mut state = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = state.failure.take() {
            return Err(error);
        }
        for line in state.lines.rest() {
            state.out.write_all(&line)?;
        }
        state.out.flush()?;
        Ok(state.out)
    }
}

impl<Out: Write + Send> Sink for FatesFile<Out> {
    fn wants(&self, topic: Topic) -> bool {
        topic == Topic::Packet
    }

    fn record(&self, event: &Event<'_>) {
        let What::Packet(packet) = &event.what else {
            return;
        };
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        if state.failure.is_none() {
            state.failure = state.packet(packet).err();
        }
    }
}

impl<Out: Write> State<Out> {
    fn packet(&mut self, packet: &Packet<'_>) -> io::Result<()> {
        let line = line(&PacketLine::of(packet))?;
        let mut written = Ok(());
        self.lines.put(packet.id, line, |line| {
            if written.is_ok() {
                written = self.out.write_all(&line);
            }
        });
        written
    }
}

impl<'a> PacketLine<'a> {
    fn of(packet: &'a Packet<'_>) -> Self {
        Self {
            id: packet.id,
            direction: packet.direction,
            place: packet.place,
            ends: ends(packet),
            length_bytes: packet.bytes.len(),
            sent_at_ns: packet.sent_at,
            due_at_ns: packet.due_at,
            delivered_at_ns: packet.delivered_at,
            fate: &packet.fate,
            changes: packet.changes,
        }
    }
}

fn ends(packet: &Packet<'_>) -> Option<Ends> {
    if packet.link != LinkType::Raw {
        return None;
    }
    let heading = Heading::of(&packet.bytes)?;
    let ports = match heading.transport {
        Transport::Tcp {
            source,
            destination,
            ..
        }
        | Transport::Udp {
            source,
            destination,
            ..
        } => Some((source, destination)),
        Transport::Icmp { .. } | Transport::Other => None,
    };
    let end = |address: IpAddr, port: Option<u16>| match port {
        Some(port) => SocketAddr::new(address, port).to_string(),
        None => address.to_string(),
    };
    Some(Ends {
        protocol: heading.protocol.to_string().to_lowercase(),
        source: end(heading.source, ports.map(|ports| ports.0)),
        destination: end(heading.destination, ports.map(|ports| ports.1)),
    })
}

/// A value as one line.
fn line(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}
