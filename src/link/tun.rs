//! A TUN device: IP packets to and from a namespace through a descriptor
//! (the kernel's `Documentation/networking/tuntap.rst`).
//!
//! Made without `IFF_VNET_HDR`, so that the kernel completes checksums and
//! hands over packets of at most the MTU; with offloads it is the other way
//! round. The device goes with its namespace.

#![expect(unsafe_code, reason = "kernel edge: the TUN ioctls")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "the kernel's own constants fit"
)]

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::libc;

use super::Addresses;
use super::device::{NAME, Offload, interface_name};
use super::netlink::RouteSocket;
use crate::error::Error;

nix::ioctl_write_ptr_bad!(tun_set_interface, libc::TUNSETIFF, libc::ifreq);
nix::ioctl_write_int_bad!(tun_set_persist, libc::TUNSETPERSIST);
nix::ioctl_write_int_bad!(tun_set_offload, libc::TUNSETOFFLOAD);

const PATH: &str = "/dev/net/tun";

/// Creates and configures the device in the calling thread's namespace; the
/// descriptor does not block.
pub(super) fn create(addresses: Addresses, mtu: u32, offload: Offload) -> Result<TunPort, Error> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(PATH)
        .map_err(|error| Error::new("open", PATH, error))?;
    let request = interface_request(NAME, offload);
    // SAFETY: `request` is a valid ifreq for the whole call, and the descriptor
    // is open.
    unsafe { tun_set_interface(file.as_raw_fd(), &raw const request) }
        .map_err(|errno| Error::new("create TUN device", NAME, errno))?;
    // Closing the descriptor of a device that is not persistent waits for RCU
    // grace periods, some 15 ms. The device goes with its namespace in any case.
    // SAFETY: the ioctl takes its argument by value, and the descriptor is open.
    unsafe { tun_set_persist(file.as_raw_fd(), 1) }
        .map_err(|errno| Error::new("hand to its namespace the TUN device", NAME, errno))?;
    if offload == Offload::On {
        offer_offloads(&file)?;
    }
    RouteSocket::open()?.configure(NAME, addresses, mtu)?;
    Ok(TunPort { file, offload })
}

/// Lets the kernel hand over segments it has not cut and checksums it has not
/// finished; those for UDP since Linux 6.2.
fn offer_offloads(file: &File) -> Result<(), Error> {
    let tcp = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
    let offer = |offloads: libc::c_uint| {
        // SAFETY: the ioctl takes its argument by value, and the descriptor is
        // open.
        unsafe { tun_set_offload(file.as_raw_fd(), offloads.cast_signed()) }
    };
    offer(tcp | libc::TUN_F_USO4 | libc::TUN_F_USO6)
        .or_else(|_| offer(tcp))
        .map(|_| ())
        .map_err(|errno| Error::new("offer offloads to the TUN device", NAME, errno))
}

/// The descriptor, and whether each packet comes with a header about offloads.
pub(super) struct TunPort {
    file: File,
    offload: Offload,
}

impl TunPort {
    /// Reads one packet, its offload header before it; `WouldBlock` where none
    /// waits.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }

    /// Hands one packet to the host, its offload header before it.
    pub(super) fn transmit(&mut self, packet: &[u8]) -> io::Result<usize> {
        self.file.write(packet)
    }

    /// Bytes that stand before each packet: `struct virtio_net_hdr`.
    pub(super) fn prelude(&self) -> usize {
        match self.offload {
            Offload::Off => 0,
            Offload::On => 10,
        }
    }
}

impl AsFd for TunPort {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn interface_request(name: &str, offload: Offload) -> libc::ifreq {
    let flags = libc::IFF_TUN
        | libc::IFF_NO_PI
        | match offload {
            Offload::Off => 0,
            Offload::On => libc::IFF_VNET_HDR,
        };
    libc::ifreq {
        ifr_name: interface_name(name),
        ifr_ifru: libc::__c_anonymous_ifr_ifru {
            ifru_flags: flags as libc::c_short,
        },
    }
}
