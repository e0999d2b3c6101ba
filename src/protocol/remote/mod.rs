//! Remote control: frames, the Noise handshake, requests and the allow-list.
//!
//! Owns what is asked and what is allowed; starts no program.
