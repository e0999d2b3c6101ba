//! A transfer to be looked at: two small files on the server, of which the
//! client has the beginning of one from an earlier transfer.
//!
//! Owns the scene and its folders, which are gone when it is over.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::source::entry;
use super::{Exists, Gauge, Limits, Outcome, Receive, Send, Serve, Source, Terms, Work};
use crate::address::Admission;
use crate::app::Stop;
use crate::app::demo::on_both;
use crate::app::net::{Connect, Door, Doorway, Stack, connect};
use crate::error::Error;
use crate::event::{Event, File, FileStep, FileTally as Tally, Sink, Topic, What};
use crate::flow::Family;
use crate::protocol::file::{Algorithm, Digest, Name};
use crate::recorder::Recorder;
use crate::stage::Stage;

/// The scene.
#[derive(Debug, Clone, Copy)]
pub struct Scene {
    /// IPv4 or IPv6.
    pub family: Family,
    /// The server's port.
    pub port: u16,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Played {
    /// What the server counted.
    pub server: Tally,
    /// What the client counted.
    pub client: Tally,
    /// Each file.
    pub files: Vec<Fate>,
}

/// One file of the scene.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fate {
    /// Its name.
    pub name: String,
    /// Its size.
    #[serde(rename = "size_bytes")]
    pub size: u64,
    /// Bytes of it that were there before.
    #[serde(rename = "resumed_bytes")]
    pub resumed: u64,
    /// Blocks that were sent.
    pub blocks: u64,
    /// The hash that the sender gave.
    pub hash: Option<Digest>,
    /// Whether the receiver's file is the sender's, read again from its disk.
    pub is_equal: bool,
}

/// The files: name, size, and how much the client has of it.
const FILES: [(&str, usize, usize); 2] = [("letter.txt", 5000, 0), ("photo.raw", 9000, 3001)];
/// When they were written: the first second of 2026.
const WRITTEN: Duration = Duration::from_secs(1_767_225_600);
/// How long nothing may move.
const IDLE: Duration = Duration::from_secs(30);

/// Plays it.
pub fn play(scene: Scene, stage: &Stage) -> Result<Played, Error> {
    let folders = Folders::make().map_err(|error| Error::new("make", "a folder", error))?;
    folders
        .fill()
        .map_err(|error| Error::new("write", folders.root.display(), error))?;
    let address = stage.server().address(scene.family, scene.port);
    let paths = FILES.map(|(name, ..)| folders.server().join(name));
    let send = Send::new(Arc::new(Source::find(&paths)?));
    let receive = Receive {
        into: folders.client(),
        exists: Exists::Refuse,
        hidden: false,
        limits: Limits::default(),
        rehearsal: false,
    };
    let (opened, open) = tokio::sync::oneshot::channel();
    let steps: Steps = Arc::default();
    let kept = Arc::clone(&steps);
    let (server, client) = on_both(
        stage,
        move |recorder| async move {
            let door = Door::open(doorway(address), &recorder)?;
            // Whoever waits for it is there, or has failed by itself.
            let _ = opened.send(());
            let terms = terms(Work::Send(send));
            let outcome = super::serve(&door, Serve::Once, &terms, &Stop::default()).await;
            whole(outcome)
        },
        move |recorder| async move {
            // Where it cannot open, its own error is told.
            let _ = open.await;
            let sink = Arc::new(Overheard {
                recorder,
                steps: kept,
            });
            let recorder = Recorder::new(sink.recorder.place(), sink.recorder.clock(), sink);
            let connection = connect(&calling(address), &recorder).await?;
            let terms = terms(Work::Receive(receive));
            whole(super::call(connection, &terms, &Stop::default()).await)
        },
    )?;
    stage.settle()?;
    let steps = std::mem::take(&mut *steps.lock().unwrap_or_else(PoisonError::into_inner));
    let files = FILES.iter().map(|(name, ..)| folders.fate(name, &steps));
    Ok(Played {
        server,
        client,
        files: files.collect(),
    })
}

fn doorway(address: SocketAddr) -> Doorway {
    Doorway {
        addresses: vec![address],
        stack: Stack::Single,
        options: Vec::new(),
        admission: Admission::default(),
    }
}

fn calling(address: SocketAddr) -> Connect {
    Connect {
        endpoint: address.to_string(),
        addresses: vec![address],
        from: Vec::new(),
        timeout: Some(IDLE),
        options: Vec::new(),
        stop: Arc::default(),
    }
}

fn terms(work: Work) -> Terms {
    Terms {
        work,
        idle: IDLE,
        gauge: Arc::new(Gauge::default()),
    }
}

fn whole(outcome: Outcome) -> Result<Tally, Error> {
    match outcome.error {
        Some(error) => Err(error),
        None => Ok(outcome.tally),
    }
}

type Steps = Arc<Mutex<Vec<File>>>;

/// Keeps the steps that go by.
struct Overheard {
    recorder: Recorder,
    steps: Steps,
}

impl Sink for Overheard {
    fn wants(&self, topic: Topic) -> bool {
        matches!(topic, Topic::App | Topic::Routine) || self.recorder.wants(topic)
    }

    fn record(&self, event: &Event<'_>) {
        if let What::File(FileStep { step, .. }) = &event.what {
            let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
            steps.push(step.clone());
        }
        if self.recorder.wants(event.topic()) {
            self.recorder.record(event.at, event.what.clone());
        }
    }
}

/// The scene's folders, taken away when it is over.
struct Folders {
    root: PathBuf,
}

impl Folders {
    /// Makes them where nobody else can have put anything.
    fn make() -> io::Result<Self> {
        let id = std::process::id();
        for number in 0..1000 {
            let root = std::env::temp_dir().join(format!("socklab-file-{id}-{number}"));
            match fs::DirBuilder::new().mode(0o700).create(&root) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                result => return result.map(|()| Self { root }),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    fn server(&self) -> PathBuf {
        self.root.join("server")
    }

    fn client(&self) -> PathBuf {
        self.root.join("client")
    }

    fn fill(&self) -> io::Result<()> {
        fs::create_dir(self.server())?;
        fs::create_dir(self.client())?;
        for (name, size, there) in FILES {
            let bytes: Vec<u8> = (b'a'..=b'z').cycle().take(size).collect();
            let path = self.server().join(name);
            fs::write(&path, &bytes)?;
            fs::File::open(&path)?.set_modified(SystemTime::UNIX_EPOCH + WRITTEN)?;
            if there > 0 {
                let name = Name::new(name).map_err(io::Error::other)?;
                let offered = entry(name, &fs::metadata(&path)?);
                let unfinished = offered.unfinished(size as u64, Algorithm::default());
                let unfinished = OsStr::from_bytes(&unfinished);
                fs::write(self.client().join(unfinished), &bytes[..there])?;
            }
        }
        Ok(())
    }

    /// What became of a file, by the steps and by what is on the disk.
    fn fate(&self, file: &str, steps: &[File]) -> Fate {
        let mut fate = Fate {
            name: file.to_owned(),
            size: 0,
            resumed: 0,
            blocks: 0,
            hash: None,
            is_equal: false,
        };
        let is_it = |name: &Name| name.as_bytes() == file.as_bytes();
        for step in steps {
            match step {
                File::Wanted { name, offset } if is_it(name) => fate.resumed = *offset,
                File::Offered {
                    name, size, block, ..
                } if is_it(name) => {
                    fate.size = *size;
                    fate.blocks = *block;
                }
                File::Ended { name, hash, .. } if is_it(name) => fate.hash = Some(*hash),
                _ => {}
            }
        }
        fate.blocks = (fate.size - fate.resumed).div_ceil(fate.blocks.max(1));
        let sent = fs::read(self.server().join(file));
        let kept = fs::read(self.client().join(file));
        fate.is_equal = matches!((sent, kept), (Ok(sent), Ok(kept)) if sent == kept);
        fate
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        // What cannot be taken away is in the folder for temporary files.
        let _ = fs::remove_dir_all(&self.root);
    }
}
