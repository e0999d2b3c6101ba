//! Errors that came back for datagrams (`IP_RECVERR` in ip(7)): what each means,
//! who sent it, and whether a later datagram would fare alike.
//!
//! Pure: queued errors in, words out. Never decides what the tool does about one.

use std::borrow::Cow;
use std::net::SocketAddr;

use nix::errno::Errno;

use super::mailbox::canonical;
use crate::error::{Error, Exit};
use crate::event::Refusal;
use crate::packet::{IcmpBody, IcmpFamily, IcmpHeader};
use crate::socket::icmp::{Origin, QueuedError};

/// An error that came back for a datagram that was sent.
#[derive(Debug, Clone)]
pub(super) struct Returned {
    pub(super) peer: Option<SocketAddr>,
    pub(super) refusal: Refusal,
    errno: Errno,
}

impl Returned {
    pub(super) fn of(error: &QueuedError, peer: Option<SocketAddr>) -> Self {
        let (cause, offender) = match error.origin {
            Origin::Icmp {
                offender,
                icmp_type,
                icmp_code,
            } => {
                let offender = offender.map(|address| address.ip().to_canonical());
                let is_v4 = offender.is_none_or(|address| address.is_ipv4());
                (meaning(is_v4, icmp_type, icmp_code), offender)
            }
            Origin::Local if error.errno == Errno::EMSGSIZE => {
                ("too long for the path".into(), None)
            }
            Origin::Local | Origin::Unknown(_) => ("an error".into(), None),
        };
        Self {
            peer: error.target.or(peer),
            refusal: Refusal {
                is_final: offender.is_some() && error.errno != Errno::EMSGSIZE,
                errno: format!("{:?}", error.errno),
                cause,
                offender,
                mtu: (error.errno == Errno::EMSGSIZE).then_some(error.info),
            },
            errno: error.errno,
        }
    }

    /// Whether somebody on the way or at the peer sent the datagram back.
    pub(super) fn is_refusal(&self) -> bool {
        self.refusal.offender.is_some()
    }

    /// Whether a later datagram would fare alike.
    pub(super) fn is_final(&self) -> bool {
        self.refusal.is_final
    }

    /// As what the tool fails with.
    pub(super) fn error(&self) -> Error {
        let target = self
            .peer
            .map_or_else(String::new, |peer| canonical(peer).to_string());
        let failure = Error::new("send to", target, self.errno).exiting(Exit::Network);
        match self.refusal.offender {
            Some(offender) if self.errno == Errno::ECONNREFUSED => failure.remedy(format!(
                "ICMP {} from {offender}: nothing there listens on that port",
                self.refusal.cause
            )),
            Some(offender) => {
                failure.remedy(format!("ICMP {} from {offender}", self.refusal.cause))
            }
            None => failure,
        }
    }
}

/// What an ICMP error says, in the words of the dissection.
fn meaning(is_v4: bool, kind: u8, code: u8) -> Cow<'static, str> {
    let header = IcmpHeader {
        family: if is_v4 {
            IcmpFamily::V4
        } else {
            IcmpFamily::V6
        },
        kind,
        code,
        body: IcmpBody::Other,
    };
    match header.code_name().or_else(|| header.kind_name()) {
        Some(name) => name.into(),
        None => format!("type {kind} code {code}").into(),
    }
}
