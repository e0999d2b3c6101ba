//! A link's description: netem's grammar as tc-netem(8) gives it, our own words,
//! what is refused and what is warned of, and that what is written is read.

use std::fmt::Write;
use std::time::Duration;

use proptest::prelude::*;
use socklab::flow::Direction;
use socklab::impair::{
    Action, Bottleneck, Capacity, Chance, Course, Delay, Dialect, Discipline, Distribution,
    Framing, Loss, Plan, Problem, Profile, Reorder, Rule, Server, Settings, Sketch, Slot, Source,
    Spec, SpecError, Trace,
};
use socklab::units::{ByteSize, Probability, Rate};

fn source(text: &str) -> Source {
    Source {
        name: "--link".to_owned(),
        text: text.to_owned(),
    }
}

/// The only file there is.
fn load(file: &str) -> Result<String, String> {
    match file {
        "a trace" => Ok("1\n2\n".to_owned()),
        "zero" => Ok("0\n0\n".to_owned()),
        "back" => Ok("5\n3\n".to_owned()),
        "words" => Ok("1\nsoon\n".to_owned()),
        _ => Err("no such file".to_owned()),
    }
}

fn plan(text: &str, dialect: Dialect) -> Result<(Plan, Vec<String>), SpecError> {
    let mut sketch = Sketch::default();
    sketch.apply(Spec::parse(source(text), dialect, &load)?);
    let seed = sketch.seed().unwrap_or_default();
    sketch.finish(seed)
}

/// Both directions' settings.
fn netem(text: &str) -> Settings {
    let (plan, _) = plan(text, Dialect::Netem).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(plan.up, plan.down, "{text}");
    assert_eq!(plan.up.changes, [], "{text}");
    plan.up.first
}

fn percent(percent: f64) -> Probability {
    // As the text is read: 33.1 / 100 is not 0.331.
    format!("{percent}%").parse().expect("a percentage")
}

fn chance(probability: f64, correlation: f64) -> Chance {
    Chance {
        probability: percent(probability),
        correlation: percent(correlation),
    }
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn delayed(base: Duration, jitter: Duration) -> Settings {
    Settings {
        limit: Some(1000),
        delay: Delay {
            base,
            jitter,
            ..Delay::default()
        },
        ..Settings::default()
    }
}

fn rate(rate: u64, framing: Framing) -> Settings {
    Settings {
        limit: Some(1000),
        bottleneck: Some(bottleneck(Server::Rate {
            rate: Rate(rate),
            framing,
        })),
        ..Settings::default()
    }
}

fn bottleneck(server: Server) -> Bottleneck {
    Bottleneck {
        server,
        capacity: Capacity::Packets(1000),
        discipline: Discipline::DropTail,
        ecn: false,
    }
}

fn lost(loss: Loss) -> Settings {
    Settings {
        loss,
        ..Settings::default()
    }
}

/// Command lines of tc-netem(8), of its examples and of `q_netem.c`'s usage.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn netems_command_lines_mean_what_they_mean_to_tc() {
    let (never, always) = (Probability::NEVER, Probability::ALWAYS);
    for (text, expected) in [
        ("", Settings::default()),
        (
            "limit 500",
            Settings {
                limit: Some(500),
                ..Settings::default()
            },
        ),
        ("delay 100ms", delayed(ms(100), ms(0))),
        ("latency 100ms", delayed(ms(100), ms(0))),
        ("delay 100000", delayed(ms(100), ms(0))),
        ("delay 100ms 20ms", delayed(ms(100), ms(20))),
        (
            "delay 100ms 20ms limit 7",
            Settings {
                limit: Some(7),
                ..delayed(ms(100), ms(20))
            },
        ),
        (
            "delay 100ms 20ms 25%",
            Settings {
                delay: Delay {
                    correlation: percent(25.0),
                    ..delayed(ms(100), ms(20)).delay
                },
                ..delayed(ms(100), ms(20))
            },
        ),
        (
            "delay 100ms 20ms distribution paretonormal",
            Settings {
                delay: Delay {
                    distribution: Distribution::ParetoNormal,
                    ..delayed(ms(100), ms(20)).delay
                },
                ..delayed(ms(100), ms(20))
            },
        ),
        ("loss 0.3%", lost(Loss::Random(chance(0.3, 0.0)))),
        (
            "loss random 0.3% 25%",
            lost(Loss::Random(chance(0.3, 25.0))),
        ),
        ("drop 1", lost(Loss::Random(chance(1.0, 0.0)))),
        (
            "loss 5% ecn",
            Settings {
                ecn: true,
                ..lost(Loss::Random(chance(5.0, 0.0)))
            },
        ),
        (
            "loss state 5%",
            lost(Loss::Markov {
                p13: percent(5.0),
                p31: percent(95.0),
                p32: never,
                p23: always,
                p14: never,
            }),
        ),
        (
            "loss state 1% 33.1% 20% 50% 0.1%",
            lost(Loss::Markov {
                p13: percent(1.0),
                p31: percent(33.1),
                p32: percent(20.0),
                p23: percent(50.0),
                p14: percent(0.1),
            }),
        ),
        (
            "loss gemodel 25%",
            lost(Loss::GilbertElliott {
                p: percent(25.0),
                r: percent(75.0),
                bad_loss: always,
                good_loss: never,
            }),
        ),
        (
            "loss gemodel 1% 10% 70% 0.1%",
            lost(Loss::GilbertElliott {
                p: percent(1.0),
                r: percent(10.0),
                bad_loss: percent(70.0),
                good_loss: percent(0.1),
            }),
        ),
        (
            "corrupt 0.1% 5%",
            Settings {
                corrupt: chance(0.1, 5.0),
                ..Settings::default()
            },
        ),
        (
            "duplicate 1%",
            Settings {
                duplicate: chance(1.0, 0.0),
                ..Settings::default()
            },
        ),
        (
            "dup 1 2",
            Settings {
                duplicate: chance(1.0, 2.0),
                ..Settings::default()
            },
        ),
        (
            "delay 10ms reorder 25% 50% gap 5",
            Settings {
                reorder: Some(Reorder {
                    chance: chance(25.0, 50.0),
                    gap: 5,
                }),
                ..delayed(ms(10), ms(0))
            },
        ),
        (
            "delay 10ms reorder 25% 50%",
            Settings {
                reorder: Some(Reorder {
                    chance: chance(25.0, 50.0),
                    gap: 1,
                }),
                ..delayed(ms(10), ms(0))
            },
        ),
        ("rate 100kbit", rate(100_000, Framing::default())),
        (
            "rate 5kbit 20 100 5",
            rate(
                5000,
                Framing {
                    packet_overhead: 20,
                    cell_size: 100,
                    cell_overhead: 5,
                },
            ),
        ),
        (
            "rate 1mbit -14",
            rate(
                1_000_000,
                Framing {
                    packet_overhead: -14,
                    ..Framing::default()
                },
            ),
        ),
        (
            "slot 800us",
            Settings {
                limit: Some(1000),
                slot: Some(slot(800, 800, None, 0, 0)),
                ..Settings::default()
            },
        ),
        (
            "slot 1ms 3ms packets 5 bytes 9000",
            Settings {
                limit: Some(1000),
                slot: Some(slot(1000, 3000, None, 5, 9000)),
                ..Settings::default()
            },
        ),
        (
            "slot distribution normal 5ms 1ms bytes 64",
            Settings {
                limit: Some(1000),
                slot: Some(slot(5000, 1000, Some(Distribution::Normal), 0, 64)),
                ..Settings::default()
            },
        ),
    ] {
        assert_eq!(netem(text), expected, "{text}");
    }
    let (seeded, _) = plan("loss 5% seed 42", Dialect::Netem).expect("a plan");
    assert_eq!(seeded.seed, 42);
}

fn slot(
    least: u64,
    most: u64,
    distribution: Option<Distribution>,
    packets: u32,
    bytes: u32,
) -> Slot {
    Slot {
        least: Duration::from_micros(least),
        most: Duration::from_micros(most),
        distribution,
        packets,
        bytes,
    }
}

/// Each of our own words, shown as what it means.
#[test]
fn our_own_words() {
    for (text, shown) in [
        ("loss 5% burst 4", "loss 5% burst 4"),
        ("loss 100% burst 4", "loss 100%"),
        ("delay 20ms jitter 5ms 10%", "delay 20ms jitter 5ms 10%"),
        ("truncate 1%", "truncate 1%"),
        ("rate 10mbit queue 100", "rate 10mbit queue 100"),
        ("rate 10mbit queue 64k", "rate 10mbit queue 64kb"),
        (
            "rate 10mbit bucket 16kb overhead 14",
            "rate 10mbit 14 bucket 16kb",
        ),
        ("rate 10mbit codel", "rate 10mbit codel"),
        (
            "aqm codel target 1ms rate 10mbit ecn",
            "ecn rate 10mbit codel target 1ms interval 100ms",
        ),
        (
            "rate 10mbit red queue 90kb",
            "rate 10mbit queue 90kb red min 7680b max 23040b probability 2%",
        ),
        (
            "rate 10mbit red min 10kb",
            "rate 10mbit red min 10kb max 30kb probability 2%",
        ),
        ("trace 'a trace' queue 7", "trace 'a trace' queue 7"),
        ("drop 'c2s data#3'", "drop 'c2s data#3'"),
        ("drop c2s data#3 loss 1%", "drop 'c2s data#3' loss 1%"),
        (
            "hold 'syn#1 200ms' copy ack mark \"every 4\"",
            "hold 'syn#1 200ms' copy 'ack' mark 'every 4'",
        ),
        (
            "loss 0 delay 0 rate 0 duplicate 0 limit off burst off slot 0",
            "",
        ),
    ] {
        let (plan, _) =
            plan(text, Dialect::Plain).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(plan.up.first.to_string(), shown, "{text}");
    }
}

/// Gilbert's model has the mean loss and the mean burst that were asked for.
#[test]
fn bursts_are_gilberts_model() {
    let Loss::GilbertElliott {
        p,
        r,
        bad_loss,
        good_loss,
    } = netem("loss 5% burst 4").loss
    else {
        panic!("it is Gilbert-Elliott");
    };
    assert!((p.value() / (p.value() + r.value()) - 0.05).abs() < 1e-12);
    assert!((1.0 / r.value() - 4.0).abs() < 1e-12);
    assert_eq!(
        (bad_loss, good_loss),
        (Probability::ALWAYS, Probability::NEVER)
    );
}

/// What is said later goes over what was said before, word by word.
#[test]
fn a_schedule_patches_what_is_there() {
    let text = "delay 20ms 5ms loss 1% burst 3; up rate 1mbit bucket 8kb; \
                at 5s loss 0; at 2s up loss 100%; at 2s duplicate 1%; at 5s up rate 0; at 0s ecn";
    let (plan, _) = plan(text, Dialect::Plain).expect("a plan");
    insta::assert_snapshot!(plan.to_string().replace("; ", "\n"), @r"
    up loss 1% burst 3 ecn delay 20ms jitter 5ms rate 1mbit bucket 8kb
    at 2s up duplicate 1% loss 100% burst off
    at 5s up loss 0% rate 0bit
    down loss 1% burst 3 ecn delay 20ms jitter 5ms
    at 2s down duplicate 1%
    at 5s down loss 0%
    seed 0
    ");
}

#[test]
fn profiles_are_plans_without_surprises() {
    for profile in socklab::impair::PROFILES {
        let (plan, warnings) = plan(profile.spec, Dialect::Plain)
            .unwrap_or_else(|error| panic!("{}: {error}", profile.name));
        assert!(!plan.is_transparent());
        assert_eq!(warnings, [""; 0], "{}", profile.name);
        assert_eq!(Profile::find(profile.name), Some(profile));
    }
}

/// Every message, as a person reads it.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_is_refused_says_why_and_how() {
    let mut said = String::new();
    for text in [
        "loss 120%",
        "loss -1%",
        "loss five",
        "loss",
        "loss delay 20ms",
        "loss 5% loss 6%",
        "loss 5% 200%",
        "loss gemodel 5% x",
        "loss state",
        "lose 5%",
        "frobnicate",
        "delay",
        "delay soon",
        "delay 20",
        "delay 20ms 5m",
        "delay 400000000s",
        "delay 20ms distribution normal",
        "delay 20ms 5ms distribution gauss",
        "reorder 25%",
        "delay 20ms gap 5",
        "delay 20ms reorder 0 gap 5",
        "ecn",
        "burst 4",
        "loss 5% burst 0.5",
        "loss 5% burst 0",
        "loss 60% burst 1",
        "loss gemodel 5% burst 4",
        "loss 5% 25% burst 4",
        "rate fast",
        "rate 10mb",
        "rate 10mbit 1.5",
        "rate 1mbit overhead -2000",
        "rate 1mbit -28",
        "rate 1mbit 0 48 -48",
        "queue 10",
        "rate 10mbit queue 0",
        "rate 10mbit queue 10mbyte",
        "codel",
        "rate 1mbit aqm pie",
        "rate 1mbit red min 9kb max 3kb",
        "bucket 8kb",
        "trace 'a trace' bucket 8kb",
        "trace 'a trace' rate 1mbit",
        "trace nowhere",
        "trace zero",
        "trace back",
        "trace words",
        "slot 5ms 1ms",
        "drop",
        "drop 'c2s dato#3'",
        "drop 'udp syn'",
        "hold 'syn#1'",
        "hold syn",
        "hold 'port 80'",
        "hold 'syn#1 soon'",
        "hold 'syn#1 200'",
        "hold 200ms",
        "copy 5%",
        "drop 'c2s data#3",
        "limit many",
        "limit 0",
        "seed x",
        "up seed 4",
        "seed 4; seed 5",
        "at 2 loss 5%",
        "at 2s",
        "loss 5% up delay 20ms",
        "déläy 20ms\tlose 5%",
        "dev eth0 root netem delay 5ms",
        "sudo tc qdisc add dev eth0 root netem delay 5ms; loss 1%",
        "loss 5 % 25%",
        "rate 10 mbit",
        "delay 20 ms",
        "at 2 s loss 5%",
        "rate 1mbit queue 64 kb",
        "\u{1b}[31m",
        "drop 'c2s \u{1b}]0;title\u{7} \u{202e}'",
        "trace 'a \u{1b}[31m trace'",
    ] {
        let written = match plan(text, Dialect::Plain) {
            Ok((plan, _)) => writeln!(said, "{text}\n  is no error: {plan}\n"),
            Err(error) => writeln!(said, "{error}\n"),
        };
        written.expect("a string takes it");
    }
    insta::assert_snapshot!(said);
}

#[test]
fn what_surprises_is_warned_of() {
    let mut said = String::new();
    for text in [
        "delay 100ms",
        "delay 1ms",
        "delay 100ms limit 1000",
        "delay 100ms rate 10mbit",
        "delay 300ms rate 100mbit",
        "loss 10% 25%",
        "delay 5ms 10ms",
        "delay 5",
        "delay 5 0",
        "delay 100000",
        "loss 100% burst 4",
        "loss 0 burst 4",
        "loss 5% burst 4; at 2s loss 100%",
        "rate 10mbps",
        "rate 100",
        "loss 0.05",
        "loss 0.05%",
    ] {
        let (_, warnings) = plan(text, Dialect::Netem).expect(text);
        said.extend([text, "\n"]);
        said.extend(warnings.iter().flat_map(|warning| ["  ", warning, "\n"]));
    }
    insta::assert_snapshot!(said);
}

/// What one source says of the seed, another may repeat, not change; a part of
/// the run has none.
#[test]
fn a_run_has_one_seed() {
    let read = |text: &str| Spec::parse(source(text), Dialect::Plain, &load).expect(text);
    let both = |one: &str, other: &str| {
        let mut sketch = Sketch::default();
        sketch.apply(read(one));
        sketch.apply(read(other));
        let seed = sketch.seed().expect("it was said");
        sketch.finish(seed).map(|(plan, _)| plan.seed)
    };
    assert_eq!(both("loss 5%; seed 2", "seed 2"), Ok(2));
    let error = both("seed 2", "loss 5%; seed 1").expect_err("two seeds");
    assert_eq!(*error.problem(), Problem::SecondSeed("--link".into(), 2));
    assert_eq!(error.span(), 9..15);
    let towards = read("loss 5%; seed 4").towards(Direction::ClientToServer);
    let single = read("at 2s loss 5%; seed 4").single();
    for part in [towards, single] {
        let error = part.expect_err("a part of the run");
        assert_eq!(*error.problem(), Problem::PartialSeed);
    }
}

/// As an option `--drop` chooses packets; netem's `drop 5` is its loss.
#[test]
fn a_number_chooses_no_packets() {
    for (text, said) in [
        (
            "--drop 5",
            "say --loss 5% for so many at random, every 5 for one in 5",
        ),
        (
            "--drop 2.5%",
            "say --loss 2.5% for so many at random, every N for one in N",
        ),
        ("--drop '5 %'", "say --loss 5% for"),
        ("--drop -1", "say --loss -1% for"),
        (
            "--copy 5",
            "say --duplicate 5% for so many at random, every 5 for",
        ),
        ("--drop random", "\"random\" is no word of a selector"),
    ] {
        let error = plan(text, Dialect::Options).expect_err(text).to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
}

fn any_probability() -> impl Strategy<Value = Probability> {
    let value = prop_oneof![
        Just(0.0),
        Just(1.0),
        0.0..=1.0_f64,
        (1_u32..10_000).prop_map(|number| f64::from(number) / 10_000.0),
    ];
    value.prop_map(|value| Probability::new(value).expect("in range"))
}

fn possible() -> impl Strategy<Value = Probability> {
    any_probability().prop_filter("possible", |probability| probability.is_possible())
}

fn any_chance() -> BoxedStrategy<Chance> {
    prop_oneof![
        Just(Chance::default()),
        (possible(), any_probability()).prop_map(|(probability, correlation)| Chance {
            probability,
            correlation
        }),
    ]
    .boxed()
}

fn any_time() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        (0_u64..1000).prop_map(Duration::from_millis),
        (0_u64..1_000_000_000_000).prop_map(Duration::from_nanos),
    ]
}

fn any_distribution() -> impl Strategy<Value = Distribution> {
    prop_oneof![
        Just(Distribution::Uniform),
        Just(Distribution::Normal),
        Just(Distribution::Pareto),
        Just(Distribution::ParetoNormal),
    ]
}

fn any_loss() -> BoxedStrategy<Loss> {
    let p = any_probability;
    prop_oneof![
        Just(Loss::None),
        (possible(), p()).prop_map(|(probability, correlation)| Loss::Random(Chance {
            probability,
            correlation
        })),
        (p(), p(), p(), p()).prop_map(|(p, r, bad_loss, good_loss)| Loss::GilbertElliott {
            p,
            r,
            bad_loss,
            good_loss
        }),
        (1_u32..50, 1_u32..20)
            .prop_map(|(loss, burst)| netem(&format!("loss {loss}% burst {burst}")).loss),
        (p(), p(), p(), p(), p()).prop_map(|(p13, p31, p32, p23, p14)| Loss::Markov {
            p13,
            p31,
            p32,
            p23,
            p14
        }),
    ]
    .boxed()
}

fn any_delay() -> BoxedStrategy<Delay> {
    (
        any_time(),
        any_time(),
        any_probability(),
        any_distribution(),
    )
        .prop_map(|(base, jitter, correlation, distribution)| {
            let is_steady = jitter.is_zero();
            Delay {
                base,
                jitter,
                correlation: if is_steady {
                    Probability::NEVER
                } else {
                    correlation
                },
                distribution: if is_steady {
                    Distribution::Uniform
                } else {
                    distribution
                },
            }
        })
        .boxed()
}

fn any_slot() -> BoxedStrategy<Slot> {
    let distribution = proptest::option::of(any_distribution());
    (
        1_u64..10_000,
        0_u64..10_000,
        distribution,
        0_u32..9,
        any::<u32>(),
    )
        .prop_map(|(least, more, distribution, packets, bytes)| {
            slot(least, least + more, distribution, packets, bytes)
        })
        .boxed()
}

fn any_bottleneck() -> BoxedStrategy<Bottleneck> {
    let framing = prop_oneof![
        Just(Framing::default()),
        (-27..100_i32).prop_map(|packet_overhead| Framing {
            packet_overhead,
            ..Framing::default()
        }),
        (-27..100_i32, 10..100_u32, -9..9_i32).prop_map(
            |(packet_overhead, cell_size, cell_overhead)| {
                Framing {
                    packet_overhead,
                    cell_size,
                    cell_overhead,
                }
            }
        ),
    ];
    let trace = Trace::parse("a trace", "1\n2\n").expect("a trace");
    let server = prop_oneof![
        (1_u64.., framing.clone()).prop_map(|(rate, framing)| Server::Rate {
            rate: Rate(rate),
            framing
        }),
        (1_u64.., 1_u64.., framing).prop_map(|(rate, burst, framing)| Server::TokenBucket {
            rate: Rate(rate),
            burst: ByteSize(burst),
            framing
        }),
        Just(Server::Trace(trace.into())),
    ];
    let capacity = prop_oneof![
        (1_u32..).prop_map(Capacity::Packets),
        Just(Capacity::default()),
        any::<u64>().prop_map(|bytes| Capacity::Bytes(ByteSize(bytes))),
    ];
    let discipline = prop_oneof![
        Just(Discipline::DropTail),
        Just(Discipline::CODEL),
        (any_time(), any_time())
            .prop_map(|(target, interval)| Discipline::CoDel { target, interval }),
        (0_u64..1 << 40, 1_u64..1 << 40, any_probability()).prop_map(|(min, more, probability)| {
            Discipline::Red {
                min: ByteSize(min),
                max: ByteSize(min + more),
                probability,
            }
        }),
    ];
    (server, capacity, discipline)
        .prop_map(|(server, capacity, discipline)| Bottleneck {
            server,
            capacity,
            discipline,
            ecn: false,
        })
        .boxed()
}

fn any_rule() -> BoxedStrategy<Rule> {
    let selector = prop_oneof![Just("c2s data#3"), Just("every 400"), Just("udp len>1000")];
    let action = prop_oneof![
        Just(Action::Drop),
        Just(Action::Duplicate),
        Just(Action::Mark),
        any_time().prop_map(Action::Delay),
    ];
    (selector, action)
        .prop_map(|(selector, action)| Rule {
            selector: selector.parse().expect("a selector"),
            action,
        })
        .boxed()
}

prop_compose! {
    /// Settings that can be said: what makes no sense together is left out.
    fn any_settings()(
        rules in proptest::collection::vec(any_rule(), 0..3),
        (duplicate, corrupt, truncate) in (any_chance(), any_chance(), any_probability()),
        (loss, ecn) in (any_loss(), any::<bool>()),
        limit in proptest::option::of(1_u32..),
        delay in any_delay(),
        reorder in proptest::option::of((possible(), any_probability(), 1_u32..)),
        slot in proptest::option::of(any_slot()),
        bottleneck in proptest::option::of(any_bottleneck()),
    ) -> Settings {
        let drops_early = bottleneck.as_ref().is_some_and(|one| one.discipline != Discipline::DropTail);
        let ecn = ecn && (drops_early || loss != Loss::None);
        let reorder = reorder.filter(|_| !delay.base.is_zero());
        Settings {
            rules,
            duplicate,
            loss,
            ecn,
            corrupt,
            truncate: Chance { probability: truncate, ..Chance::default() },
            limit,
            delay,
            reorder: reorder.map(|(probability, correlation, gap)| Reorder {
                chance: Chance { probability, correlation },
                gap,
            }),
            slot,
            bottleneck: bottleneck.map(|one| Bottleneck { ecn: ecn && drops_early, ..one }),
        }
    }
}

/// A course whose rules only ever grow, as what is said does.
fn any_course() -> BoxedStrategy<Course> {
    let changes = proptest::collection::vec((1_u64..1000, any_settings().boxed()), 0..4);
    (any_settings().boxed(), changes)
        .prop_map(|(first, changes)| {
            let mut rules = first.rules.clone();
            let mut at = 0;
            let mut kept: Vec<(Duration, Settings)> = Vec::new();
            for (step, mut settings) in changes {
                at += step;
                rules.append(&mut settings.rules);
                settings.rules.clone_from(&rules);
                // A change that changes nothing is none.
                if settings != *kept.last().map_or(&first, |(_, last)| last) {
                    kept.push((ms(at), settings));
                }
            }
            Course {
                changes: kept,
                first,
            }
        })
        .boxed()
}

proptest! {
    #[test]
    fn settings_are_read_as_they_are_shown(settings in any_settings()) {
        let text = settings.to_string();
        let (plan, _) = plan(&text, Dialect::Plain).expect(&text);
        prop_assert_eq!(&plan.up.first, &settings, "{}", text);
        prop_assert_eq!(plan.up, plan.down);
    }

    #[test]
    fn plans_are_read_as_they_are_shown(up in any_course(), down in any_course(), seed: u64) {
        let shown = Plan { seed, up, down };
        let text = shown.to_string();
        let (plan, _) = plan(&text, Dialect::Plain).expect(&text);
        prop_assert_eq!(plan, shown, "{}", text);
    }

    #[test]
    fn nothing_panics(
        text in "\\PC*|(?s:.{0,60})|((loss|delay|rate|reorder|gap|burst|ecn|queue|red|codel|min|slot|drop|hold|at|up|;|seed|state|gemodel|distribution|normal|trace|'|[0-9.]{1,4}(%|ms|mbit|kb)?|#|-) ){0,12}",
    ) {
        for dialect in [Dialect::Netem, Dialect::Plain, Dialect::Options] {
            if let Err(error) = plan(&text, dialect) {
                prop_assert!(error.to_string().lines().count() == 3, "{}", error);
            }
        }
    }
}
