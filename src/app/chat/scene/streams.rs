//! A host, ann and bob over streams: each step after the one before has had its
//! effect, so that the story is the same each time.
//!
//! Owns the script. The host is the real one; the members' lines are sent and
//! awaited one by one.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{Scene, Seen, Told, Turn};
use crate::address::Admission;
use crate::app::chat::{Hosting, at_once, host};
use crate::app::net::{Connect, Connection, Door, Doorway, Stack, connect};
use crate::app::{Stop, demo};
use crate::error::{Error, Exit};
use crate::event::{Event, Outcome, Sink, SocketName, Topic, What};
use crate::protocol::chat::{LONGEST_ANSWER, Piece, Receipt, Settings, Splitter, clean};
use crate::recorder::Recorder;
use crate::stage::Stage;

pub(super) fn demonstrate(scene: &Scene, stage: &Stage) -> Result<Told, Error> {
    let address = stage.server().address(scene.family, scene.port);
    let (listening, is_listening) = oneshot::channel();
    let (over, is_over) = (Stop::default(), Stop::default());
    let (stop, ended) = (over.clone(), is_over.clone());
    let patience = scene.patience;
    let (account, turns) = demo::on_both(
        stage,
        move |recorder: Recorder| async move {
            let door = Door::open(doorway(address), &recorder)?;
            // The members ask what became of it themselves.
            let _ = listening.send(());
            let account = host(
                door,
                &hosting(),
                Seen::default().console(),
                &stop,
                &recorder,
            )
            .await;
            ended.ask();
            Ok(account)
        },
        move |recorder: Recorder| async move {
            let turns = match is_listening.await {
                Ok(()) => play(address, patience, &recorder).await,
                // The host says why.
                Err(_) => Ok(Vec::new()),
            };
            over.ask();
            is_over_or_failed(&turns, &is_over).await;
            turns
        },
    )?;
    Ok(Told {
        turns,
        account: Some(account),
        ways: Vec::new(),
    })
}

/// The members' runtime lives as long as the host needs its packets answered.
async fn is_over_or_failed<T>(turns: &Result<Vec<Turn>, T>, is_over: &Stop) {
    if matches!(turns, Ok(turns) if !turns.is_empty()) {
        is_over.asked().await;
    }
}

fn doorway(address: SocketAddr) -> Doorway {
    Doorway {
        addresses: vec![address],
        stack: Stack::Single,
        options: at_once(),
        admission: Admission::default(),
    }
}

fn hosting() -> Hosting {
    Hosting {
        room: Settings {
            receipt: Receipt::Each,
            ..Settings::default()
        },
        ..Hosting::default()
    }
}

/// The script.
async fn play(
    address: SocketAddr,
    patience: Duration,
    recorder: &Recorder,
) -> Result<Vec<Turn>, Error> {
    let mut turns = Vec::new();
    let mut ann = Player::join("ann", address, patience, recorder).await?;
    let greeting = ann.see("* you are guest1").await?;
    turns.push(turn("ann", "(joins)", greeting, vec![]));
    ann.say("/nick ann").await?;
    turns.push(turn(
        "ann",
        "/nick ann",
        ann.see("* you are ann").await?,
        vec![],
    ));

    let mut bob = Player::join("bob", address, patience, recorder).await?;
    let greeting = bob.see("* you are guest2").await?;
    turns.push(turn(
        "bob",
        "(joins)",
        ann.see("* guest2 joined").await?,
        greeting,
    ));
    bob.say("/nick bob").await?;
    let named = bob.see("* you are bob").await?;
    turns.push(turn(
        "bob",
        "/nick bob",
        ann.see("* guest2 is now bob").await?,
        named,
    ));

    ann.say("hello, bob").await?;
    let heard = bob.see("<ann> hello, bob").await?;
    turns.push(turn(
        "ann",
        "hello, bob",
        ann.see("* received").await?,
        heard,
    ));
    bob.say("/msg ann psst").await?;
    let answered = bob.see("* received").await?;
    turns.push(turn(
        "bob",
        "/msg ann psst",
        ann.see("[bob to you] psst").await?,
        answered,
    ));

    bob.say("exit").await?;
    let parted = bob.part("* bye").await?;
    turns.push(turn("bob", "exit", ann.see("* bob left").await?, parted));
    ann.say("exit").await?;
    turns.push(turn("ann", "exit", ann.part("* bye").await?, vec![]));
    Ok(turns)
}

fn turn(who: &'static str, sent: &'static str, ann: Vec<String>, bob: Vec<String>) -> Turn {
    let sent = sent.to_owned();
    Turn {
        who,
        sent,
        ann,
        bob,
    }
}

/// A member who does as the script says.
struct Player {
    connection: Connection,
    splitter: Splitter,
    patience: Duration,
}

impl Player {
    async fn join(
        name: &'static str,
        address: SocketAddr,
        patience: Duration,
        recorder: &Recorder,
    ) -> Result<Self, Error> {
        let recorder = Recorder::new(
            recorder.place(),
            recorder.clock(),
            Arc::new(Named {
                name,
                recorder: recorder.clone(),
            }),
        );
        let towards = Connect {
            endpoint: address.to_string(),
            addresses: vec![address],
            from: Vec::new(),
            timeout: Some(patience),
            options: at_once(),
            stop: Arc::default(),
        };
        Ok(Self {
            connection: connect(&towards, &recorder).await?,
            splitter: Splitter::new(LONGEST_ANSWER),
            patience,
        })
    }

    async fn say(&mut self, line: &str) -> Result<(), Error> {
        let sent = self
            .connection
            .write_all(format!("{line}\n").as_bytes())
            .await;
        sent.map_err(|error| self.failed(error))
    }

    /// Reads until a line begins with these words, and gives what was read.
    async fn see(&mut self, words: &str) -> Result<Vec<String>, Error> {
        let (peer, patience) = (self.connection.peer(), self.patience);
        let late = |_| {
            let cause = format!("{words:?} did not come within {patience:?}");
            Error::new("converse with", peer, cause).exiting(Exit::Network)
        };
        timeout(patience, self.read_until(words))
            .await
            .map_err(late)?
    }

    async fn read_until(&mut self, words: &str) -> Result<Vec<String>, Error> {
        let mut lines: Vec<String> = Vec::new();
        let mut bytes = [0; 1024];
        while !lines.iter().any(|line| line.starts_with(words)) {
            let count = self.connection.read(&mut bytes).await;
            let count = count.map_err(|error| self.failed(error))?;
            if count == 0 {
                return Err(self.failed(io::ErrorKind::UnexpectedEof.into()));
            }
            self.splitter
                .push(Instant::now(), &bytes[..count], |piece| {
                    if let Piece::Line(line) = piece {
                        lines.push(clean(&line));
                    }
                });
        }
        Ok(lines)
    }

    /// Reads the last words and the end of the stream, and ends it too.
    async fn part(&mut self, words: &str) -> Result<Vec<String>, Error> {
        let lines = self.see(words).await?;
        let mut rest = [0; 16];
        let ended = timeout(self.patience, self.connection.read(&mut rest)).await;
        let ended = ended.unwrap_or(Err(io::ErrorKind::TimedOut.into()));
        ended.map_err(|error| self.failed(error))?;
        let ended = self.connection.shutdown().await;
        ended.map_err(|error| self.failed(error))?;
        Ok(lines)
    }

    fn failed(&self, error: io::Error) -> Error {
        Error::new("converse with", self.connection.peer(), error)
    }
}

/// Records under a member's name, so that two connections of one host are told
/// apart.
struct Named {
    name: &'static str,
    recorder: Recorder,
}

impl Sink for Named {
    fn wants(&self, topic: Topic) -> bool {
        self.recorder.wants(topic)
    }

    fn record(&self, event: &Event<'_>) {
        let mut event = event.clone();
        match &mut event.what {
            What::Call(call) => {
                call.socket = SocketName::from(self.name);
                if let (
                    "socket",
                    Outcome::Returned {
                        detail: Some(detail),
                        ..
                    },
                ) = (call.name, &mut call.outcome)
                {
                    self.name.clone_into(detail);
                }
            }
            What::Talk(talk) => talk.socket = SocketName::from(self.name),
            _ => {}
        }
        self.recorder.record(event.at, event.what);
    }
}
