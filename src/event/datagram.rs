//! A datagram at a program's socket, with its bytes: sent, received, or come to
//! nothing (udp(7), RFC 768, RFC 1122 section 4.1.3.3).
//!
//! Pure values. Says what the program and its kernel know, never what became of
//! the datagram on the way: that is a packet's fate.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use super::SocketName;
use crate::units::hexadecimal;

/// One datagram at one socket.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Datagram<'a> {
    /// At which socket.
    pub socket: SocketName,
    /// What happened to it.
    #[serde(flatten)]
    pub passage: Passage,
    /// Who sent it, or whom it was sent to.
    pub peer: SocketAddr,
    /// The address on this side, where the kernel told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local: Option<IpAddr>,
    /// How long it is; longer than the bytes at hand where it was cut to a
    /// buffer.
    #[serde(rename = "datagram_bytes")]
    pub length: usize,
    /// The bytes at hand.
    #[serde(rename = "bytes_hex", serialize_with = "hexadecimal")]
    pub bytes: Cow<'a, [u8]>,
}

/// What happened to a datagram.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "passage", rename_all = "snake_case")]
pub enum Passage {
    /// Handed to the kernel.
    Sent,
    /// Taken from the kernel.
    Received,
    /// Taken from the kernel and left unanswered.
    Ignored {
        /// Why.
        reason: Cow<'static, str>,
    },
    /// It was sent, and an error came back.
    Refused(Refusal),
}

/// Why a datagram that was sent went nowhere, as the error queue tells
/// (`IP_RECVERR`, ip(7)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// What it amounts to, such as `ECONNREFUSED`.
    pub errno: String,
    /// What the message says, such as `port unreachable`.
    pub cause: Cow<'static, str>,
    /// Who sent the ICMP message; `None` where this host's kernel knew by
    /// itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offender: Option<IpAddr>,
    /// The path MTU in bytes, where that was too small.
    #[serde(rename = "mtu_bytes", skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Whether a later datagram would fare alike. A path MTU is remembered by
    /// the kernel, so that the next datagram fits.
    #[serde(rename = "final")]
    pub is_final: bool,
}

impl Datagram<'_> {
    /// The same, owning its bytes.
    pub fn into_owned(self) -> Datagram<'static> {
        Datagram {
            bytes: Cow::Owned(self.bytes.into_owned()),
            ..self
        }
    }

    /// Whether its tail is gone.
    pub fn is_cut(&self) -> bool {
        self.length > self.bytes.len()
    }
}

/// `ICMP port unreachable from 10.0.0.1 (ECONNREFUSED)`.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offender {
            Some(offender) => write!(f, "ICMP {} from {offender}", self.cause)?,
            None => write!(f, "{} in this host's kernel", self.cause)?,
        }
        if let Some(mtu) = self.mtu {
            write!(f, ", MTU {mtu}")?;
        }
        write!(f, " ({})", self.errno)
    }
}
