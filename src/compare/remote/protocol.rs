//! What client and server say to each other on the control connection.
//!
//! Pure values with their JSON. The client asks, the server answers; kinds go
//! by their names, so that a peer that does not know one can say so. Times are
//! nanoseconds on the speaker's own clock.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::limits::Limits;

/// What both must speak: it changes where a message's meaning does.
pub const VERSION: u32 = 1;

/// Messages in one chunk of arrivals: so many fit into a frame.
pub const CHUNK: usize = 1000;

/// What the client says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum ClientSays {
    /// The first word of a control connection.
    Hello {
        /// [`VERSION`].
        version: u32,
    },
    /// The first word of a connection that will carry messages.
    Attach {
        /// The session's.
        token: Token,
        /// Which kind the connection is for.
        kind: String,
    },
    /// What time is it?
    Ping {
        /// Comes back in the answer.
        number: u32,
    },
    /// What is to be sent.
    Plan(Plan),
    /// The sending begins.
    Go,
    /// The sending is over.
    End {
        /// Messages given to each kind.
        sent: u32,
    },
    /// Nothing more is wanted.
    Bye,
}

/// What the server says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum ServerSays {
    /// A session was opened.
    Welcome {
        /// The session's name; who knows it may attach to the session.
        token: Token,
        /// What a plan may ask for.
        limits: Limits,
        /// The origin of the server's clock, since the Unix epoch.
        wall_origin_ns: u64,
    },
    /// No session now.
    Busy {
        /// Why.
        why: String,
    },
    /// No, and the connection is closed.
    Refused {
        /// Why.
        why: String,
    },
    /// The connection is the session's.
    Attached,
    /// The time.
    Pong {
        /// The ping's.
        number: u32,
        /// When the ping was read.
        received_at_ns: u64,
        /// When this was written.
        sent_at_ns: u64,
    },
    /// What of the plan can be had.
    Ready {
        /// One for each kind of the plan, in its order.
        kinds: Vec<Offer>,
    },
    /// The server listens.
    Started,
    /// The server will hear no more; the report follows.
    Over {
        /// Why, where the client did not end it.
        cut: Option<String>,
    },
    /// Messages of one kind that arrived, copies included, in the order in
    /// which they came.
    Arrivals {
        /// Which kind.
        kind: String,
        /// At most [`CHUNK`].
        messages: Vec<Arrival>,
    },
    /// What else is known of one kind, after its arrivals.
    Heard {
        /// Which kind.
        kind: String,
        /// What the server's receives were.
        heard: Receipts,
    },
    /// The report is whole.
    Done,
}

/// What is to be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What is compared.
    pub kinds: Vec<Ask>,
    /// Messages of each kind.
    pub count: u32,
    /// Length of the longest message in bytes.
    pub size: u32,
    /// Bytes of all messages of a kind.
    pub bytes: u64,
    /// From the first message to the end of the sending.
    pub duration_ns: u64,
    /// How long after the end datagrams may still be under way.
    pub patience_ns: u64,
    /// How long a stream may stand still.
    pub timeout_ns: u64,
    /// The seed of whatever the client drew.
    pub seed: u64,
}

/// One kind of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Its name.
    pub kind: String,
    /// The identifier of its echo requests, where it sends those.
    pub echo: Option<u16>,
    /// The IP protocol of its datagrams, where they are bare.
    pub protocol: Option<u8>,
}

/// Whether the server takes part in one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Which kind.
    pub kind: String,
    /// Where to send it, for kinds with ports.
    pub port: Option<u16>,
    /// Why not, where it does not.
    pub refused: Option<String>,
}

/// One message that arrived whole: in JSON `[number, bytes, at_ns]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u32, u32, u64)", into = "(u32, u32, u64)")]
pub struct Arrival {
    /// Its number, from 1.
    pub number: u32,
    /// Its length.
    pub bytes: u32,
    /// When the program had it.
    pub at_ns: u64,
}

impl From<(u32, u32, u64)> for Arrival {
    fn from((number, bytes, at_ns): (u32, u32, u64)) -> Self {
        Self {
            number,
            bytes,
            at_ns,
        }
    }
}

impl From<Arrival> for (u32, u32, u64) {
    fn from(arrival: Arrival) -> Self {
        (arrival.number, arrival.bytes, arrival.at_ns)
    }
}

/// What the receives of one kind were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipts {
    /// Messages whose checksum did not match.
    pub corrupted: u32,
    /// Calls that received something.
    pub reads: u64,
    /// Of those, calls that gave exactly one message.
    pub reads_of_one_message: u64,
    /// Copies that came after the server had noted as many as it does.
    pub unlisted_copies: u64,
    /// What the socket's full buffer dropped, where the kernel counts it.
    pub dropped: Option<u64>,
}

/// A session's name that nobody can guess; 32 hexadecimal digits in JSON.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(pub [u8; 16]);

impl fmt::Debug for Token {
    // It is a secret: not even a log shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl FromStr for Token {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

impl Serialize for Token {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::{LONGEST_TOLD, encode};
    use super::*;

    #[test]
    fn the_largest_chunk_fits_into_a_frame() {
        let arrival = Arrival {
            number: u32::MAX,
            bytes: u32::MAX,
            at_ns: u64::MAX,
        };
        let chunk = ServerSays::Arrivals {
            kind: "icmp-datagram".into(),
            messages: vec![arrival; CHUNK],
        };
        assert!(encode(&chunk).len() <= LONGEST_TOLD);
    }

    #[test]
    fn a_token_is_its_hexadecimal_digits() {
        let token = Token(*b"0123456789abcdef");
        let text = serde_json::to_string(&token).expect("JSON");
        assert_eq!(text, "\"30313233343536373839616263646566\"");
        assert_eq!(serde_json::from_str::<Token>(&text).expect("read"), token);
        for wrong in [
            "\"\"",
            "\"30\"",
            "\"zz313233343536373839616263646566\"",
            "7",
        ] {
            assert!(serde_json::from_str::<Token>(wrong).is_err(), "{wrong}");
        }
    }
}
