//! How a run against one host looks as text: which of `ping(8)`'s lines, and
//! what stands before them.
//!
//! Owns the choice; the words of each line are the report's.

use std::fmt::Write as _;

use super::Args;
use super::ground::Descriptors;
use crate::event::EchoSocket;
use crate::flow::Family;
use crate::ping::{Reach, Target};
use crate::report::ping::{Addresses, Detail, Extras, Header, Layout, Preamble};
use crate::socket::icmp::IcmpSocket;

impl Args {
    pub(super) fn layout(
        &self,
        target: &Target,
        socket: &IcmpSocket,
        descriptors: &Descriptors,
    ) -> Layout {
        Layout {
            detail: match (self.quiet, self.output.hex, self.ping.flood) {
                (true, ..) => Detail::Summary,
                (_, true, _) => Detail::Bytes,
                (.., true) => Detail::Dots,
                _ => Detail::Lines,
            },
            addresses: if self.numeric || target.numeric {
                Addresses::Numbers
            } else {
                Addresses::Names
            },
            header: self.header(socket),
            preamble: self.preamble(target, socket, descriptors),
            now: std::time::SystemTime::now,
            extras: Extras {
                audible: self.ping.audible,
                stamped: self.ping.stamps,
                outstanding: self.ping.outstanding,
                verbose: self.ping.verbose,
            },
        }
    }

    fn header(&self, socket: &IcmpSocket) -> Header {
        let (interface, source) = self.origin();
        let chosen = interface.is_some() || source.is_some() || self.ping.sticky;
        let ip_options = self.ping.record_route || self.ping.timestamp.is_some();
        Header {
            from: chosen.then(|| interface.unwrap_or_default()),
            flow_label: socket.flow_label(),
            ip_options: ip_options && socket.family() == Family::Ipv4,
        }
    }

    fn preamble(
        &self,
        target: &Target,
        socket: &IcmpSocket,
        descriptors: &Descriptors,
    ) -> Preamble {
        let mut preamble = Preamble::default();
        if self.ping.verbose {
            preamble.err.push_str(&self.sockets_line(descriptors));
        }
        if let Some(pattern) = &self.ping.pattern {
            let digits = hex::encode(&pattern.0);
            let _ = writeln!(preamble.out, "PATTERN: 0x{digits}");
        }
        if self.ping.verbose {
            let (family, name) = (family_name(Some(socket.family())), &target.canonical);
            let _ = writeln!(
                preamble.out,
                "ai->ai_family: {family}, ai->ai_canonname: '{name}'"
            );
        }
        if let (Some(interface), None) = self.origin()
            && target.interface.as_ref() != Some(&interface)
        {
            let _ = writeln!(
                preamble.err,
                "ping: Warning: source address might be selected on device other than: {interface}"
            );
        }
        if target.reach == Reach::Broadcast {
            preamble
                .err
                .push_str("WARNING: pinging broadcast address\n");
        }
        preamble
    }

    /// As `ping -v` has it: both families' sockets.
    fn sockets_line(&self, descriptors: &Descriptors) -> String {
        let [v4, v6] = descriptors.map(|socket| match socket {
            Some((number, EchoSocket::Raw)) => format!("fd: {number} (socktype: SOCK_RAW)"),
            Some((number, EchoSocket::Datagram)) => format!("fd: {number} (socktype: SOCK_DGRAM)"),
            None => "fd: -1 (socktype: 0)".to_owned(),
        });
        let family = family_name(self.family());
        format!("ping: sock4.{v4}, sock6.{v6}, hints.ai_family: {family}\n\n")
    }
}

fn family_name(family: Option<Family>) -> &'static str {
    match family {
        None => "AF_UNSPEC",
        Some(Family::Ipv4) => "AF_INET",
        Some(Family::Ipv6) => "AF_INET6",
    }
}
