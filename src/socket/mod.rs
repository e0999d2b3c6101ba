//! Thin wrappers over the kernel's sockets.

pub mod icmp;
