//! The proxy: it connects on behalf of others.
//!
//! Owns the sockets and the relays; what is said is the protocol's.
