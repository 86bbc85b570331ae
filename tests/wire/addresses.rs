//! Fixed addresses: their subnets, what is reserved for them, and the tags of the interfaces that have them.

use crate::stage::{LAUNCH, Stage};

const FILE: &str = "tests/fixtures/consul-addresses.yaml";
const SUBNET: &str = "subnet-0aaaaaaaaaaaaaaaa";

#[test]
fn a_subnet_has_the_range_of_its_addresses_and_keeps_them() {
    let stage = Stage::of(FILE);
    let by_zone = [("Filter.1.Name", "availability-zone"), ("Filter.1.Value.1", "us-east-1a")];
    assert_eq!(stage.all("DescribeSubnets", &by_zone, "subnetId"), [SUBNET]);
    assert_eq!(stage.one("DescribeSubnets", &[("SubnetId.1", SUBNET)], "cidrBlock"), "10.0.1.0/24");
    assert_eq!(stage.all("DescribeSubnets", &[], "subnetId").len(), 3);
    assert_eq!(stage.refusal("DescribeSubnets", &[("SubnetId.1", "subnet-00000000")]).1, "InvalidSubnetID.NotFound");

    let of_a = [("SubnetId", SUBNET)];
    assert_eq!(stage.all("GetSubnetCidrReservations", &of_a, "cidr"), ["10.0.1.0/28"]);
    assert_eq!(stage.one("GetSubnetCidrReservations", &of_a, "reservationType"), "explicit");
    let nowhere = [("SubnetId", "subnet-00000000")];
    assert_eq!(stage.refusal("GetSubnetCidrReservations", &nowhere).1, "InvalidSubnetID.NotFound");
    assert_eq!(Stage::new().all("GetSubnetCidrReservations", &of_a, "cidr"), [""; 0], "no slot has an address");
}

#[test]
fn an_interface_bears_the_tags_of_its_launch_and_those_that_it_is_given() {
    let stage = Stage::of(FILE);
    let tagged = [
        ("TagSpecification.1.ResourceType", "network-interface"),
        ("TagSpecification.1.Tag.1.Key", "hermitcrab:owner"),
        ("TagSpecification.1.Tag.1.Value", "hermitcrab"),
    ];
    let launch: Vec<_> = LAUNCH.iter().copied().chain(tagged).collect();
    let id = stage.one("RunInstances", &launch, "instanceId");
    let interface = stage.one("DescribeInstances", &[("InstanceId.1", &id)], "networkInterfaceId");
    let asked = [("NetworkInterfaceId.1", &*interface)];
    assert_eq!(stage.all("DescribeNetworkInterfaces", &asked, "key"), ["hermitcrab:owner"]);
    let more = [("ResourceId.1", &*interface), ("Tag.1.Key", "team"), ("Tag.1.Value", "data")];
    stage.all("CreateTags", &more, "return");
    assert_eq!(stage.all("DescribeNetworkInterfaces", &asked, "key"), ["hermitcrab:owner", "team"]);
    let nobodys = [("ResourceId.1", "eni-00000000"), ("Tag.1.Key", "team"), ("Tag.1.Value", "data")];
    assert_eq!(stage.refusal("CreateTags", &nobodys).1, "InvalidID");
}
