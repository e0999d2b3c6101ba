//! A link's description as text: netem's grammar as tc-netem(8) gives it, and
//! words of our own for what netem leaves to other tools.
//!
//! ```text
//! SPEC     := CLAUSE [ ; CLAUSE ]...
//! CLAUSE   := [ at TIME ] [ up | down ] SETTING...
//! SETTING  := limit { PACKETS | off }
//!           | delay TIME [ JITTER [ CORRELATION ] ] | jitter TIME [ CORRELATION ]
//!           | distribution { uniform | normal | pareto | paretonormal }
//!           | loss [ random ] PERCENT [ CORRELATION ] | burst { PACKETS | off }
//!           | loss state P13 [ P31 [ P32 [ P23 [ P14 ] ] ] ]
//!           | loss gemodel P [ R [ 1-H [ 1-K ] ] ]
//!           | ecn [ off ] | corrupt PERCENT [ CORRELATION ] | truncate PERCENT
//!           | duplicate PERCENT [ CORRELATION ]
//!           | reorder PERCENT [ CORRELATION ] | gap PACKETS
//!           | rate RATE [ PACKETOVERHEAD [ CELLSIZE [ CELLOVERHEAD ] ] ]
//!           | bucket SIZE | overhead BYTES | trace FILE
//!           | queue { PACKETS | SIZE } | [ aqm ] droptail
//!           | [ aqm ] codel [ target TIME ] [ interval TIME ]
//!           | [ aqm ] red [ min SIZE ] [ max SIZE ] [ probability PERCENT ]
//!           | slot LEAST [ MOST ] [ packets N ] [ bytes N ]
//!           | slot distribution NAME TIME JITTER [ packets N ] [ bytes N ]
//!           | drop SELECTOR | hold 'SELECTOR TIME' | copy SELECTOR | mark SELECTOR
//!           | seed NUMBER
//! ```
//!
//! A clause without `up` or `down` is for both directions, one without `at` for
//! the start. What is said later goes over what was said before, word by word:
//! `at 2s loss 100%` leaves the delay as it is. 0 turns a setting off, `off` those
//! of which 0 would be another value. Words may be cut short as tc allows
//! (`dup 1%`). Pure: the caller reads a trace's file.

mod error;
mod grammar;
mod reader;
mod schedule;
mod settle;
mod terms;
mod token;
mod warning;
mod words;
mod write;

use std::sync::Arc;
use std::time::Duration;

use crate::flow::Direction;
use crate::units::Time;

pub use error::{Problem, Reason, Shortest, Source, SpecError};
pub use schedule::Sketch;

use error::Mark;
use reader::Reader;
use terms::{Said, Terms};
pub use token::quote;
use token::{Token, tokens};

/// Which language a description is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// tc's: a bare time is microseconds, and what delays holds 1000 packets
    /// unless `limit` says otherwise.
    Netem,
    /// Ours, and what a plan is shown as: times have units, and no limit is
    /// implied.
    Plain,
    /// Ours with each word as an option: `--delay 20ms --loss 5%`.
    Options,
}

/// Gives a trace's text by its file's name, or says why there is none.
pub type Load<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// A description that was read: clauses, not yet put together.
#[derive(Debug)]
pub struct Spec {
    clauses: Vec<Clause>,
    seed: Option<Said<u64>>,
    warnings: Vec<String>,
}

/// Some settings, for when and for which direction.
#[derive(Debug)]
struct Clause {
    at: Option<Duration>,
    direction: Option<Direction>,
    terms: Terms,
    /// All of it.
    mark: Mark,
}

impl Spec {
    /// Reads a description. Traces are loaded with `load`.
    pub fn parse(source: Source, dialect: Dialect, load: Load<'_>) -> Result<Self, SpecError> {
        let source = Arc::new(source);
        let tokens = tokens(&source.text).map_err(|(span, problem)| {
            let source = Arc::clone(&source);
            SpecError::new(Mark { source, span }, problem)
        })?;
        let mut spec = Self {
            clauses: Vec::new(),
            seed: None,
            warnings: Vec::new(),
        };
        for tokens in tokens.split(Token::is_semicolon) {
            let mut reader = Reader::new(&source, dialect, tokens, &mut spec.warnings);
            let (clause, seed) = clause(&mut reader, load)?;
            spec.clauses.extend(clause);
            agree(&mut spec.seed, seed)?;
        }
        Ok(spec)
    }

    /// The same for one direction only.
    pub fn towards(mut self, direction: Direction) -> Result<Self, SpecError> {
        self.seedless()?;
        for clause in &mut self.clauses {
            if clause.direction.is_some_and(|own| own != direction) {
                let name = match direction {
                    Direction::ClientToServer => "down",
                    Direction::ServerToClient => "up",
                };
                return Err(clause.refused(Problem::OtherDirection(name)));
            }
            clause.direction = Some(direction);
        }
        Ok(self)
    }

    /// The same where there is room for one clause only.
    pub fn single(self) -> Result<Self, SpecError> {
        self.seedless()?;
        match self.clauses.get(1) {
            Some(second) => Err(second.refused(Problem::SecondClause)),
            None => Ok(self),
        }
    }

    /// A part of the run has no seed of its own.
    fn seedless(&self) -> Result<(), SpecError> {
        match &self.seed {
            Some(seed) => Err(SpecError::new(seed.mark.clone(), Problem::PartialSeed)),
            None => Ok(()),
        }
    }
}

/// Keeps the seed that was said; whoever says it again says the same.
fn agree(seed: &mut Option<Said<u64>>, again: Option<Said<u64>>) -> Result<(), SpecError> {
    match (&seed, again) {
        (_, None) => {}
        (None, again) => *seed = again,
        (Some(first), Some(again)) => {
            if again.value != first.value {
                let problem = Problem::SecondSeed(first.mark.source.name.clone(), first.value);
                return Err(SpecError::new(again.mark, problem));
            }
        }
    }
    Ok(())
}

impl Clause {
    fn refused(&self, problem: Problem) -> SpecError {
        SpecError::new(self.mark.clone(), problem)
    }
}

/// One clause; `None` where it is empty, or says no more than the seed.
fn clause(
    reader: &mut Reader<'_>,
    load: Load<'_>,
) -> Result<(Option<Clause>, Option<Said<u64>>), SpecError> {
    let Some(first) = reader.peek().map(|token| token.span.start) else {
        return Ok((None, None));
    };
    let at = match reader.peek_word() {
        Some(word @ &words::AT) => {
            reader.word()?;
            Some(reader.time_with_unit(word)?)
        }
        _ => None,
    };
    let direction = direction(reader)?;
    let grammar::Said { terms, seed } = grammar::clause(reader, load)?;
    if let (Some(seed), true) = (&seed, at.is_some() || direction.is_some()) {
        return Err(SpecError::new(seed.mark.clone(), Problem::PartialSeed));
    }
    let clause = Clause {
        at: at.map(|Time(at)| at),
        direction,
        mark: reader.since(first),
        terms,
    };
    let is_empty = clause.terms == Terms::default();
    if is_empty && seed.is_none() {
        let problem = match clause.at {
            Some(_) => words::AT.missing(),
            None => words::UP.missing(),
        };
        return Err(clause.refused(problem));
    }
    Ok(((!is_empty).then_some(clause), seed))
}

fn direction(reader: &mut Reader<'_>) -> Result<Option<Direction>, SpecError> {
    let direction = match reader.peek_word() {
        Some(&words::UP) => Direction::ClientToServer,
        Some(&words::DOWN) => Direction::ServerToClient,
        _ => return Ok(None),
    };
    reader.word()?;
    Ok(Some(direction))
}
