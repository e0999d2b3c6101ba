//! `TCP_INFO`: what the kernel knows of one connection (tcp(7),
//! `include/uapi/linux/tcp.h`).
//!
//! Parses the bytes as far as the kernel wrote them: a field that an older
//! kernel does not have is `None`. Opens nothing.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::libc;
use serde::Serialize;

use super::kernel;
use crate::flow::TcpState;
use crate::units::nanoseconds;

/// A snapshot of one TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TcpInfo {
    /// The state.
    pub state: TcpState,
    /// Smoothed round-trip time.
    #[serde(rename = "rtt_ns", serialize_with = "nanoseconds")]
    pub rtt: Duration,
    /// Mean deviation of the round-trip time.
    #[serde(rename = "rttvar_ns", serialize_with = "nanoseconds")]
    pub rtt_variation: Duration,
    /// Sender's maximum segment size, without options, in bytes.
    #[serde(rename = "snd_mss_bytes")]
    pub send_mss: u32,
    /// Congestion window in segments.
    #[serde(rename = "snd_cwnd_segments")]
    pub congestion_window: u32,
    /// Slow-start threshold in segments; a very large number at first.
    #[serde(rename = "snd_ssthresh_segments")]
    pub slow_start_threshold: u32,
    /// Path MTU in bytes.
    #[serde(rename = "pmtu_bytes")]
    pub path_mtu: u32,
    /// Segments sent and not yet acknowledged.
    pub unacked: u32,
    /// Segments retransmitted over the connection's whole life.
    #[serde(rename = "total_retrans")]
    pub total_retransmits: u32,
    /// Payload bytes the peer acknowledged (RFC 4898), its SYN and FIN
    /// counting one each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_acked: Option<u64>,
    /// Payload bytes received in order (RFC 4898).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_received: Option<u64>,
    /// Segments sent, of every kind.
    #[serde(rename = "segs_out", skip_serializing_if = "Option::is_none")]
    pub segments_out: Option<u32>,
    /// Segments received, of every kind.
    #[serde(rename = "segs_in", skip_serializing_if = "Option::is_none")]
    pub segments_in: Option<u32>,
    /// Segments sent that carried data.
    #[serde(rename = "data_segs_out", skip_serializing_if = "Option::is_none")]
    pub data_segments_out: Option<u32>,
    /// Payload bytes retransmitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_retrans: Option<u64>,
}

impl TcpInfo {
    /// Reads the snapshot of a connected or listening socket.
    pub fn of(socket: BorrowedFd<'_>) -> io::Result<Self> {
        let mut bytes = [0; 512];
        let length = kernel::option_bytes(socket, libc::IPPROTO_TCP, libc::TCP_INFO, &mut bytes)?;
        Self::parse(bytes.get(..length).unwrap_or(&bytes))
            .ok_or_else(|| io::Error::other(format!("TCP_INFO of {length} bytes is too short")))
    }

    /// Parses the kernel's `struct tcp_info`; `None` where not even the fields
    /// of Linux 2.6 are there.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            state: TcpState::from_linux(*bytes.first()?),
            rtt: Duration::from_micros(u32_at(bytes, 68)?.into()),
            rtt_variation: Duration::from_micros(u32_at(bytes, 72)?.into()),
            send_mss: u32_at(bytes, 16)?,
            congestion_window: u32_at(bytes, 80)?,
            slow_start_threshold: u32_at(bytes, 76)?,
            path_mtu: u32_at(bytes, 60)?,
            unacked: u32_at(bytes, 24)?,
            total_retransmits: u32_at(bytes, 100)?,
            bytes_acked: u64_at(bytes, 120),
            bytes_received: u64_at(bytes, 128),
            segments_out: u32_at(bytes, 136),
            segments_in: u32_at(bytes, 140),
            data_segments_out: u32_at(bytes, 156),
            bytes_retrans: u64_at(bytes, 208),
        })
    }
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    let field = bytes.get(offset..offset + 4)?;
    field.try_into().ok().map(u32::from_ne_bytes)
}

fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    let field = bytes.get(offset..offset + 8)?;
    field.try_into().ok().map(u64::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_old_kernels_shorter_answer_leaves_the_newer_fields_out() {
        let info = TcpInfo::parse(&[1; 104]).expect("the fields of Linux 2.6 are there");
        assert_eq!(info.state, TcpState::Established);
        assert_eq!(info.bytes_acked, None);
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_are_too_short(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(TcpInfo::parse(&bytes).is_some(), bytes.len() >= 104);
        }
    }
}
