//! Where a ping runs: the machine's own network, or a private link.
//!
//! Owns the order in which privileges are used: sockets and their options
//! first, then none, and only then names and packets.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;

use crate::cli::link::LinkArgs;
use crate::error::Error;
use crate::event::{EchoSocket, Silence};
use crate::flow::Family;
use crate::link::{self, Link};
use crate::ping::{self, Target, Way, drop_privileges};
use crate::recorder::Clock;
use crate::socket::icmp::{IcmpSocket, OptionError, Options};

/// The descriptor and the kind of an open socket of IPv4, and of one of IPv6.
pub(super) type Descriptors = [Option<(RawFd, EchoSocket)>; 2];

/// Sockets that are open, and the network they belong to.
pub(super) struct Ground {
    /// Which of them are needed is decided by the resolver, and that runs
    /// without privileges; so a failure matters only if its socket turns out
    /// to be the one.
    sockets: Vec<(Family, Result<IcmpSocket, Error>)>,
    way: Arc<Way>,
    link: Option<Link>,
    stage: String,
}

impl Ground {
    /// The machine's own network.
    pub(super) fn network(family: Option<Family>, options: &Options) -> Result<Self, Error> {
        let sockets = open(family, options);
        let way = Arc::new(Way::open(options));
        drop_privileges()?;
        Ok(Self {
            sockets,
            way,
            link: None,
            stage: "network".to_owned(),
        })
    }

    /// The client of a private link.
    pub(super) fn link(
        args: &LinkArgs,
        family: Option<Family>,
        options: &Options,
    ) -> Result<Self, Error> {
        let config = args.config()?;
        link::enter_private_user_namespace()?;
        if !config.plan.is_transparent() {
            note!("link: {}", config.plan);
        }
        let link = Link::build(&config, Clock::start(), Arc::new(Silence))?;
        let options = options.clone();
        let opened = move || (open(family, &options), Way::open(&options));
        let (sockets, way) = link.client().run(opened);
        // This thread's; the hosts' own threads keep what the link stands on.
        drop_privileges()?;
        Ok(Self {
            sockets,
            way: Arc::new(way),
            stage: format!("link ({})", link.device()),
            link: Some(link),
        })
    }

    /// What the place is called.
    pub(super) fn stage(&self) -> &str {
        &self.stage
    }

    /// What tells which way requests go.
    pub(super) fn way(&self) -> Arc<Way> {
        Arc::clone(&self.way)
    }

    /// The other end of the private link; where no family is asked for, by
    /// IPv4.
    pub(super) fn server(&self, family: Option<Family>) -> Result<(String, Option<Family>), Error> {
        let family = family.unwrap_or(Family::Ipv4);
        let link = self.link.as_ref();
        let link = link.ok_or_else(|| Error::new("ping", "", "no host is given"))?;
        let server = link.server().addresses().of(family).to_string();
        Ok((server, Some(family)))
    }

    /// The target that `host` is on this network.
    pub(super) fn resolve(&self, host: &str, family: Option<Family>) -> Result<Target, Error> {
        let Some(link) = &self.link else {
            return Target::resolve_by(host, family, &self.way);
        };
        let (host, way) = (host.to_owned(), Arc::clone(&self.way));
        link.client()
            .run(move || Target::resolve_by(&host, family, &way))
    }

    /// Both families' sockets as `ping -v` shows them: descriptor and kind.
    pub(super) fn descriptors(&self) -> Descriptors {
        [Family::Ipv4, Family::Ipv6].map(|family| {
            let (_, socket) = self.sockets.iter().find(|(one, _)| *one == family)?;
            let socket = socket.as_ref().ok()?;
            Some((socket.as_fd().as_raw_fd(), socket.kind()))
        })
    }

    /// The socket of this family, once.
    pub(super) fn take_socket(&mut self, family: Family) -> Result<IcmpSocket, Error> {
        let place = self.sockets.iter().position(|(one, _)| *one == family);
        match place {
            Some(place) => self.sockets.swap_remove(place).1,
            None => ping::open(family),
        }
    }

    /// Takes the place down, and says what the link itself lost.
    pub(super) fn close(self) -> Result<(), Error> {
        drop(self.sockets);
        if let Some(link) = self.link {
            let lost = link.finish()?.unmodelled_loss();
            if lost > 0 {
                note!("the link itself lost {lost} packets");
            }
        }
        Ok(())
    }
}

/// The sockets that may be needed, with their options set.
fn open(family: Option<Family>, options: &Options) -> Vec<(Family, Result<IcmpSocket, Error>)> {
    let families = [Family::Ipv4, Family::Ipv6].into_iter();
    let wanted = families.filter(|&one| family.is_none_or(|asked| asked == one));
    let mut unmarked = None;
    let sockets = wanted.map(|one| {
        let opened = open_one(one, options).map(|(socket, refused)| {
            unmarked = unmarked.take().or(refused);
            socket
        });
        (one, opened)
    });
    let sockets = sockets.collect();
    // Once, for all sockets.
    if let Some(error) = unmarked {
        note!("WARNING: {error}; the requests carry no mark");
    }
    sockets
}

/// The socket with its options set; and why it has no mark, if it may not have
/// one: that is told and done without, as `ping(8)` has it.
fn open_one(family: Family, options: &Options) -> Result<(IcmpSocket, Option<OptionError>), Error> {
    let socket = ping::open(family)?;
    let options = for_family(family, options);
    let refused = match socket.apply(&options) {
        Ok(()) => None,
        Err(error) if is_forbidden_mark(&error, &options) => {
            let without_mark = Options {
                mark: None,
                ..options
            };
            apply(&socket, &without_mark)?;
            Some(error)
        }
        Err(error) => return Err(unset(error)),
    };
    Ok((socket, refused))
}

fn is_forbidden_mark(error: &OptionError, options: &Options) -> bool {
    options.mark.is_some() && error.cause.kind() == io::ErrorKind::PermissionDenied
}

/// Sets the socket's options.
pub(super) fn apply(socket: &IcmpSocket, options: &Options) -> Result<(), Error> {
    socket.apply(options).map_err(unset)
}

fn unset(error: OptionError) -> Error {
    let call = error.call();
    Error::new(call, error.option, error.cause)
}

/// What means something to this family; `ping(8)` passes over the rest.
fn for_family(family: Family, options: &Options) -> Options {
    let source = options
        .source
        .filter(|&source| Family::of(source) == family);
    let options = Options {
        source,
        ..options.clone()
    };
    match family {
        Family::Ipv4 => Options {
            flow_label: None,
            ..options
        },
        Family::Ipv6 => Options {
            ip_options: None,
            ..options
        },
    }
}
