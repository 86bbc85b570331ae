//! A throw-away copy of a cluster, in moto.

use std::time::Duration;

use hermitcrab::action::{CloudEffect, CreateVolume};
use hermitcrab::ids::{Owner, SnapshotId, Token, VolumeId};
use hermitcrab::observed::{SnapshotPurpose, SnapshotState};
use hermitcrab::ports::{Cloud, Outcome, Wanted};
use hermitcrab::spec::EbsSettings;

use crate::fixture::{AT_ANY_TIME, OWNER, wanted};
use crate::moto::{Stage, is_changed};

/// A copy of the cluster begins with what a volume that is in use holds, and ends without a trace; what was saved stays.
pub async fn copy(stage: &Stage, volume: &VolumeId) {
    let spec = hermitcrab::rehearsal::copy(&stage.spec, "consul-prod-rehearsal-1".into());
    let slot = spec.slots[0].clone();
    let change = async |effect: &CloudEffect| {
        stage.clock.pass(Duration::from_secs(60));
        let outcome = stage.aws.change(&spec, Some(&slot.name), effect, &AT_ANY_TIME).await;
        outcome.unwrap_or_else(|error| panic!("{}: {error}: {}", effect.name(), error.source))
    };
    let copied = |of: &str| {
        let (volume, of, slot) = (volume.clone(), of.into(), slot.name.clone());
        CloudEffect::CopyVolume { volume, of, slot, name: "data".into() }
    };
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
    assert_eq!((&snapshot.id, &snapshot.volume, snapshot.size_gib), (&id, volume, 30), "the volume has grown");
    assert_eq!(snapshot.purpose, SnapshotPurpose::Copy { of: "consul-prod".into() });
    assert_eq!((snapshot.state, &snapshot.owner), (SnapshotState::Completed, &Some(Owner::from(OWNER))));
    assert!(snapshot.begun.is_some(), "{snapshot:?}");
    let declared = &spec.volumes[0];
    let create = CloudEffect::CreateVolume(CreateVolume {
        token: Token::from("hermitcrab-copied"),
        slot: slot.name.clone(),
        name: declared.name.clone(),
        zone: slot.zone.clone(),
        size_gib: 40,
        ebs: EbsSettings { encrypted: false, ..declared.ebs.clone() },
        tags: std::collections::BTreeMap::new(),
        snapshot: Some(id.clone()),
        owner: Owner::from(OWNER),
        slots: [slot.name.clone()].into(),
        number: 0,
    });
    let Outcome::Created(made) = change(&create).await else { panic!("no volume was created") };
    let there = stage.ec2.describe_volumes().volume_ids(&*made).send().await.unwrap();
    assert_eq!((there.volumes()[0].snapshot_id(), there.volumes()[0].size()), (Some(&*id), Some(40)));
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
