//! A host, ann and bob over datagrams: nothing is sent again but knocking, signs
//! of life and farewells, and what is lost is known by its number.
//!
//! Each step ends when the wire is quiet and everybody has taken what came, so
//! that the same losses make the same story. The host and the members are the
//! real ones, moved step by step in one thread.

use tokio::runtime::Runtime;

use super::{ATTEMPTS, Scene, Seen, Told, Turn, Way, in_vain};
use crate::address::Admission;
use crate::app::chat::host_datagrams::{Office, Post};
use crate::app::chat::join_datagrams::{Guest, Sign};
use crate::app::chat::{Console, Hosting};
use crate::app::runtime;
use crate::error::Error;
use crate::protocol::chat::{Input, Numbered};
use crate::stage::Stage;

/// What tickets are made with on a link that nobody else is on.
const KEY: [u8; 32] = *b"nobody else is on a private link";

pub(super) fn demonstrate(scene: &Scene, stage: &Stage) -> Result<Told, Error> {
    let runtime = runtime(0)?;
    let address = stage.server().address(scene.family, scene.port);
    let (seat, handle) = (stage.server(), runtime.handle().clone());
    let recorder = seat.recorder().clone();
    let office = seat.run(move || {
        let _inside = handle.enter();
        let post = Post::open(address, Admission::default(), KEY, &recorder)?;
        Ok::<_, Error>(Office::new(post, &Hosting::default(), recorder))
    })?;
    let member = |name| {
        let (seat, handle) = (stage.client(), runtime.handle().clone());
        let recorder = seat.recorder().clone();
        let guest = seat.run(move || {
            let _inside = handle.enter();
            Guest::open(name, address, &recorder)
        })?;
        Ok::<_, Error>(Person::new(name, guest))
    };
    let people = [member("ann")?, member("bob")?];
    let mut play = Play {
        stage,
        office,
        nobody: Seen::default().console(),
        people,
        told: Told::default(),
        runtime,
    };
    play.script()?;
    play.told.account = Some(play.office.account());
    Ok(play.told)
}

/// Who is meant.
const ANN: usize = 0;
const BOB: usize = 1;

struct Play<'a> {
    stage: &'a Stage,
    office: Office,
    nobody: Console,
    people: [Person; 2],
    told: Told,
    /// Dropped after the sockets that it watches.
    runtime: Runtime,
}

struct Person {
    name: &'static str,
    guest: Guest,
    seen: Seen,
    console: Console,
    /// What came in the last step.
    signs: Vec<Sign>,
}

impl Person {
    fn new(name: &'static str, guest: Guest) -> Self {
        let seen = Seen::default();
        Self {
            name,
            guest,
            console: seen.console(),
            seen,
            signs: Vec::new(),
        }
    }
}

impl Play<'_> {
    fn script(&mut self) -> Result<(), Error> {
        self.enter(ANN)?;
        self.say(ANN, &["/nick ann"])?;
        self.enter(BOB)?;
        self.say(BOB, &["/nick bob"])?;
        self.say(ANN, &["hello, bob"])?;
        self.say(BOB, &["hello, ann"])?;
        self.say(ANN, &["one", "two", "three"])?;
        self.say(BOB, &["/msg ann psst"])?;
        self.count(BOB)?;
        self.leave(BOB)?;
        self.count(ANN)?;
        self.leave(ANN)
    }

    /// Knocks, says the ticket, and does so again until it is in.
    fn enter(&mut self, who: usize) -> Result<(), Error> {
        let mut words = Numbered::Alive { last: 0 }.write();
        for _ in 0..ATTEMPTS {
            self.send(who, &words)?;
            for sign in std::mem::take(&mut self.people[who].signs) {
                match sign {
                    Sign::In => {
                        self.tell(who, "(knocks, and comes in)".into());
                        return Ok(());
                    }
                    Sign::Asked(ticket) => {
                        let ticket = ticket.to_string();
                        words = Numbered::Plain(ticket.as_bytes()).write();
                    }
                    Sign::Out | Sign::None => {}
                }
            }
        }
        Err(in_vain("knocking"))
    }

    /// Says lines at once, each a datagram, whatever becomes of them.
    fn say(&mut self, who: usize, lines: &[&str]) -> Result<(), Error> {
        for line in lines {
            let said = self.people[who].guest.say(line);
            self.runtime.block_on(said)?;
        }
        self.exchange()?;
        self.tell(who, lines.join("\n"));
        Ok(())
    }

    /// Signs of life on both sides until each knows what it has missed.
    fn count(&mut self, who: usize) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            let last = self.people[who].guest.numbers().0.last();
            self.runtime.block_on(self.office.beat());
            self.send(who, &Numbered::Alive { last }.write())?;
            let Person { name, guest, .. } = &mut self.people[who];
            let Some((told, heard)) = self.office.numbers(guest.local()?) else {
                break;
            };
            let (said, seen) = guest.numbers();
            let ways = [
                Way::of(name, "host", said.last(), heard),
                Way::of("host", name, told, seen),
            ];
            if ways.iter().all(Way::is_accounted_for) {
                self.told.ways.extend(ways);
                self.tell(who, "(a sign of life, each way)".into());
                return Ok(());
            }
        }
        Err(in_vain("a sign of life"))
    }

    /// Says goodbye until the host has heard it, whatever becomes of the answer.
    fn leave(&mut self, who: usize) -> Result<(), Error> {
        let number = self.people[who].guest.numbers().0.take();
        let text = Input::Leave.to_string();
        let text = text.as_bytes();
        let goodbye = Numbered::Message { number, text }.write();
        for _ in 0..ATTEMPTS {
            self.send(who, &goodbye)?;
            let address = self.people[who].guest.local()?;
            if self.office.numbers(address).is_none() {
                self.tell(who, Input::Leave.to_string());
                return Ok(());
            }
        }
        Err(in_vain("the farewell"))
    }

    fn send(&mut self, who: usize, datagram: &[u8]) -> Result<(), Error> {
        let sent = self.people[who].guest.send(datagram);
        self.runtime.block_on(sent)?;
        self.exchange()
    }

    /// Lets everything arrive that will: at the host, and what it answers with.
    fn exchange(&mut self) -> Result<(), Error> {
        self.stage.settle()?;
        let taken = self.office.take_at_once(&self.nobody);
        let failed = |error| Error::new("receive at", "the room", error);
        self.runtime.block_on(taken).map_err(failed)?;
        self.stage.settle()?;
        for person in &mut self.people {
            person.signs = person.guest.hear_at_once(&person.console)?;
        }
        Ok(())
    }

    /// A turn ends: what was seen since the last.
    fn tell(&mut self, who: usize, sent: String) {
        let [ann, bob] = [ANN, BOB].map(|who| self.people[who].seen.take());
        let who = self.people[who].name;
        self.told.turns.push(Turn {
            who,
            sent,
            ann,
            bob,
        });
    }
}
