//! A command of the list as it is written, and what it means: its program, its
//! bounds, and arguments that use each parameter and take none for an option.
//!
//! Owns the rules of one command; refuses with a sentence.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::absolute;
use super::parameter::WrittenParameter;
use crate::protocol::remote::allow::{Bounds, Command, Parameter, Privileges, Template};
use crate::protocol::remote::message::MOST_PARAMETERS;
use crate::units::{ByteSize, Time};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct WrittenCommand {
    pub(super) id: String,
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

impl WrittenCommand {
    pub(super) fn into_command(self) -> Result<Command, String> {
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
