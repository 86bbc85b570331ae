//! The checks of one look at a cluster; pure, so that each check can be tried.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use crate::cli::plan::counted;
use crate::ids::{ImageId, InstanceId};
use crate::input::text;
use crate::observed::{
    ClaimRecord, CloudView, Health, Instance, InstanceState, Membership, Observation, Pruning, Reading,
};
use crate::plan::gates::{self, GateName};
use crate::plan::look::SlotLook;
use crate::plan::{self, Look, slot_state};
use crate::ports::{PortError, chain};
use crate::spec::{ClusterSpec, PruningGuard, SlotSpec};
use crate::time::{Human, Timestamp, elapsed};

/// The gates that ask about resources of EC2, about what the members are set to, and about the
/// place of the claim.
const RESOURCE_GATES: [GateName; 18] = [
    GateName::NotUnderstood,
    GateName::TypeUnsuitable,
    GateName::DeviceTaken,
    GateName::AddressTaken,
    GateName::UndeclaredVolume,
    GateName::ApplicationForbids,
    GateName::MemberElsewhere,
    GateName::VersionUnprovable,
    GateName::VersionSkew,
    GateName::ClaimInCluster,
    GateName::LeftBehind,
    GateName::OwnedByAutoscaling,
    GateName::VolumeMissing,
    GateName::VolumeImpaired,
    GateName::VolumeModifying,
    GateName::DeleteOnTermination,
    GateName::ZoneImpaired,
    GateName::ScheduledEvent,
];

/// The difference between two clocks that is accepted: an answer has its date in whole seconds, and takes time to arrive.
const OFF: Duration = Duration::from_secs(30);

/// One check with its result.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// The thing that was checked, e.g. `image`.
    pub what: String,
    pub verdict: Verdict,
    /// The finding, e.g. `no slot is claimed`.
    pub found: String,
    /// Advice, unless the finding is good.
    pub hint: Option<String>,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Good,
    Bad,
    /// The check could not be made.
    Unknown,
    /// There is nothing to check yet, or no way to ask; nothing is wrong.
    Open,
}

impl Check {
    /// Says whether somebody has to look into it.
    pub fn is_amiss(&self) -> bool {
        matches!(self.verdict, Verdict::Bad | Verdict::Unknown)
    }

    pub(super) fn good(what: impl Into<String>, found: impl Into<String>) -> Self {
        let found = text::clean(&found.into()).into_owned();
        Self { what: what.into(), verdict: Verdict::Good, found, hint: None }
    }

    pub(super) fn open(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self { verdict: Verdict::Open, ..Self::good(what, found) }
    }

    pub(super) fn bad(what: impl Into<String>, found: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { verdict: Verdict::Bad, hint: Some(hint.into()), ..Self::good(what, found) }
    }

    pub(super) fn unknown(what: impl Into<String>, found: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { verdict: Verdict::Unknown, ..Self::bad(what, found, hint) }
    }
}

/// Compares the machine's clock with the cloud's. Deadlines, windows and freshness go by the machine's, signatures by both.
pub fn clock(ours: Timestamp, theirs: Result<Timestamp, PortError>) -> Check {
    let theirs = match theirs {
        Ok(theirs) => theirs,
        Err(error) => return Check::unknown("clock", chain(&error), "check the credentials and the network"),
    };
    let (off, way) =
        if ours < theirs { (elapsed(theirs, ours), "behind") } else { (elapsed(ours, theirs), "ahead of") };
    if off <= OFF {
        return Check::good("clock", "the same as the clock of AWS");
    }
    let hint =
        "set it by NTP: AWS refuses requests that are signed five minutes off, and windows and deadlines go by it";
    Check::bad("clock", format!("{} {way} the clock of AWS", Human(off)), hint)
}

/// Makes every check that one look allows.
pub fn of(spec: &ClusterSpec, seen: &Observation) -> Vec<Check> {
    let mut checks = Vec::new();
    let is_new = seen.cloud.seen().is_some_and(|view| is_new(view, &seen.claim));
    match &seen.cloud {
        Reading::Unknown { why } => {
            checks.push(Check::bad("cloud", why, "check the credentials, the region and the network"));
        }
        Reading::Seen { value: view, .. } => {
            checks.push(account(spec, view));
            checks.push(image(&spec.image, view));
            if is_new {
                let found =
                    format!("nothing of it exists yet: a controller makes its {}", counted(spec.slots.len(), "slot"));
                checks.push(Check::open("slots", found));
            } else {
                checks.extend(spec.slots.iter().map(|slot| serving(slot, view, seen)));
            }
        }
    }
    match &seen.membership {
        _ if is_new => checks.push(Check::open("members", "there are none yet to ask")),
        Reading::Unknown { why } => {
            let hint =
                "check that the members run, that their port can be reached from here, and what the token may see";
            checks.push(Check::bad("members", why, hint));
        }
        Reading::Seen { value: membership, .. } => checks.extend(members(spec, membership)),
    }
    checks.push(claims(&seen.claim));
    checks.extend(resources(spec, seen));
    checks
}

/// Says whether the cluster was never made: nothing bears its tags, and its record remembers no slot.
fn is_new(view: &CloudView, claim: &Reading<ClaimRecord>) -> bool {
    let remembers = |record: &ClaimRecord| !record.initialised.is_empty() || record.ending.is_some();
    let nothing = view.volumes.is_empty() && view.live_instances().next().is_none();
    nothing && claim.seen().is_some_and(|record| !remembers(record))
}

fn claims(claim: &Reading<ClaimRecord>) -> Check {
    match claim {
        Reading::Unknown { why } => {
            Check::bad("claims", why, "give a place with --claims that can be read and written")
        }
        Reading::Seen { value: record, .. } if record.ending.is_some() => Check::bad(
            "claims",
            "the cluster is being destroyed: controllers leave it alone",
            "finish with `hermitcrab destroy`, or allow the cluster to be created again with `hermitcrab retry`",
        ),
        Reading::Seen { value: record, .. } => match &record.held {
            None => Check::good("claims", "no slot is claimed"),
            Some(claim) => Check::good("claims", format!("{} is claimed: a replacement is under way", claim.slot)),
        },
    }
}

fn account(spec: &ClusterSpec, view: &CloudView) -> Check {
    match (&view.catalogue.account, &spec.account) {
        (None, _) => Check::good("account", "a cloud without accounts"),
        (Some(found), Some(wanted)) if found != wanted => {
            let found = format!("the credentials belong to {found}, and the file says {wanted}");
            Check::bad("account", found, format!("use credentials of account {wanted}, or correct `account`"))
        }
        (Some(found), Some(_)) => Check::good("account", found),
        (Some(found), None) => Check::good("account", format!("{found}; the file names no account")),
    }
}

fn image(id: &ImageId, view: &CloudView) -> Check {
    match view.catalogue.images.get(id) {
        Some(image) if image.state.is_available() => Check::good("image", format!("{id} ({})", image.architecture)),
        Some(image) => Check::bad("image", format!("{id} is {}", image.state), "commit an image that is available"),
        None => {
            let hint = "check the id and the region, that the image is shared with this account, and the account's Allowed AMIs";
            Check::bad("image", format!("{id} does not exist, or may not be seen"), hint)
        }
    }
}

/// Finds the instance and the volumes of a slot by their tags.
fn serving(slot: &SlotSpec, view: &CloudView, seen: &Observation) -> Check {
    let live: Vec<&Instance> = view.live_instances().filter(|instance| instance.slot == slot.name).collect();
    let volumes: Vec<_> = view.volumes.iter().filter(|volume| volume.slot == slot.name).collect();
    let what = slot.name.to_string();
    let owners = live.iter().map(|i| &i.owner).chain(volumes.iter().map(|volume| &volume.owner));
    if let Some(other) = owners.into_iter().find(|owner| owner.as_ref() != Some(&seen.owner)) {
        let other = other.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string);
        let found = format!("belongs to {other}, by its tag hermitcrab:owner");
        return Check::bad(what, found, format!("adopt it, or run with the owner that it has; this is {}", seen.owner));
    }
    let ids = volumes.iter().map(|volume| volume.id.to_string()).collect::<Vec<_>>().join(", ");
    match (live.as_slice(), volumes.is_empty()) {
        ([], true) => Check::bad(
            what,
            "no instance and no volume has the slot's tags",
            "`hermitcrab adopt` takes over existing ones; a controller would create new ones",
        ),
        ([], false) => {
            Check::bad(what, format!("no instance; its volumes are {ids}"), "a controller will replace the instance")
        }
        ([one], _) if one.state != InstanceState::Running => {
            let found = format!("{} does not run", one.id);
            Check::bad(what, found, "unless a replacement is under way: start it, or terminate it to have it replaced")
        }
        ([one], _) => Check::good(what, format!("{} ({}) with {ids}", one.id, one.make.image)),
        (several, _) => {
            let several = several.iter().map(|i| i.id.to_string()).collect::<Vec<_>>().join(", ");
            Check::bad(
                what,
                format!("several instances: {several}"),
                "a replacement is under way, or one of them has wrong tags",
            )
        }
    }
}

fn members(spec: &ClusterSpec, membership: &Membership) -> Vec<Check> {
    let declared = spec.slots.len();
    let is_well = |slot: &&SlotSpec| {
        membership.of_slot(&slot.name).is_some_and(|member| member.counts && member.health == Health::Healthy)
    };
    let well = spec.slots.iter().filter(is_well).count();
    let found = format!("{well} of {declared} declared members are healthy voters");
    let mut checks = vec![match (well == declared, &membership.leader) {
        (_, None) => Check::bad("members", format!("{found}; there is no leader"), "repair the cluster first"),
        (false, Some(_)) => {
            let hint = "repair the other members first; a member's name must be its slot's name";
            Check::bad("members", found, hint)
        }
        (true, Some(_)) => Check::good("members", found),
    }];
    let strangers: Vec<_> = membership.members.iter().filter(|m| m.slot.is_none()).map(|m| m.id.to_string()).collect();
    if !strangers.is_empty() {
        let hint = "declare their slots, or remove them from the cluster";
        checks.push(Check::bad("strangers", strangers.join(", "), hint));
    }
    if let Some(guard) = &spec.application.rules().pruning {
        checks.push(pruning(guard, membership.pruning, declared));
    }
    checks
}

/// Says whether the application would drop a member that is only being replaced.
fn pruning(guard: &PruningGuard, found: Pruning, declared: usize) -> Check {
    match found {
        Pruning::Never => Check::good("pruning", "stopped members are never pruned"),
        Pruning::DownTo(limit) if limit >= declared => Check::good("pruning", format!("never below {limit} members")),
        Pruning::DownTo(limit) if guard.managed => {
            Check::good("pruning", format!("down to {limit} members; the controller will raise that to {declared}"))
        }
        Pruning::DownTo(limit) => {
            Check::bad("pruning", format!("stopped members are pruned down to {limit} of {declared}"), guard.remedy)
        }
    }
}

/// Asks the gates about EC2 for each slot. Gates about what people want now (windows, approval) say nothing about health.
fn resources(spec: &ClusterSpec, seen: &Observation) -> Vec<Check> {
    let Some(look) = Look::at(spec, seen).look() else { return Vec::new() };
    let mut closed: Vec<Check> = look.slots.iter().filter_map(|slot| unsound(&look, slot)).collect();
    for slot in &look.slots {
        for (gate, finding) in gates::findings(&look, slot, &spec.image) {
            // Of a slot that is still to be made, nothing is missing.
            let is_asked = RESOURCE_GATES.contains(&gate.name)
                && (gate.name != GateName::VolumeMissing || slot_state::initialised(&look, slot));
            let Some(hazard) = finding.hazard.filter(|_| is_asked) else { continue };
            let hint = hazard.hint().unwrap_or_else(|| format!("docs/gates.md says more about `{}`", gate.name));
            let check = Check::bad(gate.name.as_str(), hazard.to_string(), hint);
            if closed.iter().all(|known| known.found != check.found) {
                closed.push(check);
            }
        }
    }
    if closed.is_empty() {
        closed.push(Check::good("resources", "no group, impairment, announced maintenance or DeleteOnTermination"));
    }
    closed.extend(plan::notes(&look).into_iter().map(|note| Check::good("beside the file", note)));
    closed
}

/// Names the live instances of the declared slots: each of them is stopped and terminated one day.
pub fn to_be_replaced(spec: &ClusterSpec, seen: &Observation) -> BTreeSet<InstanceId> {
    let view = seen.cloud.seen();
    let live = view.into_iter().flat_map(|view| view.live_instances());
    live.filter(|instance| spec.slot(&instance.slot).is_some()).map(|instance| instance.id.clone()).collect()
}

/// Reports the instances that EC2 would refuse to stop or to terminate.
pub fn protection(protected: &[(InstanceId, &'static str)]) -> Vec<Check> {
    let check = |(id, call): &(InstanceId, &'static str)| {
        let attribute = if *call == "stopped" { "DisableApiStop" } else { "DisableApiTermination" };
        let hint = format!("turn `{attribute}` off: a replacement is refused before its member is down");
        Check::bad("protection", format!("{id} is protected from being {call}"), hint)
    };
    protected.iter().map(check).collect()
}

/// Says what is wrong with the volumes of a slot, e.g. that two of them say that they are the same one.
fn unsound(look: &Look<'_>, slot: &SlotLook<'_>) -> Option<Check> {
    // Of a slot that never had them, nothing is missing.
    let had_them = slot_state::initialised(look, slot);
    let stall = slot_state::fault(look, slot).filter(|_| had_them || slot.contested.is_some())?;
    Some(Check::bad(format!("{} volumes", slot.spec.name), stall.to_string(), stall.hint()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::ErrorKind;

    #[test]
    fn a_clock_that_is_off_is_said_to_be() {
        let at = |second: i64| Timestamp::from_second(1_700_000_000 + second).unwrap();
        let told = |ours, theirs| {
            let check = clock(at(ours), theirs);
            (check.verdict, check.found)
        };
        assert_eq!(told(0, Ok(at(-2))).0, Verdict::Good);
        assert_eq!(told(90, Ok(at(0))), (Verdict::Bad, "1m 30s ahead of the clock of AWS".to_owned()));
        assert_eq!(told(0, Ok(at(90))), (Verdict::Bad, "1m 30s behind the clock of AWS".to_owned()));
        let silent = PortError::new("ask what time it is", ErrorKind::Unreachable, "no answer");
        assert_eq!(told(0, Err(silent)).0, Verdict::Unknown);
    }

    #[test]
    fn an_image_that_does_not_exist_is_in_the_way() {
        let path = std::path::PathBuf::from("desired-state/prod/consul.yaml");
        let mut spec = crate::spec::load::load(&[path]).specs().next().unwrap().1.clone();
        let world = crate::sim::World::new(0, crate::sim::FaultLevel::None);
        world.settle(&spec);
        spec.image = "ami-0dddddddddddddddd".into();
        let environment = crate::cli::cloud::Environment::simulated(vec![spec.clone()], world, None);
        let checks = of(&spec, &environment.look(&spec));
        let image = checks.iter().find(|check| check.what == "image").unwrap();
        assert_eq!(image.verdict, Verdict::Bad);
        assert_eq!(image.found, "ami-0dddddddddddddddd does not exist, or may not be seen");
    }
}
