//! `socklab file`, as typed.
//!
//! Owns no socket: those are the engine's.
