//! A case as written: a settled cluster, and in what it differs from one.
//!
//! Slots are `a`, `b`, `c` …; slot `a` has instance `i-a`, volume `vol-a` (and `vol-a-logs`) and member `m-a`, which
//! leads. All run `ami-a`. Instants are written `30s ago` or `in 5m`, generations `gen(ami-b)`.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use hermitcrab::ids::{Generation, ImageId};
use hermitcrab::make::{CapacityReservation, Placement};
use hermitcrab::observed::Remains;
use hermitcrab::plan::Goal;
use hermitcrab::spec::load::check;
use hermitcrab::spec::words::Word;
use hermitcrab::spec::{
    Addresses, ApplicationSpec, Approval, Capacity, ClusterSpec, CommandRules, CommandSpec, ConsulSpec, EtcdSpec,
    HttpSpec, InstanceSpec, Lag, Leads, Needed, OnFailure, Original, Rehearsal, Rollout, RootVolumeSpec, Scheme, Seed,
    SlotSpec, SnapshotBeforeReplace, Strategy, VolumeSpec, Window, WindowKind, ZookeeperSpec,
};
use hermitcrab::time::{Timestamp, after, before};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The cluster that every case begins with.
const DECLARED: &str = "\
apiVersion: hermitcrab/v1
kind: Cluster
metadata: { name: consul }
spec:
  region: us-east-1
  image: ami-0aa11bb22cc33dd44
  application:
    consul: { datacenter: dc1, scheme: http, port: 8500 }
  instance: { type: m7i.large, securityGroups: [sg-0123456789abcdef0] }
  volumes:
    - { name: data, device: /dev/sdf, size: 20GiB, type: gp3, encrypted: true }
    - { name: logs, device: /dev/sdg, size: 20GiB, type: gp3, encrypted: true }
  slots:
    - { name: a, zone: us-east-1a, subnet: subnet-a }
    - { name: b, zone: us-east-1b, subnet: subnet-b }
    - { name: c, zone: us-east-1c, subnet: subnet-c }
";

/// A case file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Case {
    /// The number of the cluster's slots.
    #[serde(default = "three")]
    pub slots: usize,
    /// The number of each slot's volumes: `data`, and `logs` beside it.
    #[serde(default = "one")]
    pub volumes: usize,
    /// Nothing of it exists yet.
    #[serde(default)]
    pub blank: bool,
    /// The cluster has settled with the fixed addresses that `desired` may declare.
    #[serde(default)]
    pub addresses: bool,
    /// In what the desired state differs.
    #[serde(default)]
    pub desired: Desired,
    /// In what the world differs, by name of the thing.
    #[serde(default)]
    pub observed: Map<String, Value>,
    /// Later moments, each on top of what went before.
    #[serde(default)]
    pub then: Vec<Moment>,
}

/// A later moment.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moment {
    /// The differences from a settled world.
    pub when: String,
    /// The desired state from now on, if it changed.
    pub desired: Option<Desired>,
    /// In what the world differs from before.
    #[serde(default)]
    pub observed: Map<String, Value>,
}

/// The desired state, where it differs from the usual one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Desired {
    image: Option<String>,
    account: Option<String>,
    instance_type: Option<String>,
    placement: Placement,
    root_volume: Option<RootVolumeSpec>,
    /// The size of each volume in GiB.
    volume_size: Option<u32>,
    capacity_reservation: Option<CapacityReservation>,
    tags: BTreeMap<String, String>,
    /// As the file says it.
    snapshot: Value,
    recreate: bool,
    launch_ahead_off: bool,
    hold: bool,
    approval: Option<String>,
    /// `right` is the id that is asked for.
    pub approved: Option<String>,
    rehearsal: bool,
    allow: Option<String>,
    deny: Option<String>,
    /// Names of slots and clusters that are left behind on purpose.
    left_behind: Vec<String>,
    suspend: bool,
    freeze: bool,
    manage_autopilot: bool,
    version: Option<String>,
    /// The members are those of etcd, not Consul servers.
    etcd: bool,
    /// The members are ZooKeeper servers.
    zookeeper: bool,
    /// The members are those of a program's, which is told of each that is about to be stopped.
    prepares: bool,
    /// Each slot has a fixed address: `10.0.9.1` for slot `a`, and so on.
    addresses: bool,
    /// The Auto Scaling group that is adopted.
    group: Option<String>,
    /// Volumes that are no longer declared.
    forgotten: Vec<String>,
    /// Slots that are no longer declared.
    undeclared: Vec<String>,
    /// Whether the cluster is a copy of a cluster `prod`, whose first slot begins with a copy of `vol-prod-data`, and so on.
    copy: bool,
    /// The cluster is to be no more, and this is to remain.
    destroy: Option<Remains>,
}

impl Case {
    /// The desired state that the cluster has settled on.
    pub fn settled_on(&self) -> Desired {
        Desired { addresses: self.addresses, ..Desired::default() }
    }
}

fn three() -> usize {
    3
}

fn one() -> usize {
    1
}

impl Desired {
    /// Returns the goal for the cluster.
    pub fn goal(&self) -> Goal {
        self.destroy.map_or(Goal::AsDeclared, Goal::Gone)
    }

    /// The desired state in full: a file that is read as every file is, and in what this case differs from it.
    pub fn spec(&self, slots: usize, volumes: usize) -> ClusterSpec {
        let declared = check(Path::new("test/consul.yaml"), DECLARED).specs().next().unwrap().1.clone();
        let slots = names(slots).filter(|name| !self.undeclared.contains(name));
        let slot = |name: String| SlotSpec {
            zone: zone(&name).into(),
            subnet: subnet(&name),
            address: self.addresses.then(|| fixed_address(&name)),
            name: (*name).into(),
        };
        let volume = |volume: VolumeSpec| VolumeSpec {
            snapshot_before_replace: self.snapshot(),
            size_gib: self.volume_size.unwrap_or(volume.size_gib),
            ..volume
        };
        let consul = ConsulSpec {
            version: self.version.clone(),
            manage_autopilot: self.manage_autopilot,
            ..declared.application.consul().unwrap().clone()
        };
        ClusterSpec {
            account: self.account.clone(),
            image: self.image.as_deref().unwrap_or("ami-a").into(),
            application: match (self.etcd, self.zookeeper, self.prepares) {
                (true, ..) => self.etcd(),
                (false, true, _) => self.zookeeper(),
                (false, false, true) => self.command(),
                (false, false, false) => ApplicationSpec::Consul(consul),
            },
            instance: InstanceSpec {
                instance_type: self.instance_type.as_deref().unwrap_or("m7i.large").into(),
                security_groups: ["sg-1".to_owned()].into(),
                tags: self.tags.clone(),
                placement: self.placement.clone(),
                root_volume: self.root_volume.clone(),
                capacity_reservation: self.capacity_reservation.clone(),
                ..declared.instance
            },
            capacity: self.group.clone().map_or(Capacity::Instances, Capacity::AutoScalingGroup),
            volumes: declared
                .volumes
                .into_iter()
                .take(volumes)
                .filter(|declared| !self.forgotten.contains(&declared.name.to_string()))
                .map(volume)
                .collect(),
            slots: slots.map(slot).collect(),
            rollout: self.rollout(),
            suspend: self.suspend,
            freeze: self.freeze,
            left_behind: self.left_behind.iter().cloned().collect(),
            origin: self.copy.then(|| self.origin(volumes)),
            ..declared
        }
    }

    fn snapshot(&self) -> SnapshotBeforeReplace {
        match &self.snapshot {
            Value::Null => SnapshotBeforeReplace::Never,
            Value::String(word) => SnapshotBeforeReplace::meant(word).unwrap(),
            boolean => SnapshotBeforeReplace::meant(&boolean.to_string()).unwrap(),
        }
    }

    fn command(&self) -> ApplicationSpec {
        ApplicationSpec::Command(CommandSpec {
            program: "adapter".to_owned(),
            args: Vec::new(),
            timeout: Duration::from_secs(20),
            files: BTreeMap::new(),
            rules: CommandRules {
                needed: Needed::Quorum,
                leader: Leads::Last,
                addresses: Addresses::Any,
                lag_limit: Lag::Entries(250),
                stabilization: Duration::from_secs(20),
                forms_together: true,
                prepares: self.prepares,
            },
            canaries: false,
            version: self.version.clone(),
        })
    }

    fn zookeeper(&self) -> ApplicationSpec {
        ApplicationSpec::Zookeeper(ZookeeperSpec {
            http: plain(8080),
            four_letter_words: false,
            version: self.version.clone(),
        })
    }

    fn etcd(&self) -> ApplicationSpec {
        ApplicationSpec::Etcd(EtcdSpec {
            http: plain(2379),
            username: None,
            password_file: None,
            version: self.version.clone(),
        })
    }

    fn origin(&self, volumes: usize) -> Original {
        let of = |name: &str| (name.into(), format!("vol-prod-{name}").as_str().into());
        let volumes = ["data", "logs"].into_iter().take(volumes).map(of).collect();
        Original { cluster: "prod".into(), seed: Some(Seed { slot: "a".into(), volumes }) }
    }

    fn rollout(&self) -> Rollout {
        let seconds = std::time::Duration::from_secs;
        let allowed = self.allow.iter().map(|schedule| window(WindowKind::Allow, schedule));
        let denied = self.deny.iter().map(|schedule| window(WindowKind::Deny, schedule));
        Rollout {
            strategy: if self.recreate { Strategy::Recreate } else { Strategy::Surge },
            bake_time: seconds(60),
            join_deadline: seconds(600),
            on_failure: if self.hold { OnFailure::Hold } else { OnFailure::Rollback },
            approval: match self.approval.as_deref() {
                None => Approval::Never,
                Some("canary") => Approval::Canary,
                Some("everySlot") => Approval::EverySlot,
                Some(other) => panic!("unknown approval {other}"),
            },
            approved: self.approved.as_deref().map(Into::into),
            rehearsal: if self.rehearsal { Rehearsal::Required } else { Rehearsal::Optional },
            windows: allowed.chain(denied).collect(),
            launch_ahead: !self.launch_ahead_off,
        }
    }
}

/// `0 22 * * * for 4h`, in UTC.
fn window(kind: WindowKind, text: &str) -> Window {
    let (schedule, hours) = text.split_once(" for ").unwrap();
    let hours: u64 = hours.trim_end_matches('h').parse().unwrap();
    Window::new(kind, schedule, std::time::Duration::from_secs(hours * 3_600), "UTC").unwrap()
}

/// The names of slots.
pub fn names(count: usize) -> impl Iterator<Item = String> {
    ('a'..='i').take(count).map(String::from)
}

/// The zone of a slot's name: three of them, in turn.
pub fn zone(slot: &str) -> String {
    let index = slot.bytes().next().unwrap_or(b'a') - b'a';
    format!("us-east-1{}", char::from(b'a' + index % 3))
}

/// The subnet of a slot's name.
pub fn subnet(slot: &str) -> String {
    format!("subnet-{}", &zone(slot)[9..])
}

/// The way to members that speak plain HTTP at a port.
fn plain(port: u16) -> HttpSpec {
    HttpSpec {
        scheme: Scheme::Http,
        port,
        ca_file: None,
        client_cert_file: None,
        client_key_file: None,
        server_name: None,
    }
}

/// The fixed address of a slot's name, where slots have one.
pub fn fixed_address(slot: &str) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 9, slot.bytes().next().unwrap_or(b'a') - b'a' + 1)
}

/// The moment of every decision: a Monday at noon.
pub fn now() -> Timestamp {
    "2026-01-05T12:00:00Z".parse().unwrap()
}

/// Spells out instants and generations wherever they stand.
pub fn spelled(value: Value, generation: &dyn Fn(&str) -> Generation) -> Value {
    match value {
        Value::String(text) => Value::String(spelled_text(&text, generation)),
        Value::Array(items) => items.into_iter().map(|item| spelled(item, generation)).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, field)| (key, spelled(field, generation))).collect(),
        other => other,
    }
}

fn spelled_text(text: &str, generation: &dyn Fn(&str) -> Generation) -> String {
    if let Some((image, own)) = text.strip_prefix("gen(").and_then(|rest| rest.split_once(')')) {
        return format!("{}{own}", generation(&ImageId::from(image)));
    }
    let instant = match (text.strip_suffix(" ago"), text.strip_prefix("in ")) {
        (Some(span), _) => span_of(span).map(|span| before(now(), span)),
        (None, Some(span)) => span_of(span).map(|span| after(now(), span)),
        (None, None) => None,
    };
    instant.map_or_else(|| text.to_owned(), |instant| instant.to_string())
}

/// `90s`, `5m`, `2h`.
fn span_of(text: &str) -> Option<std::time::Duration> {
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        _ => return None,
    };
    let count: u64 = text[..text.len() - 1].parse().ok()?;
    Some(std::time::Duration::from_secs(count * unit))
}
