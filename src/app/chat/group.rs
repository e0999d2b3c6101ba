//! A room without a host: every member sends to a multicast group and hears all
//! others (ip(7) `MCAST_JOIN_GROUP`, RFC 1112, RFC 3810).
//!
//! Owns two sockets: one that is bound to the group, and one that sends to it.
//! Leaves the network that it is on only where that is asked for (TTL).

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use serde::Serialize;
use tokio::select;
use tokio::time::{MissedTickBehavior, interval};

use super::console::Console;
use super::host_datagrams::{BUFFER, SILENCE};
use super::mailbox::{Mailbox, Place};
use crate::app::Stop;
use crate::error::Error;
use crate::event::{Chat, Topic, What};
use crate::protocol::chat::{
    Act, Input, Nick, Notice, Numbering, Peers, Said, Sequence, clean_line,
};
use crate::recorder::Recorder;
use crate::socket::options::{Role, SocketOption};

/// How often a member says that it is there.
const BEAT: Duration = Duration::from_secs(10);

/// Which group, and how.
#[derive(Debug, Clone)]
pub struct Gathering {
    /// The group's address.
    pub group: IpAddr,
    /// The port.
    pub port: u16,
    /// The interface, by name or number; the kernel's choice where it is none.
    pub interface: Option<String>,
    /// How many routers may be passed, and one.
    pub ttl: u8,
    /// What to be called.
    pub nick: Nick,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Gathered {
    /// Messages that were sent.
    pub sent_messages: u64,
    /// Messages that came.
    pub received_messages: u64,
    /// Messages of others that are missing.
    pub missing_messages: u64,
    /// The most others at once.
    pub most_at_once: usize,
}

/// Takes part until it is asked to stop, or nothing more is typed.
///
/// # Errors
///
/// The group cannot be joined, or nothing can be sent to it.
pub async fn gather(
    config: &Gathering,
    mut console: Console,
    stop: &Stop,
    recorder: &Recorder,
) -> Result<Gathered, Error> {
    let mut member = Member::open(config, recorder)?;
    let mut buffer = vec![0; BUFFER];
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
    console.show(&format!(
        "* you are {} in {}; who is here will say so",
        member.nick, member.group
    ));
    loop {
        select! {
            () = stop.asked() => break,
            typed = console.typed.recv() => {
                let Some(line) = typed else { break };
                if !member.take(&line, &console).await? {
                    break;
                }
            }
            received = member.ear.receive(&mut buffer) => {
                let received = received
                    .map_err(|error| Error::new("receive from", member.group, error))?;
                let bytes = &buffer[..received.bytes];
                member.hear(received.from, bytes, &console).await?;
            }
            _ = beat.tick() => {
                member.say(Act::Alive).await?;
                let left = member.peers.expire(Instant::now());
                member.show(&left, &console);
            }
        }
    }
    member.say(Act::Leave).await?;
    Ok(member.gathered)
}

impl Gathering {
    /// The group's address, on its interface where it needs one (RFC 4007).
    fn address(&self) -> Result<SocketAddr, Error> {
        let mut address = SocketAddr::new(self.group, self.port);
        if let (SocketAddr::V6(address), Some(interface)) = (&mut address, &self.interface) {
            let index = match interface.parse() {
                Ok(index) => index,
                Err(_) => if_nametoindex(interface.as_str())
                    .map_err(|errno| Error::new("find the interface", interface, errno))
                    .map_err(|error| remedied(error, self))?,
            };
            address.set_scope_id(index);
        }
        Ok(address)
    }
}

pub(super) struct Member {
    ear: Mailbox,
    mouth: Mailbox,
    own: SocketAddr,
    group: SocketAddr,
    nick: Nick,
    said: Numbering,
    peers: Peers,
    gathered: Gathered,
    recorder: Recorder,
}

impl Member {
    pub(super) fn open(config: &Gathering, recorder: &Recorder) -> Result<Self, Error> {
        let group = config.address()?;
        let on = |name: &str| match &config.interface {
            Some(interface) => format!("{name}{interface}"),
            None => String::new(),
        };
        let join = format!("join={}{}", config.group, on("@"));
        let mut leave = vec![format!("multicast-ttl={}", config.ttl)];
        leave.extend(config.interface.as_ref().map(|_| on("multicast-if=")));
        let heard = Place {
            address: group,
            name: "group",
            options: &options(&[join])?,
            role: Role::Listening,
        };
        let ear = Mailbox::bind(&heard, recorder).map_err(|error| remedied(error, config))?;
        let spoken = Place {
            address: group,
            name: "member",
            options: &options(&leave)?,
            role: Role::Connecting,
        };
        let mouth = Mailbox::connect(&spoken, recorder).map_err(|error| remedied(error, config))?;
        let own = mouth.local();
        let mut peers = Peers::new(SILENCE);
        peers.call_us(&config.nick);
        Ok(Self {
            ear,
            own: own.map_err(|error| Error::new("getsockname of", "this member", error))?,
            mouth,
            group,
            nick: config.nick.clone(),
            said: Numbering::default(),
            peers,
            gathered: Gathered::default(),
            recorder: recorder.clone(),
        })
    }

    /// A line was typed; false where it means to leave.
    pub(super) async fn take(&mut self, line: &str, console: &Console) -> Result<bool, Error> {
        match Input::read(line) {
            Input::Nothing => {}
            Input::Leave => return Ok(false),
            Input::Say(text) => {
                let text = clean_line(text).into_owned();
                self.tell(Chat::Sent { line: text.clone() });
                self.say(Act::Say(text)).await?;
            }
            Input::Nick(name) => match Nick::new(name) {
                Ok(nick) => {
                    self.nick = nick;
                    self.peers.call_us(&self.nick);
                    console.show(&format!("* you are {}", self.nick));
                    self.say(Act::Alive).await?;
                }
                Err(error) => console.show(&format!("* {error}")),
            },
            Input::Who => {
                console.show(&format!("* {} here besides you", self.peers.count()));
                for (nick, address) in self.peers.who() {
                    console.show(&format!("*   {nick} ({address})"));
                }
            }
            Input::Help => console.show("* /who, /nick NAME, exit; anything else is said to all"),
            Input::Incomplete(usage) => console.show(&format!("* that is written {usage}")),
            Input::Tell { .. } => console.show("* there is no /msg without a server"),
            Input::Unknown(name) => {
                console.show(&format!("* there is no /{name}; /help tells the commands"));
            }
        }
        Ok(true)
    }

    /// Takes what is there already; how many datagrams.
    pub(super) async fn hear_at_once(&mut self, console: &Console) -> Result<usize, Error> {
        let mut buffer = vec![0; BUFFER];
        let mut count = 0;
        loop {
            let received = self.ear.receive_at_once(&mut buffer);
            let failed = |error| Error::new("receive from", self.group, error);
            let Some(received) = received.map_err(failed)? else {
                return Ok(count);
            };
            let bytes = &buffer[..received.bytes];
            self.hear(received.from, bytes, console).await?;
            count += 1;
        }
    }

    /// Where it sends from, and the last number that it gave.
    pub(super) fn speaker(&self) -> (SocketAddr, u64) {
        (self.own, self.said.last())
    }

    /// What was heard of another's numbers.
    pub(super) fn heard_of(&self, address: SocketAddr) -> Option<Sequence> {
        self.peers.sequence(address)
    }

    async fn hear(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        console: &Console,
    ) -> Result<(), Error> {
        // What we say comes back to us, as to all.
        if (from.ip(), from.port()) == (self.own.ip(), self.own.port()) {
            return Ok(());
        }
        // What is none of ours is somebody else's business.
        let Some(said) = Said::read(datagram) else {
            return Ok(());
        };
        let heard = self.peers.hear(Instant::now(), from, said);
        self.show(&heard, console);
        let others = self.peers.count();
        self.gathered.most_at_once = self.gathered.most_at_once.max(others);
        // Who has just come does not know of us.
        if heard
            .iter()
            .any(|notice| matches!(notice, Notice::Joined { .. }))
        {
            self.say(Act::Alive).await?;
        }
        Ok(())
    }

    fn show(&mut self, notices: &[Notice], console: &Console) {
        for notice in notices {
            match notice {
                Notice::Said { .. } => self.gathered.received_messages += 1,
                Notice::Missing { from, to, .. } => {
                    let missing = (to - from).saturating_add(1);
                    let before = self.gathered.missing_messages;
                    self.gathered.missing_messages = before.saturating_add(missing);
                }
                _ => {}
            }
            let line = notice.line();
            console.show(&line);
            self.tell(Chat::Heard { line });
        }
    }

    pub(super) async fn say(&mut self, act: Act) -> Result<(), Error> {
        let number = match act {
            Act::Say(_) => {
                self.gathered.sent_messages += 1;
                self.said.take()
            }
            Act::Alive | Act::Leave => self.said.last(),
        };
        let nick = self.nick.clone();
        let said = Said { nick, number, act };
        let sent = self.mouth.send(said.write().as_bytes()).await;
        sent.map_err(|error| Error::new("send to", self.group, error))
    }

    fn tell(&self, step: Chat) {
        if self.recorder.wants(Topic::App) {
            let now = self.recorder.clock().now();
            self.recorder.record(now, What::Chat(step));
        }
    }
}

fn options(texts: &[String]) -> Result<Vec<SocketOption>, Error> {
    let read = |text: &String| {
        let option = text.parse::<SocketOption>();
        option.map_err(|error| Error::new("set", text, error.to_string()))
    };
    texts.iter().map(read).collect()
}

/// Says what helps: the interface is not named, not there, not up, or has no
/// address of the group's family.
fn remedied(error: Error, config: &Gathering) -> Error {
    let family = match config.group {
        IpAddr::V4(_) => "4",
        IpAddr::V6(_) => "6",
    };
    let remedy = match (&config.interface, error.errno()) {
        (None, _) => "--interface NAME says on which network; `ip address` lists them".into(),
        (Some(_), Some(Errno::ENODEV | Errno::ENXIO)) => "`ip link` lists the interfaces".into(),
        (Some(name), Some(Errno::EADDRNOTAVAIL)) => {
            format!("{name} has no IPv{family} address; `ip -{family} address` lists them")
        }
        (Some(name), Some(Errno::ENETUNREACH | Errno::EHOSTUNREACH)) => format!(
            "{name} is down, or has no IPv{family} address or route for the group; \
             `ip link set {name} up` raises it"
        ),
        _ => return error,
    };
    error.remedy(remedy)
}
