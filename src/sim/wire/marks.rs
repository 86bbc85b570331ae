//! `CreateTags` and `DeleteTags`: memory on instances and volumes, whoever writes it.

use std::collections::BTreeSet;

use super::asked::Asked;
use super::problem::Problem;
use super::tags::{self, Tags};
use super::xml::Xml;
use crate::action::{CloudEffect, Recruitment};
use crate::ids::{ClusterName, InstanceId, InterfaceId, VolumeId};
use crate::make::UserData;
use crate::observed::tags::{GENERATION, IMAGE, OWNER, REJECTED, RETIRED, REVISION, SLOT, SLOTS, USER_DATA};
use crate::sim::ec2::Bucket;

/// `CreateTags`.
pub fn create(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let (resources, tags) = (resources(asked)?, tags::read(&params, "Tag")?);
    if tags.is_empty() {
        params.required("Tag")?;
    }
    let effect = if asked.is_by_controller() { effect_of(&resources, &tags) } else { None };
    asked.begin(Bucket::CreateTags, effect.as_ref().map_or("tag", CloudEffect::name), true)?;
    are_there(asked, &resources)?;
    if let Some(effect) = effect {
        let cluster = match &effect {
            CloudEffect::Recruit(_) => tags::cluster(&tags),
            _ => cluster_of(asked, &resources[0]),
        };
        asked.change(&cluster, None, &effect)?;
        match &effect {
            CloudEffect::Retire { instance } => {
                asked.notes.tags.entry(instance.to_string()).or_default().extend(tags);
            }
            // The world keeps the rest of what settled.
            CloudEffect::Settle { .. } => resources.iter().for_each(|id| {
                let beside = tags.iter().filter(|(key, _)| *key == REVISION || *key == IMAGE && id.starts_with("i-"));
                let noted = asked.notes.tags.entry(id.clone()).or_default();
                noted.extend(beside.map(|(key, value)| (key.clone(), value.clone())));
            }),
            _ => {}
        }
    } else {
        resources.iter().for_each(|id| edit(asked, id, |found| found.extend(tags.clone())));
    }
    Ok(vec![Xml::text("return", true)])
}

/// `DeleteTags`. A tag that is named with a value is deleted only where it has that value.
pub fn delete(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let resources = resources(asked)?;
    let mut named: Vec<(String, Option<String>)> = Vec::new();
    for entry in asked.params().entries("Tag") {
        named.push((entry.required("Key")?, entry.take("Value")));
    }
    let forgiven = match &named[..] {
        [(key, Some(value))] if asked.is_by_controller() && key == REJECTED => Some(value.clone()),
        _ => None,
    };
    asked.begin(Bucket::CreateTags, if forgiven.is_some() { "forgive" } else { "tag" }, true)?;
    are_there(asked, &resources)?;
    if let Some(generation) = forgiven {
        let volumes = resources.iter().map(|id| VolumeId::from(id.as_str())).collect();
        let cluster = cluster_of(asked, &resources[0]);
        asked.change(&cluster, None, &CloudEffect::Forgive { volumes, generation: generation.into() })?;
        return Ok(vec![Xml::text("return", true)]);
    }
    let goes = |key: &String, value: &String| {
        let is_named =
            |(name, only): &(String, Option<String>)| name == key && only.as_ref().is_none_or(|only| only == value);
        named.is_empty() && !key.starts_with("aws:") || named.iter().any(is_named)
    };
    resources.iter().for_each(|id| edit(asked, id, |found| found.retain(|key, value| !goes(key, value))));
    Ok(vec![Xml::text("return", true)])
}

fn resources(asked: &Asked) -> Result<Vec<String>, Problem> {
    let params = asked.params();
    let resources = params.list("ResourceId");
    if resources.is_empty() { params.required("ResourceId").map(|_| Vec::new()) } else { Ok(resources) }
}

/// Refuses the whole call where one resource is not there.
fn are_there(asked: &Asked, resources: &[String]) -> Result<(), Problem> {
    let region = &asked.state.region;
    for id in resources {
        if id.starts_with("i-") {
            region.machine(&InstanceId::from(id.as_str()))?;
        } else if id.starts_with("vol-") {
            if let Err(missing) = region.disk(&VolumeId::from(id.as_str()))
                && !is_root(asked, id)
            {
                return Err(missing.into());
            }
        } else if !asked.notes.tags.contains_key(id) && region.machine_at(&InterfaceId::from(id.as_str())).is_none() {
            return Err(Problem::new("InvalidID", format!("The ID '{id}' is not valid")));
        }
    }
    Ok(())
}

/// Says whether an id is that of a live instance's root volume, which bears tags as any other.
fn is_root(asked: &Asked, id: &str) -> bool {
    let mut machines = asked.state.region.instances.values().filter(|machine| machine.seen.state.is_live());
    machines.any(|machine| tags::root_of(&machine.seen.id) == id)
}

fn cluster_of(asked: &Asked, id: &str) -> ClusterName {
    let region = &asked.state.region;
    let of_instance = region.instances.get(&InstanceId::from(id)).map(|machine| machine.cluster.clone());
    let of_volume = || region.volumes.get(&VolumeId::from(id)).map(|disk| disk.cluster.clone());
    of_instance.or_else(of_volume).unwrap_or_else(|| ClusterName::from(""))
}

/// Tells which of a controller's effects the tags are.
fn effect_of(resources: &[String], tags: &Tags) -> Option<CloudEffect> {
    let attempt = tags::attempt(tags);
    if let [id] = resources
        && id.starts_with("i-")
    {
        let instance = InstanceId::from(id.as_str());
        return Some(if tags.contains_key(RETIRED) {
            CloudEffect::Retire { instance }
        } else if tags.contains_key(SLOT) && tags.contains_key(GENERATION) {
            CloudEffect::Recruit(recruitment(instance, tags)?)
        } else if tags.contains_key(SLOT) {
            return None; // an adoption, which a person asks for
        } else {
            CloudEffect::Tag { instance, tags: tags.clone() }
        });
    }
    let (instances, volumes): (Vec<_>, Vec<_>) = resources.iter().partition(|id| id.starts_with("i-"));
    let volumes: BTreeSet<VolumeId> = volumes.into_iter().map(|id| VolumeId::from(id.as_str())).collect();
    if let Some(generation) = tags::name(tags, REJECTED) {
        return Some(CloudEffect::Reject { volumes, generation, attempt });
    }
    if let (Some(generation), Some(image)) = (tags::name(tags, GENERATION), tags::name(tags, IMAGE)) {
        let instance = instances.first().map(|id| InstanceId::from(id.as_str()));
        return Some(CloudEffect::Settle { volumes, generation, image, attempt, instance });
    }
    let only_slots = tags.keys().all(|key| key.starts_with(SLOTS));
    only_slots.then(|| CloudEffect::RecordSlots { volumes, slots: tags::slots_in(tags) })
}

fn recruitment(instance: InstanceId, tags: &Tags) -> Option<Recruitment> {
    Some(Recruitment {
        instance,
        slot: tags::slot(tags),
        owner: tags::name(tags, OWNER)?,
        generation: tags::name(tags, GENERATION)?,
        attempt: tags::attempt(tags),
        user_data: UserData::tagged(tags::name(tags, USER_DATA)),
        volumes: tags::volumes_of_guest(tags).collect(),
    })
}

/// Edits the tags of a resource, and makes it another cluster's where they say so.
fn edit(asked: &mut Asked, id: &str, edit: impl FnOnce(&mut Tags)) {
    let before = cluster_of(asked, id);
    let (instance, volume) = (InstanceId::from(id), VolumeId::from(id));
    let mut tags = match (asked.state.region.instances.get(&instance), asked.state.region.volumes.get(&volume)) {
        (Some(machine), _) => tags::of_instance(&before, &machine.seen, Some(machine), asked.notes),
        (None, Some(disk)) => tags::of_volume(&before, &disk.seen, asked.notes),
        (None, None) => asked.notes.tags_of(id),
    };
    edit(&mut tags);
    let region = &mut asked.state.region;
    let mut kept = Tags::new();
    if let Some(machine) = region.instances.get_mut(&instance) {
        tags::onto_instance(&tags, machine);
        kept.extend(
            [RETIRED, REVISION, IMAGE].iter().filter_map(|key| Some(((*key).to_owned(), tags.get(*key)?.clone()))),
        );
    } else if let Some(disk) = region.volumes.get_mut(&volume) {
        tags::onto_volume(&tags, disk);
        kept = tags::others(&tags);
        kept.extend(tags.get(REVISION).map(|revision| (REVISION.to_owned(), revision.clone())));
    } else {
        kept = tags.clone();
    }
    asked.notes.tags.insert(id.to_owned(), kept);
    move_over(asked, id, &before, &tags::cluster(&tags));
}

/// Lets a resource be found among those of the cluster that its tags name.
fn move_over(asked: &mut Asked, id: &str, from: &ClusterName, to: &ClusterName) {
    let region = &mut asked.state.region;
    let (instance, volume) = (InstanceId::from(id), VolumeId::from(id));
    let (is_instance, is_volume) = (region.instances.contains_key(&instance), region.volumes.contains_key(&volume));
    if from != to {
        if let Some(holdings) = region.clusters.get_mut(from) {
            holdings.instances.remove(&instance);
            holdings.volumes.remove(&volume);
        }
        if let Some(holdings) = region.clusters.get_mut(to) {
            holdings.instances.extend(is_instance.then_some(instance));
            holdings.volumes.extend(is_volume.then_some(volume));
        }
    }
    region.changed(from);
    region.changed(to);
}
