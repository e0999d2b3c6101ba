//! A few links by name, as descriptions, each with where its figures come from.
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
        source: "FCC, Measuring Broadband America, Thirteenth Report (2024): cable's idle latency \
                 and packet loss; the upstream buffer as Gettys and Nichols describe it in \
                 Bufferbloat (ACM Queue 9, 2011)",
    },
    Profile {
        name: "4g",
        about: "LTE in a town: 30 down, 10 up, 50 ms round trip and jitter",
        spec: "up delay 30ms jitter 8ms rate 10mbit queue 200kb; \
               down delay 20ms jitter 5ms rate 30mbit queue 750kb; loss 0.1%",
        source: "Ofcom, Mobile Matters (2023): 4G download and upload speeds and latency; deep \
                 buffers as in Jiang et al., Tackling Bufferbloat in 3G/4G Networks (IMC 2012)",
    },
    Profile {
        name: "wifi",
        about: "Wi-Fi at the edge of its range: 20 Mbit/s, 2 % lost in bursts of 4",
        spec: "loss 2% burst 4 delay 3ms jitter 2ms distribution pareto rate 20mbit queue 100",
        source: "bursts of loss on 802.11 as in Aguayo et al., Link-level Measurements from an \
                 802.11b Mesh Network (SIGCOMM 2004); the rate that of 802.11g's middle",
    },
    Profile {
        name: "satellite",
        about: "by geostationary satellite: 50 down, 3 up, 560 ms round trip",
        spec: "up delay 280ms rate 3mbit queue 250kb; down delay 280ms rate 50mbit queue 3mb; \
               loss 0.01%",
        source: "RFC 2488 section 2: 239.6 to 279.0 ms one way; buffers of one bandwidth-delay \
                 product; bit errors rare behind forward error correction",
    },
];

impl Profile {
    /// The one of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        PROFILES.iter().find(|profile| profile.name == name)
    }
}
