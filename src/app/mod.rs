//! The applications on top of sockets: chat, file, remote, proxy.
//!
//! Each runs on tokio over the recorded sockets of [`socket`](crate::socket),
//! so that it can be watched call by call; what is said is the business of
//! [`protocol`](crate::protocol).

pub mod chat;
pub mod file;
pub mod proxy;
pub mod remote;
