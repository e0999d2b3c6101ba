//! What may stand on an arrow beside the packet's summary: the data it carries,
//! the packet that an ICMP error is about, and whose colour it wears.

use super::story::Seen;
use crate::packet::{Charset, Dissection, Protocol};
use crate::report::glyph;
use crate::report::style::Paint;

/// A few words, and how they are painted.
pub(super) struct Remark {
    pub(super) paint: Paint,
    pub(super) text: String,
}

/// The layer that a packet's summary is about.
pub(super) fn speaker(dissection: &Dissection) -> Protocol {
    if dissection.ip().is_some_and(|ip| ip.fragment.is_some()) {
        return Protocol::Ipv4;
    }
    let headers = dissection
        .own()
        .filter(|layer| !matches!(layer.protocol, Protocol::Data | Protocol::Trailer));
    headers
        .last()
        .map_or(Protocol::Data, |layer| layer.protocol)
}

/// The text that a segment or datagram carries, in quotes, if it is text and
/// `room` columns show enough of it.
pub(super) fn data(seen: &Seen<'_>, room: usize, charset: Charset) -> Option<Remark> {
    const LEAST: usize = 8;
    let speaker = speaker(&seen.dissection);
    if !matches!(speaker, Protocol::Tcp | Protocol::Udp) {
        return None;
    }
    let bytes = seen.packet.bytes.get(seen.dissection.payload())?;
    let text = std::str::from_utf8(bytes).ok()?;
    if text.is_empty() {
        return None;
    }
    let text = glyph::escape(text, charset);
    let inner = room.checked_sub(2)?;
    if glyph::width(&text) > inner && inner < LEAST {
        return None;
    }
    Some(Remark {
        paint: Paint::Layer(Protocol::Data),
        text: format!("\"{}\"", glyph::fit(&text, inner)),
    })
}

/// The packet that an ICMP error quotes, in short.
pub(super) fn quoted(seen: &Seen<'_>) -> Option<Remark> {
    let quoted = seen.dissection.quoted()?;
    let mut text = speaker(&quoted).name().to_owned();
    let port = quoted.endpoints().and_then(|ends| ends.destination.port);
    if let Some(port) = port {
        text = format!("{text} to :{port}");
    }
    Some(Remark {
        paint: Paint::Layer(speaker(&quoted)),
        text: format!("↳ {text}"),
    })
}
