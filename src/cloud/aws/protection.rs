//! Protection of instances from being stopped or terminated, which only a call for each instance and each kind tells.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::InstanceAttributeName;

use super::operation::DESCRIBE_INSTANCE_ATTRIBUTE;
use super::{Aws, Region};
use crate::ids::InstanceId;
use crate::ports::Clock;

impl<C: Clock> Aws<C> {
    /// Names what these instances are protected from, e.g. `terminated`. Whoever may not ask is told nothing.
    pub async fn protected(&self, region: &str, ids: &BTreeSet<InstanceId>) -> Vec<(InstanceId, &'static str)> {
        let region = self.region(region);
        let mut protected = Vec::new();
        for id in ids {
            protected.extend(self.protected_from(&region, id).await.into_iter().map(|call| (id.clone(), call)));
        }
        protected
    }

    pub(super) async fn protected_from(&self, region: &Region, id: &InstanceId) -> Vec<&'static str> {
        let ask = async |attribute: InstanceAttributeName| {
            let call = region.ec2.describe_instance_attribute().instance_id(&**id).attribute(attribute);
            self.ask(region, DESCRIBE_INSTANCE_ATTRIBUTE, || call.clone().send()).await.ok()
        };
        let stop = ask(InstanceAttributeName::DisableApiStop).await;
        let terminate = ask(InstanceAttributeName::DisableApiTermination).await;
        let stop = stop.and_then(|answer| answer.disable_api_stop()?.value()) == Some(true);
        let terminate = terminate.and_then(|answer| answer.disable_api_termination()?.value()) == Some(true);
        let both = [(stop, "stopped"), (terminate, "terminated")];
        both.into_iter().filter(|(is_on, _)| *is_on).map(|(_, call)| call).collect()
    }
}
