//! What was said of one direction → what it means: defaults filled in, and what
//! makes no sense together refused.

use super::super::settings::{
    Bottleneck, Capacity, Chance, Delay, Discipline, Framing, Loss, Reorder, Server, Settings,
};
use super::error::{Mark, Problem, Shortest, SpecError};
use super::terms::{Aqm, Said, Service, Terms};
use crate::units::{ByteSize, Probability};

/// tc-red(8): a fiftieth.
const RED_PROBABILITY: f64 = 0.02;

/// Bytes of a packet where a queue counts packets and RED counts bytes.
const PACKET: u64 = 1500;

/// Bytes of the smallest packet that is sent: headers of IPv4 and of ICMP or UDP.
const SMALLEST: u64 = 28;

/// The settings that `terms` mean.
pub(super) fn settle(terms: &Terms) -> Result<Settings, SpecError> {
    let bottleneck = bottleneck(terms)?;
    let ecn = ecn(terms, bottleneck.as_ref())?;
    Ok(Settings {
        rules: terms.rules.iter().map(|rule| rule.value.clone()).collect(),
        duplicate: plain(terms.duplicate.as_ref()),
        loss: loss(terms)?,
        ecn,
        corrupt: plain(terms.corrupt.as_ref()),
        truncate: Chance {
            probability: plain(terms.truncate.as_ref()),
            ..Chance::default()
        },
        limit: limit(terms),
        delay: delay(terms)?,
        reorder: reorder(terms)?,
        slot: plain(terms.slot.as_ref()),
        bottleneck: bottleneck.map(|bottleneck| Bottleneck {
            ecn: ecn && bottleneck.discipline != Discipline::DropTail,
            ..bottleneck
        }),
    })
}

fn plain<T: Copy + Default>(said: Option<&Said<T>>) -> T {
    said.map(|said| said.value).unwrap_or_default()
}

fn refuse<T>(mark: &Mark, problem: Problem) -> Result<T, SpecError> {
    Err(SpecError::new(mark.clone(), problem))
}

fn limit(terms: &Terms) -> Option<u32> {
    let limit = terms.limit.as_ref().or(terms.implied_limit.as_ref());
    limit.map(|limit| limit.value).filter(|limit| *limit > 0)
}

fn delay(terms: &Terms) -> Result<Delay, SpecError> {
    let jitter = plain(terms.jitter.as_ref());
    if let (Some(distribution), true) = (&terms.distribution, jitter.is_zero()) {
        let form = "it is the shape of the jitter: delay 20ms 5ms distribution normal";
        let problem = Problem::Without("distribution", "jitter", form);
        return refuse(&distribution.mark, problem);
    }
    Ok(Delay {
        base: plain(terms.delay.as_ref()),
        jitter,
        correlation: if jitter.is_zero() {
            Probability::NEVER
        } else {
            plain(terms.correlation.as_ref())
        },
        distribution: plain(terms.distribution.as_ref()),
    })
}

fn reorder(terms: &Terms) -> Result<Option<Reorder>, SpecError> {
    let chance = terms.reorder.as_ref();
    let Some(chance) = chance.filter(|chance| chance.value.probability.is_possible()) else {
        return match &terms.gap {
            None => Ok(None),
            Some(gap) => {
                let form = "say how often as well: reorder 25% gap 5";
                refuse(&gap.mark, Problem::Without("gap", "a probability", form))
            }
        };
    };
    if plain(terms.delay.as_ref()).is_zero() {
        let form = "what is reordered overtakes what is delayed: delay 20ms reorder 25%";
        return refuse(&chance.mark, Problem::Without("reorder", "a delay", form));
    }
    Ok(Some(Reorder {
        chance: chance.value,
        gap: terms.gap.as_ref().map_or(1, |gap| gap.value.max(1)),
    }))
}

fn ecn(terms: &Terms, bottleneck: Option<&Bottleneck>) -> Result<bool, SpecError> {
    let Some(ecn) = terms.ecn.as_ref().filter(|ecn| ecn.value) else {
        return Ok(false);
    };
    let drops_early = bottleneck.is_some_and(|one| one.discipline != Discipline::DropTail);
    if terms.loss.is_none() && !drops_early {
        let form = "what would be lost is marked: loss 5% ecn, or rate 10mbit codel ecn";
        return refuse(
            &ecn.mark,
            Problem::Without("ecn", "loss, codel or red", form),
        );
    }
    Ok(true)
}

fn loss(terms: &Terms) -> Result<Loss, SpecError> {
    let Some(burst) = terms.burst.as_ref().filter(|burst| burst.value > 0.0) else {
        return Ok(plain(terms.loss.as_ref()));
    };
    let Some(loss) = &terms.loss else {
        let form = "say how much is lost as well: loss 5% burst 4";
        return refuse(&burst.mark, Problem::Without("burst", "loss", form));
    };
    let form = "say loss PERCENT burst PACKETS";
    match loss.value {
        Loss::None => Ok(Loss::None),
        Loss::Random(chance) if chance.correlation.is_possible() => refuse(
            &burst.mark,
            Problem::Exclusive("burst", "a correlation of loss", form),
        ),
        Loss::Random(chance) => match bursts(chance.probability, burst.value) {
            Ok(loss) => Ok(loss),
            Err(least) => refuse(
                &burst.mark,
                Problem::ShortBurst {
                    loss: chance.probability.to_string(),
                    burst: burst.value.to_string(),
                    least: Shortest(least),
                    rounded: rounded_up(least),
                },
            ),
        },
        Loss::GilbertElliott { .. } | Loss::Markov { .. } => refuse(
            &burst.mark,
            Problem::Exclusive("burst", "loss gemodel or state", form),
        ),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a positive number for a message"
)]
fn rounded_up(length: f64) -> u64 {
    length.ceil() as u64
}

/// Gilbert's model with the mean loss and the mean length of bursts that were
/// asked for: r = 1/B, p = L·r/(1 − L), everything lost in the bad state and
/// nothing in the good one. Where that is impossible, the shortest mean burst.
pub(super) fn bursts(loss: Probability, burst: f64) -> Result<Loss, f64> {
    let mean = loss.value();
    if !loss.is_possible() || loss == Probability::ALWAYS {
        return Ok(Loss::Random(Chance {
            probability: loss,
            ..Chance::default()
        }));
    }
    let odds = mean / (1.0 - mean);
    let model = Probability::new(1.0 / burst).zip(Probability::new(odds / burst));
    let (r, p) = model.ok_or(odds.max(1.0))?;
    Ok(Loss::GilbertElliott {
        p,
        r,
        bad_loss: Probability::ALWAYS,
        good_loss: Probability::NEVER,
    })
}

fn bottleneck(terms: &Terms) -> Result<Option<Bottleneck>, SpecError> {
    let service = terms.service.as_ref();
    let Some(service) = service.filter(|service| !service.value.is_off()) else {
        return needs_service(terms).map(|()| None);
    };
    let server = match &service.value {
        Service::Trace(trace) => {
            counts_as_it_is(terms)?;
            Server::Trace(trace.clone())
        }
        Service::Rate(rate) => {
            let (rate, framing) = (*rate, framing(terms)?);
            match plain(terms.bucket.as_ref()) {
                ByteSize(0) => Server::Rate { rate, framing },
                burst => Server::TokenBucket {
                    rate,
                    burst,
                    framing,
                },
            }
        }
    };
    let capacity = terms.queue.as_ref().map(|queue| queue.value);
    let capacity = capacity.unwrap_or_default();
    Ok(Some(Bottleneck {
        server,
        capacity,
        discipline: discipline(terms, capacity)?,
        ecn: false,
    }))
}

fn framing(terms: &Terms) -> Result<Framing, SpecError> {
    let (cell_size, cell_overhead) = plain(terms.cells.as_ref());
    let framing = Framing {
        packet_overhead: plain(terms.overhead.as_ref()),
        cell_size,
        cell_overhead,
    };
    let packet = Framing {
        cell_size: 0,
        ..framing
    };
    for (framing, mark, said) in [
        (
            packet,
            terms.overhead.as_ref().map(|said| &said.mark),
            format!("an overhead of {}", packet.packet_overhead),
        ),
        (
            framing,
            terms.cells.as_ref().map(|said| &said.mark),
            format!("an overhead of {cell_overhead} a cell of {cell_size}"),
        ),
    ] {
        if let Some(mark) = mark.filter(|_| framing.counted(SMALLEST) == 0) {
            return refuse(mark, Problem::Weightless(said));
        }
    }
    Ok(framing)
}

/// What describes a bottleneck, where there is none.
fn needs_service(terms: &Terms) -> Result<(), SpecError> {
    let form = "nothing waits where nothing limits the rate: rate 10mbit";
    let said = [
        ("queue", terms.queue.as_ref().map(|said| &said.mark)),
        ("aqm", terms.aqm.as_ref().map(|said| &said.mark)),
        ("bucket", terms.bucket.as_ref().map(|said| &said.mark)),
        ("overhead", terms.overhead.as_ref().map(|said| &said.mark)),
    ];
    for (word, mark) in said {
        if let Some(mark) = mark {
            return refuse(mark, Problem::Without(word, "a rate", form));
        }
    }
    Ok(())
}

/// A trace counts bytes of IP, and has its own bursts.
fn counts_as_it_is(terms: &Terms) -> Result<(), SpecError> {
    let form = "a trace's opportunities are for 1500 bytes of IP as they are";
    let said = [
        ("bucket", terms.bucket.as_ref().map(|said| &said.mark)),
        ("overhead", terms.overhead.as_ref().map(|said| &said.mark)),
    ];
    for (word, mark) in said {
        if let Some(mark) = mark {
            return refuse(mark, Problem::Exclusive(word, "trace", form));
        }
    }
    Ok(())
}

fn discipline(terms: &Terms, capacity: Capacity) -> Result<Discipline, SpecError> {
    let Some(aqm) = &terms.aqm else {
        return Ok(Discipline::DropTail);
    };
    match aqm.value {
        Aqm::DropTail => Ok(Discipline::DropTail),
        Aqm::CoDel { target, interval } => {
            let Discipline::CoDel {
                target: usual_target,
                interval: usual_interval,
            } = Discipline::CODEL
            else {
                unreachable!("it is CoDel");
            };
            Ok(Discipline::CoDel {
                target: target.unwrap_or(usual_target),
                interval: interval.unwrap_or(usual_interval),
            })
        }
        Aqm::Red {
            min,
            max,
            probability,
        } => {
            // tc-red(8): max a quarter of the limit at most, min a third of max.
            let room = match capacity {
                Capacity::Packets(packets) => u64::from(packets) * PACKET,
                Capacity::Bytes(bytes) => bytes.0,
            };
            let max = max.unwrap_or_else(|| {
                min.map_or(ByteSize(room / 4), |min| ByteSize(min.0.saturating_mul(3)))
            });
            let min = min.unwrap_or(ByteSize(max.0 / 3));
            if min >= max {
                let problem = Problem::RedThresholds(min.to_string(), max.to_string());
                return refuse(&aqm.mark, problem);
            }
            let usual = || Probability::new(RED_PROBABILITY).unwrap_or_default();
            Ok(Discipline::Red {
                min,
                max,
                probability: probability.unwrap_or_else(usual),
            })
        }
    }
}
