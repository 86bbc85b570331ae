//! Every effect, sent to moto: is what we send what an EC2 endpoint understands, and is what it answers what we see?
//!
//! What moto does not do (refuse a second attachment, honour a token, take its time) is not asked of it here.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use hermitcrab::action::{CloudEffect, CreateVolume, GroupEffect, Launch};
use hermitcrab::cloud::permissions::{Allowed, needed_for};
use hermitcrab::ids::{Attempt, Generation, ImageId, InstanceId, Owner, SlotName, SnapshotId, Token, VolumeId};
use hermitcrab::make::{Make, UserData};
use hermitcrab::observed::{
    AttachmentPhase, CloudView, Group, Instance, InstanceState, Origin, Settled, SnapshotPurpose, SnapshotState,
    Volume, VolumeState,
};
use hermitcrab::ports::{Cloud, ErrorKind, Outcome, Wanted};
use hermitcrab::spec::{Capacity, ClusterSpec};
use libtest_mimic::Trial;

use crate::endpoint::Asked;
use crate::fetch::{fetch, is_required};
use crate::fixture::{OWNER, TestClock, open, spec, wanted};
use crate::server::Moto;

/// Why there is no moto; set for the child.
pub const MISSING: &str = "HERMITCRAB_MOTO_MISSING";

/// moto, behind a proxy that answers the one call that moto does not know.
pub struct Server {
    url: String,
    _moto: Moto,
}

impl Server {
    /// Starts it, or says why it cannot be had.
    pub fn start() -> Result<Self, String> {
        let [folder] = fetch(["moto"])?;
        let settings = [("MOTO_EC2_LOAD_DEFAULT_AMIS", "false"), ("MOTO_ENABLE_AMI_VALIDATION", "1")];
        let moto = Moto::start(&folder, &settings)?;
        Ok(Self { url: proxy(moto.url.trim_start_matches("http://").to_owned()), _moto: moto })
    }

    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Passes everything on to moto but `DescribeVolumeStatus`, for which it has only a page that says so.
fn proxy(moto: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let moto = moto.clone();
            thread::spawn(move || {
                let _ = relay(stream, &moto);
            });
        }
    });
    url
}

fn relay(mut client: TcpStream, moto: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let header = |name: &str| {
            let mut lines = head.lines();
            lines.find_map(|line| line.to_lowercase().strip_prefix(name).map(|value| value.trim().to_owned()))
        };
        let mut body = vec![0; header("content-length:").and_then(|length| length.parse().ok()).unwrap_or(0)];
        reader.read_exact(&mut body)?;
        if Asked::parse(&String::from_utf8_lossy(&body)).action() == "DescribeVolumeStatus" {
            let answer = "<DescribeVolumeStatusResponse><volumeStatusSet/></DescribeVolumeStatusResponse>";
            write!(client, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{answer}", answer.len())?;
            continue;
        }
        let mut server = TcpStream::connect(moto)?;
        let (first, rest) = head.split_once("\r\n").unwrap();
        write!(server, "{first}\r\nconnection: close\r\n{rest}")?;
        server.write_all(&body)?;
        std::io::copy(&mut server, &mut client)?;
        return Ok(());
    }
}

/// The trial; ignored, and not quietly, where there is no moto.
pub fn trial() -> Trial {
    let name = "moto_understands_every_effect";
    match std::env::var(MISSING) {
        Err(_) => crate::trial(name, every_effect),
        Ok(why) if is_required() => Trial::test(name, move || Err(why.into())),
        Ok(why) => {
            eprintln!("ignored: {name}: {why}");
            Trial::test(name, || Ok(())).with_ignored_flag(true)
        }
    }
}

/// A cluster in moto, and the adapter.
struct Stage {
    ec2: aws_sdk_ec2::Client,
    autoscaling: aws_sdk_autoscaling::Client,
    aws: hermitcrab::cloud::aws::Aws<TestClock>,
    clock: TestClock,
    spec: ClusterSpec,
    slot: SlotName,
}

impl Stage {
    async fn change(&self, effect: &CloudEffect) -> Outcome {
        self.try_change(effect).await.unwrap_or_else(|error| panic!("{}: {error}: {}", effect.name(), error.source))
    }

    async fn try_change(&self, effect: &CloudEffect) -> Result<Outcome, hermitcrab::ports::PortError> {
        self.clock.pass(Duration::from_secs(60));
        self.aws.change(&self.spec, Some(&self.slot), effect).await
    }

    async fn view(&self) -> CloudView {
        self.clock.pass(Duration::from_secs(60));
        let sweep = self.aws.sweep(&wanted(&self.spec)).await.unwrap_or_else(|error| panic!("{}", error.source));
        (*sweep.cluster(&self.spec.name)).clone()
    }

    async fn volume(&self) -> Volume {
        self.view().await.volumes.remove(0)
    }

    async fn instance(&self, id: &InstanceId) -> Instance {
        self.view().await.instance(id).unwrap().clone()
    }

    fn launch(&self, attempt: u32, volume: &VolumeId) -> Launch {
        let (spec, slot) = (&self.spec, self.spec.slot(&self.slot).unwrap());
        Launch {
            token: Token::from(format!("hermitcrab-{attempt}")),
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
            tags: spec.instance.tags.clone(),
            owner: Owner::from(OWNER),
            generation: spec.generation(),
            attempt: Attempt(attempt),
            volumes: [("data".into(), volume.clone())].into(),
        }
    }
}

fn is_changed(outcome: &Outcome) -> bool {
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
    for slot in &mut spec.slots {
        let there = subnets.subnets().iter().find(|subnet| subnet.availability_zone() == Some(&slot.zone));
        slot.subnet = there.unwrap().subnet_id().unwrap().to_owned();
    }
    let clock = TestClock::at("2026-11-23T00:00:00Z");
    let (aws, slot) = (open(&clock, None).await, spec.slots[0].name.clone());
    Stage { ec2, autoscaling, aws, clock, spec, slot }
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
    let new = launch(&stage, 2, &volume).await;
    move_over(&stage, &old, &new, &volume).await;
    clear_away(&stage, &old, &volume).await;
    copy(&stage, &volume).await;
    refuse_strangers(&stage, &new).await;
    ask(&stage).await;
    adopt(&stage).await;
    empty_a_group(&stage).await;
    let expected = ["ok", "InvalidAMIID.NotFound", "DryRunOperation"];
    let calls = stage.aws.calls();
    assert!(calls.keys().all(|(_, code)| expected.contains(&code.as_str())), "{calls:?}");
}

async fn make_a_volume(stage: &Stage) -> VolumeId {
    let (slot, declared) = (stage.spec.slot(&stage.slot).unwrap(), &stage.spec.volumes[0]);
    let create = CloudEffect::CreateVolume(CreateVolume {
        token: Token::from("hermitcrab-volume"),
        name: declared.name.clone(),
        zone: slot.zone.clone(),
        size_gib: declared.size_gib,
        volume_type: declared.volume_type.clone(),
        encrypted: true,
        snapshot: None,
        owner: Owner::from(OWNER),
        slots: [stage.slot.clone()].into(),
    });
    let Outcome::Created(id) = stage.change(&create).await else { panic!("no volume was created") };
    assert_eq!(stage.change(&create).await, Outcome::AlreadySo);
    let seen = stage.volume().await;
    assert_eq!(seen.state, VolumeState::Available);
    assert_eq!((&seen.id, &seen.slot, &seen.name, seen.size_gib), (&id, &stage.slot, &declared.name, 20));
    assert_eq!(seen.slots, [stage.slot.clone()].into());
    assert_eq!(seen.owner, Some(Owner::from(OWNER)));
    id
}

async fn launch(stage: &Stage, attempt: u32, volume: &VolumeId) -> InstanceId {
    let launch = stage.launch(attempt, volume);
    let mut nothing = launch.clone();
    nothing.make.image = ImageId::from("ami-00000000000000000");
    let refused = stage.try_change(&CloudEffect::Launch(Box::new(nothing))).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::NotFound, "{}", refused.source);
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

async fn move_over(stage: &Stage, old: &InstanceId, new: &InstanceId, volume: &VolumeId) {
    let device = stage.spec.volumes[0].device.clone();
    let detach = CloudEffect::Detach { volume: volume.clone(), instance: old.clone(), device: device.clone() };
    let attach = CloudEffect::Attach { volume: volume.clone(), instance: new.clone(), device };
    let snapshot = CloudEffect::Snapshot { volume: volume.clone(), attempt: Attempt(2) };
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
    let seen = stage.view().await.snapshots;
    assert_eq!(seen.len(), 1);
    assert_eq!((&seen[0].id, seen[0].backs_up(volume, Attempt(2))), (&snapshot_id, true));
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

/// A copy of the cluster begins with what a volume that is in use holds, and ends without a trace; what was saved stays.
async fn copy(stage: &Stage, volume: &VolumeId) {
    let spec = hermitcrab::rehearsal::copy(&stage.spec, "consul-prod-rehearsal".into());
    let slot = spec.slots[0].clone();
    let change = async |effect: &CloudEffect| {
        stage.clock.pass(Duration::from_secs(60));
        let outcome = stage.aws.change(&spec, Some(&slot.name), effect).await;
        outcome.unwrap_or_else(|error| panic!("{}: {error}: {}", effect.name(), error.source))
    };
    let copied = |of: &str| CloudEffect::CopyVolume { volume: volume.clone(), of: of.into(), name: "data".into() };
    assert!(is_changed(&change(&copied("other")).await), "it is another cluster's");
    let saved = stage.ec2.describe_snapshots().owner_ids("self").send().await.unwrap();
    let saved = saved.snapshots().iter().find(|one| one.volume_id() == Some(&**volume)).unwrap();
    let saved = SnapshotId::from(saved.snapshot_id().unwrap());
    let Outcome::Snapshotted(id) = change(&copied("consul-prod")).await else { panic!("nothing was copied") };
    assert_eq!(change(&copied("consul-prod")).await, Outcome::AlreadySo);
    let seen = async || {
        stage.clock.pass(Duration::from_secs(60));
        let wanted = Wanted { copies: true, ..wanted(&spec) };
        stage.aws.sweep(&wanted).await.unwrap().cluster(&spec.name).snapshots.clone()
    };
    let [snapshot] = &seen().await[..] else { panic!("there is one") };
    assert_eq!((&snapshot.id, &snapshot.volume, snapshot.size_gib), (&id, volume, 20));
    assert_eq!(snapshot.purpose, SnapshotPurpose::Copy { of: "consul-prod".into() });
    assert_eq!((snapshot.state, &snapshot.owner), (SnapshotState::Completed, &Some(Owner::from(OWNER))));
    assert!(snapshot.begun.is_some(), "{snapshot:?}");
    let declared = &spec.volumes[0];
    let create = CloudEffect::CreateVolume(CreateVolume {
        token: Token::from("hermitcrab-copied"),
        name: declared.name.clone(),
        zone: slot.zone.clone(),
        size_gib: 30,
        volume_type: declared.volume_type.clone(),
        encrypted: false,
        snapshot: Some(id.clone()),
        owner: Owner::from(OWNER),
        slots: [slot.name.clone()].into(),
    });
    let Outcome::Created(made) = change(&create).await else { panic!("no volume was created") };
    let there = stage.ec2.describe_volumes().volume_ids(&*made).send().await.unwrap();
    assert_eq!((there.volumes()[0].snapshot_id(), there.volumes()[0].size()), (Some(&*id), Some(30)));
    assert_eq!(change(&CloudEffect::DeleteVolume { volume: made }).await, Outcome::Done);

    let delete = |snapshot: &SnapshotId| CloudEffect::DeleteSnapshot { snapshot: snapshot.clone() };
    assert!(is_changed(&stage.change(&delete(&id)).await), "it is the copy's");
    assert!(is_changed(&change(&delete(&saved)).await), "it is the cluster's");
    assert!(is_changed(&stage.change(&delete(&saved)).await), "it was saved before a replacement");
    for outcome in [Outcome::Done, Outcome::AlreadySo] {
        assert_eq!(change(&delete(&id)).await, outcome);
    }
    assert_eq!(seen().await, []);
    let kept = stage.ec2.describe_snapshots().owner_ids("self").snapshot_ids(&*saved).send().await.unwrap();
    assert_eq!(kept.snapshots().len(), 1);
}

/// What bears other tags is left alone, and what holds a data volume is never terminated.
async fn refuse_strangers(stage: &Stage, new: &InstanceId) {
    let retire = CloudEffect::Retire { instance: new.clone() };
    let elsewhere = stage.spec.slots[1].name.clone();
    let outcome = stage.aws.change(&stage.spec, Some(&elsewhere), &retire).await.unwrap();
    assert!(is_changed(&outcome), "it is another slot's");
    let namesake = ClusterSpec { name: "other".into(), ..stage.spec.clone() };
    let outcome = stage.aws.change(&namesake, Some(&stage.slot), &retire).await.unwrap();
    assert!(is_changed(&outcome), "it is another cluster's");
    assert_eq!(stage.change(&retire).await, Outcome::Done);
    let outcome = stage.change(&CloudEffect::Terminate { instance: new.clone() }).await;
    assert!(is_changed(&outcome), "it has the volume");
}

/// Asks for every permission, and changes nothing.
async fn ask(stage: &Stage) {
    let mut spec = stage.spec.clone();
    (spec.instance.iam_instance_profile, spec.instance.security_groups) = (None, [].into());
    let before = stage.view().await;
    stage.clock.pass(Duration::from_secs(600));
    let asked = stage.aws.allowed(&spec).await;
    let denied: Vec<_> = asked.iter().filter(|asked| asked.answer != Allowed::Yes).collect();
    assert!(denied.is_empty(), "{denied:#?}");
    assert_eq!(asked.len(), needed_for(&[spec]).count());
    assert_eq!(stage.view().await, before);
    let identity = stage.aws.identity("us-east-1").await.unwrap();
    assert_eq!(identity.account, "123456789012");
}

/// Somebody's instance becomes a slot's, and its root volume does not.
async fn adopt(stage: &Stage) {
    let slot = &stage.spec.slots[1];
    let run = stage.ec2.run_instances().image_id(&*stage.spec.image).min_count(1).max_count(1);
    let run = run.subnet_id(&slot.subnet).instance_type("m7i.large".into()).send().await.unwrap();
    let id = InstanceId::from(run.instances()[0].instance_id().unwrap());
    let made = stage.ec2.create_volume().availability_zone(&*slot.zone).size(20).send().await.unwrap();
    let volume = VolumeId::from(made.volume_id().unwrap());
    let attach = stage.ec2.attach_volume().volume_id(&*volume).instance_id(&*id).device("/dev/sdf");
    attach.send().await.unwrap();

    let ids = [id.clone()].into();
    let seen = stage.aws.candidates("us-east-1", &ids).await.unwrap().remove(0);
    assert_eq!((&seen.id, &seen.zone, &seen.subnet), (&id, &slot.zone, &slot.subnet));
    let data: Vec<_> = seen.volumes.iter().filter(|one| !one.is_root).map(|one| (&one.id, one.size_gib)).collect();
    assert_eq!(data, [(&volume, 20)]);
    let root = seen.volumes.iter().find(|volume| volume.is_root).unwrap();

    stage.aws.keep_volume("us-east-1", &id, "/dev/sdf").await.unwrap();
    let slots = [slot.name.clone()].into();
    let wrong = [("data".into(), root.id.clone())].into();
    let refused = stage.aws.tag_adopted(&stage.spec, &slot.name, &id, &wrong, &slots).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Invalid);
    let volumes = [("data".into(), volume.clone())].into();
    for _ in 0..2 {
        stage.aws.tag_adopted(&stage.spec, &slot.name, &id, &volumes, &slots).await.unwrap();
    }
    let refused = stage.aws.tag_adopted(&stage.spec, &stage.slot, &id, &volumes, &slots).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Invalid, "it is another slot's");
    let view = stage.view().await;
    let adopted = view.instance(&id).unwrap();
    assert_eq!((&adopted.slot, &adopted.origin), (&slot.name, &Origin::Adopted));
    assert!(view.volumes.iter().any(|seen| seen.id == volume && seen.slot == slot.name));
}

const GROUP: &str = "consul-servers";

/// A group of one instance, which it has launched by itself, is left with none, as at the end of its cluster.
async fn empty_a_group(stage: &Stage) {
    make_a_group(stage).await;
    let seen = the_group(stage).await;
    assert_eq!((seen.min, seen.desired, seen.max, seen.members.len()), (1, 1, 4, 1));
    let instance = seen.recruits[0].id.clone();
    let change =
        async |effect: GroupEffect| stage.change(&CloudEffect::Group { group: GROUP.to_owned(), effect }).await;
    let lower = |from| GroupEffect::LowerMinimum { from };
    assert!(is_changed(&change(lower(1)).await), "it may still launch");
    let processes = seen.running();
    let steps = [
        GroupEffect::RecordResume { processes: processes.clone() },
        GroupEffect::Suspend { processes: processes.clone() },
        lower(1),
        GroupEffect::Leave { instance },
    ];
    for effect in &steps {
        if let GroupEffect::LowerMinimum { .. } = effect {
            assert!(is_changed(&change(lower(2)).await), "it is another minimum");
        }
        assert_eq!(change(effect.clone()).await, Outcome::Done, "{effect:?}");
        assert_eq!(change(effect.clone()).await, Outcome::AlreadySo, "{effect:?}");
    }
    assert_eq!(change(GroupEffect::Resize { from: 1, to: 0 }).await, Outcome::AlreadySo);
    assert_eq!(change(GroupEffect::Resume { processes: processes.clone() }).await, Outcome::Done);
    assert_eq!(change(GroupEffect::ForgetResume { processes: processes.clone() }).await, Outcome::Done);
    let left = the_group(stage).await;
    assert_eq!((left.min, left.desired, left.max, left.members.len()), (0, 0, 4, 0));
    assert_eq!((left.running(), left.resume, left.launches), (processes, None, seen.launches));
}

async fn make_a_group(stage: &Stage) {
    let data = aws_sdk_ec2::types::RequestLaunchTemplateData::builder().image_id(&*stage.spec.image);
    let data = data.instance_type("m7i.large".into()).build();
    stage.ec2.create_launch_template().launch_template_name(GROUP).launch_template_data(data).send().await.unwrap();
    let template = aws_sdk_autoscaling::types::LaunchTemplateSpecification::builder().launch_template_name(GROUP);
    let group = stage.autoscaling.create_auto_scaling_group().auto_scaling_group_name(GROUP);
    let group = group.launch_template(template.version("1").build()).min_size(1).max_size(4).desired_capacity(1);
    group.vpc_zone_identifier(&stage.spec.slots[0].subnet).send().await.unwrap();
}

async fn the_group(stage: &Stage) -> Group {
    let spec = ClusterSpec { capacity: Capacity::AutoScalingGroup(GROUP.to_owned()), ..stage.spec.clone() };
    stage.clock.pass(Duration::from_secs(60));
    let mut wanted = wanted(&spec);
    wanted.groups.insert(spec.name.clone(), GROUP.to_owned());
    let sweep = stage.aws.sweep(&wanted).await.unwrap_or_else(|error| panic!("{}", error.source));
    sweep.cluster(&spec.name).group.clone().unwrap()
}
