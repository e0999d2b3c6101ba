//! The words of a description and their forms: one table, from which errors and
//! the documentation are made.

use super::error::Problem;

/// A word and how it is used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) name: &'static str,
    pub(super) form: &'static str,
}

impl Word {
    /// What to say where its value is missing.
    pub(super) fn missing(&self) -> Problem {
        Problem::Missing {
            word: self.name,
            form: self.form,
        }
    }
}

macro_rules! words {
    ($($constant:ident = $name:literal, $form:literal;)*) => {
        $( pub(super) const $constant: Word = Word { name: $name, form: $form }; )*
        const ALL: &[&Word] = &[$( &$constant ),*];
    };
}

words! {
    LIMIT = "limit", "limit PACKETS, as in limit 1000, or limit off";
    DELAY = "delay", "delay TIME [JITTER [CORRELATION]], as in delay 20ms 5ms";
    LATENCY = "latency", "latency TIME, the same as delay";
    JITTER = "jitter", "jitter TIME, as in jitter 5ms";
    DISTRIBUTION = "distribution", "distribution SHAPE, as in distribution normal";
    LOSS = "loss", "loss PERCENT [CORRELATION], loss gemodel … or loss state …, as in loss 5%";
    BURST = "burst", "burst PACKETS, the mean number lost in a row, as in loss 5% burst 4, or burst off";
    ECN = "ecn", "ecn, or ecn off";
    CORRUPT = "corrupt", "corrupt PERCENT [CORRELATION], as in corrupt 0.1%";
    TRUNCATE = "truncate", "truncate PERCENT, as in truncate 0.1%";
    DUPLICATE = "duplicate", "duplicate PERCENT [CORRELATION], as in duplicate 1%";
    REORDER = "reorder", "reorder PERCENT [CORRELATION] [gap PACKETS], as in delay 20ms reorder 25%";
    GAP = "gap", "gap PACKETS, as in reorder 25% gap 5";
    RATE = "rate", "rate RATE [PACKETOVERHEAD [CELLSIZE [CELLOVERHEAD]]], as in rate 10mbit";
    OVERHEAD = "overhead", "overhead BYTES, added to each packet, as in overhead 14";
    BUCKET = "bucket", "bucket SIZE, as in rate 10mbit bucket 64kb";
    QUEUE = "queue", "queue PACKETS or queue SIZE, as in queue 100 or queue 64kb";
    AQM = "aqm", "aqm NAME, as in aqm codel";
    DROPTAIL = "droptail", "droptail";
    CODEL = "codel", "codel [target TIME] [interval TIME], as in codel target 5ms";
    RED = "red", "red [min SIZE] [max SIZE] [probability PERCENT], as in red min 30kb max 90kb";
    TRACE = "trace", "trace FILE, a whole number of milliseconds a line, as mahimahi has it";
    SLOT = "slot", "slot LEAST [MOST] or slot distribution NAME TIME JITTER, then \
                    [packets N] [bytes N], as in slot 10ms 20ms packets 5";
    SEED = "seed", "seed NUMBER, as in seed 42";
    DROP = "drop", "drop SELECTOR, as in drop 'c2s data#3'";
    HOLD = "hold", "hold 'SELECTOR TIME', as in hold 'syn#1 200ms'";
    COPY = "copy", "copy SELECTOR, as in copy 'data#3'";
    MARK = "mark", "mark SELECTOR, as in mark 'data#3'";
    AT = "at", "at TIME [up|down] SETTINGS, as in at 2s loss 100%";
    UP = "up", "up SETTINGS, as in up delay 20ms";
    DOWN = "down", "down SETTINGS, as in down rate 10mbit";
}

/// Words of tc's command before its netem, and of what may stand before it.
pub(super) const TC: &[&str] = &[
    "sudo", "tc", "qdisc", "add", "change", "replace", "dev", "root", "parent", "handle", "netem",
];

/// The word that was typed: itself, or as tc has it, the beginning of just one
/// word.
pub(super) fn find(typed: &str) -> Option<&'static Word> {
    let named = |word: &&&Word| word.name == typed;
    if let Some(word) = ALL.iter().find(named) {
        return Some(word);
    }
    let mut begun = ALL.iter().filter(|word| word.name.starts_with(typed));
    match (begun.next(), begun.next()) {
        (Some(word), None) if typed.len() >= 3 => Some(word),
        _ => None,
    }
}

/// What to say of a word that is none.
pub(super) fn unknown(typed: &str) -> Problem {
    let nearest = ALL
        .iter()
        .map(|word| (strsim::damerau_levenshtein(word.name, typed), word.name))
        .min();
    let hint = match nearest {
        Some((distance, name)) if distance <= 2 && distance < name.len() => {
            format!("did you mean {name}?")
        }
        _ => {
            let names: Vec<&str> = ALL.iter().map(|word| word.name).collect();
            format!("those are {}", names.join(", "))
        }
    };
    Problem::UnknownWord {
        word: typed.to_owned(),
        hint,
    }
}
