//! What is told of a conversation: its steps, its bytes, the kernel's figures at
//! its end (`TCP_INFO`), and how it was lost.
//!
//! Makes no event that nobody wants. Changes nothing of the conversation.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use nix::errno::Errno;

use crate::address::name_of;
use crate::error::{Cause, Error, Exit};
use crate::event::{Figures, SocketName, Talk, Told, Topic, Way, What};
use crate::recorder::Recorder;
use crate::socket::Stream;

/// What the kernel knows of a connection that lasted so long and moved so many
/// bytes, sent and received.
pub fn figures(stream: &Stream, lasted: Duration, (sent, received): (u64, u64)) -> Figures {
    let counted = Figures {
        lasted,
        sent,
        received,
        ..Figures::default()
    };
    let Ok(info) = stream.info() else {
        return counted;
    };
    Figures {
        // In the end the kernel counts the FIN.
        acknowledged: stream.acknowledged(&info).map(|bytes| bytes.min(sent)),
        rtt: Some(info.rtt).filter(|rtt| !rtt.is_zero()),
        min_rtt: info.min_rtt,
        retransmitted: info.total_retransmits,
        congestion_window: info.congestion_window,
        send_mss: info.send_mss,
        busy: info.busy,
        receive_window_limited: info.receive_window_limited,
        send_buffer_limited: info.send_buffer_limited,
        ..counted
    }
}

/// Tells something of a conversation, where anybody listens.
pub fn tell(stream: &Stream, told: impl FnOnce() -> Told<'static>) {
    let recorder = stream.recorder();
    if recorder.wants(Topic::Talk) {
        let socket = stream.name().clone();
        let talk = Talk {
            socket,
            told: told(),
        };
        recorder.record(recorder.clock().now(), What::Talk(talk));
    }
}

/// Tells something of a socket that is no conversation's.
pub fn say(recorder: &Recorder, socket: &'static str, told: Told<'static>) {
    if recorder.wants(Topic::Talk) {
        let socket = SocketName::from(socket);
        recorder.record(recorder.clock().now(), What::Talk(Talk { socket, told }));
    }
}

/// Asks for an address's name without waiting for it, and tells it.
pub fn ask_name(recorder: &Recorder, remote: SocketAddr) {
    let recorder = recorder.clone();
    let ask = move || {
        if let Some(name) = name_of(remote) {
            say(&recorder, "resolver", Told::Named { remote, name });
        }
    };
    // Without the thread there is no name, and nothing else amiss.
    let _ = std::thread::Builder::new().name("name".into()).spawn(ask);
}

/// Shows bytes that went one way after `offset` others, where anybody looks.
pub fn show(stream: &Stream, way: Way, offset: u64, bytes: &[u8]) {
    let recorder = stream.recorder();
    if recorder.wants(Topic::Chunk) {
        let bytes = bytes.into();
        let told = Told::Chunk { way, offset, bytes };
        let socket = stream.name().clone();
        recorder.record(recorder.clock().now(), What::Talk(Talk { socket, told }));
    }
}

/// Whether the call found the connection gone, and not what it died of: another
/// call was told that, or the reset came after the peer's end, which the kernel
/// tells in no other way.
pub(super) fn is_late(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::EPIPE as i32)
}

/// Whether it says that the peer reset the connection.
pub(super) fn is_reset(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::ECONNRESET | Errno::EPIPE))
}

/// A connection that was lost, and what had come through.
pub(super) fn lost(
    operation: &str,
    peer: SocketAddr,
    error: io::Error,
    figures: &Figures,
) -> Error {
    let received = figures.received;
    let sent = match figures.acknowledged {
        _ if figures.sent == 0 => "nothing had been sent".into(),
        Some(count) => format!(
            "{count} of {} bytes sent had been acknowledged",
            figures.sent
        ),
        None => format!("{} bytes had been sent", figures.sent),
    };
    let through = format!("{sent}, {received} received");
    let cause = if is_late(&error) {
        Cause::from("connection reset by peer (EPIPE)")
    } else {
        Cause::from(error)
    };
    Error::new(operation, peer, cause)
        .remedy(through)
        .exiting(Exit::Network)
}
