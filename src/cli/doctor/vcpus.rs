//! The check of vCPUs: how many a rollout and a rehearsal run at once. Pure, so that it can be tried.

use crate::ports::{PortError, chain};
use crate::spec::{ClusterSpec, Strategy};

use super::checks::Check;

/// The quota "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", which counts vCPUs.
const STANDARD: &str = "L-1216C47A";
/// The families that it is about. The others have a quota each.
const STANDARD_FAMILIES: [&str; 11] = ["a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"];

/// Says how many vCPUs are needed, where EC2 says how many an instance has. How many the account may run is known to another service,
/// Service Quotas, which is not asked.
pub fn check(spec: &ClusterSpec, each: Result<Option<u32>, PortError>) -> Option<Check> {
    let each = match each {
        Ok(each) => each?,
        Err(error) => return Some(Check::unknown("vCPUs", chain(&error), "ask again once EC2 answers")),
    };
    let slots = u32::try_from(spec.slots.len()).unwrap_or(u32::MAX);
    let beside = if spec.rollout.strategy == Strategy::Surge { 1 } else { 0 };
    let at_once = slots.saturating_add(beside).saturating_mul(each);
    let kind = &spec.instance.instance_type;
    let found = format!(
        "{at_once} while a member is replaced ({each} in each {kind}), and as many again in a rehearsal; what the account may run \
         says {}",
        asked(kind)
    );
    Some(Check::open("vCPUs", found))
}

/// The words with which a person asks for the quota of an instance type.
fn asked(kind: &str) -> String {
    let family: String = kind.chars().take_while(char::is_ascii_lowercase).collect();
    if STANDARD_FAMILIES.contains(&&*family) {
        format!("`aws service-quotas get-service-quota --service-code ec2 --quota-code {STANDARD}`")
    } else {
        format!("Service Quotas, under EC2, the quota of {family} instances")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::checks::Verdict;

    fn spec() -> ClusterSpec {
        let loaded = crate::spec::load::load(&["desired-state/prod/consul.yaml".into()]);
        loaded.specs().next().expect("an example").1.clone()
    }

    #[test]
    fn a_rollout_takes_one_instance_more_than_there_are_slots_unless_it_stops_one_first() {
        let mut spec = spec();
        let told = check(&spec, Ok(Some(2))).unwrap();
        assert_eq!(told.verdict, Verdict::Open);
        assert!(told.found.starts_with("8 while a member is replaced (2 in each m7i.large)"), "{}", told.found);
        assert!(told.found.contains("--quota-code L-1216C47A"), "{}", told.found);
        spec.rollout.strategy = Strategy::Recreate;
        let told = check(&spec, Ok(Some(2))).unwrap();
        assert!(told.found.starts_with("6 while"), "{}", told.found);
        assert!(check(&spec, Ok(None)).is_none());
    }

    #[test]
    fn a_quota_is_named_only_where_it_is_the_types_own() {
        for (kind, quota) in [("im4gn.large", true), ("t3a.small", true), ("g5.xlarge", false), ("inf1.xlarge", false)]
        {
            assert_eq!(asked(kind).contains(STANDARD), quota, "{kind}: {}", asked(kind));
        }
    }
}
