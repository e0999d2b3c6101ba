//! The wire's loop: read, ask the medium, hand over when due, record.
//!
//! It stamps a packet's departure before handing it over, so that whatever the
//! receiver does with it comes later. Where TCP states are wanted, it asks the
//! sender's kernel before a packet enters and the receiver's after it left, by
//! the packet's own five-tuple: so it sees SYN_RECV, LAST_ACK and TIME_WAIT,
//! which no descriptor shows.
//!
//! Where nothing is done to a direction's packets they go straight from device
//! to device, without a copy.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use nix::sys::prctl;

use super::ledger::Ledger;
use super::orders::{Order, Orders};
use super::quiet::Quiet;
use crate::error::errno_name;
use crate::event::{Changes, Fate, Packet, Topic, What};
use crate::flow::{Direction, FiveTuple, Kind};
use crate::impair::{Medium, Outcome, Parcel, Plan, Schedule, Verdict};
use crate::link::account::{NOT_IP, UNREADABLE, WireCount};
use crate::link::device::Port;
use crate::link::netlink::QUEUE;
use crate::packet::{Heading, LinkType, Transport};
use crate::recorder::Recorder;
use crate::socket::watch::StateWatch;

/// What the wire does, and how it waits.
#[derive(Debug, Clone)]
pub(in crate::link) struct Manner {
    /// What is done to packets.
    pub(in crate::link) plan: Plan,
    /// From when the plan's times count.
    pub(in crate::link) schedule: Schedule,
    /// How long before a packet is due, and after one has moved, the wire does
    /// not sleep but watches the clock and its devices.
    pub(in crate::link) spin: Duration,
}

/// The largest IP packet, and what a device may put before it.
const LARGEST: usize = 65_536 + 16;

/// How many packets one side may send before the other gets its turn.
const TURN: usize = 64;

/// How many turns empty a device whose queue is full, answers included.
const FULL_QUEUES: usize = 2 * QUEUE as usize / TURN + 1;

/// How often a connection is looked at that neither sends nor receives.
const SAMPLING: Duration = Duration::from_millis(10);

pub(super) struct Forwarder {
    recorder: Recorder,
    records_packets: bool,
    watch: Option<[StateWatch; 2]>,
    medium: Medium,
    spin: Duration,
    /// When a packet last moved.
    moved_at: Option<Duration>,
    ledger: Ledger,
    buffer: Vec<u8>,
    /// Buffers of packets that have left, for those to come.
    spare: Vec<Vec<u8>>,
    /// Who waits until nothing is under way.
    quiet: Quiet,
    /// When the kernels are asked how their connections do, packets or not.
    next_sample: Option<Duration>,
}

impl Forwarder {
    pub(super) fn new(manner: Manner, recorder: Recorder, watch: Option<[StateWatch; 2]>) -> Self {
        Self {
            records_packets: recorder.wants(Topic::Packet),
            recorder,
            next_sample: watch
                .as_ref()
                .filter(|[client, _]| client.is_sampling())
                .map(|_| SAMPLING),
            watch,
            medium: match manner.schedule {
                Schedule::AtOnce => Medium::new(manner.plan),
                Schedule::WhenStarted => Medium::waiting(manner.plan),
            },
            spin: manner.spin,
            moved_at: None,
            ledger: Ledger::new(),
            buffer: vec![0; LARGEST],
            spare: Vec::new(),
            quiet: Quiet::default(),
        }
    }

    pub(super) fn run(mut self, ports: &mut [Port; 2], orders: &Orders) -> io::Result<WireCount> {
        // The default of 50 µs would make every packet that much late. Where it
        // cannot be had, the lateness that the account states tells.
        let _ = prctl::set_timerslack(1);
        loop {
            let order = if self.is_watching() {
                orders.take()?
            } else {
                let [client, server] = &*ports;
                orders.wait([client, server], self.patience())?
            };
            // An order waits for what the devices hold, not for the traffic to
            // end: a flood does not end.
            let turns = if order.is_some() { FULL_QUEUES } else { 1 };
            self.sample();
            self.take_turns(turns, ports)?;
            match order {
                None => {}
                Some(Order::Settle(done)) => self.quiet.await_by(done, &self.medium),
                // Whoever asked may have gone; then nobody listens.
                Some(Order::StartSchedule(done)) => {
                    self.medium.start_schedule(self.clock());
                    let _ = done.send(());
                }
                Some(Order::Count(answer)) => drop(answer.send(self.count())),
                Some(Order::Stop) => return self.stop(ports),
            }
            while self.quiet.has_answers() {
                self.take_turns(FULL_QUEUES, ports)?;
                self.quiet.answers_taken(&self.medium);
            }
        }
    }

    /// How long the loop may sleep.
    fn patience(&self) -> Option<Duration> {
        let due = self.medium.next_deadline();
        let due = due.map(|due| due.saturating_sub(self.spin));
        let next = due.into_iter().chain(self.next_sample).min()?;
        Some(next.saturating_sub(self.clock()))
    }

    /// Whether the loop goes round without sleeping: whoever sleeps wakes late,
    /// and then neither leaves a packet in time nor is it known when one came.
    fn is_watching(&self) -> bool {
        if self.spin.is_zero() {
            return false;
        }
        let now = self.clock();
        let due = self.medium.next_deadline();
        due.is_some_and(|due| due.saturating_sub(now) <= self.spin)
            || self.moved_at.is_some_and(|at| now < at + self.spin)
    }

    /// Looks at the connections of both kernels, where it is time to.
    fn sample(&mut self) {
        let (Some(next), Some([client, server])) = (self.next_sample, &mut self.watch) else {
            return;
        };
        let now = self.recorder.clock().now();
        if now >= next {
            client.sample_all(now);
            server.sample_all(now);
            self.next_sample = Some(now + SAMPLING);
        }
    }

    /// Forwards what waits on both sides and what is due.
    fn take_turns(&mut self, turns: usize, ports: &mut [Port; 2]) -> io::Result<()> {
        self.release(self.clock(), ports);
        for _ in 0..turns {
            let up = self.turn(Direction::ClientToServer, ports)?;
            let down = self.turn(Direction::ServerToClient, ports)?;
            if up == 0 && down == 0 {
                break;
            }
            self.note_movement();
        }
        Ok(())
    }

    /// From now on the wire watches its devices for a while, where it does so at
    /// all.
    fn note_movement(&mut self) {
        if !self.spin.is_zero() {
            self.moved_at = Some(self.clock());
        }
    }

    /// Takes in what waits on one side; returns how many packets that was.
    fn turn(&mut self, direction: Direction, ports: &mut [Port; 2]) -> io::Result<usize> {
        let is_transparent = self.medium.is_transparent(direction);
        for taken in 0..TURN {
            let [from, to] = facing(ports, direction);
            match from.receive(&mut self.buffer) {
                Ok(length) if is_transparent => self.pass(direction, length, to),
                Ok(length) => self.take_in(direction, length, ports),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(taken),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(TURN)
    }

    /// Forwards what is in the buffer as it is.
    fn pass(&mut self, direction: Direction, filled: usize, to: &mut Port) {
        let sent_at = self.now();
        let whole = to.prelude().min(filled)..filled;
        let length = whole.len();
        let bytes = &self.buffer[whole];
        let (id, place) = self.medium.note(direction, bytes);
        let conversation = self.conversation(bytes);
        self.look(conversation, direction, sent_at);
        // Stamped before the packet is handed over: whatever the receiver's
        // kernel and program make of it comes after.
        let departed_at = self.now();
        let bytes = &self.buffer[filled - length..filled];
        let written = to.transmit(&self.buffer[..filled]);
        let is_taken = written.is_ok();
        let fate = match written {
            Ok(_) => Fate::Delivered,
            Err(error) => refusal(&error, bytes),
        };
        self.ledger.passed(direction, place, length, &fate);
        if self.records_packets {
            let packet = Packet {
                id,
                direction,
                link: LinkType::Raw,
                bytes: Cow::Borrowed(bytes),
                sent_at,
                fate,
                changes: Changes::default(),
                place: Some(place),
                due_at: None,
                delivered_at: is_taken.then_some(departed_at),
            };
            self.recorder.record(sent_at, What::Packet(packet));
        }
        let answering = conversation.map(FiveTuple::mirrored);
        self.look(answering, direction.reversed(), departed_at);
    }

    /// Gives the packet in the buffer to the medium.
    fn take_in(&mut self, direction: Direction, length: usize, ports: &mut [Port; 2]) {
        let now = self.clock();
        self.release(now, ports);
        let conversation = self.conversation(&self.buffer[..length]);
        self.look(conversation, direction, now);
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(&self.buffer[..length]);
        let place = self.medium.offer(direction, now, bytes);
        self.ledger.offered(direction, place, length);
        self.release(now, ports);
    }

    /// Hands over what is due at `now`, and records what was lost.
    fn release(&mut self, now: Duration, ports: &mut [Port; 2]) {
        while let Some(outcome) = self.medium.poll(now) {
            self.note_movement();
            let Outcome { parcel, verdict } = outcome;
            self.quiet.ended(parcel.id);
            match verdict {
                Verdict::Deliver => {
                    let [_, to] = facing(ports, parcel.direction);
                    self.hand_over(parcel, to);
                }
                Verdict::Lost(cause) => {
                    self.ledger.lost(&parcel, cause.clone());
                    self.record(parcel, Fate::Lost { cause }, None);
                }
            }
        }
    }

    fn hand_over(&mut self, parcel: Parcel, to: &mut Port) {
        let departed_at = self.clock();
        match to.transmit(parcel.bytes()) {
            Ok(_) => {
                self.ledger.delivered(&parcel, departed_at);
                let direction = parcel.direction;
                let conversation = self.conversation(parcel.bytes());
                self.record(parcel, Fate::Delivered, Some(departed_at));
                let answering = conversation.map(FiveTuple::mirrored);
                self.look(answering, direction.reversed(), departed_at);
            }
            // No device takes bytes that are no IP packet any more.
            Err(_) if !parcel.changes.spare_bytes() => {
                let cause = Cow::Borrowed(UNREADABLE);
                self.ledger.lost(&parcel, cause.clone());
                self.record(parcel, Fate::Lost { cause }, None);
            }
            Err(error) => {
                let fate = refusal(&error, parcel.bytes());
                self.ledger.refused(&parcel, &fate);
                self.record(parcel, fate, None);
            }
        }
    }

    /// Records a packet whose way has ended, and keeps its buffer.
    fn record(&mut self, parcel: Parcel, fate: Fate, delivered_at: Option<Duration>) {
        if self.records_packets {
            let packet = Packet {
                id: parcel.id,
                direction: parcel.direction,
                link: LinkType::Raw,
                bytes: Cow::Borrowed(&parcel.sent),
                sent_at: parcel.sent_at,
                fate,
                changes: parcel.changes,
                place: Some(parcel.place),
                due_at: (parcel.due_at > parcel.sent_at).then_some(parcel.due_at),
                delivered_at,
            };
            self.recorder.record(parcel.sent_at, What::Packet(packet));
        }
        if self.spare.len() < TURN {
            self.spare.push(parcel.sent);
        }
    }

    fn stop(mut self, ports: &mut [Port; 2]) -> io::Result<WireCount> {
        self.release(self.clock(), ports);
        for parcel in self.medium.abandon() {
            self.ledger.queued(&parcel);
            self.record(parcel, Fate::Queued, None);
        }
        let mut count = self.count();
        for port in ports {
            count.overrun += port.dropped()?;
        }
        Ok(count)
    }

    fn count(&self) -> WireCount {
        let mut count = self.ledger.count(self.medium.flows());
        count.under_way = self.medium.in_flight() as u64;
        count
    }

    /// The conversation of a TCP packet, where anybody watches its states.
    fn conversation(&self, bytes: &[u8]) -> Option<FiveTuple> {
        self.watch.as_ref()?;
        tcp_conversation(&Heading::of(bytes)?)
    }

    /// Looks at a connection's state in the kernel at the sending end of a
    /// direction.
    fn look(&mut self, conversation: Option<FiveTuple>, direction: Direction, at: Duration) {
        if let (Some([client, server]), Some(tuple)) = (&mut self.watch, conversation) {
            match direction {
                Direction::ClientToServer => client.look(tuple, at),
                Direction::ServerToClient => server.look(tuple, at),
            }
        }
    }

    fn clock(&self) -> Duration {
        self.recorder.clock().now()
    }

    /// The time, where anybody wants to know it.
    fn now(&self) -> Duration {
        if self.records_packets || self.watch.is_some() {
            self.clock()
        } else {
            Duration::ZERO
        }
    }
}

/// The port a direction's packets come from, and the one they go to.
fn facing([client, server]: &mut [Port; 2], direction: Direction) -> [&mut Port; 2] {
    match direction {
        Direction::ClientToServer => [client, server],
        Direction::ServerToClient => [server, client],
    }
}

/// The fate of a packet that the receiving device refused: none takes what is no
/// IP packet.
fn refusal(error: &io::Error, bytes: &[u8]) -> Fate {
    let cause = if Heading::of(bytes).is_some() {
        Cow::Owned(format!("device: {}", errno_name(error)))
    } else {
        Cow::Borrowed(NOT_IP)
    };
    Fate::Lost { cause }
}

/// The five-tuple of a TCP packet, as its sender names it.
fn tcp_conversation(heading: &Heading) -> Option<FiveTuple> {
    match heading.transport {
        Transport::Tcp {
            source,
            destination,
            ..
        } => Some(FiveTuple {
            protocol: Kind::Tcp,
            local: SocketAddr::new(heading.source, source),
            remote: SocketAddr::new(heading.destination, destination),
        }),
        _ => None,
    }
}
