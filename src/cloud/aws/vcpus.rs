//! The vCPUs of an instance type. An account may run only so many at once.

use super::Aws;
use super::describe::filter;
use super::operation::DESCRIBE_INSTANCE_TYPES;
use crate::ports::{Clock, PortError};
use crate::spec::ClusterSpec;

impl<C: Clock> Aws<C> {
    /// Gives the vCPUs of one instance of the cluster's type; `None` where EC2 says nothing of them.
    pub async fn vcpus(&self, spec: &ClusterSpec) -> Result<Option<u32>, PortError> {
        let region = self.region(&spec.region);
        let call = region.ec2.describe_instance_types();
        let call = call.filters(filter("instance-type", [&spec.instance.instance_type]));
        let answer = self.ask(&region, DESCRIBE_INSTANCE_TYPES, || call.clone().send()).await;
        let answer = answer.map_err(|failure| failure.while_doing("ask for the vCPUs of the instance type"))?;
        let vcpus = answer.instance_types().first().and_then(|kind| kind.v_cpu_info()?.default_v_cpus());
        Ok(vcpus.and_then(|count| count.try_into().ok()))
    }
}
