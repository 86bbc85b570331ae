//! Stopping, starting and terminating one instance.

use super::super::operation::{START_INSTANCES, STOP_INSTANCES, TERMINATE_INSTANCES};
use super::{Change, Halt};
use crate::ids::InstanceId;
use crate::ports::{Clock, Outcome};

impl<C: Clock> Change<'_, C> {
    pub(super) async fn stop(&self, id: &InstanceId) -> Result<Outcome, Halt> {
        self.send(STOP_INSTANCES, self.region.ec2.stop_instances().instance_ids(&**id).send()).await?;
        Ok(Outcome::Done)
    }

    pub(super) async fn start(&self, id: &InstanceId) -> Result<Outcome, Halt> {
        self.send(START_INSTANCES, self.region.ec2.start_instances().instance_ids(&**id).send()).await?;
        Ok(Outcome::Done)
    }

    /// Leaves termination protection alone: whoever set it has a reason, and EC2 then refuses.
    pub(super) async fn terminate(&self, id: &InstanceId) -> Result<Outcome, Halt> {
        self.send(TERMINATE_INSTANCES, self.region.ec2.terminate_instances().instance_ids(&**id).send()).await?;
        Ok(Outcome::Done)
    }
}
