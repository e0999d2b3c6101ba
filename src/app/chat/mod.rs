//! The chat room: its host and its members.
//!
//! Owns the sockets and the tasks; what is said is the protocol's.
