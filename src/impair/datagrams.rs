//! Which flow the later fragments of a datagram belong to: that of the first,
//! which alone has the transport header (RFC 791 section 3.2, RFC 8200 section
//! 4.5). Only the latest datagrams are remembered.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use crate::packet::Heading;

/// Datagrams whose first fragment is remembered.
const MOST_DATAGRAMS: usize = 1024;

/// The flows of the latest datagrams that came in fragments.
#[derive(Debug, Default)]
pub(super) struct Datagrams {
    flows: HashMap<(IpAddr, IpAddr, u32), u32>,
    order: VecDeque<(IpAddr, IpAddr, u32)>,
}

impl Datagrams {
    /// Remembers the flow of a first fragment.
    pub(super) fn remember(&mut self, heading: &Heading, identification: u32, number: u32) {
        let key = (heading.source, heading.destination, identification);
        if self.flows.insert(key, number).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > MOST_DATAGRAMS
            && let Some(oldest) = self.order.pop_front()
        {
            self.flows.remove(&oldest);
        }
    }

    /// The flow of the datagram that a later fragment is of, where its first one
    /// was seen not long ago.
    pub(super) fn flow_of(&self, heading: &Heading, identification: u32) -> Option<u32> {
        let key = (heading.source, heading.destination, identification);
        self.flows.get(&key).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::{Datagrams, MOST_DATAGRAMS};
    use crate::packet::{Heading, IpProtocol, Transport};

    #[test]
    fn the_latest_datagrams_are_remembered() {
        let heading = Heading {
            source: IpAddr::V4(Ipv4Addr::LOCALHOST),
            destination: IpAddr::V4(Ipv4Addr::LOCALHOST),
            protocol: IpProtocol::UDP,
            ecn: 0,
            length: 1500,
            fragment: None,
            transport: Transport::Other,
        };
        let mut datagrams = Datagrams::default();
        for identification in 0..5000 {
            datagrams.remember(&heading, identification, identification + 1);
        }
        assert_eq!(datagrams.order.len(), MOST_DATAGRAMS);
        assert_eq!(datagrams.flows.len(), MOST_DATAGRAMS);
        assert_eq!(datagrams.flow_of(&heading, 4999), Some(5000));
        assert_eq!(datagrams.flow_of(&heading, 5000 - 1025), None);
    }
}
