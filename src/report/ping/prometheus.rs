//! The running figures in the Prometheus text format 0.0.4, which every
//! Prometheus reads.
//!
//! | metric | type | what it counts |
//! |---|---|---|
//! | `socklab_ping_info` | gauge, 1 | labels `source`, `interface`, `socket`, `version` |
//! | `socklab_ping_unresolved` | gauge, 1 | a host without an address and so without any of the rest; labels `host`, `reason` |
//! | `socklab_ping_sent_total` | counter | requests sent |
//! | `socklab_ping_received_total` | counter | requests answered |
//! | `socklab_ping_lost_total` | counter | requests given up: twice the longest round trip, at least an interval and a second, without an answer |
//! | `socklab_ping_late_total` | counter | of those received, the ones that had been given up or had failed |
//! | `socklab_ping_failed_total` | counter | requests that met an error |
//! | `socklab_ping_duplicates_total`, `…corrupted_total`, `…out_of_order_total` | counter | further replies; replies with a wrong checksum; RFC 4737's count |
//! | `socklab_ping_errors_total` | counter | ICMP and local errors, by `type` |
//! | `socklab_ping_in_flight` | gauge | requests that may still be answered |
//! | `socklab_ping_last_rtt_seconds`, `socklab_ping_jitter_seconds` | gauge | the latest round trip; RFC 3550's estimate |
//! | `socklab_ping_rtt_seconds` | histogram | round trips, those of duplicates included |
//!
//! All but `unresolved` have the labels `host` and `address`; targets that are the same host by
//! both are counted together. At any time
//! sent = received − late + lost + failed + in flight. Owns names and buckets;
//! it does not know who reads.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

use super::ledger::{Account, Entry, Ledger};
use crate::event::{EchoSocket, Event, Sink, Topic, What};

/// What the text is, for HTTP.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Upper bounds in seconds: from a loopback's round trip to a satellite's and
/// what a queue adds.
const BUCKETS: [f64; 18] = [
    0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1,
    0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
const HOST: [&str; 2] = ["host", "address"];
/// Counters of each host and what they count.
const COUNTERS: [(&str, &str, Count); 8] = [
    ("sent", "Requests sent.", |account| account.sent),
    ("received", "Requests answered.", |account| account.received),
    ("lost", "Requests given up without an answer.", |account| {
        account.lost
    }),
    (
        "late",
        "Requests answered after they had been given up or had failed.",
        |account| account.late,
    ),
    ("failed", "Requests that met an error.", |account| {
        account.failed
    }),
    (
        "duplicates",
        "Further replies to answered requests.",
        |account| account.duplicates,
    ),
    ("corrupted", "Replies with a wrong checksum.", |account| {
        account.corrupted
    }),
    (
        "out_of_order",
        "Replies that came after a reply to a later request (RFC 4737).",
        |account| account.out_of_order,
    ),
];

type Count = fn(&Account) -> u64;

/// Keeps the figures, and writes them down when asked.
pub struct Metrics {
    registry: Registry,
    families: Families,
    state: Mutex<State>,
}

struct Families {
    info: IntGaugeVec,
    unresolved: IntGaugeVec,
    counters: Vec<IntCounterVec>,
    errors: IntCounterVec,
    in_flight: IntGaugeVec,
    last: GaugeVec,
    jitter: GaugeVec,
    round_trips: HistogramVec,
}

#[derive(Default)]
struct State {
    ledger: Ledger,
    hosts: HashMap<u32, Series>,
    /// By kind of error, those that belong to no host.
    strays: HashMap<&'static str, Told>,
}

/// One host's series.
struct Series {
    labels: [String; 2],
    counters: Vec<(IntCounter, Told)>,
    errors: HashMap<&'static str, Told>,
    in_flight: IntGauge,
    /// How much of that gauge is this target's.
    in_flight_told: i64,
    last: Gauge,
    jitter: Gauge,
    round_trips: Histogram,
}

impl Metrics {
    /// No host yet. An error says which name is not one that Prometheus has.
    pub fn new() -> Result<Self, String> {
        let registry = Registry::new();
        let families = Families::register(&registry).map_err(|error| error.to_string())?;
        Ok(Self {
            registry,
            families,
            state: Mutex::default(),
        })
    }

    /// The figures at `now`, counted from the start of the run.
    pub fn text(&self, now: Duration) -> Result<String, String> {
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let State {
                ledger,
                hosts,
                strays,
            } = &mut *state;
            ledger.settle(now, |_, _| ());
            for account in ledger.accounts() {
                if let Some(series) = hosts.get_mut(&account.started.target.index) {
                    self.families.update(account, series);
                }
            }
            for one in ledger.unresolved() {
                let labels = [&*one.target.name, &*one.reason];
                self.families.unresolved.with_label_values(&labels).set(1);
            }
            for (kind, count) in &ledger.strays {
                let errors = self.families.errors.with_label_values(&["", "", kind]);
                strays.entry(*kind).or_default().raise(&errors, *count);
            }
        }
        let families = self.registry.gather();
        let text = TextEncoder::new().encode_to_string(&families);
        text.map_err(|error| error.to_string())
    }
}

impl Sink for Metrics {
    fn wants(&self, topic: Topic) -> bool {
        topic == Topic::Echo
    }

    fn record(&self, event: &Event<'_>) {
        let What::Echo(echo) = &event.what else {
            return;
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((index, entry)) = state.ledger.record(event.at, echo) else {
            return;
        };
        let State { ledger, hosts, .. } = &mut *state;
        let Some(account) = ledger.account(index) else {
            return;
        };
        let series = hosts
            .entry(index)
            .or_insert_with(|| self.families.series(account));
        if let (Entry::Measured(_), Some(last)) = (entry, account.last) {
            series.round_trips.observe(last.as_secs_f64());
        }
    }
}

impl Families {
    fn register(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| {
            let gauge = GaugeVec::new(Opts::new(name, help), &HOST)?;
            registry.register(Box::new(gauge.clone())).map(|()| gauge)
        };
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let name = format!("socklab_ping_{name}_total");
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry
                .register(Box::new(counter.clone()))
                .map(|()| counter)
        };
        let whole = |name: &str, help: &str, labels: &[&str]| {
            let gauge = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauge.clone())).map(|()| gauge)
        };
        let buckets = HistogramOpts::new(
            "socklab_ping_rtt_seconds",
            "Round trips up to the reply's arrival in the kernel, from when the kernel says that \
             the request left, or else from the send call.",
        );
        let round_trips = HistogramVec::new(buckets.buckets(BUCKETS.to_vec()), &HOST)?;
        registry.register(Box::new(round_trips.clone()))?;
        let counters = COUNTERS
            .iter()
            .map(|(name, help, _)| counter(name, help, &HOST));
        let about = [&HOST[..], &["source", "interface", "socket", "version"]].concat();
        Ok(Self {
            counters: counters.collect::<Result<_, _>>()?,
            errors: counter(
                "errors",
                "ICMP errors and errors of this host.",
                &[&HOST[..], &["type"]].concat(),
            )?,
            info: whole(
                "socklab_ping_info",
                "What is pinged, and through what.",
                &about,
            )?,
            unresolved: whole(
                "socklab_ping_unresolved",
                "Names without an address, which nothing is sent to.",
                &["host", "reason"],
            )?,
            in_flight: whole(
                "socklab_ping_in_flight",
                "Requests that may still be answered.",
                &HOST,
            )?,
            last: gauge("socklab_ping_last_rtt_seconds", "The latest round trip.")?,
            jitter: gauge(
                "socklab_ping_jitter_seconds",
                "How much one round trip differs from the next (RFC 3550).",
            )?,
            round_trips,
        })
    }

    fn series(&self, account: &Account) -> Series {
        let started = &account.started;
        let labels = [started.target.name.to_string(), started.address.to_string()];
        let [host, address] = labels.each_ref().map(String::as_str);
        let source = started.source.to_string();
        let interface = started.interface.as_deref().unwrap_or_default();
        let socket = match started.socket {
            EchoSocket::Raw => "raw",
            EchoSocket::Datagram => "datagram",
        };
        let version = env!("CARGO_PKG_VERSION");
        let about = [host, address, &source, interface, socket, version];
        self.info.with_label_values(&about).set(1);
        let own = [host, address];
        let counters = self.counters.iter();
        Series {
            counters: counters
                .map(|family| (family.with_label_values(&own), Told::default()))
                .collect(),
            errors: HashMap::new(),
            in_flight_told: 0,
            in_flight: self.in_flight.with_label_values(&own),
            last: self.last.with_label_values(&own),
            jitter: self.jitter.with_label_values(&own),
            round_trips: self.round_trips.with_label_values(&own),
            labels,
        }
    }

    fn update(&self, account: &Account, series: &mut Series) {
        for ((counter, told), (_, _, count)) in series.counters.iter_mut().zip(COUNTERS) {
            told.raise(counter, count(account));
        }
        let [host, address] = series.labels.each_ref().map(String::as_str);
        for (kind, count) in &account.errors {
            let labels = [host, address, kind];
            let told = series.errors.entry(*kind).or_default();
            told.raise(&self.errors.with_label_values(&labels), *count);
        }
        let in_flight = i64::try_from(account.in_flight()).unwrap_or(i64::MAX);
        series.in_flight.add(in_flight - series.in_flight_told);
        series.in_flight_told = in_flight;
        let seconds = |time: Option<Duration>| time.map_or(f64::NAN, |time| time.as_secs_f64());
        series.last.set(seconds(account.last));
        series.jitter.set(seconds(account.jitter()));
    }
}

/// What a counter has been told of one target, which may share it with another
/// that is the same host by name and address.
#[derive(Debug, Clone, Copy, Default)]
struct Told(u64);

impl Told {
    /// Tells the rest. No counter goes back.
    fn raise(&mut self, counter: &IntCounter, to: u64) {
        counter.inc_by(to.saturating_sub(self.0));
        self.0 = self.0.max(to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Echo, EchoJudgement, Place};
    use crate::report::ping::made_up::{failure, reply, request, silence, started, unresolved};

    fn metrics(events: &[Echo<'static>]) -> Metrics {
        let metrics = Metrics::new().unwrap();
        for (number, echo) in (0..).zip(events) {
            metrics.record(&Event {
                at: Duration::from_millis(number),
                host: Place::Client,
                what: What::Echo(echo.clone()),
            });
        }
        metrics
    }

    #[test]
    fn two_hosts_in_the_text_format() {
        let metrics = metrics(&[
            started(0, "alpha"),
            started(1, "a \"quoted\\\" name\n"),
            request(0, 1),
            request(1, 1),
            reply(0, 1, 10, EchoJudgement::Counted),
            reply(0, 1, 30, EchoJudgement::Duplicate),
            failure(1, 1),
            request(0, 2),
            silence(0, 2),
            request(0, 3),
            unresolved(2, "nosuch.name"),
        ]);
        let text = metrics.text(Duration::from_millis(20)).unwrap();
        let version = concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"");
        insta::assert_snapshot!(text.replace(version, "version=\"V\""));
        assert_eq!(text, metrics.text(Duration::from_millis(20)).unwrap());
    }

    #[test]
    fn the_same_host_twice_is_one_series_of_both() {
        let mut again = started(1, "alpha");
        if let Echo::Started(started) = &mut again {
            started.address = std::net::IpAddr::from([192, 0, 2, 1]).into();
        }
        let metrics = metrics(&[
            started(0, "alpha"),
            again,
            request(0, 1),
            request(1, 1),
            request(0, 2),
            reply(1, 1, 10, EchoJudgement::Counted),
            reply(0, 1, 10, EchoJudgement::Counted),
            failure(0, 2),
            request(1, 2),
            request(0, 3),
        ]);
        let labels = "address=\"192.0.2.1\",host=\"alpha\"";
        // The second scrape adds nothing.
        for _ in 0..2 {
            let text = metrics.text(Duration::from_millis(20)).unwrap();
            for line in [
                "sent_total{L} 5",
                "received_total{L} 2",
                "failed_total{L} 1",
                "in_flight{L} 2",
                "rtt_seconds_count{L} 2",
            ] {
                let line = format!("socklab_ping_{}", line.replace('L', labels));
                let found = text.lines().filter(|one| *one == line).count();
                assert_eq!(found, 1, "{line} in\n{text}");
            }
        }
    }

    #[test]
    fn counters_never_go_back() {
        let metrics = metrics(&[started(0, "alpha"), request(0, 1)]);
        let has = |at: u64, line: &str| {
            let text = metrics.text(Duration::from_secs(at)).unwrap();
            let labels = "{address=\"192.0.2.1\",host=\"alpha\"}";
            let line = line.replace("{}", labels);
            assert!(text.lines().any(|one| one == line), "{line} in\n{text}");
        };
        has(0, "socklab_ping_in_flight{} 1");
        has(5, "socklab_ping_lost_total{} 1");
        has(5, "socklab_ping_in_flight{} 0");
        metrics.record(&Event {
            at: Duration::from_secs(6),
            host: Place::Client,
            what: What::Echo(reply(0, 1, 6000, EchoJudgement::Counted)),
        });
        has(7, "socklab_ping_lost_total{} 1");
        has(7, "socklab_ping_late_total{} 1");
        has(7, "socklab_ping_received_total{} 1");
    }
}
