//! One operand of a sweep: a name, an address, a network in CIDR notation
//! (RFC 4632, RFC 4291 section 2.3), or the two ends of a range.
//!
//! Pure. Asks no resolver: what is no plain address is a name.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::Error;
use crate::flow::Family;

/// The most targets of one sweep.
pub const MOST: u32 = 1 << 24;

/// Whom one operand means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spec {
    /// Consecutive addresses.
    Span(Span),
    /// A name, or a spelling of an address that only the resolver knows.
    Name(String),
}

/// Consecutive addresses of one family, at most [`MOST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    first: IpAddr,
    count: u32,
}

impl Spec {
    /// Reads a name, an address or a network.
    pub fn parse(operand: &str) -> Result<Self, Error> {
        if operand.is_empty() {
            let error = Error::new("read target", "\"\"", "it is empty");
            return Err(error.remedy("give a name, an address, or a network such as 10.0.0.0/24"));
        }
        if let Some((network, prefix)) = operand.split_once('/') {
            return Span::network(operand, network, prefix).map(Spec::Span);
        }
        // Only what the address prints as again may be printed from the address.
        match operand.parse::<IpAddr>() {
            Ok(address) if address.to_string() == operand && !address.is_unspecified() => {
                Ok(Spec::Span(Span::one(address)))
            }
            _ => Ok(Spec::Name(operand.to_owned())),
        }
    }
}

impl Span {
    /// A single address.
    pub fn one(address: IpAddr) -> Self {
        Self {
            first: address,
            count: 1,
        }
    }

    /// From `first` to `last`, both included.
    pub fn between(first: &str, last: &str) -> Result<Self, Error> {
        let what = format!("{first} {last}");
        let end = |typed: &str| {
            typed.parse::<IpAddr>().map_err(|_| {
                let cause = format!("{typed} is not an address");
                Error::new("read range", &what, cause).remedy("give two addresses")
            })
        };
        let (from, to) = (end(first)?, end(last)?);
        if from.is_ipv4() != to.is_ipv4() {
            let cause = "its ends are of different families";
            return Err(Error::new("read range", what, cause));
        }
        let count = number(to)
            .checked_sub(number(from))
            .ok_or_else(|| {
                let error = Error::new("read range", &what, "it ends before it begins");
                error.remedy(format!("--range {last} {first}"))
            })?
            .saturating_add(1);
        Self::bounded(&what, from, count)
    }

    /// The hosts of a network: for IPv4 without its own address and its
    /// broadcast address, unless it is a point-to-point link's (RFC 3021).
    fn network(operand: &str, network: &str, prefix: &str) -> Result<Self, Error> {
        let refused = |cause: String| Error::new("read network", operand, cause);
        let address: IpAddr = network.parse().map_err(|_| {
            refused(format!("{network} is not an address")).remedy("as in 10.0.0.0/24")
        })?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = prefix
            .parse::<u32>()
            .ok()
            .filter(|bits| *bits <= width && prefix.chars().all(|c| c.is_ascii_digit()))
            .ok_or_else(|| refused(format!("the prefix length is not 0 to {width}")))?;
        let hosts = width - bits;
        let size = 1_u128.checked_shl(hosts).unwrap_or(u128::MAX);
        let first = number(address) & !(size - 1);
        let edges = address.is_ipv4() && hosts > 1;
        let (first, size) = if edges {
            (first + 1, size - 2)
        } else {
            (first, size)
        };
        Self::bounded(operand, like(address, first), size)
    }

    fn bounded(what: &str, first: IpAddr, count: u128) -> Result<Self, Error> {
        match u32::try_from(count) {
            Ok(count) if count <= MOST => Ok(Self { first, count }),
            _ => Err(too_many(what, count)),
        }
    }

    /// How many addresses.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The family of all of them.
    pub fn family(&self) -> Family {
        Family::of(self.first)
    }

    /// The address at `place`, from 0.
    pub fn address(&self, place: u32) -> IpAddr {
        like(
            self.first,
            number(self.first).saturating_add(u128::from(place)),
        )
    }

    /// Takes `other` in if it goes on where this ends.
    pub fn append(&mut self, other: &Self) -> bool {
        let follows = self.first.is_ipv4() == other.first.is_ipv4()
            && number(self.first).checked_add(u128::from(self.count)) == Some(number(other.first));
        if follows {
            self.count += other.count;
        }
        follows
    }

    /// The length of the longest address as text.
    pub fn width(&self) -> usize {
        let length = |place| Counted::of(&self.address(place));
        match self.first {
            // Within one /24 only the last number changes.
            IpAddr::V4(_) => {
                let last = self.count.saturating_sub(1);
                let steps = (0..self.count).step_by(64).chain([last]);
                let longest = steps.map(length).max().unwrap_or(0);
                let whole = (0..self.count.min(256)).map(length).max().unwrap_or(0);
                longest.max(whole)
            }
            IpAddr::V6(_) => (0..self.count.min(4096)).map(length).max().unwrap_or(0),
        }
    }
}

/// More targets than a sweep takes.
pub(super) fn too_many(what: &str, count: impl fmt::Display) -> Error {
    let cause = format!("{count} targets are more than the {MOST} (2^24) of one sweep");
    Error::new("read targets", what, cause).remedy("sweep a part at a time")
}

/// Counts the letters that are written to it.
struct Counted(usize);

impl Counted {
    fn of(what: &impl fmt::Display) -> usize {
        use fmt::Write as _;
        let mut counted = Self(0);
        let _ = write!(counted, "{what}");
        counted.0
    }
}

impl fmt::Write for Counted {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

/// The address with this number, of the family of `model`.
fn like(model: IpAddr, number: u128) -> IpAddr {
    match model {
        IpAddr::V4(_) => Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX)).into(),
        IpAddr::V6(_) => Ipv6Addr::from(number).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ends(operand: &str) -> String {
        match Spec::parse(operand) {
            Ok(Spec::Span(span)) => {
                let last = span.address(span.count() - 1);
                format!("{} {} {last}", span.count(), span.address(0))
            }
            Ok(Spec::Name(name)) => format!("name {name}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn operands_mean_what_they_mean_to_fping() {
        for (operand, meaning) in [
            ("10.0.0.0/24", "254 10.0.0.1 10.0.0.254"),
            ("10.0.0.77/24", "254 10.0.0.1 10.0.0.254"),
            ("127.0.0.5/30", "2 127.0.0.5 127.0.0.6"),
            ("127.0.0.4/31", "2 127.0.0.4 127.0.0.5"),
            ("127.0.0.4/32", "1 127.0.0.4 127.0.0.4"),
            ("127.0.0.0/12", "1048574 127.0.0.1 127.15.255.254"),
            ("255.255.255.0/24", "254 255.255.255.1 255.255.255.254"),
            ("fd01::/126", "4 fd01:: fd01::3"),
            ("fd01::7/128", "1 fd01::7 fd01::7"),
            ("fd01::1", "1 fd01::1 fd01::1"),
            ("127.1", "name 127.1"),
            ("0.0.0.0", "name 0.0.0.0"),
            ("FD01::1", "name FD01::1"),
            ("fe80::1%lo", "name fe80::1%lo"),
            ("host.example", "name host.example"),
        ] {
            assert_eq!(ends(operand), meaning, "{operand}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        for (operand, words) in [
            ("", "the remedy is an example"),
            (
                "10.0.0.0/33",
                "read network 10.0.0.0/33: the prefix length is not 0 to 32",
            ),
            (
                "10.0.0.0/+8",
                "read network 10.0.0.0/+8: the prefix length is not 0 to 32",
            ),
            (
                "10.0.0.0/7",
                "read targets 10.0.0.0/7: 33554430 targets are more than the 16777216 (2^24) of \
                 one sweep; sweep a part at a time",
            ),
            (
                "host/24",
                "read network host/24: host is not an address; as in 10.0.0.0/24",
            ),
        ] {
            let found = Spec::parse(operand).unwrap_err().to_string();
            assert!(found == words || operand.is_empty(), "{found}");
        }
        assert!(ends("::/0").contains("more than"), "{}", ends("::/0"));
        assert!(ends("0.0.0.0/0").contains("more than"));
    }

    #[test]
    fn a_range_has_both_its_ends() {
        let span = Span::between("10.0.0.250", "10.0.1.3").unwrap();
        assert_eq!((span.count(), span.width()), (10, 10));
        let span = Span::between("fd01::fffe", "fd01::1:1").unwrap();
        assert_eq!(span.address(3).to_string(), "fd01::1:1");
        for (first, last, words) in [
            (
                "10.0.0.9",
                "10.0.0.7",
                "it ends before it begins; --range 10.0.0.7 10.0.0.9",
            ),
            ("10.0.0.9", "::1", "different families"),
            ("10.0.0.9", "x", "x is not an address; give two addresses"),
            ("::", "ffff::", "more than the 16777216"),
        ] {
            let found = Span::between(first, last).unwrap_err().to_string();
            assert!(found.contains(words), "{found}");
        }
    }

    proptest! {
        #[test]
        fn any_operand_is_read_or_refused(operand in "[0-9a-f.:/%]{0,24}|\\PC{0,20}") {
            if let Ok(Spec::Span(span)) = Spec::parse(&operand) {
                prop_assert!((1..=MOST).contains(&span.count()));
            }
        }

        #[test]
        fn the_width_is_the_longest(first: u32, count in 1..2000_u32) {
            let last = first.saturating_add(count - 1);
            let (first, last) = (Ipv4Addr::from(first), Ipv4Addr::from(last));
            let span = Span::between(&first.to_string(), &last.to_string()).unwrap();
            let longest = (0..span.count()).map(|place| span.address(place).to_string().len());
            prop_assert_eq!(Some(span.width()), longest.max());
        }
    }
}
