//! An argument of a program: fixed text, with parameters in it as `{name}`.
//!
//! What is filled in is never read again: a value that looks like a parameter
//! stays what it is. `{{` and `}}` are braces.

use std::collections::BTreeMap;

/// An argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Parameter(String),
}

impl Template {
    /// Reads an argument as the list writes it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let unclosed =
            || format!("{text:?} has a brace without its other half; write {{{{ or }}}}");
        let (mut parts, mut fixed) = (Vec::new(), String::new());
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '{' | '}' if letters.next_if_eq(&letter).is_some() => fixed.push(letter),
                '{' => {
                    let mut name = String::new();
                    loop {
                        match letters.next().ok_or_else(unclosed)? {
                            '}' => break,
                            letter => name.push(letter),
                        }
                    }
                    if !fixed.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut fixed)));
                    }
                    parts.push(Part::Parameter(name));
                }
                '}' => return Err(unclosed()),
                letter => fixed.push(letter),
            }
        }
        if !fixed.is_empty() || parts.is_empty() {
            parts.push(Part::Text(fixed));
        }
        Ok(Self(parts))
    }

    /// The parameters in it.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Parameter(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The parameter that it begins with.
    pub(super) fn first(&self) -> Option<&str> {
        match self.0.first() {
            Some(Part::Parameter(name)) => Some(name),
            _ => None,
        }
    }

    /// Whether it is the `--` after which nothing is an option.
    pub(super) fn ends_options(&self) -> bool {
        self.0 == [Part::Text("--".into())]
    }

    /// The argument with these values.
    pub(super) fn fill(&self, values: &BTreeMap<&str, String>) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.as_str(),
            // Every name was found when the list was read.
            Part::Parameter(name) => values.get(name.as_str()).map_or("", String::as_str),
        });
        parts.collect()
    }
}
