//! The rehearsals: what a throw-away copy has shown of the generation that is wanted, and for which slots that counts.

use crate::observed::{Rehearsed, Verdict};
use crate::spec::Rehearsal;

use super::answer::Unproven;
use super::look::{Look, SlotLook};

/// Finds the latest rehearsal of just the generation that the spec wants now.
pub fn latest<'a>(look: &Look<'a>) -> Option<&'a Rehearsed> {
    look.record.rehearsed.iter().rfind(|rehearsed| rehearsed.generation == look.generation)
}

/// Finds why the spec's generation is not proven for a slot, where the spec requires that it is.
///
/// A generation is proven by a rehearsal that went the slot's way: from the image that the slot runs, or has settled
/// on. A slot that is at the new image already, with other settings, has no way of its own to go from, so for it any
/// image will do.
pub fn unproven(look: &Look<'_>, slot: &SlotLook<'_>) -> Option<Unproven> {
    if look.spec.rollout.rehearsal == Rehearsal::Optional {
        return None;
    }
    let Some(rehearsed) = latest(look) else { return Some(Unproven::Never) };
    if let Verdict::Failed { findings } = &rehearsed.verdict {
        let finding = findings.first().cloned().unwrap_or_default();
        return Some(Unproven::Failed { at: rehearsed.at, finding });
    }
    let serving = slot.live().filter(|instance| slot.any_at(look, &instance.id)).map(|instance| &instance.make.image);
    let settled = slot.present().filter_map(|(_, volume)| volume.settled.as_ref()?.image.as_ref());
    let runs = serving.chain(settled).find(|image| **image != rehearsed.from && **image != rehearsed.to)?;
    Some(Unproven::FromOtherImage { from: rehearsed.from.clone(), runs: runs.clone() })
}
