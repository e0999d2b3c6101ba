//! Setting up interfaces in the calling thread's namespace (rtnetlink(7)).
//!
//! Owns the few requests a link needs: raise an interface, give it an address,
//! make a veth pair. Every request waits for the kernel's acknowledgement.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage,
};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, State,
};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;

use super::Addresses;
use super::news::News;
use crate::error::Error;
use crate::socket::packet::HardwareAddress;

/// One end of a veth pair to be made.
#[derive(Debug, Clone, Copy)]
pub(super) struct PairEnd {
    pub(super) name: &'static str,
    pub(super) hardware_address: HardwareAddress,
}

/// A request line to the calling thread's network namespace.
pub(super) struct RouteSocket(Socket);

impl RouteSocket {
    pub(super) fn open() -> Result<Self, Error> {
        let open = || {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            Ok(Self(socket))
        };
        open().map_err(|error: io::Error| Error::new("open", "a route netlink socket", error))
    }

    /// `ip link set NAME up`.
    pub(super) fn set_up(&self, name: &str) -> Result<(), Error> {
        let mut link = link_message(name)?;
        link.header.flags = LinkFlags::Up;
        link.header.change_mask = LinkFlags::Up;
        self.request(RouteNetlinkMessage::SetLink(link), 0, ("set up", name))
    }

    /// `ip link set NAME mtu MTU txqueuelen LENGTH arp off up`, then the
    /// addresses. Without ARP a host asks nobody for a hardware address, so the
    /// wire carries only what programs sent.
    pub(super) fn configure(
        &self,
        name: &str,
        addresses: Addresses,
        mtu: u32,
    ) -> Result<(), Error> {
        let mut link = link_message(name)?;
        link.header.flags = LinkFlags::Up | LinkFlags::Noarp;
        link.header.change_mask = LinkFlags::Up | LinkFlags::Noarp;
        link.attributes = vec![LinkAttribute::Mtu(mtu), LinkAttribute::TxQueueLen(QUEUE)];
        let index = link.header.index;
        self.request(RouteNetlinkMessage::SetLink(link), 0, ("configure", name))?;
        self.add_address(index, addresses.v4.into(), 24)?;
        let news = News::of_ipv6_routes()?;
        match self.add_address(index, addresses.v6.into(), 64) {
            // A kernel without IPv6 has the IPv4 half of everything.
            Err(error) if error.errno() == Some(Errno::EOPNOTSUPP) => Ok(()),
            Err(error) => Err(error),
            Ok(()) => news.await_route_to(addresses.v6),
        }
    }

    /// `ip link add NEAR type veth peer FAR netns FD`: `near` here, `far` in
    /// the other namespace.
    pub(super) fn add_pair(
        &self,
        near: PairEnd,
        far: PairEnd,
        namespace: &OwnedFd,
        mtu: u32,
    ) -> Result<(), Error> {
        let mut peer = LinkMessage::default();
        peer.attributes = vec![
            LinkAttribute::IfName(far.name.into()),
            LinkAttribute::Address(far.hardware_address.to_vec()),
            LinkAttribute::Mtu(mtu),
            LinkAttribute::NetNsFd(namespace.as_raw_fd()),
        ];
        let mut link = LinkMessage::default();
        link.attributes = vec![
            LinkAttribute::IfName(near.name.into()),
            LinkAttribute::Address(near.hardware_address.to_vec()),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Veth),
                LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
            ]),
        ];
        self.request(
            RouteNetlinkMessage::NewLink(link),
            NLM_F_CREATE | NLM_F_EXCL,
            ("add veth", near.name),
        )
    }

    fn add_address(&self, index: u32, address: IpAddr, prefix: u8) -> Result<(), Error> {
        let mut message = AddressMessage::default();
        message.header.family = match address {
            IpAddr::V4(_) => netlink_packet_route::AddressFamily::Inet,
            IpAddr::V6(_) => netlink_packet_route::AddressFamily::Inet6,
        };
        message.header.prefix_len = prefix;
        message.header.index = index;
        message.header.flags = AddressHeaderFlags::Nodad;
        message.attributes = vec![
            AddressAttribute::Local(address),
            AddressAttribute::Address(address),
            AddressAttribute::Flags(AddressFlags::Nodad),
        ];
        self.request(
            RouteNetlinkMessage::NewAddress(message),
            NLM_F_CREATE | NLM_F_EXCL,
            ("add address", &address.to_string()),
        )
    }

    fn request(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
        (operation, target): (&str, &str),
    ) -> Result<(), Error> {
        self.exchange(message, NLM_F_ACK | flags)
            .map(|_| ())
            .map_err(|error| Error::new(operation, target, error))
    }

    /// Waits until the interface can carry packets. The kernel raises one end
    /// of a veth pair from a work queue after the other; what is sent before
    /// that is dropped without a word.
    pub(super) fn await_up(&self, name: &str) -> Result<(), Error> {
        let news = News::of_links()?;
        let link = link_message(name)?;
        let index = link.header.index;
        let now = self
            .exchange(RouteNetlinkMessage::GetLink(link), 0)
            .map_err(|error| Error::new("look at interface", name, error))?;
        if is_up(&now, index) {
            return Ok(());
        }
        news.await_that(name, |message| is_up(message, index))
    }

    fn exchange(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> io::Result<NetlinkPayload<RouteNetlinkMessage>> {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        let mut request = NetlinkMessage::new(header, NetlinkPayload::from(message));
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        self.0.send(&bytes, 0)?;
        let (answer, _) = self.0.recv_from_full()?;
        let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer)
            .map_err(io::Error::other)?;
        match answer.payload {
            NetlinkPayload::Error(error) if error.code.is_some() => Err(error.to_io()),
            payload => Ok(payload),
        }
    }
}

/// The device's queue in packets: with the default of 500 a TUN device drops
/// bursts silently.
pub(super) const QUEUE: u32 = 10_000;

fn is_up(message: &NetlinkPayload<RouteNetlinkMessage>, index: u32) -> bool {
    let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) = message else {
        return false;
    };
    link.header.index == index
        && link
            .attributes
            .contains(&LinkAttribute::OperState(State::Up))
}

fn link_message(name: &str) -> Result<LinkMessage, Error> {
    let mut link = LinkMessage::default();
    link.header.index =
        if_nametoindex(name).map_err(|errno| Error::new("find interface", name, errno))?;
    Ok(link)
}
