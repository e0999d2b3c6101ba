//! `udp connect -z`: whether somebody listens on a UDP port, as far as can be
//! known (RFC 1122 section 4.1.3.1).
//!
//! An ICMP error proves that nobody does, an answer that somebody does, and
//! silence proves nothing. Owns the few empty datagrams that ask.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;

use super::mailbox::{Mailbox, Plan, canonical};
use super::returned::Returned;
use crate::error::Error;
use crate::event::{Passage, Refusal};
use crate::recorder::Recorder;
use crate::socket::options::{Role, SocketOption};

/// What is known of the port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "port", rename_all = "snake_case")]
pub enum Verdict {
    /// It answered.
    Open {
        /// With so many bytes.
        #[serde(rename = "answer_bytes")]
        bytes: usize,
    },
    /// Nobody listens there, or it cannot be reached.
    Closed(Refusal),
    /// Nothing came back.
    NoAnswer {
        /// In so many milliseconds.
        waited_ms: u64,
    },
}

/// What to ask.
#[derive(Debug, Clone)]
pub struct Config {
    /// Whom.
    pub peer: SocketAddr,
    /// From which address, where one was asked for.
    pub source: Option<SocketAddr>,
    /// The socket's options.
    pub options: Vec<SocketOption>,
    /// How long to wait in all.
    pub patience: Duration,
}

/// How often is asked in that time: one datagram may be lost.
const ASKED: u32 = 3;

/// Asks, and waits for an answer, an error or the end of patience.
pub fn check(config: &Config, stop: &AtomicBool, recorder: &Recorder) -> Result<Verdict, Error> {
    let plan = Plan {
        name: "client",
        local: config.source,
        peer: Some(config.peer),
        options: &config.options,
        role: Role::Connecting,
    };
    let (mut mailbox, _) = Mailbox::open(recorder, &plan)?;
    let clock = recorder.clock();
    let begin = clock.now();
    let mut asked = 0;
    let mut buffer = [0; 2048];
    loop {
        let passed = clock.now().saturating_sub(begin);
        if passed >= config.patience || stop.load(Ordering::Relaxed) {
            let waited_ms = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
            return Ok(Verdict::NoAnswer { waited_ms });
        }
        let due = config.patience * asked / ASKED;
        if asked < ASKED && passed >= due {
            asked += 1;
            mailbox.send(b"", None, None)?;
        }
        let next = (config.patience * asked / ASKED).saturating_sub(passed);
        let ready = mailbox.wait(None, Some(next))?;
        if ready.error {
            let errors = mailbox.errors()?;
            if let Some(error) = errors.into_iter().find(Returned::is_final) {
                return Ok(Verdict::Closed(error.refusal));
            }
        }
        if ready.datagram
            && let Some(incoming) = mailbox.receive(&mut buffer)?
        {
            let data = &buffer[..incoming.received.bytes];
            mailbox.tell(&incoming, data, Passage::Received);
            return Ok(Verdict::Open {
                bytes: incoming.received.length,
            });
        }
    }
}

impl Verdict {
    /// The verdict on `peer` in one line.
    pub fn line(&self, peer: SocketAddr) -> String {
        let peer = canonical(peer);
        match self {
            Verdict::Open { bytes } => format!("{peer} open: it answered with {bytes} bytes"),
            Verdict::Closed(refusal) => format!("{peer} closed: {refusal}"),
            Verdict::NoAnswer { waited_ms } => {
                let seconds = Duration::from_millis(*waited_ms).as_secs_f64();
                format!(
                    "{peer} no answer in {seconds:.1} s: open, filtered, or a lost datagram; \
                     UDP cannot tell"
                )
            }
        }
    }
}
