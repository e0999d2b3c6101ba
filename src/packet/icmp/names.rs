//! The names of ICMP and ICMPv6 types and codes (the IANA registries "ICMP Type
//! Numbers" and "ICMPv6 type Numbers").

use super::IcmpFamily;

pub(super) fn kind(family: IcmpFamily, kind: u8) -> Option<&'static str> {
    match family {
        IcmpFamily::V4 => kind_v4(kind),
        IcmpFamily::V6 => kind_v6(kind),
    }
}

pub(super) fn code(family: IcmpFamily, kind: u8, code: u8) -> Option<&'static str> {
    let names: &[&str] = match (family, kind) {
        (IcmpFamily::V4, 3) => &UNREACHABLE_V4,
        (IcmpFamily::V4, 5) => &REDIRECT_V4,
        (IcmpFamily::V4, 11) | (IcmpFamily::V6, 3) => &TIME_EXCEEDED,
        (IcmpFamily::V4, 12) => &PARAMETER_PROBLEM_V4,
        (IcmpFamily::V6, 1) => &UNREACHABLE_V6,
        (IcmpFamily::V6, 4) => &PARAMETER_PROBLEM_V6,
        _ => &[],
    };
    names.get(usize::from(code)).copied()
}

const UNREACHABLE_V4: [&str; 16] = [
    "network unreachable",
    "host unreachable",
    "protocol unreachable",
    "port unreachable",
    "fragmentation needed",
    "source route failed",
    "network unknown",
    "host unknown",
    "source host isolated",
    "network prohibited",
    "host prohibited",
    "network unreachable for this service",
    "host unreachable for this service",
    "communication prohibited",
    "host precedence violation",
    "precedence cutoff",
];

const UNREACHABLE_V6: [&str; 9] = [
    "no route",
    "communication prohibited",
    "beyond scope of source address",
    "address unreachable",
    "port unreachable",
    "source address failed policy",
    "route rejected",
    "error in source routing header",
    "headers too long",
];

const REDIRECT_V4: [&str; 4] = [
    "redirect for network",
    "redirect for host",
    "redirect for service and network",
    "redirect for service and host",
];

const TIME_EXCEEDED: [&str; 2] = ["hop limit exceeded", "reassembly time exceeded"];

const PARAMETER_PROBLEM_V4: [&str; 3] = [
    "pointer indicates the error",
    "missing option",
    "bad length",
];

const PARAMETER_PROBLEM_V6: [&str; 11] = [
    "erroneous header field",
    "unknown next header",
    "unknown option",
    "first fragment lacks headers",
    "upper-layer header error by segment routing",
    "unknown next header at intermediate node",
    "extension header too big",
    "extension header chain too long",
    "too many extension headers",
    "too many options",
    "option too big",
];

fn kind_v4(kind: u8) -> Option<&'static str> {
    Some(match kind {
        0 => "echo reply",
        3 => "destination unreachable",
        4 => "source quench",
        5 => "redirect",
        8 => "echo request",
        9 => "router advertisement",
        10 => "router solicitation",
        11 => "time exceeded",
        12 => "parameter problem",
        13 => "timestamp request",
        14 => "timestamp reply",
        15 => "information request",
        16 => "information reply",
        17 => "address mask request",
        18 => "address mask reply",
        42 => "extended echo request",
        43 => "extended echo reply",
        _ => return None,
    })
}

fn kind_v6(kind: u8) -> Option<&'static str> {
    Some(match kind {
        1 => "destination unreachable",
        2 => "packet too big",
        3 => "time exceeded",
        4 => "parameter problem",
        128 => "echo request",
        129 => "echo reply",
        130 => "multicast listener query",
        131 => "multicast listener report",
        132 => "multicast listener done",
        133 => "router solicitation",
        134 => "router advertisement",
        135 => "neighbour solicitation",
        136 => "neighbour advertisement",
        137 => "redirect",
        143 => "multicast listener report v2",
        160 => "extended echo request",
        161 => "extended echo reply",
        _ => return None,
    })
}
