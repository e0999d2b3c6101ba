//! Two private hosts, `client` and `server`, and the wire between them.
//!
//! ```text
//!   client's namespace            the wire             server's namespace
//!   10.77.0.1 fd77::1  wire0 ◄── one thread ──► wire0  10.77.0.2 fd77::2
//! ```
//!
//! Everything is owned by values of this process: threads that live in their
//! own network namespaces, and devices that vanish with those. So
//! nothing is left behind, however the process ends.

mod account;
mod device;
mod namespace;
mod netlink;
mod news;
mod tun;
mod veth;
mod wire;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;

use crate::error::Error;
use crate::event::{Place, Sink, Topic};
use crate::flow::Family;
use crate::impair::{Plan, Schedule};
use crate::recorder::{Clock, Recorder};
use crate::socket::watch::StateWatch;

pub use account::{Account, Amount, Carried, Changed, FlowAccount, Lateness, Traffic, WireCount};
pub use device::{DeviceDrops, DeviceKind, Offload};
pub use namespace::{
    Host, Privilege, begin_private_process_namespace, enter_private_user_namespace,
};

use device::Port;
use wire::{Manner, Wire};

/// What the link is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The client's addresses.
    pub client: Addresses,
    /// The server's addresses.
    pub server: Addresses,
    /// The maximum transmission unit in bytes, IP header included.
    pub mtu: u32,
    /// The device to build on; `None` tries TUN first, then veth.
    pub device: Option<DeviceKind>,
    /// What the wire does to packets.
    pub plan: Plan,
    /// From when the plan's times count.
    pub schedule: Schedule,
    /// How long before a packet is due, and after one has moved, the wire does
    /// not sleep but watches the clock and its devices: punctual to the
    /// microsecond, as are its times, at the price of a busy processor.
    pub spin: Duration,
    /// Whether packets may cross uncut.
    pub offload: Offload,
}

/// One host's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Addresses {
    /// Its IPv4 address, in a /24.
    pub v4: Ipv4Addr,
    /// Its IPv6 address, in a /64.
    pub v6: Ipv6Addr,
}

impl Addresses {
    /// The address of one family.
    pub fn of(self, family: Family) -> IpAddr {
        match family {
            Family::Ipv4 => self.v4.into(),
            Family::Ipv6 => self.v6.into(),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            client: Addresses {
                v4: Ipv4Addr::new(10, 77, 0, 1),
                v6: Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1),
            },
            server: Addresses {
                v4: Ipv4Addr::new(10, 77, 0, 2),
                v6: Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 2),
            },
            mtu: 1500,
            device: None,
            plan: Plan::default(),
            schedule: Schedule::default(),
            spin: Duration::ZERO,
            offload: Offload::Off,
        }
    }
}

/// Two private hosts joined by a wire that forwards every packet and records it.
///
/// Dropping the link tears it down; [`Link::finish`] does so and tells what the
/// wire carried.
pub struct Link {
    client: Host,
    server: Host,
    // Held for its namespace: the wire's ends of veth pairs live there.
    _middle: Option<Host>,
    wire: Wire,
    device: DeviceKind,
    offload: Offload,
    plan: Option<String>,
    seed: u64,
    interrupt: Option<Arc<AtomicBool>>,
}

impl Link {
    /// Builds the link. An ordinary user's process must have called
    /// [`enter_private_user_namespace`] before it started a second thread.
    pub fn build(config: &Config, clock: Clock, sink: Arc<dyn Sink>) -> Result<Self, Error> {
        let recorder = Recorder::new(Place::Wire, clock, sink);
        match config.device {
            device if config.offload == Offload::On => Self::build_fast(device, config, &recorder),
            Some(kind) => Self::build_on(kind, config, &recorder),
            None => Self::build_on(DeviceKind::Tun, config, &recorder).or_else(|tun| {
                Self::build_on(DeviceKind::Veth, config, &recorder)
                    .map_err(|veth| neither(tun, &veth))
            }),
        }
    }

    /// The client's host.
    pub fn client(&self) -> &Host {
        &self.client
    }

    /// The server's host.
    pub fn server(&self) -> &Host {
        &self.server
    }

    /// The host at `place`: the server's there, else the client's.
    pub fn host(&self, place: Place) -> &Host {
        match place {
            Place::Server => &self.server,
            _ => &self.client,
        }
    }

    /// What the wire's ends are.
    pub fn device(&self) -> DeviceKind {
        self.device
    }

    /// Makes [`settle`](Self::settle) end early, with `EINTR`, once `interrupt`
    /// is set.
    pub fn heed(&mut self, interrupt: Arc<AtomicBool>) {
        self.interrupt = Some(interrupt);
    }

    /// Waits until nothing is under way on the wire.
    pub fn settle(&self) -> Result<(), Error> {
        let is_interrupted = || {
            let interrupt = self.interrupt.as_ref();
            interrupt.is_some_and(|came| came.load(Ordering::Relaxed))
        };
        self.wire
            .settle(is_interrupted)
            .map_err(|error| Error::new("settle", "the wire", error))
    }

    /// Counts the times of the plan's changes from now, where the link was built
    /// to wait for it ([`Schedule::WhenStarted`]).
    pub fn start_schedule(&self) -> Result<(), Error> {
        self.wire
            .start_schedule()
            .map_err(|error| Error::new("start the schedule of", "the wire", error))
    }

    /// What was carried so far.
    pub fn count(&self) -> Result<WireCount, Error> {
        self.wire
            .count()
            .map_err(|error| Error::new("count", "the wire's packets", error))
    }

    /// Lets the wire take in what is still in the devices, tears everything
    /// down, and tells what was carried and what the devices dropped. Packets
    /// that are not due by then are counted as queued.
    pub fn finish(self) -> Result<Account, Error> {
        let (count, ends) = self.wire.stop()?;
        let mut drops = [&self.client, &self.server]
            .into_iter()
            .map(|host| {
                let place = host.place();
                host.run(move || device::drops(place))
                    .map_err(|error| Error::new("read /proc/thread-self/net/dev of", place, error))
            })
            .collect::<Result<Vec<DeviceDrops>, _>>()?;
        drop(ends);
        if self.device == DeviceKind::Tun {
            // A TUN device counts what it was not handed as its own drops.
            for device in &mut drops {
                let known = count.refused_at(device.host);
                device.receive_dropped = device.receive_dropped.saturating_sub(known);
            }
        }
        Ok(Account {
            device: self.device,
            offload: self.offload,
            plan: self.plan,
            seed: self.seed,
            count,
            drops,
        })
    }

    fn build_fast(
        device: Option<DeviceKind>,
        config: &Config,
        recorder: &Recorder,
    ) -> Result<Self, Error> {
        let refused = |cause: &str| {
            Err(Error::new("build", "a link with offloads", cause)
                .remedy("leave the fast mode off, or everything else"))
        };
        if device == Some(DeviceKind::Veth) {
            return refused("veth is used without offloads");
        }
        if !config.plan.is_transparent() {
            return refused("packets of up to 64 KiB cannot meet the fates of single ones");
        }
        if recorder.wants(Topic::Packet) {
            return refused("packets of up to 64 KiB are none that a wire would show");
        }
        Self::build_on(DeviceKind::Tun, config, recorder)
    }

    fn build_on(kind: DeviceKind, config: &Config, recorder: &Recorder) -> Result<Self, Error> {
        let client = Host::create(&recorder.at(Place::Client), config.client)?;
        let server = Host::create(&recorder.at(Place::Server), config.server)?;
        let (middle, ports) = match kind {
            DeviceKind::Tun => (None, [&client, &server].map(|host| tun_port(host, config))),
            DeviceKind::Veth => {
                let middle = Host::create(recorder, config.client)?;
                let ports = [&client, &server].map(|host| veth_port(host, &middle, config.mtu));
                (Some(middle), ports)
            }
        };
        let [client_port, server_port] = ports;
        let watch = if recorder.wants(Topic::State) || recorder.wants(Topic::Sample) {
            Some([watch(&client)?, watch(&server)?])
        } else {
            None
        };
        let manner = Manner {
            plan: config.plan.clone(),
            schedule: config.schedule,
            spin: config.spin,
        };
        let ports = [client_port?, server_port?];
        let wire = Wire::start(ports, manner, recorder.clone(), watch)?;
        let link = Self {
            client,
            server,
            _middle: middle,
            wire,
            device: kind,
            offload: config.offload,
            plan: (!config.plan.is_transparent()).then(|| config.plan.to_string()),
            seed: config.plan.seed,
            interrupt: None,
        };
        // The wire's thread is up and waiting when this returns, so that the
        // first packet does not pay for its start.
        link.settle()?;
        Ok(link)
    }
}

/// Why no device would do. Both causes are said where they differ.
fn neither(tun: Error, veth: &Error) -> Error {
    if tun.to_string() == veth.to_string() {
        return tun;
    }
    Error::new(
        "build",
        "a private link",
        format!("with TUN: {tun}; with veth: {veth}"),
    )
}

fn tun_port(host: &Host, config: &Config) -> Result<Port, Error> {
    let (addresses, mtu, offload) = (host.addresses(), config.mtu, config.offload);
    host.run(move || tun::create(addresses, mtu, offload))
        .map(Port::Tun)
}

fn veth_port(host: &Host, middle: &Host, mtu: u32) -> Result<Port, Error> {
    let addresses = host.addresses();
    let end = veth::End::of(host.place());
    let namespace = middle.run(namespace::current)?;
    host.run(move || veth::create(end, addresses, mtu, &namespace))?;
    let port = middle.run(move || veth::attach(end))?;
    host.run(veth::await_carrier)?;
    Ok(Port::Veth(port))
}

fn watch(host: &Host) -> Result<StateWatch, Error> {
    let recorder = host.recorder().clone();
    host.run(|| StateWatch::open(recorder))
        .map_err(|error| Error::new("open sock_diag on", host.place(), error))
}
