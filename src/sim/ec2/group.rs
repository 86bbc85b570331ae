//! One Auto Scaling group.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::action::{GroupEffect, NewTemplateVersion};
use crate::ids::{ClusterName, Token, Zone};
use crate::make::Make;
use crate::observed::{Group, GroupMember, Launches, Lifecycle, Process, Template, TemplateVersion};
use crate::sim::time::Millis;
use crate::spec::ClusterSpec;

/// A group, with what Auto Scaling does not say of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScalingGroup {
    /// The exact answer to a reader, but for the recruits.
    pub seen: Group,
    pub cluster: ClusterName,
    /// The moment at which somebody last resumed a process.
    pub resumed: Millis,
    /// A subnet for each zone.
    pub places: BTreeMap<Zone, String>,
    /// Every version of its launch template, the first one first.
    versions: Vec<Make>,
    /// Versions by the token that they were made with.
    pub made: BTreeMap<Token, u64>,
}

impl ScalingGroup {
    /// The group that a spec adopts, with room for one instance more than there are slots.
    pub fn of(spec: &ClusterSpec, name: &str) -> Self {
        let make = spec.make();
        let version = TemplateVersion { number: 1, make: make.clone(), tells_tags: true };
        let latest = version.clone();
        let template = Template { id: format!("lt-{name}"), version, pinned: true, latest, beyond: Vec::new() };
        let seen = Group {
            name: name.to_owned(),
            min: 0,
            max: spec.slots.len() as u32 + 1,
            desired: 0,
            zones: spec.slots.iter().map(|slot| slot.zone.clone()).collect(),
            suspended: BTreeSet::new(),
            resume: None,
            members: BTreeMap::new(),
            launches: Launches::Template(Box::new(template)),
            recruits: Vec::new(),
        };
        let places = spec.slots.iter().rev().map(|slot| (slot.zone.clone(), slot.subnet.clone())).collect();
        let (versions, made) = (vec![make], BTreeMap::new());
        Self { seen, cluster: spec.name.clone(), resumed: 0, places, versions, made }
    }

    /// Lists every version of its launch template, the first one first.
    pub fn versions(&self) -> &[Make] {
        &self.versions
    }

    /// Says whether a process is not suspended.
    pub fn runs(&self, process: Process) -> bool {
        !self.seen.suspended.contains(&process)
    }

    /// Counts the members that are not set aside.
    pub fn counted(&self) -> usize {
        self.seen.members.values().filter(|member| member.counts()).count()
    }

    /// Changes as a call asks that Auto Scaling has accepted.
    pub fn take_effect(&mut self, effect: &GroupEffect) {
        let seen = &mut self.seen;
        match effect {
            GroupEffect::RecordResume { processes } => seen.resume = Some(processes.clone()),
            GroupEffect::Suspend { processes } => seen.suspended.extend(processes.iter().cloned()),
            GroupEffect::Resume { processes } => seen.suspended.retain(|process| !processes.contains(process)),
            GroupEffect::ForgetResume { .. } => seen.resume = None,
            GroupEffect::Join { instance } => {
                let member = GroupMember { lifecycle: Lifecycle::Joining, healthy: true, protected: false };
                seen.members.insert(instance.clone(), member);
                seen.desired += 1;
            }
            GroupEffect::Leave { instance } => {
                seen.members.remove(instance);
                seen.desired -= 1;
            }
            GroupEffect::Protect { instance } => {
                seen.members.entry(instance.clone()).and_modify(|member| member.protected = true);
            }
            GroupEffect::Vouch { instance } => {
                seen.members.entry(instance.clone()).and_modify(|member| member.healthy = true);
            }
            GroupEffect::Resize { to, .. } => seen.desired = *to,
            GroupEffect::LowerMinimum { .. } => seen.min = 0,
            GroupEffect::CreateTemplateVersion(version) => self.add_version(version),
            GroupEffect::UseTemplateVersion { to, .. } => {
                let make = self.versions.get(*to as usize - 1).cloned();
                if let (Launches::Template(template), Some(make)) = (&mut seen.launches, make) {
                    template.version = TemplateVersion { number: *to, make, tells_tags: true };
                    template.pinned = true;
                }
            }
        }
    }

    fn add_version(&mut self, version: &NewTemplateVersion) {
        let make = version.make.clone();
        self.versions.push(make.clone());
        let number = self.versions.len() as u64;
        self.made.insert(version.token.clone(), number);
        if let Launches::Template(template) = &mut self.seen.launches {
            template.latest = TemplateVersion { number, make, tells_tags: true };
        }
    }
}
