//! Ann and bob in a multicast group, each on a host of their own: no room, and
//! what is lost is known by its number (ip(7), RFC 1112).
//!
//! Each step ends when the wire is quiet and both have taken what came. Both are
//! the real members, moved step by step in one thread.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::runtime::Runtime;

use super::{ATTEMPTS, Scene, Seen, Told, Turn, Way, in_vain};
use crate::app::chat::Console;
use crate::app::chat::group::{Gathering, Member};
use crate::app::runtime;
use crate::error::Error;
use crate::flow::Family;
use crate::protocol::chat::{Act, Nick};
use crate::stage::{Seat, Stage};

/// A group of one's own site (RFC 2365), and of one's own link (RFC 4291).
const GROUPS: (Ipv4Addr, Ipv6Addr) = (
    Ipv4Addr::new(239, 255, 50, 73),
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x5073),
);

pub(super) fn demonstrate(scene: &Scene, stage: &Stage) -> Result<Told, Error> {
    let runtime = runtime(0)?;
    let join = |name, seat| {
        let person = Person::open(name, seat, scene, &runtime);
        person.map_err(|error| match stage.as_link() {
            Some(_) => error,
            None => error.remedy("a group of IPv6 needs the private link; try -4"),
        })
    };
    let (ann, bob) = (join("ann", stage.client())?, join("bob", stage.server())?);
    let mut play = Play {
        stage,
        people: [ann, bob],
        told: Told::default(),
        runtime,
    };
    play.script()?;
    Ok(play.told)
}

/// Who is meant.
const ANN: usize = 0;
const BOB: usize = 1;

struct Play<'a> {
    stage: &'a Stage,
    people: [Person; 2],
    told: Told,
    /// Dropped after the sockets that it watches.
    runtime: Runtime,
}

struct Person {
    name: &'static str,
    member: Member,
    seen: Seen,
    console: Console,
}

impl Person {
    fn open(
        name: &'static str,
        seat: Seat<'_>,
        scene: &Scene,
        runtime: &Runtime,
    ) -> Result<Self, Error> {
        let (handle, recorder) = (runtime.handle().clone(), seat.recorder().clone());
        let (own, family, port) = (seat.ip(scene.family), scene.family, scene.port);
        let nick = Nick::new(name).map_err(|error| Error::new("call", name, error.to_string()))?;
        let member = seat.run(move || {
            let _inside = handle.enter();
            let gathering = Gathering {
                group: match family {
                    Family::Ipv4 => GROUPS.0.into(),
                    Family::Ipv6 => GROUPS.1.into(),
                },
                port,
                interface: interface(own),
                ttl: 1,
                nick,
            };
            Member::open(&gathering, &recorder)
        })?;
        let seen = Seen::default();
        Ok(Self {
            name,
            member,
            console: seen.console(),
            seen,
        })
    }
}

/// The interface that an address of ours is on.
fn interface(own: IpAddr) -> Option<String> {
    let interfaces = pnet::datalink::interfaces();
    let mut with_it = interfaces
        .into_iter()
        .filter(|interface| interface.ips.iter().any(|network| network.ip() == own));
    with_it.next().map(|interface| interface.name)
}

impl Play<'_> {
    fn script(&mut self) -> Result<(), Error> {
        self.act(ANN, &[Act::Alive])?;
        self.tell(ANN, "(joins)");
        self.meet()?;
        self.say(ANN, &["hello, all"])?;
        self.say(BOB, &["hello, ann"])?;
        self.say(ANN, &["one", "two", "three"])?;
        self.say(BOB, &["/nick rob"])?;
        self.count()?;
        self.act(BOB, &[Act::Leave])?;
        self.tell(BOB, "exit");
        self.act(ANN, &[Act::Leave])?;
        self.tell(ANN, "exit");
        Ok(())
    }

    /// Bob says that he is there until both know of each other.
    fn meet(&mut self) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            self.act(BOB, &[Act::Alive])?;
            if self.ways().is_some() {
                self.tell(BOB, "(joins)");
                return Ok(());
            }
            self.act(ANN, &[Act::Alive])?;
        }
        Err(in_vain("a sign of life"))
    }

    /// Says lines at once, each a datagram, whatever becomes of them.
    fn say(&mut self, who: usize, lines: &[&str]) -> Result<(), Error> {
        for line in lines {
            let Person {
                member, console, ..
            } = &mut self.people[who];
            self.runtime.block_on(member.take(line, console))?;
        }
        self.exchange()?;
        self.tell(who, &lines.join("\n"));
        Ok(())
    }

    /// Signs of life until each knows what it has missed.
    fn count(&mut self) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            self.act(ANN, &[Act::Alive])?;
            self.act(BOB, &[Act::Alive])?;
            if let Some(ways) = self.ways()
                && ways.iter().all(Way::is_accounted_for)
            {
                self.told.ways.extend(ways);
                self.tell(BOB, "(a sign of life, each way)");
                return Ok(());
            }
        }
        Err(in_vain("a sign of life"))
    }

    /// Both ways, once both have heard of each other.
    fn ways(&self) -> Option<[Way; 2]> {
        let [ann, bob] = &self.people;
        let way = |from: &Person, to: &Person| {
            let (address, sent) = from.member.speaker();
            let heard = to.member.heard_of(address)?;
            Some(Way::of(from.name, to.name, sent, heard))
        };
        Some([way(ann, bob)?, way(bob, ann)?])
    }

    fn act(&mut self, who: usize, acts: &[Act]) -> Result<(), Error> {
        for act in acts {
            let said = self.people[who].member.say(act.clone());
            self.runtime.block_on(said)?;
        }
        self.exchange()
    }

    /// Lets everything arrive that will, and what is answered to it.
    fn exchange(&mut self) -> Result<(), Error> {
        loop {
            self.stage.settle()?;
            let mut taken = 0;
            for person in &mut self.people {
                let heard = person.member.hear_at_once(&person.console);
                taken += self.runtime.block_on(heard)?;
            }
            if taken == 0 {
                return Ok(());
            }
        }
    }

    /// A turn ends: what was seen since the last.
    fn tell(&mut self, who: usize, sent: &str) {
        let [ann, bob] = [ANN, BOB].map(|who| self.people[who].seen.take());
        self.told.turns.push(Turn {
            who: self.people[who].name,
            sent: sent.to_owned(),
            ann,
            bob,
        });
    }
}
