//! When a server is ready: what listens on its host, read from the kernel's
//! socket tables (proc_pid_net(5)), and what of it was asked for.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use crate::link::Host;

/// What a server is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready {
    /// Any socket that the client can reach.
    Any,
    /// This port.
    At(Port),
    /// Nothing.
    AtOnce,
}

/// A port of a protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    protocol: Protocol,
    number: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Protocol {
    Tcp,
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ready::Any => f.write_str("any"),
            Ready::AtOnce => f.write_str("none"),
            Ready::At(Port { protocol, number }) => write!(f, "{protocol}:{number}"),
        }
    }
}

impl FromStr for Ready {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORM: &str = "must be any, none, tcp:PORT or udp:PORT";
        let (protocol, number) = match text.split_once(':') {
            None if text == "any" => return Ok(Ready::Any),
            None if text == "none" => return Ok(Ready::AtOnce),
            Some(("tcp", number)) => (Protocol::Tcp, number),
            Some(("udp", number)) => (Protocol::Udp, number),
            _ => return Err(FORM.to_owned()),
        };
        match number.parse() {
            Ok(number) if number > 0 => Ok(Ready::At(Port { protocol, number })),
            _ => Err("the port must be 1 to 65535".to_owned()),
        }
    }
}

/// One row of a socket table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Row {
    protocol: Protocol,
    local: SocketAddr,
    /// As `include/net/tcp_states.h` numbers it.
    state: u8,
    /// 0 where no program holds the socket any more.
    inode: u64,
}

impl Row {
    const ESTABLISHED: u8 = 1;
    const FIN_WAIT1: u8 = 4;
    const FIN_WAIT2: u8 = 5;
    /// What an unconnected UDP socket is in.
    const CLOSE: u8 = 7;
    const CLOSE_WAIT: u8 = 8;
    const LAST_ACK: u8 = 9;
    const LISTEN: u8 = 10;
    const CLOSING: u8 = 11;

    fn awaits_anybody(&self) -> bool {
        match self.protocol {
            Protocol::Tcp => self.state == Self::LISTEN,
            Protocol::Udp => self.state == Self::CLOSE,
        }
    }

    fn is_reachable(&self) -> bool {
        !self.local.ip().to_canonical().is_loopback()
    }

    /// Whether a program still holds a TCP connection here.
    pub(super) fn is_held(&self) -> bool {
        let connected = matches!(
            self.state,
            Self::ESTABLISHED | Self::FIN_WAIT1 | Self::FIN_WAIT2 | Self::CLOSE_WAIT
        );
        self.protocol == Protocol::Tcp && self.inode != 0 && connected
    }

    /// Whether the kernel still has something to say to the other end.
    pub(super) fn is_unfinished(&self) -> bool {
        self.protocol == Protocol::Tcp
            && matches!(self.state, Self::FIN_WAIT1 | Self::CLOSING | Self::LAST_ACK)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.protocol, self.local)
    }
}

/// All TCP and UDP sockets of a host.
pub(super) fn sockets(host: &Host) -> HashSet<Row> {
    host.run(|| {
        let tables = [
            ("tcp", Protocol::Tcp),
            ("tcp6", Protocol::Tcp),
            ("udp", Protocol::Udp),
            ("udp6", Protocol::Udp),
        ];
        let mut rows = HashSet::new();
        for (name, protocol) in tables {
            // A kernel without IPv6 has no such table.
            let table = fs::read_to_string(format!("/proc/thread-self/net/{name}"));
            let table = table.unwrap_or_default();
            rows.extend(table.lines().filter_map(|line| parse(line, protocol)));
        }
        rows
    })
}

/// How far a server has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// What was asked for is there.
    Listens,
    /// It is not; this is there instead.
    Waits(Vec<Row>),
}

impl Ready {
    /// Looks for what was asked for among the sockets that were not there before.
    pub(super) fn judge(self, before: &HashSet<Row>, now: &HashSet<Row>) -> Progress {
        let listening = now.difference(before).filter(|row| row.awaits_anybody());
        let (wanted, others): (Vec<&Row>, Vec<&Row>) = listening.partition(|row| {
            row.is_reachable()
                && match self {
                    Ready::Any | Ready::AtOnce => true,
                    Ready::At(port) => {
                        row.protocol == port.protocol && row.local.port() == port.number
                    }
                }
        });
        if wanted.is_empty() && self != Ready::AtOnce {
            Progress::Waits(others.into_iter().cloned().collect())
        } else {
            Progress::Listens
        }
    }
}

/// What would help where only `found` listens.
pub(super) fn remedy(found: &[Row]) -> String {
    const GENERAL: &str = "--ready-timeout waits longer, and --ready none does not wait";
    let Some(row) = found.iter().min_by_key(|row| row.local.port()) else {
        return GENERAL.to_owned();
    };
    if row.is_reachable() {
        let port = row.local.port();
        return format!("it listens on {row}: try --ready {}:{port}", row.protocol);
    }
    format!(
        "it listens on {row}, where the client cannot reach it: have it listen on 0.0.0.0 or ::"
    )
}

fn parse(line: &str, protocol: Protocol) -> Option<Row> {
    let mut columns = line.split_whitespace().skip(1);
    let local = columns.next()?;
    let state = columns.nth(1)?;
    let inode = columns.nth(5)?;
    let (address, port) = local.split_once(':')?;
    Some(Row {
        protocol,
        local: (ip(address)?, u16::from_str_radix(port, 16).ok()?).into(),
        state: u8::from_str_radix(state, 16).ok()?,
        inode: inode.parse().ok()?,
    })
}

/// An address as the table prints it: words of 32 bits, each in the machine's
/// own byte order.
fn ip(text: &str) -> Option<IpAddr> {
    let bytes: Vec<u8> = hex::decode(text)
        .ok()?
        .chunks_exact(4)
        .filter_map(|word| word.try_into().ok())
        .flat_map(|word| u32::from_be_bytes(word).to_ne_bytes())
        .collect();
    if let Ok(v4) = <[u8; 4]>::try_from(bytes.as_slice()) {
        return Some(Ipv4Addr::from(v4).into());
    }
    let v6: [u8; 16] = bytes.try_into().ok()?;
    Some(Ipv6Addr::from(v6).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(protocol: Protocol, local: &str, state: u8) -> Row {
        Row {
            protocol,
            local: local.parse().expect("an address"),
            state,
            inode: 7,
        }
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn reads_the_kernels_rows() {
        let v4 = "   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 7 1 0 100 0 0 10 0";
        assert_eq!(
            parse(v4, Protocol::Tcp),
            Some(row(Protocol::Tcp, "127.0.0.1:5432", Row::LISTEN))
        );
        let v6 = "  22: 000077FD000000000000000002000000:1F40 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 7 2 0 0";
        assert_eq!(
            parse(v6, Protocol::Udp),
            Some(row(Protocol::Udp, "[fd77::2]:8000", Row::CLOSE))
        );
        let heading = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
        assert_eq!(parse(heading, Protocol::Tcp), None);
    }

    #[test]
    fn a_server_is_ready_once_what_was_asked_for_is_new_and_reachable() {
        let old = row(Protocol::Tcp, "0.0.0.0:22", Row::LISTEN);
        let inner = row(Protocol::Tcp, "127.0.0.1:80", Row::LISTEN);
        let busy = row(Protocol::Udp, "10.77.0.2:53", Row::ESTABLISHED);
        let tcp = row(Protocol::Tcp, "[::]:80", Row::LISTEN);
        let udp = row(Protocol::Udp, "0.0.0.0:80", Row::CLOSE);
        let before = HashSet::from([old.clone()]);
        for (wanted, there, listens) in [
            ("any", vec![&old], false),
            ("any", vec![&old, &inner, &busy], false),
            ("any", vec![&old, &udp], true),
            ("tcp:80", vec![&udp, &inner], false),
            ("tcp:80", vec![&udp, &tcp], true),
            ("udp:80", vec![&udp], true),
            ("udp:81", vec![&udp, &tcp], false),
            ("none", vec![], true),
        ] {
            let now = there.iter().copied().cloned().collect();
            let ready: Ready = wanted.parse().expect("a form");
            let progress = ready.judge(&before, &now);
            assert_eq!(progress == Progress::Listens, listens, "{wanted} {there:?}");
        }
        assert!(remedy(&[inner]).contains("127.0.0.1:80"));
        assert!(remedy(&[tcp]).contains("--ready tcp:80"));
        assert!(remedy(&[]).contains("--ready-timeout"));
    }

    #[test]
    fn forms_are_written_as_they_are_read() {
        for form in ["any", "none", "tcp:80", "udp:65535"] {
            assert_eq!(form.parse::<Ready>().expect("a form").to_string(), form);
        }
        for nonsense in ["", "tcp", "tcp:", "tcp:0", "tcp:65536", "sctp:1", "80"] {
            assert!(nonsense.parse::<Ready>().is_err(), "{nonsense}");
        }
    }
}
