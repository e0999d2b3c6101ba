//! A server for many clients at once, written in each of the ways in which that
//! is done.
//!
//! Owns the services that are served ([`Service`]), the ways to serve them
//! ([`Model`]) and what ends them ([`Stop`]). Binds
//! nothing but what an [`Entrance`] is asked for, and never prints: what there is to say goes through
//! the [`Journal`] that the caller hands in.

mod conversation;
mod door;
mod guests;
mod journal;
pub mod measure;
mod model;
pub mod registry;
mod service;
mod stop;

pub use door::{Entrance, Families};
pub use journal::Journal;
pub use model::{Model, Served, Terms};
pub use service::{Service, Session};
pub use stop::Stop;
