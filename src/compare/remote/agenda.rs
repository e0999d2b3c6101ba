//! What a client may say when: the server's half of a session as a state
//! machine.
//!
//! Pure: what was said in, what to do out. Anything out of turn is a refusal.
//!
//! ```text
//!  greeting ──hello──► welcomed ──plan──► planned ──go──► running ──end──► ended ──bye──►
//!                        └──────────────── ping, at any time from here ────────────┘
//! ```

use std::time::Duration;

use super::limits::Limits;
use super::protocol::{ClientSays, Plan, VERSION};

/// What the server does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Open a session and say its token.
    Welcome,
    /// Say the time.
    Pong(u32),
    /// Open what the plan needs.
    Prepare(Plan),
    /// Say that the sending may begin.
    Start,
    /// Tell what arrived of so many messages.
    Report(u32),
    /// Close.
    Close,
}

/// What was said out of turn, as the log has it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another version of the protocol.
    #[error("it speaks version {0} of the protocol, this server version {VERSION}")]
    Version(u32),
    /// Not this now.
    #[error("\"{said}\" while the session is {stage}")]
    OutOfTurn {
        /// What was said.
        said: &'static str,
        /// The session's stage.
        stage: &'static str,
    },
    /// Too often.
    #[error("more than {PINGS} pings")]
    Pings,
    /// A plan beyond the limits.
    #[error("{0}")]
    Plan(String),
    /// More sent than planned.
    #[error("{sent} messages sent of {planned}")]
    Overdone {
        /// What it says it sent.
        sent: u32,
        /// What it said it would send.
        planned: u32,
    },
}

/// How many times a session may ask for the time.
const PINGS: u32 = 64;

/// How long a client may take for what needs no sending.
const ERRAND: Duration = Duration::from_secs(30);

/// How long a connection may take to say what it wants.
pub const GREETING: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Greeting,
    Welcomed,
    Planned,
    Running,
    Ended,
}

/// The server's half of one session.
#[derive(Debug)]
pub struct Agenda {
    limits: Limits,
    stage: Stage,
    pings: u32,
    plan: Plan,
}

impl Agenda {
    /// A connection that has said nothing yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            stage: Stage::Greeting,
            pings: 0,
            plan: Plan::default(),
        }
    }

    /// How long the client may take, altogether, until the stage changes.
    pub fn patience(&self) -> Duration {
        match self.stage {
            Stage::Greeting => GREETING,
            Stage::Running => {
                let stuck = Duration::from_nanos(self.plan.timeout_ns);
                Limits::duration(&self.plan) + stuck + ERRAND
            }
            Stage::Welcomed | Stage::Planned | Stage::Ended => ERRAND,
        }
    }

    /// Whether messages may be arriving.
    pub fn is_running(&self) -> bool {
        self.stage == Stage::Running
    }

    /// The client said something.
    pub fn handle(&mut self, said: ClientSays) -> Result<Step, Refusal> {
        let (stage, step) = match (self.stage, said) {
            (Stage::Greeting, ClientSays::Hello { version: VERSION }) => {
                (Stage::Welcomed, Step::Welcome)
            }
            (Stage::Greeting, ClientSays::Hello { version }) => {
                return Err(Refusal::Version(version));
            }
            (Stage::Greeting, said) => return Err(self.out_of_turn(&said)),
            (stage, ClientSays::Ping { number }) if self.pings < PINGS => {
                self.pings += 1;
                (stage, Step::Pong(number))
            }
            (_, ClientSays::Ping { .. }) => return Err(Refusal::Pings),
            (_, ClientSays::Bye) => (Stage::Ended, Step::Close),
            (Stage::Welcomed, ClientSays::Plan(plan)) => {
                self.limits.allow(&plan).map_err(Refusal::Plan)?;
                self.plan = plan.clone();
                (Stage::Planned, Step::Prepare(plan))
            }
            (Stage::Planned, ClientSays::Go) => (Stage::Running, Step::Start),
            (Stage::Running, ClientSays::End { sent }) if sent <= self.plan.count => {
                (Stage::Ended, Step::Report(sent))
            }
            (Stage::Running, ClientSays::End { sent }) => {
                let planned = self.plan.count;
                return Err(Refusal::Overdone { sent, planned });
            }
            (_, said) => return Err(self.out_of_turn(&said)),
        };
        self.stage = stage;
        Ok(step)
    }

    fn out_of_turn(&self, said: &ClientSays) -> Refusal {
        Refusal::OutOfTurn {
            said: match said {
                ClientSays::Hello { .. } => "hello",
                ClientSays::Attach { .. } => "attach",
                ClientSays::Ping { .. } => "ping",
                ClientSays::Plan(_) => "plan",
                ClientSays::Go => "go",
                ClientSays::End { .. } => "end",
                ClientSays::Bye => "bye",
            },
            stage: match self.stage {
                Stage::Greeting => "not open",
                Stage::Welcomed => "without a plan",
                Stage::Planned => "not started",
                Stage::Running => "running",
                Stage::Ended => "over",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::protocol::Ask;
    use super::*;
    use proptest::prelude::*;

    fn plan() -> Plan {
        Plan {
            kinds: vec![Ask {
                kind: "udp".into(),
                echo: None,
                protocol: None,
            }],
            count: 10,
            size: 100,
            ..Plan::default()
        }
    }

    fn words() -> impl Strategy<Value = ClientSays> {
        prop_oneof![
            (0..3u32).prop_map(|version| ClientSays::Hello { version }),
            Just(ClientSays::Ping { number: 7 }),
            Just(ClientSays::Plan(plan())),
            Just(ClientSays::Plan(Plan::default())),
            Just(ClientSays::Go),
            (0..12u32).prop_map(|sent| ClientSays::End { sent }),
            Just(ClientSays::Bye),
        ]
    }

    #[test]
    fn a_session_from_hello_to_bye() {
        let mut agenda = Agenda::new(Limits::default());
        for (said, step) in [
            (ClientSays::Hello { version: VERSION }, Step::Welcome),
            (ClientSays::Ping { number: 1 }, Step::Pong(1)),
            (ClientSays::Plan(plan()), Step::Prepare(plan())),
            (ClientSays::Go, Step::Start),
            (ClientSays::End { sent: 10 }, Step::Report(10)),
            (ClientSays::Ping { number: 2 }, Step::Pong(2)),
            (ClientSays::Bye, Step::Close),
        ] {
            assert_eq!(agenda.handle(said), Ok(step));
        }
    }

    #[test]
    fn pings_do_not_go_on_for_ever() {
        let mut agenda = Agenda::new(Limits::default());
        let hello = ClientSays::Hello { version: VERSION };
        agenda.handle(hello).expect("welcome");
        for number in 0..PINGS {
            agenda.handle(ClientSays::Ping { number }).expect("pong");
        }
        let one_more = agenda.handle(ClientSays::Ping { number: PINGS });
        assert_eq!(one_more, Err(Refusal::Pings));
    }

    proptest! {
        /// Whatever is said, nothing starts without an allowed plan, and nothing
        /// is told that was not started.
        #[test]
        fn no_step_comes_out_of_turn(said in proptest::collection::vec(words(), 0..20)) {
            let mut agenda = Agenda::new(Limits::default());
            let mut steps = Vec::new();
            for word in said {
                match agenda.handle(word) {
                    Ok(step) => steps.push(step),
                    Err(why) => {
                        prop_assert!(!why.to_string().is_empty());
                        break;
                    }
                }
            }
            let order = |step: &Step| match step {
                Step::Welcome => Some(0),
                Step::Prepare(_) => Some(1),
                Step::Start => Some(2),
                Step::Report(_) => Some(3),
                Step::Pong(_) | Step::Close => None,
            };
            let seen: Vec<_> = steps.iter().filter_map(order).collect();
            prop_assert_eq!(&seen, &(0..seen.len()).collect::<Vec<_>>());
        }
    }
}
