//! What `compare` sends and through what, as typed.

use std::time::Duration;

use super::output::whole;
use crate::compare::{
    Config, Extent, LARGEST, MOST_MESSAGES, Order, Pace, RAW_PROTOCOL, SMALLEST, Schedule, Sizes,
    Variant,
};
use crate::units::{Rate, Time};

/// Options of what is sent.
#[derive(Debug, clap::Args)]
pub(super) struct ScheduleArgs {
    /// How many messages each kind of socket carries.
    #[arg(short, long, value_name = "COUNT", default_value_t = 100,
          value_parser = whole(1_u32, MOST_MESSAGES), allow_negative_numbers = true)]
    count: u32,

    /// Send for so long instead, such as 10s; at most a million messages.
    #[arg(long, value_name = "TIME", conflicts_with = "count", value_parser = some_time)]
    duration: Option<Duration>,

    /// Length of a message in bytes: 100, in turn 100,500,1400, or drawn from
    /// 50..1400.
    #[arg(short, long, value_name = "BYTES", default_value = "100", value_parser = sizes,
          allow_negative_numbers = true)]
    size: Sizes,

    /// Milliseconds from one message to the next; fractions allowed.
    #[arg(short, long, value_name = "MS", default_value = "1", value_parser = milliseconds,
          allow_negative_numbers = true)]
    interval: Duration,

    /// Bits of message per second instead, such as 10mbit (--rate is the link's).
    #[arg(long, value_name = "RATE", conflicts_with = "interval", value_parser = rate)]
    send_rate: Option<Rate>,

    /// Count a message that takes longer than this as late, such as 50ms.
    #[arg(long, value_name = "TIME", value_parser = some_time)]
    deadline: Option<Duration>,

    /// What to compare, of tcp, tcp-nodelay, udp, udp-connected, raw-icmp,
    /// raw-ip, icmp-datagram.
    #[arg(long, value_name = "KINDS", value_delimiter = ',',
          default_values_t = Variant::USUAL)]
    kinds: Vec<Variant>,

    /// IP protocol number of raw-ip's datagrams.
    #[arg(long, value_name = "NUMBER", default_value_t = RAW_PROTOCOL,
          value_parser = protocol, allow_negative_numbers = true)]
    raw_protocol: u8,

    /// Send through one kind after another, each over a fresh link with the same
    /// seed. The default where the kinds would disturb each other: as fast as
    /// possible, or more than the link's rate together.
    #[arg(long)]
    sequential: bool,

    /// Send through all kinds at once, whatever they do to each other.
    #[arg(long, conflicts_with = "sequential")]
    at_once: bool,
}

impl ScheduleArgs {
    /// What is sent, over a link that is nowhere slower than `narrowest` and
    /// draws with `seed`.
    pub(super) fn config(&self, seed: u64, narrowest: Option<Rate>) -> Config {
        let mut variants = self.kinds.clone();
        variants.sort_unstable();
        variants.dedup();
        let config = Config {
            variants,
            raw_protocol: self.raw_protocol,
            schedule: Schedule {
                sizes: self.size.clone(),
                pace: self
                    .send_rate
                    .map_or(Pace::Every(self.interval), Pace::Rate),
                extent: self
                    .duration
                    .map_or(Extent::Messages(self.count), Extent::Lasting),
                seed,
            },
            deadline: self.deadline,
            ..Config::default()
        };
        let order = match (self.sequential, self.at_once) {
            (true, _) => Order::InTurn,
            (_, true) => Order::AtOnce,
            _ => config.undisturbed(narrowest),
        };
        Config { order, ..config }
    }

    /// The length of the longest message in bytes.
    pub(super) fn longest(&self) -> usize {
        self.size.largest() as usize
    }
}

fn sizes(text: &str) -> Result<Sizes, String> {
    let sizes: Sizes = text
        .parse()
        .map_err(|error: crate::compare::NoSizes| error.to_string())?;
    let range = SMALLEST..=LARGEST;
    let ends = [sizes.smallest(), sizes.largest()];
    if ends.iter().all(|size| range.contains(&(*size as usize))) {
        Ok(sizes)
    } else {
        Err(format!("must be {SMALLEST} to {LARGEST} bytes"))
    }
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "not a number of milliseconds")?;
    if !(0.0..=3_600_000.0).contains(&number) {
        return Err("must be 0 to 3600000 milliseconds".into());
    }
    Ok(Duration::from_secs_f64(number / 1000.0))
}

fn some_time(text: &str) -> Result<Duration, String> {
    let time: Time = text
        .parse()
        .map_err(|error: crate::units::QuantityError| error.to_string())?;
    match time.0 {
        Duration::ZERO => Err("must be longer than nothing".into()),
        time => Ok(time),
    }
}

fn rate(text: &str) -> Result<Rate, String> {
    match text
        .parse()
        .map_err(|error: crate::units::QuantityError| error.to_string())?
    {
        Rate(0) => Err("must be more than nothing".into()),
        rate => Ok(rate),
    }
}

/// A protocol that the kernel itself does nothing with.
fn protocol(text: &str) -> Result<u8, String> {
    let number: u8 = text.parse().map_err(|_| "not a number from 1 to 254")?;
    match number {
        0 | 255 => Err("must be 1 to 254".into()),
        1 | 6 | 17 | 58 => Err(format!(
            "{number} is ICMP's, TCP's or UDP's own; 253 and 254 are for experiments (RFC 3692)"
        )),
        number => Ok(number),
    }
}
