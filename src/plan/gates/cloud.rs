//! Gates about EC2: images, ownership, volumes, zones, announced maintenance.

use crate::ids::{ImageId, Owner, VolumeId};
use crate::observed::{Instance, ScheduledEvent};
use crate::plan::answer::Hazard;
use crate::plan::look::Look;
use crate::time::{Human, after, elapsed};

use super::question::{Finding, Question, finding, listed};

/// Refuses unless the new image is there to launch, and that of the instance that serves, if one does, to go back to.
pub(super) fn image_unavailable(q: &Question<'_, '_>) -> Finding {
    let old = q.slot.live().filter(|instance| q.slot.all_on(q.look, &instance.id)).map(|instance| &instance.make.image);
    let fault = [q.image].into_iter().chain(old).find_map(|image| Some((image, fault_of(q.look, image)?)));
    let fault = fault.or_else(|| Some((q.image, root_fault(q.look, q.image)?)));
    let value =
        fault.as_ref().map_or_else(|| format!("{} is available", q.image), |(image, why)| format!("{image} {why}"));
    let hazard = fault.map(|(image, why)| Hazard::ImageUnavailable { image: image.clone(), why });
    finding(value, "the new and the old image available, for this instance type", hazard)
}

fn fault_of(look: &Look<'_>, id: &ImageId) -> Option<String> {
    let Some(image) = look.cloud.catalogue.images.get(id) else {
        return Some("does not exist, or may not be seen".to_owned());
    };
    if !image.state.is_available() {
        return Some(format!("is {}", image.state));
    }
    let instance_type = &look.spec.instance.instance_type;
    let runs = look.cloud.catalogue.instance_types.get(instance_type)?;
    (!runs.contains(&image.architecture))
        .then(|| format!("is for {}, and {instance_type} runs {}", image.architecture, listed(runs)))
}

/// Finds why an instance of that image cannot have the root volume that the file wants.
fn root_fault(look: &Look<'_>, id: &ImageId) -> Option<String> {
    let (wanted, image) = (look.spec.instance.root_volume.as_ref()?, look.cloud.catalogue.images.get(id)?);
    if image.root_device.is_none() {
        return Some("names no device that it boots from, and the file says how that volume is to be".to_owned());
    }
    let least = image.root_size_gib();
    let size = wanted.size_gib.or(least)?;
    if let Some(least) = least.filter(|least| size < *least) {
        return Some(format!("has a root volume of {least} GiB, and the file wants {size} GiB"));
    }
    let is_refused = !wanted.ebs.objections(size).is_empty();
    is_refused.then(|| format!("has a root volume of {size} GiB, which is too small for `{wanted}`"))
}

pub(super) fn not_owned(q: &Question<'_, '_>) -> Finding {
    let owner = &q.look.seen.owner;
    let ours = |tag: &Option<Owner>| tag.as_ref() == Some(owner);
    let instances = q.slot.live().filter(|instance| !ours(&instance.owner)).map(|instance| instance.id.to_string());
    let volumes = q.slot.present().filter(|(_, volume)| !ours(&volume.owner)).map(|(_, volume)| volume.id.to_string());
    let resources: Vec<_> = instances.chain(volumes).collect();
    let value = format!("not ours: {}", listed(&resources));
    let hazard = (!resources.is_empty()).then_some(Hazard::NotOwned { resources });
    finding(value, format!("all tagged hermitcrab:owner={owner}"), hazard)
}

pub(super) fn volume_missing(q: &Question<'_, '_>) -> Finding {
    let lacking = q.look.slots.iter().find_map(|slot| {
        let volumes = slot.lacking();
        (!volumes.is_empty()).then(|| (slot.spec.name.clone(), volumes))
    });
    let value = lacking
        .as_ref()
        .map_or_else(|| "all there".to_owned(), |(slot, volumes)| format!("{slot} lacks {}", listed(volumes)));
    finding(
        value,
        "every declared volume there",
        lacking.map(|(slot, volumes)| Hazard::VolumeMissing { slot, volumes }),
    )
}

pub(super) fn volume_impaired(q: &Question<'_, '_>) -> Finding {
    let impaired = q.slot.present().find_map(|(_, volume)| Some((&volume.id, volume.impaired.clone()?)));
    let value = impaired.as_ref().map_or_else(|| "none impaired".to_owned(), |(id, why)| format!("{id}: {why}"));
    let hazard = impaired.map(|(volume, why)| Hazard::VolumeImpaired { volume: volume.clone(), why });
    finding(value, "no I/O trouble", hazard)
}

pub(super) fn volume_modifying(q: &Question<'_, '_>) -> Finding {
    let modifying = q.slot.present().find(|(_, volume)| volume.modifying).map(|(_, volume)| volume.id.clone());
    let value = format!("being modified: {}", listed(&modifying));
    finding(value, "none", modifying.map(|volume| Hazard::VolumeModifying { volume }))
}

pub(super) fn delete_on_termination(q: &Question<'_, '_>) -> Finding {
    let doomed = q.slot.live().find_map(|instance: &Instance| {
        let ours = |id: &VolumeId| q.slot.present().any(|(_, volume)| volume.id == *id);
        let device = instance.devices.iter().find(|d| d.delete_on_termination && ours(&d.volume))?;
        Some((device.volume.clone(), instance.id.clone()))
    });
    let value = doomed.as_ref().map_or_else(|| "off".to_owned(), |(volume, i)| format!("on for {volume} at {i}"));
    let hazard = doomed.map(|(volume, instance)| Hazard::DeleteOnTermination { volume, instance });
    finding(value, "off for every data volume", hazard)
}

/// Refuses while a zone is impaired: it may take a member at any moment, whichever slot it is in.
pub(super) fn zone_impaired(q: &Question<'_, '_>) -> Finding {
    let impaired = q.look.slots.iter().find_map(|slot| {
        let why = q.look.cloud.catalogue.impaired_zones.get(&slot.spec.zone)?;
        Some((slot.spec.zone.clone(), why.clone()))
    });
    let value = impaired.as_ref().map_or_else(|| "none impaired".to_owned(), |(zone, why)| format!("{zone}: {why}"));
    finding(value, "no zone of the cluster impaired", impaired.map(|(zone, why)| Hazard::ZoneImpaired { zone, why }))
}

/// Refuses while maintenance of *another* slot's instance is announced: that one would be down beside ours. An
/// instance that is to be stopped no later itself is lost anyway, and is better replaced before.
pub(super) fn scheduled_event(q: &Question<'_, '_>) -> Finding {
    let horizon = after(q.look.now, q.look.limits.maintenance);
    let own = q.slot.live().filter_map(|instance| Some(instance.announced_stop()?.not_before)).min();
    let comes_first = |event: &ScheduledEvent| own.is_none_or(|own| event.not_before < own);
    let others = q.look.others(q.slot);
    let event =
        others.flat_map(|slot| slot.live().map(move |instance| (slot, instance))).find_map(|(slot, instance)| {
            let event =
                instance.scheduled_events.iter().find(|event| event.not_before <= horizon && comes_first(event))?;
            Some((slot.spec.name.clone(), event))
        });
    let value = event.as_ref().map_or_else(
        || "none".to_owned(),
        |(slot, event)| format!("{slot}: {} in {}", event.code, Human(elapsed(event.not_before, q.look.now))),
    );
    let wants = format!("none within {} in another slot", Human(q.look.limits.maintenance));
    let hazard = event.map(|(slot, event)| Hazard::ScheduledEvent {
        slot,
        code: event.code.clone(),
        not_before: event.not_before,
    });
    finding(value, wants, hazard)
}
