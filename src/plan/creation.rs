//! The creation of a volume, and the next try where one has come to nothing. A token never serves two tries, so the record
//! counts them.

use crate::action::{ClaimEffect, CloudEffect, CreateVolume, Effect};
use crate::ids::VolumeId;
use crate::observed::{ClaimRecord, CreationAnswer, Volume, VolumeState};
use crate::time::elapsed;

use super::answer::{Awaited, Plan, Stall, Why};
use super::look::{Look, SlotLook};

/// Creates a volume, waits for one that was just created, or counts a try that came to nothing.
pub fn create(look: &Look<'_>, slot: &SlotLook<'_>, wanted: CreateVolume) -> Plan {
    let failed = look.record.creations.get(&ClaimRecord::creation_key(&wanted.slot, &wanted.name));
    let wanted = CreateVolume { number: failed.map_or(0, |failed| failed.number), ..wanted };
    let wanted = wanted.with_token(look.spec, look.record.rebuilt);
    if let Some(failed) = failed.filter(|failed| failed.in_a_row >= look.limits.launches) {
        let pauses = failed.at <= look.now && elapsed(look.now, failed.at) < look.limits.next_launches;
        if pauses && failed.request == wanted.wish() {
            let (slot, name, why) = (wanted.slot, wanted.name, failed.why.clone());
            return Plan::stalled(Stall::VolumeNotMade { slot, name, why, times: failed.in_a_row });
        }
    }
    let is_of_it = |slot, name, number| (slot, name, number) == (&wanted.slot, &wanted.name, wanted.number);
    let Some(sent) = look.seen.creations.iter().find(|sent| is_of_it(&sent.slot, &sent.name, sent.number)) else {
        return look.act(slot, CloudEffect::CreateVolume(wanted), Why::New);
    };
    let is_recent = elapsed(look.now, sent.at) < look.limits.late;
    let wait = |what| look.wait(slot, what, sent.at, look.limits.late);
    match &sent.answer {
        CreationAnswer::Created(id) if is_recent && !is_gone(look, id) => {
            wait(Awaited::VolumeCreated { volume: id.clone() })
        }
        CreationAnswer::Created(id) => {
            again(look, wanted, format!("{id} was created, and was gone again within minutes"))
        }
        // The same request sent again makes nothing new; another one could make a second volume.
        CreationAnswer::Unknown if !is_recent || sent.token == wanted.token => {
            look.act(slot, CloudEffect::CreateVolume(wanted), Why::New)
        }
        CreationAnswer::TokenSpent if !is_recent => {
            again(look, wanted, "EC2 says that it was made before, and does not show it".to_owned())
        }
        CreationAnswer::Unknown | CreationAnswer::TokenSpent => {
            let detail = format!("{} of {} may have been made, and is not shown yet", wanted.name, wanted.slot);
            wait(Awaited::ViewsAgree { detail })
        }
    }
}

/// Says whether EC2 shows that a volume is gone. That it shows nothing proves nothing yet.
fn is_gone(look: &Look<'_>, id: &VolumeId) -> bool {
    let is_it = |volume: &&Volume| volume.id == *id;
    look.cloud.volumes().find(is_it).is_some_and(|volume| volume.state == VolumeState::Deleted)
}

/// Counts a try that came to nothing, so that the next one has a token of its own.
fn again(look: &Look<'_>, wanted: CreateVolume, reason: String) -> Plan {
    let (request, slot, why) = (wanted.wish(), wanted.slot, reason.clone());
    let effect = ClaimEffect::CreateAgain { slot, name: wanted.name, request, why, expects: look.record.revision };
    look.effect(None, Effect::Claim(effect), Why::VolumeNotMade { reason })
}
