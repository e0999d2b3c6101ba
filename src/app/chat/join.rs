//! A member of a room over a stream: what is typed goes there, what comes is
//! shown, clean.
//!
//! Works with any server that speaks lines. Owns the connection.

use std::io;
use std::pin::pin;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::select;
use tokio::time::timeout;

use super::console::Console;
use crate::app::Stop;
use crate::app::net::{Connection, Reader, Writer};
use crate::error::{Error, Exit};
use crate::event::{Chat, Figures, Told, Topic, What};
use crate::protocol::chat::{Input, LONGEST_ANSWER, Nick, Piece, Splitter, clean};
use crate::recorder::Recorder;

/// How to take part.
#[derive(Debug, Clone, Default)]
pub struct Joining {
    /// What to be called; the room's choice where it is none.
    pub nick: Option<Nick>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Parted {
    /// Lines that were sent.
    pub sent_lines: u64,
    /// Lines that came.
    pub received_lines: u64,
    /// The kernel's figures of the connection.
    #[serde(flatten)]
    pub figures: Figures,
}

/// How long the room may take to end the conversation that we have ended.
const PARTING: Duration = Duration::from_secs(5);

/// Takes part until one side ends.
///
/// # Errors
///
/// The connection failed, or the room let nobody in.
pub async fn join(
    connection: Connection,
    config: &Joining,
    mut console: Console,
    stop: &Stop,
) -> Result<Parted, Error> {
    let peer = connection.peer();
    let failed = |error: io::Error| Error::new("converse with", peer, error);
    let (reader, writer) = connection.into_split();
    let show = console.show.clone();
    let mut ear = Ear::new(reader);
    let mut mouth = Mouth { writer, lines: 0 };
    let result = {
        let mut listening = pin!(ear.listen(|line| show(line)));
        let speaking = mouth.speak(config, &mut console, stop);
        select! {
            ended = &mut listening => ended,
            spoken = speaking => match spoken {
                // What the room still says, an answer or why it ended, is heard.
                Ok(()) | Err(_) => timeout(PARTING, listening).await.unwrap_or(spoken),
            },
        }
    };
    let figures = mouth.writer.figures();
    mouth.writer.tell(|| Told::Over(Box::new(figures.clone())));
    result.map_err(failed)?;
    if ear.was_refused {
        let cause = "the room did not let us in";
        return Err(Error::new("join", peer, cause).exiting(Exit::Network));
    }
    Ok(Parted {
        sent_lines: mouth.lines,
        received_lines: ear.lines,
        figures,
    })
}

struct Ear {
    reader: Reader,
    lines: u64,
    was_refused: bool,
}

impl Ear {
    fn new(reader: Reader) -> Self {
        Self {
            reader,
            lines: 0,
            was_refused: false,
        }
    }

    /// Shows each line, until there are no more.
    async fn listen(&mut self, show: impl Fn(&str)) -> io::Result<()> {
        let mut splitter = Splitter::new(LONGEST_ANSWER);
        let mut bytes = [0; 4096];
        loop {
            let count = self.reader.read(&mut bytes).await?;
            let mut pieces = Vec::new();
            splitter.push(Instant::now(), &bytes[..count], |piece| pieces.push(piece));
            if count == 0 {
                pieces.extend(splitter.finish());
            }
            for piece in pieces {
                self.hear(&piece, &show);
            }
            if count == 0 {
                return Ok(());
            }
        }
    }

    fn hear(&mut self, piece: &Piece, show: impl Fn(&str)) {
        let line = match piece {
            Piece::Line(bytes) => clean(bytes),
            Piece::TooLong(length) => format!("* a line of {length} bytes was left out"),
        };
        self.lines += 1;
        self.was_refused = self.lines == 1 && line.starts_with("* the room is full");
        show(&line);
        tell(self.reader.recorder(), || Chat::Heard { line });
    }
}

struct Mouth {
    writer: Writer,
    lines: u64,
}

impl Mouth {
    /// Sends each line that is typed, and then says that there are no more.
    async fn speak(
        &mut self,
        config: &Joining,
        console: &mut Console,
        stop: &Stop,
    ) -> io::Result<()> {
        if let Some(nick) = &config.nick {
            self.say(&Input::Nick(nick.as_str()).to_string()).await?;
        }
        loop {
            let typed = select! {
                () = stop.asked() => Some(Input::Leave.to_string()),
                typed = console.typed.recv() => typed,
            };
            let Some(line) = typed else { break };
            self.say(&line).await?;
            if Input::read(&line) == Input::Leave {
                break;
            }
        }
        self.writer.shutdown().await
    }

    async fn say(&mut self, line: &str) -> io::Result<()> {
        let mut bytes = line.as_bytes().to_vec();
        bytes.push(b'\n');
        self.writer.write_all(&bytes).await?;
        self.lines += 1;
        tell(self.writer.recorder(), || Chat::Sent { line: line.into() });
        Ok(())
    }
}

fn tell(recorder: &Recorder, step: impl FnOnce() -> Chat) {
    if recorder.wants(Topic::App) {
        recorder.record(recorder.clock().now(), What::Chat(step()));
    }
}
