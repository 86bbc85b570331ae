//! A cluster that is to be no more: its instances stop, its data is saved, and only then does anything go.
//!
//! Every step is read from the world, so whoever takes up a destruction that was interrupted goes on where it stopped.
//! What an adopted Auto Scaling group adds to it is in `group`.

use crate::action::{ClaimEffect, Effect};
use crate::observed::{Ending, Remains};

use super::answer::{Hazard, Plan, Why};
use super::group::{adopted, let_go};
use super::look::Look;

mod end;
mod group;

use end::{End, copies};

/// The one next thing to do towards the end of a cluster, of which just that is to remain.
pub fn teardown(look: &Look<'_>, remains: Remains) -> Plan {
    let ending = look.record.ending.as_ref().filter(|ending| ending.remains == remains);
    let hazards: Vec<_> =
        not_ours(look, remains).into_iter().chain(group::in_the_way(look, ending.is_some())).collect();
    if !hazards.is_empty() {
        return Plan::blocked(None, hazards);
    }
    let Some(ending) = ending else { return end(look, remains) };
    let mut instances: Vec<_> = look.cloud.instances.iter().collect();
    let mut volumes: Vec<_> = look.cloud.present_volumes().collect();
    instances.sort_by_key(|instance| &instance.id);
    volumes.sort_by_key(|volume| &volume.id);
    let end = End { look, ending, group: adopted(look), instances, volumes };
    end.keep_still()
        .or_else(|| end.stop())
        .or_else(|| end.save())
        .or_else(|| end.free())
        .or_else(|| end.lower_minimum())
        .or_else(|| end.terminate())
        .or_else(|| end.empty())
        .or_else(|| let_go(look))
        .or_else(|| end.delete())
        .or_else(|| end.delete_copies())
        .or_else(|| end.linger())
        .unwrap_or(Plan::Settled)
}

/// Nothing of somebody else's is touched, and so the cluster would not be gone.
fn not_ours(look: &Look<'_>, remains: Remains) -> Option<Hazard> {
    let owner = Some(&look.seen.owner);
    let instances = look.cloud.live_instances().filter(|one| one.owner.as_ref() != owner);
    let volumes = look.cloud.present_volumes().filter(|volume| volume.owner.as_ref() != owner);
    let copies = copies(look, remains).filter(|copy| copy.owner.as_ref() != owner);
    let resources = instances.map(|one| one.id.to_string()).chain(volumes.map(|volume| volume.id.to_string()));
    let resources: Vec<_> = resources.chain(copies.map(|copy| copy.id.to_string())).collect();
    (!resources.is_empty()).then_some(Hazard::NotOwned { resources, group: None })
}

/// From now on no controller does anything else to it.
fn end(look: &Look<'_>, remains: Remains) -> Plan {
    let fresh = || Ending { since: look.now, attempt: look.next_attempt(), remains };
    let ending = look.record.ending.clone().map_or_else(fresh, |begun| Ending { remains, ..begun });
    let effect = Effect::Claim(ClaimEffect::End { ending, expects: look.record.revision });
    look.effect(None, effect, Why::Unwanted)
}
