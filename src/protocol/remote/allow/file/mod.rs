//! The allow-list as it is written (TOML), and what is wrong with one that is
//! not accepted. Whatever it has that nobody knows is an error: a bound that was
//! misspelt would be no bound.
//!
//! Text in, list out. Owns the list as a whole and what is built in; a command of
//! its own is [`command`]'s, its parameters are [`parameter`]'s.

mod command;
mod parameter;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use self::command::WrittenCommand;
use super::{AllowList, BuiltIn, CONCURRENT, Command, Program, Template};

/// What is wrong with a list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// It is no TOML, or says what nobody knows.
    #[error("{0}")]
    Form(String),
    /// A command cannot be meant like this.
    #[error("command {0}: {1}")]
    Command(String, String),
}

/// More commands than anybody writes by hand.
const MOST_COMMANDS: usize = 1000;
/// The largest file that is read as a list.
pub(super) const LARGEST: usize = 1 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    concurrent: Option<usize>,
    #[serde(default)]
    builtin: WrittenBuiltIns,
    #[serde(default)]
    command: Vec<WrittenCommand>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenBuiltIns {
    info: Option<bool>,
    processes: Option<bool>,
    disks: Option<bool>,
    /// The program that captures the screen, and its arguments.
    screen: Option<Vec<String>>,
    #[serde(default)]
    reboot: Reboot,
}

#[derive(Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Reboot {
    #[default]
    Off,
    DryRun,
    On,
}

pub(super) fn read(text: &str) -> Result<AllowList, ListError> {
    if text.len() > LARGEST {
        return Err(ListError::Form(format!("longer than {LARGEST} bytes")));
    }
    let written: Written =
        toml::from_str(text).map_err(|error| ListError::Form(at_its_place(text, &error)))?;
    let mut list = AllowList {
        concurrent: written.concurrent.unwrap_or(CONCURRENT),
        commands: written.builtin.commands()?,
    };
    if list.concurrent == 0 || list.concurrent > 10_000 {
        let why = "concurrent is 1 to 10000 runs at the same time";
        return Err(ListError::Form(why.into()));
    }
    if written.command.len() > MOST_COMMANDS {
        return Err(ListError::Form(format!(
            "more than {MOST_COMMANDS} commands"
        )));
    }
    for command in written.command {
        let id = command.id.clone();
        let failed = |why: String| ListError::Command(id.clone(), why);
        check_id(&id).map_err(failed)?;
        let command = command.into_command().map_err(failed)?;
        if list.commands.insert(id.clone(), command).is_some() {
            return Err(failed("it is there twice, or is a built-in's name".into()));
        }
    }
    Ok(list)
}

/// One line: where it is, and what it is.
fn at_its_place(text: &str, error: &toml::de::Error) -> String {
    let words: Vec<&str> = error.message().lines().map(str::trim).collect();
    let words = words.join(", ");
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else {
        return words;
    };
    let line = before.matches('\n').count() + 1;
    let last = before.rsplit('\n').next().unwrap_or_default();
    format!("line {line}, column {}: {words}", last.chars().count() + 1)
}

impl WrittenBuiltIns {
    /// Those that look and do nothing are on unless they are switched off.
    fn commands(self) -> Result<BTreeMap<String, Command>, ListError> {
        let mut commands = BTreeMap::new();
        for (id, allowed, built_in) in [
            ("info", self.info, BuiltIn::Info),
            ("processes", self.processes, BuiltIn::Processes),
            ("disks", self.disks, BuiltIn::Disks),
        ] {
            if allowed.unwrap_or(true) {
                commands.insert(id.to_owned(), Command::built_in(built_in));
            }
        }
        if let Some(capture) = self.screen {
            let failed = |why: &str| ListError::Command("screen".into(), why.into());
            let (program, arguments) = capture
                .split_first()
                .ok_or_else(|| failed("write the capture program and its arguments"))?;
            let program = absolute(program.into()).map_err(|why| failed(&why))?;
            let mut command =
                Command::running(program, "The screen, as its capture program writes it");
            let fixed =
                |text: &String| Template::parse(&text.replace('{', "{{").replace('}', "}}"));
            let arguments: Result<_, _> = arguments.iter().map(fixed).collect();
            command.arguments = arguments.map_err(|why| failed(&why))?;
            // A picture is larger than what programs say.
            command.bounds.output = 64 << 20;
            commands.insert("screen".into(), command);
        }
        match self.reboot {
            Reboot::Off => None,
            Reboot::DryRun => Some(Command::built_in(BuiltIn::RebootRehearsal)),
            Reboot::On => Some(Command::running(
                Program::Path("/sbin/reboot".into()),
                "Starts the machine again",
            )),
        }
        .map(|reboot| commands.insert("reboot".into(), reboot));
        Ok(commands)
    }
}

fn absolute(program: PathBuf) -> Result<Program, String> {
    if !program.is_absolute() || program.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(format!(
            "its program {} is not an absolute path: nothing is looked for",
            program.display()
        ));
    }
    Ok(Program::Path(program))
}

fn check_id(id: &str) -> Result<(), String> {
    let is_good = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    if id.is_empty() || id.len() > 64 || !id.chars().all(is_good) || id.starts_with(['-', '.']) {
        return Err(format!(
            "{id:?} is no name: 1 to 64 letters, digits, - _ and ., the first a letter or digit"
        ));
    }
    Ok(())
}
