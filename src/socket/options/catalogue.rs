//! The catalogue: every socket option that can be asked for by name, what the
//! kernel calls it, which sockets have it, and when it is set (socket(7),
//! tcp(7), udp(7), ip(7), ipv6(7)).
//!
//! Owns names and numbers only; how a value is read and written is
//! [`super::value`]'s business.

use std::time::Duration;

use nix::libc;

use super::value::Form;
use super::{Moment, Sockets};

/// One option.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) form: Form,
    pub(super) sockets: Sockets,
    pub(super) moment: Moment,
    pub(super) knobs: &'static [Knob],
    pub(super) about: &'static str,
}

/// What setsockopt(2) is told, and on which sockets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Knob {
    pub(super) constant: &'static str,
    pub(super) level: i32,
    pub(super) number: i32,
    pub(super) on: On,
}

/// The sockets on which a knob is turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    /// All. An IPv6 socket takes IPv4's options too: they are for its IPv4
    /// (mapped) peers.
    Any,
    V6,
    Listening,
    Connecting,
}

macro_rules! knob {
    ($level:ident $constant:ident) => {
        knob!($level $constant Any)
    };
    ($level:ident $constant:ident $on:ident) => {
        Knob {
            constant: stringify!($constant),
            level: libc::$level,
            number: libc::$constant,
            on: On::$on,
        }
    };
}

macro_rules! entries {
    ($($name:literal $form:expr, $sockets:ident $moment:ident
        [$($level:ident $constant:ident $($on:ident)?),+], $about:literal;)+) => {
        /// All options, in the order in which they are told.
        pub(super) const ALL: &[Entry] = &[$(Entry {
            name: $name,
            form: $form,
            sockets: Sockets::$sockets,
            moment: Moment::$moment,
            knobs: &[$(knob!($level $constant $($on)?)),+],
            about: $about,
        }),+];
    };
}

const BYTE: Form = Form::Number(0, 255);
const MILLISECONDS: Form = Form::Time(Duration::from_millis(1));
const SECONDS: Form = Form::Time(Duration::from_secs(1));
const MICROSECONDS: Form = Form::Time(Duration::from_micros(1));

/// `IP_PMTUDISC_*`: IPv6 has the same numbers.
const PATH_MTU: Form = Form::Word(&[
    ("dont", libc::IP_PMTUDISC_DONT),
    ("want", libc::IP_PMTUDISC_WANT),
    ("do", libc::IP_PMTUDISC_DO),
    ("probe", libc::IP_PMTUDISC_PROBE),
    ("interface", libc::IP_PMTUDISC_INTERFACE),
    ("omit", libc::IP_PMTUDISC_OMIT),
]);

entries! {
    "reuseaddr" Form::Switch, Both Opened [SOL_SOCKET SO_REUSEADDR],
        "bind although a connection of the address is in TIME_WAIT";
    "reuseport" Form::Switch, Both Opened [SOL_SOCKET SO_REUSEPORT],
        "several sockets share an address, and the kernel spreads the load";
    "bindtodevice" Form::Text("interface"), Both Opened [SOL_SOCKET SO_BINDTODEVICE],
        "only this interface's packets";
    "freebind" Form::Switch, Both Opened
        [SOL_IP IP_FREEBIND, SOL_IPV6 IPV6_FREEBIND V6],
        "bind to an address that this host does not have yet";
    "transparent" Form::Switch, Both Opened
        [SOL_IP IP_TRANSPARENT, SOL_IPV6 IPV6_TRANSPARENT V6],
        "bind to addresses of others (CAP_NET_ADMIN)";
    "v6only" Form::Switch, Both Opened [SOL_IPV6 IPV6_V6ONLY V6],
        "an IPv6 socket takes no IPv4 peers";
    "rcvbuf" Form::Size, Both Opened [SOL_SOCKET SO_RCVBUF],
        "room for what has arrived and is not yet read";
    "sndbuf" Form::Size, Both Opened [SOL_SOCKET SO_SNDBUF],
        "room for what is written and not yet sent or acknowledged";
    "rcvbufforce" Form::Size, Both Opened [SOL_SOCKET SO_RCVBUFFORCE],
        "rcvbuf beyond net.core.rmem_max (CAP_NET_ADMIN)";
    "sndbufforce" Form::Size, Both Opened [SOL_SOCKET SO_SNDBUFFORCE],
        "sndbuf beyond net.core.wmem_max (CAP_NET_ADMIN)";
    "rcvlowat" Form::Size, Tcp Opened [SOL_SOCKET SO_RCVLOWAT],
        "a reader is woken when so many bytes are there";
    "busy-poll" MICROSECONDS, Both Opened [SOL_SOCKET SO_BUSY_POLL],
        "how long a receive spins on the device's queue before it sleeps";
    "priority" Form::Number(0, i32::MAX as i64), Both Opened [SOL_SOCKET SO_PRIORITY],
        "the queueing discipline's class; above 6 needs CAP_NET_ADMIN";
    "mark" Form::Code(0, u32::MAX as i64), Both Opened [SOL_SOCKET SO_MARK],
        "the firewall's and the routing rules' mark (CAP_NET_ADMIN)";
    "dontroute" Form::Switch, Both Opened [SOL_SOCKET SO_DONTROUTE],
        "only to hosts on the same link, past every gateway";
    "tos" Form::Code(0, 255), Both Opened
        [SOL_IPV6 IPV6_TCLASS V6, SOL_IP IP_TOS],
        "DSCP and ECN of what is sent; traffic class over IPv6";
    "tclass" Form::Code(0, 255), Both Opened [SOL_IPV6 IPV6_TCLASS V6],
        "the traffic class of IPv6 alone";
    "ttl" Form::Number(1, 255), Both Opened
        [SOL_IPV6 IPV6_UNICAST_HOPS V6, SOL_IP IP_TTL],
        "so many routers may be passed; hop limit over IPv6";
    "hops" Form::Number(1, 255), Both Opened [SOL_IPV6 IPV6_UNICAST_HOPS V6],
        "the hop limit of IPv6 alone";
    "minttl" Form::Number(1, 255), Tcp Opened
        [SOL_IPV6 IPV6_MINHOPCOUNT V6, SOL_IP IP_MINTTL],
        "packets that come with less are dropped (RFC 5082)";
    "pmtudisc" PATH_MTU, Both Opened
        [SOL_IPV6 IPV6_MTU_DISCOVER V6, SOL_IP IP_MTU_DISCOVER],
        "whether packets may be fragmented, and who minds the path MTU";
    "recverr" Form::Switch, Both Opened
        [SOL_IPV6 IPV6_RECVERR V6, SOL_IP IP_RECVERR],
        "ICMP errors are queued with who sent them";
    "oobinline" Form::Switch, Tcp Opened [SOL_SOCKET SO_OOBINLINE],
        "urgent data stays in the stream";
    "linger" Form::Linger, Tcp Opened [SOL_SOCKET SO_LINGER],
        "close() waits so many seconds; 0 resets the connection";
    "keepalive" Form::Keepalive, Tcp Opened [SOL_SOCKET SO_KEEPALIVE,
        SOL_TCP TCP_KEEPIDLE, SOL_TCP TCP_KEEPINTVL, SOL_TCP TCP_KEEPCNT],
        "probe a silent peer: idle seconds, interval, and how many in vain";
    "nodelay" Form::Switch, Tcp Opened [SOL_TCP TCP_NODELAY],
        "small writes are sent at once (Nagle's algorithm off)";
    "mss" Form::Number(88, 32_767), Tcp Opened [SOL_TCP TCP_MAXSEG],
        "the longest segment";
    "congestion" Form::Text("algorithm"), Tcp Opened [SOL_TCP TCP_CONGESTION],
        "the congestion control, such as reno, cubic or bbr";
    "user-timeout" MILLISECONDS, Tcp Opened [SOL_TCP TCP_USER_TIMEOUT],
        "how long sent data may go unacknowledged (RFC 5482)";
    "syncnt" BYTE, Tcp Opened [SOL_TCP TCP_SYNCNT],
        "how often a SYN is sent again";
    "window-clamp" Form::Size, Tcp Opened [SOL_TCP TCP_WINDOW_CLAMP],
        "the widest window that is advertised";
    "notsent-lowat" Form::Size, Tcp Opened [SOL_TCP TCP_NOTSENT_LOWAT],
        "writable only while less than this waits unsent";
    "fastopen" Form::Queue, Tcp Opened
        [SOL_TCP TCP_FASTOPEN Listening, SOL_TCP TCP_FASTOPEN_CONNECT Connecting],
        "data in the SYN (RFC 7413); listening, how many may wait";
    "defer-accept" SECONDS, Tcp Opened [SOL_TCP TCP_DEFER_ACCEPT Listening],
        "accept() wakes when data is there";
    "cork" Form::Switch, Tcp Connected [SOL_TCP TCP_CORK],
        "only full segments, until uncorked or 200 ms have passed";
    "quickack" Form::Switch, Tcp Connected [SOL_TCP TCP_QUICKACK],
        "acknowledge at once, for now";
    "broadcast" Form::Switch, Udp Opened [SOL_SOCKET SO_BROADCAST],
        "may send to broadcast addresses";
    "no-check" Form::Switch, Udp Opened [SOL_SOCKET SO_NO_CHECK],
        "send without a UDP checksum over IPv4";
    "rxq-ovfl" Form::Switch, Udp Opened [SOL_SOCKET SO_RXQ_OVFL],
        "each datagram comes with the count of those dropped";
    "multicast-ttl" BYTE, Udp Opened
        [SOL_IPV6 IPV6_MULTICAST_HOPS V6, SOL_IP IP_MULTICAST_TTL],
        "so many routers may be passed by multicast";
    "multicast-loop" Form::Switch, Udp Opened
        [SOL_IPV6 IPV6_MULTICAST_LOOP V6, SOL_IP IP_MULTICAST_LOOP],
        "this host's members hear it too";
    "multicast-all" Form::Switch, Udp Opened
        [SOL_IPV6 IPV6_MULTICAST_ALL V6, SOL_IP IP_MULTICAST_ALL],
        "off: only the groups that this very socket joined";
    "multicast-if" Form::Interface, Udp Opened
        [SOL_IPV6 IPV6_MULTICAST_IF V6, SOL_IP IP_MULTICAST_IF],
        "the interface that multicast leaves by";
    "join" Form::Group, Udp Opened
        [SOL_IP MCAST_JOIN_GROUP, SOL_IP MCAST_JOIN_SOURCE_GROUP],
        "become a member: GROUP[@INTERFACE][/SOURCE] (RFC 3678)";
}

/// The entry of this name. Case and `_` for `-` do not matter, nor does the
/// kernel's prefix: `TCP_NODELAY` and `so-rcvbuf` are known.
pub(super) fn find(typed: &str) -> Option<&'static Entry> {
    let name = typed.to_ascii_lowercase().replace('_', "-");
    let named = |name: &str| ALL.iter().find(|entry| entry.name == name);
    let bare = ["so-", "tcp-", "ipv6-", "ip-", "udp-"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix));
    named(&name).or_else(|| bare.and_then(named))
}

/// The name that is nearest to what was typed, where one is near.
pub(super) fn nearest(typed: &str) -> Option<&'static str> {
    const NEAR: usize = 3;
    let typed = typed.to_ascii_lowercase();
    let distance = |entry: &Entry| strsim::damerau_levenshtein(entry.name, &typed);
    let nearest = ALL.iter().min_by_key(|entry| distance(entry))?;
    let near = distance(nearest);
    (near <= NEAR && near < nearest.name.len() && near < typed.len()).then_some(nearest.name)
}
