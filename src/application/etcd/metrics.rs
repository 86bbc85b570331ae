//! The one thing that is read of a member's metrics: which other members it reaches.

use std::collections::BTreeMap;

/// The gauge of the connections to a peer, e.g. `etcd_network_active_peers{Local="51bee6fbe6c6a092",Remote="4920e8ccaf609024"} 1`.
const GAUGE: &str = "etcd_network_active_peers{";

/// Reads which members the one that gave the metrics reaches. A member that it has not tried to reach is left out.
pub(super) fn reached(text: &str) -> BTreeMap<u64, bool> {
    text.lines().filter_map(|line| line.strip_prefix(GAUGE)).filter_map(peer).collect()
}

fn peer(rest: &str) -> Option<(u64, bool)> {
    let (labels, count) = rest.split_once('}')?;
    let remote = labels.split(',').find_map(|label| label.trim().strip_prefix("Remote="))?;
    let id = u64::from_str_radix(remote.trim_matches('"'), 16).ok()?;
    let count: f64 = count.split_whitespace().next()?.parse().ok()?;
    Some((id, count > 0.0))
}

#[cfg(test)]
mod tests {
    use super::reached;

    #[test]
    fn a_peer_without_an_active_connection_is_not_reached_and_what_is_odd_is_left_out() {
        let text = "\
            # TYPE etcd_network_active_peers gauge\n\
            etcd_network_active_peers{Local=\"51bee6fbe6c6a092\",Remote=\"4920e8ccaf609024\"} 0\n\
            etcd_network_active_peers{Local=\"51bee6fbe6c6a092\",Remote=\"6ef00bbb42606284\"} 1\n\
            etcd_network_active_peers{Local=\"51bee6fbe6c6a092\",Remote=\"none\"} 1\n\
            etcd_network_active_peers{Local=\"51bee6fbe6c6a092\",Remote=\"7\"} many\n\
            etcd_network_active_peers{Remote=\"8\n\
            etcd_server_has_leader 1\n";
        assert_eq!(reached(text), [(0x4920_e8cc_af60_9024, false), (0x6ef0_0bbb_4260_6284, true)].into());
    }
}
