//! The two things that are read of a member's metrics: which other members it reaches, and the quota of its database.

use std::collections::BTreeMap;

/// The gauge of the connections to a peer, e.g. `etcd_network_active_peers{Local="51bee6fbe6c6a092",Remote="4920e8ccaf609024"} 1`.
const GAUGE: &str = "etcd_network_active_peers{";

/// The gauge of the quota in bytes, e.g. `etcd_server_quota_backend_bytes 2.147483648e+09`; 0 where there is none.
const QUOTA: &str = "etcd_server_quota_backend_bytes ";

/// Reads the quota of the database, if there is one.
pub(super) fn quota(text: &str) -> Option<u64> {
    let bytes: f64 = text.lines().find_map(|line| line.strip_prefix(QUOTA))?.trim().parse().ok()?;
    // A number beyond the largest one becomes that.
    (bytes.is_finite() && bytes >= 1.0).then_some(bytes as u64)
}

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
    use super::{quota, reached};

    #[test]
    fn a_quota_of_nothing_is_none() {
        let read = |value: &str| quota(&format!("# TYPE x gauge\netcd_server_quota_backend_bytes {value}\n"));
        assert_eq!(read("1.6777216e+07"), Some(16 << 20));
        assert_eq!(["0", "-1", "NaN", "+Inf", "many"].map(read), [None; 5]);
        assert_eq!(quota("etcd_server_has_leader 1\n"), None);
    }

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
