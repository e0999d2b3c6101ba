//! A parameter and the values that it takes.
//!
//! A value is accepted whole or refused whole: nothing is escaped, trimmed or
//! mended. What could be taken for an option is refused.

use std::ops::RangeInclusive;

use super::shown;

/// A parameter of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// By what the arguments name it.
    pub name: String,
    /// What it may be.
    pub form: Form,
    /// What it is where nothing is given.
    pub default: Option<String>,
}

/// What a parameter may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// A whole number.
    Integer(RangeInclusive<i64>),
    /// One of these.
    Choice(Vec<String>),
    /// Characters out of a set, and how many of them.
    Text {
        /// Which.
        characters: Characters,
        /// How many.
        length: RangeInclusive<usize>,
    },
}

/// A set of characters as the list writes it: `a-z0-9._-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Characters {
    ranges: Vec<RangeInclusive<char>>,
    written: String,
}

impl Parameter {
    /// The value as the program gets it.
    pub(super) fn check(&self, value: &str) -> Result<String, String> {
        let refused =
            |why: String| Err(format!("{} is {}, and must {why}", self.name, shown(value)));
        match &self.form {
            Form::Integer(range) => match value.parse::<i64>() {
                // Its one way to be written: no sign before it, no zeros.
                Ok(number) if range.contains(&number) && number.to_string() == value => {
                    Ok(value.to_owned())
                }
                _ => refused(format!(
                    "be a whole number from {} to {}",
                    range.start(),
                    range.end()
                )),
            },
            Form::Choice(values) if values.iter().any(|known| known == value) => {
                Ok(value.to_owned())
            }
            Form::Choice(values) => refused(format!("be one of {}", values.join(", "))),
            Form::Text { characters, length } => {
                let count = value.chars().count();
                if !length.contains(&count) {
                    refused(format!(
                        "have {} to {} characters",
                        length.start(),
                        length.end()
                    ))
                } else if let Some(wrong) = value.chars().find(|one| !characters.contains(*one)) {
                    refused(format!(
                        "have only characters of {}, not {wrong:?}",
                        characters.written
                    ))
                } else if value.starts_with('-') {
                    refused("not begin as an option does".into())
                } else if value.split('/').any(|part| part == "..") {
                    refused("not lead to the folder above".into())
                } else {
                    Ok(value.to_owned())
                }
            }
        }
    }

    /// Whether a value may begin with a hyphen.
    pub(super) fn may_look_like_an_option(&self) -> bool {
        match &self.form {
            Form::Integer(range) => *range.start() < 0,
            Form::Choice(values) => values.iter().any(|value| value.starts_with('-')),
            Form::Text { .. } => false,
        }
    }

    /// How it is to be given.
    pub(super) fn usage(&self) -> String {
        let name = &self.name;
        let form = match &self.form {
            Form::Integer(range) => format!("{} to {}", range.start(), range.end()),
            Form::Choice(values) => values.join("|"),
            Form::Text { characters, length } => {
                format!(
                    "{} to {} of {}",
                    length.start(),
                    length.end(),
                    characters.written
                )
            }
        };
        match &self.default {
            Some(default) => format!("[{name}: {form}; else {default}]"),
            None => format!("<{name}: {form}>"),
        }
    }
}

impl Characters {
    /// Reads a set: single characters, and ranges such as `a-z`. A hyphen at
    /// either end is itself.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let letters: Vec<char> = text.chars().collect();
        let mut ranges = Vec::new();
        let mut rest = letters.as_slice();
        while let Some((first, after)) = rest.split_first() {
            let (range, after) = match after {
                ['-', last, after @ ..] => (*first..=*last, after),
                _ => (*first..=*first, after),
            };
            if range.is_empty() {
                let (first, last) = (range.start(), range.end());
                return Err(format!("{first}-{last} is no range: it runs backwards"));
            }
            ranges.push(range);
            rest = after;
        }
        if ranges.is_empty() {
            return Err("a set has at least one character".into());
        }
        Ok(Self {
            ranges,
            written: text.to_owned(),
        })
    }

    /// Whether a character belongs to it. Control characters never do.
    fn contains(&self, letter: char) -> bool {
        !letter.is_control() && self.ranges.iter().any(|range| range.contains(&letter))
    }
}
