//! The lines of a run in the words of `ping(8)`: the header, one for each reply,
//! error and silence, and in a flood a mark for each.
//!
//! Never decides which of them are printed where nothing is wrong with them:
//! that is the layout's.

use std::fmt::Write as _;

use super::figures::round_trip;
use super::{Addresses, Detail, ECHO_HEADER, IP_OPTIONS, IPV4_HEADER, Layout, Run};
use crate::event::{
    EchoAddress, EchoCause, EchoFailure, EchoJudgement, EchoRedirect, EchoReply, EchoRequest,
    EchoSocket, EchoStarted, EchoWrongByte,
};
use crate::packet::hexdump;
use crate::packet::{IcmpFamily, dissect_icmp};

/// iputils keeps a time in the first bytes, and shows those after it.
const TIME_BYTES: usize = 16;
/// Bytes in a line of a changed payload.
const BYTES_A_LINE: usize = 32;

impl Layout {
    pub(super) fn header(&self, started: &EchoStarted) -> String {
        let (name, target) = (&started.target.name, &started.address);
        let size = started.payload_bytes;
        let mut line = if target.ip.is_ipv6() {
            let called = self.called(target, started.address_name.as_deref());
            format!("PING {name}({called}) ")
        } else {
            format!("PING {name} ({target}) ")
        };
        if let Some(device) = &self.header.from {
            let _ = write!(line, "from {} {device}: ", started.source);
        }
        if let Some(label) = self.header.flow_label {
            let _ = write!(line, ", flow {label:#07x}, ");
        }
        let _ = if target.ip.is_ipv6() {
            writeln!(line, "{size} data bytes")
        } else {
            let options = if self.header.ip_options {
                IP_OPTIONS
            } else {
                0
            };
            let whole = size + ECHO_HEADER + IPV4_HEADER + options;
            writeln!(line, "{size}({whole}) bytes of data.")
        };
        line
    }

    pub(super) fn request(&self, request: &EchoRequest<'_>, run: &Run) -> String {
        match self.detail {
            Detail::Dots => ".".to_owned(),
            Detail::Bytes => format!(
                "Request icmp_seq={}\n{}",
                request.icmp_sequence,
                dump(&request.message, run.target.is_ipv6())
            ),
            Detail::Summary | Detail::Lines => String::new(),
        }
    }

    pub(super) fn reply(&self, reply: &EchoReply<'_>, run: &mut Run) -> String {
        let bell = if self.extras.audible { "\x07" } else { "" };
        if self.detail == Detail::Dots {
            let mark = match reply.judgement {
                EchoJudgement::BadChecksum => "\x08C",
                _ => "\x08 \x08",
            };
            return format!("{mark}{bell}");
        }
        let mut line = self.reply_line(reply, run);
        if !reply.truncated {
            if let Some(wrong) = reply.wrong_byte {
                line.push_str(&changed(wrong, &reply.message[ECHO_HEADER..]));
            }
            line.push_str(bell);
            line.push_str(&run.routes.text(&reply.ip_options));
        }
        line.push('\n');
        if self.detail == Detail::Bytes {
            line.push_str(&dump(&reply.message, run.target.is_ipv6()));
        }
        line
    }

    fn reply_line(&self, reply: &EchoReply<'_>, run: &Run) -> String {
        let called = self.called(&reply.from, reply.from_name.as_deref());
        let mut line = self.stamp();
        let _ = write!(
            line,
            "{} bytes from {called}: icmp_seq={}",
            reply.message_bytes, reply.icmp_sequence
        );
        if let (true, [_, _, _, _, high, low, ..]) = (self.names_identifiers(run), &*reply.message)
        {
            let _ = write!(line, " ident={}", u16::from_be_bytes([*high, *low]));
        }
        if let Some(ttl) = reply.ttl {
            let _ = write!(line, " ttl={ttl}");
        }
        if reply.truncated {
            line.push_str(" (truncated)");
            return line;
        }
        if run.timed {
            let _ = write!(line, " time={} ms", round_trip(reply.round_trip));
        }
        line.push_str(match reply.judgement {
            // Every member of a group answers.
            EchoJudgement::Duplicate if run.target.is_multicast() && !self.extras.verbose => "",
            EchoJudgement::Counted => "",
            EchoJudgement::Duplicate => " (DUP!)",
            EchoJudgement::BadChecksum => " (BAD CHECKSUM!)",
            EchoJudgement::DifferentAddress => " (DIFFERENT ADDRESS!)",
        });
        line
    }

    /// A datagram socket's identifier is the kernel's affair.
    fn names_identifiers(&self, run: &Run) -> bool {
        self.extras.verbose && run.socket == EchoSocket::Raw
    }

    /// A failure's line on standard output and on standard error.
    pub(super) fn failure(&self, failure: &EchoFailure, ipv6: bool) -> (String, String) {
        if self.detail == Detail::Dots {
            let mark = match failure.cause {
                EchoCause::Icmp { .. } => "\x08E",
                _ => "E",
            };
            return (mark.to_owned(), String::new());
        }
        let (mut out, mut err) = (String::new(), String::new());
        match &failure.cause {
            EchoCause::Icmp {
                from,
                from_name,
                meaning,
                ..
            } => {
                let called = self.called(from, from_name.as_deref());
                let sequence = failure.icmp_sequence.unwrap_or_default();
                let stamp = self.stamp();
                out = format!("{stamp}From {called} icmp_seq={sequence} {meaning}\n");
            }
            EchoCause::TooLong { mtu_bytes } => {
                let equals = if ipv6 { ": " } else { "=" };
                err = format!("ping: local error: message too long, mtu{equals}{mtu_bytes}\n");
            }
            EchoCause::Local { meaning, .. } => err = format!("ping: local error: {meaning}\n"),
            EchoCause::Send { meaning, .. } => err = format!("ping: sendmsg: {meaning}\n"),
        }
        (out, err)
    }

    pub(super) fn no_answer(&self, icmp_sequence: u16) -> String {
        if self.extras.outstanding {
            format!(
                "{}no answer yet for icmp_seq={icmp_sequence}\n",
                self.stamp()
            )
        } else {
            String::new()
        }
    }

    pub(super) fn redirect(&self, redirect: &EchoRedirect) -> String {
        if self.detail == Detail::Dots {
            return String::new();
        }
        let called = self.called(&redirect.from, redirect.from_name.as_deref());
        let (sequence, meaning) = (redirect.icmp_sequence, &redirect.meaning);
        format!(
            "{}From {called}: icmp_seq={sequence} {meaning}\n",
            self.stamp()
        )
    }

    fn stamp(&self) -> String {
        if !self.extras.stamped {
            return String::new();
        }
        let since = (self.now)().duration_since(std::time::UNIX_EPOCH);
        let since = since.unwrap_or_default();
        format!("[{}.{:06}] ", since.as_secs(), since.subsec_micros())
    }

    fn called(&self, address: &EchoAddress, name: Option<&str>) -> String {
        match (self.addresses, name) {
            (Addresses::Numbers, _) => address.to_string(),
            (Addresses::Names, Some(name)) => format!("{name} ({address})"),
            (Addresses::Names, None) => format!("{address} ({address})"),
        }
    }
}

/// The byte that came back changed, and the payload it is in.
fn changed(wrong: EchoWrongByte, payload: &[u8]) -> String {
    let EchoWrongByte {
        index,
        sent,
        received,
    } = wrong;
    let mut text = format!("\nwrong data byte #{index} should be {sent:#x} but was {received:#x}");
    let first = if index < TIME_BYTES { 0 } else { TIME_BYTES };
    for (place, byte) in payload.iter().enumerate().skip(first) {
        if (place - first) % BYTES_A_LINE == 0 {
            let _ = write!(text, "\n#{place}\t");
        }
        let _ = write!(text, "{byte:x} ");
    }
    text
}

/// An ICMP message in annotated hex, 16 bytes a line.
fn dump(message: &[u8], ipv6: bool) -> String {
    let family = if ipv6 { IcmpFamily::V6 } else { IcmpFamily::V4 };
    let layout = hexdump::Layout::default();
    let rows = hexdump::rows(&dissect_icmp(family, message), message, layout);
    hexdump::render(&rows, layout)
}
