//! News from the kernel about links and routes in the calling thread's
//! namespace (rtnetlink(7), multicast groups).
//!
//! The kernel acknowledges some changes before they have taken effect; this is
//! how one waits for the effect itself instead of sleeping. Listen first, then
//! change, then wait.

use std::fmt::Display;
use std::io;
use std::net::Ipv6Addr;
use std::os::fd::AsFd;

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteType};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_ROUTE;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};

use crate::error::Error;

/// `linux/rtnetlink.h`.
const RTNLGRP_LINK: u32 = 1;
const RTNLGRP_IPV6_ROUTE: u32 = 11;

/// A line on which the kernel tells.
pub(super) struct News(Socket);

impl News {
    /// News of interfaces.
    pub(super) fn of_links() -> Result<Self, Error> {
        Self::listen(RTNLGRP_LINK)
    }

    /// News of IPv6 routes.
    pub(super) fn of_ipv6_routes() -> Result<Self, Error> {
        Self::listen(RTNLGRP_IPV6_ROUTE)
    }

    /// Waits until packets to `address` are accepted: the kernel makes a new
    /// IPv6 address's own route from a work queue.
    pub(super) fn await_route_to(&self, address: Ipv6Addr) -> Result<(), Error> {
        let to = RouteAttribute::Destination(RouteAddress::Inet6(address));
        self.await_that(address, |message| {
            matches!(message, NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewRoute(route))
                if route.header.kind == RouteType::Local && route.attributes.contains(&to))
        })
    }

    /// Waits for a message about `what` that is the awaited one.
    pub(super) fn await_that(
        &self,
        what: impl Display,
        is_awaited: impl Fn(&NetlinkPayload<RouteNetlinkMessage>) -> bool,
    ) -> Result<(), Error> {
        loop {
            let news = self
                .next()
                .map_err(|error| Error::new("wait for the kernel to set up", &what, error))?;
            let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&news);
            // What cannot be read is not what is awaited.
            if message.is_ok_and(|message| is_awaited(&message.payload)) {
                return Ok(());
            }
        }
    }

    fn listen(group: u32) -> Result<Self, Error> {
        let listen = || {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            socket.add_membership(group)?;
            Ok(Self(socket))
        };
        listen().map_err(|error: io::Error| Error::new("listen to", "the kernel's news", error))
    }

    fn next(&self) -> io::Result<Vec<u8>> {
        // The work queues run within milliseconds; a kernel that takes this long
        // will not do it at all.
        const PATIENCE: u16 = 5000;
        loop {
            let mut waiting = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
            match poll(&mut waiting, PATIENCE) {
                Ok(0) => return Err(Errno::ETIMEDOUT.into()),
                Ok(_) => return self.0.recv_from_full().map(|(bytes, _)| bytes),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}
