//! Index → address and name, for every target of a sweep.
//!
//! Consecutive addresses take one entry however many they are; their names are
//! made when they are printed. Targets keep their index for good.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::spec::{MOST, Span, too_many};
use crate::error::{Error, printable};

/// The targets of a sweep, in the order in which they joined.
#[derive(Debug, Default)]
pub struct Targets {
    blocks: Vec<Block>,
    count: u32,
    width: usize,
}

#[derive(Debug)]
struct Block {
    /// The index of its first target.
    start: u32,
    what: What,
}

#[derive(Debug)]
enum What {
    Span(Span),
    Host { name: Box<str>, address: SocketAddr },
    Nameless { name: Box<str>, reason: Box<str> },
}

/// What a target is called.
#[derive(Debug, Clone, Copy)]
pub enum Label<'t> {
    /// By its name.
    Name(&'t str),
    /// By its address.
    Address(IpAddr),
}

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Label::Name(name) => f.pad(&printable(name)),
            Label::Address(address) => address.fmt(f),
        }
    }
}

impl Targets {
    /// How many, those without an address included.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The longest name of a target that has an address.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Adds consecutive addresses.
    pub fn push_span(&mut self, span: Span) -> Result<(), Error> {
        let start = self.grow(span.count(), &Label::Address(span.address(0)))?;
        self.width = self.width.max(span.width());
        if let Some(Block {
            what: What::Span(last),
            ..
        }) = self.blocks.last_mut()
            && last.append(&span)
        {
            return Ok(());
        }
        let what = What::Span(span);
        self.blocks.push(Block { start, what });
        Ok(())
    }

    /// Adds a host. The unspecified address stands for this host.
    pub fn push_host(&mut self, name: &str, mut address: SocketAddr) -> Result<(), Error> {
        let start = self.grow(1, &Label::Name(name))?;
        if address.ip() == IpAddr::V4(Ipv4Addr::UNSPECIFIED) {
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        address.set_port(0);
        self.width = self.width.max(name.chars().count());
        let name = name.into();
        let what = What::Host { name, address };
        self.blocks.push(Block { start, what });
        Ok(())
    }

    /// Adds a name that has no address.
    pub fn push_nameless(&mut self, name: &str, reason: &str) -> Result<(), Error> {
        let start = self.grow(1, &Label::Name(name))?;
        let what = What::Nameless {
            name: name.into(),
            reason: reason.into(),
        };
        self.blocks.push(Block { start, what });
        Ok(())
    }

    fn grow(&mut self, by: u32, what: &Label<'_>) -> Result<u32, Error> {
        let start = self.count;
        match start.checked_add(by) {
            Some(count) if count <= MOST => self.count = count,
            _ => {
                let count = u64::from(start) + u64::from(by);
                return Err(too_many(&format!("up to {what}"), count));
            }
        }
        Ok(start)
    }

    /// Where it is, without port; `None` if it has no address.
    pub fn address(&self, index: u32) -> Option<SocketAddr> {
        let block = self.block(index)?;
        match &block.what {
            What::Span(span) => Some((span.address(index - block.start), 0).into()),
            What::Host { address, .. } => Some(*address),
            What::Nameless { .. } => None,
        }
    }

    /// What it is called.
    pub fn label(&self, index: u32) -> Label<'_> {
        match self.block(index) {
            None => Label::Name(""),
            Some(Block { start, what }) => match what {
                What::Span(span) => Label::Address(span.address(index - start)),
                What::Host { name, .. } | What::Nameless { name, .. } => Label::Name(name),
            },
        }
    }

    /// Why it has no address.
    pub fn reason(&self, index: u32) -> Option<&str> {
        match &self.block(index)?.what {
            What::Nameless { reason, .. } => Some(reason),
            _ => None,
        }
    }

    fn block(&self, index: u32) -> Option<&Block> {
        let after = self.blocks.partition_point(|block| block.start <= index);
        let block = self.blocks.get(after.checked_sub(1)?)?;
        (index < self.count).then_some(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(first: &str, last: &str) -> Span {
        Span::between(first, last).unwrap()
    }

    #[test]
    fn targets_keep_their_place() {
        let mut targets = Targets::default();
        targets.push_span(span("10.0.0.1", "10.0.0.3")).unwrap();
        targets
            .push_span(Span::one("10.0.0.4".parse().unwrap()))
            .unwrap();
        targets
            .push_host("a.example", "[fd01::1]:7".parse().unwrap())
            .unwrap();
        targets
            .push_nameless("long.gone.example", "unknown")
            .unwrap();
        targets
            .push_host("0", "0.0.0.0:0".parse().unwrap())
            .unwrap();
        targets.push_span(span("::1", "::2")).unwrap();
        let rows: Vec<String> = (0..=targets.count())
            .map(|index| format!("{} {:?}", targets.label(index), targets.address(index)))
            .collect();
        assert_eq!(
            rows,
            [
                "10.0.0.1 Some(10.0.0.1:0)",
                "10.0.0.2 Some(10.0.0.2:0)",
                "10.0.0.3 Some(10.0.0.3:0)",
                "10.0.0.4 Some(10.0.0.4:0)",
                "a.example Some([fd01::1]:0)",
                "long.gone.example None",
                "0 Some(127.0.0.1:0)",
                "::1 Some([::1]:0)",
                "::2 Some([::2]:0)",
                " None",
            ]
        );
        assert_eq!(targets.width(), 9);
        assert_eq!(targets.reason(5), Some("unknown"));
        assert_eq!(
            targets.blocks.len(),
            5,
            "the fourth address goes on the first three"
        );
    }

    #[test]
    fn a_sweep_has_a_bound() {
        let mut targets = Targets::default();
        targets
            .push_span(span("10.0.0.0", "10.255.255.255"))
            .unwrap();
        let error = targets.push_span(span("11.0.0.0", "11.0.0.1")).unwrap_err();
        assert!(
            error.to_string().contains("16777218 targets are more"),
            "{error}"
        );
    }
}
