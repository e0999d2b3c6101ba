//! How much a tool tells of what happens, as typed, and the sink that follows
//! from it; times as typed.
//!
//! Standard output belongs to the tool's own work: what is told goes to
//! standard error.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde::Serialize;

use super::output::{Colour, environment};
use crate::event::{Event, Place, Sink, Topic};
use crate::recorder::{Clock, Recorder};
use crate::report::Stream;
use crate::report::json::JsonLines;
use crate::report::talk::{Detail, Teller};

/// How much is told.
#[derive(Debug, Default, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag that is typed"
)]
pub(super) struct TellingArgs {
    /// Tell each step on standard error, and the kernel's figures at the end
    #[arg(short, long)]
    verbose: bool,

    /// Tell every system call too, and show the bytes
    #[arg(long)]
    pub(super) trace: bool,

    /// Show the packets too, where capture is allowed
    #[arg(long)]
    pub(super) packets: bool,

    /// Tell it as JSON Lines on standard error, the result last; with --trace
    /// the calls and the bytes too
    #[arg(long)]
    json: bool,
}

impl TellingArgs {
    /// Whether each step is told.
    pub(super) fn tells_steps(&self) -> bool {
        self.verbose || self.trace || self.packets || self.json
    }

    /// Whether it is told as JSON Lines.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Where what happens is told.
    pub(super) fn begin(&self, colour: Colour) -> Telling {
        self.begin_on(Box::new(io::stderr()), colour)
    }

    /// The same, on something that stands before standard error.
    pub(super) fn begin_on(&self, out: Outward, colour: Colour) -> Telling {
        let clock = Clock::start();
        let outlet = if self.json {
            let stop = Arc::new(AtomicBool::new(false));
            Outlet::Json(Arc::new(Chosen {
                lines: JsonLines::new(out, stop),
                everything: self.trace,
            }))
        } else {
            let detail = match (self.trace, self.verbose) {
                (true, _) => Detail::Everything,
                (_, true) => Detail::Steps,
                _ if self.packets => Detail::Steps,
                _ => Detail::Least,
            };
            let style = colour.style_of(Stream::Err);
            Outlet::Text(Arc::new(Teller::new(out, detail, style)))
        };
        Telling { clock, outlet }
    }
}

/// A time: seconds where no unit is given.
pub(super) fn time(typed: &str) -> Result<Duration, String> {
    const LONGEST: f64 = 365.0 * 24.0 * 3600.0;
    match typed.parse::<f64>() {
        Ok(seconds @ 0.0..=LONGEST) => Ok(Duration::from_secs_f64(seconds)),
        Ok(_) => Err("must be 0 seconds to a year".into()),
        Err(_) => {
            let time = typed.parse::<crate::units::Time>();
            time.map(|time| time.0).map_err(|error| error.to_string())
        }
    }
}

/// A time that passes.
pub(super) fn some_time(typed: &str) -> Result<Duration, String> {
    let time = time(typed)?;
    if time.is_zero() {
        return Err("must be more than nothing".into());
    }
    Ok(time)
}

/// What takes it.
pub(super) type Outward = Box<dyn Write + Send>;

/// Where what happens is told.
pub(super) struct Telling {
    clock: Clock,
    outlet: Outlet,
}

enum Outlet {
    Text(Arc<Teller<Outward>>),
    Json(Arc<Chosen>),
}

impl Telling {
    /// Whoever stands at `place` tells it here.
    pub(super) fn recorder(&self, place: Place) -> Recorder {
        let sink: Arc<dyn Sink> = match &self.outlet {
            Outlet::Text(teller) => teller.clone(),
            Outlet::Json(chosen) => chosen.clone(),
        };
        Recorder::new(place, self.clock, sink)
    }

    /// The last line of JSON, where that is told.
    pub(super) fn conclude(&self, command: &str, result: &impl Serialize) {
        if let Outlet::Json(chosen) = &self.outlet {
            let environment = environment(self.clock, "network");
            chosen.lines.result(command, &environment, result);
        }
    }
}

/// JSON Lines of what was asked for.
struct Chosen {
    lines: JsonLines<Outward>,
    everything: bool,
}

impl Sink for Chosen {
    fn wants(&self, topic: Topic) -> bool {
        self.everything || !matches!(topic, Topic::Call | Topic::Chunk)
    }

    fn record(&self, event: &Event<'_>) {
        self.lines.record(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_have_a_unit() {
        assert_eq!(time("5"), Ok(Duration::from_secs(5)));
        assert_eq!(time("0.25"), Ok(Duration::from_millis(250)));
        assert_eq!(time("20ms"), Ok(Duration::from_millis(20)));
        for wrong in ["-1", "NaN", "inf", "1e99", "", "5 parsecs"] {
            time(wrong).expect_err(wrong);
        }
        some_time("0").expect_err("it would never wait");
    }
}
