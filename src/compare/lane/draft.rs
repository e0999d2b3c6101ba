//! A message built beforehand, to which sending adds only its number, the time
//! and the checksums, so that this takes no longer for one kind than for
//! another.

use std::collections::HashMap;
use std::time::Duration;

use pnet::packet::icmp::echo_request::MutableEchoRequestPacket;

use super::filter::echo_request;
use crate::compare::Mark;
use crate::flow::Family;
use crate::packet::checksum::Sum;
use crate::probe::{Filler, HEADER, Probe};

/// The length of an echo's header.
pub(super) const ECHO_HEADER: usize = MutableEchoRequestPacket::minimum_packet_size();

/// Messages of any length up to the longest.
pub(super) struct Draft {
    bytes: Vec<u8>,
    echo: Option<Family>,
    /// What is known of each length that was sent before.
    prepared: HashMap<usize, Prepared>,
}

/// The part of the checksums that the letters behind the header make.
struct Prepared {
    filler: Filler,
    letters: Sum,
}

impl Draft {
    /// An echo request around each message where the mark is an echo's
    /// identifier (RFC 792, RFC 4443), else the message alone.
    pub(super) fn new(family: Family, mark: Mark, largest: usize) -> Self {
        let Mark::Echo(identifier) = mark else {
            return Self {
                bytes: vec![0; largest],
                echo: None,
                prepared: HashMap::new(),
            };
        };
        let mut bytes = vec![0; ECHO_HEADER + largest];
        if let Some(mut request) = MutableEchoRequestPacket::new(&mut bytes) {
            request.set_identifier(identifier);
        }
        bytes[0] = echo_request(family);
        Self {
            bytes,
            echo: Some(family),
            prepared: HashMap::new(),
        }
    }

    /// Writes what does not depend on the time.
    pub(super) fn prepare(&mut self, number: u32, size: usize) {
        let start = self.start();
        // The echo's sequence number: 16 bits; the probe inside has all 32.
        if self.echo.is_some() {
            let [_, _, low @ ..] = number.to_be_bytes();
            self.bytes[6..8].copy_from_slice(&low);
        }
        let message = &mut self.bytes[start..start + size];
        self.prepared.entry(size).or_insert_with(|| Prepared {
            filler: Filler::write(message),
            // A zero behind an odd filler, so that the header may be added.
            letters: Sum::new().bytes(&message[HEADER..]).bytes(&[0][..size % 2]),
        });
    }

    /// Stamps a prepared message: what to hand to the kernel.
    pub(super) fn stamp(&mut self, number: u32, size: usize, sent_at: Duration) -> &[u8] {
        let start = self.start();
        let data = &mut self.bytes[..start + size];
        if let Some(prepared) = self.prepared.get(&size) {
            Probe { number, sent_at }.stamp(&mut data[start..], &prepared.filler);
            // The ICMPv6 checksum is left to the kernel, which knows the source
            // address.
            if self.echo == Some(Family::Ipv4) {
                data[2..4].fill(0);
                let sum = prepared.letters.bytes(&data[..ECHO_HEADER + HEADER]);
                data[2..4].copy_from_slice(&sum.checksum().to_be_bytes());
            }
        }
        data
    }

    fn start(&self) -> usize {
        if self.echo.is_some() { ECHO_HEADER } else { 0 }
    }
}
