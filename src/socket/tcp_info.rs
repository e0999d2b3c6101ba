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
use crate::event::{CongestionState, Limit, Sample};
use crate::flow::{FiveTuple, TcpState};
use crate::units::{nanoseconds, optional_nanoseconds};

/// A snapshot of one TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TcpInfo {
    /// The state.
    pub state: TcpState,
    /// How the sender judges the network.
    pub congestion_state: CongestionState,
    /// How often in a row the retransmission timer has run out.
    #[serde(rename = "timeouts")]
    pub retransmits: u8,
    /// How long the retransmission timer runs.
    #[serde(rename = "rto_ns", serialize_with = "nanoseconds")]
    pub retransmission_timeout: Duration,
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
    /// Of those, segments that the receiver has selectively acknowledged.
    pub sacked: u32,
    /// Of those, segments that are believed to be lost.
    pub lost: u32,
    /// Of those, segments that were sent again.
    pub retrans: u32,
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
    /// Payload bytes that wait to be sent for the first time.
    #[serde(rename = "notsent_bytes", skip_serializing_if = "Option::is_none")]
    pub not_sent: Option<u32>,
    /// The shortest round trip of late; none before the first measurement.
    #[serde(
        rename = "min_rtt_ns",
        serialize_with = "optional_nanoseconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub min_rtt: Option<Duration>,
    /// The rate at which data was delivered of late.
    #[serde(
        rename = "delivery_rate_bytes_per_s",
        skip_serializing_if = "Option::is_none"
    )]
    pub delivery_rate: Option<u64>,
    /// Whether that rate was the application's rather than the network's.
    #[serde(rename = "delivery_rate_app_limited")]
    pub is_application_limited: bool,
    /// The rate at which data is let go; none where it is not held to one.
    #[serde(
        rename = "pacing_rate_bytes_per_s",
        skip_serializing_if = "Option::is_none"
    )]
    pub pacing_rate: Option<u64>,
    /// How long there was anything to send.
    #[serde(
        rename = "busy_ns",
        serialize_with = "optional_nanoseconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub busy: Option<Duration>,
    /// Of that, how long the receive window was in the way.
    #[serde(
        rename = "rwnd_limited_ns",
        serialize_with = "optional_nanoseconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub receive_window_limited: Option<Duration>,
    /// Of that, how long the send buffer was.
    #[serde(
        rename = "sndbuf_limited_ns",
        serialize_with = "optional_nanoseconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub send_buffer_limited: Option<Duration>,
    /// The receive window that the peer offers.
    #[serde(rename = "snd_wnd_bytes", skip_serializing_if = "Option::is_none")]
    pub send_window: Option<u32>,
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
            congestion_state: CongestionState::from_linux(*bytes.get(1)?),
            retransmits: *bytes.get(2)?,
            retransmission_timeout: Duration::from_micros(u32_at(bytes, 8)?.into()),
            rtt: Duration::from_micros(u32_at(bytes, 68)?.into()),
            rtt_variation: Duration::from_micros(u32_at(bytes, 72)?.into()),
            send_mss: u32_at(bytes, 16)?,
            congestion_window: u32_at(bytes, 80)?,
            slow_start_threshold: u32_at(bytes, 76)?,
            path_mtu: u32_at(bytes, 60)?,
            unacked: u32_at(bytes, 24)?,
            sacked: u32_at(bytes, 28)?,
            lost: u32_at(bytes, 32)?,
            retrans: u32_at(bytes, 36)?,
            total_retransmits: u32_at(bytes, 100)?,
            bytes_acked: u64_at(bytes, 120),
            bytes_received: u64_at(bytes, 128),
            segments_out: u32_at(bytes, 136),
            segments_in: u32_at(bytes, 140),
            data_segments_out: u32_at(bytes, 156),
            bytes_retrans: u64_at(bytes, 208),
            not_sent: u32_at(bytes, 144),
            min_rtt: u32_at(bytes, 148)
                .filter(|time| *time != u32::MAX)
                .map(|time| Duration::from_micros(time.into())),
            delivery_rate: u64_at(bytes, 160),
            is_application_limited: bytes.get(7)? & 1 != 0,
            pacing_rate: u64_at(bytes, 104).filter(|rate| *rate != u64::MAX),
            busy: u64_at(bytes, 168).map(Duration::from_micros),
            receive_window_limited: u64_at(bytes, 176).map(Duration::from_micros),
            send_buffer_limited: u64_at(bytes, 184).map(Duration::from_micros),
            send_window: u32_at(bytes, 228),
        })
    }

    /// Segments that are believed to be under way: sent, neither acknowledged
    /// nor given up, or given up and sent again (`tcp_packets_in_flight()`).
    pub fn in_flight(&self) -> u32 {
        let gone = self.sacked.saturating_add(self.lost);
        self.unacked
            .saturating_sub(gone)
            .saturating_add(self.retrans)
    }

    /// The slow-start threshold, where there has been a reason for one
    /// (`TCP_INFINITE_SSTHRESH`).
    pub fn threshold(&self) -> Option<u32> {
        const INFINITE: u32 = 0x7fff_ffff;
        Some(self.slow_start_threshold).filter(|threshold| *threshold < INFINITE)
    }

    /// What keeps the sender from sending more now, where that can be told.
    /// `before` is an earlier snapshot: the time that the send buffer was in
    /// the way is a sum.
    ///
    /// Where nothing waits to be sent, no window can be what holds the sender
    /// back. Where something waits and no window is full, it is on its way out.
    pub fn limited_by(&self, before: Option<&Self>) -> Option<Limit> {
        if self.not_sent? == 0 {
            let grew = self.send_buffer_limited > before.and_then(|info| info.send_buffer_limited);
            let is_full = before.is_some() && grew;
            return Some(if is_full {
                Limit::SendBuffer
            } else {
                Limit::Application
            });
        }
        if self.in_flight() >= self.congestion_window {
            return Some(Limit::CongestionWindow);
        }
        let outstanding = self.unacked.saturating_add(1).saturating_mul(self.send_mss);
        (outstanding > self.send_window?).then_some(Limit::ReceiveWindow)
    }

    /// The figures that change while a connection sends.
    pub fn sample(&self, connection: FiveTuple, before: Option<&Self>) -> Sample {
        Sample {
            connection,
            congestion_window: self.congestion_window,
            slow_start_threshold: self.threshold(),
            rtt: self.rtt,
            rtt_variation: self.rtt_variation,
            in_flight: self.in_flight(),
            retransmits: self.total_retransmits,
            congestion_state: self.congestion_state,
            limited_by: self.limited_by(before),
        }
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

    fn busy() -> TcpInfo {
        let mut info = TcpInfo::parse(&[0; 240]).expect("long enough");
        info.send_mss = 1000;
        info.congestion_window = 10;
        info.send_window = Some(64_000);
        info.not_sent = Some(5000);
        info
    }

    #[test]
    fn in_flight_is_what_the_kernel_believes_to_be_under_way() {
        let info = TcpInfo {
            unacked: 10,
            sacked: 3,
            lost: 2,
            retrans: 1,
            ..busy()
        };
        assert_eq!(info.in_flight(), 6);
    }

    #[test]
    fn what_holds_a_sender_back() {
        let full = TcpInfo {
            unacked: 10,
            ..busy()
        };
        assert_eq!(full.limited_by(None), Some(Limit::CongestionWindow));
        let waiting = TcpInfo {
            unacked: 4,
            send_window: Some(4500),
            ..busy()
        };
        assert_eq!(waiting.limited_by(None), Some(Limit::ReceiveWindow));
        assert_eq!(busy().limited_by(None), None);
        let idle = TcpInfo {
            not_sent: Some(0),
            ..full
        };
        assert_eq!(idle.limited_by(None), Some(Limit::Application));
        let blocked = TcpInfo {
            send_buffer_limited: Some(Duration::from_millis(4)),
            ..idle
        };
        assert_eq!(blocked.limited_by(Some(&idle)), Some(Limit::SendBuffer));
        assert_eq!(blocked.limited_by(Some(&blocked)), Some(Limit::Application));
        let old = TcpInfo {
            not_sent: None,
            ..full
        };
        assert_eq!(old.limited_by(None), None);
    }

    /// The offsets, held against a real connection whose receiver never reads.
    #[test]
    fn a_receiver_that_never_reads_limits_the_sender() {
        use std::io::Write;
        use std::os::fd::AsFd;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("its address");
        let mut client = std::net::TcpStream::connect(address).expect("connect");
        let _server = listener.accept().expect("accept");
        client.set_nonblocking(true).expect("O_NONBLOCK");
        while matches!(client.write(&[0; 8192]), Ok(1..)) {}
        let info = TcpInfo::of(client.as_fd()).expect("TCP_INFO");
        assert!(info.not_sent > Some(0), "{info:?}");
        assert_eq!(
            info.limited_by(None),
            Some(Limit::ReceiveWindow),
            "{info:?}"
        );
        assert!(
            info.min_rtt.is_some_and(|least| least <= info.rtt),
            "{info:?}"
        );
        assert!(info.retransmission_timeout >= Duration::from_millis(200));
        assert!(
            info.delivery_rate > Some(0) && info.busy.is_some(),
            "{info:?}"
        );
        assert_eq!((info.lost, info.retrans, info.threshold()), (0, 0, None));
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_are_too_short(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(TcpInfo::parse(&bytes).is_some(), bytes.len() >= 104);
        }
    }
}
