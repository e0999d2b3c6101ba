//! ICMP errors in words, exactly as `ping(8)` of iputils says them.
//!
//! Pure. The numbers are IANA's icmp-parameters and icmpv6-parameters.

use std::net::IpAddr;

use crate::flow::Family;

/// Type, code and the number that comes with some of them (an MTU in bytes, a
/// pointer) in words.
pub fn of_error(family: Family, icmp_type: u8, icmp_code: u8, info: u32) -> String {
    match family {
        Family::Ipv4 => of_icmp(icmp_type, icmp_code, info),
        Family::Ipv6 => of_icmpv6(icmp_type, icmp_code, info),
    }
}

/// A redirect's code and the router it names in words.
pub fn of_redirect(family: Family, icmp_code: u8, gateway: IpAddr) -> String {
    let what = match (family, icmp_code) {
        (Family::Ipv6, _) => "Redirect".to_owned(),
        (Family::Ipv4, 0) => "Redirect Network".to_owned(),
        (Family::Ipv4, 1) => "Redirect Host".to_owned(),
        (Family::Ipv4, 2) => "Redirect Type of Service and Network".to_owned(),
        (Family::Ipv4, 3) => "Redirect Type of Service and Host".to_owned(),
        (Family::Ipv4, code) => format!("Redirect, Bad Code: {code}"),
    };
    format!("{what}(New nexthop: {gateway})")
}

fn of_icmp(icmp_type: u8, icmp_code: u8, info: u32) -> String {
    let words = match (icmp_type, icmp_code) {
        (3, 0) => "Destination Net Unreachable",
        (3, 1) => "Destination Host Unreachable",
        (3, 2) => "Destination Protocol Unreachable",
        (3, 3) => "Destination Port Unreachable",
        (3, 4) => return format!("Frag needed and DF set (mtu = {info})"),
        (3, 5) => "Source Route Failed",
        (3, 6) => "Destination Net Unknown",
        (3, 7) => "Destination Host Unknown",
        (3, 8) => "Source Host Isolated",
        (3, 9) => "Destination Net Prohibited",
        (3, 10) => "Destination Host Prohibited",
        (3, 11) => "Destination Net Unreachable for Type of Service",
        (3, 12) => "Destination Host Unreachable for Type of Service",
        (3, 13) => "Packet filtered",
        (3, 14) => "Precedence Violation",
        (3, 15) => "Precedence Cutoff",
        (3, code) => return format!("Dest Unreachable, Bad Code: {code}"),
        (4, _) => "Source Quench",
        (11, 0) => "Time to live exceeded",
        (11, 1) => "Frag reassembly time exceeded",
        (11, code) => return format!("Time exceeded, Bad Code: {code}"),
        (12, _) => return format!("Parameter problem: pointer = {info}"),
        (other, _) => return format!("Bad ICMP type: {other}"),
    };
    words.to_owned()
}

fn of_icmpv6(icmp_type: u8, icmp_code: u8, info: u32) -> String {
    match icmp_type {
        1 => format!("Destination unreachable: {}", unreachable_v6(icmp_code)),
        2 if icmp_code == 0 => format!("Packet too big: mtu={info}"),
        2 => format!("Packet too big: mtu={info}, code={icmp_code}"),
        3 => match icmp_code {
            0 => "Time exceeded: Hop limit".to_owned(),
            1 => "Time exceeded: Defragmentation failure".to_owned(),
            code => format!("Time exceeded: code {code}"),
        },
        4 => match icmp_code {
            0 => format!("Parameter problem: Wrong header field at {info}"),
            1 => format!("Parameter problem: Unknown header at {info}"),
            2 => format!("Parameter problem: Unknown option at {info}"),
            code => format!("Parameter problem: code {code} at {info}"),
        },
        other => format!("unknown icmp type: {other}"),
    }
}

fn unreachable_v6(icmp_code: u8) -> String {
    let words = match icmp_code {
        0 => "No route",
        1 => "Administratively prohibited",
        2 => "Beyond scope of source address",
        3 => "Address unreachable",
        4 => "Port unreachable",
        5 => "Source address failed ingress/egress policy",
        6 => "Reject route to destination",
        code => return format!("Unknown code {code}"),
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_and_code_has_words() {
        for family in [Family::Ipv4, Family::Ipv6] {
            for icmp_type in 0..=255 {
                for icmp_code in 0..=255 {
                    assert!(!of_error(family, icmp_type, icmp_code, 0).is_empty());
                }
            }
        }
    }

    #[test]
    fn says_what_ping_says() {
        for (family, numbers, words) in [
            (Family::Ipv4, (3, 1, 0), "Destination Host Unreachable"),
            (
                Family::Ipv4,
                (3, 4, 1400),
                "Frag needed and DF set (mtu = 1400)",
            ),
            (Family::Ipv4, (3, 16, 0), "Dest Unreachable, Bad Code: 16"),
            (Family::Ipv4, (11, 0, 0), "Time to live exceeded"),
            (
                Family::Ipv6,
                (1, 3, 0),
                "Destination unreachable: Address unreachable",
            ),
            (Family::Ipv6, (2, 0, 1280), "Packet too big: mtu=1280"),
            (Family::Ipv6, (3, 0, 0), "Time exceeded: Hop limit"),
            (
                Family::Ipv6,
                (4, 1, 6),
                "Parameter problem: Unknown header at 6",
            ),
        ] {
            let (icmp_type, icmp_code, info) = numbers;
            assert_eq!(of_error(family, icmp_type, icmp_code, info), words);
        }
    }
}
