//! The proxy's side of a handshake, whichever of the protocols the client
//! speaks: its first byte says which.
//!
//! Bytes go in as they arrive, in any pieces; what came beyond the handshake is
//! given back, to be passed on. Holds at most one message: whoever sends
//! without end is refused.
//!
//! ```text
//! opening ─ 05 ─► greeting ─► [password ─►] request ─┐
//!    ├───── 04 ──────────────────► request ──────────┼─► asked
//!    └───── A…Z ─────────────────► head ─────────────┘
//!                each of them ─► refused
//! ```

use std::sync::Arc;

use super::reader::Fault;
use super::{Cause, Command, Method, NameError, Request, Users, Verdict};
use super::{http, socks4, socks5};

/// Why a handshake came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The first byte begins none of the protocols.
    #[error("neither SOCKS nor HTTP: the first byte is {0:#04x}")]
    Unknown(u8),
    /// A message of SOCKS5 begins with a version that it does not have.
    #[error("a message begins with {0:#04x} instead of its version")]
    Version(u8),
    /// None of the ways to prove who one is that the client offers will do.
    #[error("the client offers no way to prove who it is that will do here")]
    NoMethod,
    /// A password is needed, and the protocol has none or none was given.
    #[error("a password is needed")]
    NeedsPassword,
    /// This user does not have this password.
    #[error("wrong user or password")]
    WrongPassword,
    /// A command that does not exist.
    #[error("the command {0} is unknown")]
    Command(u8),
    /// A kind of address that does not exist.
    #[error("the address type {0} is unknown")]
    AddressType(u8),
    /// A name that is none.
    #[error("{0}")]
    Name(NameError),
    /// Another method than CONNECT.
    #[error("the HTTP method {0} is not done here: only CONNECT")]
    HttpMethod(String),
    /// An HTTP request without a host and a port.
    #[error("CONNECT is followed by no HOST:PORT")]
    Authority,
    /// It looked like HTTP.
    #[error("malformed HTTP request")]
    NotHttp,
    /// More than any such message has.
    #[error("the message is longer than any")]
    TooLong,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// More bytes are needed.
    Wait,
    /// This is to be sent; then the next step.
    Say(Vec<u8>),
    /// The client has said what it wants.
    Asked(Request),
    /// This is to be sent, and the connection closed.
    Refused {
        /// The protocol, once it was known.
        method: Option<Method>,
        /// The last words; none where there is no such reply.
        say: Vec<u8>,
        /// Why.
        why: Refusal,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Opening,
    Password,
    Request,
    Over,
}

/// A handshake under way.
#[derive(Debug, Clone)]
pub struct Handshake {
    users: Option<Arc<Users>>,
    phase: Phase,
    buffer: Vec<u8>,
    user: Option<String>,
    /// That an empty line came first, as only HTTP's requests have it.
    has_begun_empty: bool,
}

impl Handshake {
    /// A handshake in which a password is asked for where there are `users`.
    pub fn new(users: Option<Arc<Users>>) -> Self {
        Self {
            users,
            phase: Phase::Opening,
            buffer: Vec::new(),
            user: None,
            has_begun_empty: false,
        }
    }

    /// Takes what the client sent.
    pub fn handle_bytes(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// What is to be done now. After [`Step::Asked`] and [`Step::Refused`]
    /// nothing more is.
    pub fn poll(&mut self) -> Step {
        let step = match (self.phase, self.buffer.first()) {
            (Phase::Over, _) | (_, None) => return Step::Wait,
            (Phase::Opening, Some(b'\r')) if !self.has_begun_empty => return self.empty_line(),
            (Phase::Opening, Some(b'A'..=b'Z')) => self.http(),
            (Phase::Opening, Some(&byte)) if self.has_begun_empty => {
                Err(Refusal::Unknown(byte).into())
            }
            (Phase::Opening, Some(&socks5::VERSION)) => self.greeting(),
            (Phase::Opening, Some(&socks4::VERSION)) => self.socks4(),
            (Phase::Opening, Some(&byte)) => Err(Refusal::Unknown(byte).into()),
            (Phase::Password, _) => self.password(),
            (Phase::Request, _) => self.request(),
        };
        match step {
            Ok(step) => {
                if matches!(step, Step::Asked(_)) {
                    self.phase = Phase::Over;
                }
                step
            }
            Err(Fault::Incomplete) => Step::Wait,
            Err(Fault::Refused(why)) => self.refuse(why),
        }
    }

    /// What came beyond the handshake.
    pub fn into_rest(self) -> Vec<u8> {
        self.buffer
    }

    /// An empty line before a request is passed over (RFC 9112 section 2.2); one,
    /// so that nobody sends them without end.
    fn empty_line(&mut self) -> Step {
        match self.buffer.get(1) {
            None => Step::Wait,
            Some(b'\n') => {
                self.buffer.drain(..2);
                self.has_begun_empty = true;
                self.poll()
            }
            Some(_) => self.refuse(Refusal::Unknown(b'\r')),
        }
    }

    fn greeting(&mut self) -> Result<Step, Fault> {
        let (offered, taken) = socks5::greeting(&self.buffer)?;
        let wanted = match self.users {
            Some(_) => socks5::PASSWORD,
            None => socks5::NO_PASSWORD,
        };
        if !offered.contains(&wanted) {
            return Err(Refusal::NoMethod.into());
        }
        self.phase = match self.users {
            Some(_) => Phase::Password,
            None => Phase::Request,
        };
        self.buffer.drain(..taken);
        Ok(Step::Say(socks5::choice(Some(wanted))))
    }

    fn password(&mut self) -> Result<Step, Fault> {
        let ((user, password), taken) = socks5::password(&self.buffer)?;
        if !self.admits(user, password) {
            return Err(Refusal::WrongPassword.into());
        }
        self.user = Some(shown(user));
        self.buffer.drain(..taken);
        self.phase = Phase::Request;
        Ok(Step::Say(socks5::password_answer(true)))
    }

    fn request(&mut self) -> Result<Step, Fault> {
        let ((command, destination), taken) = socks5::request(&self.buffer)?;
        self.buffer.drain(..taken);
        Ok(Step::Asked(Request {
            method: Method::Socks5,
            command,
            destination,
            user: self.user.take(),
        }))
    }

    fn socks4(&mut self) -> Result<Step, Fault> {
        let (request, taken) = socks4::request(&self.buffer)?;
        if self.users.is_some() {
            // It has a name and no password.
            return Err(Refusal::NeedsPassword.into());
        }
        self.buffer.drain(..taken);
        Ok(Step::Asked(request))
    }

    fn http(&mut self) -> Result<Step, Fault> {
        let (head, taken) = http::request(&self.buffer)?;
        let user = match (&self.users, &head.proof) {
            (None, _) => None,
            (Some(_), None) => return Err(Refusal::NeedsPassword.into()),
            (Some(_), Some((user, password))) if self.admits(user, password) => Some(shown(user)),
            (Some(_), Some(_)) => return Err(Refusal::WrongPassword.into()),
        };
        self.buffer.drain(..taken);
        Ok(Step::Asked(Request {
            method: Method::HttpConnect,
            command: Command::Connect,
            destination: head.destination,
            user,
        }))
    }

    fn admits(&self, user: &[u8], password: &[u8]) -> bool {
        self.users
            .as_ref()
            .is_none_or(|users| users.admit(user, password))
    }

    fn refuse(&mut self, why: Refusal) -> Step {
        let method = self.method();
        let say = match (method, &why) {
            (None, _) | (_, Refusal::Version(_)) => Vec::new(),
            (_, Refusal::NoMethod) => socks5::choice(None),
            (_, Refusal::WrongPassword) if self.phase == Phase::Password => {
                socks5::password_answer(false)
            }
            (Some(Method::HttpConnect), Refusal::TooLong) => http::too_long(),
            (Some(method), why) => method.reply(Verdict::Refused(why.cause())),
        };
        self.phase = Phase::Over;
        Step::Refused { method, say, why }
    }

    fn method(&self) -> Option<Method> {
        match (self.phase, self.buffer.first()) {
            (Phase::Opening, Some(b'A'..=b'Z')) => Some(Method::HttpConnect),
            (Phase::Opening, _) if self.has_begun_empty => None,
            (Phase::Opening, Some(&socks4::VERSION)) => Some(Method::Socks4),
            (Phase::Opening, Some(&socks5::VERSION)) | (Phase::Password | Phase::Request, _) => {
                Some(Method::Socks5)
            }
            _ => None,
        }
    }
}

impl Refusal {
    /// What it is in a reply.
    pub fn cause(&self) -> Cause {
        match self {
            Refusal::NeedsPassword | Refusal::WrongPassword | Refusal::NoMethod => {
                Cause::Unauthorized
            }
            Refusal::Command(_) | Refusal::HttpMethod(_) => Cause::CommandUnsupported,
            Refusal::AddressType(_) => Cause::AddressUnsupported,
            _ => Cause::Malformed,
        }
    }
}

/// A user's name as it may be shown: it was admitted, and those who are have
/// names that can be.
fn shown(user: &[u8]) -> String {
    String::from_utf8_lossy(user).into_owned()
}

#[cfg(test)]
mod tests;
