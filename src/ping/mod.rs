//! Ping: ICMP and ICMPv6 echo, judged by this host's clock (RFC 792, RFC 4443).
//!
//! [`Exchange`] sends requests and knows what answers them, whoever decides when
//! to send and what counts: [`host`] pings one host as `ping(8)` does. Deciding
//! is done without a socket or a clock. Nothing here prints: all that happens
//! goes to a [`Sink`](crate::event::Sink). Round trips are measured by this
//! host's monotonic clock; a reply's payload is never believed.

mod condition;
pub mod exchange;
pub mod host;
pub mod meaning;
mod names;
mod outbox;
pub mod path;
mod privilege;
mod resolve;
mod signals;
mod statistics;
pub mod sweep;
pub mod targets;
mod way;
pub mod wire;

pub use condition::Condition;
pub use exchange::Exchange;
pub use host::{ArrivalTime, Config, Core, Naming, Outcome, Plan, Responders, Rhythm, run};
pub use privilege::drop_privileges;
pub use resolve::Target;
pub use signals::Signals;
pub use statistics::RoundTrips;
pub use way::{Reach, Way};

use crate::error::{Cause, Error};
use crate::flow::Family;
use crate::socket::icmp::{IcmpSocket, OpenError};

/// The largest payload: an IPv4 packet's 65,535 bytes without its headers.
pub const MOST_PAYLOAD: usize = 65_507;

/// Opens the socket for a run: raw, or where that is not allowed a datagram
/// socket. Call it in the network namespace that is to be used.
pub fn open(family: Family) -> Result<IcmpSocket, Error> {
    let (call, protocol) = match family {
        Family::Ipv4 => ("socket(AF_INET, SOCK_RAW, ICMP)", "ICMP"),
        Family::Ipv6 => ("socket(AF_INET6, SOCK_RAW, ICMPv6)", "ICMPv6"),
    };
    IcmpSocket::open(family).map_err(|error| match error {
        OpenError::Forbidden { raw, datagram } => {
            let (raw, datagram) = (Cause::from(raw), Cause::from(datagram));
            let cause = format!("{raw}, with SOCK_DGRAM {datagram}");
            Error::new(call, "", cause).remedy(
                "use sudo, or give the program the right to raw sockets: \
                 `sudo setcap cap_net_raw+ep PROGRAM`, or allow everyone ICMP datagram sockets: \
                 `sudo sysctl net.ipv4.ping_group_range='0 2147483647'`",
            )
        }
        OpenError::Call { call, cause } => Error::new(call, protocol, cause),
    })
}
