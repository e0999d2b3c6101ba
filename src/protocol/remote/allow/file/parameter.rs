//! A parameter of the list as it is written, and what it means: its form, and a
//! default that has that form too.
//!
//! Owns the rules of one parameter; refuses with a sentence.

use serde::Deserialize;

use super::check_id;
use crate::protocol::remote::allow::parameter::Characters;
use crate::protocol::remote::allow::{Form, Parameter};
use crate::protocol::remote::message::LONGEST_PARAMETER;

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum WrittenParameter {
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

impl WrittenParameter {
    pub(super) fn into_parameter(self) -> Result<Parameter, String> {
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
