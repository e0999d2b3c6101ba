//! What tells one kind of socket from another on the page: a colour that
//! colour-blind readers can tell apart (Okabe and Ito's set; the style sheet
//! has the values), and a marker's shape that says the same without colour.

use super::markup::{Attribute, Markup, Px};
use crate::compare::Variant;
use crate::packet::Protocol;

/// The class that gives a column its colour.
pub(super) fn class(variant: Variant) -> &'static str {
    match variant {
        Variant::Tcp => "k-tcp",
        Variant::TcpNodelay => "k-nodelay",
        Variant::Udp => "k-udp",
        Variant::UdpConnected => "k-connected",
        Variant::RawIcmp => "k-icmp",
        Variant::RawIp => "k-ip",
        Variant::IcmpDatagram => "k-datagram",
    }
}

/// The class that gives a layer's bytes their colour.
pub(super) fn layer(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Ethernet | Protocol::Vlan | Protocol::Arp => "l-link",
        Protocol::Tcp | Protocol::Udp | Protocol::Icmp | Protocol::Icmpv6 => "l-transport",
        Protocol::Data | Protocol::Trailer => "l-data",
        _ => "l-ip",
    }
}

/// The marker as a path around a point, `size` from its middle to its edge.
/// Markers of one path may follow one another.
pub(super) fn marker(variant: Variant, x: f64, y: f64, size: f64) -> String {
    let to = |across: f64, down: f64| {
        let (x, y) = (x + across * size, y + down * size);
        format!("{} {}", Px(x), Px(y))
    };
    let closed = |corners: &[(f64, f64)]| {
        let corners = corners.iter().map(|(across, down)| to(*across, *down));
        format!("M{}Z", corners.collect::<Vec<_>>().join("L"))
    };
    match variant {
        Variant::Tcp | Variant::TcpNodelay => {
            let (left, right, radius) = (to(-1.0, 0.0), to(1.0, 0.0), Px(size));
            let half = format!("A{radius} {radius} 0 1 1 ");
            format!("M{left}{half}{right}{half}{left}Z")
        }
        Variant::Udp | Variant::UdpConnected => {
            closed(&[(-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)])
        }
        Variant::RawIcmp | Variant::RawIp => closed(&[(0.0, -1.15), (1.1, 0.85), (-1.1, 0.85)]),
        Variant::IcmpDatagram => closed(&[(0.0, -1.15), (1.15, 0.0), (0.0, 1.15), (-1.15, 0.0)]),
    }
}

/// Whether its marker is hollow: the second variant of one shape.
pub(super) fn is_hollow(variant: Variant) -> bool {
    matches!(
        variant,
        Variant::TcpNodelay | Variant::UdpConnected | Variant::RawIp
    )
}

/// The class of its markers.
pub(super) fn marks(variant: Variant) -> String {
    let fill = if is_hollow(variant) {
        "hollow"
    } else {
        "solid"
    };
    format!("{} {fill}", class(variant))
}

/// How its lines are broken, so that they differ without colour.
pub(super) fn dashes(variant: Variant) -> &'static str {
    match variant {
        Variant::Tcp => "none",
        Variant::TcpNodelay => "12 3",
        Variant::Udp => "7 4",
        Variant::UdpConnected => "7 3 2 3",
        Variant::RawIcmp => "2 3",
        Variant::RawIp => "2 2 8 2",
        Variant::IcmpDatagram => "1 4",
    }
}

/// The marker alone, beside a name.
pub(super) fn swatch(out: &mut Markup, variant: Variant) {
    let size: [Attribute<'_>; 5] = [
        ("class", &"swatch"),
        ("viewBox", &"0 0 14 14"),
        ("width", &14),
        ("height", &14),
        ("aria-hidden", &"true"),
    ];
    out.element("svg", &size, |svg| {
        let path = marker(variant, 7.0, 7.0, 5.0);
        svg.void("path", &[("d", &path), ("class", &marks(variant))]);
    });
}
