//! Calls about a group, as Auto Scaling carries them out.

use std::sync::Arc;

use crate::action::{GroupEffect, Recruitment};
use crate::ids::{ClusterName, InstanceId};
use crate::observed::{InstanceState, Lifecycle, Origin};
use crate::ports::{ErrorKind, Outcome};
use crate::sim::words::{Refusal, changed};

use super::group::ScalingGroup;
use super::happened::Happened;
use super::region::Region;

impl Region {
    fn group(&self, name: &str) -> Result<&ScalingGroup, Refusal> {
        self.groups.get(name).ok_or_else(|| invalid(&format!("AutoScalingGroup name not found - {name}")))
    }

    /// Carries out a call as Auto Scaling does.
    pub(super) fn send_to_group(&mut self, name: &str, effect: &GroupEffect) -> Result<Outcome, Refusal> {
        let group = self.group(name)?;
        let seen = &group.seen;
        match effect {
            GroupEffect::Join { instance } => {
                let free = self.group_with(instance).is_none();
                if !free || self.machine(instance)?.seen.state != InstanceState::Running || seen.desired >= seen.max {
                    return Err(invalid(&format!("{instance} cannot be attached")));
                }
                self.regroup(instance, Some(name));
            }
            GroupEffect::Leave { instance } => {
                let serves = seen.members.get(instance).is_some_and(|member| member.lifecycle == Lifecycle::InService);
                if !serves || seen.desired <= seen.min {
                    return Err(invalid(&format!("{instance} cannot be detached")));
                }
                self.regroup(instance, None);
            }
            GroupEffect::Protect { instance } | GroupEffect::Vouch { instance }
                if !seen.members.contains_key(instance) =>
            {
                return Err(invalid(&format!("{instance} is not part of {name}")));
            }
            GroupEffect::Resize { to, .. } if *to < seen.min || *to > seen.max => {
                return Err(invalid("desired capacity beyond the limits"));
            }
            GroupEffect::CreateTemplateVersion(version) if group.made.contains_key(&version.token) => {
                return Ok(Outcome::Done);
            }
            _ => {}
        }
        self.edit_group(name, |group| group.take_effect(effect));
        Ok(Outcome::Done)
    }

    /// Sets or takes away the tag that is Auto Scaling's own.
    fn regroup(&mut self, id: &InstanceId, group: Option<&str>) {
        if let Some(machine) = self.instances.get_mut(id) {
            machine.seen.auto_scaling_group = group.map(str::to_owned);
        }
    }

    /// `CreateTags` on an instance that a group has launched: the instance becomes one of the slot's.
    pub(super) fn recruit_instance(&mut self, name: &ClusterName, wanted: &Recruitment) -> Result<Outcome, Refusal> {
        let tags = self.clusters.get(name).map(|holdings| holdings.tags.clone()).unwrap_or_default();
        self.machine(&wanted.instance)?;
        let Some(machine) = self.instances.get_mut(&wanted.instance) else { return Ok(Outcome::AlreadySo) };
        if !machine.seen.slot.is_empty() {
            let attempt = machine.seen.attempt().unwrap_or_default();
            let same = machine.seen.slot == wanted.slot && attempt == wanted.attempt;
            let found = || changed("no slot's", format!("{attempt} of {}", machine.seen.slot));
            return Ok(if same { Outcome::AlreadySo } else { found() });
        }
        if !machine.seen.state.is_live() {
            return Ok(changed("pending or running", machine.seen.state.to_string()));
        }
        machine.seen.slot = wanted.slot.clone();
        machine.seen.owner = Some(wanted.owner.clone());
        machine.seen.origin = Origin::Launched { attempt: wanted.attempt, generation: Some(wanted.generation.clone()) };
        Arc::make_mut(&mut machine.seen.make).user_data = wanted.user_data.clone();
        machine.seen.tags = tags;
        machine.is_told_of(wanted.volumes.clone());
        if let Some(holdings) = self.clusters.get_mut(name) {
            holdings.instances.insert(wanted.instance.clone());
        }
        self.changed(name);
        self.happens(Happened::GuestLooks(wanted.instance.clone()));
        Ok(Outcome::Done)
    }
}

fn invalid(text: &str) -> Refusal {
    Refusal::new(ErrorKind::Invalid, format!("ValidationError: {text}"))
}
