//! JSON Lines: one object a line, written as events happen.
//!
//! Every line has a `type`. Events come first, in the order in which they
//! became known, which need not be that of their times; the last line is the
//! run's result.
//!
//! | `type` | line |
//! |---|---|
//! | `call` | `host`, `socket`, `name`, `arguments`, then `returned` and perhaps `detail`, or `errno`; `took_ns` |
//! | `state` | `host`, `protocol`, `local`, `remote`, `from`, `to` |
//! | `sample` | `host`, `protocol`, `local`, `remote`, `snd_cwnd_segments`, perhaps `snd_ssthresh_segments`, `rtt_ns`, `rttvar_ns`, `in_flight_segments`, `total_retrans`, `congestion_state` (`open`, `disorder`, `cwr`, `recovery`, `loss`), perhaps `limited_by` (`application`, `receive_window`, `send_buffer`, `congestion_window`) |
//! | `packet` | `id`, `direction`, `link_type`, `bytes_hex`, `sent_at_ns`, `fate` (`delivered`, `lost` with its `cause`, `queued`, `unknown`), where they apply `copy_of`, `corrupted_bit`, `truncated_to_bytes`, `marked`, `hastened`, `reordered`, `flow`, `flow_packet`, `due_at_ns`, `delivered_at_ns` |
//! | `delivery` | `kind`, `number`, `arrival` with its own fields, perhaps `latency_ns` |
//! | `echo` | what a ping run sent, received and counted; `echo` says which |
//! | `datagram` | `host`, `socket`, `passage` (`sent`, `received`, `ignored` with its `reason`, `refused` with `errno`, `cause`, `final`, perhaps `offender`, `mtu_bytes`), `peer`, perhaps `local`, `datagram_bytes`, `bytes_hex` |
//! | `talk` | what `tcp connect` and `tcp listen` tell of a conversation, on standard error; `socket`, and `talk` says which |
//! | `note` | `text` |
//! | `result` | `command`, `environment`, `result`; that of `ping` is its summary's figures |
//!
//! # What a ping run tells
//!
//! A line with `type` `echo` has `at_ns`, `host` (always `client`), and `echo`
//! with the fields below. All but a failure that does not tell have `index` and
//! `name`: which of the targets it is about. Fields in brackets are absent where
//! they do not apply.
//!
//! | `echo` | fields |
//! |---|---|
//! | `started` | `address`, \[`address_name`\], `source`, \[`interface`\], `socket` (`raw`, `datagram`), `identifier`, `payload_bytes`, `interval_ns` |
//! | `request` | `number` (from 1), `icmp_sequence` (its low 16 bits), `message_hex` |
//! | `reply` | `number`, `icmp_sequence`, `from`, \[`from_name`\], `ttl` or null, `message_bytes`, `rtt_ns` (send call to arrival in the kernel), `rtt_user_ns` (send call until the receive call returned), \[`rtt_kernel_ns`\] (the kernel's stamp of the departure to that of the arrival), [`out_of_order`: true], `judgement` (`counted`, `duplicate`, `bad_checksum`, `different_address`), `truncated`, \[`wrong_byte`: `index`, `sent`, `received`\], \[`ip_options_hex`\], `message_hex` |
//! | `failure` | \[`number`, `icmp_sequence`\], `cause`: `icmp` with `from`, \[`from_name`\], `icmp_type`, `icmp_code`, `info` (an MTU or a pointer), `meaning`; `too_long` with `mtu_bytes`; `local` and `send` with `errno`, `meaning` |
//! | `redirect` | `number`, `icmp_sequence`, `from`, \[`from_name`\], `gateway`, `icmp_code`, `meaning` |
//! | `no_answer` | `number`, `icmp_sequence`, `patience`: `waiting` (it may come yet), `over` (it counts as lost) or `ended` (the run ended first: it counts as in flight) |
//! | `status`, `summary` | `address`, `source`, \[`interface`\], `socket`, `transmitted`, `received`, `duplicates`, `corrupted`, `errors`, `lost`, `in_flight`, `out_of_order`, `loss_percent` or null, `time_ns`, [`rtt_min_ns`, `rtt_avg_ns`, `rtt_max_ns`, `rtt_mdev_ns`, `rtt_ewma_ns`, `rtt_jitter_ns`, `rtt_p50_ns`, `rtt_p90_ns`, `rtt_p99_ns`, and where fewer were kept than came, `rtt_percentiles_of`: how many], `pipe`, \[`gap_ns`\] |
//! | `verdict` | `address`, `verdict` (`alive`, `unreachable`), `requests`, \[`rtt_ns`\]: of a target that was checked, without `-c` |
//! | `unresolved` | `reason`: the name has no address |
//!
//! The summary is what the lines add up to: `transmitted` counts requests, with
//! those that a `send` failure tells of; `received` and `duplicates` count
//! replies by their `judgement`; `lost` and `in_flight` are the rest.
//!
//! Of many targets, each has its own `started` and `summary`, and the result is
//! over all: `targets` (that have an address), `alive`, `unreachable`,
//! `unresolved` (names), `transmitted`, `replies` (duplicates included), `lost`,
//! `failed`, `icmp_errors`, `time_ns`.
//!
//! # What a ping run tells of a path
//!
//! With `--trace` and `--mtu`, `echo` is `path`, and `path` says which of these.
//! The result is the last one's fields.
//!
//! | `path` | fields |
//! |---|---|
//! | `trace_started` | its ends (`index`, `name`, `address`, `source`, \[`interface`\], `socket`), `most_hops`, `probes_per_hop`, `packet_bytes` |
//! | `hop` | `hop`, `last`, `probes`: of each `number`, `icmp_sequence`, \[`rtt_ns`\], `fate` (`reply`, `error`, `no_error_received`, `unsent`) and what goes with it |
//! | `trace` | the ends, `end`, `hops`, `probes`, `answered`, `unanswered`, `untold`, `time_ns` |
//! | `mtu_started` | the ends, `least_bytes`, `tries` |
//! | `mtu_step` | `packet_bytes`, `tries`, `finding` (`passes`, `refused`, `unsent`, `vanishes`) and what goes with it |
//! | `mtu` | the ends, `mtu_bytes` or null, `payload_bytes` or null, `complete`, \[`next_larger`\], \[`last_heard`\], \[`kernel_mtu_bytes`\], `probes`, `time_ns` |
//!
//! # What `compare` results in
//!
//! The result holds `planned` and `sent_messages` (how many each kind was to
//! carry and was given), `interrupted`, `order` (`at_once` or `in_turn`),
//! `size_bytes` (of the longest message),
//! `plan` (the link's orders), `link` (its account), `clocks` (how the two clocks
//! stand, between real machines, else null), `expectations` (each with
//! `expected`, `met`, `reason`), and `kinds`, an object a kind:
//!
//! | field | what it is |
//! |---|---|
//! | `kind`, `privilege`, `refused` | `tcp`, `udp`, …; what opening it needs; why it took no part, else null, and then no figures |
//! | `client`, `server` | `address`, and `port` where there is one |
//! | `set_up_ns`, `closing_ns` | until the first message could be sent; until a stream had ended at both ends |
//! | `started_at_ns`, `sent_until_ns`, `received_until_ns` | when the first message was due, when the last had been sent and had arrived |
//! | `sent`, `delivered`, `lost`, `not_sent` | messages due, those that arrived, those that did not, and of these the ones that never left |
//! | `delivered_once`, `duplicated_messages`, `duplicated` | that arrived once, that arrived more often, and the further copies |
//! | `out_of_order`, `reordered_ratio`, `reordering_extent_max`, `reordering_extent_mean` | RFC 4737: reordered messages, their share of those that arrived (0 to 1), by how many places |
//! | `corrupted`, `late` | arrived with a wrong checksum; arrived after the deadline, null without one |
//! | `dropped_at_receiver` | what the receiving socket dropped; null for a stream |
//! | `head_of_line_blocked`, `head_of_line_longest_ns` | messages that lay in the receiving kernel behind an earlier one, and the longest |
//! | `writes`, `reads`, `reads_of_one_message`, `boundaries` | calls that sent and received; `kept` or `none` |
//! | `latency` | `min_ns`, `p50_ns`, `p90_ns`, `p99_ns`, `max_ns`, from the sender's call to the receiver's return |
//! | `jitter_ns`, `longest_stall_ns` | RFC 3550's estimate; the longest time without an arrival, beyond the schedule's |
//! | `goodput_bits_per_s` | bits of message that arrived, by the time that took |
//! | `retransmitted` | segments sent again, as TCP_INFO counts them; null without a connection |
//! | `wire` | null where no packet was seen, else `set_up`, `messages` and `closing` (each `packets_up`, `packets_down`, `bytes`), `data_packets`, `data_packets_harmed`, `data_packets_copied`, `fragments`, `retransmitted`; of the bytes of `messages`, `payload_bytes`, `header_bytes`, `retransmitted_bytes`, `answer_bytes`; `reached`: datagrams handed to the receiving kernel `intact`, `damaged`, or so that it must drop them (`refused`) |
//!
//! Lines a message are `--csv`'s: [`csv`](super::compare::csv).
//!
//! # Names
//!
//! Names are stable: fields are added, never renamed. A name ends in its unit
//! where it has one: `_ns` is nanoseconds, `_bytes` bytes, `_hex` hexadecimal,
//! `_percent` percent. Times called `…at_ns` count from the start of the run;
//! `environment.started_at_unix_ns` is that start. Owns no other field name; those are
//! the events' and the outcomes' own.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use serde::Serialize;

use crate::event::{Event, Sink, Topic};
use crate::recorder::Clock;

/// Writes every event as a line of JSON.
pub struct JsonLines<Out> {
    stop: Arc<AtomicBool>,
    state: Mutex<(Out, Option<io::Error>)>,
}

/// Where and when a run took place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Environment {
    /// This program's version.
    pub version: &'static str,
    /// The run's start in nanoseconds since 1970-01-01 00:00 UTC.
    pub started_at_unix_ns: u64,
    /// The kernel's release, where it tells.
    pub kernel: Option<String>,
    /// What the run played on, such as `link (TUN)`, `loopback` or, for a
    /// ping, `network`.
    pub stage: String,
}

impl Environment {
    /// The environment of a run by this program.
    pub fn new(clock: Clock, kernel: Option<String>, stage: impl Into<String>) -> Self {
        let start = clock.wall_origin().duration_since(SystemTime::UNIX_EPOCH);
        let start = start.unwrap_or_default().as_nanos();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            started_at_unix_ns: u64::try_from(start).unwrap_or(u64::MAX),
            kernel,
            stage: stage.into(),
        }
    }
}

/// The last line.
#[derive(Serialize)]
struct LastLine<'a, Outcome> {
    r#type: &'static str,
    command: &'a str,
    environment: &'a Environment,
    result: &'a Outcome,
}

impl<Out: Write + Send> JsonLines<Out> {
    /// Lines go to `out`; when that fails, `stop` is raised.
    pub fn new(out: Out, stop: Arc<AtomicBool>) -> Self {
        Self {
            stop,
            state: Mutex::new((out, None)),
        }
    }

    /// Writes the last line: what came of `command`.
    pub fn result(&self, command: &str, environment: &Environment, result: &impl Serialize) {
        self.line(&LastLine {
            r#type: "result",
            command,
            environment,
            result,
        });
    }

    /// The error that ended the output, if one did.
    pub fn into_result(self) -> io::Result<()> {
        let (_, failure) = self
            .state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        failure.map_or(Ok(()), Err)
    }

    /// Writes one line; after a failure, none.
    fn line(&self, value: &impl Serialize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (out, failure) = &mut *state;
        if failure.is_some() {
            return;
        }
        let line = serde_json::to_string(value).map_err(io::Error::from);
        let written = line.and_then(|line| writeln!(out, "{line}").and_then(|()| out.flush()));
        if let Err(error) = written {
            *failure = Some(error);
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

impl<Out: Write + Send> Sink for JsonLines<Out> {
    fn wants(&self, _: Topic) -> bool {
        true
    }

    fn record(&self, event: &Event<'_>) {
        self.line(event);
    }
}
