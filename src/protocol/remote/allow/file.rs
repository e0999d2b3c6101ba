//! The allow-list as it is written (TOML), and what is wrong with one that is
//! not accepted. Whatever it has that nobody knows is an error: a bound that was
//! misspelt would be no bound.
//!
//! Text in, list out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::parameter::Characters;
use super::{
    AllowList, Bounds, BuiltIn, CONCURRENT, Command, Form, Parameter, Privileges, Program, Template,
};
use crate::protocol::remote::message::{LONGEST_PARAMETER, MOST_PARAMETERS};
use crate::units::{ByteSize, Time};

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WrittenCommand {
    id: String,
    #[serde(default)]
    summary: String,
    program: PathBuf,
    #[serde(default)]
    arguments: Vec<String>,
    directory: Option<PathBuf>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    timeout: Option<String>,
    grace: Option<String>,
    output: Option<String>,
    #[serde(default)]
    limits: WrittenLimits,
    #[serde(default)]
    may_gain_privileges: bool,
    #[serde(default)]
    parameter: Vec<WrittenParameter>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WrittenLimits {
    processor: Option<String>,
    memory: Option<String>,
    file_size: Option<String>,
    files: Option<u64>,
    processes: Option<u64>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum WrittenParameter {
    Integer {
        name: String,
        least: i64,
        most: i64,
        default: Option<i64>,
    },
    Choice {
        name: String,
        values: Vec<String>,
        default: Option<String>,
    },
    Text {
        name: String,
        characters: String,
        #[serde(default = "one")]
        least: usize,
        most: usize,
        default: Option<String>,
    },
}

fn one() -> usize {
    1
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

impl WrittenCommand {
    fn into_command(self) -> Result<Command, String> {
        if self.parameter.len() > MOST_PARAMETERS {
            return Err(format!("more than {MOST_PARAMETERS} parameters"));
        }
        if self.summary.contains(char::is_control) {
            return Err("its summary has control characters".into());
        }
        let bounds = self.bounds()?;
        let directory = self.directory.unwrap_or_else(|| "/".into());
        if !directory.is_absolute() {
            return Err(format!(
                "its directory {} is not absolute",
                directory.display()
            ));
        }
        for (name, value) in &self.environment {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return Err(format!("{name:?} is no variable of an environment"));
            }
        }
        if self
            .arguments
            .iter()
            .any(|argument| argument.contains('\0'))
        {
            return Err("an argument has a NUL byte".into());
        }
        let arguments: Result<Vec<_>, _> = self
            .arguments
            .iter()
            .map(|text| Template::parse(text))
            .collect();
        let parameters: Result<Vec<_>, _> = self
            .parameter
            .into_iter()
            .map(WrittenParameter::into_parameter)
            .collect();
        let (arguments, parameters) = (arguments?, parameters?);
        check_parameters(&arguments, &parameters)?;
        Ok(Command {
            summary: self.summary,
            program: absolute(self.program)?,
            arguments,
            parameters,
            bounds,
            directory,
            environment: self.environment,
        })
    }

    fn bounds(&self) -> Result<Bounds, String> {
        let default = Bounds::default();
        let limits = &self.limits;
        let timeout = time("timeout", self.timeout.as_deref(), default.timeout)?;
        let processor = time(
            "limits.processor",
            limits.processor.as_deref(),
            10 * timeout,
        )?;
        Ok(Bounds {
            timeout,
            grace: time("grace", self.grace.as_deref(), default.grace)?,
            output: size("output", self.output.as_deref(), default.output)?,
            // The kernel counts in whole seconds, and sends SIGKILL at once
            // where there are none.
            processor: processor.as_secs().max(1),
            memory: size("limits.memory", limits.memory.as_deref(), default.memory)?,
            file_size: size(
                "limits.file-size",
                limits.file_size.as_deref(),
                default.file_size,
            )?,
            files: limits.files.unwrap_or(default.files),
            processes: limits.processes,
            privileges: if self.may_gain_privileges {
                Privileges::AsGranted
            } else {
                Privileges::None
            },
        })
    }
}

impl WrittenParameter {
    fn into_parameter(self) -> Result<Parameter, String> {
        let (name, form, default) = match self {
            WrittenParameter::Integer {
                name,
                least,
                most,
                default,
            } => {
                let default = default.map(|number| number.to_string());
                (name, integer(least, most), default)
            }
            WrittenParameter::Choice {
                name,
                values,
                default,
            } => (name, choice(values), default),
            WrittenParameter::Text {
                name,
                characters,
                least,
                most,
                default,
            } => (name, words(&characters, least, most), default),
        };
        check_id(&name).map_err(|why| format!("parameter {why}"))?;
        let parameter = Parameter {
            form: form.map_err(|why| format!("parameter {name}: {why}"))?,
            name,
            default,
        };
        if let Some(default) = &parameter.default {
            let checked = parameter.check(default);
            checked.map_err(|why| format!("parameter {why}, its default too"))?;
        }
        Ok(parameter)
    }
}

fn integer(least: i64, most: i64) -> Result<Form, String> {
    if least > most {
        return Err("least is more than most".into());
    }
    Ok(Form::Integer(least..=most))
}

fn choice(values: Vec<String>) -> Result<Form, String> {
    let is_wrong =
        |value: &String| value.contains(char::is_control) || value.len() > LONGEST_PARAMETER;
    if values.is_empty() || values.iter().any(is_wrong) {
        return Err("values are at least one, without control characters".into());
    }
    Ok(Form::Choice(values))
}

fn words(characters: &str, least: usize, most: usize) -> Result<Form, String> {
    if least > most || most > LONGEST_PARAMETER {
        return Err(format!(
            "least is no more than most, and most at most {LONGEST_PARAMETER} characters"
        ));
    }
    Ok(Form::Text {
        characters: Characters::parse(characters)?,
        length: least..=most,
    })
}

/// Every parameter is used, every name is a parameter, and none can be taken for
/// an option.
fn check_parameters(arguments: &[Template], parameters: &[Parameter]) -> Result<(), String> {
    let mut names = BTreeSet::new();
    let mut is_optional = false;
    for parameter in parameters {
        if !names.insert(parameter.name.as_str()) {
            return Err(format!("parameter {} is there twice", parameter.name));
        }
        if is_optional && parameter.default.is_none() {
            return Err(format!(
                "parameter {} has no default and stands after one that has",
                parameter.name
            ));
        }
        is_optional = parameter.default.is_some();
        let mut used = arguments.iter().flat_map(Template::names);
        if !used.any(|name| name == parameter.name) {
            return Err(format!("no argument has {{{}}}", parameter.name));
        }
    }
    if let Some(name) = arguments
        .iter()
        .flat_map(Template::names)
        .find(|name| !names.contains(name))
    {
        return Err(format!("an argument has {{{name}}}, which is no parameter"));
    }
    let options = arguments
        .iter()
        .take_while(|argument| !argument.ends_options());
    for name in options.filter_map(Template::first) {
        let mut found = parameters.iter().filter(|one| one.name == name);
        if found.any(Parameter::may_look_like_an_option) {
            return Err(format!(
                "an argument begins with {{{name}}}, whose value may begin with a hyphen as an \
                 option does; put \"--\" before it, or text before {{{name}}}"
            ));
        }
    }
    Ok(())
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

fn time(what: &str, written: Option<&str>, default: Duration) -> Result<Duration, String> {
    let Some(text) = written else {
        return Ok(default);
    };
    match text.parse::<Time>() {
        Ok(Time(time)) if !time.is_zero() => Ok(time),
        Ok(_) => Err(format!("{what} is nothing")),
        Err(error) => Err(format!("{what} is {text:?}: {error}")),
    }
}

fn size(what: &str, written: Option<&str>, default: u64) -> Result<u64, String> {
    let Some(text) = written else {
        return Ok(default);
    };
    let size = text.parse::<ByteSize>();
    size.map(|size| size.0)
        .map_err(|error| format!("{what} is {text:?}: {error}"))
}
