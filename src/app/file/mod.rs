//! File transfer: sender and receiver.
//!
//! Owns the sockets and the files; what is said is the protocol's.
