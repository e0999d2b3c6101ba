//! The wire: one thread that takes packets from both hosts, asks the
//! [`Medium`](crate::impair::Medium) for their fates, hands them over when they
//! are due, and records each with its times.
//!
//! This file is the handle: start, settle, count, stop.

mod forwarder;
mod ledger;
mod orders;
mod quiet;

use std::io;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::account::WireCount;
use super::device::Port;
use crate::error::Error;
use crate::recorder::Recorder;
use crate::socket::watch::StateWatch;
use forwarder::Forwarder;
use orders::{Control, Order, control};

pub(super) use forwarder::Manner;

/// The running wire; dropping it stops it.
pub(super) struct Wire {
    control: Control,
    thread: Option<JoinHandle<(io::Result<WireCount>, [Port; 2])>>,
}

impl Wire {
    /// Starts forwarding between the client's port and the server's.
    pub(super) fn start(
        ports: [Port; 2],
        manner: Manner,
        recorder: Recorder,
        watch: Option<[StateWatch; 2]>,
    ) -> Result<Self, Error> {
        let begin = || {
            let (control, orders) = control()?;
            let thread = std::thread::Builder::new()
                .name("wire".into())
                .spawn(move || {
                    let mut ports = ports;
                    let forwarder = Forwarder::new(manner, recorder, watch);
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
    /// handed over or lost, and so has every answer that a kernel gave at once.
    /// `EINTR` where that is not to be waited for any more.
    pub(super) fn settle(&self, is_interrupted: impl Fn() -> bool) -> io::Result<()> {
        /// How often a long wait looks whether it should go on.
        const GLANCE: Duration = Duration::from_millis(20);
        let (done, settled) = channel();
        self.control.send(Order::Settle(done))?;
        loop {
            match settled.recv_timeout(GLANCE) {
                Err(RecvTimeoutError::Timeout) if is_interrupted() => {
                    return Err(io::Error::from_raw_os_error(nix::libc::EINTR));
                }
                Err(RecvTimeoutError::Timeout) => {}
                // A wire that has stopped is quiet too.
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    /// Counts the times of the plan's changes from now, where they wait for it.
    pub(super) fn start_schedule(&self) -> io::Result<()> {
        let (done, started) = channel();
        self.control.send(Order::StartSchedule(done))?;
        // A wire that has stopped has nothing to change.
        let _ = started.recv();
        Ok(())
    }

    /// What was carried so far.
    pub(super) fn count(&self) -> io::Result<WireCount> {
        let (answer, count) = channel();
        self.control.send(Order::Count(answer))?;
        count
            .recv()
            .map_err(|_| io::Error::other("the wire has stopped"))
    }

    /// Takes in what still waits in the devices, then stops, and gives the
    /// ports back: the devices live until those are closed.
    pub(super) fn stop(mut self) -> Result<(WireCount, Ends), Error> {
        self.end()
            .map_err(|error| Error::new("forward on", "the wire", error))
    }

    fn end(&mut self) -> io::Result<(WireCount, Ends)> {
        let Some(thread) = self.thread.take() else {
            return Ok((WireCount::default(), Ends(Vec::new())));
        };
        self.control.send(Order::Stop)?;
        let (count, ports) = thread
            .join()
            .map_err(|_| io::Error::other("its thread panicked"))?;
        let ends = Ends(ports.into());
        Ok((count?, ends))
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
