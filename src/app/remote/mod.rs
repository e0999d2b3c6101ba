//! Remote control: the server that runs what is allowed, and its client.
//!
//! Owns the sockets and the programs; what is said is the protocol's.
