//! Setting up interfaces in the calling thread's namespace (rtnetlink(7)).
//!
//! Owns the few requests a link needs: raise an interface, give it an address,
//! make a veth pair. Every request waits for the kernel's acknowledgement.

use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage,
};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteType};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::poll::{PollFd, PollFlags, poll};

use super::Addresses;
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
        let routes = RouteNews::listen()?;
        match self.add_address(index, addresses.v6.into(), 64) {
            // A kernel without IPv6 has the IPv4 half of everything.
            Err(error) if error.errno() == Some(Errno::EOPNOTSUPP) => Ok(()),
            Err(error) => Err(error),
            Ok(()) => routes.await_local(addresses.v6),
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
        self.exchange(message, flags)
            .map_err(|error| Error::new(operation, target, error))
    }

    fn exchange(&self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
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
            _ => Ok(()),
        }
    }
}

/// News of IPv6 routes in the calling thread's namespace.
///
/// The kernel acknowledges a new IPv6 address before it accepts packets to it:
/// the host's own route follows from a work queue.
struct RouteNews(Socket);

impl RouteNews {
    fn listen() -> Result<Self, Error> {
        let listen = || {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            socket.add_membership(RTNLGRP_IPV6_ROUTE)?;
            Ok(Self(socket))
        };
        listen().map_err(|error: io::Error| Error::new("listen to", "IPv6 route news", error))
    }

    /// Waits until packets to `address` are accepted.
    fn await_local(&self, address: Ipv6Addr) -> Result<(), Error> {
        loop {
            self.await_news()
                .map_err(|error| Error::new("wait for the route to", address, error))?;
            let news = self
                .0
                .recv_from_full()
                .map_err(|error| Error::new("receive news of the route to", address, error))?;
            if is_local_route(&news.0, address) {
                return Ok(());
            }
        }
    }

    fn await_news(&self) -> io::Result<()> {
        // The work queue runs within milliseconds; a kernel that takes this long
        // will not do it at all.
        const PATIENCE: u16 = 5000;
        let mut waiting = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        match poll(&mut waiting, PATIENCE) {
            Ok(0) => Err(Errno::ETIMEDOUT.into()),
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

fn is_local_route(news: &[u8], address: Ipv6Addr) -> bool {
    let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(news) else {
        return false;
    };
    let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewRoute(route)) = message.payload else {
        return false;
    };
    let to = RouteAttribute::Destination(RouteAddress::Inet6(address));
    route.header.kind == RouteType::Local && route.attributes.contains(&to)
}

/// The multicast group of IPv6 route changes (`linux/rtnetlink.h`).
const RTNLGRP_IPV6_ROUTE: u32 = 11;

/// The device's queue in packets: with the default of 500 a TUN device drops
/// bursts silently.
const QUEUE: u32 = 10_000;

fn link_message(name: &str) -> Result<LinkMessage, Error> {
    let mut link = LinkMessage::default();
    link.header.index =
        if_nametoindex(name).map_err(|errno| Error::new("find interface", name, errno))?;
    Ok(link)
}
