//! The allow-list: what may be run, by which name, with which parameters, and
//! within which bounds.
//!
//! A request becomes a program and its arguments, or a refusal. There is no
//! shell, and no parameter becomes more than the part of one argument that the
//! list gives it. Starts nothing: that is the engine's.

mod file;
mod parameter;
mod template;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use file::ListError;
pub use parameter::{Form, Parameter};
pub use template::Template;

use super::message::{Entry, LONGEST_PARAMETER};

/// What may be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowList {
    /// Runs at the same time.
    pub concurrent: usize,
    commands: BTreeMap<String, Command>,
}

/// A command that may be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// What it does, for whoever asks.
    pub summary: String,
    program: Program,
    arguments: Vec<Template>,
    parameters: Vec<Parameter>,
    bounds: Bounds,
    directory: PathBuf,
    environment: BTreeMap<String, String>,
}

/// What is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Program {
    /// The program at this absolute path.
    Path(PathBuf),
    /// One of socklab's own.
    BuiltIn(BuiltIn),
}

/// What socklab itself can report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BuiltIn {
    /// The machine: its name, kernel, load and memory.
    Info,
    /// What runs.
    Processes,
    /// The file systems and their room.
    Disks,
    /// What `reboot` would do.
    RebootRehearsal,
}

impl BuiltIn {
    /// By what its report is asked for.
    pub fn name(self) -> &'static str {
        match self {
            BuiltIn::Info => "info",
            BuiltIn::Processes => "processes",
            BuiltIn::Disks => "disks",
            BuiltIn::RebootRehearsal => "reboot",
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Program::Path(path) => write!(f, "{}", path.display()),
            Program::BuiltIn(built_in) => write!(f, "built-in {}", built_in.name()),
        }
    }
}

/// What a run may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// How long it may run.
    pub timeout: Duration,
    /// How long it has to end when it is asked to, before it is killed.
    pub grace: Duration,
    /// Bytes that it may print on each of its two outputs.
    pub output: u64,
    /// Seconds of processor time (`RLIMIT_CPU`).
    pub processor: u64,
    /// Bytes of memory (`RLIMIT_AS`).
    pub memory: u64,
    /// The largest file it may write (`RLIMIT_FSIZE`).
    pub file_size: u64,
    /// Descriptors (`RLIMIT_NOFILE`).
    pub files: u64,
    /// Processes that its user may have (`RLIMIT_NPROC`); none leaves it as it
    /// is.
    pub processes: Option<u64>,
    /// Whether set-user-ID programs keep their power (`PR_SET_NO_NEW_PRIVS`).
    pub privileges: Privileges,
}

/// Whether a program may gain privileges when it is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Privileges {
    /// Never.
    None,
    /// As the file system grants them.
    AsGranted,
}

/// A run as it is to be started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// What is started.
    pub program: Program,
    /// Its arguments, without the program's name.
    pub arguments: Vec<String>,
    /// Its whole environment.
    pub environment: BTreeMap<String, String>,
    /// Where it runs.
    pub directory: PathBuf,
    /// What it may take.
    pub bounds: Bounds,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            grace: Duration::from_secs(2),
            output: 1 << 20,
            // Of ten processors, or of one that is never waited for.
            processor: 300,
            memory: 2 << 30,
            file_size: 1 << 30,
            files: 256,
            processes: None,
            privileges: Privileges::None,
        }
    }
}

/// Runs at the same time, where the list does not say.
const CONCURRENT: usize = 16;

/// What is allowed where no list is given: what only looks.
impl Default for AllowList {
    fn default() -> Self {
        let mut list = Self {
            concurrent: CONCURRENT,
            commands: BTreeMap::new(),
        };
        for (id, built_in) in [
            ("info", BuiltIn::Info),
            ("processes", BuiltIn::Processes),
            ("disks", BuiltIn::Disks),
        ] {
            list.commands.insert(id.into(), Command::built_in(built_in));
        }
        list
    }
}

impl AllowList {
    /// Reads a list (TOML).
    pub fn parse(text: &str) -> Result<Self, ListError> {
        file::read(text)
    }

    /// The commands, in the order of their names.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        self.commands.iter().map(|(id, command)| Entry {
            id: id.clone(),
            usage: command.usage(),
            summary: command.summary.clone(),
        })
    }

    /// How many commands there are.
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// Whether nothing is allowed.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// The programs that are not socklab's own, each with its command's name.
    pub fn programs(&self) -> impl Iterator<Item = (&str, &PathBuf)> {
        self.commands
            .iter()
            .filter_map(|(id, command)| match &command.program {
                Program::Path(path) => Some((id.as_str(), path)),
                Program::BuiltIn(_) => None,
            })
    }

    /// What is to be started when this is asked for.
    ///
    /// # Errors
    ///
    /// Why it is not allowed, in a sentence for whoever asked.
    pub fn prepare(&self, id: &str, given: &[String]) -> Result<Prepared, String> {
        let Some(command) = self.commands.get(id) else {
            return Err(format!("there is no command {}", shown(id)));
        };
        command.prepare(given)
    }
}

impl Command {
    fn built_in(built_in: BuiltIn) -> Self {
        let summary = match built_in {
            BuiltIn::Info => "The machine: name, kernel, load, memory",
            BuiltIn::Processes => "What runs, the largest first",
            BuiltIn::Disks => "The file systems and their room",
            BuiltIn::RebootRehearsal => "Says what a reboot would do, and does nothing",
        };
        Self::running(Program::BuiltIn(built_in), summary)
    }

    fn running(program: Program, summary: &str) -> Self {
        Self {
            summary: summary.into(),
            program,
            arguments: Vec::new(),
            parameters: Vec::new(),
            bounds: Bounds::default(),
            directory: "/".into(),
            environment: BTreeMap::new(),
        }
    }

    /// Its parameters as they are to be given.
    fn usage(&self) -> String {
        let words: Vec<String> = self.parameters.iter().map(Parameter::usage).collect();
        words.join(" ")
    }

    fn prepare(&self, given: &[String]) -> Result<Prepared, String> {
        if given.len() > self.parameters.len() {
            return Err(match self.parameters.len() {
                0 => "it takes no parameters".into(),
                most => format!("it takes at most {most} parameters: {}", self.usage()),
            });
        }
        let mut values = BTreeMap::new();
        for (index, parameter) in self.parameters.iter().enumerate() {
            let value = match (given.get(index), &parameter.default) {
                (Some(value), _) if value.len() > LONGEST_PARAMETER => {
                    return Err(format!("{} is too long", parameter.name));
                }
                (Some(value), _) => parameter.check(value)?,
                (None, Some(value)) => value.clone(),
                (None, None) => {
                    return Err(format!("{} is missing: {}", parameter.name, self.usage()));
                }
            };
            values.insert(parameter.name.as_str(), value);
        }
        let arguments = self.arguments.iter();
        Ok(Prepared {
            program: self.program.clone(),
            arguments: arguments.map(|argument| argument.fill(&values)).collect(),
            environment: self.environment.clone(),
            directory: self.directory.clone(),
            bounds: self.bounds,
        })
    }
}

/// What somebody sent, as it may be shown: escaped, and not at length.
fn shown(text: &str) -> String {
    const MOST: usize = 40;
    let mut short: String = text.chars().take(MOST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

#[cfg(test)]
mod tests;
