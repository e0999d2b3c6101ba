//! The run's clock and the sink, in the hand of whoever sees something happen.
//!
//! One [`Clock`] a run, so that times from both ends and from the wire can be
//! compared. A [`Recorder`] adds where its holder stands. Makes no event that
//! the sink does not want.

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use crate::error::errno_name;
use crate::event::{Call, Event, Note, Outcome, Place, Sink, SocketName, Topic, What};

/// The time since the run began, from the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
    wall: SystemTime,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self {
            origin: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// The time since the start.
    pub fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    /// The start in wall-clock time, for formats that need a date.
    pub fn wall_origin(&self) -> SystemTime {
        self.wall
    }
}

/// Records what is seen at one place.
#[derive(Clone)]
pub struct Recorder {
    place: Place,
    clock: Clock,
    sink: Arc<dyn Sink>,
}

impl Recorder {
    /// A recorder for what happens at `place`.
    pub fn new(place: Place, clock: Clock, sink: Arc<dyn Sink>) -> Self {
        Self { place, clock, sink }
    }

    /// The same run seen from another place.
    #[must_use]
    pub fn at(&self, place: Place) -> Self {
        Self {
            place,
            ..self.clone()
        }
    }

    /// Where this recorder stands.
    pub fn place(&self) -> Place {
        self.place
    }

    /// The run's clock.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Whether anybody listens to this topic.
    pub fn wants(&self, topic: Topic) -> bool {
        self.sink.wants(topic)
    }

    /// Records something that happened at `at`.
    pub fn record(&self, at: Duration, what: What<'_>) {
        self.sink.record(&Event {
            at,
            host: self.place,
            what,
        });
    }

    /// Records one sentence for the reader.
    pub fn note(&self, text: impl Display) {
        if self.wants(Topic::Note) {
            let text = text.to_string();
            self.record(self.clock.now(), What::Note(Note { text }));
        }
    }

    /// Makes one system call and records it: its arguments, how long the
    /// program was inside, and what came back.
    pub fn call<T>(
        &self,
        socket: &SocketName,
        name: &'static str,
        arguments: impl Display,
        run: impl FnOnce() -> io::Result<T>,
        returned: impl FnOnce(&T) -> Returned,
    ) -> io::Result<T> {
        if !self.wants(Topic::Call) {
            return run();
        }
        let at = self.clock.now();
        let result = run();
        let took = self.clock.now().saturating_sub(at);
        let outcome = match &result {
            Ok(value) => {
                let Returned { value, detail } = returned(value);
                Outcome::Returned {
                    returned: value,
                    detail,
                }
            }
            Err(error) => Outcome::Failed {
                errno: errno_name(error),
            },
        };
        let call = Call {
            socket: socket.clone(),
            name,
            arguments: arguments.to_string(),
            outcome,
            took,
        };
        self.record(at, What::Call(call));
        result
    }
}

/// Hands events to another sink on a thread of its own, so that whoever records
/// them does not wait for that sink's output: a wire that writes JSON between
/// two packets would be a slower wire.
///
/// The queue is bounded; a run that outpaces the output by this much waits, or
/// leaves events out and counts them. Dropping the relay waits until all has been
/// handed over.
pub struct Relay {
    sink: Arc<dyn Sink>,
    queue: Option<SyncSender<Event<'static>>>,
    thread: Option<JoinHandle<()>>,
    when_full: WhenFull,
    missed: AtomicU64,
}

/// What a relay does with an event that finds its queue full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WhenFull {
    Wait,
    Miss,
}

impl Relay {
    /// A relay to `sink` that loses nothing: who records may have to wait.
    pub fn to(sink: Arc<dyn Sink>) -> io::Result<Self> {
        Self::start(sink, WhenFull::Wait)
    }

    /// A relay to `sink` that nobody waits for: what finds no room is
    /// [missed](Self::missed).
    pub fn without_waiting(sink: Arc<dyn Sink>) -> io::Result<Self> {
        Self::start(sink, WhenFull::Miss)
    }

    /// How many events found no room.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// Takes no more events, and waits for those that were taken to be handed
    /// over, but no longer than `patience`. Whether they have been.
    pub fn end_within(&mut self, patience: Duration) -> bool {
        /// How often to look.
        const GLANCE: Duration = Duration::from_millis(5);
        self.queue = None;
        let deadline = Instant::now() + patience;
        while let Some(thread) = &self.thread {
            if thread.is_finished() {
                return true;
            }
            if Instant::now() >= deadline {
                // Whoever drops the relay does not wait for it either.
                self.thread = None;
                return false;
            }
            std::thread::sleep(GLANCE);
        }
        true
    }

    fn start(sink: Arc<dyn Sink>, when_full: WhenFull) -> io::Result<Self> {
        const LONGEST: usize = 100_000;
        let (queue, events) = sync_channel::<Event<'static>>(LONGEST);
        let target = Arc::clone(&sink);
        let thread = std::thread::Builder::new()
            .name("relay".into())
            .spawn(move || events.into_iter().for_each(|event| target.record(&event)))?;
        Ok(Self {
            sink,
            queue: Some(queue),
            thread: Some(thread),
            when_full,
            missed: AtomicU64::new(0),
        })
    }
}

impl Sink for Relay {
    fn wants(&self, topic: Topic) -> bool {
        self.sink.wants(topic)
    }

    fn record(&self, event: &Event<'_>) {
        if let Some(queue) = &self.queue {
            let event = event.clone().into_owned();
            // The thread takes events as long as there is a queue.
            let is_full = match self.when_full {
                WhenFull::Wait => queue.send(event).is_err(),
                WhenFull::Miss => queue.try_send(event).is_err(),
            };
            if is_full {
                self.missed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic in the sink was printed by its thread.
            let _ = thread.join();
        }
    }
}

/// What a successful call gave back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned {
    /// The return value.
    pub value: i64,
    /// What came with it.
    pub detail: Option<String>,
}

impl Returned {
    /// The return value 0, and nothing with it.
    pub const ZERO: Self = Self {
        value: 0,
        detail: None,
    };

    /// The return value 0, and something through a pointer argument.
    pub fn with(detail: impl Display) -> Self {
        Self {
            value: 0,
            detail: Some(detail.to_string()),
        }
    }

    /// A count of bytes.
    pub fn bytes(count: usize) -> Self {
        Self {
            value: i64::try_from(count).unwrap_or(i64::MAX),
            detail: None,
        }
    }

    /// Adds what came with it.
    #[must_use]
    pub fn and(self, detail: impl Display) -> Self {
        Self {
            detail: Some(detail.to_string()),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Recording, Silence};

    /// Recording costs nothing where nobody listens: arguments and results are
    /// not even written down.
    #[test]
    fn a_call_that_nobody_records_formats_nothing() {
        struct Loud;
        impl Display for Loud {
            fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                unreachable!("nobody asked")
            }
        }
        let recorder = Recorder::new(Place::Client, Clock::start(), Arc::new(Silence));
        let name = SocketName::from("any");
        let result = recorder.call(
            &name,
            "send",
            Loud,
            || Ok(5),
            |_| unreachable!("nobody asked"),
        );
        assert_eq!(result.expect("it succeeds"), 5);
        recorder.note(Loud);
    }

    #[test]
    fn a_relay_hands_over_everything_in_order_before_it_ends() {
        let recording = Arc::new(Recording::new());
        let relay = Relay::to(recording.clone()).expect("a thread");
        let recorder = Recorder::new(Place::Wire, Clock::start(), Arc::new(relay));
        for number in 0..1000 {
            recorder.note(number);
        }
        drop(recorder);
        let notes: Vec<String> = recording
            .take()
            .into_iter()
            .filter_map(|event| match event.what {
                What::Note(note) => Some(note.text),
                _ => None,
            })
            .collect();
        let expected: Vec<String> = (0..1000).map(|number: u32| number.to_string()).collect();
        assert_eq!(notes, expected);
    }
}
