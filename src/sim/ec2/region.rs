//! The state of the region.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::group::ScalingGroup;
use super::happened::{Due, Happened, Span};
use super::records::{Disk, Holdings, Machine, Spent, Stranger, Subnet, ZoneState};
use super::throttle::Buckets;
use super::troubles::Troubles;
use crate::action::{CloudEffect, CreateVolume, Launch};
use crate::ids::{ClusterName, ImageId, InstanceId, SnapshotId, Token, VolumeId, Zone};
use crate::observed::{Catalogue, EbsDefaults, ImageDevice};
use crate::sim::pack;
use crate::sim::time::{Millis, instant};
use crate::sim::words::Payload;
use crate::spec::ClusterSpec;
use crate::time::Timestamp;

/// Everything that EC2 knows.
#[derive(Default, Serialize, Deserialize)]
pub struct Region {
    /// Images, with what members do on them.
    pub images: BTreeMap<ImageId, Payload>,
    /// The devices that images fill by themselves.
    #[serde(default)]
    pub(super) image_devices: BTreeMap<ImageId, BTreeMap<String, ImageDevice>>,
    pub instances: BTreeMap<InstanceId, Machine>,
    pub volumes: BTreeMap<VolumeId, Disk>,
    pub groups: BTreeMap<String, ScalingGroup>,
    /// The resources that bear each cluster's tag.
    pub clusters: BTreeMap<ClusterName, Holdings>,
    /// Addresses that somebody else uses.
    #[serde(default)]
    pub strangers: BTreeMap<Ipv4Addr, Stranger>,
    /// Fixed addresses that were ever declared: a reservation of the subnet keeps EC2 from giving them out.
    #[serde(default)]
    pub(super) reserved: BTreeSet<Ipv4Addr>,
    /// The account's settings of encryption by EBS.
    #[serde(default)]
    pub ebs_defaults: EbsDefaults,
    pub buckets: Buckets,
    #[serde(default)]
    pub troubles: Troubles,
    /// Instances get addresses of this machine's own, so that their members can be reached.
    #[serde(default)]
    pub is_on_loopback: bool,
    pub(super) snapshots: BTreeMap<SnapshotId, Disk>,
    pub zones: BTreeMap<Zone, ZoneState>,
    pub subnets: BTreeMap<String, Subnet>,
    pub(super) launched: BTreeMap<String, Spent<Launch, InstanceId>>,
    pub(super) created: BTreeMap<String, Spent<CreateVolume, VolumeId>>,
    /// The last answer about the region's facts, so that views with equal ones can be shared.
    #[serde(skip)]
    pub(super) answered: Option<Arc<Catalogue>>,
    /// The moment of the present transition.
    #[serde(skip)]
    pub(super) now: Millis,
    /// The consequences of the present transition so far.
    #[serde(skip)]
    pub(super) happened: Vec<Happened>,
}

/// Makes an id that nothing has yet, e.g. of the prefix "vol".
pub type Fresh<'a> = &'a mut dyn FnMut(&str) -> String;

impl Region {
    /// Makes a cluster known, or known anew after its spec changed.
    pub fn declare(&mut self, spec: &ClusterSpec) {
        for slot in &spec.slots {
            let subnet = self.subnet(&slot.subnet);
            subnet.zone = Some(slot.zone.clone());
            slot.address.into_iter().for_each(|address| subnet.reserve(address));
        }
        self.reserved.extend(spec.slots.iter().filter_map(|slot| slot.address));
        let holdings = self.clusters.entry(spec.name.clone()).or_default();
        holdings.tags = spec.instance.tags.clone();
        holdings.group = spec.capacity.group().map(str::to_owned);
        self.found_group(spec);
    }

    /// Gives back the memory that is not needed.
    pub fn pack(&mut self) {
        pack::tree(&mut self.clusters);
        pack::tree(&mut self.instances);
        pack::tree(&mut self.volumes);
        self.instances.values_mut().for_each(|machine| pack::list(&mut machine.volumes));
    }

    /// Changes something that no call of ours changes, and says what follows from it.
    pub fn at(&mut self, now: Millis, change: impl FnOnce(&mut Self)) -> Vec<Happened> {
        self.now = now;
        change(self);
        std::mem::take(&mut self.happened)
    }

    pub(super) fn happens(&mut self, happened: Happened) {
        self.happened.push(happened);
    }

    pub(super) fn begins(&mut self, due: Due, span: Span) {
        self.happens(Happened::Begun(due, span));
    }

    pub(super) fn timestamp(&self) -> Timestamp {
        instant(self.now)
    }

    /// Finds the cluster whose request has had the client token of a call before, and says whether it was the same request.
    pub fn had_token(&self, effect: &CloudEffect) -> Option<(&ClusterName, bool)> {
        match effect {
            CloudEffect::Launch(launch) => {
                let spent = self.launched.get(&token_key(&launch.zone, &launch.token))?;
                Some((&spent.cluster, spent.request == **launch))
            }
            CloudEffect::CreateVolume(wanted) => {
                let spent = self.created.get(&token_key(&wanted.zone, &wanted.token))?;
                Some((&spent.cluster, spent.request == *wanted))
            }
            _ => None,
        }
    }

    /// Notes that EC2 would now say something else of a cluster.
    pub fn changed(&mut self, cluster: &ClusterName) {
        if let Some(holdings) = self.clusters.get_mut(cluster) {
            holdings.shown.outdate();
        }
    }
}

/// Gives the key under which a token is remembered: EC2's idempotency is zonal.
pub(super) fn token_key(zone: &Zone, token: &Token) -> String {
    format!("{zone}/{token}")
}
