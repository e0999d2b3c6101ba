//! What the network says of an attempt to connect: the ICMP error that ended it,
//! and who sent it (`IP_RECVERR` in ip(7), `IPV6_RECVERR` in ipv6(7)).
//!
//! The kernel keeps such errors only for who asked, and from then on an
//! established connection too dies of errors that TCP would have outlived (tcp(7),
//! RFC 1122 section 4.2.3.9). So it is asked while connecting, and no longer.

use std::io;
use std::net::SocketAddr;

use nix::errno::Errno;
use nix::sys::socket::{getsockopt, setsockopt, sockopt};

use crate::error::{Error, Exit};
use crate::flow::Family;
use crate::packet::{IcmpBody, IcmpFamily, IcmpHeader};
use crate::socket::Stream;
use crate::socket::icmp::Origin;

/// Has the errors kept, but where that was asked for already; whether it did.
pub(super) fn keep_errors(stream: &Stream, family: Family) -> bool {
    let kept = match family {
        Family::Ipv4 => getsockopt(&**stream, sockopt::Ipv4RecvErr),
        Family::Ipv6 => getsockopt(&**stream, sockopt::Ipv6RecvErr),
    };
    kept == Ok(false) && set(stream, family, true)
}

/// Has them kept no longer.
pub(super) fn forget_errors(stream: &Stream, family: Family) -> bool {
    set(stream, family, false)
}

fn set(stream: &Stream, family: Family, on: bool) -> bool {
    let name = match family {
        Family::Ipv4 => "IP_RECVERR",
        Family::Ipv6 => "IPV6_RECVERR",
    };
    let set = stream.set_option(format_args!("{name}, {}", u8::from(on)), |socket| {
        match family {
            Family::Ipv4 => setsockopt(socket, sockopt::Ipv4RecvErr, &on),
            Family::Ipv6 => setsockopt(socket, sockopt::Ipv6RecvErr, &on),
        }
        .map_err(Into::into)
    });
    set.is_ok()
}

/// The ICMP error that came back, and from whom; none where none did.
pub(super) fn returned(stream: &Stream, family: Family) -> Option<String> {
    let error = stream.queued_error().ok().flatten()?;
    let Origin::Icmp {
        offender: Some(offender),
        icmp_type: kind,
        icmp_code: code,
    } = error.origin
    else {
        return None;
    };
    let header = IcmpHeader {
        family: match family {
            Family::Ipv4 => IcmpFamily::V4,
            Family::Ipv6 => IcmpFamily::V6,
        },
        kind,
        code,
        body: IcmpBody::Other,
    };
    let protocol = match family {
        Family::Ipv4 => "ICMP",
        Family::Ipv6 => "ICMPv6",
    };
    let name = header.code_name().or_else(|| header.kind_name());
    let name = name.map_or_else(|| format!("type {kind} code {code}"), Into::into);
    Some(format!("{protocol} {name} from {}", offender.ip()))
}

/// An attempt that came to nothing.
pub(super) struct Failed {
    pub(super) remote: SocketAddr,
    pub(super) error: io::Error,
    /// The ICMP error that was its end.
    pub(super) verdict: Option<String>,
}

impl Failed {
    /// As the tool's own failure, with what would help.
    pub(super) fn into_error(self, target: String) -> Error {
        let errno = self.error.raw_os_error().map(Errno::from_raw);
        let mut failure = Error::new("connect", target, self.error);
        if errno == Some(Errno::EACCES) {
            // What the kernel makes of an ICMPv6 "prohibited": the network's no.
            failure = failure.exiting(Exit::Network);
        }
        if let Some(verdict) = self.verdict {
            return failure.remedy(verdict);
        }
        let ip = self.remote.ip();
        match errno {
            Some(Errno::ECONNREFUSED) => {
                failure.remedy("the host is there, and nothing listens on this port")
            }
            Some(Errno::EACCES) => failure.remedy(format!(
                "a router, or this host's routes or firewall, prohibits it; see `ip route get {ip}`"
            )),
            Some(Errno::EHOSTUNREACH) => failure.remedy("a router or this host found no way to it"),
            Some(Errno::ENETUNREACH) => failure.remedy(format!("see `ip route get {ip}`")),
            Some(Errno::ETIMEDOUT) => {
                failure.remedy("no answer: is the host up, or does a firewall drop?")
            }
            Some(Errno::EINVAL) if ip.is_ipv6() => {
                failure.remedy("a link-local address needs an interface: fe80::1%eth0")
            }
            _ => failure,
        }
    }
}
