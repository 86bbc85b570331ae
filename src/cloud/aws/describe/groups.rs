//! The adopted Auto Scaling groups: one call for a hundred of them, and one for the template of each.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_autoscaling::types::AutoScalingGroup;
use aws_sdk_ec2::types::{self, LaunchTemplateVersion};

use super::super::error::Failure;
use super::super::operation::{DESCRIBE_AUTO_SCALING_GROUPS, DESCRIBE_INSTANCES, DESCRIBE_LAUNCH_TEMPLATE_VERSIONS};
use super::super::tags::{self, Tags};
use super::super::{Aws, Region};
use super::pages::{MOST_VALUES, all, filter};
use crate::ids::ClusterName;
use crate::ports::{Clock, ErrorKind, Wanted};

/// As many groups as one call gives at once, and as many names as it takes.
const MOST_GROUPS: usize = 100;

/// A group as it was answered.
pub(super) struct Adopted {
    pub(super) cluster: ClusterName,
    pub(super) group: AutoScalingGroup,
    /// The versions of its launch template, or why they cannot be read.
    pub(super) versions: Result<Vec<LaunchTemplateVersion>, String>,
    /// Members that bear no cluster's tag.
    pub(super) strangers: Vec<types::Instance>,
}

impl<C: Clock> Aws<C> {
    /// Every wanted group that there is. A member that bears our tags and that the tag index has missed is added to
    /// `instances`.
    pub(super) async fn adopted_groups(
        &self,
        region: &Region,
        wanted: &Wanted,
        instances: &mut Vec<types::Instance>,
    ) -> Result<Vec<Adopted>, Failure> {
        if wanted.groups.is_empty() {
            return Ok(Vec::new()); // Auto Scaling would take no names for all groups
        }
        let names: BTreeSet<&String> = wanted.groups.values().collect();
        let groups = self.groups_named(region, names.into_iter().cloned().collect()).await?;
        let mut others = self.members_beside(region, &groups, instances).await?;
        instances.extend(others.extract_if(.., |one| Tags::of(one.tags()).get(tags::CLUSTER).is_some()));
        let mut adopted = Vec::new();
        for (cluster, name) in &wanted.groups {
            let named = |group: &&AutoScalingGroup| group.auto_scaling_group_name() == Some(name);
            let Some(group) = groups.iter().find(named).cloned() else { continue };
            let is_member = |one: &&types::Instance| {
                group.instances().iter().any(|member| member.instance_id() == one.instance_id())
            };
            let strangers = others.iter().filter(is_member).cloned().collect();
            let versions = match self.versions_of(region, &group).await {
                // A later look may be answered, so this one is worth nothing. A refusal is about this group alone.
                Err(failure) if failure.is(ErrorKind::Throttled) || failure.is(ErrorKind::Unreachable) => {
                    return Err(failure);
                }
                answer => answer.map_err(|failure| format!("its launch template cannot be read: {failure}")),
            };
            adopted.push(Adopted { cluster: cluster.clone(), group, versions, strangers });
        }
        Ok(adopted)
    }

    pub(in super::super) async fn groups_named(
        &self,
        region: &Region,
        names: Vec<String>,
    ) -> Result<Vec<AutoScalingGroup>, Failure> {
        let mut found = Vec::new();
        for some in names.chunks(MOST_GROUPS) {
            let groups = all(DESCRIBE_AUTO_SCALING_GROUPS, async |token| {
                let call = region.autoscaling.describe_auto_scaling_groups().set_next_token(token);
                let call = call.set_auto_scaling_group_names(Some(some.to_vec())).max_records(MOST_GROUPS as i32);
                let page = self.ask(region, DESCRIBE_AUTO_SCALING_GROUPS, || call.clone().send()).await?;
                Ok((page.auto_scaling_groups.unwrap_or_default(), page.next_token))
            });
            found.extend(groups.await?);
        }
        Ok(found)
    }

    /// By a filter and not by id, because one that is gone fails the whole call.
    async fn members_beside(
        &self,
        region: &Region,
        groups: &[AutoScalingGroup],
        known: &[types::Instance],
    ) -> Result<Vec<types::Instance>, Failure> {
        let known: BTreeSet<&str> = known.iter().filter_map(types::Instance::instance_id).collect();
        let members = groups.iter().flat_map(AutoScalingGroup::instances).filter_map(|member| member.instance_id());
        let others: Vec<&str> = members.filter(|id| !known.contains(id)).collect();
        let mut found = Vec::new();
        for some in others.chunks(MOST_VALUES) {
            let call = |token| {
                let ids = filter("instance-id", some.iter().copied());
                region.ec2.describe_instances().filters(ids).set_next_token(token)
            };
            let instances = all(DESCRIBE_INSTANCES, async |token| {
                let page = self.ask(region, DESCRIBE_INSTANCES, || call(token.clone()).send()).await?;
                let reservations = page.reservations.unwrap_or_default().into_iter();
                Ok((reservations.flat_map(|one| one.instances.unwrap_or_default()).collect(), page.next_token))
            });
            found.extend(instances.await?);
        }
        Ok(found)
    }

    /// The version that a group launches from, the newest and the default one, and those of its members. None where the
    /// template is gone.
    pub(in super::super) async fn versions_of(
        &self,
        region: &Region,
        group: &AutoScalingGroup,
    ) -> Result<Vec<LaunchTemplateVersion>, Failure> {
        let Some(template) = group.launch_template() else { return Ok(Vec::new()) };
        let used = template.version().unwrap_or("$Default");
        let by_members = group.instances().iter().filter_map(|member| member.launch_template()?.version());
        let mut numbers: BTreeSet<&str> = by_members.filter(|version| version.parse::<u64>().is_ok()).collect();
        numbers.extend([used, "$Latest"]);
        let mut found: BTreeMap<i64, LaunchTemplateVersion> = BTreeMap::new();
        for number in numbers {
            // One at a time: the newest and the default are given only to who asks for nothing else.
            let call = region.ec2.describe_launch_template_versions().versions(number);
            let call = call.set_launch_template_id(template.launch_template_id().map(str::to_owned));
            let page = match self.ask(region, DESCRIBE_LAUNCH_TEMPLATE_VERSIONS, || call.clone().send()).await {
                Err(failure) if failure.is(ErrorKind::NotFound) => continue,
                answer => answer?,
            };
            let versions = page.launch_template_versions.unwrap_or_default();
            found.extend(versions.into_iter().filter_map(|version| Some((version.version_number()?, version))));
        }
        Ok(found.into_values().collect())
    }
}
