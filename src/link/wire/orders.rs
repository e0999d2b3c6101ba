//! What the wire's thread can be told, and how it waits: for a packet, an order
//! or the next packet's time to leave.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;

use crate::link::account::WireCount;
use crate::link::device::Port;

/// What the wire's thread can be told, once what waits has been taken in.
pub(super) enum Order {
    /// Count the times of the plan's changes from now, and say so.
    StartSchedule(Sender<()>),
    /// Say when nothing is under way.
    Settle(Sender<()>),
    /// Say what was carried so far.
    Count(Sender<WireCount>),
    /// End.
    Stop,
}

/// The end of the line that gives orders.
pub(super) struct Control {
    queue: Sender<Order>,
    bell: Arc<EventFd>,
}

/// The end of the line that takes them.
pub(super) struct Orders {
    queue: Receiver<Order>,
    bell: Arc<EventFd>,
}

pub(super) fn control() -> io::Result<(Control, Orders)> {
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
    pub(super) fn send(&self, order: Order) -> io::Result<()> {
        // An error means that the thread has ended, and so is told already.
        let _ = self.queue.send(order);
        self.bell.write(1)?;
        Ok(())
    }
}

impl Orders {
    /// Blocks until a packet waits, an order comes, or `patience` has passed.
    pub(super) fn wait(
        &self,
        [client, server]: [&Port; 2],
        patience: Option<Duration>,
    ) -> io::Result<Option<Order>> {
        let mut waiting = [client.as_fd(), server.as_fd(), self.bell.as_fd()]
            .map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN));
        match ppoll(&mut waiting, patience.map(TimeSpec::from), None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        if !waiting[2].any().unwrap_or(true) {
            return Ok(None);
        }
        self.answer_the_bell()?;
        Ok(self.queue.try_recv().ok())
    }

    /// The next order, if there is one by now.
    pub(super) fn take(&self) -> io::Result<Option<Order>> {
        let order = self.queue.try_recv().ok();
        if order.is_some() {
            self.answer_the_bell()?;
        }
        Ok(order)
    }

    /// An order is in the queue before the bell rings for it: a ring without one
    /// is that of an order already taken.
    fn answer_the_bell(&self) -> io::Result<()> {
        match self.bell.read() {
            Ok(_) | Err(Errno::EAGAIN) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}
