//! A cluster is deleted: its instances stop, its data is saved, and only then does anything go.
//!
//! Every step is read from the world, so whoever takes up a destruction that was interrupted goes on where it stopped.
//! The part that an adopted Auto Scaling group adds is in `auto_scaling`.

use crate::action::{ClaimEffect, Effect};
use crate::observed::{Ending, Remains};

use super::answer::{Hazard, Plan, Why};
use super::group::{self, adopted};
use super::look::Look;
use super::slot_state;
use super::steps::{Step, TEAR_DOWN};

mod auto_scaling;
mod end;

use end::{End, copies};

/// Decides on the one next thing to do towards the end of a cluster, of which just that is to remain.
pub fn teardown(look: &Look<'_>, remains: Remains) -> Plan {
    let ending = look.record.ending.as_ref().filter(|ending| ending.remains == remains);
    let hazards: Vec<_> =
        not_ours(look, remains).into_iter().chain(auto_scaling::in_the_way(look, ending.is_some())).collect();
    if !hazards.is_empty() {
        return Plan::blocked(None, hazards);
    }
    // A copy that somebody has restored may be all that is wanted of the cluster, so it is not deleted unasked.
    let deletes = remains != Remains::Volumes;
    if let Some(stall) = look.slots.iter().filter(|_| deletes).find_map(slot_state::contested) {
        return Plan::stalled(stall);
    }
    let Some(ending) = ending else { return end(look, remains) };
    let mut instances: Vec<_> = look.cloud.instances().collect();
    let mut volumes: Vec<_> = look.cloud.present_volumes().collect();
    instances.sort_by_key(|instance| &instance.id);
    volumes.sort_by_key(|volume| &volume.id);
    let end = End { look, ending, group: adopted(look), instances, volumes };
    TEAR_DOWN.iter().find_map(|step| end.outstanding(*step)).unwrap_or(Plan::Settled)
}

impl End<'_, '_> {
    /// Says what is outstanding of one step: the plan for its next move, or nothing where it is done or not needed.
    fn outstanding(&self, step: Step) -> Option<Plan> {
        match step {
            Step::RecordResume => self.record_resume(),
            Step::SuspendProcesses => self.keep_still(),
            Step::Stop => self.stop(),
            Step::Snapshot => self.snapshot(),
            Step::Detach => self.detach(),
            Step::LowerMinimum => self.lower_minimum(),
            Step::Retire => self.retire(),
            Step::LeaveGroup => self.leave_group(),
            Step::Terminate => self.terminate(),
            Step::ResizeGroup => self.resize_group(),
            Step::ResumeProcesses => group::resume_processes(self.look),
            Step::ForgetResume => group::forget_resume(self.look),
            Step::DeleteVolume => self.delete_volume(),
            Step::DeleteSnapshot => self.delete_copies(),
            Step::OutlastLaunches => self.outlast_launches(),
            _ => None,
        }
    }
}

/// Refuses because of what is somebody else's: that is not touched, and so the cluster would not be gone.
fn not_ours(look: &Look<'_>, remains: Remains) -> Option<Hazard> {
    let owner = Some(&look.seen.owner);
    let instances = look.cloud.live_instances().filter(|one| one.owner.as_ref() != owner);
    let volumes = look.cloud.present_volumes().filter(|volume| volume.owner.as_ref() != owner);
    let copies = copies(look, remains).filter(|copy| copy.owner.as_ref() != owner);
    let resources = instances.map(|one| one.id.to_string()).chain(volumes.map(|volume| volume.id.to_string()));
    let resources: Vec<_> = resources.chain(copies.map(|copy| copy.id.to_string())).collect();
    (!resources.is_empty()).then_some(Hazard::NotOwned { resources })
}

/// Records the end: from now on no controller does anything else to the cluster.
fn end(look: &Look<'_>, remains: Remains) -> Plan {
    let fresh = || Ending { since: look.now, attempt: look.next_attempt(), remains };
    let ending = look.record.ending.clone().map_or_else(fresh, |begun| Ending { remains, ..begun });
    let effect = Effect::Claim(ClaimEffect::End { ending, expects: look.record.revision });
    look.effect(None, effect, Why::Unwanted)
}
