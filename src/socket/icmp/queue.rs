//! What a socket's error queue holds (`IP_RECVERR` in `ip(7)`, `IPV6_RECVERR`,
//! `Documentation/networking/timestamping.rst`).
//!
//! Owns the decoding of `struct sock_extended_err`. Pure: bytes in, values out.

use std::net::SocketAddr;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;

use super::batch::Received;
use super::control::address_in;

/// `SO_EE_ORIGIN_TIMESTAMPING` and `SCM_TSTAMP_SND` (`linux/errqueue.h`).
const TIMESTAMPING: u8 = 4;
const SENT: u32 = 0;

/// `struct sock_extended_err` and the address behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ExtendedError {
    errno: i32,
    origin: u8,
    icmp_type: u8,
    icmp_code: u8,
    info: u32,
    offender: Option<SocketAddr>,
}

impl ExtendedError {
    /// The control message's data.
    pub(super) fn read(data: &[u8]) -> Option<Self> {
        let word = |at: usize| data.get(at..at + 4)?.try_into().ok();
        Some(Self {
            errno: i32::from_ne_bytes(word(0)?),
            origin: *data.get(4)?,
            icmp_type: *data.get(5)?,
            icmp_code: *data.get(6)?,
            info: u32::from_ne_bytes(word(8)?),
            offender: data.get(16..).and_then(address_in),
        })
    }
}

/// Something from the error queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queued {
    /// An error.
    Error(QueuedError),
    /// No error: a message of ours left this host, then, since the Unix epoch
    /// by `CLOCK_REALTIME`. Its bytes are the packet as the device got it.
    Departure(Duration),
}

/// An error from a socket's queue. What came with it is the offending message,
/// from its ICMP header on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueuedError {
    /// Where that message was going.
    pub target: Option<SocketAddr>,
    /// The errno the error amounts to.
    pub errno: Errno,
    /// Where the error comes from.
    pub origin: Origin,
    /// An MTU in bytes, a pointer or a gateway, with the errors that have one.
    pub info: u32,
}

/// Where a queued error comes from (`ee_origin`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// This host's kernel.
    Local,
    /// An ICMP or ICMPv6 message.
    Icmp {
        /// Who sent it.
        offender: Option<SocketAddr>,
        /// Its type.
        icmp_type: u8,
        /// Its code.
        icmp_code: u8,
    },
    /// Something else, by number.
    Unknown(u8),
}

impl Origin {
    /// What `ee_origin` says, with the type, the code and the sender that an ICMP
    /// message has.
    pub(in crate::socket) fn of(
        origin: u8,
        (icmp_type, icmp_code): (u8, u8),
        offender: Option<SocketAddr>,
    ) -> Self {
        match origin {
            libc::SO_EE_ORIGIN_LOCAL => Self::Local,
            libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6 => Self::Icmp {
                offender,
                icmp_type,
                icmp_code,
            },
            other => Self::Unknown(other),
        }
    }
}

impl Received<'_> {
    /// What this is, if it comes from the error queue.
    pub fn queued(&self) -> Option<Queued> {
        let error = ExtendedError::read(self.extended?)?;
        if error.origin == TIMESTAMPING {
            let stamp = self.stamp.filter(|_| error.info == SENT);
            return stamp.map(Queued::Departure);
        }
        Some(Queued::Error(QueuedError {
            target: self.from,
            errno: Errno::from_raw(error.errno),
            origin: Origin::of(
                error.origin,
                (error.icmp_type, error.icmp_code),
                error.offender,
            ),
            info: error.info,
        }))
    }
}
