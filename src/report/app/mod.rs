//! The lines of the applications, one file each: what a step is in words.
//!
//! Values in, text out. Where it is written and in which colour is the
//! [`Teller`](super::talk::Teller)'s business.

pub mod chat;
pub mod chat_scene;
pub mod file;
pub mod proxy;
pub mod remote;
