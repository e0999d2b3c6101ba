//! A TUN device: IP packets to and from a namespace through a descriptor
//! (the kernel's `Documentation/networking/tuntap.rst`).
//!
//! Made without `IFF_VNET_HDR`, so that the kernel completes checksums and
//! hands over packets of at most the MTU. The device goes with its namespace.

#![expect(unsafe_code, reason = "kernel edge: the TUN ioctls")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "the kernel's own constants fit"
)]

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use nix::libc;

use super::Addresses;
use super::device::{NAME, interface_name};
use super::netlink::RouteSocket;
use crate::error::Error;

nix::ioctl_write_ptr_bad!(tun_set_interface, libc::TUNSETIFF, libc::ifreq);
nix::ioctl_write_int_bad!(tun_set_persist, libc::TUNSETPERSIST);

const PATH: &str = "/dev/net/tun";

/// Creates and configures the device in the calling thread's namespace; the
/// descriptor does not block.
pub(super) fn create(addresses: Addresses, mtu: u32) -> Result<File, Error> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(PATH)
        .map_err(|error| Error::new("open", PATH, error))?;
    let request = interface_request(NAME);
    // SAFETY: `request` is a valid ifreq for the whole call, and the descriptor
    // is open.
    unsafe { tun_set_interface(file.as_raw_fd(), &raw const request) }
        .map_err(|errno| Error::new("create TUN device", NAME, errno))?;
    // Closing the descriptor of a device that is not persistent waits for RCU
    // grace periods, some 15 ms. The device goes with its namespace in any case.
    // SAFETY: the ioctl takes its argument by value, and the descriptor is open.
    unsafe { tun_set_persist(file.as_raw_fd(), 1) }
        .map_err(|errno| Error::new("hand to its namespace the TUN device", NAME, errno))?;
    RouteSocket::open()?.configure(NAME, addresses, mtu)?;
    Ok(file)
}

fn interface_request(name: &str) -> libc::ifreq {
    libc::ifreq {
        ifr_name: interface_name(name),
        ifr_ifru: libc::__c_anonymous_ifr_ifru {
            ifru_flags: (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short,
        },
    }
}
