//! Which options a sweep has no use for: what would have no effect is refused,
//! with what to do instead.
//!
//! Owns no default, and never changes what was asked for.

use crate::cli::ping::Args;
use crate::error::Error;
use crate::ping::sweep::{Goal, Plan};

const ONE_HOST: &str = "ping one host, without the options for many targets";
const EACH_LOSS: &str = "with -c and --loop, each request without an answer has a line anyway";

/// An option, and what to do instead.
struct Idle {
    asked: bool,
    option: &'static str,
    why: &'static str,
    remedy: &'static str,
}

impl Args {
    /// Refuses what has no effect on many targets.
    pub(super) fn check_sweep(&self, plan: &Plan) -> Result<(), Error> {
        self.check_manners()?;
        let for_many = "not for many targets";
        let for_one = self.for_one_host().map(|(asked, option, remedy)| Idle {
            asked,
            option,
            why: for_many,
            remedy,
        });
        let mut idle = for_one.into_iter().chain(self.for_other_goals(plan));
        match idle.find(|idle| idle.asked) {
            Some(idle) => Err(Error::new("ping", idle.option, idle.why).remedy(idle.remedy)),
            None => Ok(()),
        }
    }

    fn for_one_host(&self) -> [(bool, &'static str, &'static str); 12] {
        let ping = &self.ping;
        let fast = "--send-gap 0 sends without a pause";
        [
            (ping.flood, "-f", fast),
            (ping.adaptive, "-A", fast),
            (ping.preload > 1, "-l", fast),
            (ping.outstanding, "-O", EACH_LOSS),
            (ping.verbose, "-v", "--json tells all there is"),
            (self.output.hex, "--hex", "--json has each packet's bytes"),
            (ping.record_route, "-R", ONE_HOST),
            (ping.timestamp.is_some(), "-T", ONE_HOST),
            (ping.broadcast, "-b", ONE_HOST),
            (ping.sticky, "-B", "-I ADDRESS sets the source address"),
            (
                self.wait.is_some_and(|wait| wait.is_zero()),
                "-W 0",
                "say when a request counts as lost, such as -W 1",
            ),
            (
                self.numeric && (self.sweep.names || self.sweep.all_names),
                "-n",
                "leave out --names and --all-names, or -n",
            ),
        ]
    }

    fn for_other_goals(&self, plan: &Plan) -> [Idle; 4] {
        let sweep = &self.sweep;
        let checks = matches!(plan.goal, Goal::Check { .. });
        let idle = |asked, option, why, remedy| Idle {
            asked,
            option,
            why,
            remedy,
        };
        let in_checks = "there are no figures of a check";
        let in_counts = "only a check asks again";
        let give_count = "add -c COUNT or --loop";
        let drop_count = "leave out -c, --columns and --loop";
        [
            idle(
                checks && sweep.count_summary,
                "--count-summary",
                in_checks,
                give_count,
            ),
            idle(checks && sweep.outage, "--outage", in_checks, give_count),
            idle(
                !checks && sweep.retries.is_some(),
                "--retries",
                in_counts,
                drop_count,
            ),
            idle(
                !checks && sweep.backoff.is_some(),
                "--backoff",
                in_counts,
                drop_count,
            ),
        ]
    }
}
