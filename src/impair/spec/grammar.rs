//! What each word takes: netem's own as tc-netem(8) and `q_netem.c` have it,
//! and ours.

use std::sync::Arc;

use super::super::selector::{Action, Rule, Selector, SelectorError};
use super::super::settings::{Capacity, Chance, Distribution, Loss, Slot};
use super::super::trace::Trace;
use super::error::{Problem, Reason, SpecError};
use super::reader::Reader;
use super::terms::{Aqm, Service, Terms};
use super::token::Token;
use super::words::{self, Word};
use super::{Dialect, Load};
use crate::units::{ByteSize, Probability, Rate, Time};

/// What one clause says.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) terms: Terms,
    pub(super) seed: Option<super::terms::Said<u64>>,
}

/// netem's default.
const NETEM_LIMIT: u32 = 1000;

const DISTRIBUTIONS: &[(&str, Distribution)] = &[
    ("uniform", Distribution::Uniform),
    ("normal", Distribution::Normal),
    ("pareto", Distribution::Pareto),
    ("paretonormal", Distribution::ParetoNormal),
];
const DISTRIBUTION_NAMES: &str = "uniform, normal, pareto, paretonormal";

/// Reads the settings of one clause.
pub(super) fn clause(reader: &mut Reader<'_>, load: Load<'_>) -> Result<Said, SpecError> {
    let mut said = Said::default();
    while let Some(word) = reader.word()? {
        match *word {
            words::SEED => {
                let seed = reader.needed(word)?;
                let number = seed.text.parse();
                let number =
                    number.map_err(|_| reader.bad(word, seed, Reason::Range(0, u64::MAX)))?;
                reader.keep(&mut said.seed, number, word)?;
            }
            words::AT | words::UP | words::DOWN => {
                let problem = Problem::Misplaced(word.name);
                return Err(reader.error(reader.here(), problem));
            }
            _ => setting(reader, word, &mut said.terms, load)?,
        }
    }
    burst_without_effect(reader, &said.terms);
    let holds = said.terms.delay.as_ref().map(|delay| &delay.mark);
    let holds = holds.or(said.terms.service.as_ref().map(|service| &service.mark));
    let holds = holds.or(said.terms.slot.as_ref().map(|slot| &slot.mark));
    if let (Dialect::Netem, Some(mark)) = (reader.dialect, holds) {
        said.terms.implied_limit = Some(super::terms::Said {
            value: NETEM_LIMIT,
            mark: mark.clone(),
        });
    }
    Ok(said)
}

/// Warns of bursts of what is always or never lost.
fn burst_without_effect(reader: &mut Reader<'_>, terms: &Terms) {
    let burst = terms.burst.as_ref().map(|burst| burst.value);
    let loss = terms.loss.as_ref().map(|loss| loss.value);
    let (Some(burst), Some(loss)) = (burst.filter(|burst| *burst > 0.0), loss) else {
        return;
    };
    let (share, which) = match loss {
        Loss::None => ("0%", "nothing"),
        Loss::Random(chance) if chance.probability == Probability::ALWAYS => ("100%", "everything"),
        _ => return,
    };
    reader.warnings.push(format!(
        "loss {share} burst {burst}: {which} is lost, in bursts or not"
    ));
}

fn setting(
    reader: &mut Reader<'_>,
    word: &Word,
    terms: &mut Terms,
    load: Load<'_>,
) -> Result<(), SpecError> {
    match *word {
        words::DELAY | words::LATENCY => delay(reader, word, terms),
        words::JITTER => {
            let Time(jitter) = reader.time(word)?;
            reader.keep(&mut terms.jitter, jitter, word)?;
            correlation(reader, word, terms)
        }
        words::DISTRIBUTION => {
            let shape = reader.choice(word, DISTRIBUTIONS, DISTRIBUTION_NAMES)?;
            reader.keep(&mut terms.distribution, shape, word)
        }
        words::REORDER => {
            let chance = chance(reader, word)?;
            reader.keep(&mut terms.reorder, chance, word)
        }
        words::GAP => {
            let gap = reader.whole(word, 0, i64::from(u32::MAX))?;
            reader.keep(&mut terms.gap, gap, word)
        }
        words::SLOT => {
            let slot = slot(reader, word)?;
            reader.keep(&mut terms.slot, slot, word)
        }
        words::LIMIT => {
            let limit = limit(reader, word)?;
            reader.keep(&mut terms.limit, limit, word)
        }
        words::RATE
        | words::OVERHEAD
        | words::BUCKET
        | words::QUEUE
        | words::AQM
        | words::DROPTAIL
        | words::CODEL
        | words::RED
        | words::TRACE => bottleneck(reader, word, terms, load),
        words::DROP if reader.dialect != Dialect::Options && reader.peek().is_some_and(is_loss) => {
            loss(reader, word, terms)
        }
        words::DROP | words::HOLD | words::COPY | words::MARK => rule(reader, word, terms),
        _ => damage(reader, word, terms),
    }
}

/// What is lost or changed.
fn damage(reader: &mut Reader<'_>, word: &Word, terms: &mut Terms) -> Result<(), SpecError> {
    match *word {
        words::LOSS => loss(reader, word, terms),
        words::BURST => {
            let burst = burst(reader, word)?;
            reader.keep(&mut terms.burst, burst, word)
        }
        words::ECN => {
            let is_on = !reader.takes("off");
            reader.keep(&mut terms.ecn, is_on, word)
        }
        words::CORRUPT => {
            let chance = chance(reader, word)?;
            reader.keep(&mut terms.corrupt, chance, word)
        }
        words::DUPLICATE => {
            let chance = chance(reader, word)?;
            reader.keep(&mut terms.duplicate, chance, word)
        }
        words::TRUNCATE => {
            let probability = reader.percentage(word)?;
            reader.keep(&mut terms.truncate, probability, word)
        }
        _ => unreachable!("every word is read by somebody: {}", word.name),
    }
}

/// 0 where it is off.
fn burst(reader: &mut Reader<'_>, word: &Word) -> Result<f64, SpecError> {
    if reader.takes("off") {
        return Ok(0.0);
    }
    let token = reader.needed(word)?;
    let burst = token.text.parse().ok();
    let burst = burst.filter(|burst| (1.0..=1e9).contains(burst));
    burst.ok_or_else(|| reader.bad(word, token, Reason::Burst))
}

/// 0 where it is off. As a number it would lose every packet: `q_netem.c`
/// takes it as it is, and `sch_netem.c` queues nothing.
fn limit(reader: &mut Reader<'_>, word: &Word) -> Result<u32, SpecError> {
    if reader.takes("off") {
        return Ok(0);
    }
    let token = reader.peek();
    match (reader.whole(word, 0, i64::from(u32::MAX))?, token) {
        (0, Some(token)) => Err(reader.bad(word, token, Reason::NoRoom)),
        (limit, _) => Ok(limit),
    }
}

fn delay(reader: &mut Reader<'_>, word: &Word, terms: &mut Terms) -> Result<(), SpecError> {
    let Time(delay) = reader.time(word)?;
    reader.keep(&mut terms.delay, delay, word)?;
    if let Some(Time(jitter)) = reader.next_time(word)? {
        reader.keep(&mut terms.jitter, jitter, word)?;
        correlation(reader, word, terms)?;
    }
    Ok(())
}

fn correlation(reader: &mut Reader<'_>, word: &Word, terms: &mut Terms) -> Result<(), SpecError> {
    match reader.next_percentage(word)? {
        Some(correlation) => reader.keep(&mut terms.correlation, correlation, word),
        None => Ok(()),
    }
}

/// `PERCENT [CORRELATION]`.
fn chance(reader: &mut Reader<'_>, word: &Word) -> Result<Chance, SpecError> {
    Ok(Chance {
        probability: reader.percentage(word)?,
        correlation: reader.next_percentage(word)?.unwrap_or_default(),
    })
}

/// Whether `drop` means netem's loss, of which it is another name.
fn is_loss(token: &Token) -> bool {
    let models = ["random", "state", "gemodel"];
    !token.is_quoted && (token.is_number(true) || models.contains(&token.text.as_str()))
}

fn loss(reader: &mut Reader<'_>, word: &Word, terms: &mut Terms) -> Result<(), SpecError> {
    let loss = if reader.takes("state") {
        markov(reader, word)?
    } else if reader.takes("gemodel") {
        gilbert_elliott(reader, word)?
    } else {
        reader.takes("random");
        let chance = chance(reader, word)?;
        if chance.probability.is_possible() {
            Loss::Random(chance)
        } else {
            Loss::None
        }
    };
    reader.keep(&mut terms.loss, loss, word)
}

/// The man page's defaults are those of `q_netem.c`: each depends on p13.
fn markov(reader: &mut Reader<'_>, word: &Word) -> Result<Loss, SpecError> {
    let p13 = reader.percentage(word)?;
    let mut next = |usual: Probability| {
        let given = reader.next_percentage(word)?;
        Ok(given.unwrap_or(usual))
    };
    Ok(Loss::Markov {
        p13,
        p31: next(p13.complement())?,
        p32: next(Probability::NEVER)?,
        p23: next(Probability::ALWAYS)?,
        p14: next(Probability::NEVER)?,
    })
}

fn gilbert_elliott(reader: &mut Reader<'_>, word: &Word) -> Result<Loss, SpecError> {
    let p = reader.percentage(word)?;
    let mut next = |usual: Probability| {
        let given = reader.next_percentage(word)?;
        Ok(given.unwrap_or(usual))
    };
    Ok(Loss::GilbertElliott {
        p,
        r: next(p.complement())?,
        bad_loss: next(Probability::ALWAYS)?,
        good_loss: next(Probability::NEVER)?,
    })
}

fn slot(reader: &mut Reader<'_>, word: &Word) -> Result<Option<Slot>, SpecError> {
    let (least, most, distribution) = if reader.takes("distribution") {
        let shape = reader.choice(word, DISTRIBUTIONS, DISTRIBUTION_NAMES)?;
        (reader.time(word)?, reader.time(word)?, Some(shape))
    } else {
        let least = reader.time(word)?;
        (least, reader.next_time(word)?.unwrap_or(least), None)
    };
    let mut slot = Slot {
        least: least.0,
        most: most.0,
        distribution,
        packets: 0,
        bytes: 0,
    };
    loop {
        if reader.takes("packets") {
            slot.packets = reader.whole(word, 0, i64::from(u32::MAX))?;
        } else if reader.takes("bytes") {
            slot.bytes = reader.whole(word, 0, i64::from(u32::MAX))?;
        } else {
            break;
        }
    }
    let is_off = slot.least.is_zero() && slot.most.is_zero();
    if !is_off && distribution.is_none() && slot.least > slot.most {
        let problem = Problem::SlotTimes(Time(slot.least).to_string(), Time(slot.most).to_string());
        return Err(reader.error(reader.here(), problem));
    }
    Ok((!is_off).then_some(slot))
}

fn bottleneck(
    reader: &mut Reader<'_>,
    word: &Word,
    terms: &mut Terms,
    load: Load<'_>,
) -> Result<(), SpecError> {
    match *word {
        words::RATE => rate(reader, word, terms),
        words::TRACE => {
            let trace = trace(reader, word, load)?;
            serve(reader, terms, Service::Trace(Arc::new(trace)), word)
        }
        words::OVERHEAD => {
            let overhead = reader.whole(word, -65_535, 65_535)?;
            reader.keep(&mut terms.overhead, overhead, word)
        }
        words::BUCKET => {
            let size = reader.value(word)?;
            reader.keep(&mut terms.bucket, size, word)
        }
        words::QUEUE => {
            let capacity = capacity(reader, word)?;
            reader.keep(&mut terms.queue, capacity, word)
        }
        words::AQM => {
            let discipline = reader.peek_choice(&["droptail", "codel", "red"]);
            let Some(named) = discipline.and_then(words::find) else {
                let token = reader.needed(word)?;
                return Err(reader.bad(word, token, Reason::Choice("droptail, codel, red")));
            };
            reader.take();
            aqm(reader, named, terms)
        }
        _ => aqm(reader, word, terms),
    }
}

fn serve(
    reader: &Reader<'_>,
    terms: &mut Terms,
    service: Service,
    word: &Word,
) -> Result<(), SpecError> {
    if let Some(before) = &terms.service
        && std::mem::discriminant(&before.value) != std::mem::discriminant(&service)
    {
        let form = "each is the whole bottleneck by itself";
        let problem = Problem::Exclusive("rate", "trace", form);
        return Err(reader.error(reader.here(), problem));
    }
    reader.keep(&mut terms.service, service, word)
}

fn rate(reader: &mut Reader<'_>, word: &Word, terms: &mut Terms) -> Result<(), SpecError> {
    let rate: Rate = reader.rate(word)?;
    serve(reader, terms, Service::Rate(rate), word)?;
    if let Some(overhead) = reader.next_whole(word, -65_535, 65_535)? {
        reader.keep(&mut terms.overhead, overhead, word)?;
        if let Some(size) = reader.next_whole(word, 0, 65_535)? {
            let own = reader.next_whole(word, -65_535, 65_535)?.unwrap_or(0);
            reader.keep(&mut terms.cells, (size, own), word)?;
        }
    }
    Ok(())
}

fn trace(reader: &mut Reader<'_>, word: &Word, load: Load<'_>) -> Result<Trace, SpecError> {
    let file = reader.needed(word)?;
    if file.text.contains(char::is_control) {
        let why = "a file's name with control characters, which a report would print";
        return Err(reader.bad(word, file, Reason::Unreadable(why.to_owned())));
    }
    let text = load(&file.text);
    let text = text.map_err(|why| reader.bad(word, file, Reason::Unreadable(why)))?;
    let trace = Trace::parse(file.text.as_str(), &text);
    trace.map_err(|why| reader.bad(word, file, why.into()))
}

/// A bare number is packets, a number with a unit bytes.
fn capacity(reader: &mut Reader<'_>, word: &Word) -> Result<Capacity, SpecError> {
    let is_bare = |token: &Token| token.text.bytes().all(|byte| byte.is_ascii_digit());
    if reader.peek().is_some_and(is_bare) {
        return reader
            .whole(word, 1, i64::from(u32::MAX))
            .map(Capacity::Packets);
    }
    let size: ByteSize = reader.value(word)?;
    Ok(Capacity::Bytes(size))
}

fn aqm(reader: &mut Reader<'_>, word: &Word, terms: &mut Terms) -> Result<(), SpecError> {
    let aqm = match *word {
        words::CODEL => {
            let (mut target, mut interval) = (None, None);
            loop {
                if reader.takes("target") {
                    target = Some(reader.time(word)?.0);
                } else if reader.takes("interval") {
                    interval = Some(reader.time(word)?.0);
                } else {
                    break Aqm::CoDel { target, interval };
                }
            }
        }
        words::RED => {
            let (mut min, mut max, mut probability) = (None, None, None);
            loop {
                if reader.takes("min") {
                    min = Some(reader.value(word)?);
                } else if reader.takes("max") {
                    max = Some(reader.value(word)?);
                } else if reader.takes("probability") {
                    probability = Some(reader.percentage(word)?);
                } else {
                    break Aqm::Red {
                        min,
                        max,
                        probability,
                    };
                }
            }
        }
        _ => Aqm::DropTail,
    };
    reader.keep(&mut terms.aqm, aqm, word)
}

/// `drop`, `hold`, `copy`, `mark`: a selector in quotes, or every word up to
/// the next setting; `hold` has its time at the end.
fn rule(reader: &mut Reader<'_>, word: &Word, terms: &mut Terms) -> Result<(), SpecError> {
    let first = reader.needed(word)?;
    let mut text = first.text.clone();
    let mut span = first.span.clone();
    while !first.is_quoted
        && reader.peek_word().is_none()
        && let Some(token) = reader.take()
    {
        text = [&text, " ", &token.text].concat();
        span.end = token.span.end;
    }
    let whole = Token {
        text,
        span,
        is_quoted: true,
    };
    let (chosen, action) = match *word {
        words::HOLD => held(reader, word, &whole)?,
        words::COPY => (whole.text.as_str(), Action::Duplicate),
        words::MARK => (whole.text.as_str(), Action::Mark),
        _ => (whole.text.as_str(), Action::Drop),
    };
    if let Some(why) = share(reader, word, chosen) {
        return Err(reader.bad(word, &whole, why));
    }
    let selector = chosen.parse::<Selector>();
    let selector = selector.map_err(|why: SelectorError| reader.bad(word, &whole, why.into()))?;
    terms.rules.push(reader.said(Rule { selector, action }));
    Ok(())
}

/// `SELECTOR TIME`.
fn held<'a>(
    reader: &Reader<'_>,
    word: &Word,
    whole: &'a Token,
) -> Result<(&'a str, Action), SpecError> {
    let text = whole.text.trim();
    let parts = text.rsplit_once(char::is_whitespace);
    let (chosen, time) = parts.unwrap_or(("", text));
    let is_number =
        time.starts_with(|letter: char| letter.is_ascii_digit() || ".-".contains(letter));
    // The number of `port 80` is none of a time.
    if !is_number || text.parse::<Selector>().is_ok() {
        return Err(reader.bad(word, whole, Reason::TimeMissing));
    }
    let time = time.parse::<Time>();
    let Time(time) = time.map_err(|why| reader.bad(word, whole, why.into()))?;
    Ok((chosen, Action::Delay(time)))
}

/// What to say where a number stands for a choice of packets, as netem's `drop`
/// has it.
fn share(reader: &Reader<'_>, word: &Word, chosen: &str) -> Option<Reason> {
    let name = match *word {
        words::DROP => words::LOSS.name,
        words::COPY => words::DUPLICATE.name,
        _ => return None,
    };
    let number = chosen.strip_suffix('%').unwrap_or(chosen).trim_end();
    number.parse::<f64>().ok()?;
    let dashes = match reader.dialect {
        Dialect::Options => "--",
        Dialect::Netem | Dialect::Plain => "",
    };
    let is_step = number == chosen && number.parse::<u64>().is_ok_and(|step| step > 0);
    let step = if is_step { number } else { "N" };
    Some(Reason::Share(format!(
        "{dashes}{name} {number}% for so many at random, every {step} for one in {step}"
    )))
}
