//! The wire: one thread that forwards packets both ways and records each with
//! the time it entered and the time it left.
//!
//! It stamps a packet's departure before handing it over, so that whatever the
//! receiver does with it comes later. Where TCP states are wanted, it asks the
//! sender's kernel before forwarding and the receiver's after, by the packet's
//! own five-tuple: so it sees SYN_RECV, LAST_ACK and TIME_WAIT, which no
//! descriptor shows.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::account::Carried;
use super::device::Port;
use super::netlink::QUEUE;
use crate::error::{Error, errno_name};
use crate::event::{Changes, Fate, Packet, Topic, What};
use crate::flow::{Direction, FiveTuple, Kind};
use crate::packet::LinkType;
use crate::recorder::Recorder;
use crate::socket::watch::StateWatch;

/// The running wire; dropping it stops it.
pub(super) struct Wire {
    control: Control,
    thread: Option<JoinHandle<(io::Result<Carried>, [Port; 2])>>,
}

impl Wire {
    /// Starts forwarding between the client's port and the server's.
    pub(super) fn start(
        ports: [Port; 2],
        recorder: Recorder,
        watch: Option<[StateWatch; 2]>,
    ) -> Result<Self, Error> {
        let begin = || {
            let (control, orders) = control()?;
            let thread = std::thread::Builder::new()
                .name("wire".into())
                .spawn(move || {
                    let mut ports = ports;
                    let records_packets = recorder.wants(Topic::Packet);
                    let forwarder = Forwarder {
                        recorder,
                        records_packets,
                        watch,
                        packets: 0,
                        carried: Carried::default(),
                        buffer: vec![0; LARGEST],
                    };
                    (forwarder.run(&mut ports, &orders), ports)
                })?;
            Ok(Self {
                control,
                thread: Some(thread),
            })
        };
        begin().map_err(|error: io::Error| Error::new("start", "the wire", error))
    }

    /// Waits until nothing is under way: every packet that was sent has been
    /// handed over, and so has every answer that a kernel gave at once.
    pub(super) fn settle(&self) -> io::Result<()> {
        let (done, settled) = channel();
        self.control.send(Order::Settle(done))?;
        // An error means that the wire has stopped, and so is quiet too.
        let _ = settled.recv();
        Ok(())
    }

    /// Forwards what still waits in the devices, then stops, and gives the
    /// ports back: the devices live until those are closed.
    pub(super) fn stop(mut self) -> Result<(Carried, Ends), Error> {
        self.end()
            .map_err(|error| Error::new("forward on", "the wire", error))
    }

    fn end(&mut self) -> io::Result<(Carried, Ends)> {
        let Some(thread) = self.thread.take() else {
            return Ok((Carried::default(), Ends(Vec::new())));
        };
        self.control.send(Order::Stop)?;
        let (carried, ports) = thread
            .join()
            .map_err(|_| io::Error::other("its thread panicked"))?;
        let ends = Ends(ports.into());
        Ok((carried?, ends))
    }
}

/// The ports of a wire that has stopped.
pub(super) struct Ends(Vec<Port>);

impl Drop for Ends {
    /// Closing a packet socket waits for the kernel to forget it (an RCU grace
    /// period, some 10 ms); two that are closed at once wait together.
    fn drop(&mut self) {
        let ports = std::mem::take(&mut self.0);
        std::thread::scope(|scope| {
            for port in ports {
                scope.spawn(move || drop(port));
            }
        });
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // Nobody is left to tell of a failure.
        let _ = self.end();
    }
}

/// The largest IP packet.
const LARGEST: usize = 65_536;

/// How many packets one side may send before the other gets its turn.
const TURN: usize = 64;

/// How many turns empty a device whose queue is full, answers included.
const FULL_QUEUES: usize = 2 * QUEUE as usize / TURN + 1;

struct Forwarder {
    recorder: Recorder,
    records_packets: bool,
    watch: Option<[StateWatch; 2]>,
    packets: u64,
    carried: Carried,
    buffer: Vec<u8>,
}

impl Forwarder {
    fn run(mut self, ports: &mut [Port; 2], orders: &Orders) -> io::Result<Carried> {
        let [client, server] = ports;
        loop {
            let order = orders.wait(client, server)?;
            // An order waits for what the devices hold, not for the traffic to
            // end: a flood does not end.
            let turns = if order.is_some() { FULL_QUEUES } else { 1 };
            for _ in 0..turns {
                let up = self.turn(Direction::ClientToServer, client, server)?;
                let down = self.turn(Direction::ServerToClient, server, client)?;
                if up == 0 && down == 0 {
                    break;
                }
            }
            match order {
                None => {}
                // Whoever asked may have gone; then nobody waits.
                Some(Order::Settle(done)) => drop(done.send(())),
                Some(Order::Stop) => {
                    self.carried.overrun = client.dropped()? + server.dropped()?;
                    return Ok(self.carried);
                }
            }
        }
    }

    /// Forwards what waits on one side; returns how many packets that was.
    fn turn(&mut self, direction: Direction, from: &mut Port, to: &mut Port) -> io::Result<usize> {
        for forwarded in 0..TURN {
            match from.receive(&mut self.buffer) {
                Ok(length) => self.forward(direction, length, to),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(forwarded),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(TURN)
    }

    fn forward(&mut self, direction: Direction, length: usize, to: &mut Port) {
        let sent_at = self.now();
        self.packets += 1;
        let traffic = self.carried.towards(direction);
        traffic.offered += 1;
        traffic.offered_bytes += length as u64;
        let conversation = match self.watch {
            Some(_) => tcp_conversation(&self.buffer[..length]),
            None => None,
        };
        if let (Some(watch), Some(tuple)) = (&mut self.watch, conversation) {
            sender(watch, direction).look(tuple, sent_at);
        }
        // Stamped before the packet is handed over: whatever the receiver's
        // kernel and program make of it comes after.
        let departed_at = self.now();
        let (fate, delivered_at) = match to.transmit(&self.buffer[..length]) {
            Ok(_) => (Fate::Delivered, Some(departed_at)),
            Err(error) => {
                let cause = Cow::Owned(format!("device: {}", errno_name(&error)));
                (Fate::Lost { cause }, None)
            }
        };
        match delivered_at {
            Some(_) => self.carried.towards(direction).delivered += 1,
            None => self.carried.towards(direction).refused += 1,
        }
        if self.records_packets {
            let packet = Packet {
                id: self.packets,
                direction,
                link: LinkType::Raw,
                bytes: Cow::Borrowed(&self.buffer[..length]),
                sent_at,
                fate,
                changes: Changes::default(),
                place: None,
                due_at: None,
                delivered_at,
            };
            self.recorder.record(sent_at, What::Packet(packet));
        }
        if let (Some(watch), Some(tuple)) = (&mut self.watch, conversation) {
            sender(watch, direction.reversed()).look(tuple.mirrored(), departed_at);
        }
    }

    /// The time, where anybody wants to know it.
    fn now(&self) -> Duration {
        if self.records_packets || self.watch.is_some() {
            self.recorder.clock().now()
        } else {
            Duration::ZERO
        }
    }
}

/// What the wire's thread can be told, once what waits has been forwarded.
enum Order {
    /// Say that nothing is under way.
    Settle(Sender<()>),
    /// End.
    Stop,
}

/// The end of the line that gives orders.
struct Control {
    queue: Sender<Order>,
    bell: Arc<EventFd>,
}

/// The end of the line that takes them.
struct Orders {
    queue: Receiver<Order>,
    bell: Arc<EventFd>,
}

fn control() -> io::Result<(Control, Orders)> {
    let (sender, receiver) = channel();
    // As a semaphore, the bell rings once for each order.
    let flags = EfdFlags::EFD_SEMAPHORE | EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
    let bell = Arc::new(EventFd::from_flags(flags)?);
    let control = Control {
        queue: sender,
        bell: Arc::clone(&bell),
    };
    let orders = Orders {
        queue: receiver,
        bell,
    };
    Ok((control, orders))
}

impl Control {
    fn send(&self, order: Order) -> io::Result<()> {
        // An error means that the thread has ended, and so is told already.
        let _ = self.queue.send(order);
        self.bell.write(1)?;
        Ok(())
    }
}

impl Orders {
    /// Blocks until a packet waits or an order comes.
    fn wait(&self, client: &Port, server: &Port) -> io::Result<Option<Order>> {
        let mut waiting = [client.as_fd(), server.as_fd(), self.bell.as_fd()]
            .map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN));
        match poll(&mut waiting, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        match self.bell.read() {
            Ok(_) => Ok(self.queue.try_recv().ok()),
            Err(Errno::EAGAIN) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// The kernel at the sending end of a direction.
fn sender([client, server]: &mut [StateWatch; 2], direction: Direction) -> &mut StateWatch {
    match direction {
        Direction::ClientToServer => client,
        Direction::ServerToClient => server,
    }
}

/// The five-tuple of a TCP packet, as its sender names it.
fn tcp_conversation(bytes: &[u8]) -> Option<FiveTuple> {
    use pnet::packet::ip::IpNextHeaderProtocols::Tcp;
    use pnet::packet::{Packet as _, ipv4::Ipv4Packet, ipv6::Ipv6Packet, tcp::TcpPacket};
    let ends = |source: std::net::IpAddr, destination: std::net::IpAddr, payload: &[u8]| {
        let tcp = TcpPacket::new(payload)?;
        Some(FiveTuple {
            protocol: Kind::Tcp,
            local: SocketAddr::new(source, tcp.get_source()),
            remote: SocketAddr::new(destination, tcp.get_destination()),
        })
    };
    match bytes.first()? >> 4 {
        4 => {
            let ip = Ipv4Packet::new(bytes).filter(|ip| {
                ip.get_next_level_protocol() == Tcp && ip.get_fragment_offset() == 0
            })?;
            ends(
                ip.get_source().into(),
                ip.get_destination().into(),
                ip.payload(),
            )
        }
        6 => {
            let ip = Ipv6Packet::new(bytes).filter(|ip| ip.get_next_header() == Tcp)?;
            ends(
                ip.get_source().into(),
                ip.get_destination().into(),
                ip.payload(),
            )
        }
        _ => None,
    }
}
