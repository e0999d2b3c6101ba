//! What is said to a proxy: SOCKS5 (RFC 1928, RFC 1929), SOCKS4a, HTTP CONNECT.
//!
//! Takes bytes as they come, in any pieces; opens nothing.
