//! `socklab file send` and `socklab file receive` against each other, against
//! hostile ends, and killed in the middle: every file whole and equal, or not
//! there at all.
//!
//! Each test has a network namespace of its own. Nothing is waited for but the
//! thing itself: a line on standard error, bytes, the end of a program.

#[path = "../support/mod.rs"]
mod support;

mod changing;
mod demo;
mod hostile_receiver;
mod hostile_sender;
mod killed;
mod places;
mod scene;
mod transfers;
mod watched;
