//! The look before a call: what the effect names, as it is now, held against what the effect expects.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use aws_sdk_ec2::types;

use super::super::convert;
use super::super::describe::filter;
use super::super::error::Failure;
use super::super::operation::{
    DESCRIBE_AUTO_SCALING_GROUPS, DESCRIBE_INSTANCE_ATTRIBUTE, DESCRIBE_INSTANCES, DESCRIBE_NETWORK_INTERFACES,
    DESCRIBE_SNAPSHOTS, DESCRIBE_VOLUMES, DESCRIBE_VOLUMES_MODIFICATIONS, Operation,
};
use super::super::tags;
use super::{ALREADY_SO, Change, Halt, halt, inconsistent};
use crate::action::CloudEffect;
use crate::action::expects::{Difference, Finding, Purpose, Subject};
use crate::action::facts::Facts;
use crate::ids::{InstanceId, SnapshotId, VolumeId};
use crate::ports::{Clock, ErrorKind};

impl<C: Clock> Change<'_, C> {
    /// Looks at what the effect names, in the order of its expectations, and stops at the first one that is not met.
    /// Gives everything that was learnt on the way.
    pub(super) async fn meets_expectations(&self, operation: Operation, effect: &CloudEffect) -> Result<Facts, Halt> {
        let (mut facts, mut learnt) = (Facts::default(), BTreeSet::new());
        for expectation in effect.expects(self.spec, &self.aws.owner, self.slot) {
            for subject in expectation.condition().subjects() {
                if learnt.insert(subject) {
                    self.learn(subject, &mut facts).await?;
                }
            }
            match expectation.held_against(&facts) {
                Finding::Met => {}
                Finding::AlreadySo => return Err(ALREADY_SO),
                Finding::Changed(Difference { expected, found }) => return halt(expected, found),
                Finding::Impossible { code, why: Difference { expected, found } } => {
                    let text = format!("it takes {expected}, and there is {found}");
                    return Err(Failure::ours(operation, ErrorKind::Invalid, code, text).into());
                }
                Finding::NotShown(id) => {
                    let text = format!("EC2 does not show {id}");
                    return Err(Failure::ours(operation, ErrorKind::NotFound, "not-shown", text).into());
                }
            }
        }
        Ok(facts)
    }

    /// Adds the facts about a subject. A resource that EC2 does not show adds none.
    async fn learn(&self, subject: Subject<'_>, facts: &mut Facts) -> Result<(), Failure> {
        match subject {
            Subject::Instance(instance) => self.learn_instance(instance, facts).await,
            Subject::Holder(volume) => match facts.volumes.get(volume).and_then(|volume| volume.holder().cloned()) {
                Some(holder) => self.learn_instance(&holder, facts).await,
                None => Ok(()),
            },
            Subject::ProtectionOf(instance) => self.learn_protection(instance, facts).await,
            Subject::Volume(volume) => self.learn_volumes_by_id(vec![volume.to_string()], facts).await,
            Subject::ModificationOf(volume) => self.learn_modification(volume, facts).await,
            // Without any id EC2 would answer with every volume there is.
            Subject::Volumes(volumes) if volumes.is_empty() => Ok(()),
            Subject::Volumes(volumes) => {
                self.learn_volumes_by_id(volumes.iter().map(VolumeId::to_string).collect(), facts).await
            }
            Subject::VolumesAt(instance) => {
                self.learn_volumes(vec![filter("attachment.instance-id", [&**instance])], facts).await
            }
            Subject::VolumesNamed { cluster, slot, name } => {
                let mut wanted = tags::place(cluster, slot);
                wanted.insert(tags::VOLUME.to_owned(), name.to_string());
                self.learn_volumes(tag_filters(&wanted), facts).await
            }
            Subject::SnapshotsOf { volume, purpose } => {
                let mut filters = vec![filter("volume-id", [&**volume])];
                filters.extend(tag_filters(&marks_of(purpose)));
                self.learn_snapshots(filters, facts).await
            }
            Subject::Snapshot(snapshot) => {
                self.learn_snapshots(vec![filter("snapshot-id", [&**snapshot])], facts).await
            }
            Subject::UseOf { address, subnet } => self.learn_address(address, subnet, facts).await,
            Subject::UserOf(address) => match facts.addresses.get(&address).and_then(|used| used.instance.clone()) {
                Some(user) => self.learn_instance(&user, facts).await,
                None => Ok(()),
            },
            Subject::Group { group, template } => self.learn_group(group, template, facts).await,
        }
    }

    async fn learn_instance(&self, id: &InstanceId, facts: &mut Facts) -> Result<(), Failure> {
        let call = self.region.ec2.describe_instances().instance_ids(&**id);
        let answer = self.look(DESCRIBE_INSTANCES, call.send()).await?;
        let mut instances = answer.reservations().iter().flat_map(types::Reservation::instances);
        if let Some(instance) = instances.find(|instance| instance.instance_id() == Some(id)) {
            let read = convert::instance_facts(instance);
            let read = read.map_err(|unknown| inconsistent(DESCRIBE_INSTANCES, id, &unknown))?;
            facts.instances.insert(id.clone(), read);
        }
        Ok(())
    }

    /// Asks whether EC2 would refuse to terminate an instance. A policy that does not allow the question is no reason to stop a
    /// rollout: then the refusal itself tells.
    async fn learn_protection(&self, id: &InstanceId, facts: &mut Facts) -> Result<(), Failure> {
        let call = self.region.ec2.describe_instance_attribute().instance_id(&**id);
        let call = call.attribute(types::InstanceAttributeName::DisableApiTermination);
        let answer = match self.look(DESCRIBE_INSTANCE_ATTRIBUTE, call.send()).await {
            Err(failure) if failure.is(ErrorKind::Throttled) || failure.is(ErrorKind::Unreachable) => {
                return Err(failure);
            }
            Err(_) => return Ok(()),
            Ok(answer) => answer,
        };
        let is_protected = answer.disable_api_termination().and_then(types::AttributeBooleanValue::value);
        if let Some(instance) = facts.instances.get_mut(id) {
            instance.is_protected = is_protected.unwrap_or(false);
        }
        Ok(())
    }

    async fn learn_volumes_by_id(&self, ids: Vec<String>, facts: &mut Facts) -> Result<(), Failure> {
        let call = self.region.ec2.describe_volumes().set_volume_ids(Some(ids));
        let found = self.look(DESCRIBE_VOLUMES, call.send()).await?;
        read_volumes(found.volumes(), facts)
    }

    async fn learn_modification(&self, id: &VolumeId, facts: &mut Facts) -> Result<(), Failure> {
        let call = self.region.ec2.describe_volumes_modifications().filters(filter("volume-id", [&**id]));
        let found = self.look(DESCRIBE_VOLUMES_MODIFICATIONS, call.send()).await?;
        let mut of_it = found.volumes_modifications().iter().filter(|one| one.volume_id() == Some(id));
        if let Some(volume) = facts.volumes.get_mut(id) {
            volume.is_being_modified = of_it.any(convert::is_in_hand);
        }
        Ok(())
    }

    async fn learn_volumes(&self, filters: Vec<types::Filter>, facts: &mut Facts) -> Result<(), Failure> {
        let call = self.region.ec2.describe_volumes().set_filters(Some(filters));
        let found = self.look(DESCRIBE_VOLUMES, call.send()).await?;
        read_volumes(found.volumes(), facts)
    }

    async fn learn_snapshots(&self, filters: Vec<types::Filter>, facts: &mut Facts) -> Result<(), Failure> {
        let call = self.region.ec2.describe_snapshots().owner_ids("self").set_filters(Some(filters));
        let found = self.look(DESCRIBE_SNAPSHOTS, call.send()).await?;
        let shown = found.snapshots().iter().filter_map(|snapshot| Some((snapshot.snapshot_id()?, snapshot)));
        facts.snapshots.extend(shown.map(|(id, seen)| (SnapshotId::from(id), convert::snapshot_facts(seen))));
        Ok(())
    }

    async fn learn_address(&self, address: Ipv4Addr, subnet: &str, facts: &mut Facts) -> Result<(), Failure> {
        let at = filter("addresses.private-ip-address", [address.to_string()]);
        let call = self.region.ec2.describe_network_interfaces().filters(at).filters(filter("subnet-id", [subnet]));
        let found = self.look(DESCRIBE_NETWORK_INTERFACES, call.send()).await?;
        let mut used = found.network_interfaces().iter().filter_map(|seen| convert::address_facts(seen, address));
        facts.addresses.extend(used.next().map(|used| (address, used)));
        Ok(())
    }

    async fn learn_group(&self, name: &str, template: bool, facts: &mut Facts) -> Result<(), Failure> {
        let call = self.region.autoscaling.describe_auto_scaling_groups().auto_scaling_group_names(name);
        let answer = self.look(DESCRIBE_AUTO_SCALING_GROUPS, call.send()).await?;
        let Some(seen) = answer.auto_scaling_groups().first() else { return Ok(()) };
        let versions = if template { self.aws.versions_of(&self.region, seen).await? } else { Vec::new() };
        let group = convert::adopted_group(seen, &[], &versions);
        facts.group = Some(group.map_err(|unknown| inconsistent(DESCRIBE_AUTO_SCALING_GROUPS, name, &unknown))?);
        Ok(())
    }
}

fn read_volumes(shown: &[types::Volume], facts: &mut Facts) -> Result<(), Failure> {
    for volume in shown {
        let Some(id) = volume.volume_id() else { continue };
        let read = convert::volume_facts(volume).map_err(|unknown| inconsistent(DESCRIBE_VOLUMES, id, &unknown))?;
        facts.volumes.insert(id.into(), read);
    }
    Ok(())
}

fn tag_filters(wanted: &BTreeMap<String, String>) -> Vec<types::Filter> {
    wanted.iter().map(|(key, value)| filter(&format!("tag:{key}"), [value])).collect()
}

/// Lists the tags by which a snapshot is found again.
fn marks_of(purpose: Purpose<'_>) -> BTreeMap<String, String> {
    match purpose {
        Purpose::Attempt(attempt, _) => [(tags::ATTEMPT.to_owned(), attempt.to_string())].into(),
        Purpose::Copy { of, into } => {
            [(tags::CLUSTER, into), (tags::COPY_OF, of)].map(|(key, name)| (key.to_owned(), name.to_string())).into()
        }
    }
}
