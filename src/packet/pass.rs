//! A dissection in the making: the layers so far, where the packet ends, and
//! whether all of it is here.
//!
//! Knows no protocol: `dissect.rs` says what comes next.

use std::ops::Range;

use super::checksum::{Reason, Status};
use super::cursor::{Bound, Cursor};
use super::datagram::{Addresses, Datagram};
use super::dissection::{Dissection, Header, Layer, Protocol};
use super::field::Fault;
use super::ip_protocol::IpProtocol;

/// One frame on its way to a [`Dissection`].
pub(super) struct Pass<'a> {
    pub(super) frame: &'a [u8],
    /// Where the innermost length stated so far says that the packet ends.
    pub(super) end: usize,
    /// Whether any length has said so yet.
    pub(super) is_stated: bool,
    pub(super) layers: Vec<Layer>,
    /// What lies behind the ends, innermost last, and whether it is quoted.
    trailers: Vec<(Range<usize>, bool)>,
    /// Whether what comes next is quoted by an ICMP error.
    pub(super) quoted: bool,
    /// Why not all that was sent is here, if so.
    pub(super) partial: Option<Reason>,
    /// Whether the network device still has to fill in checksums.
    pub(super) pending: bool,
}

impl<'a> Pass<'a> {
    pub(super) fn new(frame: &'a [u8], pending: bool) -> Self {
        Self {
            frame,
            end: frame.len(),
            is_stated: false,
            layers: Vec::new(),
            trailers: Vec::new(),
            quoted: false,
            partial: None,
            pending,
        }
    }

    pub(super) fn finish(mut self) -> Dissection {
        let at = self.at();
        // A header may end before its packet does, where nothing follows.
        self.trailers.push((at..self.end, self.quoted));
        for (range, quoted) in std::mem::take(&mut self.trailers).into_iter().rev() {
            if !range.is_empty() {
                self.quoted = quoted;
                self.undissected(Protocol::Trailer, range, "bytes after the end");
            }
        }
        Dissection {
            layers: self.layers,
        }
    }

    /// A layer that is not taken apart.
    pub(super) fn undissected(
        &mut self,
        protocol: Protocol,
        range: Range<usize>,
        label: &'static str,
    ) {
        let mut c = Cursor::new(self.frame, range.clone(), Bound::Stated);
        c.rest("data.data", label);
        self.push(protocol, range.start, c, None);
    }

    pub(super) fn cursor(&self, at: usize) -> Cursor<'a> {
        let bound = if self.is_stated && self.partial.is_none() {
            Bound::Stated
        } else {
            Bound::Capture
        };
        Cursor::new(self.frame, at..self.end, bound)
    }

    pub(super) fn datagram(
        &self,
        at: usize,
        protocol: IpProtocol,
        addresses: Addresses,
    ) -> Datagram<'a> {
        Datagram {
            addresses,
            protocol,
            segment: &self.frame[at..self.end],
            partial: self.partial,
            pending: self.pending,
        }
    }

    /// Adds a layer that ends where its cursor stands.
    pub(super) fn push(
        &mut self,
        protocol: Protocol,
        start: usize,
        c: Cursor<'_>,
        header: Option<Header>,
    ) {
        let range = start..c.at();
        let (fields, faults) = c.finish();
        self.layers.push(Layer {
            protocol,
            range,
            fields,
            header,
            faults,
            checksum: None,
            quoted: self.quoted,
        });
    }

    pub(super) fn note_checksum(&mut self, checksum: Option<Status>) {
        if let Some(layer) = self.layers.last_mut() {
            layer.checksum = checksum;
        }
    }

    pub(super) fn fault(&mut self, fault: Fault) {
        if let Some(layer) = self.layers.last_mut() {
            layer.faults.push(fault);
        }
    }

    /// What a field of the last layer means.
    pub(super) fn explain(&mut self, key: &str, meaning: &'static str) {
        let fields = self.layers.last_mut().map(|layer| &mut layer.fields);
        if let Some(field) = fields.into_iter().flatten().find(|field| field.key == key) {
            field.meaning = Some(meaning.into());
        }
    }

    /// Where the next layer begins.
    pub(super) fn at(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.range.end)
    }

    /// Ends the packet where a length, counted from `start`, says. Where bytes
    /// are missing the rest is known to be partial.
    pub(super) fn clip(&mut self, start: usize, stated: usize, field: &'static str) {
        let available = self.end - start;
        if stated > available {
            if self.partial.is_none() && !self.quoted {
                self.fault(Fault::Missing {
                    field,
                    stated,
                    available,
                });
            }
            self.partial.get_or_insert(if self.quoted {
                Reason::Quoted
            } else {
                Reason::Truncated
            });
            return;
        }
        self.is_stated = true;
        self.end_at(start + stated);
    }

    /// Ends the packet at `end`; what lies behind it is a trailer.
    pub(super) fn end_at(&mut self, end: usize) {
        if end < self.end {
            self.trailers.push((end..self.end, self.quoted));
            self.end = end;
        }
    }
}
