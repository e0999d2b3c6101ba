//! Who takes part in a sweep: what was asked for, in its order, and names as the
//! resolver answers.
//!
//! Addresses and networks take part at once and need no thread. Owns what each
//! target is called. Never waits.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use crate::error::Error;
use crate::ping::targets::{Answer, Lookups, Question, Span, Spec, Targets, Wanted};

/// What targets are called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shown {
    /// By their addresses; with a name that was looked up, by both.
    pub address: bool,
    /// By the names their addresses have.
    pub names: Names,
}

/// Whose names are looked up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Names {
    /// Nobody's.
    #[default]
    None,
    /// Those of targets that were given by address.
    OfAddresses,
    /// Everyone's.
    OfAll,
}

/// Why a target whose name is still being looked up at the end has no address.
const NO_ANSWER: &str = "No name server has answered yet";

/// Someone who has joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Joined {
    /// So many targets with addresses.
    Reachable(u32),
    /// One without, by its number.
    Nameless(u32),
}

#[derive(Debug)]
pub(super) struct Roster {
    shown: Shown,
    specs: Vec<Spec>,
    /// Asked about, and not answered or not yet taken in.
    waiting: HashMap<usize, Question>,
    lookups: Option<Lookups>,
}

impl Roster {
    /// Asks the resolver about those of `specs` that need it.
    pub(super) fn begin(specs: Vec<Spec>, wanted: Wanted, shown: Shown) -> Result<Self, Error> {
        let specs = match shown.names {
            Names::None => specs,
            Names::OfAddresses | Names::OfAll => one_by_one(specs),
        };
        let foreign = |span: &Span| wanted.family.is_some_and(|asked| asked != span.family());
        for spec in &specs {
            if let Spec::Span(span) = spec
                && foreign(span)
                && span.count() > 1
            {
                let network = format!("{} and {} others", span.address(0), span.count() - 1);
                let cause = "they are not of the family that was asked for";
                return Err(Error::new("ping", network, cause));
            }
        }
        let questions: VecDeque<Question> = specs
            .iter()
            .enumerate()
            .filter_map(|(place, spec)| {
                let host = match spec {
                    Spec::Name(name) => name.clone(),
                    // What is not to be had is the resolver's to say.
                    Spec::Span(span) if shown.names != Names::None || foreign(span) => {
                        span.address(0).to_string()
                    }
                    Spec::Span(_) => return None,
                };
                Some(Question { place, host })
            })
            .collect();
        let waiting = questions.iter().cloned();
        let waiting = waiting.map(|question| (question.place, question)).collect();
        let wanted = Wanted {
            names: shown.names != Names::None,
            ..wanted
        };
        let lookups = (!questions.is_empty()).then(|| Lookups::start(questions, wanted));
        let lookups = lookups.transpose();
        let lookups = lookups.map_err(|cause| Error::new("start", "name look-up", cause))?;
        Ok(Self {
            shown,
            specs,
            waiting,
            lookups,
        })
    }

    /// The questions under way, if there are any.
    pub(super) fn pending(&self) -> Option<&Lookups> {
        self.lookups.as_ref().filter(|lookups| !lookups.is_done())
    }

    /// What was answered since the last call.
    pub(super) fn answers(&mut self) -> Vec<Answer> {
        self.lookups.as_mut().map(Lookups::take).unwrap_or_default()
    }

    /// Takes everyone in, in the order in which they were given; whose question
    /// is open joins later.
    pub(super) fn open(
        &mut self,
        targets: &mut Targets,
        answers: Vec<Answer>,
        each: &mut impl FnMut(Joined),
    ) -> Result<(), Error> {
        let mut answers: HashMap<usize, Answer> = answers
            .into_iter()
            .map(|answer| (answer.place, answer))
            .collect();
        for (place, spec) in std::mem::take(&mut self.specs).into_iter().enumerate() {
            match (spec, answers.remove(&place)) {
                (_, Some(answer)) => self.admit(targets, answer, each)?,
                (Spec::Span(span), None) if !self.waiting.contains_key(&place) => {
                    targets.push_span(span)?;
                    each(Joined::Reachable(span.count()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes in who is answered for.
    pub(super) fn admit(
        &mut self,
        targets: &mut Targets,
        answer: Answer,
        each: &mut impl FnMut(Joined),
    ) -> Result<(), Error> {
        let Some(question) = self.waiting.remove(&answer.place) else {
            return Ok(());
        };
        match answer.found {
            Ok(addresses) => {
                for (address, name) in addresses {
                    let called = self.called(&question.host, address, name);
                    targets.push_host(&called, address)?;
                    each(Joined::Reachable(1));
                }
            }
            Err(reason) => {
                let index = targets.count();
                targets.push_nameless(&question.host, &reason)?;
                each(Joined::Nameless(index));
            }
        }
        Ok(())
    }

    /// Takes in those without an address who are not answered for when the sweep
    /// ends, in the order in which they were given.
    pub(super) fn give_up(
        &mut self,
        targets: &mut Targets,
        each: &mut impl FnMut(Joined),
    ) -> Result<(), Error> {
        let mut places: Vec<usize> = self.waiting.keys().copied().collect();
        places.sort_unstable();
        for place in places {
            let found = Err(NO_ANSWER.to_owned());
            self.admit(targets, Answer { place, found }, each)?;
        }
        Ok(())
    }

    fn called(&self, typed: &str, address: SocketAddr, name: Option<String>) -> String {
        let by_address = typed.parse::<std::net::IpAddr>().is_ok();
        let name = name.filter(|_| self.shown.names == Names::OfAll || by_address);
        match (self.shown.address, name) {
            (true, Some(name)) => format!("{name} ({})", address.ip()),
            (true, None) => address.ip().to_string(),
            (false, Some(name)) => name,
            (false, None) => typed.to_owned(),
        }
    }
}

/// Each address by itself, so that each can have a name.
fn one_by_one(specs: Vec<Spec>) -> Vec<Spec> {
    let alone = specs.into_iter().flat_map(|spec| match spec {
        Spec::Span(span) => {
            let each = move |place| Spec::Span(Span::one(span.address(place)));
            (0..span.count()).map(each).collect()
        }
        Spec::Name(_) => vec![spec],
    });
    alone.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(shown: Shown) -> (Vec<String>, Vec<Joined>) {
        let specs = ["10.0.0.1", "multi", "gone", "10.0.0.0/30"].map(|o| Spec::parse(o).unwrap());
        // As if all were answered; nothing is asked.
        let mut roster = Roster {
            shown,
            waiting: (1..3)
                .map(|place| {
                    let host = ["multi", "gone"][place - 1].to_owned();
                    (place, Question { place, host })
                })
                .collect(),
            specs: specs.into(),
            lookups: None,
        };
        let at = |last| {
            (
                SocketAddr::from(([127, 0, 0, last], 0)),
                Some(format!("n{last}")),
            )
        };
        let answers = vec![
            Answer {
                place: 2,
                found: Err("unknown".to_owned()),
            },
            Answer {
                place: 1,
                found: Ok(vec![at(5), at(6)]),
            },
        ];
        let (mut targets, mut joined) = (Targets::default(), Vec::new());
        roster
            .open(&mut targets, answers, &mut |one| joined.push(one))
            .unwrap();
        let rows = (0..targets.count()).map(|index| targets.label(index).to_string());
        (rows.collect(), joined)
    }

    #[test]
    fn everyone_keeps_their_place() {
        let (rows, joined) = rows(Shown::default());
        let expected = ["10.0.0.1", "multi", "multi", "gone", "10.0.0.1", "10.0.0.2"];
        assert_eq!(rows, expected);
        let one = Joined::Reachable(1);
        let expected = [one, one, one, Joined::Nameless(3), Joined::Reachable(2)];
        assert_eq!(joined, expected);
    }

    #[test]
    fn names_are_as_asked_for() {
        let of = |address, names| rows(Shown { address, names }).0[1].clone();
        assert_eq!(of(true, Names::None), "127.0.0.5");
        assert_eq!(of(true, Names::OfAll), "n5 (127.0.0.5)");
        assert_eq!(of(false, Names::OfAll), "n5");
        assert_eq!(of(false, Names::OfAddresses), "multi");
    }
}
