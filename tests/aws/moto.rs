//! Every effect, sent to moto: an EC2 endpoint understands what we send, and we see what it answers.
//!
//! Nothing is asked of moto here that it does not do: it refuses no second attachment, honours no token, and takes no time.

use std::time::Duration;

use hermitcrab::action::{CloudEffect, CreateVolume, Launch};
use hermitcrab::cloud::permissions::{Grant, Task, policy};
use hermitcrab::ids::{Attempt, Generation, ImageId, InstanceId, Owner, SlotName, Token, VolumeId};
use hermitcrab::make::{Make, UserData};
use hermitcrab::observed::{AttachmentPhase, CloudView, Instance, InstanceState, Settled, Taken, Volume, VolumeState};
use hermitcrab::ports::{Cloud, ErrorKind, Outcome};
use hermitcrab::spec::{Capacity, ClusterSpec, EbsSettings};
use libtest_mimic::Trial;

use crate::authorised::{actions, denied, is_allowed};
use crate::encryption::settings;
use crate::fetch::is_required;
use crate::fixture::{AT_ANY_TIME, OWNER, TestClock, open, spec, wanted};
use crate::left_out::left_out;
use crate::moto_addresses::addresses;
use crate::moto_adoption::{GROUP, adopt, ask, empty_a_group};
use crate::moto_copies::copy;
use crate::moto_server::MISSING;
use crate::recorder::Recorder;

/// Makes the trial.
pub fn trial() -> Trial {
    with_moto("moto_understands_every_effect", every_effect)
}

/// Makes a trial that needs moto. Where there is none it is ignored, and not quietly.
pub fn with_moto(name: &str, test: impl AsyncFnOnce() + Send + 'static) -> Trial {
    match std::env::var(MISSING) {
        Err(_) => crate::trial(name, test),
        Ok(why) if is_required() => Trial::test(name, move || Err(why.into())),
        Ok(why) => {
            eprintln!("ignored: {name}: {why}");
            Trial::test(name, || Ok(())).with_ignored_flag(true)
        }
    }
}

/// A cluster in moto, and the adapter.
pub struct Stage {
    pub ec2: aws_sdk_ec2::Client,
    pub autoscaling: aws_sdk_autoscaling::Client,
    pub aws: hermitcrab::cloud::aws::Aws<TestClock>,
    pub clock: TestClock,
    pub spec: ClusterSpec,
    pub slot: SlotName,
    /// Between the adapter and moto.
    pub recorder: Recorder,
}

impl Stage {
    pub async fn change(&self, effect: &CloudEffect) -> Outcome {
        self.try_change(effect).await.unwrap_or_else(|error| panic!("{}: {error}: {}", effect.name(), error.source))
    }

    async fn try_change(&self, effect: &CloudEffect) -> Result<Outcome, hermitcrab::ports::PortError> {
        self.clock.pass(Duration::from_secs(60));
        self.aws.change(&self.spec, Some(&self.slot), effect, &AT_ANY_TIME).await
    }

    pub async fn view(&self) -> CloudView {
        self.clock.pass(Duration::from_secs(60));
        let sweep = self.aws.sweep(&wanted(&self.spec)).await.unwrap_or_else(|error| panic!("{}", error.source));
        (*sweep.cluster(&self.spec.name)).clone()
    }

    async fn volume(&self) -> Volume {
        self.view().await.volumes().next().unwrap().clone()
    }

    async fn instance(&self, id: &InstanceId) -> Instance {
        self.view().await.instance(id).unwrap().clone()
    }

    /// Holds that every call since the last time, these among them, is allowed by the policy that is printed for a cluster, and none of
    /// them any more once its action is taken out of it.
    pub fn was_allowed(&self, spec: &ClusterSpec, task: Task, among: &[&str]) {
        let (calls, policy) = (self.recorder.take(), printed(spec, task));
        let actions = actions(&calls);
        assert!(among.iter().all(|action| actions.contains(*action)), "{actions:?}");
        is_allowed(&calls, &policy);
    }

    /// Holds that the controller may make none of the changes since the last time: they take a person.
    pub fn was_not_allowed(&self, spec: &ClusterSpec) {
        let changes = self.recorder.take().into_iter().filter(|call| call.params.is_mutating());
        let changes: Vec<_> = changes.filter(|call| call.params.service != "sts").collect();
        assert!(!changes.is_empty());
        for change in changes {
            match denied(std::slice::from_ref(&change), &printed(spec, Task::Control)) {
                Ok(denied) => assert!(!denied.is_empty(), "{} is allowed", change.action),
                Err(why) => left_out("the IAM evaluator", &why),
            }
        }
    }

    pub fn launch(&self, attempt: u32, volume: &VolumeId) -> Launch {
        let (spec, slot) = (&self.spec, self.spec.slot(&self.slot).unwrap());
        Launch {
            token: Token::from(format!("hermitcrab-{attempt}")),
            slot: slot.name.clone(),
            make: Make {
                iam_instance_profile: None,
                security_groups: [].into(),
                key_name: None,
                user_data: UserData::Digest("0123456789abcdef".to_owned()),
                ..spec.make()
            },
            user_data_text: Some("#!/bin/sh\necho hello\n".to_owned()),
            zone: slot.zone.clone(),
            subnet: slot.subnet.clone(),
            address: None,
            tags: spec.instance.tags.clone(),
            interface_tags: spec.tags.clone(),
            owner: Owner::from(OWNER),
            generation: spec.generation(),
            attempt: Attempt(attempt),
            volumes: [("data".into(), volume.clone())].into(),
            goes_with_it: std::collections::BTreeMap::new(),
            root_volume: None,
        }
    }
}

/// The policy that `iam-policy` prints.
fn printed(spec: &ClusterSpec, task: Task) -> serde_json::Value {
    let grant = Grant { task, owner: OWNER, kms_keys: &[], roles: &[], claims: None, launch_templates: &[] };
    policy(std::slice::from_ref(spec), &grant)
}

pub fn is_changed(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Changed { .. })
}

async fn prepare() -> Stage {
    let config = aws_config::defaults(aws_config::BehaviorVersion::v2026_01_12())
        .region("us-east-1")
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .load()
        .await;
    let (ec2, autoscaling) = (aws_sdk_ec2::Client::new(&config), aws_sdk_autoscaling::Client::new(&config));
    let image = ec2.register_image().name("v1").root_device_name("/dev/sda1").send().await.unwrap();
    let subnets = ec2.describe_subnets().send().await.unwrap();
    let mut spec = spec();
    spec.image = ImageId::from(image.image_id().unwrap());
    spec.volumes[0].tags.insert("cost".to_owned(), "storage".to_owned());
    for slot in &mut spec.slots {
        let there = subnets.subnets().iter().find(|subnet| subnet.availability_zone() == Some(&slot.zone));
        slot.subnet = there.unwrap().subnet_id().unwrap().to_owned();
    }
    let clock = TestClock::at("2026-11-23T00:00:00Z");
    let recorder = Recorder::start(&std::env::var("AWS_ENDPOINT_URL").unwrap());
    let (aws, slot) = (open(&clock, Some(&recorder.url)).await, spec.slots[0].name.clone());
    Stage { ec2, autoscaling, aws, clock, spec, slot, recorder }
}

async fn every_effect() {
    let stage = prepare().await;
    let seen = stage.view().await;
    assert!(seen.instances.is_empty() && seen.volumes.is_empty());
    assert_eq!(seen.catalogue.account.as_deref(), Some("123456789012"));
    assert!(seen.catalogue.images.contains_key(&stage.spec.image));
    assert_eq!(seen.catalogue.instance_types["m7i.large"], ["x86_64".to_owned()].into());
    assert!(seen.catalogue.impaired_zones.is_empty());

    let volume = make_a_volume(&stage).await;
    let old = launch(&stage, 1, &volume).await;
    fill(&stage, &old, &volume).await;
    remember(&stage, &old, &volume).await;
    grow(&stage, &old, &volume).await;
    let new = launch(&stage, 2, &volume).await;
    move_over(&stage, &old, &new, &volume).await;
    clear_away(&stage, &old, &volume).await;
    refuse_strangers(&stage, &new).await;
    ask(&stage).await;
    settings(&stage).await;
    stage.was_allowed(&stage.spec, Task::Control, &["ec2:ModifyVolume", "ec2:GetEbsDefaultKmsKeyId"]);
    copy(&stage, &volume).await;
    stage.was_allowed(&stage.spec, Task::Rehearse, &["ec2:DeleteSnapshot", "ec2:DeleteVolume"]);
    adopt(&stage).await;
    stage.was_not_allowed(&stage.spec);
    empty_a_group(&stage).await;
    let in_a_group = ClusterSpec { capacity: Capacity::AutoScalingGroup(GROUP.to_owned()), ..stage.spec.clone() };
    stage.was_allowed(&in_a_group, Task::Control, &["autoscaling:UpdateAutoScalingGroup", "autoscaling:DeleteTags"]);
    addresses(&stage).await;
    let expected = ["ok", "InvalidAMIID.NotFound", "DryRunOperation"];
    let calls = stage.aws.calls();
    assert!(calls.keys().all(|(_, code)| expected.contains(&code.as_str())), "{calls:?}");
}

async fn make_a_volume(stage: &Stage) -> VolumeId {
    let (slot, declared) = (stage.spec.slot(&stage.slot).unwrap(), &stage.spec.volumes[0]);
    let ebs = EbsSettings { iops: Some(4_000), throughput: Some(250), ..declared.ebs.clone() };
    let create = CloudEffect::CreateVolume(CreateVolume {
        token: Token::from("hermitcrab-volume"),
        slot: slot.name.clone(),
        name: declared.name.clone(),
        zone: slot.zone.clone(),
        size_gib: declared.size_gib,
        ebs: ebs.clone(),
        tags: declared.tags.clone(),
        snapshot: None,
        owner: Owner::from(OWNER),
        slots: [stage.slot.clone()].into(),
        number: 0,
    });
    let Outcome::Created(id) = stage.change(&create).await else { panic!("no volume was created") };
    assert_eq!(stage.change(&create).await, Outcome::AlreadySo);
    let seen = stage.volume().await;
    assert_eq!(seen.state, VolumeState::Available);
    assert_eq!((&seen.id, &seen.slot, &seen.name, seen.size_gib), (&id, &stage.slot, &declared.name, 20));
    let made = EbsSettings { kms_key: None, ..seen.ebs.unwrap() }; // a default key has an id of its own
    assert_eq!((made, &seen.tags["cost"]), (ebs, &"storage".to_owned()));
    assert_eq!(*seen.slots, [stage.slot.clone()].into());
    assert_eq!(seen.owner, Some(Owner::from(OWNER)));
    id
}

async fn launch(stage: &Stage, attempt: u32, volume: &VolumeId) -> InstanceId {
    let launch = stage.launch(attempt, volume);
    let mut nothing = launch.clone();
    nothing.make.image = ImageId::from("ami-00000000000000000");
    let refused = stage.try_change(&CloudEffect::Launch(Box::new(nothing))).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Invalid, "{}", refused.source);
    let Outcome::Launched(id) = stage.change(&CloudEffect::Launch(Box::new(launch))).await else {
        panic!("nothing was launched")
    };
    let seen = stage.instance(&id).await;
    assert_eq!((seen.state, &seen.slot, seen.attempt()), (InstanceState::Running, &stage.slot, Some(Attempt(attempt))));
    assert_eq!(seen.generation(), Some(&stage.spec.generation()));
    assert_eq!(seen.make.user_data, UserData::Digest("0123456789abcdef".to_owned()));
    assert_eq!(seen.tags.get("team").map(String::as_str), Some("platform"));
    assert!(seen.devices.is_empty(), "the root volume is no data volume");
    assert!(seen.address.is_some() && !seen.retired);
    assert_eq!(seen.checks, hermitcrab::observed::Checks::Ok);
    assert_eq!(stage.view().await.volumes.len(), 1, "the root volume is none of the cluster's");
    id
}

async fn fill(stage: &Stage, instance: &InstanceId, volume: &VolumeId) {
    let device = stage.spec.volumes[0].device.clone();
    let attach = CloudEffect::Attach { volume: volume.clone(), instance: instance.clone(), device: device.clone() };
    assert_eq!(stage.change(&attach).await, Outcome::Done);
    assert_eq!(stage.change(&attach).await, Outcome::AlreadySo);
    let VolumeState::InUse(at) = stage.volume().await.state else { panic!("not attached") };
    assert_eq!((&at.instance, at.device, at.phase), (instance, device, AttachmentPhase::Attached));
    let seen = stage.instance(instance).await;
    assert_eq!(seen.devices.len(), 1);
    assert!(seen.devices[0].volume == *volume && !seen.devices[0].delete_on_termination);
}

async fn remember(stage: &Stage, instance: &InstanceId, volume: &VolumeId) {
    let (volumes, generation) = ([volume.clone()], stage.spec.generation());
    let bad = Generation::from("v1-bad");
    let settle = CloudEffect::Settle {
        volumes: volumes.clone().into(),
        generation: generation.clone(),
        image: stage.spec.image.clone(),
        attempt: Attempt(1),
        instance: Some(instance.clone()),
    };
    let reject = CloudEffect::Reject { volumes: volumes.clone().into(), generation: bad.clone(), attempt: Attempt(1) };
    let slots = stage.spec.slots.iter().map(|slot| slot.name.clone()).collect();
    let record = CloudEffect::RecordSlots { volumes: volumes.clone().into(), slots };
    let tags = [("team".to_owned(), "data".to_owned())].into();
    let tag = CloudEffect::Tag { instance: instance.clone(), tags };
    for effect in [settle, reject, record, tag] {
        assert_eq!(stage.change(&effect).await, Outcome::Done);
        assert_eq!(stage.change(&effect).await, Outcome::AlreadySo);
    }
    let seen = stage.volume().await;
    assert_eq!(seen.settled, Some(Settled { generation, image: Some(stage.spec.image.clone()) }));
    assert_eq!((seen.rejected.as_ref(), seen.attempt, seen.slots.len()), (Some(&bad), Attempt(1), 3));
    assert_eq!(stage.instance(instance).await.tags["team"], "data");
    let forgive = CloudEffect::Forgive { volumes: volumes.into(), generation: bad };
    assert_eq!(stage.change(&forgive).await, Outcome::Done);
    assert_eq!(stage.change(&forgive).await, Outcome::AlreadySo);
    assert_eq!(stage.volume().await.rejected, None);
}

/// Moto is done with a modification at once, and does not mind how often it is asked.
async fn grow(stage: &Stage, instance: &InstanceId, volume: &VolumeId) {
    let grow = |from_gib, to_gib| {
        let (volume, instance) = (volume.clone(), instance.clone());
        CloudEffect::Grow { volume, instance, from_gib, to_gib }
    };
    assert!(is_changed(&stage.change(&grow(20, 30)).await), "what is known of modifications is a minute old");
    assert_eq!(stage.change(&grow(20, 30)).await, Outcome::Done);
    assert_eq!(stage.change(&grow(20, 30)).await, Outcome::AlreadySo);
    assert!(is_changed(&stage.change(&grow(20, 40)).await), "it has 30 GiB by now");
    assert_eq!(stage.change(&grow(40, 20)).await, Outcome::AlreadySo, "volumes never shrink");
    let seen = stage.volume().await;
    assert_eq!((seen.size_gib, seen.is_being_modified()), (30, false));
}

async fn move_over(stage: &Stage, old: &InstanceId, new: &InstanceId, volume: &VolumeId) {
    let device = stage.spec.volumes[0].device.clone();
    let detach = CloudEffect::Detach { volume: volume.clone(), instance: old.clone(), device: device.clone() };
    let attach = CloudEffect::Attach { volume: volume.clone(), instance: new.clone(), device };
    let snapshot = CloudEffect::Snapshot {
        volume: volume.clone(),
        slot: stage.slot.clone(),
        attempt: Attempt(2),
        taken: Taken::AtRest,
    };
    let (stop, start) = (CloudEffect::Stop { instance: old.clone() }, CloudEffect::Start { instance: old.clone() });
    assert!(is_changed(&stage.change(&detach).await), "it runs");
    assert!(is_changed(&stage.change(&snapshot).await), "it runs");
    assert!(is_changed(&stage.change(&attach).await), "it is attached elsewhere");
    assert_eq!(stage.change(&start).await, Outcome::AlreadySo);
    for outcome in [Outcome::Done, Outcome::AlreadySo] {
        assert_eq!(stage.change(&stop).await, outcome);
    }
    let stopped = stage.instance(old).await;
    assert_eq!(stopped.state, InstanceState::Stopped);
    assert_eq!(stage.change(&start).await, Outcome::Done);
    assert_eq!(stage.change(&stop).await, Outcome::Done);
    let Outcome::Snapshotted(snapshot_id) = stage.change(&snapshot).await else { panic!("no snapshot was taken") };
    assert_eq!(stage.change(&snapshot).await, Outcome::AlreadySo);
    let there = stage.ec2.describe_snapshots().snapshot_ids(&*snapshot_id).send().await.unwrap();
    let cost = there.snapshots()[0].tags().iter().find(|tag| tag.key() == Some("cost")).unwrap();
    assert_eq!(cost.value(), Some("storage"), "a snapshot bears its volume's tags");
    let seen = stage.view().await.snapshots;
    assert_eq!(seen.len(), 1);
    assert_eq!((&seen[0].id, seen[0].backs_up(volume, Attempt(2), Taken::AtRest)), (&snapshot_id, true));
    assert_eq!(stage.change(&detach).await, Outcome::Done);
    assert_eq!(stage.change(&detach).await, Outcome::AlreadySo);
    assert_eq!(stage.volume().await.state, VolumeState::Available);
    assert_eq!(stage.change(&attach).await, Outcome::Done);
    assert!(is_changed(&stage.change(&detach).await), "it is on the new one");
}

async fn clear_away(stage: &Stage, old: &InstanceId, volume: &VolumeId) {
    let terminate = CloudEffect::Terminate { instance: old.clone() };
    let retire = CloudEffect::Retire { instance: old.clone() };
    assert!(is_changed(&stage.change(&terminate).await), "it is not retired");
    for outcome in [Outcome::Done, Outcome::AlreadySo] {
        assert_eq!(stage.change(&retire).await, outcome);
    }
    assert!(stage.instance(old).await.retired);
    for outcome in [Outcome::Done, Outcome::AlreadySo] {
        assert_eq!(stage.change(&terminate).await, outcome);
    }
    let gone = stage.instance(old).await;
    assert_eq!(gone.state, InstanceState::Terminated);
    assert_eq!(stage.volume().await.id, *volume);
}

/// Leaves alone what bears other tags, and never terminates what holds a data volume.
async fn refuse_strangers(stage: &Stage, new: &InstanceId) {
    let retire = CloudEffect::Retire { instance: new.clone() };
    let elsewhere = stage.spec.slots[1].name.clone();
    let outcome = stage.aws.change(&stage.spec, Some(&elsewhere), &retire, &AT_ANY_TIME).await.unwrap();
    assert!(is_changed(&outcome), "it is another slot's");
    let namesake = ClusterSpec { name: "other".into(), ..stage.spec.clone() };
    let outcome = stage.aws.change(&namesake, Some(&stage.slot), &retire, &AT_ANY_TIME).await.unwrap();
    assert!(is_changed(&outcome), "it is another cluster's");
    assert_eq!(stage.change(&retire).await, Outcome::Done);
    let outcome = stage.change(&CloudEffect::Terminate { instance: new.clone() }).await;
    assert!(is_changed(&outcome), "it has the volume");
}
