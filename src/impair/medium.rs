//! Both directions of a wire: takes packets in, gives them back when they are
//! due, each with its fate.

use std::time::Duration;

use super::flow_name::FlowName;
use super::flows::FlowTable;
use super::parcel::{Outcome, Parcel};
use super::path::Path;
use super::settings::Plan;
use crate::event::{Changes, InFlow};
use crate::flow::Direction;
use crate::packet::Heading;

/// Both directions of a wire.
#[derive(Debug)]
pub struct Medium {
    paths: [Path; 2],
    transparent: [bool; 2],
    flows: FlowTable,
    last_id: u64,
}

impl Medium {
    /// A medium that does what `plan` says, whose times count from 0.
    pub fn new(plan: Plan) -> Self {
        let mut medium = Self::waiting(plan);
        medium.start_schedule(Duration::ZERO);
        medium
    }

    /// A medium that does what `plan` says first, and does not change until
    /// [`start_schedule`](Self::start_schedule).
    pub fn waiting(plan: Plan) -> Self {
        let transparent = [plan.up.is_transparent(), plan.down.is_transparent()];
        let up = Path::new(plan.up, plan.seed, Direction::ClientToServer);
        let down = Path::new(plan.down, plan.seed, Direction::ServerToClient);
        Self {
            paths: [up, down],
            transparent,
            flows: FlowTable::default(),
            last_id: 0,
        }
    }

    /// Counts the times of the plan's changes from `now`, once. Whatever is due
    /// before must have been polled.
    pub fn start_schedule(&mut self, now: Duration) {
        for path in &mut self.paths {
            path.start_schedule(now);
        }
    }

    /// Whether packets of this direction pass as they are, at once, and always
    /// will: such packets need only be [noted](Self::note).
    pub fn is_transparent(&self, direction: Direction) -> bool {
        self.transparent[direction as usize]
    }

    /// Numbers a packet that passes as it is: its id and its place.
    pub fn note(&mut self, direction: Direction, bytes: &[u8]) -> (u64, InFlow) {
        let heading = Heading::of(bytes);
        let placed = self.flows.place(direction, heading.as_ref());
        self.last_id += 1;
        (self.last_id, placed.place)
    }

    /// Takes a packet in, and says where it stands. Whatever is due before `now`
    /// must have been polled.
    pub fn offer(&mut self, direction: Direction, now: Duration, bytes: Vec<u8>) -> InFlow {
        let heading = Heading::of(&bytes);
        let placed = self.flows.place(direction, heading.as_ref());
        self.last_id += 1;
        let parcel = Parcel {
            id: self.last_id,
            direction,
            place: placed.place,
            sent_at: now,
            due_at: now,
            changes: Changes::default(),
            sent: bytes,
            altered: None,
        };
        let last_id = &mut self.last_id;
        let path = &mut self.paths[direction as usize];
        path.offer(parcel, heading.as_ref(), placed.identity, || {
            *last_id += 1;
            *last_id
        });
        placed.place
    }

    /// The next packet whose way has ended by `now`, in the order of `due_at`,
    /// then of ids.
    pub fn poll(&mut self, now: Duration) -> Option<Outcome> {
        for path in &mut self.paths {
            path.advance(now);
        }
        self.paths
            .iter_mut()
            .filter_map(|path| Some((path.first()?.parcel.key(), path)))
            .filter(|((due, _), _)| *due <= now)
            .min_by_key(|(key, _)| *key)
            .and_then(|(_, path)| path.pop())
    }

    /// When [`poll`](Self::poll) will next have something, or packets must be
    /// moved on for it to have it in time.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.paths.iter().filter_map(Path::deadline).min()
    }

    /// The conversations so far; the first is flow 1.
    pub fn flows(&self) -> &[FlowName] {
        self.flows.names()
    }

    /// Packets under way; those whose way has ended, polled or not, are not.
    pub fn in_flight(&self) -> usize {
        let packets: u64 = self.paths.iter().map(|path| path.in_flight().packets).sum();
        usize::try_from(packets).unwrap_or(usize::MAX)
    }

    /// The number of the last packet that entered or was made.
    pub fn last_id(&self) -> u64 {
        self.last_id
    }

    /// Takes out what is still under way, in the order of ids. What has ended
    /// and was not polled stays to be polled.
    pub fn abandon(&mut self) -> Vec<Parcel> {
        let mut parcels: Vec<Parcel> = self.paths.iter_mut().flat_map(Path::abandon).collect();
        parcels.sort_unstable_by_key(|parcel| parcel.id);
        parcels
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Medium;
    use crate::flow::Direction;
    use crate::impair::{
        Bottleneck, Capacity, Chance, Course, Delay, Discipline, Framing, Loss, Plan, Server,
        Settings, Verdict,
    };
    use crate::units::{Probability, Rate};

    const MS: Duration = Duration::from_millis(1);

    fn plan(first: Settings) -> Plan {
        Plan {
            seed: 1,
            up: Course {
                first,
                changes: Vec::new(),
            },
            down: Course::default(),
        }
    }

    fn polled(medium: &mut Medium) -> Vec<(u64, u128, Verdict)> {
        let mut outcomes = Vec::new();
        while let Some(deadline) = medium.next_deadline() {
            while let Some(outcome) = medium.poll(deadline) {
                let at = outcome.parcel.due_at.as_micros();
                outcomes.push((outcome.parcel.id, at, outcome.verdict));
            }
        }
        outcomes
    }

    #[test]
    fn delay_rate_and_queue_act_one_after_the_other() {
        let mut medium = Medium::new(plan(Settings {
            delay: Delay {
                base: 10 * MS,
                ..Delay::default()
            },
            bottleneck: Some(Bottleneck {
                server: Server::Rate {
                    rate: Rate(8_000_000),
                    framing: Framing::default(),
                },
                capacity: Capacity::Packets(1),
                discipline: Discipline::DropTail,
                ecn: false,
            }),
            ..Settings::default()
        }));
        for _ in 0..3 {
            medium.offer(Direction::ClientToServer, MS, vec![0; 1000]);
        }
        assert_eq!(medium.in_flight(), 3);
        assert_eq!(medium.next_deadline(), Some(11 * MS));
        assert_eq!(
            polled(&mut medium),
            [
                (3, 11_000, Verdict::Lost("queue full".into())),
                (1, 12_000, Verdict::Deliver),
                (2, 13_000, Verdict::Deliver),
            ]
        );
        assert_eq!(medium.in_flight(), 0);
    }

    #[test]
    fn duplicate_and_loss_together_give_exactly_one() {
        let always = Chance {
            probability: Probability::ALWAYS,
            ..Chance::default()
        };
        for (loss, expected) in [(Loss::Random(always), vec![1]), (Loss::None, vec![1, 2])] {
            let mut medium = Medium::new(plan(Settings {
                duplicate: always,
                loss,
                ..Settings::default()
            }));
            medium.offer(Direction::ClientToServer, MS, vec![0; 1000]);
            let ids: Vec<u64> = polled(&mut medium).iter().map(|(id, ..)| *id).collect();
            assert_eq!(ids, expected);
        }
    }

    #[test]
    fn what_is_under_way_is_given_up_in_order() {
        let mut medium = Medium::new(Plan {
            down: plan(Settings {
                delay: Delay {
                    base: MS,
                    ..Delay::default()
                },
                ..Settings::default()
            })
            .up,
            ..plan(Settings {
                delay: Delay {
                    base: 5 * MS,
                    ..Delay::default()
                },
                ..Settings::default()
            })
        });
        for direction in [Direction::ClientToServer, Direction::ServerToClient] {
            medium.offer(direction, MS, vec![0; 10]);
            medium.offer(direction, MS, vec![0; 10]);
        }
        assert_eq!(
            medium.poll(2 * MS).map(|outcome| outcome.parcel.id),
            Some(3)
        );
        let ids: Vec<u64> = medium.abandon().iter().map(|parcel| parcel.id).collect();
        assert_eq!(ids, [1, 2]);
        assert_eq!(medium.in_flight(), 0);
        assert_eq!(
            medium.poll(2 * MS).map(|outcome| outcome.parcel.id),
            Some(4)
        );
        assert_eq!(medium.next_deadline(), None);
    }

    #[test]
    fn packets_that_are_noted_are_numbered_like_those_that_are_offered() {
        let mut medium = Medium::new(plan(Settings {
            limit: Some(9),
            ..Settings::default()
        }));
        let (up, down) = (Direction::ClientToServer, Direction::ServerToClient);
        assert!(medium.is_transparent(down) && !medium.is_transparent(up));
        let offered = medium.offer(up, MS, vec![0; 10]);
        let (id, noted) = medium.note(down, &[0; 10]);
        assert_eq!((id, medium.last_id()), (2, 2));
        assert_eq!((offered.flow, offered.index), (1, 1));
        assert_eq!((noted.flow, noted.index), (1, 1));
        assert_eq!(medium.flows().len(), 1);
        assert_eq!(medium.flows()[0].to_string(), "not IP");
    }

    #[test]
    fn a_schedule_waits_to_be_started() {
        let loss = Settings {
            loss: Loss::Random(Chance {
                probability: Probability::ALWAYS,
                ..Chance::default()
            }),
            ..Settings::default()
        };
        let plan = Plan {
            up: Course {
                first: Settings::default(),
                changes: vec![(MS, loss), (3 * MS, Settings::default())],
            },
            ..Plan::default()
        };
        let mut medium = Medium::waiting(plan);
        assert_eq!(medium.next_deadline(), None);
        let send = |medium: &mut Medium, at: u32| {
            medium.offer(Direction::ClientToServer, at * MS, vec![0; 10]);
            let outcome = medium.poll(at * MS).expect("nothing takes time");
            outcome.verdict == Verdict::Deliver
        };
        assert!(send(&mut medium, 10));
        medium.start_schedule(20 * MS);
        medium.start_schedule(40 * MS);
        let arrived: Vec<bool> = [20, 21, 22, 23].map(|at| send(&mut medium, at)).into();
        assert_eq!(arrived, [true, false, false, true]);
    }

    #[test]
    fn a_medium_may_be_sent_to_its_thread() {
        fn must_be_send<T: Send>() {}
        must_be_send::<Medium>();
    }
}
