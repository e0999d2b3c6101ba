//! One thread for all clients, with io_uring(7): not readiness is told, but whole
//! calls are handed to the kernel (accept, recv, send), and their results come
//! back in a queue of their own. Many calls are handed over, and many results
//! taken, with one entry into the kernel.
//!
//! The kernel writes into a buffer at any time between the two, so each waiting
//! client owns one. What is in flight must stay where it is: a guest leaves the
//! slab only when nothing of its is under way.

#![expect(unsafe_code, reason = "kernel edge: buffers lent to the kernel")]

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant, SystemTime};

use io_uring::squeue::Entry;
use io_uring::{IoUring, opcode, types};
use nix::errno::Errno;
use nix::libc;
use slab::Slab;

use crate::error::Error;
use crate::serve::Session;
use crate::serve::conversation::drain_now;
use crate::serve::door::{Door, Knock, PAUSE};
use crate::serve::tale::Witness;

/// Calls handed over at once.
const ENTRIES: u32 = 1024;
/// Bytes of a client's buffer.
const BLOCK: usize = 2048;

const ACCEPT: u64 = u64::MAX;
const STOP: u64 = u64::MAX - 1;

pub(super) fn serve(door: &Door<'_>) -> Result<(), Error> {
    let mut ring = Ring::open(door)?;
    while !ring.is_ending(door) {
        ring.turn(door)?;
    }
    Ok(())
}

/// A client with exactly one call under way: a recv into its buffer, or a send
/// of what its session owes.
struct Guest {
    stream: TcpStream,
    tale: Witness,
    session: Session,
    buffer: Box<[u8; BLOCK]>,
    is_sending: bool,
}

impl Guest {
    /// Tells what came of its call.
    fn tell(&mut self, result: i32) {
        let Some(tale) = &mut self.tale else {
            return;
        };
        let count = |count: i32| count.unsigned_abs() as usize;
        match (value(result), self.is_sending) {
            (Ok(sent), true) => tale.said(&self.session.poll_output()[..count(sent)]),
            (Ok(received), false) => tale.heard(&self.buffer[..count(received)]),
            (Err(error), _) => tale.failed(&error),
        }
    }
}

struct Ring {
    queues: IoUring,
    guests: Slab<Guest>,
    /// Calls that are to be handed over.
    orders: Vec<Entry>,
    is_accepting: bool,
    /// Without descriptors the door is left alone until then.
    rest: Option<Instant>,
    deadline: Option<Instant>,
}

impl Ring {
    fn open(door: &Door<'_>) -> Result<Self, Error> {
        let queues = IoUring::new(ENTRIES).map_err(refusal)?;
        // A call on a descriptor that never blocks would come back at once.
        let blocking = door.listener.set_nonblocking(false);
        blocking.map_err(|error| door.failure("fcntl", error))?;
        let stop = types::Fd(door.terms.stop.as_fd().as_raw_fd());
        let interest = u32::from(libc::POLLIN.unsigned_abs());
        let stop = opcode::PollAdd::new(stop, interest).build().user_data(STOP);
        Ok(Self {
            queues,
            guests: Slab::new(),
            orders: vec![stop],
            is_accepting: false,
            rest: None,
            deadline: None,
        })
    }

    /// Hands over what there is, waits for a result, and takes all there are.
    fn turn(&mut self, door: &Door<'_>) -> Result<(), Error> {
        self.rest = self.rest.filter(|until| Instant::now() < *until);
        let has_room = self.guests.len() < door.terms.most;
        if !self.is_accepting && has_room && self.rest.is_none() && self.deadline.is_none() {
            self.is_accepting = true;
            let listener = types::Fd(door.listener.as_raw_fd());
            let (nobody, none) = (std::ptr::null_mut(), std::ptr::null_mut());
            let accept = opcode::Accept::new(listener, nobody, none).flags(libc::SOCK_CLOEXEC);
            self.orders.push(accept.build().user_data(ACCEPT));
        }
        let failed = |error| Error::new("io_uring_enter", "", error);
        self.hand_over().map_err(failed)?;
        self.wait().map_err(failed)?;
        let results: Vec<(u64, i32)> = self
            .queues
            .completion()
            .map(|result| (result.user_data(), result.result()))
            .collect();
        for (whose, result) in results {
            match whose {
                ACCEPT => self.receive(door, result)?,
                STOP => {}
                whose => self.go_on(whose, result),
            }
        }
        Ok(())
    }

    fn hand_over(&mut self) -> io::Result<()> {
        let mut orders = std::mem::take(&mut self.orders);
        while !orders.is_empty() {
            let mut queue = self.queues.submission();
            let room = (queue.capacity() - queue.len()).min(orders.len());
            let batch: Vec<Entry> = orders.drain(..room).collect();
            // SAFETY: descriptors and buffers belong to guests, who stay in the
            // slab, their buffers and answers untouched, until the call's result
            // has been taken; `Drop` waits for those that are left.
            unsafe { queue.push_multiple(&batch) }.map_err(io::Error::other)?;
            drop(queue);
            if !orders.is_empty() {
                self.queues.submit()?;
            }
        }
        Ok(())
    }

    fn wait(&mut self) -> io::Result<()> {
        let waited = match self.rest.or(self.deadline) {
            None => self.queues.submit_and_wait(1),
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                let left = types::Timespec::from(left.max(Duration::from_millis(1)));
                let limits = types::SubmitArgs::new().timespec(&left);
                self.queues.submitter().submit_with_args(1, &limits)
            }
        };
        match waited.err().and_then(|error| error.raw_os_error()) {
            None | Some(libc::EINTR | libc::ETIME | libc::EBUSY) => Ok(()),
            Some(number) => Err(io::Error::from_raw_os_error(number)),
        }
    }

    /// What came of the accept.
    fn receive(&mut self, door: &Door<'_>, result: i32) -> Result<(), Error> {
        self.is_accepting = false;
        let accepted = value(result).and_then(|number| {
            // SAFETY: accept has just made this descriptor, and nobody else
            // knows of it.
            let stream = TcpStream::from(unsafe { OwnedFd::from_raw_fd(number) });
            let address = stream.peer_addr()?;
            Ok((stream, address))
        });
        match door.judge(|| accepted)? {
            Knock::Client(arrival) => {
                let whose = self.guests.insert(Guest {
                    stream: arrival.client,
                    tale: arrival.tale,
                    session: door.terms.service.begin(SystemTime::now()),
                    buffer: Box::new([0; BLOCK]),
                    is_sending: false,
                });
                self.order(whose);
            }
            Knock::Nobody | Knock::Gone => {}
            Knock::Full => self.rest = Some(Instant::now() + PAUSE),
        }
        Ok(())
    }

    /// What came of a guest's call.
    fn go_on(&mut self, whose: u64, result: i32) {
        let Some((whose, guest)) = usize::try_from(whose)
            .ok()
            .and_then(|whose| Some((whose, self.guests.get_mut(whose)?)))
        else {
            return;
        };
        guest.tell(result);
        match (value(result), guest.is_sending) {
            (Ok(count), true) => {
                guest.session.handle_sent(count.unsigned_abs() as usize);
                if self.deadline.is_some() {
                    guest.session.handle_end();
                }
            }
            (Ok(0), false) => guest.session.handle_end(),
            (Ok(count), false) => {
                let data = &guest.buffer[..count.unsigned_abs() as usize];
                guest.session.handle_data(data);
            }
            (Err(error), _) if error.kind() == io::ErrorKind::Interrupted => {}
            (Err(_), _) => {
                self.guests.remove(whose);
                return;
            }
        }
        self.order(whose);
    }

    /// The guest's next call; farewell where there is none.
    fn order(&mut self, whose: usize) {
        let Some(guest) = self.guests.get_mut(whose) else {
            return;
        };
        let socket = types::Fd(guest.stream.as_raw_fd());
        let owed = guest.session.poll_output();
        guest.is_sending = !owed.is_empty();
        let call = if guest.is_sending {
            let length = u32::try_from(owed.len()).unwrap_or(u32::MAX);
            opcode::Send::new(socket, owed.as_ptr(), length)
                .flags(libc::MSG_NOSIGNAL)
                .build()
        } else if guest.session.is_over() {
            if guest.session.leaves_unread() {
                drain_now(&guest.stream, &mut guest.buffer[..]);
            }
            self.guests.remove(whose);
            return;
        } else {
            let room = guest.buffer.as_mut_slice();
            let length = u32::try_from(room.len()).unwrap_or(u32::MAX);
            opcode::Recv::new(socket, room.as_mut_ptr(), length).build()
        };
        self.orders.push(call.user_data(whose as u64));
    }

    /// Whether all is over: the stop was asked for, and nothing is owed or there
    /// is no more patience.
    fn is_ending(&mut self, door: &Door<'_>) -> bool {
        if !door.terms.stop.is_asked() {
            return false;
        }
        let now = Instant::now();
        let guests = &self.guests;
        let deadline = *self.deadline.get_or_insert_with(|| {
            shut(guests, Shutdown::Read);
            now + door.terms.patience
        });
        self.rest = None;
        self.guests.is_empty() || now >= deadline
    }
}

impl Drop for Ring {
    /// Makes every call that is under way end, and waits for it: until then the
    /// kernel may write into its buffer.
    fn drop(&mut self) {
        shut(&self.guests, Shutdown::Both);
        self.rest = None;
        self.deadline = None;
        while !self.guests.is_empty() {
            if self.hand_over().and_then(|()| self.wait()).is_err() {
                // Rather lost than written into.
                std::mem::forget(std::mem::take(&mut self.guests));
                return;
            }
            let done: Vec<u64> = self.queues.completion().map(|it| it.user_data()).collect();
            for whose in done {
                if let Ok(whose) = usize::try_from(whose) {
                    self.guests.try_remove(whose);
                }
            }
        }
    }
}

fn shut(guests: &Slab<Guest>, how: Shutdown) {
    for (_, guest) in guests {
        // One whose connection is gone needs no ending.
        let _ = guest.stream.shutdown(how);
    }
}

/// A result as the system call would have returned it.
fn value(result: i32) -> io::Result<i32> {
    match result {
        0.. => Ok(result),
        _ => Err(io::Error::from_raw_os_error(-result)),
    }
}

fn refusal(error: io::Error) -> Error {
    let remedy = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EPERM) => {
            "kernel.io_uring_disabled or the container forbids it; try --model epoll"
        }
        Some(Errno::ENOSYS) => {
            "this kernel has no io_uring, or a filter hides it; try --model epoll"
        }
        Some(Errno::ENOMEM) => "its queues are locked memory; raise ulimit -l or try --model epoll",
        _ => "try --model epoll",
    };
    Error::new("io_uring_setup", "", error).remedy(remedy)
}
