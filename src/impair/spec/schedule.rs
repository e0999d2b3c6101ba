//! Descriptions put together, one over the other, to what each direction does
//! from the start and how it changes over time.

use std::time::Duration;

use super::super::settings::{Course, Plan};
use super::error::SpecError;
use super::settle::settle;
use super::terms::{Said, Terms};
use super::warning::surprises;
use super::{Clause, Spec, agree};
use crate::flow::Direction;

/// A plan in the making.
#[derive(Debug, Default)]
pub struct Sketch {
    up: Terms,
    down: Terms,
    later: Vec<(Duration, Clause)>,
    seed: Option<Said<u64>>,
    /// A seed that was not the same.
    clash: Option<SpecError>,
    warnings: Vec<String>,
}

impl Sketch {
    /// Puts a description over what was said before.
    pub fn apply(&mut self, spec: Spec) {
        let agreed = agree(&mut self.seed, spec.seed);
        self.clash = self.clash.take().or(agreed.err());
        self.warnings.extend(spec.warnings);
        for clause in spec.clauses {
            match clause.at {
                Some(at) => self.later.push((at, clause)),
                None => self.merge(&clause),
            }
        }
    }

    fn merge(&mut self, clause: &Clause) {
        if clause.concerns(Direction::ClientToServer) {
            self.up.merge(clause.terms.clone());
        }
        if clause.concerns(Direction::ServerToClient) {
            self.down.merge(clause.terms.clone());
        }
    }

    /// The seed, where one was said.
    pub fn seed(&self) -> Option<u64> {
        self.seed.as_ref().map(|seed| seed.value)
    }

    /// The plan with this seed, and what may surprise in it.
    pub fn finish(mut self, seed: u64) -> Result<(Plan, Vec<String>), SpecError> {
        if let Some(clash) = self.clash {
            return Err(clash);
        }
        // Those of one time stay in the order in which they were said.
        self.later.sort_by_key(|(at, _)| *at);
        let mut warnings = self.warnings;
        let up = course(
            self.up,
            &self.later,
            Direction::ClientToServer,
            &mut warnings,
        )?;
        let down = course(
            self.down,
            &self.later,
            Direction::ServerToClient,
            &mut warnings,
        )?;
        let mut said = std::collections::BTreeSet::new();
        warnings.retain(|warning| said.insert(warning.clone()));
        Ok((Plan { seed, up, down }, warnings))
    }
}

impl Clause {
    fn concerns(&self, direction: Direction) -> bool {
        self.direction.is_none_or(|own| own == direction)
    }
}

fn course(
    mut terms: Terms,
    later: &[(Duration, Clause)],
    direction: Direction,
    warnings: &mut Vec<String>,
) -> Result<Course, SpecError> {
    let mut settled = |terms: &Terms| {
        let settings = settle(terms)?;
        warnings.extend(surprises(terms, &settings));
        Ok(settings)
    };
    let own = later
        .iter()
        .filter(|(_, clause)| clause.concerns(direction));
    let mut own = own.peekable();
    while let Some((_, clause)) = own.next_if(|(at, _)| at.is_zero()) {
        terms.merge(clause.terms.clone());
    }
    let mut course = Course {
        first: settled(&terms)?,
        changes: Vec::new(),
    };
    while let Some((at, clause)) = own.next() {
        terms.merge(clause.terms.clone());
        // What is said of one time is judged together.
        if own.peek().is_none_or(|(next, _)| next > at) {
            let settings = settled(&terms)?;
            let before = course
                .changes
                .last()
                .map_or(&course.first, |(_, last)| last);
            if settings != *before {
                course.changes.push((*at, settings));
            }
        }
    }
    Ok(course)
}
