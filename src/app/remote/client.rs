//! The client: a handshake with a server whose key is known, one question, and
//! its answer.
//!
//! Writes what a command prints to whatever writers it is given. Never asks
//! before the handshake is done, and believes nothing after a failure.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::{keys, tell};
use crate::app::Stop;
use crate::app::net::Connection;
use crate::error::{Error, Exit};
use crate::event::Remote;
use crate::protocol::remote::{
    Ask, Broken, Client, Ending, Entry, LONGEST_PARAMETER, MOST_PARAMETERS, Output, Public, Reply,
    Secret, Told, Why, harmless,
};

/// A server that has proved to have its key.
pub struct Session {
    connection: Connection,
    client: Client,
    /// What was told and not yet looked at.
    told: std::vec::IntoIter<Told>,
    buffer: Vec<u8>,
}

/// What became of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It was run, and has ended.
    Ended(Ending),
    /// It was not run.
    Refused {
        /// The kind of refusal.
        why: Why,
        /// In words.
        reason: String,
    },
}

/// Shakes hands.
///
/// # Errors
///
/// The other end does not have this key, or does not know ours, or says nothing
/// for too long.
pub async fn open(
    connection: Connection,
    own: &Secret,
    server: &Public,
    patience: Duration,
) -> Result<Session, Error> {
    let peer = connection.peer();
    let (client, hello) = Client::begin(own, server, keys::random()?)
        .map_err(|broken| Error::new("begin the handshake with", peer, broken.to_string()))?;
    let mut session = Session {
        connection,
        client,
        told: Vec::new().into_iter(),
        buffer: vec![0; 16 << 10],
    };
    let began = Instant::now();
    let greeted = async {
        session.send(&hello).await?;
        session.next().await
    };
    match timeout(patience, greeted).await {
        Ok(Ok(_)) => {}
        Ok(Err(Failure::Left)) => return Err(refused(peer, own)),
        Ok(Err(Failure::Lost(error))) if is_closed(&error) => return Err(refused(peer, own)),
        Ok(Err(failure)) => return Err(failure.during("shake hands with", peer)),
        Err(_) => {
            let cause = format!("no answer within {patience:?} (--timeout)");
            return Err(Error::new("shake hands with", peer, cause).exiting(Exit::Network));
        }
    }
    let took = began.elapsed();
    tell(session.connection.recorder(), || Remote::Greeted {
        peer,
        fingerprint: server.fingerprint(),
        name: "server".into(),
        took,
    });
    Ok(session)
}

fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

/// A server says nothing to whom it does not know.
fn refused(peer: SocketAddr, own: &Secret) -> Error {
    let fingerprint = own.public().fingerprint();
    Error::new("shake hands with", peer, "the server closed the connection")
        .remedy(format!(
            "it does not know this key, {fingerprint}, or has another key than the one that was \
             expected, or this address failed too often, or it is full"
        ))
        .exiting(Exit::Network)
}

/// Why nothing more comes.
enum Failure {
    Left,
    Lost(io::Error),
    Broken(Broken),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Lost(error)
    }
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl Failure {
    fn during(self, operation: &str, peer: SocketAddr) -> Error {
        match self {
            Failure::Left => Error::new(operation, peer, "the connection ended before the answer"),
            Failure::Lost(error) => Error::new(operation, peer, error),
            Failure::Broken(broken) => Error::new(operation, peer, broken.to_string()),
        }
        .exiting(Exit::Network)
    }
}

impl Session {
    /// The connection, for its figures.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Asks what may be run.
    pub async fn list(&mut self) -> Result<Vec<Entry>, Error> {
        let peer = self.connection.peer();
        self.entries()
            .await
            .map_err(|failure| failure.during("ask", peer))
    }

    async fn entries(&mut self) -> Result<Vec<Entry>, Failure> {
        /// More than any server has.
        const MOST: usize = 10_000;
        self.ask(&Ask::List).await?;
        let mut entries = Vec::new();
        loop {
            match self.next().await? {
                Told::Reply(Reply::Entry(entry)) if entries.len() < MOST => entries.push(entry),
                Told::Reply(Reply::Listed) => return Ok(entries),
                _ => return Err(Broken::Order.into()),
            }
        }
    }

    /// Runs a command, and writes what it prints to `out` and `err` as it comes.
    /// When `stop` is asked the command is ended, and its end waited for.
    ///
    /// # Errors
    ///
    /// The connection failed, or what came on it cannot be believed, or a writer
    /// failed.
    pub async fn run(
        &mut self,
        (id, parameters): (&str, &[String]),
        stop: &Stop,
        (out, err): (&mut dyn Write, &mut dyn Write),
    ) -> Result<Answer, Error> {
        check(id, parameters)?;
        let peer = self.connection.peer();
        let failed = |failure: Failure| failure.during("run", peer);
        let ask = Ask::Run {
            id: id.to_owned(),
            parameters: parameters.to_vec(),
        };
        self.tell(|| Remote::Asked {
            id: id.to_owned(),
            parameters: parameters.to_vec(),
        });
        self.ask(&ask).await.map_err(failed)?;
        let (mut is_asked, mut number) = (false, 0);
        loop {
            let told = tokio::select! {
                told = self.next() => Some(told.map_err(failed)?),
                () = stop.asked(), if !is_asked => None,
            };
            let Some(told) = told else {
                is_asked = true;
                self.ask(&Ask::End).await.map_err(failed)?;
                continue;
            };
            match told {
                Told::Reply(Reply::Begun { run }) => {
                    number = run;
                    let id = id.to_owned();
                    self.tell(|| Remote::Begun { run, id });
                }
                Told::Reply(Reply::Output { output, bytes }) => match output {
                    Output::Stdout => write(&mut *out, "standard output", &bytes)?,
                    Output::Stderr => write(&mut *err, "standard error", &bytes)?,
                },
                Told::Reply(Reply::Ended(ending)) => {
                    self.tell(|| ended(number, id, &ending));
                    return Ok(Answer::Ended(ending));
                }
                Told::Reply(Reply::Refused { why, reason }) => {
                    return Ok(Answer::Refused { why, reason });
                }
                _ => return Err(failed(Broken::Order.into())),
            }
        }
    }

    /// Says that nothing more will be asked.
    pub async fn close(mut self) {
        // All has been heard.
        let _ = self.connection.shutdown().await;
    }

    async fn ask(&mut self, ask: &Ask) -> Result<(), Failure> {
        let frame = self.client.ask(ask)?;
        self.send(&frame).await
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.connection.write_all(bytes).await?)
    }

    async fn next(&mut self) -> Result<Told, Failure> {
        loop {
            if let Some(told) = self.told.next() {
                return Ok(told);
            }
            let count = self.connection.read(&mut self.buffer).await?;
            if count == 0 {
                return Err(Failure::Left);
            }
            self.told = self.client.handle_bytes(&self.buffer[..count])?.into_iter();
        }
    }

    fn tell(&self, step: impl FnOnce() -> Remote) {
        tell(self.connection.recorder(), step);
    }
}

/// What no server would take is not asked for.
fn check(id: &str, parameters: &[String]) -> Result<(), Error> {
    let failed = |cause: String| Err(Error::new("run", harmless(id), cause));
    if parameters.len() > MOST_PARAMETERS {
        return failed(format!("more than {MOST_PARAMETERS} parameters"));
    }
    match parameters.iter().find(|one| one.len() > LONGEST_PARAMETER) {
        Some(long) => failed(format!(
            "a parameter of {} bytes; the longest has {LONGEST_PARAMETER}",
            long.len()
        )),
        None => Ok(()),
    }
}

fn write(out: &mut dyn Write, name: &str, bytes: &[u8]) -> Result<(), Error> {
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(|error| Error::new("write", name, error).exiting(Exit::Other))
}

fn ended(run: u64, id: &str, ending: &Ending) -> Remote {
    Remote::Ended {
        run,
        id: id.to_owned(),
        outcome: ending.outcome.to_string(),
        stdout: ending.stdout.sent,
        stderr: ending.stderr.sent,
        left_out: ending.stdout.left_out + ending.stderr.left_out,
        took: ending.took,
    }
}
