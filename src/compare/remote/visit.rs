//! One connection at the server, from its first word to its last: a session's
//! control connection, or a stream that carries its messages.

use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Scope;
use std::time::{Duration, Instant, UNIX_EPOCH};

use super::agenda::{Agenda, GREETING, Refusal, Step};
use super::control::{Control, Silence};
use super::ear::{self, Ear};
use super::frame::LONGEST_ASKED;
use super::protocol::{Ask, ClientSays, Offer, Plan, ServerSays, Token};
use super::raw;
use super::registry::{Place, random_token};
use super::server::Server;
use super::session::Session;
use crate::compare::Variant;
use crate::error::explain;
use crate::flow::Kind;
use crate::socket::Stream;

/// Why a connection was closed before its session was over.
enum Trouble {
    Silence(Silence),
    Refusal(Refusal),
    /// There is no room for it.
    Busy(String),
    /// It asked for something that it may not have.
    Unknown(&'static str),
    Io(std::io::Error),
}

impl Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silence(why) => why.fmt(f),
            Self::Refusal(why) => why.fmt(f),
            Self::Busy(why) => write!(f, "turned away: {why}"),
            Self::Unknown(why) => f.write_str(why),
            Self::Io(error) => f.write_str(&explain(error)),
        }
    }
}

impl From<Silence> for Trouble {
    fn from(why: Silence) -> Self {
        Self::Silence(why)
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// Receives a connection and logs how it went, in one line.
pub(super) fn receive<'scope>(
    server: &'scope Server,
    scope: &'scope Scope<'scope, '_>,
    stop: &'scope AtomicBool,
    (stream, peer): (Stream, SocketAddr),
) {
    let told = Control::new(stream, LONGEST_ASKED)
        .map_err(Trouble::from)
        .and_then(|mut control| {
            let stopped = || stop.load(Ordering::Relaxed);
            match control.hear(Instant::now() + GREETING, &stopped)? {
                ClientSays::Attach { token, kind } => attach(server, control, peer, (token, &kind)),
                first => Visit::new(server, scope, stop, (control, peer))
                    .and_then(|visit| visit.lead(first)),
            }
        });
    if let Err(why) = told {
        server.journal.say(format_args!("{peer}: {why}; closed"));
    }
}

/// A stream that carries messages: from its first word on, no frames.
fn attach(
    server: &Server,
    control: Control,
    peer: SocketAddr,
    (token, kind): (Token, &str),
) -> Result<(), Trouble> {
    let found = server.registry.session(token, peer.ip());
    let refuse = |control: &Control, why: &'static str| {
        // Whether it hears that or not, it is closed.
        let _ = control.say(&ServerSays::Refused { why: why.into() });
        Err(Trouble::Unknown(why))
    };
    let Some(session) = found else {
        return refuse(&control, "a wrong token");
    };
    let variant = kind.parse::<Variant>().ok();
    let Some(variant) = variant.filter(|variant| variant.kind() == Kind::Tcp) else {
        return refuse(&control, "a stream for what is none");
    };
    if !control.is_empty() || !session.attach(variant) {
        return refuse(&control, "a stream that was not agreed on");
    }
    if let Err(error) = control.say(&ServerSays::Attached) {
        session.detach(variant, None);
        return Err(error.into());
    }
    let ear = Ear::Stream(control.into_stream());
    ear::listen(&ear, variant, &session, server.recorder.clock());
    Ok(())
}

/// A session's control connection.
struct Visit<'scope, 'env> {
    server: &'scope Server,
    scope: &'scope Scope<'scope, 'env>,
    stop: &'scope AtomicBool,
    control: Control,
    local: SocketAddr,
    peer: SocketAddr,
    agenda: Agenda,
    place: Option<Place>,
    is_reported: bool,
}

impl<'scope, 'env> Visit<'scope, 'env> {
    fn new(
        server: &'scope Server,
        scope: &'scope Scope<'scope, 'env>,
        stop: &'scope AtomicBool,
        (control, peer): (Control, SocketAddr),
    ) -> Result<Self, Trouble> {
        Ok(Self {
            server,
            scope,
            stop,
            local: control.stream().local_address()?,
            control,
            peer,
            agenda: Agenda::new(server.limits),
            place: None,
            is_reported: false,
        })
    }

    /// Leads the session to its end. What came of it is in the log once it has
    /// been told to the client; what happens after that is no trouble.
    fn lead(mut self, first: ClientSays) -> Result<(), Trouble> {
        let mut said = first;
        let mut until = Instant::now() + self.agenda.patience();
        loop {
            let step = self.agenda.handle(said).map_err(|why| {
                let told = why.to_string();
                let _ = self.control.say(&ServerSays::Refused { why: told });
                Trouble::Refusal(why)
            })?;
            let is_errand = matches!(step, Step::Pong(_));
            match step {
                Step::Close => return Ok(()),
                Step::Report(sent) => self.report(Some(sent), None)?,
                step => self.take(step)?,
            }
            if !is_errand {
                until = Instant::now() + self.agenda.patience();
            }
            let stopped = || self.stop.load(Ordering::Relaxed);
            said = match self.control.hear(until, &stopped) {
                Ok(said) => said,
                Err(why @ (Silence::Stopped | Silence::Late)) if self.agenda.is_running() => {
                    let cut = match why {
                        Silence::Stopped => "the server was stopped",
                        _ => "the session took longer than was planned",
                    };
                    return self.report(None, Some(cut));
                }
                Err(_) if self.is_reported => return Ok(()),
                Err(why) => return Err(why.into()),
            };
        }
    }

    fn take(&mut self, step: Step) -> Result<(), Trouble> {
        let answer = match step {
            Step::Welcome => self.welcome()?,
            Step::Pong(number) => {
                let received_at_ns = self.now_ns();
                ServerSays::Pong {
                    number,
                    received_at_ns,
                    sent_at_ns: self.now_ns(),
                }
            }
            Step::Prepare(plan) => self.prepare(plan),
            Step::Start => ServerSays::Started,
            Step::Report(_) | Step::Close => return Ok(()),
        };
        Ok(self.control.say(&answer)?)
    }

    fn welcome(&mut self) -> Result<ServerSays, Trouble> {
        let token = random_token()?;
        let session = Session::new(token, self.peer.ip(), self.local);
        match self.server.registry.open(session) {
            Ok(place) => self.place = Some(place),
            Err(why) => {
                // Whether it hears that or not, it is closed.
                let _ = self.control.say(&ServerSays::Busy { why: why.clone() });
                return Err(Trouble::Busy(why));
            }
        }
        let origin = self.server.recorder.clock().wall_origin();
        let since = origin.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(ServerSays::Welcome {
            token,
            limits: self.server.limits,
            wall_origin_ns: nanoseconds(since),
        })
    }

    fn prepare(&mut self, plan: Plan) -> ServerSays {
        let asks = plan.kinds.clone();
        if let Some(place) = &self.place {
            place.session.set_plan(plan);
        }
        let kinds = asks.iter().map(|ask| self.offer(ask)).collect();
        ServerSays::Ready { kinds }
    }

    fn offer(&self, ask: &Ask) -> Offer {
        let variant = ask.kind.parse::<Variant>();
        let (port, refused) = match variant.as_ref().map(|variant| variant.kind()) {
            Ok(Kind::Tcp | Kind::Udp) => (Some(self.local.port()), None),
            Ok(Kind::Raw) => (None, self.hear_raw(ask).err()),
            Err(_) => (None, Some("this server does not know this kind".into())),
        };
        Offer {
            kind: ask.kind.clone(),
            port,
            refused,
        }
    }

    fn hear_raw(&self, ask: &Ask) -> Result<(), String> {
        let place = self.place.as_ref().ok_or("there is no session")?;
        raw::hear(self.server, self.scope, &place.session, ask)
    }

    /// Tells what arrived, to the client and to the log.
    fn report(&mut self, sent: Option<u32>, cut: Option<&str>) -> Result<(), Trouble> {
        let Some(session) = self.place.as_ref().map(|place| &place.session) else {
            return Ok(());
        };
        session.end(sent);
        let waits = session
            .plan()
            .map_or(0, |plan| plan.patience_ns.max(plan.timeout_ns));
        let heard = session.collect(Duration::from_nanos(waits) + Duration::from_secs(1));
        let arrived: Vec<_> = heard
            .iter()
            .map(|heard| format!("{} {}", heard.variant, heard.ledger.arrived()))
            .collect();
        let peer = self.peer;
        let ended = match (sent, cut) {
            (Some(1), _) => "1 message sent".to_owned(),
            (Some(sent), _) => format!("{sent} messages sent"),
            (None, cut) => cut.unwrap_or_default().to_owned(),
        };
        let story = format_args!("{peer}: {ended}; arrived: {}", arrived.join(", ")).to_string();
        self.server.journal.tell(story);
        self.is_reported = true;
        self.control.say(&ServerSays::Over {
            cut: cut.map(str::to_owned),
        })?;
        for heard in &heard {
            let kind = heard.variant.name().to_owned();
            for messages in heard.ledger.chunks() {
                let (kind, messages) = (kind.clone(), messages.to_vec());
                self.control.say(&ServerSays::Arrivals { kind, messages })?;
            }
            let heard = heard.reads;
            self.control.say(&ServerSays::Heard { kind, heard })?;
        }
        Ok(self.control.say(&ServerSays::Done)?)
    }

    fn now_ns(&self) -> u64 {
        nanoseconds(self.server.recorder.clock().now())
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
