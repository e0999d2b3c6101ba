//! One connection at the server: the handshake, the question, the answer.
//!
//! Owns the connection and how long it may take; a command that runs is
//! [`run`](super::run)'s.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::audit::{Entry, Who};
use super::run::Run;
use super::server::{House, Waiting};
use super::tell;
use crate::app::Stop;
use crate::app::net::{Connection, Reader, Writer};
use crate::error::explain;
use crate::event::{Remote, Told};
use crate::protocol::remote::{Ask, Broken, Heard, Reply, Server, Why};

/// How long a client may take nothing that was sent to it.
pub(super) const STALL: Duration = Duration::from_secs(30);

/// How long a client may take to close after all has been said.
const FAREWELL: Duration = Duration::from_secs(2);

/// One connection.
pub(super) struct Visit<'a> {
    pub(super) house: &'a House,
    pub(super) reader: Reader,
    pub(super) writer: Writer,
    pub(super) session: Server<'a>,
    pub(super) peer: SocketAddr,
    began: Instant,
    /// What was asked and not yet answered.
    asked: VecDeque<Ask>,
    who: Option<Who>,
}

/// Why a visit ends before its end.
pub(super) enum Gone {
    /// They left without a word.
    Left,
    /// What they sent is nothing that a client sends.
    Broken(Broken),
    /// The connection failed.
    Lost(io::Error),
    /// They took too long.
    Late,
}

impl From<io::Error> for Gone {
    fn from(error: io::Error) -> Self {
        Self::Lost(error)
    }
}

impl From<Broken> for Gone {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

/// Speaks with whoever came, until they go.
pub(super) async fn visit(connection: Connection, waiting: Waiting, house: &House, stop: &Stop) {
    let peer = connection.peer();
    let (reader, writer) = connection.into_split();
    let mut visit = Visit {
        house,
        reader,
        writer,
        session: Server::new(&house.config.secret, &house.config.authorised),
        peer,
        began: Instant::now(),
        asked: VecDeque::new(),
        who: None,
    };
    let question = tokio::select! {
        question = timeout(house.config.handshake, visit.question()) => question,
        () = stop.asked() => return,
    };
    drop(waiting);
    let gone = match question.unwrap_or(Err(Gone::Late)) {
        Ok(ask) => {
            house.proved(peer);
            visit.answer(ask, stop).await.err()
        }
        Err(gone) => Some(gone),
    };
    visit.over(gone);
}

impl Visit<'_> {
    /// The handshake, and what is asked after it.
    async fn question(&mut self) -> Result<Ask, Gone> {
        let mut buffer = [0; 4096];
        loop {
            let count = self.reader.read(&mut buffer).await?;
            if count == 0 {
                return Err(Gone::Left);
            }
            // The lock is not held while anything is waited for.
            let heard = {
                let mut seen = self.house.seen();
                self.session.handle_bytes(&buffer[..count], &mut seen)
            }?;
            for one in heard {
                match one {
                    Heard::Greeted { client, reply } => {
                        let name = self.house.config.authorised.name_of(&client);
                        self.who = Some(Who {
                            peer: self.peer,
                            fingerprint: client.fingerprint(),
                            name: name.unwrap_or_default().to_owned(),
                        });
                        self.writer.write_all(&reply).await?;
                    }
                    Heard::Asked(ask) => self.asked.push_back(ask),
                }
            }
            if let Some(ask) = self.asked.pop_front() {
                return Ok(ask);
            }
        }
    }

    async fn answer(&mut self, ask: Ask, stop: &Stop) -> Result<(), Gone> {
        let Some(who) = self.who.clone() else {
            return Err(Gone::Broken(Broken::Order));
        };
        let took = self.began.elapsed();
        tell(&self.house.recorder, || Remote::Greeted {
            peer: who.peer,
            fingerprint: who.fingerprint.clone(),
            name: who.name.clone(),
            took,
        });
        match ask {
            Ask::List => self.list().await?,
            Ask::Run { id, parameters } => self.run(&who, &id, &parameters, stop).await?,
            Ask::End => return Err(Gone::Broken(Broken::Order)),
        }
        self.writer.shutdown().await?;
        self.farewell().await
    }

    /// Waits for their end, so that no word of theirs that crossed ours resets
    /// the connection before ours have arrived.
    async fn farewell(&mut self) -> Result<(), Gone> {
        let mut ignored = [0; 1024];
        let end = async {
            while self.reader.read(&mut ignored).await? > 0 {}
            Ok::<(), io::Error>(())
        };
        // All has been said, whatever becomes of it.
        let _ = timeout(FAREWELL, end).await;
        Ok(())
    }

    async fn list(&mut self) -> Result<(), Gone> {
        let list = &self.house.config.list;
        let mut frames = Vec::new();
        for entry in list.entries() {
            frames.extend(self.session.answer(&Reply::Entry(entry))?);
        }
        frames.extend(self.session.answer(&Reply::Listed)?);
        let (peer, commands) = (self.peer, list.len());
        tell(&self.house.recorder, || Remote::Listed { peer, commands });
        self.send(&frames).await
    }

    async fn run(
        &mut self,
        who: &Who,
        id: &str,
        parameters: &[String],
        stop: &Stop,
    ) -> Result<(), Gone> {
        tell(&self.house.recorder, || Remote::Asked {
            id: id.to_owned(),
            parameters: parameters.to_vec(),
        });
        let begun = match self.house.config.list.prepare(id, parameters) {
            Err(reason) => Err((Why::NotAllowed, reason)),
            Ok(prepared) => Run::begin(self.house, who, (id, parameters), &prepared).await,
        };
        match begun {
            Ok(run) => {
                let wants_end = self.asked.contains(&Ask::End);
                run.attend(self, wants_end, stop).await
            }
            Err((why, reason)) => self.refuse(who, (id, parameters), why, reason).await,
        }
    }

    async fn refuse(
        &mut self,
        who: &Who,
        (id, parameters): (&str, &[String]),
        why: Why,
        reason: String,
    ) -> Result<(), Gone> {
        self.house.refused.fetch_add(1, Ordering::Relaxed);
        self.house.log(&Entry::Refused {
            who,
            id,
            parameters,
            reason: &reason,
        });
        tell(&self.house.recorder, || Remote::Refused {
            id: id.to_owned(),
            why,
            reason: reason.clone(),
        });
        let frame = self.session.answer(&Reply::Refused { why, reason })?;
        self.send(&frame).await
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        match timeout(STALL, self.writer.write_all(bytes)).await {
            Ok(sent) => Ok(sent?),
            Err(_) => Err(Gone::Late),
        }
    }

    /// Tells how it ended.
    fn over(&self, gone: Option<Gone>) {
        let is_proved = self.session.is_open() && self.who.is_some();
        let came = self.reader.received() > 0;
        let cause = match gone {
            None => None,
            // Somebody looked whether the port is open, or their command's end
            // was told where it ran.
            Some(Gone::Left) if !came || is_proved => None,
            Some(Gone::Left) => Some("it left in the middle of the handshake".to_owned()),
            Some(Gone::Lost(error)) => Some(explain(&error)),
            Some(Gone::Late) => Some("it took too long".to_owned()),
            Some(Gone::Broken(broken)) => Some(broken.to_string()),
        };
        if let Some(cause) = cause {
            self.house.broken(self.peer, &cause, is_proved);
        }
        self.writer
            .tell(|| Told::Over(Box::new(self.writer.figures())));
    }
}
