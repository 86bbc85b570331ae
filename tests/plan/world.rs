//! The world of a case: a settled cluster as plain JSON, changed by name, and read as an observation.

use std::collections::BTreeMap;
use std::sync::Arc;

use hermitcrab::action::{CloudEffect, Effect};
use hermitcrab::ids::{Attempt, ClusterName, ImageId};
use hermitcrab::observed::{
    Catalogue, CloudView, CreationAnswer, Followed, Group, LastCreation, LastLaunch, LaunchAnswer, Nature, Observation,
    Reading, Related, Relation, Setback,
};
use hermitcrab::plan::{Look, Plan, plan};
use hermitcrab::spec::ClusterSpec;
use hermitcrab::time::{Timestamp, before};
use serde_json::{Map, Value, json};

use crate::case::{names, now, spelled, subnet, zone};

/// The observed things, by name: `i-…`, `vol-…`, `m-…`, `snap-…`, and a few words of their own.
pub struct World {
    /// The spec on whose settings the cluster settled.
    settled_on: ClusterSpec,
    things: Map<String, Value>,
    /// The attempt that a claim in this case makes.
    next_attempt: usize,
}

impl World {
    /// A settled cluster, or nothing at all.
    pub fn new(spec: &ClusterSpec, blank: bool) -> Self {
        let slots: Vec<_> = spec.slots.iter().map(|slot| slot.name.to_string()).collect();
        let mut world = Self { settled_on: spec.clone(), things: Map::new(), next_attempt: slots.len() + 1 };
        world
            .things
            .insert("images".into(), json!({ "ami-a": "available", "ami-b": "available", "ami-c": "available" }));
        if blank {
            world.next_attempt = 1;
            return world;
        }
        for (index, slot) in slots.iter().enumerate() {
            world.settle(slot, index + 1, &slots);
        }
        world.things.insert("leader".into(), json!("m-a"));
        world
    }

    fn settle(&mut self, slot: &str, attempt: usize, all: &[String]) {
        let (spec, instance) = (self.settled_on.clone(), format!("i-{slot}"));
        let launched = self.launched(&instance, &spec, attempt, "1h ago");
        self.things.insert(instance.clone(), launched);
        for volume in &spec.volumes {
            let id = volume_id(slot, &volume.name);
            let made = json!({
                "id": id, "slot": slot, "name": volume.name, "owner": "us", "slots": all, "generation": "gen(ami-a)",
                "image": "ami-a", "attempt": attempt, "rejected": null, "state": "available", "zone": zone(slot),
                "sizeGib": volume.size_gib, "impaired": null, "modifying": false,
            });
            self.things.insert(id.clone(), made);
            self.place(&id, "attached", &instance, "1h ago".into());
        }
        let member = json!({
            "id": format!("m-{slot}"), "slot": slot, "address": address(&instance), "counts": true,
            "health": "healthy", "stableSince": "1h ago", "lag": { "entries": 0 }, "version": "1.20.1",
        });
        self.things.insert(format!("m-{slot}"), member);
        if let Some(fixed) = fixed_address(&spec, slot) {
            self.things[&format!("m-{slot}")]["address"] = fixed;
            self.assign(&instance);
        }
    }

    /// Moves to an instance the fixed address that it was launched for.
    fn assign(&mut self, instance: &str) {
        let address = self.things[instance]["fixedAddress"].clone();
        for thing in self.things.values_mut() {
            if let Some(secondary) = thing.pointer_mut("/interface/secondary").and_then(Value::as_array_mut) {
                secondary.retain(|has| *has != address);
            }
        }
        self.things[instance]["interface"]["secondary"] = json!([address]);
    }

    /// An instance as we launch it: running, its status checks passed, without a volume.
    fn launched(&self, id: &str, spec: &ClusterSpec, attempt: usize, when: &str) -> Value {
        let slot = slot_of(id);
        json!({
            "id": id, "slot": slot, "owner": "us", "generation": format!("gen({})", spec.image), "attempt": attempt,
            "retired": false, "state": "running", "stateReason": null, "stateSince": when, "launchedAt": when,
            "checks": "ok", "image": spec.image, "instanceType": spec.instance.instance_type, "zone": zone(slot),
            "subnet": subnet(slot), "address": address(id), "iamInstanceProfile": null, "securityGroups": ["sg-1"],
            "keyName": null, "userData": null, "tags": {}, "devices": [], "autoScalingGroup": null,
            "scheduledEvents": [], "fixedAddress": fixed_address(spec, slot),
            "interface": { "id": id.replacen('i', "eni", 1), "secondary": [] },
        })
    }

    /// Changes what the case says, under the spec of that moment.
    pub fn change(&mut self, spec: &ClusterSpec, changes: &Map<String, Value>) {
        for (name, change) in changes {
            if change.is_null() {
                self.things.remove(name);
                self.unlist(name);
                continue;
            }
            let mut change = change.clone();
            let moves = ["at", "attaching", "detaching", "busy"].map(|how| (how, take(&mut change, how)));
            let since =
                name.starts_with("vol").then(|| take(&mut change, "since")).flatten().unwrap_or("1m ago".into());
            let on = take(&mut change, "on");
            let fixed = take(&mut change, "fixed");
            let fresh = || match name.split('-').next() {
                Some("i") => self.launched(name, spec, self.next_attempt, "2m ago"),
                Some("vol") => json!({
                    "id": name, "slot": slot_of(name), "name": "data", "owner": "us", "slots": [slot_of(name)],
                    "generation": null, "image": null, "attempt": 0, "rejected": null, "state": "available",
                    "zone": zone(slot_of(name)), "sizeGib": 20, "impaired": null, "modifying": false,
                }),
                Some("m") => json!({
                    "id": name, "slot": slot_of(name), "address": null, "counts": true, "health": "healthy",
                    "stableSince": null, "lag": { "entries": 0 }, "version": "1.20.1",
                }),
                Some("snap") => json!({
                    "id": name, "volume": name.replacen("snap", "vol", 1), "attempt": self.next_attempt, "state": "pending",
                }),
                Some("rehearsal") => json!({
                    "generation": format!("gen({})", spec.image), "from": "ami-a", "to": spec.image, "at": "1h ago",
                    "copy": format!("consul-{name}"), "unlike": [], "verdict": "passed",
                }),
                _ if name == "ending" => {
                    json!({ "since": "20m ago", "attempt": self.next_attempt, "remains": "volumes" })
                }
                _ if name == "claim" => self.claim(spec, &change),
                _ if name == "ahead" => json!({
                    "slot": "c", "attempt": self.next_attempt + 1, "generation": format!("gen({})", spec.image),
                    "image": spec.image, "request": "",
                }),
                _ => json!({}),
            };
            let thing = self.things.get(name).cloned().unwrap_or_else(fresh);
            self.things.insert(name.clone(), merged(thing, change));
            if let Some(Value::String(instance)) = on {
                self.things[name]["address"] = address(&instance).into();
            }
            match fixed.as_ref().and_then(Value::as_str) {
                Some("here") => self.assign(name),
                Some(_) => self.things[name]["interface"]["secondary"] = json!([]),
                None => {}
            }
            for (how, target) in moves {
                match (how, target) {
                    (_, None) => {}
                    ("at", Some(Value::Null)) => self.free(name),
                    ("at", Some(target)) => self.place(name, "attached", target.as_str().unwrap(), since.clone()),
                    (phase, Some(target)) => self.place(name, phase, target.as_str().unwrap(), since.clone()),
                }
            }
        }
    }

    /// A claim to replace a slot's instance with what the spec wants.
    fn claim(&self, spec: &ClusterSpec, change: &Value) -> Value {
        let slot = change["slot"].as_str().unwrap();
        let image = change.get("image").and_then(Value::as_str).unwrap_or(&spec.image);
        let version = spec.application.rules().version.filter(|_| *image == *spec.image);
        json!({
            "version": version, "slot": slot, "attempt": self.next_attempt, "tries": 0, "old": format!("i-{slot}"),
            "member": format!("m-{slot}"), "generation": format!("gen({image})"), "image": image, "since": "3m ago",
        })
    }

    fn free(&mut self, volume: &str) {
        self.unlist(volume);
        self.things[volume]["state"] = "available".into();
    }

    /// Puts a volume to an instance, in both views.
    fn place(&mut self, volume: &str, phase: &str, instance: &str, since: Value) {
        self.unlist(volume);
        let device = if volume.ends_with("-logs") { "/dev/sdg" } else { "/dev/sdf" };
        self.things[volume]["state"] =
            json!({ "in-use": { "instance": instance, "device": device, "phase": phase, "since": since } });
        if let Some(devices) = self.things.get_mut(instance).and_then(|i| i["devices"].as_array_mut()) {
            devices.push(json!({ "volume": volume, "device": device, "deleteOnTermination": false }));
        }
    }

    fn unlist(&mut self, volume: &str) {
        for thing in self.things.values_mut() {
            if let Some(devices) = thing.get_mut("devices").and_then(Value::as_array_mut) {
                devices.retain(|device| device["volume"] != *volume);
            }
        }
    }

    /// Makes the observation under a spec.
    pub fn observation(&self, spec: &ClusterSpec) -> Observation {
        let things = self.spelled(spec);
        let get = |name: &str| things.get(name).cloned().unwrap_or(Value::Null);
        let all = |kind: &str| -> Value {
            let of_kind = |name: &String| name.split('-').next() == Some(kind) && name.contains('-');
            things.iter().filter(|(name, _)| of_kind(name)).map(|(_, thing)| thing.clone()).collect()
        };
        let view = CloudView {
            instances: read(all("i")),
            volumes: read(all("vol")),
            snapshots: read(all("snap")),
            group: spec.capacity.group().and_then(|name| self.group(name, spec, &get("group"))),
            not_understood: things.get("notUnderstood").cloned().map(read).unwrap_or_default(),
            left_out: things.get("leftOut").cloned().map(read).unwrap_or_default(),
            catalogue: Arc::new(self.catalogue(spec)),
        };
        let membership = json!({
            "members": all("m"), "leader": get("leader"),
            "canTransfer": things.get("canTransfer").is_none_or(|can| can != false),
            "pruning": things.get("pruning").cloned().unwrap_or(json!("never")),
            "agreedVersion": get("agreedVersion"),
            "blockers": things.get("blockers").cloned().unwrap_or(json!([])),
        });
        let record = json!({
            "revision": 2 * self.next_attempt, "held": get("claim"), "ahead": get("ahead"),
            "lastAttempt": things.get("claim").map_or(json!(self.next_attempt - 1), |claim| claim["attempt"].clone()),
            "initialised": things.get("initialised").cloned().unwrap_or_else(|| json!([])),
            "takenBackAt": get("takenBackAt"), "ending": get("ending"), "rehearsed": all("rehearsal"),
            "creations": things.get("creations").cloned().unwrap_or_else(|| json!({})),
            "stopped": things.get("stopped").cloned().unwrap_or_else(|| json!({})),
        });
        let mut seen = Observation {
            now: now(),
            wrote: read(get("wrote")),
            cloud: reading(&get("cloud"), Arc::new(view)),
            undeclared: self.undeclared(spec, &get("undeclared")),
            membership: reading(&get("membership"), read(membership)),
            claim: reading(&get("claims"), read(record)),
            claim_kept_at: read::<Option<Vec<_>>>(get("claimKeptAt")).unwrap_or_default(),
            related: self.related(&get("related")),
            steady: self.steady(&things),
            followed: self.followed(&things),
            refused: read(get("refused")),
            creations: self.creations(&get("created")),
            watched_since: read(get("watchedSince")),
            claim_known_since: read(get("claimKnownSince")),
            setbacks: Vec::new(),
            last_launch: self.spent(&get("spent"), get("spentAt")).or_else(|| unseen(&get("launched"))),
            leaderless_since: things.get("leaderlessSince").cloned().map(read),
            regressions: things.get("regressions").cloned().map(read).unwrap_or_default(),
            kill_switch: read(get("killSwitch")),
            source: None,
            owner: "us".into(),
        };
        self.request_the_same(spec, &mut seen);
        request_ahead(spec, &mut seen);
        if let Some(since) = read::<Option<Timestamp>>(get("waiting"))
            && let Plan::Wait(waiting) = plan(spec, &seen)
        {
            seen.followed.waiting = Some((waiting.key(), since));
        }
        for said in get("setBack").as_array().into_iter().flatten() {
            self.set_back(spec, &mut seen, said);
        }
        seen
    }

    /// Makes failed creations be of just what would be created now, where the case says `request: same`.
    fn request_the_same(&self, spec: &ClusterSpec, seen: &mut Observation) {
        let mut undisturbed = seen.clone();
        undisturbed.creations.clear();
        let Reading::Seen { value, .. } = &mut undisturbed.claim else { return };
        value.creations.clear();
        let Plan::Act(action, _) = plan(spec, &undisturbed) else { return };
        let (Effect::Cloud(CloudEffect::CreateVolume(create)), Reading::Seen { value, .. }) =
            (action.effect, &mut seen.claim)
        else {
            return;
        };
        for failed in value.creations.values_mut().filter(|failed| failed.request == "same") {
            failed.request = create.wish();
        }
    }

    /// Has the action that would come next come to nothing, in one of the ways in which that happens.
    fn set_back(&self, spec: &ClusterSpec, seen: &mut Observation, said: &Value) {
        let Plan::Act(action, _) = plan(spec, seen) else { panic!("no action is planned that could come to nothing") };
        let (nature, found, times) = match said.as_str().unwrap() {
            "refused" => (Nature::Refused, "you are not authorized to perform this operation (denied)", 1),
            "no-capacity" => (Nature::NoCapacity, "InsufficientInstanceCapacity (no capacity)", 12),
            "undone" => (Nature::Undone, "expected the volume attached, found it available", 40),
            "without-effect" => (Nature::WithoutEffect, "it was carried out, and nothing came of it", 5),
            other => panic!("no setback is called {other}"),
        };
        let since = before(now(), std::time::Duration::from_secs(20 * 60));
        let (key, doing, found) = (action.deed_key(), action.doing(), found.to_owned());
        seen.setbacks.push(Setback { key, doing, found, since, times, nature });
    }

    /// Clusters that the cluster stands on or that stand on it, `below` or `above`: settled ones, but for what is said of them.
    fn related(&self, said: &Value) -> BTreeMap<ClusterName, Related> {
        let related = |(name, said): (&String, &Value)| {
            let mut other = World::new(&self.settled_on, false);
            other.change(&self.settled_on, said["observed"].as_object().unwrap_or(&Map::new()));
            let Observation { cloud, claim, membership, .. } = other.observation(&self.settled_on);
            let relation = if said["is"] == "below" { Relation::Below } else { Relation::Above };
            let slots = self.settled_on.slots.iter().map(|slot| slot.name.clone()).collect();
            (name.as_str().into(), Related { relation, slots, is_led: true, cloud, claim, membership })
        };
        said.as_object().into_iter().flatten().map(related).collect()
    }

    /// Other clusters, settled in the same place under these names.
    fn undeclared(&self, spec: &ClusterSpec, names: &Value) -> BTreeMap<ClusterName, Arc<CloudView>> {
        let view = |name: &Value| {
            let other = World::new(&self.settled_on, false).observation(spec);
            (read(name.clone()), other.cloud.seen().unwrap().clone())
        };
        names.as_array().into_iter().flatten().map(view).collect()
    }

    /// Our last creation of a volume of each slot: `volume` was made, or the token was spent.
    fn creations(&self, said: &Value) -> Vec<LastCreation> {
        let creation = |(slot, said): (&String, &Value)| LastCreation {
            slot: slot.as_str().into(),
            name: "data".into(),
            number: said.get("number").and_then(Value::as_u64).unwrap_or(0) as u32,
            token: "token".into(),
            at: read(said["at"].clone()),
            answer: match said.get("volume").and_then(Value::as_str) {
                Some("unknown") => CreationAnswer::Unknown,
                Some(volume) => CreationAnswer::Created(volume.into()),
                None => CreationAnswer::TokenSpent,
            },
        };
        said.as_object().into_iter().flatten().map(creation).collect()
    }

    /// The knowledge of a controller that has followed the cluster for ten minutes, where nothing else is said.
    fn followed(&self, things: &Map<String, Value>) -> Followed {
        let said = things.get("followed").cloned().unwrap_or_else(|| json!({}));
        let long_ago = hermitcrab::time::before(now(), std::time::Duration::from_secs(600));
        let marked = things.get("claim").map_or(Value::Null, |claim| claim["stops"].clone());
        let marked: Option<Vec<hermitcrab::ids::InstanceId>> = read(marked);
        let since = read::<Option<Timestamp>>(said["markedSince"].clone()).unwrap_or(long_ago);
        let left = things.get("stopped").and_then(Value::as_object).into_iter().flat_map(Map::keys);
        let retired = things.iter().filter(|(_, thing)| thing["retired"] == true).map(|(id, _)| id.as_str().into());
        let time = |name: &str| read::<Option<Timestamp>>(said[name].clone()).unwrap_or(long_ago);
        Followed {
            marked_since: marked.unwrap_or_default().into_iter().map(|id| (id, since)).collect(),
            prepared_since: read::<Option<BTreeMap<_, _>>>(said["preparedSince"].clone()).unwrap_or_default(),
            addressed_since: read::<Option<BTreeMap<_, _>>>(said["addressedSince"].clone()).unwrap_or_default(),
            turning_since: Some(time("turningSince")),
            retired_since: retired.map(|id| (id, time("retiredSince"))).collect(),
            let_go_since: Some(time("letGoSince")),
            left_since: left.map(|id| (id.as_str().into(), time("leftSince"))).collect(),
            waiting: None,
        }
    }

    /// Our last launch, if EC2 would not honour the token of that attempt.
    fn spent(&self, attempt: &Value, at: Value) -> Option<LastLaunch> {
        let attempt: Option<Attempt> = read(attempt.clone());
        let at = read::<Option<Timestamp>>(at).unwrap_or_else(now);
        Some(LastLaunch { attempt: attempt?, at, answer: LaunchAnswer::TokenSpent })
    }

    /// The adopted group: every settled instance in service and protected, room for one more, `ami-a` in its template.
    fn group(&self, name: &str, spec: &ClusterSpec, said: &Value) -> Option<Group> {
        if said == "absent" {
            return None;
        }
        let count = spec.slots.len();
        let member = json!({ "lifecycle": "in-service", "healthy": true, "protected": true });
        let settled = spec.slots.iter().map(|slot| (format!("i-{}", slot.name), member.clone()));
        let default = json!({
            "name": name, "min": count, "max": count + 1, "desired": count,
            "zones": ["us-east-1a", "us-east-1b", "us-east-1c"], "suspended": [], "resume": null,
            "members": settled.collect::<Map<_, _>>(), "recruits": {},
            "template": { "version": "ami-a", "latest": "ami-a", "pinned": true },
        });
        let said = if said.is_null() { json!({}) } else { said.clone() };
        let mut group = merged(default, said);
        for list in ["suspended", "resume"] {
            if group[list] == "all" {
                group[list] = json!(hermitcrab::observed::Process::ALL);
            }
        }
        group["members"].as_object_mut().unwrap().retain(|_, member| !member.is_null());
        let recruits = group["recruits"].as_object().cloned().unwrap_or_default();
        let there = recruits.iter().filter(|(_, recruit)| !recruit.is_null());
        group["recruits"] = there.map(|(id, recruit)| self.recruit(id, recruit)).collect();
        let template = take(&mut group, "template").unwrap();
        let tells_tags = take(&mut group, "tellsTags").unwrap_or(json!(true));
        let version =
            |number: u64, image: &Value| json!({ "number": number, "make": self.make(image), "tellsTags": tells_tags });
        group["launches"] = match template.as_str() {
            Some(otherwise) => json!({ "otherwise": otherwise }),
            None => {
                let latest = if template["latest"] == template["version"] { 7 } else { 8 };
                let (version, latest) = (version(7, &template["version"]), version(latest, &template["latest"]));
                let pinned = &template["pinned"];
                json!({ "template": { "id": "lt-1", "pinned": pinned, "version": version, "latest": latest } })
            }
        };
        Some(read(group))
    }

    /// Describes an instance that the group has launched in a slot's zone.
    fn recruit(&self, id: &str, said: &Value) -> Value {
        let slot = slot_of(id);
        let since = hermitcrab::time::before(now(), std::time::Duration::from_secs(60));
        let default = json!({
            "id": id, "state": "running", "launchedAt": since, "zone": zone(slot), "subnet": subnet(slot),
            "make": self.make(said.get("image").unwrap_or(&json!("ami-a"))),
        });
        let mut recruit = merged(default, said.clone());
        take(&mut recruit, "image");
        recruit
    }

    fn make(&self, image: &Value) -> Value {
        let instance = &self.settled_on.instance;
        json!({
            "image": image, "instanceType": instance.instance_type, "iamInstanceProfile": null,
            "securityGroups": instance.security_groups, "keyName": null, "userData": null,
        })
    }

    fn spelled(&self, spec: &ClusterSpec) -> Map<String, Value> {
        let generation = |image: &str| {
            let image = ImageId::from(image);
            let by = if image == spec.image { spec } else { &self.settled_on };
            by.generation_on(&image)
        };
        let spelled = spelled(Value::Object(self.things.clone()), &generation);
        spelled.as_object().cloned().unwrap()
    }

    fn image_devices(&self, image: &str) -> std::collections::BTreeMap<String, hermitcrab::observed::ImageDevice> {
        let all = self.things.get("imageDevices").and_then(|all| all.get(image)?.as_object());
        let there = all.into_iter().flatten().filter(|(_, device)| !device.is_null());
        there.map(|(name, device)| (name.clone(), read(device.clone()))).collect()
    }

    fn catalogue(&self, spec: &ClusterSpec) -> Catalogue {
        let image = |(id, state): (&String, &Value)| {
            let (state, architecture) = match state.as_str().unwrap() {
                "arm64" => ("available", "arm64"),
                state => (state, "x86_64"),
            };
            (
                id.as_str().into(),
                hermitcrab::observed::Image {
                    state: read(json!(state)),
                    architecture: architecture.into(),
                    isolates_copies: self.things.contains_key("ourGuest"),
                    root_device: (self.things.get("rootless") != Some(&json!(id))).then(|| "/dev/xvda".to_owned()),
                    devices: self.image_devices(id),
                },
            )
        };
        let types = [spec, &self.settled_on].map(|s| (s.instance.instance_type.clone(), ["x86_64".to_owned()].into()));
        Catalogue {
            account: self.things.get("account").cloned().map(read),
            images: self.things["images"]
                .as_object()
                .unwrap()
                .iter()
                .filter(|(_, state)| !state.is_null())
                .map(image)
                .collect(),
            instance_types: types
                .into_iter()
                .filter(|(name, _)| self.things.get("noType") != Some(&json!(name)))
                .collect(),
            xen_types: self.things.get("xenTypes").cloned().map(read).unwrap_or_default(),
            impaired_zones: self.things.get("impairedZones").cloned().map(read).unwrap_or_default(),
            used_addresses: self.things.get("usedAddresses").cloned().map(read).unwrap_or_default(),
        }
    }

    /// Every healthy member has been so for an hour, where nothing else is said.
    fn steady(&self, things: &Map<String, Value>) -> std::collections::BTreeMap<hermitcrab::ids::SlotName, Timestamp> {
        let said = things.get("steady").cloned().unwrap_or_else(|| json!({}));
        let since = |slot: &String| match said.get(slot) {
            Some(since) => read(since.clone()),
            None => Some(hermitcrab::time::before(now(), std::time::Duration::from_secs(3_600))),
        };
        let healthy =
            |slot: &String| things.get(&format!("m-{slot}")).is_some_and(|member| member["health"] == "healthy");
        names(9).filter(healthy).filter_map(|slot| Some((slot.as_str().into(), since(&slot)?))).collect()
    }
}

/// A reading begun a second ago, where nothing else is said.
fn reading<T>(said: &Value, value: T) -> Reading<T> {
    match (said.get("unknown").filter(|why| !why.is_null()), said.get("read")) {
        (Some(why), _) => Reading::Unknown { why: read(why.clone()) },
        (None, Some(begun)) => Reading::Seen { begun: read(begun.clone()), value },
        (None, None) => {
            Reading::Seen { begun: hermitcrab::time::before(now(), std::time::Duration::from_secs(1)), value }
        }
    }
}

/// `a` of `i-a2`, `vol-a-logs` and `m-a`.
fn slot_of(id: &str) -> &str {
    let rest = id.split_once('-').map_or(id, |(_, rest)| rest);
    &rest[..1]
}

/// The fixed address of a slot, if it has one.
fn fixed_address(spec: &ClusterSpec, slot: &str) -> Option<Value> {
    spec.slot(&slot.into())?.address.map(|address| json!(address))
}

fn volume_id(slot: &str, name: &str) -> String {
    if name == "data" { format!("vol-{slot}") } else { format!("vol-{slot}-{name}") }
}

/// 10.0.0.1 for `i-a`, 10.0.2.1 for `i-a2`.
fn address(instance: &str) -> String {
    let net: u8 = instance[3..].parse().unwrap_or_default();
    format!("10.0.{net}.{}", instance.as_bytes()[2] - b'a' + 1)
}

fn take(value: &mut Value, key: &str) -> Option<Value> {
    value.as_object_mut()?.remove(key)
}

/// Fields of the change over those of the thing, and theirs in turn. What an enum holds is replaced whole.
fn merged(thing: Value, change: Value) -> Value {
    match (thing, change) {
        (Value::Object(mut thing), Value::Object(change)) => {
            for (key, field) in change {
                let old = thing.remove(&key).unwrap_or(Value::Null);
                let whole = ["state", "checks", "health", "verdict", "observed"].contains(&key.as_str());
                thing.insert(key, if whole { field } else { merged(old, field) });
            }
            Value::Object(thing)
        }
        (_, change) => change,
    }
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value}"))
}

/// Makes a launch ahead be just the one that its slot's claim would ask for, unless the case says another request.
fn request_ahead(spec: &ClusterSpec, seen: &mut Observation) {
    let request = Look::at(spec, seen).look().and_then(|look| {
        let ahead = look.record.ahead.as_ref().filter(|ahead| ahead.request.is_empty())?;
        Some(look.launch_of(look.slot(&ahead.slot)?, ahead.attempt, &ahead.generation, &ahead.image).request())
    });
    if let (Reading::Seen { value: record, .. }, Some(request)) = (&mut seen.claim, request) {
        record.ahead.iter_mut().for_each(|ahead| ahead.request.clone_from(&request));
    }
}

/// The launch of that number, which EC2 has just answered with an instance that it does not show yet.
fn unseen(attempt: &Value) -> Option<LastLaunch> {
    let attempt = u32::try_from(attempt.as_u64()?).ok().map(Attempt)?;
    Some(LastLaunch { attempt, at: now(), answer: LaunchAnswer::Launched("i-unseen".into()) })
}
