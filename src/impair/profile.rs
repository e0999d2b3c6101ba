//! A few links by name, as descriptions, each with where its figures come from
//! or that they are our own.
//!
//! They are round numbers of a typical link, not a measurement of any: what a
//! program meets on such a link varies from hour to hour.

/// A link by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// Its name.
    pub name: &'static str,
    /// What it is like, in one line.
    pub about: &'static str,
    /// Its description.
    pub spec: &'static str,
    /// Where its figures come from.
    pub source: &'static str,
}

/// All of them.
pub const PROFILES: &[Profile] = &[
    Profile {
        name: "lan",
        about: "a wired office network: 1 Gbit/s, 0.2 ms round trip",
        spec: "delay 100us rate 1gbit 38 queue 1000",
        source: "IEEE 802.3 at 1000 Mbit/s; 38 bytes a frame are the Ethernet header, check \
                 sequence, preamble and gap",
    },
    Profile {
        name: "broadband",
        about: "cable at home: 100 down, 10 up, 25 ms round trip, an upstream buffer of 200 ms",
        spec: "up delay 12ms jitter 1ms rate 10mbit queue 250kb; \
               down delay 12ms jitter 1ms rate 100mbit queue 500kb; loss 0.05%",
        source: "our own round numbers for a cable line; measured ones are in FCC, Measuring \
                 Broadband America, Thirteenth Report (2024). The upstream buffer is what Gettys and \
                 Nichols, Bufferbloat (ACM Queue 9, 2011), warn of",
    },
    Profile {
        name: "4g",
        about: "LTE in a town: 14.7 down, 13.6 up, 53 ms round trip and jitter",
        spec: "up delay 30ms jitter 8ms rate 13.6mbit queue 250kb; \
               down delay 23ms jitter 5ms rate 14.7mbit queue 400kb; loss 0.1%",
        source: "Ofcom, Measuring mobile broadband performance in the UK (April 2015), averages over \
                 five cities: 14.7 Mbit/s down, 13.6 up, 53.1 ms; jitter, loss and buffers are our own",
    },
    Profile {
        name: "wifi",
        about: "Wi-Fi at the edge of its range: 20 Mbit/s, 2 % lost in bursts of 4",
        spec: "loss 2% burst 4 delay 3ms jitter 2ms distribution pareto rate 20mbit queue 100",
        source: "our own round numbers: a slow rate of 802.11g, and loss in bursts, as interference \
                 brings it",
    },
    Profile {
        name: "satellite",
        about: "by geostationary satellite: 50 down, 3 up, 560 ms round trip",
        spec: "up delay 280ms rate 3mbit queue 250kb; down delay 280ms rate 50mbit queue 3mb; \
               loss 0.01%",
        source: "RFC 2488 section 2: 239.6 to 279.0 ms one way by one satellite; rates and loss are \
                 our own, buffers about one bandwidth-delay product",
    },
];

impl Profile {
    /// The one of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        PROFILES.iter().find(|profile| profile.name == name)
    }
}
