//! Stopping, starting and terminating one instance.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{self, AttachmentStatus};

use super::super::convert::{life_cycle, root_device};
use super::super::describe::filter;
use super::super::error::Failure;
use super::super::operation::{
    DESCRIBE_INSTANCES, DESCRIBE_VOLUMES, START_INSTANCES, STOP_INSTANCES, TERMINATE_INSTANCES,
};
use super::super::tags::{self, Tags};
use super::{ALREADY_SO, Change, Halt, halt, puzzling};
use crate::ids::InstanceId;
use crate::observed::InstanceState;
use crate::ports::{Clock, ErrorKind, Outcome};

impl<C: Clock> Change<'_, C> {
    pub(super) async fn stop(&self, id: &InstanceId) -> Result<Outcome, Halt> {
        let instance = self.instance(id).await?;
        match state(&instance, id)? {
            InstanceState::Running => {}
            InstanceState::Stopping | InstanceState::Stopped => return Err(ALREADY_SO),
            other => return halt(format!("{id} to be running"), other.to_string()),
        }
        self.send(STOP_INSTANCES, self.region.ec2.stop_instances().instance_ids(&**id).send()).await?;
        Ok(Outcome::Done)
    }

    pub(super) async fn start(&self, id: &InstanceId) -> Result<Outcome, Halt> {
        let instance = self.instance(id).await?;
        match state(&instance, id)? {
            InstanceState::Stopped => {}
            InstanceState::Pending | InstanceState::Running => return Err(ALREADY_SO),
            other => return halt(format!("{id} to be stopped"), other.to_string()),
        }
        self.send(START_INSTANCES, self.region.ec2.start_instances().instance_ids(&**id).send()).await?;
        Ok(Outcome::Done)
    }

    /// Termination protection is left alone: whoever set it has a reason, and EC2 then refuses.
    pub(super) async fn terminate(&self, id: &InstanceId) -> Result<Outcome, Halt> {
        let instance = self.instance(id).await?;
        if !state(&instance, id)?.is_live() {
            return Err(ALREADY_SO);
        }
        let tags = Tags::of(instance.tags());
        if tags.get(tags::RETIRED).is_none() {
            return halt(format!("{id} to be retired"), "it is not");
        }
        let attached = self.region.ec2.describe_volumes().filters(filter("attachment.instance-id", [&**id]));
        let attached = self.look(DESCRIBE_VOLUMES, attached.send()).await?;
        empty(id, &instance, attached.volumes(), tags.get(tags::GENERATION).is_some())?;
        self.send(TERMINATE_INSTANCES, self.region.ec2.terminate_instances().instance_ids(&**id).send()).await?;
        Ok(Outcome::Done)
    }
}

/// Nothing is terminated while a data volume is attached, in either view. Other people's volumes are no data volumes of
/// ours; but one that would be deleted with an instance that we did not launch may be somebody's data.
fn empty(id: &InstanceId, instance: &types::Instance, attached: &[types::Volume], launched: bool) -> Result<(), Halt> {
    let nothing = || format!("no data volume attached to {id}");
    let ours = |volume: &&types::Volume| Tags::of(volume.tags()).get(tags::CLUSTER).is_some();
    if let Some(volume) = attached.iter().find(ours) {
        return halt(nothing(), volume.volume_id().unwrap_or_default());
    }
    let known: BTreeSet<_> = attached.iter().filter_map(types::Volume::volume_id).collect();
    for mapping in instance.block_device_mappings() {
        let Some(ebs) = mapping.ebs().filter(|_| !root_device(instance, mapping.device_name())) else { continue };
        let volume = ebs.volume_id().unwrap_or_default();
        if ebs.status() == Some(&AttachmentStatus::Detached) {
            continue;
        }
        if !known.contains(volume) {
            return halt(nothing(), format!("{volume}, which the volume view shows elsewhere"));
        }
        if !launched && ebs.delete_on_termination() == Some(true) {
            let text = format!("{volume} bears no hermitcrab tags and would be deleted with {id}: detach it first");
            return Err(Failure::ours(TERMINATE_INSTANCES, ErrorKind::Invalid, "volume-would-be-deleted", text).into());
        }
    }
    Ok(())
}

pub(super) fn state(instance: &types::Instance, id: &InstanceId) -> Result<InstanceState, Failure> {
    life_cycle(instance).map_err(|unknown| puzzling(DESCRIBE_INSTANCES, id, &unknown))
}
