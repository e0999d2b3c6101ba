//! What an ICMP socket's requests are like, as socket options (`ip(7)`,
//! `ipv6(7)`, `socket(7)`).
//!
//! Owns which call sets what for which family. Some need a capability: set them
//! before it is dropped.

use std::io;

use thiserror::Error;

use super::IcmpSocket;
use crate::flow::Family;

/// What to set; what is `None` is left as the kernel has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The time to live or hop limit, unicast and multicast.
    pub ttl: Option<u8>,
}

/// An option that could not be set.
#[derive(Debug, Error)]
#[error("setsockopt({option}): {cause}")]
pub struct OptionError {
    /// The option by name, with its value.
    pub option: String,
    /// What the call gave.
    pub cause: io::Error,
}

impl IcmpSocket {
    /// Sets all of `options` (`setsockopt(2)`).
    pub fn apply(&self, options: &Options) -> Result<(), OptionError> {
        if let Some(ttl) = options.ttl {
            let name = match self.family {
                Family::Ipv4 => "IP_TTL",
                Family::Ipv6 => "IPV6_UNICAST_HOPS",
            };
            self.set_ttl(ttl).map_err(|cause| OptionError {
                option: format!("{name}, {ttl}"),
                cause,
            })?;
        }
        Ok(())
    }

    fn set_ttl(&self, ttl: u8) -> io::Result<()> {
        let ttl = u32::from(ttl);
        match self.family {
            Family::Ipv4 => {
                self.socket.set_ttl_v4(ttl)?;
                self.socket.set_multicast_ttl_v4(ttl)
            }
            Family::Ipv6 => {
                self.socket.set_unicast_hops_v6(ttl)?;
                self.socket.set_multicast_hops_v6(ttl)
            }
        }
    }
}
