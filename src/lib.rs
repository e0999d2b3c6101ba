//! socklab: a socket protocol playground for TCP, UDP and raw sockets.
//!
//! Every run is a stream of [`event::Event`]s: the socket calls of both ends,
//! the TCP states of both kernels, and every packet on the wire with its fate.
//! All that a person or a program sees is a rendering of those events. Engines
//! never print; renderers never open a socket.
//!
//! # The map of this house
//!
//! | room | what it owns | pure |
//! |---|---|---|
//! | [`event`] | what happened, where, when; the sinks that take it | yes |
//! | [`flow`] | protocol, five-tuple, TCP state: the names of a conversation | yes |
//! | [`packet`] | dissection by layer, checksums, hex dump, pcapng | yes |
//! | [`impair`] | what a wire does to packets: every impairment, exact and seeded | yes |
//! | [`probe`] | the numbered, timestamped, checksummed message delivery is judged by | yes |
//! | [`conversation`] | the wire's own account of a run, counted from packets | yes |
//! | [`protocol`] | what applications say to each other: framing, state machines | yes |
//! | [`stats`] | loss, duplicates, reordering, percentiles | yes |
//! | [`units`] | how durations and bytes are written for programs | yes |
//! | [`error`] | operation, target, cause, remedy | |
//! | [`address`] | endpoints as typed, look-up, networks by CIDR | |
//! | [`recorder`] | the run's clock and the sink, in the hand of whoever sees something happen | |
//! | [`socket`] | thin recorded wrappers over the kernel's sockets; `TCP_INFO`; `sock_diag` | |
//! | [`pipe`] | standard input and output joined to a socket | |
//! | [`capture`] | packets seen on a real interface | |
//! | [`link`] | two private hosts and the wire between them | |
//! | [`stage`] | where a demonstration plays: the link, or loopback | |
//! | [`tcp`], [`udp`], [`ping`] | one engine each | |
//! | [`serve`] | a server for many clients, in each of the ways that is done | |
//! | [`app`] | chat, file transfer, remote control, proxy: their sockets and tasks | |
//! | [`lab`] | any program on the two hosts, and no orphan left |
//! | [`compare`] | the same messages through all three kinds of socket | |
//! | [`report`] | ladder, tables, dumps, JSON Lines, pcapng, the page: renderings of events | |
//! | [`cli`] | what was typed → what it means; the only room that knows clap | |
//!
//! # The import law
//!
//! Imports point down only:
//! `main → cli → report → compare → app → {tcp, udp, ping, serve, lab} → stage → link → capture → pipe →
//! socket → recorder → address → error → pure`.
//! Pure rooms (bytes, values and `now` in, values out) import only pure rooms.
//! Engines never import `cli` or `report`. `tests/layers.rs` enforces this.

pub mod address;
pub mod app;
pub mod capture;
pub mod cli;
pub mod compare;
pub mod conversation;
pub mod error;
pub mod event;
pub mod flow;
pub mod impair;
pub mod lab;
pub mod link;
pub mod packet;
pub mod ping;
pub mod pipe;
pub mod probe;
pub mod protocol;
pub mod recorder;
pub mod report;
pub mod serve;
pub mod socket;
pub mod stage;
pub mod stats;
pub mod tcp;
pub mod udp;
pub mod units;

/// The port that a server takes where none is given.
pub const DEFAULT_PORT: u16 = 5073;
