//! The lawful ends of a run: once faults have stopped and people have undone what they did, a cluster is settled, or its image
//! was rejected and all members run on what ran before, or somebody did or withholds something and the answer names it.

use crate::sim::World;
use crate::spec::{Approval, ClusterSpec, OnFailure};

use super::Ending;

/// Says why an ending is none that a cluster may come to, if it is none.
pub fn objection(ending: &Ending, spec: &ClusterSpec, world: &World) -> Option<String> {
    let down = world.slots_down(&spec.name);
    let all_up = || (!down.is_empty()).then(|| format!("{ending}, and {} of its members are down", down.len()));
    match ending {
        Ending::Violated | Ending::Unsettled => None,
        Ending::Settled => all_up(),
        Ending::Blocked(gates) if gates.contains(&"generation-rejected") => all_up(),
        // Another slot may have been claimed when the volume went, and nothing was done there: its gates name what is missing.
        Ending::Blocked(reasons) | Ending::Stalled(reasons) if names_a_loss(reasons) && world.lost_a_volume() => None,
        // Somebody wants an image that reports another version than the file asks for, or a version that is too far away.
        Ending::Blocked(gates) if gates.contains(&"version-unprovable") || gates.contains(&"version-skew") => all_up(),
        Ending::Blocked(gates) if gates.iter().any(|gate| is_withheld(gate, spec)) => None,
        Ending::Stalled(reasons) if reasons == &["Held"] && spec.rollout.on_failure == OnFailure::Hold => None,
        // So somebody does who has taken away what ran before as well.
        Ending::Stalled(reasons)
            if matches!(reasons.as_slice(), ["Held" | "RollbackFailed"])
                && world.reports_another_version(&spec.image) =>
        {
            all_up()
        }
        // Whoever has taken so many instances at once has to bring the members together.
        Ending::Stalled(reasons) if reasons == &["QuorumLost"] && world.quorum_is_lost(&spec.name) => None,
        Ending::Blocked(_) | Ending::Stalled(_) => Some(format!("{ending}, although nobody did or withholds anything")),
    }
}

/// Says the same of a cluster beside the one that is told of: it must have come to an end.
pub fn objection_beside(ending: &Ending, spec: &ClusterSpec, world: &World) -> Option<String> {
    match ending {
        Ending::Unsettled => Some("it has come to no end".to_owned()),
        ending => objection(ending, spec, world),
    }
}

/// Names the slots whose volume somebody has deleted, and of which the last answer does not speak: whoever is to bring the data back
/// has to know of all of them at once.
pub fn unnamed(answer: &str, spec: &ClusterSpec, world: &World) -> Option<String> {
    let lost = world.slots_without_volumes(spec);
    let unnamed: Vec<_> = lost.iter().filter(|slot| !answer.contains(&***slot)).map(|slot| &**slot).collect();
    (!unnamed.is_empty()).then(|| format!("it does not say that a volume of {} is gone", unnamed.join(" and ")))
}

/// Says whether one of the reasons is that a volume is not there.
fn names_a_loss(reasons: &[&str]) -> bool {
    reasons.iter().any(|reason| ["VolumeMissing", "volume-missing"].contains(reason))
}

/// Says whether a gate stands for something that the file says.
fn is_withheld(gate: &str, spec: &ClusterSpec) -> bool {
    match gate {
        "suspended" => spec.suspend,
        "frozen" => spec.freeze,
        "approval-required" => spec.rollout.approval != Approval::Never,
        "outside-window" => !spec.rollout.windows.is_empty(),
        "not-rehearsed" => true,
        // Of fewer than three members none can be missed, and only whoever declares the slots can change that.
        "quorum-would-be-lost" => spec.slots.len() < 3,
        _ => false,
    }
}
