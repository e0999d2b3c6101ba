//! The client's side of a handshake: asking another proxy for a connection.
//!
//! Bytes go in as they arrive; what the other proxy sent beyond its reply is
//! given back. Holds at most one message.

use std::fmt;

use super::handshake::Refusal;
use super::reader::Fault;
use super::{Cause, Command, Credentials, Destination, http, socks5};

/// Another proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// What it speaks, and who looks names up.
    pub scheme: Scheme,
    /// Where it is.
    pub at: Destination,
    /// Who we are there, where that is asked.
    pub user: Option<String>,
}

/// What another proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// SOCKS5 with addresses: names are looked up here.
    Socks5,
    /// SOCKS5 with names, which are looked up there.
    Socks5h,
    /// HTTP's CONNECT, with names.
    Http,
}

/// Why a text is no other proxy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// No scheme that is known.
    #[error("it begins with none of socks5://, socks5h:// and http://")]
    Scheme,
    /// No host and port.
    #[error("no HOST:PORT follows the scheme")]
    Place,
    /// Everyone who lists processes would read it.
    #[error("a password has no place on a command line: everyone here could read it")]
    Password,
}

impl std::str::FromStr for Upstream {
    type Err = UpstreamError;

    fn from_str(text: &str) -> Result<Self, UpstreamError> {
        let (scheme, rest) = text.split_once("://").ok_or(UpstreamError::Scheme)?;
        let scheme = match scheme {
            "socks5" => Scheme::Socks5,
            "socks5h" => Scheme::Socks5h,
            "http" => Scheme::Http,
            _ => return Err(UpstreamError::Scheme),
        };
        let (user, place) = match rest.rsplit_once('@') {
            Some((user, _)) if user.contains(':') => return Err(UpstreamError::Password),
            Some((user, place)) => (Some(user.to_owned()), place),
            None => (None, rest),
        };
        let place = place.strip_suffix('/').unwrap_or(place);
        let at = Destination::read(place, Some(PORT)).ok_or(UpstreamError::Place)?;
        Ok(Self { scheme, at, user })
    }
}

/// The port of another proxy where none is given, as curl has it.
const PORT: u16 = 1080;

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Socks5 => "socks5",
            Scheme::Socks5h => "socks5h",
            Scheme::Http => "http",
        };
        write!(f, "{scheme}://{}", self.at)
    }
}

/// Why another proxy gives no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It refused, and said why.
    #[error("it refused: {0}")]
    Refused(Cause),
    /// It answered with a status that says no more than that.
    #[error("it answered {0}")]
    Answered(u16),
    /// It asks for a password and there is none, or it is wrong.
    #[error("it wants a user and a password, and not these")]
    Unauthorized,
    /// It speaks something else.
    #[error("it does not speak the protocol: {0}")]
    Strange(Refusal),
}

impl Failure {
    /// What it means for whoever asked.
    pub fn cause(&self) -> Cause {
        match self {
            Failure::Refused(cause) => *cause,
            Failure::Answered(_) | Failure::Unauthorized | Failure::Strange(_) => Cause::Failure,
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// More bytes are needed.
    Wait,
    /// This is to be sent; then the next step.
    Say(Vec<u8>),
    /// The connection is there.
    Through,
    /// It will not be.
    Failed(Failure),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Hello,
    Chosen,
    Judged,
    Replied,
    Answered,
    Over,
}

/// Asking under way.
#[derive(Debug)]
pub struct Asking {
    scheme: Scheme,
    destination: Destination,
    credentials: Option<Credentials>,
    phase: Phase,
    buffer: Vec<u8>,
}

impl Asking {
    /// Asks for a connection to `destination`.
    pub fn new(scheme: Scheme, destination: Destination, credentials: Option<Credentials>) -> Self {
        Self {
            scheme,
            destination,
            credentials,
            phase: Phase::Hello,
            buffer: Vec::new(),
        }
    }

    /// Takes what the other proxy sent.
    pub fn handle_bytes(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// What is to be done now. After [`Step::Through`] and [`Step::Failed`]
    /// nothing more is.
    pub fn poll(&mut self) -> Step {
        let step = match self.phase {
            Phase::Hello => Ok(self.hello()),
            Phase::Chosen => self.chosen(),
            Phase::Judged => self.judged(),
            Phase::Replied => self.replied(),
            Phase::Answered => self.answered(),
            Phase::Over => Err(Fault::Incomplete),
        };
        let step = match step {
            Ok(step) => step,
            Err(Fault::Incomplete) => return Step::Wait,
            Err(Fault::Refused(strange)) => Step::Failed(Failure::Strange(strange)),
        };
        if matches!(step, Step::Through | Step::Failed(_)) {
            self.phase = Phase::Over;
        }
        step
    }

    /// What came beyond the reply: the destination's first words.
    pub fn into_rest(self) -> Vec<u8> {
        self.buffer
    }

    fn hello(&mut self) -> Step {
        if self.scheme == Scheme::Http {
            self.phase = Phase::Answered;
            return Step::Say(http::put_request(
                &self.destination,
                self.credentials.as_ref(),
            ));
        }
        self.phase = Phase::Chosen;
        Step::Say(socks5::hello(self.credentials.is_some()))
    }

    fn chosen(&mut self) -> Result<Step, Fault> {
        let (method, taken) = socks5::chosen(&self.buffer)?;
        self.buffer.drain(..taken);
        Ok(match (method, &self.credentials) {
            (socks5::NO_PASSWORD, _) => self.ask(),
            (socks5::PASSWORD, Some(credentials)) => {
                self.phase = Phase::Judged;
                Step::Say(socks5::put_password(credentials))
            }
            _ => Step::Failed(Failure::Unauthorized),
        })
    }

    fn judged(&mut self) -> Result<Step, Fault> {
        let (is_right, taken) = socks5::judged(&self.buffer)?;
        self.buffer.drain(..taken);
        if !is_right {
            return Ok(Step::Failed(Failure::Unauthorized));
        }
        Ok(self.ask())
    }

    fn ask(&mut self) -> Step {
        self.phase = Phase::Replied;
        Step::Say(socks5::put_request(Command::Connect, &self.destination))
    }

    fn replied(&mut self) -> Result<Step, Fault> {
        let ((code, _), taken) = socks5::replied(&self.buffer)?;
        self.buffer.drain(..taken);
        Ok(match code {
            0 => Step::Through,
            code => Step::Failed(Failure::Refused(socks5::meaning(code))),
        })
    }

    fn answered(&mut self) -> Result<Step, Fault> {
        let (status, taken) = http::answered(&self.buffer)?;
        self.buffer.drain(..taken);
        Ok(match status {
            200..=299 => Step::Through,
            // More follows (RFC 9110 section 15.2).
            100..=199 => return self.answered(),
            407 => Step::Failed(Failure::Unauthorized),
            status => Step::Failed(match http::meaning(status) {
                Some(cause) => Failure::Refused(cause),
                None => Failure::Answered(status),
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::proxy::handshake::{self, Handshake};
    use crate::protocol::proxy::{Users, Verdict};
    use proptest::prelude::*;
    use std::sync::Arc;

    #[test]
    fn another_proxy_is_written_as_a_url() {
        for (text, expected, user) in [
            ("socks5://127.0.0.1:1081", "socks5://127.0.0.1:1081", None),
            ("socks5h://ann@[::1]", "socks5h://[::1]:1080", Some("ann")),
            (
                "http://proxy.example:3128/",
                "http://proxy.example:3128",
                None,
            ),
        ] {
            let read: Upstream = text.parse().expect(text);
            assert_eq!(
                (read.to_string().as_str(), read.user.as_deref()),
                (expected, user)
            );
        }
        for (text, expected) in [
            ("127.0.0.1:1080", UpstreamError::Scheme),
            ("https://a:1", UpstreamError::Scheme),
            ("http://", UpstreamError::Place),
            ("http://a:b", UpstreamError::Place),
            ("socks5://ann:secret@a:1", UpstreamError::Password),
        ] {
            assert_eq!(text.parse::<Upstream>(), Err(expected), "{text}");
        }
    }

    /// Our two sides against each other, in pieces of `size` bytes.
    fn converse(
        scheme: Scheme,
        password: Option<&str>,
        verdict: Verdict,
        size: usize,
    ) -> (Step, Vec<u8>) {
        let users = password.map(|_| Arc::new(Users::read("ann:secret").expect("a user")));
        let credentials = password.map(|password| Credentials {
            user: "ann".into(),
            password: password.into(),
        });
        let to = Destination::read("example.org:443", None).expect("a destination");
        let mut asking = Asking::new(scheme, to, credentials);
        let mut server = Handshake::new(users);
        let mut answers = Vec::new();
        loop {
            match asking.poll() {
                Step::Say(bytes) => bytes.chunks(size).for_each(|piece| {
                    server.handle_bytes(piece);
                    answers.extend(answer(&mut server, verdict));
                }),
                Step::Wait => {
                    let count = size.min(answers.len());
                    assert!(count > 0, "both wait");
                    asking.handle_bytes(&answers.drain(..count).collect::<Vec<u8>>());
                }
                end => {
                    let mut rest = asking.into_rest();
                    rest.extend(answers);
                    return (end, rest);
                }
            }
        }
    }

    fn answer(server: &mut Handshake, verdict: Verdict) -> Vec<u8> {
        let mut said = Vec::new();
        loop {
            match server.poll() {
                handshake::Step::Wait => return said,
                handshake::Step::Say(bytes) => said.extend(bytes),
                handshake::Step::Refused { say, .. } => said.extend(say),
                handshake::Step::Asked(request) => {
                    said.extend(request.method.reply(verdict));
                    said.extend(b"first words");
                }
            }
        }
    }

    #[test]
    fn our_two_sides_understand_each_other() {
        let granted = Verdict::Granted("[2001:db8::1]:5".parse().expect("an address"));
        for scheme in [Scheme::Socks5, Scheme::Socks5h, Scheme::Http] {
            for size in [1, 2, 3, 1000] {
                for password in [None, Some("secret")] {
                    let (end, rest) = converse(scheme, password, granted, size);
                    assert_eq!(end, Step::Through);
                    assert_eq!(rest, b"first words", "{scheme:?} in pieces of {size}");
                }
                let (end, _) = converse(scheme, Some("wrong"), granted, size);
                assert_eq!(end, Step::Failed(Failure::Unauthorized));
                let denied = Verdict::Refused(Cause::Denied);
                let (end, _) = converse(scheme, None, denied, size);
                assert_eq!(end, Step::Failed(Failure::Refused(Cause::Denied)));
            }
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(bytes: Vec<u8>, http: bool) {
            let scheme = if http { Scheme::Http } else { Scheme::Socks5 };
            let to = Destination::read("a:1", None).expect("a destination");
            let mut asking = Asking::new(scheme, to, None);
            asking.handle_bytes(&bytes);
            while let Step::Say(_) = asking.poll() {}
        }
    }
}
