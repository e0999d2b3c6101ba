//! Options of `ping(8)` that say nothing to a walk along a path or to the search
//! for its MTU, each with what does.
//!
//! Never changes what the others mean.

use super::Question;
use crate::cli::ping::Args;
use crate::error::Error;

/// The payload where `-s` says nothing else.
const PAYLOAD: usize = 56;

const LEAVE: &str = "leave it";
const ONE_HOST: &str = "ask about one host";
const PACE: &str = "requests go out as answers come in";
const EACH: &str = "leave it; -c sets the requests for each hop or size";
const HEADER: &str = "options in the IP header change what routers do";
const LINES: &str = "there is no line for each reply";
const ALL: &str = "leave it; -v and --json tell all there is";
const CONTENTS: &str = "the payload is known, to see what is changed on the way";
const KERNEL: &str = "answers are timed by the kernel's stamps";
const UNICAST: &str = "a path leads to one host";

/// An option, whether it is typed, why it is refused, and what to do instead.
type Row = (&'static str, bool, &'static str, &'static str);

impl Args {
    /// Refuses the first typed option that this question has no use for.
    pub(super) fn refuse_meaningless(&self, question: Question) -> Result<(), Error> {
        let (way, own) = match question {
            Question::Trace => ("--trace", self.meaningless_to_trace()),
            Question::Mtu => ("--mtu", self.meaningless_to_mtu()),
        };
        let mut rows = own.into_iter().chain(self.meaningless_to_both());
        match rows.find(|(_, is_typed, _, _)| *is_typed) {
            Some((option, _, cause, remedy)) => {
                let error = Error::new("ping", format!("{way} {option}"), cause);
                Err(error.remedy(remedy))
            }
            None => Ok(()),
        }
    }

    fn meaningless_to_trace(&self) -> Vec<Row> {
        let cause = "a walk gives each hop its own time to live";
        let ttl = self.ttl.is_some();
        vec![("-t", ttl, cause, "--max-hops sets the farthest")]
    }

    fn meaningless_to_mtu(&self) -> Vec<Row> {
        const ARRIVES: &str = "what is searched is the largest packet that arrives";
        const SIZES: &str = "the search chooses the sizes";
        const PROBE: &str = "the search sets Don't Fragment, as -M probe does";
        const ROUNDS: &str = "the sizes of a round go out at once";
        let (ttl, size) = (self.ttl.is_some(), self.size != PAYLOAD);
        let (how, interval) = (self.ping.path_mtu.is_some(), self.interval.is_some());
        vec![
            ("-t", ttl, ARRIVES, "--trace asks the hops before"),
            ("-s", size, SIZES, "-M probe -s tries one size alone"),
            ("-M", how, PROBE, LEAVE),
            ("-i", interval, ROUNDS, "-W sets how long each waits"),
        ]
    }

    fn meaningless_to_both(&self) -> Vec<Row> {
        let ping = &self.ping;
        let query = ping.node_information.is_some();
        let sweep = self.sweep.is_asked(&[]);
        let several = "with options for many hosts";
        vec![
            ("-f", ping.flood, PACE, EACH),
            ("-A", ping.adaptive, PACE, EACH),
            ("-l", ping.preload != 1, PACE, EACH),
            ("-R", ping.record_route, HEADER, LEAVE),
            ("-T", ping.timestamp.is_some(), HEADER, LEAVE),
            ("-p", ping.pattern.is_some(), CONTENTS, LEAVE),
            ("-a", ping.audible, LINES, ALL),
            ("-D", ping.stamps, LINES, ALL),
            ("-O", ping.outstanding, LINES, ALL),
            ("-U", ping.user_to_user, KERNEL, LEAVE),
            ("-b", ping.broadcast, UNICAST, ONE_HOST),
            ("-L", ping.no_loop, UNICAST, ONE_HOST),
            ("-N", query, UNICAST, LEAVE),
            (several, sweep, UNICAST, ONE_HOST),
        ]
    }
}
