//! A bottleneck at work: a queue, the discipline that keeps it short, and the
//! server that it waits for.
//!
//! A packet's `due_at` is when it arrived while it waits, and when it leaves
//! once it is served. Without settings it lets what is left leave at once.

use std::time::Duration;

use super::codel::CoDel;
use super::draw::{Key, Purpose};
use super::outbox::Outbox;
use super::parcel::Parcel;
use super::queue::Queue;
use super::red::Red;
use super::server::Service;
use super::settings::{Bottleneck, Discipline};

/// A queue and its server.
#[derive(Debug)]
pub(super) struct Station {
    settings: Option<Bottleneck>,
    service: Option<Service>,
    keeper: Keeper,
    queue: Queue,
    serving: Option<Parcel>,
}

/// A queue discipline at work.
#[derive(Debug)]
enum Keeper {
    DropTail,
    CoDel(CoDel),
    Red(Red),
}

impl Keeper {
    fn new(settings: Option<&Bottleneck>) -> Self {
        match settings.map(|settings| (settings.discipline, settings.ecn)) {
            None | Some((Discipline::DropTail, _)) => Self::DropTail,
            Some((Discipline::CoDel { target, interval }, ecn)) => {
                Self::CoDel(CoDel::new(target, interval, ecn))
            }
            Some((
                Discipline::Red {
                    min,
                    max,
                    probability,
                },
                _,
            )) => Self::Red(Red::new(min, max, probability)),
        }
    }
}

impl Station {
    /// An empty one that begins at `now`.
    pub(super) fn new(settings: Option<&Bottleneck>, now: Duration) -> Self {
        Self {
            settings: settings.cloned(),
            service: settings.map(|settings| Service::new(&settings.server, now)),
            keeper: Keeper::new(settings),
            queue: Queue::default(),
            serving: None,
        }
    }

    /// Goes over to other settings. What did not change keeps its state; a
    /// packet that is being served keeps its time, unless it had none.
    pub(super) fn change(
        &mut self,
        settings: Option<&Bottleneck>,
        now: Duration,
        outbox: &mut Outbox,
    ) {
        if self.settings.as_ref() == settings {
            return;
        }
        let server = |settings: Option<&Bottleneck>| settings.map(|one| one.server.clone());
        if server(self.settings.as_ref()) != server(settings) {
            self.service = settings.map(|settings| Service::new(&settings.server, now));
        }
        let discipline = |settings: Option<&Bottleneck>| {
            settings.map(|settings| (settings.discipline, settings.ecn))
        };
        if discipline(self.settings.as_ref()) != discipline(settings) {
            self.keeper = Keeper::new(settings);
        }
        self.settings = settings.cloned();
        if self.due() == Some(Duration::MAX) {
            self.serve(now);
        }
        self.go_on(now, outbox);
    }

    /// Whether a packet that arrived now would leave at once.
    pub(super) fn is_open(&self) -> bool {
        self.settings.is_none() && self.serving.is_none()
    }

    /// Whether the next packet's turn will come by itself.
    pub(super) fn is_busy(&self) -> bool {
        self.due().is_some_and(|due| due < Duration::MAX)
    }

    /// Takes in a packet that is due here now, of the flow with this key.
    pub(super) fn arrive(&mut self, mut parcel: Parcel, flow: Key, outbox: &mut Outbox) {
        let now = parcel.due_at;
        if let (Keeper::Red(red), Some(settings)) = (&mut self.keeper, &self.settings) {
            let small = settings.server.time_for_a_typical_packet();
            let is_copy = parcel.changes.copy_of.is_some();
            let draws = flow.packet(parcel.place.index, is_copy);
            let draw = draws.unit(Purpose::RandomEarlyDetection);
            let is_refused = red.refuses(now, self.queue.bytes(), small, draw);
            if is_refused && !(settings.ecn && parcel.try_mark()) {
                outbox.lose(parcel, now, "RED".into());
                return;
            }
        }
        let has_room = self
            .settings
            .as_ref()
            .is_none_or(|settings| self.queue.has_room(settings.capacity, &parcel));
        if self.serving.is_some() && !has_room {
            outbox.lose(parcel, now, "queue full".into());
            return;
        }
        self.queue.push(parcel);
        self.go_on(now, outbox);
    }

    /// When the packet that is being served leaves.
    pub(super) fn due(&self) -> Option<Duration> {
        self.serving.as_ref().map(|parcel| parcel.due_at)
    }

    /// The packet that was served; the next one's turn comes.
    pub(super) fn leave(&mut self, outbox: &mut Outbox) -> Option<Parcel> {
        let parcel = self.serving.take()?;
        self.go_on(parcel.due_at, outbox);
        Some(parcel)
    }

    /// Takes all out, in no order.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Parcel> {
        self.serving.take().into_iter().chain(self.queue.drain())
    }

    fn go_on(&mut self, now: Duration, outbox: &mut Outbox) {
        if self.serving.is_some() {
            return;
        }
        self.serving = match &mut self.keeper {
            Keeper::CoDel(codel) => codel.take(now, &mut self.queue, outbox),
            Keeper::DropTail | Keeper::Red(_) => self.queue.pop(),
        };
        self.serve(now);
        if let (None, Keeper::Red(red)) = (&self.serving, &mut self.keeper) {
            red.idle(now);
        }
    }

    /// Says when the packet leaves whose turn has come.
    fn serve(&mut self, now: Duration) {
        if let Some(parcel) = &mut self.serving {
            let length = parcel.bytes().len();
            parcel.due_at = match &mut self.service {
                Some(service) => service.departure(now, length),
                None => now,
            };
        }
    }
}
