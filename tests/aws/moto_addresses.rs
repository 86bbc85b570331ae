//! Fixed addresses, in moto: their subnets, the move from one instance to the next, adoption, and the end. moto leaves a moved
//! address at the old interface too, finds an interface by its primary address alone, tags none at launch, and deletes none.

use std::net::Ipv4Addr;
use std::time::Duration;

use aws_sdk_ec2::types::{self, SubnetCidrReservationType};
use hermitcrab::action::{CloudEffect, Launch};
use hermitcrab::cloud::permissions::Task;
use hermitcrab::ids::{InstanceId, Token};
use hermitcrab::observed::{CloudView, Instance, Reserved, Subnet};
use hermitcrab::ports::{Cloud, ErrorKind, Outcome};
use hermitcrab::spec::{Cidr, ClusterSpec};

use crate::fixture::{AT_ANY_TIME, wanted};
use crate::moto::{Stage, is_changed};

/// A cluster with an address for each slot, beside the one of the stage.
struct Fixed<'a> {
    stage: &'a Stage,
    spec: ClusterSpec,
}

/// Walks through the life of an address.
pub async fn addresses(stage: &Stage) {
    let mut spec = ClusterSpec { name: "consul-addresses".into(), ..stage.spec.clone() };
    for slot in &mut spec.slots {
        let seen = stage.ec2.describe_subnets().subnet_ids(&slot.subnet).send().await.unwrap();
        let block = Cidr::of(seen.subnets()[0].cidr_block().unwrap()).unwrap();
        slot.address = Some(Ipv4Addr::from(block.first() + 200));
    }
    let fixed = Fixed { stage, spec };
    a_subnet_is_asked_about_once(&fixed).await;
    let (old, new) = (fixed.launch(1).await, fixed.launch(2).await);
    moves(&fixed, &old, &new).await;
    ends(&fixed, &old, &new).await;
    stage.was_allowed(&fixed.spec, Task::Control, &["ec2:AssignPrivateIpAddresses", "ec2:DescribeSubnets"]);
    is_adopted(&fixed).await;
    stage.was_not_allowed(&fixed.spec);
}

impl Fixed<'_> {
    fn address(&self) -> Ipv4Addr {
        self.spec.slots[0].address.unwrap()
    }

    async fn change(&self, effect: &CloudEffect) -> Outcome {
        self.stage.clock.pass(Duration::from_secs(60));
        let outcome = self.stage.aws.change(&self.spec, Some(&self.spec.slots[0].name), effect, &AT_ANY_TIME).await;
        outcome.unwrap_or_else(|error| panic!("{}: {error}: {}", effect.name(), error.source))
    }

    async fn view(&self) -> CloudView {
        self.stage.clock.pass(Duration::from_secs(60));
        (*self.stage.aws.sweep(&wanted(&self.spec)).await.unwrap().cluster(&self.spec.name)).clone()
    }

    async fn instance(&self, id: &InstanceId) -> Instance {
        self.view().await.instance(id).unwrap().clone()
    }

    async fn launch(&self, attempt: u32) -> Instance {
        let launch = Launch {
            token: Token::from(format!("hermitcrab-address-{attempt}")),
            address: Some(self.address()),
            volumes: [].into(),
            ..self.stage.launch(attempt, &"vol-0".into())
        };
        let outcome = self.change(&CloudEffect::Launch(Box::new(launch))).await;
        let Outcome::Launched(id) = outcome else { panic!("{outcome:?}") };
        self.instance(&id).await
    }

    async fn assign(&self, to: &Instance) -> Outcome {
        let (instance, interface) = (to.id.clone(), to.interface.clone().unwrap().id);
        let (address, subnet) = (self.address(), to.subnet.clone());
        self.change(&CloudEffect::AssignAddress { address, instance, interface, subnet }).await
    }

    /// Lists the instances that have the address, by all interfaces that there are.
    async fn holders(&self) -> Vec<Option<InstanceId>> {
        let all = self.stage.ec2.describe_network_interfaces().send().await.unwrap();
        let address = self.address().to_string();
        let has = |one: &&types::NetworkInterface| {
            one.private_ip_addresses().iter().any(|own| own.private_ip_address() == Some(&*address))
        };
        let holder = |one: &types::NetworkInterface| one.attachment()?.instance_id().map(InstanceId::from);
        all.network_interfaces().iter().filter(has).map(holder).collect()
    }

    /// Takes an address off an interface, as EC2 does with one that moves.
    async fn unassign(&self, from: &Instance) {
        let call = self.stage.ec2.unassign_private_ip_addresses();
        let call = call.network_interface_id(&*from.interface.clone().unwrap().id);
        call.private_ip_addresses(self.address().to_string()).send().await.unwrap();
    }
}

/// The facts that `doctor` rests on, of slots in one subnet first, and of each in its own then.
async fn a_subnet_is_asked_about_once(fixed: &Fixed<'_>) {
    let Fixed { stage, spec } = fixed;
    let asked = || {
        let calls = stage.aws.calls();
        let of = |name: &'static str| calls.get(&(name, "ok".to_owned())).copied().unwrap_or_default();
        (of("DescribeSubnets"), of("GetSubnetCidrReservations"))
    };
    let subnets = async |spec: &ClusterSpec| {
        stage.clock.pass(Duration::from_secs(600));
        stage.aws.subnets(spec).await.unwrap()
    };
    let mut together = spec.clone();
    for slot in &mut together.slots {
        slot.subnet.clone_from(&spec.slots[0].subnet);
    }
    let before = asked();
    let [(id, Subnet { block, reserved, free: Some(free) })] =
        &subnets(&together).await.into_iter().collect::<Vec<_>>()[..]
    else {
        panic!("one subnet")
    };
    assert_eq!(asked(), (before.0 + 1, before.1 + 1));
    assert!(*id == spec.slots[0].subnet && block.holds(fixed.address()) && reserved.is_empty(), "{id}: {reserved:?}");
    assert!(*free > 200, "{free}");
    assert_eq!(subnets(spec).await.len(), 3);
    assert_eq!(asked(), (before.0 + 2, before.1 + 4));
    assert_eq!(subnets(&stage.spec).await.len(), 3);
    assert_eq!(asked(), (before.0 + 3, before.1 + 4), "of a cluster without addresses no reservation is asked for");

    together.slots[0].subnet = "subnet-00000000000000000".to_owned();
    assert!(!subnets(&together).await.contains_key("subnet-00000000000000000"));
    let kinds = [(192, SubnetCidrReservationType::Explicit), (208, SubnetCidrReservationType::Prefix)];
    for (number, kind) in &kinds {
        let range = Cidr::around(Ipv4Addr::from(block.first() + number), 28).to_string();
        let reserve = stage.ec2.create_subnet_cidr_reservation().subnet_id(id).cidr(range);
        reserve.reservation_type(kind.clone()).send().await.unwrap();
    }
    let seen = subnets(spec).await.remove(id).unwrap();
    let range = |number: u32| seen.reserved_with(Ipv4Addr::from(block.first() + number));
    assert_eq!(range(200).map(|range| (range.is_explicit, range.block.length)), Some((true, 28)));
    assert_eq!(range(215).map(|range: &Reserved| range.is_explicit), Some(false));
    assert_eq!(range(100), None);
}

async fn moves(fixed: &Fixed<'_>, old: &Instance, new: &Instance) {
    assert_eq!((old.fixed_address, old.has_fixed_address()), (Some(fixed.address()), false));
    assert_eq!(fixed.assign(old).await, Outcome::Done);
    assert!(fixed.instance(&old.id).await.has_fixed_address());
    assert_eq!(fixed.holders().await, [Some(old.id.clone())]);
    assert_eq!(fixed.change(&CloudEffect::Stop { instance: old.id.clone() }).await, Outcome::Done);
    assert_eq!(fixed.assign(new).await, Outcome::Done);
    fixed.unassign(old).await;
    let has = async |instance: &Instance| fixed.instance(&instance.id).await.has_fixed_address();
    assert_eq!((has(old).await, has(new).await), (false, true));
    assert_eq!(fixed.holders().await, [Some(new.id.clone())]);
    let elsewhere = Instance { interface: old.interface.clone(), ..new.clone() };
    assert!(is_changed(&fixed.assign(&elsewhere).await), "it is another instance's interface");
}

/// The instances go, and what reserves the address stays.
async fn ends(fixed: &Fixed<'_>, old: &Instance, new: &Instance) {
    assert_eq!(fixed.change(&CloudEffect::Stop { instance: new.id.clone() }).await, Outcome::Done);
    for instance in [old, new] {
        let id = instance.id.clone();
        assert_eq!(fixed.change(&CloudEffect::Retire { instance: id.clone() }).await, Outcome::Done);
        assert_eq!(fixed.change(&CloudEffect::Terminate { instance: id }).await, Outcome::Done);
    }
    let subnets = fixed.stage.aws.subnets(&fixed.spec).await.unwrap();
    assert!(subnets[&fixed.spec.slots[0].subnet].reserved_with(fixed.address()).is_some());
}

/// Somebody's instance serves at a secondary address already: it is the slot's, and so is the interface.
async fn is_adopted(fixed: &Fixed<'_>) {
    let (stage, slot) = (fixed.stage, &fixed.spec.slots[0]);
    let run = stage.ec2.run_instances().image_id(&*fixed.spec.image).min_count(1).max_count(1);
    let run = run.subnet_id(&slot.subnet).instance_type("m7i.large".into()).send().await.unwrap();
    let id = InstanceId::from(run.instances()[0].instance_id().unwrap());
    let interface = run.instances()[0].network_interfaces()[0].network_interface_id().unwrap();
    let assign = stage.ec2.assign_private_ip_addresses().network_interface_id(interface);
    assign.private_ip_addresses(fixed.address().to_string()).send().await.unwrap();

    let seen = stage.aws.candidates("us-east-1", &[id.clone()].into()).await.unwrap().remove(0);
    assert_eq!(seen.interface.unwrap().secondary, [fixed.address()].into());
    let slots = [slot.name.clone()].into();
    stage.aws.tag_adopted(&fixed.spec, &slot.name, &id, &[].into(), &slots).await.unwrap();
    let adopted = fixed.instance(&id).await;
    assert!(adopted.has_fixed_address() && adopted.fixed_address == slot.address, "{adopted:?}");
    let there = stage.ec2.describe_network_interfaces().network_interface_ids(interface).send().await.unwrap();
    let owner = there.network_interfaces()[0].tag_set().iter().find(|tag| tag.key() == Some("hermitcrab:owner"));
    assert_eq!(owner.and_then(|tag| tag.value()), Some("hermitcrab"), "the role may move an address back to it");
    let other = &fixed.spec.slots[1].name;
    let refused = stage.aws.tag_adopted(&fixed.spec, other, &id, &[].into(), &slots).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Invalid, "it is another slot's");
}
