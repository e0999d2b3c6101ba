//! A server for many clients at once, written in each of the ways in which that
//! is done.
//!
//! Owns the ways to serve them ([`Model`]) and what ends them ([`Stop`]); what is
//! served is a [`Service`]. Binds
//! nothing but what an [`Entrance`] is asked for, and never prints: what there is to say goes through
//! the [`Journal`] that the caller hands in.

mod conversation;
mod door;
mod guests;
mod journal;
pub mod measure;
mod model;
pub mod registry;
mod stop;
mod tale;

pub use crate::protocol::services::{Service, Session};
pub use door::{Asked, BACKLOG, Entrance, Families};
pub use journal::Journal;
pub use model::{Model, Served, Terms};
pub use stop::Stop;
pub use tale::{Names, Watch};
