//! The rig's own parts: moto behind the proxy behaves as EC2 does, and the hypervisor as a data centre.

use std::rc::Rc;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use super::comes_to;
use crate::Harness;
use crate::clients::Clients;
use crate::cluster::{Rig, Slot};
use crate::ec2::{Ec2, Interface, Refused};
use crate::proxy::faults::{Fault, Often, On, Rule};
use crate::world::Life;
use crate::{AT_MOST, until};

pub fn all(harness: &Harness) -> Vec<Trial> {
    vec![
        harness.scenario(
            "parts::a_volume_moves_from_one_instance_to_another_and_its_member_with_it",
            3,
            a_volume_moves,
        ),
        harness.etcd("parts::a_member_of_etcd_moves_with_its_volume_and_is_upgraded", 3, a_volume_moves),
        harness.without_addresses("parts::a_foreign_volume_starts_no_server", 1, a_foreign_volume),
        harness.scenario("parts::what_ec2_refuses_is_refused", 1, what_ec2_refuses),
        harness.scenario("parts::a_token_names_one_launch", 1, a_token_names_one_launch),
        harness.scenario("parts::each_fault_does_its_harm", 1, each_fault_does_its_harm),
        harness.scenario("parts::a_bad_move_of_an_address_is_noticed", 1, a_bad_move_of_an_address),
    ]
}

/// Makes the controller's calls by hand, so that a failure of the rig is not taken for one of the controller.
async fn a_volume_moves(rig: Rc<Rig>) {
    rig.settled_on(&rig.v1.clone()).await;
    let clients = Clients::start(rig.hypervisor.clone());
    let before = rig.before();
    let (slot, was) = before.seats.iter().find(|(slot, _)| Some(*slot) != before.leader.as_ref()).unwrap();
    let seat = rig.slots.iter().find(|it| it.name == *slot).unwrap();
    let new = launch_in(&rig, slot, seat, &was.volume).await;
    comes_to(&rig, &new, Life::Running).await;
    move_volume(&rig, &was.volume, &was.instance, &new).await;
    rig.person.call("TerminateInstances", &[("InstanceId.1", &was.instance)]).await.unwrap();
    rig.all_are_well(Duration::from_secs(150)).await;
    comes_to(&rig, &was.instance, Life::Terminated).await;
    let is = &rig.seats()[slot];
    assert_eq!((&is.volume, &is.member, &is.instance), (&was.volume, &was.member, &new));
    let history = clients.finish().await;
    rig.account_for(&before, &history);
}

/// The tags of the new instance lie about whose volume it is to have. What is on the disk does not, and the guest goes by that.
async fn a_foreign_volume(rig: Rc<Rig>) {
    rig.settled_on(&rig.v1.clone()).await;
    rig.proxy.world.borrow_mut().delays.shutdown = Duration::ZERO; // there are no peers to notice
    let was = rig.seats()["consul-a"].clone();
    let new = launch_in(&rig, "consul-b", &rig.slots[0], &was.volume).await;
    comes_to(&rig, &new, Life::Running).await;
    move_volume(&rig, &was.volume, &was.instance, &new).await;
    let refused = async || rig.truth.excuse("REFUSED: ");
    let refusal = until("the guest to refuse the volume", AT_MOST, refused).await;
    let why = "is not the volume data of consul-rig/consul-b, but 'cluster consul-rig slot consul-a volume data'";
    assert!(refusal.contains(why), "{refusal}");
    assert_eq!(rig.hypervisor.addresses(), Vec::<String>::new(), "no server runs");
    assert_eq!(rig.seats()["consul-a"].member, was.member);
}

/// Launches a replacement by hand, as the controller tags it.
async fn launch_in(rig: &Rig, slot: &str, seat: &Slot, volume: &str) -> String {
    let mut launch = vec![
        ("ImageId", &*rig.v2),
        ("MinCount", "1"),
        ("MaxCount", "1"),
        ("InstanceType", "m7i.large"),
        ("SubnetId", &*seat.subnet),
        ("MetadataOptions.InstanceMetadataTags", "enabled"),
        ("TagSpecification.1.ResourceType", "instance"),
        ("TagSpecification.1.Tag.1.Key", "hermitcrab:slot"),
        ("TagSpecification.1.Tag.1.Value", slot),
        ("TagSpecification.1.Tag.2.Key", "hermitcrab:cluster"),
        ("TagSpecification.1.Tag.2.Value", rig.kind.cluster()),
        ("TagSpecification.1.Tag.3.Key", "hermitcrab:volume:data"),
        ("TagSpecification.1.Tag.3.Value", volume),
    ];
    if let Some(address) = &seat.address {
        launch.push(("TagSpecification.1.Tag.4.Key", "hermitcrab:address"));
        launch.push(("TagSpecification.1.Tag.4.Value", address.as_str()));
    }
    let new = rig.person.make("RunInstances", &launch, "instanceId").await;
    assert_eq!(rig.proxy.life(&new), Some(Life::Pending));
    new
}

/// Moves a volume by hand from an instance, which is stopped before, to another one, and the fixed address with it.
async fn move_volume(rig: &Rig, volume: &str, from: &str, to: &str) {
    rig.person.call("StopInstances", &[("InstanceId.1", from)]).await.unwrap();
    assert_eq!(rig.proxy.life(from), Some(Life::Stopping));
    comes_to(rig, from, Life::Stopped).await;
    let attachment = [("VolumeId", volume), ("InstanceId", from), ("Device", "/dev/sdf")];
    rig.person.call("DetachVolume", &attachment).await.unwrap();
    let attachment = [("VolumeId", volume), ("InstanceId", to), ("Device", "/dev/sdf")];
    let early = rig.person.call("AttachVolume", &attachment).await.unwrap_err();
    assert_eq!(early.code, "VolumeInUse");
    move_address(rig, from, to).await;
    let attached = async || rig.person.call("AttachVolume", &attachment).await.ok();
    until("the volume to be free", Duration::from_secs(30), attached).await;
}

async fn move_address(rig: &Rig, from: &str, to: &str) {
    let (held, taker) = (interface(rig, from).secondary, interface(rig, to).id);
    for address in &held {
        let mut params = vec![("NetworkInterfaceId", &*taker), ("PrivateIpAddress.1", address.as_str())];
        assert_eq!(code(rig.person.call("AssignPrivateIpAddresses", &params).await), "InvalidParameterValue");
        params.push(("AllowReassignment", "true"));
        assert_eq!(code(rig.person.call("AssignPrivateIpAddresses", &params).await), "done");
    }
    assert_eq!((interface(rig, from).secondary, interface(rig, to).secondary), (Vec::new(), held));
}

fn interface(rig: &Rig, instance: &str) -> Interface {
    rig.proxy.world.borrow().machines[instance].interface.clone()
}

/// A controller takes an address from an instance that runs, and gives it to one that was not launched for it.
async fn a_bad_move_of_an_address(rig: Rc<Rig>) {
    let address = rig.slots[0].address.as_deref().unwrap();
    let instances = [launch(&rig.person, &rig, "1", &rig.v1).await, launch(&rig.person, &rig, "2", &rig.v1).await];
    let [from, to] = instances.map(Result::unwrap);
    comes_to(&rig, &from, Life::Running).await;
    let controller = Ec2::new(&rig.proxy.endpoint, "rig");
    for (caller, instance) in [(&rig.person, &from), (&controller, &to)] {
        let taker = interface(&rig, instance).id;
        let params = [("NetworkInterfaceId", &*taker), ("PrivateIpAddress.1", address), ("AllowReassignment", "true")];
        caller.call("AssignPrivateIpAddresses", &params).await.unwrap();
    }
    assert!(rig.truth.excuse(&format!("{address} was taken from {from}, which is Running")).is_some());
    assert!(rig.truth.excuse(&format!("{address} was given to {to}, which is not to have it")).is_some());
    let by_address = [("Filter.1.Name", "addresses.private-ip-address"), ("Filter.1.Value.1", address)];
    let told = controller.call("DescribeNetworkInterfaces", &by_address).await.unwrap();
    assert!(told.contains(&to) && !told.contains(&from), "{told}");
}

/// An instance in the first subnet, launched by somebody with a token.
async fn launch(ec2: &Ec2, rig: &Rig, token: &str, image: &str) -> Result<String, Refused> {
    let params = [
        ("ImageId", image),
        ("MinCount", "1"),
        ("MaxCount", "1"),
        ("InstanceType", "m7i.large"),
        ("SubnetId", &*rig.slots[0].subnet),
        ("ClientToken", token),
    ];
    ec2.call("RunInstances", &params).await.map(|body| body.split("<instanceId>").nth(1).unwrap()[..19].to_owned())
}

fn code<T>(answer: Result<T, Refused>) -> String {
    answer.err().map_or_else(|| "done".to_owned(), |refused| refused.code)
}

async fn what_ec2_refuses(rig: Rc<Rig>) {
    let ec2 = &rig.person;
    rig.proxy.world.borrow_mut().delays.launch = Duration::from_secs(10); // so that there is time to be early
    let first = launch(ec2, &rig, "first", &rig.v1).await.unwrap();
    let second = launch(ec2, &rig, "second", &rig.v1).await.unwrap();
    let volume = async |zone| {
        let params = [
            ("AvailabilityZone", zone),
            ("Size", "1"),
            ("TagSpecification.1.ResourceType", "volume"),
            ("TagSpecification.1.Tag.1.Key", "hermitcrab:volume"),
            ("TagSpecification.1.Tag.1.Value", "data"),
        ];
        ec2.make("CreateVolume", &params, "volumeId").await
    };
    let (here, other, elsewhere) = (volume("us-east-1a").await, volume("us-east-1a").await, volume("us-east-1b").await);
    let change = async |action: &str, volume: &str, instance: &str| {
        let params = [("VolumeId", volume), ("InstanceId", instance), ("Device", "/dev/sdf")];
        code(ec2.call(action, &params).await)
    };
    assert_eq!(change("AttachVolume", &here, &first).await, "IncorrectState"); // both are still on their way
    comes_to(&rig, &second, Life::Running).await;
    assert_eq!(change("AttachVolume", "vol-00000000000000000", &first).await, "InvalidVolume.NotFound");
    assert_eq!(change("AttachVolume", &here, "i-00000000000000000").await, "InvalidInstanceID.NotFound");
    assert_eq!(change("AttachVolume", &elsewhere, &first).await, "InvalidVolume.ZoneMismatch");
    assert_eq!(change("DetachVolume", &here, &first).await, "IncorrectState");
    assert_eq!(change("AttachVolume", &here, &first).await, "done");
    assert_eq!(change("AttachVolume", &here, &second).await, "VolumeInUse");
    assert_eq!(change("AttachVolume", &other, &first).await, "InvalidParameterValue"); // the device is taken
    assert_eq!(change("DetachVolume", &here, &second).await, "InvalidAttachment.NotFound");
    assert_eq!(change("DetachVolume", &here, &first).await, "done");
    assert_eq!(change("DetachVolume", &here, &first).await, "IncorrectState");
    assert_eq!(change("AttachVolume", &here, &second).await, "VolumeInUse");
    let root = rig
        .inventory()
        .await
        .volumes
        .into_iter()
        .find(|row| row.attachments.contains(&(second.clone(), "/dev/sda1".into())));
    assert_eq!(change("DetachVolume", &root.unwrap().id, &second).await, "OperationNotPermitted");
    assert_eq!(code(ec2.call("StopInstances", &[("InstanceId.1", &second)]).await), "done");
    assert_eq!(code(ec2.call("StartInstances", &[("InstanceId.1", &second)]).await), "IncorrectInstanceState");
    let dry = [("InstanceId.1", &*second), ("DryRun", "true")];
    assert_eq!(code(ec2.call("TerminateInstances", &dry).await), "DryRunOperation");
}

async fn a_token_names_one_launch(rig: Rc<Rig>) {
    let ec2 = &rig.person;
    let instance = launch(ec2, &rig, "token", &rig.v1).await.unwrap();
    assert_eq!(launch(ec2, &rig, "token", &rig.v1).await.unwrap(), instance);
    assert_eq!(code(launch(ec2, &rig, "token", &rig.v2).await), "IdempotentParameterMismatch");
    assert_eq!(rig.inventory().await.instances.len(), 1);
    ec2.call("TerminateInstances", &[("InstanceId.1", &instance)]).await.unwrap();
    assert_eq!(rig.proxy.life(&instance), Some(Life::ShuttingDown));
    assert_eq!(code(launch(ec2, &rig, "token", &rig.v1).await), "IdempotentInstanceTerminated");
    let described = ec2.inventory().await.unwrap().instances;
    assert_eq!(described[0].state, "shutting-down");
    comes_to(&rig, &instance, Life::Terminated).await;
    assert_eq!(ec2.inventory().await.unwrap().instances[0].address, "");
}

async fn each_fault_does_its_harm(rig: Rc<Rig>) {
    let controller = Ec2::new(&rig.proxy.endpoint, "rig");
    let harm = |fault, on, often| rig.proxy.faults.borrow_mut().rules = vec![Rule::new(fault, on, often)];
    let (next, launches) = (Often::Next(1), On::Action("RunInstances"));
    let try_launch = async |token: &str| code(launch(&controller, &rig, token, &rig.v1).await);
    let there = async || rig.inventory().await.instances.len();

    harm(Fault::Refused("RequestLimitExceeded"), launches, next.clone());
    assert_eq!((&*try_launch("1").await, there().await), ("RequestLimitExceeded", 0));
    harm(Fault::FailsBefore, On::Changes, next.clone());
    assert_eq!((&*try_launch("1").await, there().await), ("Unavailable", 0));
    harm(Fault::FailsAfter, On::Everything, next.clone());
    assert_eq!((&*try_launch("1").await, there().await), ("InternalError", 1));
    assert_eq!((&*try_launch("1").await, there().await), ("done", 1));
    harm(Fault::LosesAnswer, launches, next.clone());
    assert_eq!((&*try_launch("2").await, there().await), ("NoAnswer", 2));

    let look = async || controller.inventory().await.unwrap().instances.len();
    assert_eq!(look().await, 2);
    harm(Fault::Partial, On::Action("DescribeInstances"), next.clone());
    assert_eq!(look().await, 1);
    assert_eq!(try_launch("3").await, "done");
    harm(Fault::Stale(Duration::ZERO), On::Looks, Often::Always);
    assert_eq!(look().await, 2);
    harm(Fault::Slow(Duration::from_millis(300)), On::Looks, Often::OneIn(1));
    let begun = Instant::now();
    assert_eq!((look().await, begun.elapsed() > Duration::from_millis(600)), (3, true));

    harm(Fault::WrongAccount, On::Everything, Often::Always);
    let identity = controller.call_service("sts", "2011-06-15", "GetCallerIdentity", &[]).await.unwrap();
    assert!(identity.contains("<Account>999999999999</Account>"), "{identity}");
    harm(Fault::DeadKey, On::Everything, Often::Always);
    let doomed = launch(&controller, &rig, "4", &rig.v1).await.unwrap();
    comes_to(&rig, &doomed, Life::Terminated).await;
    let told = rig.person.call("DescribeInstances", &[("InstanceId.1", &doomed)]).await.unwrap();
    assert!(told.contains("<code>Client.InvalidKMSKey.InvalidState</code>"), "{told}");
}
