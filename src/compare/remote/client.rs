//! `socklab compare HOST`: the run against a server, from the first word to the
//! outcome.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::caller::{Caller, Report};
use super::clocks::Clocks;
use super::offset::{Estimate, Offset};
use super::protocol::{Arrival, Ask, Plan, Receipts};
use super::way::{self, Way};
use crate::compare::lane::{Arrived, Dispatched, GLANCE, Heard, Sending, dispatch, privilege};
use crate::compare::play::Played;
use crate::compare::{Column, Config, Identity, Mark, Order, Outcome, Refused, Variant, figures};
use crate::error::{Error, Exit};
use crate::flow::Kind;
use crate::recorder::Recorder;
use crate::socket::TcpInfo;

/// What is known of a run against another machine.
#[derive(Debug)]
pub struct Ran {
    /// As of a run on a link, with the server's times on the client's clock.
    pub outcome: Outcome,
    /// How the two clocks stand.
    pub clocks: Clocks,
    /// Why the server ended the run, where it did.
    pub cut: Option<String>,
}

/// The longest time that a server is asked to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Sends the messages to the server at `peer` and gets its report. `stop` ends
/// the sending early; what was sent is judged all the same.
pub fn run(
    config: &Config,
    peer: SocketAddr,
    recorder: &Recorder,
    stop: &AtomicBool,
) -> Result<Ran, Error> {
    let mut caller = Caller::open(peer, recorder, stop)?;
    let mut trips = caller.measure()?;
    let before = Estimate::best(&trips);
    let plan = plan(config);
    let offers = caller.plan(plan.clone())?;
    let mut refused = Vec::new();
    let mut ways = Vec::new();
    // What the server offers beyond the plan is nobody's.
    for &variant in &config.variants {
        let offer = offers.iter().find(|offer| offer.kind == variant.name());
        let opened = match offer {
            Some(offer) => way::open((variant, offer), config, &caller, recorder),
            None => Err("the server says nothing of it".to_owned()),
        };
        match opened {
            Ok(way) => ways.push(way),
            Err(why) => refused.push(silent(variant, why)),
        }
    }
    caller.go()?;
    let rounds = match config.order {
        Order::AtOnce => vec![ways],
        Order::InTurn => ways.into_iter().map(|way| vec![way]).collect(),
    };
    let mut sent = Vec::new();
    for ways in rounds {
        sent.extend(send(config, ways, (&caller, recorder, stop))?);
    }
    let count = sent.iter().map(Sent::count).max().unwrap_or_default();
    let report = caller.end(count, &plan)?;
    // A server that was stopped has nothing more to say.
    let later = report
        .cut
        .is_none()
        .then(|| caller.measure().ok())
        .flatten();
    let after = later.as_deref().and_then(Estimate::best);
    trips.extend(later.unwrap_or_default());
    let wall_origin = caller.wall_origin;
    caller.leave();
    let offset = before.map(|before| Offset::new(before, after));
    let offset = offset.ok_or_else(|| Error::new("ask the time of", peer, "no answer"))?;
    let mut clocks = Clocks::new(
        &offset,
        &trips,
        (recorder.clock().wall_origin(), wall_origin),
    );
    let cut = report.cut.clone();
    let mut columns = judge(config, sent, report, &offset);
    columns.extend(refused);
    columns.sort_by_key(|column| column.variant);
    clocks.withhold(&mut columns);
    Ok(Ran {
        outcome: Outcome {
            planned: config.schedule.count(),
            sent_messages: count,
            columns,
        },
        clocks,
        cut,
    })
}

fn plan(config: &Config) -> Plan {
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let ask = |variant: &Variant| {
        let (echo, protocol) = match config.mark(*variant) {
            Mark::Echo(identifier) => (Some(identifier), None),
            Mark::Protocol(protocol) => (None, Some(protocol)),
            Mark::Tcp(_) | Mark::Udp(_) => (None, None),
        };
        Ask {
            kind: variant.name().into(),
            echo,
            protocol,
        }
    };
    let schedule = &config.schedule;
    let rounds = match config.order {
        Order::AtOnce => 1,
        Order::InTurn => u32::try_from(config.variants.len()).unwrap_or(u32::MAX),
    };
    Plan {
        kinds: config.variants.iter().map(ask).collect(),
        count: schedule.count(),
        size: schedule.sizes.largest(),
        bytes: schedule.plan().map(|planned| u64::from(planned.size)).sum(),
        duration_ns: nanoseconds(schedule.length().saturating_mul(rounds)),
        patience_ns: nanoseconds(config.patience.min(LONGEST_WAIT)),
        timeout_ns: nanoseconds(config.timeout.min(LONGEST_WAIT)),
        seed: schedule.seed,
    }
}

/// What one lane sent.
struct Sent {
    variant: Variant,
    client: Identity,
    server: SocketAddr,
    set_up: Duration,
    start: Duration,
    dispatched: Dispatched,
    closing: Option<Duration>,
    info: Option<TcpInfo>,
}

impl Sent {
    fn count(&self) -> u32 {
        u32::try_from(self.dispatched.messages.len()).unwrap_or(u32::MAX)
    }
}

/// Sends on every way at once, until the schedule ends, `stop` is set, or the
/// server says something unasked: that it ends the run.
fn send(
    config: &Config,
    ways: Vec<Way>,
    (caller, recorder, stop): (&Caller<'_>, &Recorder, &AtomicBool),
) -> Result<Vec<Sent>, Error> {
    let clock = recorder.clock();
    let (halt, done) = (AtomicBool::new(false), AtomicBool::new(false));
    let sending = Sending {
        schedule: &config.schedule,
        start: clock.now(),
        clock,
        stops: [stop, &halt],
        timeout: config.timeout,
        patience: config.patience,
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = ways
            .into_iter()
            .map(|way| {
                scope.spawn(|| {
                    let sent = send_one(way, &sending);
                    halt.fetch_or(sent.is_err(), Ordering::Relaxed);
                    sent
                })
            })
            .collect();
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                if caller.is_called(GLANCE) {
                    halt.store(true, Ordering::Relaxed);
                    return;
                }
            }
        });
        let sent = threads.into_iter().map(|thread| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        let sent: Vec<_> = sent.collect();
        done.store(true, Ordering::Relaxed);
        sent.into_iter().collect()
    })
}

fn send_one(way: Way, sending: &Sending<'_>) -> Result<Sent, Error> {
    let (variant, clock) = (way.variant, sending.clock);
    let failed = |operation| move |error: std::io::Error| Error::new(operation, variant, error);
    let mut sender = way.client.sender;
    let dispatched = dispatch(&mut sender, sending);
    let finished_at = clock.now();
    // Whatever happened, the server learns that no more will come.
    let finished = sender.finish().map_err(failed("shutdown"));
    let dispatched = dispatched.and_then(|sent| finished.map(|()| sent))?;
    let parted = sender
        .part(clock, &|stuck| sending.give_up(stuck))
        .map_err(failed("close"))?;
    let closed_at = parted.and_then(|parted| parted.at);
    Ok(Sent {
        variant,
        client: way.client.identity,
        server: way.server,
        set_up: way.client.set_up,
        start: sending.start,
        dispatched,
        closing: closed_at.map(|at| at.saturating_sub(finished_at)),
        info: parted.map(|parted| parted.info),
    })
}

/// Sets what the server heard beside what was sent.
fn judge(config: &Config, sent: Vec<Sent>, mut report: Report, offset: &Offset) -> Vec<Column> {
    let judged = sent.into_iter().map(|sent| {
        let variant = sent.variant;
        let Some((arrivals, reads)) = report.kinds.remove(&variant) else {
            return silent(variant, "the server heard nothing of it".into());
        };
        // A kind that proved itself lost its messages; one that could not may
        // never have had a way.
        if variant.kind() == Kind::Raw && arrivals.is_empty() && reads.reads == 0 {
            let count = sent.count();
            let why = format!("nothing arrived of {count} messages; a firewall may drop them");
            return silent(variant, why);
        }
        let heard = heard(&sent, &arrivals, reads, offset);
        let played = Played {
            variant,
            client: sent.client,
            server: Identity {
                address: sent.server.ip(),
                port: (variant.kind() != Kind::Raw).then_some(sent.server.port()),
            },
            set_up: sent.set_up,
            start: sent.start,
            sent: sent.dispatched,
            heard,
            closing: sent.closing,
            info: sent.info,
        };
        let mut column = figures::column(&played, config.deadline);
        if let Ok(figures) = &mut column.result {
            let copies = u32::try_from(reads.unlisted_copies).unwrap_or(u32::MAX);
            figures.arrivals.duplicated = figures.arrivals.duplicated.saturating_add(copies);
        }
        column
    });
    judged.collect()
}

/// What a receiver on this machine would have heard.
fn heard(sent: &Sent, arrivals: &[Arrival], reads: Receipts, offset: &Offset) -> Heard {
    let arrived = arrivals.iter().filter_map(|arrival| {
        let index = (arrival.number as usize).checked_sub(1)?;
        // The server cannot have what was never sent.
        let sent_at = sent.dispatched.messages.get(index)?.1?;
        Some(Arrived {
            number: arrival.number,
            size: arrival.bytes,
            sent_at,
            at: offset.on_clients_clock(Duration::from_nanos(arrival.at_ns)),
        })
    });
    Heard {
        arrived: arrived.collect(),
        damaged: reads.corrupted,
        reads: reads.reads,
        reads_of_one_message: reads.reads_of_one_message,
        drops: reads.dropped,
    }
}

fn silent(variant: Variant, refused: String) -> Column {
    Column {
        variant,
        privilege: privilege(variant),
        result: Err(Refused {
            refused,
            exit: Exit::Other,
        }),
        messages: Vec::new(),
    }
}
