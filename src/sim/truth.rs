//! The ground truth of the simulated world: what is, and what is due when.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::event::{Event, SlotLine, UpDown, Violation, What};
use super::faults::Faults;
use super::group::GroupTruth;
use super::pace::Pace;
use super::records::{Cluster, Controller, Declared, Disk, Shell, SlotTruth, Spent, Subnet, Weather};
use super::throttle::{Bucket, Level};
use super::{Payload, store};
use crate::action::{CreateVolume, Launch};
use crate::ids::{ClusterName, ImageId, InstanceId, SlotName, SnapshotId, VolumeId, Zone};
use crate::observed::Catalogue;
use crate::ports::Wanted;
use crate::spec::ClusterSpec;
use crate::time::{Timestamp, after};

/// Milliseconds since the world began.
pub(super) type Millis = u64;

/// Monday 2026-01-05T09:00:00Z: when every world begins.
pub(super) const EPOCH: Timestamp = Timestamp::constant(1_767_603_600, 0);

/// Everything there is.
#[derive(Serialize, Deserialize)]
pub(super) struct Truth {
    pub now: Millis,
    #[serde(with = "store::seed")]
    pub rng: Rng,
    pub faults: Faults,
    pub images: BTreeMap<ImageId, Payload>,
    pub zones: BTreeMap<Zone, Weather>,
    pub subnets: BTreeMap<String, Subnet>,
    pub launched: BTreeMap<String, Spent<Launch, InstanceId>>,
    pub created: BTreeMap<String, Spent<CreateVolume, VolumeId>>,
    pub instances: BTreeMap<InstanceId, Shell>,
    pub volumes: BTreeMap<VolumeId, Disk>,
    /// What each snapshot holds.
    #[serde(default)]
    pub saved: BTreeMap<SnapshotId, Disk>,
    pub clusters: BTreeMap<ClusterName, Cluster>,
    #[serde(default)]
    pub groups: BTreeMap<String, GroupTruth>,
    #[serde(with = "store::pairs")]
    pub buckets: BTreeMap<Bucket, Level>,
    pub controllers: BTreeMap<u8, Controller>,
    pub events: Vec<Event>,
    pub violations: Vec<Violation>,
    /// Accepted mutating calls, by the effect's name.
    pub calls: BTreeMap<String, u64>,
    #[serde(with = "store::pairs")]
    due: BTreeMap<(Millis, u64), Tick>,
    sequence: u64,
    last_id: u64,
    #[serde(skip)]
    pub sleepers: BTreeMap<(Millis, u64), Waker>,
    #[serde(skip)]
    last_sleeper: u64,
    #[serde(skip)]
    pub pace: Option<Pace>,
    #[serde(skip)]
    pub autosave: Option<PathBuf>,
    /// What the last sweep asked of the region and was told; kept so that unchanged views can be shared.
    #[serde(skip)]
    pub catalogue: Option<(Wanted, Arc<Catalogue>)>,
}

/// Something due at a certain moment. A turn that has passed since makes it void.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Tick {
    /// An instance comes to its next state.
    Instance(InstanceId, u32),
    /// Its guest can mount.
    Booted(InstanceId, u32),
    /// Its status checks pass.
    Checked(InstanceId, u32),
    /// Its guest mounts the volumes and starts the member.
    Mounted(InstanceId, u32),
    /// A volume comes to its next state.
    Volume(VolumeId, u32),
    /// A snapshot is completed.
    Snapshot(ClusterName, SnapshotId),
    /// The application of a cluster looks around.
    Consul(ClusterName),
    /// The world does something unkind.
    Mischief,
    /// Somebody puts back what was taken from an instance.
    Amends(InstanceId, super::meddle::Amends),
    /// An Auto Scaling group looks at its members.
    Group(String),
}

impl Truth {
    pub(super) fn new(seed: u64, level: super::FaultLevel) -> Self {
        let mut rng = Rng::with_seed(seed);
        let faults = Faults::draw(level, &mut rng);
        let mut truth = Self {
            now: 0,
            rng,
            faults,
            images: BTreeMap::new(),
            zones: BTreeMap::new(),
            subnets: BTreeMap::new(),
            launched: BTreeMap::new(),
            created: BTreeMap::new(),
            instances: BTreeMap::new(),
            volumes: BTreeMap::new(),
            saved: BTreeMap::new(),
            clusters: BTreeMap::new(),
            groups: BTreeMap::new(),
            buckets: BTreeMap::new(),
            controllers: BTreeMap::new(),
            events: Vec::new(),
            violations: Vec::new(),
            calls: BTreeMap::new(),
            due: BTreeMap::new(),
            sequence: 0,
            last_id: 0,
            sleepers: BTreeMap::new(),
            last_sleeper: 0,
            pace: None,
            autosave: None,
            catalogue: None,
        };
        truth.plan_mischief();
        truth
    }

    pub(super) fn timestamp(&self, at: Millis) -> Timestamp {
        after(EPOCH, Duration::from_millis(at))
    }

    pub(super) fn seconds(&self) -> f64 {
        self.now as f64 / 1_000.0
    }

    /// A number that was never given before.
    pub(super) fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// Orders sleepers that wake at the same time.
    pub(super) fn next_sleeper(&mut self) -> u64 {
        self.last_sleeper += 1;
        self.last_sleeper
    }

    /// An id in EC2's manner, unique in this world.
    pub(super) fn new_id(&mut self, prefix: &str) -> String {
        self.last_id += 1;
        format!("{prefix}-{:08x}{:09x}", self.rng.u32(..), self.last_id)
    }

    pub(super) fn schedule(&mut self, span: Millis, tick: Tick) {
        let key = (self.now + span, self.next_sequence());
        self.due.insert(key, tick);
    }

    pub(super) fn next_due(&self) -> Option<Millis> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Runs every event up to `target`, and then it is that time. Time never goes back.
    pub(super) fn advance_to(&mut self, target: Millis) {
        while let Some(entry) = self.due.first_entry() {
            let at = entry.key().0;
            if at > target {
                break;
            }
            let tick = entry.remove();
            self.now = self.now.max(at);
            self.happen(tick);
            self.record_versions();
        }
        self.now = self.now.max(target);
        while let Some(entry) = self.sleepers.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            entry.remove().wake();
        }
    }

    fn happen(&mut self, tick: Tick) {
        match tick {
            Tick::Instance(id, turn) => self.instance_turns(&id, turn),
            Tick::Booted(id, turn) => self.guest_booted(&id, turn),
            Tick::Checked(id, turn) => self.instance_checked(&id, turn),
            Tick::Mounted(id, turn) => self.guest_mounts(&id, turn),
            Tick::Volume(id, turn) => self.volume_turns(&id, turn),
            Tick::Snapshot(cluster, id) => self.snapshot_completes(&cluster, &id),
            Tick::Consul(cluster) => self.consul_due(&cluster),
            Tick::Mischief => self.mischief(),
            Tick::Amends(id, amends) => self.make_amends(&id, amends),
            Tick::Group(name) => self.group_acts(&name),
        }
    }

    /// Makes a cluster known, or known anew after its spec changed.
    pub(super) fn declare(&mut self, spec: &ClusterSpec) {
        let declared = Declared::of(spec);
        for slot in &spec.slots {
            self.subnet(&slot.subnet);
        }
        let now = self.now;
        let cluster = self.clusters.entry(spec.name.clone()).or_insert_with(|| Cluster::new(declared.clone()));
        for name in declared.slots.keys() {
            cluster.slots.entry(name.clone()).or_insert_with(|| SlotTruth::empty(now));
        }
        cluster.consul.expect = declared.slots.len();
        cluster.declared = declared;
        self.found_group(spec);
    }

    pub(super) fn subnet(&mut self, name: &str) -> &mut Subnet {
        let number = self.subnets.len() as u8;
        self.subnets.entry(name.to_owned()).or_insert(Subnet { number, given: 9, free: 250 })
    }

    /// Notes that EC2 would now say something else of a cluster.
    pub(super) fn changed(&mut self, cluster: &ClusterName) {
        if let Some(cluster) = self.clusters.get_mut(cluster) {
            cluster.changed = true;
            cluster.view = None;
        }
    }

    pub(super) fn tell(&mut self, what: What) {
        let event = Event { t: self.seconds(), what };
        self.events.push(event);
    }

    pub(super) fn violate(&mut self, cluster: &ClusterName, invariant: &str, detail: String) {
        let same = |old: &Violation| old.cluster == *cluster && old.invariant == invariant && old.detail == detail;
        if self.violations.iter().any(same) {
            return;
        }
        let violation =
            Violation { t: self.seconds(), cluster: cluster.clone(), invariant: invariant.to_owned(), detail };
        self.tell(What::Violation {
            cluster: cluster.clone(),
            invariant: violation.invariant.clone(),
            detail: violation.detail.clone(),
        });
        self.violations.push(violation);
    }

    /// The transcript's first line for a cluster.
    pub(super) fn tell_world(&mut self, name: &ClusterName) {
        let Some(cluster) = self.clusters.get(name) else { return };
        let slots = cluster.declared.slots.iter().map(|(slot, zone)| self.slot_line(cluster, slot, zone)).collect();
        self.tell(What::World { cluster: name.clone(), slots });
    }

    fn slot_line(&self, cluster: &Cluster, slot: &SlotName, zone: &Zone) -> SlotLine {
        let mut shells = cluster.instances.iter().filter_map(|id| self.instances.get(id));
        let shell = shells.rfind(|shell| shell.seen.slot == *slot && shell.seen.state.is_live());
        let disks = cluster.volumes.iter().filter_map(|id| self.volumes.get(id));
        SlotLine {
            slot: slot.clone(),
            zone: zone.clone(),
            instance: shell.map(|shell| shell.seen.id.clone()),
            image: shell.map(|shell| shell.seen.image.clone()),
            volumes: disks.filter(|disk| disk.seen.slot == *slot).map(|disk| disk.seen.id.clone()).collect(),
            role: cluster.consul.role(slot).to_owned(),
        }
    }

    /// Looks at each slot's member, and tells and counts what changed. Call after every change to an application.
    pub(super) fn watch_members(&mut self, name: &ClusterName) {
        let now = self.now;
        let Some(cluster) = self.clusters.get_mut(name) else { return };
        let mut told = Vec::new();
        for (slot, truth) in &mut cluster.slots {
            let holder = cluster.consul.healthy_voter(slot, now);
            if let Some(shell) = holder.and_then(|instance| self.instances.get_mut(instance)) {
                shell.proven = true;
            }
            if truth.up == holder.is_some() {
                continue;
            }
            if holder.is_some() && truth.was_up {
                truth.down += now - truth.since;
            }
            truth.up = holder.is_some();
            truth.since = now;
            truth.was_up = true;
            if truth.up {
                truth.ours = false;
            }
            told.push((slot.clone(), if truth.up { UpDown::Up } else { UpDown::Down }));
        }
        for (slot, state) in told {
            self.tell(What::Member { cluster: name.clone(), slot, state });
        }
    }
}
