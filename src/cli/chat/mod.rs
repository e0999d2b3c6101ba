//! `socklab chat`, as typed.
//!
//! Owns no socket: those are the engine's.
