//! Gates about the proof that a new member will owe: where it never could be given, its member is not taken down.

use crate::observed::{Health, Member, is_version};
use crate::plan::answer::Hazard;

use super::question::{Finding, Question, finding, listed, not_asked};

/// Refuses while the application says itself that a member would not come back as it was.
pub(super) fn application_forbids(q: &Question<'_, '_>) -> Finding {
    let blockers = q.look.membership.map(|membership| membership.blockers.clone()).unwrap_or_default();
    let value = listed(blockers.iter().map(|blocker| &blocker.why));
    let hazard = (!blockers.is_empty()).then_some(Hazard::ApplicationForbids { blockers });
    finding(value, "no setting under which a member would not come back", hazard)
}

/// Refuses unless the slot's own member is found at its instance's address now, because its proof will be asked for there. A
/// member that is not healthy may be between two addresses, and to replace it may be the cure.
pub(super) fn member_elsewhere(q: &Question<'_, '_>) -> Finding {
    let healthy = |member: &&Member| member.health == Health::Healthy;
    let holder = q.slot.live().find(|instance| q.slot.all_on(q.look, &instance.id));
    let seat = q.slot.member.filter(healthy).zip(holder).and_then(|(member, instance)| {
        let own = instance.member_address()?;
        Some((member.address, own, instance.id.clone()))
    });
    let Some((advertised, own, instance)) = seat else {
        return finding("not asked of this member", "the member at its instance's address", None);
    };
    let found = advertised.map_or_else(|| "no address".to_owned(), |address| address.to_string());
    let value = format!("{found}; {instance} has {own}");
    let differs = advertised != Some(own);
    let hazard = differs.then_some(Hazard::MemberElsewhere { found, instance, own });
    finding(value, "the member at its instance's address", hazard)
}

/// Refuses an expected version that no member could ever report.
pub(super) fn version_unprovable(q: &Question<'_, '_>) -> Finding {
    let Some(expected) = q.look.rules.version.as_ref() else { return finding("none expected", "none", None) };
    let members = q.look.membership.map(|membership| membership.members.as_slice()).unwrap_or_default();
    let reported: Vec<_> = members.iter().filter_map(|member| member.version.as_deref()).collect();
    let why = if members.is_empty() {
        None // gates of their own say so
    } else if reported.is_empty() {
        Some("no member reports a version".to_owned())
    } else if reported.iter().all(|found| numbers(found) != numbers(expected)) {
        Some(format!("the members report versions such as {}", reported[0]))
    } else {
        contradicted(q, expected)
    };
    let value = format!("reported: {}", listed(&reported));
    let hazard = why.map(|why| Hazard::VersionUnprovable { expected: expected.clone(), why });
    finding(value, format!("{expected}, in the way in which members report it"), hazard)
}

/// Refuses a step from one version to another that the application does not take, and one of which nobody says where it leads.
pub(super) fn version_skew(q: &Question<'_, '_>) -> Finding {
    let Some(steps) = &q.look.rules.version_steps else { return not_asked() };
    let from = q.look.membership.and_then(|membership| membership.oldest_version());
    let to = q.look.rules.version.as_deref();
    let is_fit = match (from, to) {
        (Some(from), Some(to)) => (steps.allows)(from, to),
        (None, Some(_)) => true, // gates of their own say so
        (_, None) => false,
    };
    let value = format!("{} → {}", from.unwrap_or("not known"), to.unwrap_or("not said"));
    let hazard = (!is_fit).then(|| Hazard::VersionSkew {
        from: from.map(str::to_owned),
        to: to.map(str::to_owned),
        rule: steps.rule,
        remedy: steps.remedy,
    });
    finding(value, steps.rule, hazard)
}

/// Counts the numbers of a version: three of `1.20.2+ent`, two of `16.2`.
fn numbers(version: &str) -> usize {
    let core = version.split(['-', '+', ' ']).next().unwrap_or_default();
    core.split('.').count()
}

/// Finds a healthy member that runs the image already, and reports another version.
fn contradicted(q: &Question<'_, '_>, expected: &str) -> Option<String> {
    let served = q.look.slots.iter().filter_map(|slot| {
        let instance = slot.live().find(|instance| slot.all_on(q.look, &instance.id))?;
        let member = slot.member.filter(|member| member.health == Health::Healthy)?;
        (instance.make.image == *q.image).then_some((slot, member.version.as_deref()?))
    });
    let mut others = served.filter(|(_, found)| !is_version(expected, found));
    others.next().map(|(slot, found)| format!("{} runs {} already, and reports {found}", slot.spec.name, q.image))
}
