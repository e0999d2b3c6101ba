//! The files that give the hosts their names: hosts(5), resolv.conf(5) and
//! nsswitch.conf(5). Text in, text out.

use std::fmt::Write;

use crate::link::{Addresses, Config};

const CLIENT: &str = "client";
const SERVER: &str = "server";
const LOCALHOST: &str = "localhost";

/// Inside, no name server can be reached. Loopback refuses at once, where an
/// address without a route would be tried again and again.
pub(super) const RESOLV_CONF: &str = "\
# socklab: no name server is reachable from a private host.
nameserver 127.0.0.1
options timeout:1 attempts:1
";

/// The names and addresses of the hosts, as hosts(5) has them.
pub fn hosts_table(config: &Config) -> String {
    let mut table = String::new();
    for (name, Addresses { v4, v6 }) in [(CLIENT, config.client), (SERVER, config.server)] {
        // Writing to a string does not fail.
        let _ = writeln!(table, "{v4}\t{name}\n{v6}\t{name}");
    }
    table
}

/// The hosts file for inside: our names, and what the machine's own says of
/// other names.
pub(super) fn hosts_file(config: &Config, outside: &str) -> String {
    let names = |line: &str, wanted: &str| {
        let words = line.split('#').next().unwrap_or_default();
        words.split_whitespace().skip(1).any(|name| name == wanted)
    };
    let mut file = hosts_table(config);
    if !outside.lines().any(|line| names(line, LOCALHOST)) {
        file.push_str("127.0.0.1\tlocalhost\n::1\tlocalhost\n");
    }
    for line in outside.lines() {
        if !names(line, CLIENT) && !names(line, SERVER) {
            file.push_str(line);
            file.push('\n');
        }
    }
    file
}

/// The name service switch for inside: host names come from the hosts file and
/// then from the name server that there is not, never from a daemon outside
/// (systemd-resolved, mDNS), which would answer for the wrong network.
pub(super) fn name_service_switch(outside: &str) -> String {
    let mut file = String::new();
    let other = |line: &&str| !line.trim_start().starts_with("hosts:");
    for line in outside.lines().filter(other) {
        file.push_str(line);
        file.push('\n');
    }
    file.push_str("hosts: files dns\n");
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "10.77.0.1\tclient\nfd77::1\tclient\n10.77.0.2\tserver\nfd77::2\tserver\n";

    #[test]
    fn our_names_come_first_and_are_nobody_elses() {
        let outside = "127.0.0.1 localhost # client\n::1 localhost\n\n\
                       192.0.2.1 server old\n192.0.2.2 other server\n192.0.2.3 server2\n";
        assert_eq!(
            hosts_file(&Config::default(), outside),
            format!("{OURS}127.0.0.1 localhost # client\n::1 localhost\n\n192.0.2.3 server2\n")
        );
    }

    #[test]
    fn localhost_is_always_known() {
        let file = hosts_file(&Config::default(), "");
        assert_eq!(
            file,
            format!("{OURS}127.0.0.1\tlocalhost\n::1\tlocalhost\n")
        );
    }

    #[test]
    fn only_the_hosts_line_is_replaced() {
        assert_eq!(
            name_service_switch("passwd: files\n hosts: resolve [!UNAVAIL=return] files\n# end\n"),
            "passwd: files\n# end\nhosts: files dns\n"
        );
    }
}
