//! Namespaces whose addresses are in use: the kernel acknowledges a new IPv6
//! address before its work queue has made the route by which packets to it
//! arrive, and until then they are answered with "address unreachable".

/// A script for sh(1) that ends once this namespace and all that `ip netns` knows
/// accept packets to each of their IPv6 addresses.
pub const SETTLED: &str = r#"
for space in "" $(ip netns list | cut -d ' ' -f 1); do
  within=${space:+-n $space}
  for address in $(ip $within -6 -oneline address show up -tentative | sed 's/.* inet6 \([^/ ]*\).*/\1/'); do
    until ip $within -6 route show table local | grep -q "^local $address "; do :; done
  done
done"#;
