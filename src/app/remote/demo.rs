//! The demonstration of remote control: a server and a client on a stage, and
//! what each question comes to.
//!
//! Owns the script. Each question waits for the answer to the one before, so that
//! the order is the same each time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Answer, Config, House, Served, Session, keys, open, serve};
use crate::address::Admission;
use crate::app::Stop;
use crate::app::demo::on_both;
use crate::app::net::{Connect, Connection, Door, Doorway, Stack, connect};
use crate::error::Error;
use crate::flow::Family;
use crate::protocol::remote::allow::AllowList;
use crate::protocol::remote::{Authorised, Client, Public, Secret};
use crate::recorder::Recorder;
use crate::stage::Stage;

/// What is allowed in the demonstration.
const LIST: &str = r#"
[builtin]
processes = false
disks = false

[[command]]
id = "greet"
summary = "Says hello"
program = "/bin/echo"
arguments = ["hello", "{whom}"]
[[command.parameter]]
name = "whom"
type = "text"
characters = "a-z"
most = 16

[[command]]
id = "print"
summary = "Fails, and says why"
program = "/bin/sh"
arguments = ["-c", "echo 'no paper' >&2; exit 3"]

[[command]]
id = "sleep"
summary = "Takes longer than it may"
program = "/bin/sleep"
arguments = ["60"]
timeout = "200ms"
"#;

/// The longest that anything may take, on whatever link.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// What was tried, in order.
    pub rows: Vec<Row>,
    /// The server's own count.
    pub served: Served,
}

/// Something that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// What.
    pub question: &'static str,
    /// What came of it.
    pub answer: String,
    /// What had to come of it.
    pub expected: &'static str,
}

/// Plays it.
pub fn play(stage: &Stage, family: Family, port: u16) -> Result<Outcome, Error> {
    let address = stage.server().address(family, port);
    let own = Secret::from_bytes(keys::random()?);
    let theirs = Secret::from_bytes(keys::random()?);
    let mut authorised = Authorised::default();
    authorised
        .add(own.public(), "client")
        .map_err(|cause| Error::new("authorise", "the client", cause))?;
    let list = AllowList::parse(LIST)
        .map_err(|error| Error::new("read", "the list of commands", error.to_string()))?;
    let house = Config {
        list,
        handshake: PATIENCE,
        ..Config::new(theirs.clone(), authorised)
    };
    let stop = Stop::default();
    let (ready, is_ready) = tokio::sync::oneshot::channel();
    let serving = {
        let stop = stop.clone();
        move |recorder: Recorder| async move {
            let door = Door::open(doorway(address), &recorder)?;
            let house = Arc::new(House::new(house, &recorder));
            // Whoever waits for it is told by the error otherwise.
            let _ = ready.send(());
            Ok(serve(door, house, &stop).await)
        }
    };
    let asking = move |recorder: Recorder| async move {
        let script = Script {
            address,
            server: theirs.public(),
            own,
            recorder,
            rows: Vec::new(),
        };
        let played = match is_ready.await {
            Ok(()) => script.play().await,
            Err(_) => Ok(Vec::new()),
        };
        stop.ask();
        played
    };
    let (served, rows) = on_both(stage, serving, asking)?;
    Ok(Outcome { rows, served })
}

fn doorway(address: SocketAddr) -> Doorway {
    Doorway {
        addresses: vec![address],
        stack: Stack::Single,
        options: Vec::new(),
        admission: Admission::default(),
    }
}

/// The client's part.
struct Script {
    address: SocketAddr,
    server: Public,
    own: Secret,
    recorder: Recorder,
    rows: Vec<Row>,
}

impl Script {
    async fn play(mut self) -> Result<Vec<Row>, Error> {
        self.stranger().await?;
        self.replay().await?;
        self.list().await?;
        self.run(
            "The command runs. What it prints comes sealed, and its exit code is the client's.",
            ("greet", "world"),
            ("run greet world", "\"hello world\\n\", exit code 0"),
        )
        .await?;
        self.run(
            "There is no shell: a parameter is one part of one argument, or is refused.",
            ("greet", "x; reboot"),
            ("run greet 'x; reboot'", "refused"),
        )
        .await?;
        self.run(
            "Standard error comes apart from standard output.",
            ("print", ""),
            ("run print", "standard error \"no paper\\n\", exit code 3"),
        )
        .await?;
        self.run(
            "A command has its time. Then it is asked to end, and killed if it does not.",
            ("sleep", ""),
            ("run sleep", "ended because its time was over"),
        )
        .await?;
        Ok(self.rows)
    }

    /// Somebody whose key is not authorised.
    async fn stranger(&mut self) -> Result<(), Error> {
        self.recorder
            .note("A client whose key is not authorised: the server closes without a word.");
        let connection = self.connect().await?;
        let stranger = Secret::from_bytes(keys::random()?);
        let answer = match open(connection, &stranger, &self.server, PATIENCE).await {
            Ok(_) => "let in",
            Err(_) => "closed without a word",
        };
        self.note(
            "handshake with a strange key",
            answer,
            "closed without a word",
        );
        Ok(())
    }

    /// Somebody who has seen a handshake, and sends the same bytes again.
    async fn replay(&mut self) -> Result<(), Error> {
        let begun = Client::begin(&self.own, &self.server, keys::random()?);
        let (_, hello) = begun.map_err(|broken| {
            Error::new("begin the handshake with", self.address, broken.to_string())
        })?;
        for (sentence, question, expected) in [
            (
                "The right key: 86 bytes there, 50 back, and both know each other.",
                "handshake with the right key",
                "answered with 50 bytes",
            ),
            (
                "The same 86 bytes again, from somebody who has listened: they are refused.",
                "the same handshake again",
                "closed without a word",
            ),
        ] {
            self.recorder.note(sentence);
            let mut connection = self.connect().await?;
            let lost = |error| Error::new("read from", self.address, error);
            connection.write_all(&hello).await.map_err(lost)?;
            let mut reply = [0; 50];
            let answer = match connection.read_exact(&mut reply).await {
                Ok(_) => "answered with 50 bytes",
                Err(_) => "closed without a word",
            };
            self.note(question, answer, expected);
        }
        Ok(())
    }

    async fn list(&mut self) -> Result<(), Error> {
        self.recorder
            .note("What may be run is asked for: commands by name, nothing else.");
        let mut session = self.session().await?;
        let entries = session.list().await?;
        session.close().await;
        let ids: Vec<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
        self.note("list", ids.join(", "), "greet, info, print, sleep");
        Ok(())
    }

    async fn run(
        &mut self,
        sentence: &str,
        (id, parameter): (&str, &str),
        (question, expected): (&'static str, &'static str),
    ) -> Result<(), Error> {
        self.recorder.note(sentence);
        let mut session = self.session().await?;
        let parameters: Vec<String> = Some(parameter)
            .filter(|text| !text.is_empty())
            .map(String::from)
            .into_iter()
            .collect();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let never = Stop::default();
        let answer = session
            .run((id, &parameters), &never, (&mut out, &mut err))
            .await?;
        session.close().await;
        let answer = match answer {
            Answer::Refused { .. } => "refused".into(),
            Answer::Ended(ending) => {
                let printed = |name: &str, bytes: &[u8]| match bytes {
                    [] => String::new(),
                    bytes => format!("{name}{:?}, ", String::from_utf8_lossy(bytes)),
                };
                let (out, err) = (printed("", &out), printed("standard error ", &err));
                format!("{out}{err}{}", ending.outcome)
            }
        };
        self.note(question, answer, expected);
        Ok(())
    }

    fn note(&mut self, question: &'static str, answer: impl Into<String>, expected: &'static str) {
        self.rows.push(Row {
            question,
            answer: answer.into(),
            expected,
        });
    }

    async fn session(&self) -> Result<Session, Error> {
        let connection = self.connect().await?;
        open(connection, &self.own, &self.server, PATIENCE).await
    }

    async fn connect(&self) -> Result<Connection, Error> {
        let config = Connect {
            endpoint: self.address.to_string(),
            addresses: vec![self.address],
            from: Vec::new(),
            timeout: Some(PATIENCE),
            options: Vec::new(),
            stop: Arc::new(AtomicBool::new(false)),
        };
        connect(&config, &self.recorder).await
    }
}
