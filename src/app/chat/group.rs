//! A room without a host: every member sends to a multicast group and hears all
//! others (ip(7) `MCAST_JOIN_GROUP`, RFC 1112, RFC 3810).
//!
//! Owns two sockets: one that is bound to the group, and one that sends to it.
//! Leaves the network that it is on only where that is asked for (TTL).

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

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
use crate::protocol::chat::{Act, Input, Nick, Notice, Numbering, Peers, Said, clean_line};
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
                let from = received.from;
                if (from.ip(), from.port()) != (member.own.ip(), member.own.port()) {
                    member.hear(from, &buffer[..received.bytes], &console).await?;
                }
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
                    .map_err(|errno| Error::new("find the interface", interface, errno))?,
            };
            address.set_scope_id(index);
        }
        Ok(address)
    }
}

struct Member {
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
    fn open(config: &Gathering, recorder: &Recorder) -> Result<Self, Error> {
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
    async fn take(&mut self, line: &str, console: &Console) -> Result<bool, Error> {
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

    async fn hear(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        console: &Console,
    ) -> Result<(), Error> {
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

    async fn say(&mut self, act: Act) -> Result<(), Error> {
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

/// Says what helps where no interface is known to lead to the group.
fn remedied(error: Error, config: &Gathering) -> Error {
    match config.interface {
        Some(_) => error,
        None => error.remedy("--interface NAME says on which network; `ip address` lists them"),
    }
}
