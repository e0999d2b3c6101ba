//! What a conversation on the wire is called: its protocol, the end that opened
//! it, the other end, and the identifier of an ICMP echo.
//!
//! Written as `tcp 10.77.0.1:40000 → 10.77.0.2:5073`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use crate::packet::IpProtocol;

/// A conversation's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FlowName {
    /// What it speaks.
    pub protocol: FlowProtocol,
    /// The end that sent the first packet; none where the packets name no ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opener: Option<FlowEnd>,
    /// The other end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<FlowEnd>,
    /// The identifier of an ICMP echo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identifier: Option<u16>,
}

impl fmt::Display for FlowName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.protocol)?;
        if let (Some(opener), Some(other)) = (self.opener, self.other) {
            write!(f, " {opener} → {other}")?;
        }
        match self.identifier {
            Some(identifier) => write!(f, " id {identifier}"),
            None => Ok(()),
        }
    }
}

/// What a conversation speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FlowProtocol {
    /// A protocol over IP.
    Ip(IpProtocol),
    /// ICMP or ICMPv6 echo.
    Echo(IpProtocol),
    /// Bytes that are no IP packet.
    NotIp,
    /// All conversations beyond the number that is told apart.
    Rest,
}

impl fmt::Display for FlowProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(protocol) => write!(f, "{}", protocol.to_string().to_lowercase()),
            Self::Echo(protocol) => write!(f, "{} echo", protocol.to_string().to_lowercase()),
            Self::NotIp => f.write_str("not IP"),
            Self::Rest => f.write_str("other"),
        }
    }
}

impl Serialize for FlowProtocol {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One end of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowEnd {
    /// Its address.
    pub address: IpAddr,
    /// Its port, where the protocol has ports.
    pub port: Option<u16>,
}

impl fmt::Display for FlowEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}", SocketAddr::new(self.address, port)),
            None => write!(f, "{}", self.address),
        }
    }
}

impl Serialize for FlowEnd {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::{FlowEnd, FlowName, FlowProtocol};
    use crate::packet::IpProtocol;

    fn end(address: &str, port: Option<u16>) -> FlowEnd {
        let address = address.parse().expect("an address");
        FlowEnd { address, port }
    }

    #[test]
    fn names_read_well_and_serialize_stably() {
        let tcp = FlowName {
            protocol: FlowProtocol::Ip(IpProtocol::TCP),
            opener: Some(end("10.77.0.1", Some(40000))),
            other: Some(end("10.77.0.2", Some(5073))),
            identifier: None,
        };
        let echo = FlowName {
            protocol: FlowProtocol::Echo(IpProtocol::ICMPV6),
            opener: Some(end("fd77::1", None)),
            other: Some(end("fd77::2", None)),
            identifier: Some(7),
        };
        let rest = FlowName {
            protocol: FlowProtocol::Rest,
            opener: None,
            other: None,
            identifier: None,
        };
        assert_eq!(tcp.to_string(), "tcp 10.77.0.1:40000 → 10.77.0.2:5073");
        assert_eq!(echo.to_string(), "icmpv6 echo fd77::1 → fd77::2 id 7");
        assert_eq!(rest.to_string(), "other");
        assert_eq!(
            serde_json::to_string(&tcp).expect("it serializes"),
            r#"{"protocol":"tcp","opener":"10.77.0.1:40000","other":"10.77.0.2:5073"}"#
        );
        assert_eq!(
            serde_json::to_string(&echo).expect("it serializes"),
            r#"{"protocol":"icmpv6 echo","opener":"fd77::1","other":"fd77::2","identifier":7}"#
        );
    }
}
