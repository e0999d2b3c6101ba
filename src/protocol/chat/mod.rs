//! The chat room's lines, and the room itself as a state machine.
//!
//! Owns who is called what and who hears what; no socket.
