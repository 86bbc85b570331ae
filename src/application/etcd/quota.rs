//! Space: a member whose database is near its quota serves as before, until an alarm stops all writes. A person is told before.

use super::read::{Answers, id};
use super::wire::Status;
use crate::input::text;

/// The part of the quota from which on a person is told, in percent. The whole file counts against the quota, and it shrinks only when
/// somebody defragments it.
const NEAR: u64 = 80;
/// The most characters that are shown of a name.
const LONGEST: usize = 100;

/// Names each member whose database is near its quota, with the next step.
pub(super) fn warnings(answers: &Answers) -> Vec<String> {
    let mut all: Vec<_> = answers.statuses.iter().filter_map(|(_, status)| warning(answers, status)).collect();
    all.sort();
    all.dedup();
    all
}

fn warning(answers: &Answers, status: &Status) -> Option<String> {
    // From 3.6 on a member says its own. Before, the leader's metrics have it, and members that differ in it are a mistake.
    let (size, quota) = (status.db_size?, status.db_size_quota.or(answers.quota)?);
    if !is_near(size, quota) {
        return None;
    }
    let listed = answers.members.iter().find(|listed| listed.id == status.header.member_id);
    let name = listed.map(|listed| text::cut(&listed.name, LONGEST)).filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| id(status.header.member_id).to_string());
    let remedy = match status.db_size_in_use {
        Some(used) if !is_near(used, quota) => {
            format!("{} of it are in use, so defragment it (`etcdctl defrag`), one member after the other", Size(used))
        }
        _ => "compact and defragment it, or raise `--quota-backend-bytes`".to_owned(),
    };
    let figures = format!("the database of {name} has {} of its quota of {}", Size(size), Size(quota));
    Some(format!("{figures}, beyond which nothing can be written: {remedy}"))
}

fn is_near(size: u64, quota: u64) -> bool {
    u128::from(size) * 100 >= u128::from(quota) * u128::from(NEAR)
}

/// A size in bytes, as people read it, e.g. `14.5 MiB`.
struct Size(u64);

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (unit, name) = if self.0 >= 1 << 30 { (1_u64 << 30, "GiB") } else { (1 << 20, "MiB") };
        let tenths = u128::from(self.0) * 10 / u128::from(unit);
        write!(f, "{}.{} {name}", tenths / 10, tenths % 10)
    }
}
