//! What this host's kernel believes of a path: `IP_MTU` of `ip(7)` and
//! `IPV6_MTU` of `ipv6(7)`.
//!
//! Never sends anything: the socket is connected, asked, and stays connected.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use nix::libc;

use super::IcmpSocket;
use crate::flow::Family;
use crate::socket::kernel::option_bytes;

impl IcmpSocket {
    /// The MTU of the path to `target` in bytes, as the kernel knows it
    /// (`connect(2)`, `getsockopt(2)`). From then on the socket hears of nobody
    /// else: ask when it is no longer needed.
    pub fn known_mtu(&self, target: SocketAddr) -> io::Result<u32> {
        self.socket.connect(&target.into())?;
        let (level, name) = match self.family {
            Family::Ipv4 => (libc::IPPROTO_IP, libc::IP_MTU),
            Family::Ipv6 => (libc::IPPROTO_IPV6, libc::IPV6_MTU),
        };
        let mut mtu = [0; size_of::<libc::c_int>()];
        option_bytes(self.as_fd(), level, name, &mut mtu)?;
        u32::try_from(libc::c_int::from_ne_bytes(mtu)).map_err(io::Error::other)
    }
}
