//! A packet in one line: from where to where, and what it says; and a shorter
//! form for the ladder, where the lanes already say from where to where.
//!
//! Never wraps: a line that is too long loses its least important parts first,
//! then its end.

use std::fmt::{Display, Write};

use super::checksum::{Reason, Status};
use super::conversation::{Conversations, Numbering, Origin};
use super::dissection::{Dissection, Fragment, Header, Ip, Protocol};
use super::field::Fault;
use super::icmp::{IcmpBody, IcmpFamily, IcmpHeader};
use super::tcp::{TcpFlags, TcpHeader, TcpOption};

/// The ECN field of a packet that met congestion (RFC 3168).
const CONGESTION_EXPERIENCED: u8 = 3;

/// Which characters may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Charset {
    /// Arrows and ellipses: `→`, `…`.
    #[default]
    Unicode,
    /// `->`, `~`.
    Ascii,
}

impl Charset {
    /// From here to there.
    pub fn arrow(self) -> &'static str {
        match self {
            Charset::Unicode => "→",
            Charset::Ascii => "->",
        }
    }

    /// Something was left out here; one column wide.
    pub fn ellipsis(self) -> char {
        match self {
            Charset::Unicode => '…',
            Charset::Ascii => '~',
        }
    }
}

/// How a summary is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    /// Where sequence numbers count from.
    pub numbering: Numbering,
    /// Which characters may be used.
    pub charset: Charset,
    /// The most columns it may take.
    pub width: Option<usize>,
}

/// The packet in one line, such as
/// `10.77.0.1:40312 → 10.77.0.2:5073 TCP SYN seq=0 win=64240 mss=1460 len=0`.
///
/// `conversations` should have observed the packet and those before it.
pub fn line(dissection: &Dissection, conversations: &Conversations, style: Style) -> String {
    let mut parts = Parts::default();
    if let Some(endpoints) = dissection.endpoints() {
        let arrow = style.charset.arrow();
        parts.always(format_args!(
            "{} {arrow} {}",
            endpoints.source, endpoints.destination
        ));
    } else if let Some(Header::Ethernet(header)) = dissection.outermost() {
        let arrow = style.charset.arrow();
        parts.always(format_args!(
            "{} {arrow} {}",
            header.source, header.destination
        ));
    }
    say(&mut parts, dissection, conversations, style, Detail::Full);
    parts.fit(style)
}

/// The packet in a few words, such as `SYN seq=0` or `UDP len=5`.
pub fn short(dissection: &Dissection, conversations: &Conversations, style: Style) -> String {
    let mut parts = Parts::default();
    say(&mut parts, dissection, conversations, style, Detail::Short);
    parts.fit(style)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    Short,
    Full,
    /// As short, and to be cut is no news.
    Quoted,
}

fn say(
    parts: &mut Parts,
    dissection: &Dissection,
    conversations: &Conversations,
    style: Style,
    detail: Detail,
) {
    let origin = match style.numbering {
        Numbering::Relative => conversations.origin(dissection),
        Numbering::Absolute => Origin::default(),
    };
    let ip = dissection.ip();
    let fragment = ip.and_then(|ip| ip.fragment.map(|fragment| (ip, fragment)));
    if let Some((ip, fragment)) = fragment.filter(|(_, fragment)| !fragment.is_whole()) {
        say_fragment(parts, ip, fragment, detail);
    } else if let Some(tcp) = dissection.tcp() {
        say_tcp(parts, tcp, origin, data_length(dissection), detail);
    } else if let Some(udp) = dissection.udp() {
        parts.always("UDP");
        parts.rank(1, format_args!("len={}", udp.length.saturating_sub(8)));
    } else if let Some(icmp) = dissection.icmp() {
        say_icmp(parts, icmp, detail);
        if let (Detail::Full, Some(quoted)) = (detail, dissection.quoted()) {
            say_quoted(parts, &quoted, conversations, style);
        }
    } else {
        say_other(parts, dissection);
    }
    if detail == Detail::Full && ip.is_some_and(|ip| ip.ecn == CONGESTION_EXPERIENCED) {
        parts.rank(4, "CE");
    }
    if detail != Detail::Quoted {
        say_faults(parts, dissection, detail);
    }
}

/// What an ICMP error is about: where the packet at fault was going, and what
/// it was.
fn say_quoted(parts: &mut Parts, quoted: &Dissection, conversations: &Conversations, style: Style) {
    if let Some(endpoints) = quoted.endpoints() {
        parts.rank(2, format_args!("for {}", endpoints.destination));
    }
    let mut words = Parts::default();
    say(&mut words, quoted, conversations, style, Detail::Quoted);
    parts.rank(3, words.join());
}

fn say_fragment(parts: &mut Parts, ip: Ip, fragment: Fragment, detail: Detail) {
    let start = usize::from(fragment.offset);
    let end = start + fragment.length;
    parts.always("frag");
    parts.always(format_args!("{start}..{end}"));
    if fragment.more {
        parts.rank(1, "more");
    }
    if detail == Detail::Full {
        parts.rank(2, format_args!("of {}", ip.protocol));
        parts.rank(3, format_args!("id={:#06x}", fragment.identification));
    }
}

fn say_tcp(
    parts: &mut Parts,
    tcp: &TcpHeader,
    origin: Origin,
    length: Option<usize>,
    detail: Detail,
) {
    const MARKS: TcpFlags = TcpFlags(TcpFlags::SYN.0 | TcpFlags::FIN.0 | TcpFlags::RST.0);
    let flags: Vec<_> = tcp.flags.names().collect();
    let flags = match flags.as_slice() {
        [] => "no flags".to_owned(),
        names => names.join(","),
    };
    let is_full = detail == Detail::Full;
    let has_data = length != Some(0);
    // A pure acknowledgment's sequence number says nothing new, nor does the
    // acknowledgment number that every data segment repeats.
    let is_mark = tcp.flags.0 & MARKS.0 != 0;
    if detail != Detail::Short {
        parts.always("TCP");
    }
    parts.always(flags);
    if is_full || is_mark || has_data {
        let sequence = tcp.sequence.wrapping_sub(origin.sequence);
        parts.rank(1, format_args!("seq={sequence}"));
    }
    if tcp.flags.contains(TcpFlags::ACK) && (is_full || is_mark || !has_data) {
        let acknowledgment = tcp.acknowledgment.wrapping_sub(origin.acknowledgment);
        let rank = if is_mark || has_data { 3 } else { 1 };
        parts.rank(rank, format_args!("ack={acknowledgment}"));
    }
    if is_full {
        parts.rank(5, format_args!("win={}", tcp.window));
    }
    for option in &tcp.options {
        say_option(parts, option, origin, detail);
    }
    if let Some(length) = length.filter(|length| is_full || *length > 0) {
        parts.rank(2, format_args!("len={length}"));
    }
}

fn say_option(parts: &mut Parts, option: &TcpOption, origin: Origin, detail: Detail) {
    match option {
        TcpOption::Sack(blocks) => {
            let mut text = String::from("sack=");
            for (index, (left, right)) in blocks.iter().enumerate() {
                let comma = if index > 0 { "," } else { "" };
                let left = left.wrapping_sub(origin.acknowledgment);
                let right = right.wrapping_sub(origin.acknowledgment);
                let _ = write!(text, "{comma}{left}..{right}");
            }
            parts.rank(4, text);
        }
        TcpOption::EndOfList | TcpOption::NoOperation | TcpOption::Timestamps { .. } => {}
        TcpOption::MaximumSegmentSize(_) if detail == Detail::Full => parts.rank(6, option),
        option if detail == Detail::Full => parts.rank(7, option),
        _ => {}
    }
}

fn say_icmp(parts: &mut Parts, icmp: &IcmpHeader, detail: Detail) {
    parts.always(match icmp.family {
        IcmpFamily::V4 => "ICMP",
        IcmpFamily::V6 => "ICMPv6",
    });
    match icmp.code_name().or_else(|| icmp.kind_name()) {
        Some(name) => parts.always(name),
        None => parts.always(format_args!("type={} code={}", icmp.kind, icmp.code)),
    }
    match icmp.body {
        IcmpBody::Echo {
            identifier,
            sequence,
            ..
        } => {
            parts.rank(2, format_args!("id={identifier}"));
            parts.rank(1, format_args!("seq={sequence}"));
        }
        IcmpBody::Unreachable { mtu: Some(mtu) } => parts.rank(1, format_args!("mtu={mtu}")),
        IcmpBody::PacketTooBig { mtu } => parts.rank(1, format_args!("mtu={mtu}")),
        IcmpBody::ParameterProblem { pointer } => {
            parts.rank(3, format_args!("at byte {pointer}"));
        }
        IcmpBody::Redirect { gateway } => parts.rank(1, format_args!("to {gateway}")),
        IcmpBody::Neighbour { target } if detail == Detail::Full => {
            parts.rank(1, format_args!("for {target}"));
        }
        _ => {}
    }
}

fn say_other(parts: &mut Parts, dissection: &Dissection) {
    let is_header = |protocol| !matches!(protocol, Protocol::Data | Protocol::Trailer);
    let innermost = dissection.own().filter(|layer| is_header(layer.protocol));
    match (dissection.ip(), innermost.last()) {
        (_, Some(layer)) if layer.header.is_none() => return parts.always(layer.protocol),
        (Some(ip), _) => parts.always(ip.protocol),
        (None, Some(layer)) => match &layer.header {
            Some(Header::Arp(arp)) => {
                let (_, sender) = arp.sender;
                let (_, target) = arp.target;
                return match arp.operation {
                    1 => parts.always(format_args!("ARP who has {target}? asks {sender}")),
                    2 => parts.always(format_args!("ARP {sender} is at {}", arp.sender.0)),
                    other => parts.always(format_args!("ARP operation {other}")),
                };
            }
            Some(Header::Ethernet(header)) => {
                parts.always(format_args!("type {:#06x}", header.ether_type));
            }
            _ => parts.always(layer.protocol),
        },
        (None, None) => parts.always("data"),
    }
    parts.rank(1, format_args!("len={}", dissection.payload().len()));
}

fn say_faults(parts: &mut Parts, dissection: &Dissection, detail: Detail) {
    let is_corrupt = dissection
        .own()
        .any(|layer| matches!(layer.checksum, Some(Status::Bad { .. })));
    if is_corrupt {
        parts.rank(1, "bad checksum");
    }
    let mut faults = dissection
        .faults()
        .filter(|(layer, _)| !layer.quoted)
        .map(|(_, fault)| fault);
    let Some(fault) = faults.next() else {
        return;
    };
    let word = if fault.is_malformed() || faults.any(Fault::is_malformed) {
        "malformed"
    } else {
        "cut"
    };
    match detail {
        Detail::Short | Detail::Quoted => parts.rank(1, word),
        Detail::Full => parts.rank(1, format_args!("({word}: {fault})")),
    }
}

/// How many bytes of data a segment carries, unless some are missing.
fn data_length(dissection: &Dissection) -> Option<usize> {
    let is_partial = dissection.own().any(|layer| {
        matches!(
            layer.checksum,
            Some(Status::Unverified(Reason::Quoted | Reason::Truncated))
        )
    });
    (!is_partial).then(|| dissection.payload().len())
}

/// The words of a summary, each with the rank in which it may be dropped: the
/// highest first, zero never.
#[derive(Default)]
struct Parts(Vec<(u8, String)>);

impl Parts {
    fn always(&mut self, text: impl Display) {
        self.rank(0, text);
    }

    fn rank(&mut self, rank: u8, text: impl Display) {
        self.0.push((rank, text.to_string()));
    }

    fn fit(mut self, style: Style) -> String {
        let Some(width) = style.width else {
            return self.join();
        };
        while self.width() > width {
            let ranks = self.0.iter().map(|(rank, _)| *rank).enumerate();
            match ranks.max_by_key(|(_, rank)| *rank) {
                Some((place, 1..)) => self.0.remove(place),
                _ => break,
            };
        }
        let text = self.join();
        if text.chars().count() <= width {
            return text;
        }
        let mut text: String = text.chars().take(width.saturating_sub(1)).collect();
        if width > 0 {
            text.push(style.charset.ellipsis());
        }
        text
    }

    fn width(&self) -> usize {
        let words = self.0.iter().map(|(_, text)| text.chars().count() + 1);
        words.sum::<usize>().saturating_sub(1)
    }

    fn join(&self) -> String {
        let words: Vec<_> = self.0.iter().map(|(_, text)| text.as_str()).collect();
        words.join(" ")
    }
}
