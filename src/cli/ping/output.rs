//! Where a ping run's events go: text, JSON Lines.

use std::io::{self, Stderr, Stdout};
use std::sync::Arc;

use super::Args;
use crate::event::Sink;
use crate::ping::Signals;
use crate::report::json::JsonLines;
use crate::report::ping::{Layout, PingText};

/// What is printed.
#[derive(Debug, Clone, clap::Args)]
pub struct OutputArgs {
    /// Print requests and replies in hex
    #[arg(long, conflicts_with_all = ["quiet", "json"])]
    pub hex: bool,
    /// Print every event as a line of JSON
    #[arg(long)]
    pub json: bool,
}

pub(super) enum Output {
    Text(PingText<Stdout, Stderr>),
    Json(JsonLines<Stdout>),
}

impl Output {
    pub(super) fn new(args: &Args, layout: Layout, signals: &Signals) -> Self {
        let stop = signals.stop_flag();
        if args.output.json {
            return Output::Json(JsonLines::new(io::stdout(), stop));
        }
        let stop = Arc::clone(&stop);
        Output::Text(PingText::new(layout, io::stdout(), io::stderr(), stop))
    }

    pub(super) fn sink(&self) -> &dyn Sink {
        match self {
            Output::Text(text) => text,
            Output::Json(json) => json,
        }
    }

    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            Output::Text(text) => text.into_result(),
            Output::Json(json) => json.into_result(),
        }
    }
}
