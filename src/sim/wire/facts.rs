//! `DescribeImages`, `DescribeInstanceTypes`, `DescribeSubnets`, `DescribeAvailabilityZones`, how EBS encrypts, and who asks.

use std::collections::BTreeSet;

use super::asked::Asked;
use super::instances::{ROOT_DEVICE, VPC};
use super::listing::{Filters, Ids, Listed, Page};
use super::problem::Problem;
use super::tags::{self, Tags};
use super::xml::Xml;
use crate::ids::digest;
use crate::observed::tags::{GUEST, ISOLATES_COPIES};
use crate::observed::{self as seen, Reserved};
use crate::sim::ec2::{Bucket, architecture};

const IMAGE_FILTERS: [&str; 4] = ["image-id", "state", "architecture", "owner-id"];
const TYPE_FILTERS: [&str; 3] = ["instance-type", "hypervisor", "processor-info.supported-architecture"];
const SUBNET_FILTERS: [&str; 4] = ["subnet-id", "availability-zone", "vpc-id", "cidr-block"];
const ZONE_FILTERS: [&str; 3] = ["zone-name", "state", "region-name"];

/// `DescribeImages`.
pub fn images(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let ids = Ids::read(&params, "ImageId", "ami", "InvalidAMIID.Malformed")?;
    let filters = Filters::read(&params, &IMAGE_FILTERS)?;
    let page = Page::read(&params, &ids, &filters, [1, 1_000])?;
    let owners = params.list("Owner");
    params.flag("IncludeDeprecated")?;
    params.flag("IncludeDisabled")?;
    asked.begin(Bucket::Describe, "look", false)?;
    let ours = owners.is_empty() || owners.iter().any(|owner| asked.face.is_account(owner));
    let all = asked.state.region.images.keys().map(|id| image(&asked.face.account, id)).collect();
    let found = ids.pick(all, "InvalidAMIID.NotFound")?.into_iter();
    let found = found.filter(|listed| ours && filters.find(listed)).collect();
    Ok(page.cut("imagesSet", found, |listed| listed.xml))
}

fn image(account: &str, id: &str) -> Listed {
    let ebs = [Xml::text("deleteOnTermination", true), Xml::text("volumeSize", 8), Xml::text("volumeType", "gp3")];
    let tags: Tags = [(GUEST.to_owned(), ISOLATES_COPIES.to_owned())].into();
    let xml = vec![
        Xml::text("imageId", id),
        Xml::text("imageState", "available"),
        Xml::text("imageOwnerId", account),
        Xml::text("architecture", "x86_64"),
        Xml::text("imageType", "machine"),
        Xml::text("rootDeviceType", "ebs"),
        Xml::text("rootDeviceName", ROOT_DEVICE),
        Xml::set("blockDeviceMapping", [vec![Xml::text("deviceName", ROOT_DEVICE), Xml::group("ebs", ebs)]]),
        tags::set(&tags),
    ];
    let facts = vec![
        ("image-id", id.to_owned()),
        ("state", "available".to_owned()),
        ("architecture", "x86_64".to_owned()),
        ("owner-id", account.to_owned()),
    ];
    Listed { id: id.to_owned(), xml, facts, tags }
}

/// `DescribeInstanceTypes`: every type that is asked for by name and looks like one. Without names there is nothing to list.
pub fn types(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let named = params.list("InstanceType");
    let filters = Filters::read(&params, &TYPE_FILTERS)?;
    asked.begin(Bucket::Describe, "look", false)?;
    if let Some(unknown) = named.iter().find(|name| !is_type(name)) {
        return Err(Problem::new(
            "InvalidInstanceType",
            format!("The following supplied instance types do not exist: [{unknown}]"),
        ));
    }
    let wanted = filters.values("instance-type");
    let names: BTreeSet<&String> = named.iter().chain(wanted).filter(|name| is_type(name)).collect();
    let found = names.into_iter().map(|name| kind(name)).filter(|listed| filters.find(listed));
    Ok(vec![Xml::set("instanceTypeSet", found.map(|listed| listed.xml))])
}

/// Says whether a text looks like the name of an instance type, e.g. `m7i.large`.
pub fn is_type(name: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    name.split_once('.').is_some_and(|(family, size)| plain(family) && plain(size))
}

fn kind(name: &str) -> Listed {
    let architecture = architecture(name);
    let supported = Xml::group("supportedArchitectures", [Xml::text("item", architecture)]);
    let xml = vec![
        Xml::text("instanceType", name),
        Xml::text("currentGeneration", true),
        Xml::text("hypervisor", "nitro"),
        Xml::group("processorInfo", [supported]),
    ];
    let facts = vec![
        ("instance-type", name.to_owned()),
        ("hypervisor", "nitro".to_owned()),
        ("processor-info.supported-architecture", architecture.to_owned()),
    ];
    Listed { id: name.to_owned(), xml, facts, tags: Tags::new() }
}

/// `DescribeSubnets`: those that slots are declared in.
pub fn subnets(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let ids = Ids::read(&params, "SubnetId", "subnet", "InvalidSubnetID.Malformed")?;
    let filters = Filters::read(&params, &SUBNET_FILTERS)?;
    let page = Page::read(&params, &ids, &filters, [5, 1_000])?;
    asked.begin(Bucket::Describe, "look", false)?;
    let all = asked.state.region.subnets.keys().filter_map(|id| subnet(asked, id)).collect();
    let found = ids.pick(all, "InvalidSubnetID.NotFound")?.into_iter();
    let found = found.filter(|listed| filters.find(listed)).collect();
    Ok(page.cut("subnetSet", found, |listed| listed.xml))
}

fn subnet(asked: &Asked, id: &str) -> Option<Listed> {
    let region = &asked.state.region;
    let zone = region.subnets.get(id)?.zone.clone()?;
    let seen::Subnet { block, free, .. } = region.subnet_seen(id)?;
    let facts = [("subnet-id", id), ("availability-zone", &*zone), ("vpc-id", VPC)];
    let mut facts: Vec<_> = facts.map(|(name, value)| (name, value.to_owned())).into();
    facts.push(("cidr-block", block.to_string()));
    let xml = vec![
        Xml::text("subnetId", id),
        Xml::text("state", "available"),
        Xml::text("vpcId", VPC),
        Xml::text("cidrBlock", block),
        Xml::text("availabilityZone", &zone),
        Xml::text("availableIpAddressCount", free.unwrap_or_default()),
        Xml::text("mapPublicIpOnLaunch", false),
        Xml::text("ownerId", &asked.face.account),
    ];
    Some(Listed { id: id.to_owned(), xml, facts, tags: Tags::new() })
}

/// `GetSubnetCidrReservations`: a range around each fixed address is reserved for whoever names it.
pub fn reservations(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let id = asked.params().required("SubnetId")?;
    asked.begin(Bucket::Describe, "look", false)?;
    let unknown = || Problem::new("InvalidSubnetID.NotFound", format!("The subnet ID '{id}' does not exist"));
    let reserved = asked.state.region.subnet_seen(&id).ok_or_else(unknown)?.reserved;
    let range = |range: Reserved| {
        let digest = digest(format!("{id} {}", range.block).as_bytes());
        vec![
            Xml::text("subnetCidrReservationId", format!("scr-0{digest}")),
            Xml::text("subnetId", &id),
            Xml::text("cidr", range.block),
            Xml::text("reservationType", if range.is_explicit { "explicit" } else { "prefix" }),
            Xml::text("ownerId", &asked.face.account),
        ]
    };
    let ranges = Xml::set("subnetIpv4CidrReservationSet", reserved.into_iter().map(range));
    Ok(vec![ranges, Xml::set("subnetIpv6CidrReservationSet", [])])
}

/// `DescribeAvailabilityZones`: those that slots are declared in, and those in trouble.
pub fn zones(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let (named, filters) = (params.list("ZoneName"), Filters::read(&params, &ZONE_FILTERS)?);
    params.flag("AllAvailabilityZones")?;
    asked.begin(Bucket::Describe, "look", false)?;
    let all = known_zones(asked);
    if let Some(unknown) = named.iter().find(|name| !all.contains(*name)) {
        return Err(Problem::value(format!("Invalid availability zone: [{unknown}]")));
    }
    let wanted = all.iter().filter(|name| named.is_empty() || named.contains(name));
    let found = wanted.map(|name| zone(asked, name)).filter(|listed| filters.find(listed));
    Ok(vec![Xml::set("availabilityZoneInfo", found.map(|listed| listed.xml))])
}

/// Lists the zones that there are.
pub fn known_zones(asked: &Asked) -> BTreeSet<String> {
    let region = &asked.state.region;
    let declared = region.subnets.values().filter_map(|subnet| subnet.zone.as_ref());
    declared.chain(region.zones.keys()).map(ToString::to_string).collect()
}

fn zone(asked: &Asked, name: &str) -> Listed {
    let state = asked.state.region.zones.get(&name.into());
    let impaired = state.is_some_and(|state| state.impaired_until > asked.state.now);
    let message = impaired.then(|| vec![Xml::text("message", "increased error rates")]);
    let xml = vec![
        Xml::text("zoneName", name),
        Xml::text("zoneState", "available"),
        Xml::text("zoneType", "availability-zone"),
        Xml::text("regionName", &asked.region),
        Xml::set("messageSet", message),
    ];
    let facts =
        vec![("zone-name", name.to_owned()), ("state", "available".to_owned()), ("region-name", asked.region.clone())];
    Listed { id: name.to_owned(), xml, facts, tags: Tags::new() }
}

/// `GetEbsEncryptionByDefault`.
pub fn encryption(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    asked.begin(Bucket::Describe, "look", false)?;
    Ok(vec![Xml::text("ebsEncryptionByDefault", asked.state.region.ebs_defaults.encrypts_all)])
}

/// `GetEbsDefaultKmsKeyId`.
pub fn default_key(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    asked.begin(Bucket::Describe, "look", false)?;
    Ok(vec![Xml::text("kmsKeyId", &asked.state.region.ebs_defaults.key)])
}

/// `GetCallerIdentity`, which nobody is refused.
pub fn identity(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    if let Some(name) = asked.form.unread() {
        return Err(Problem::new("ValidationError", format!("The parameter {name} is not recognized")));
    }
    let account = &asked.face.account;
    Ok(vec![Xml::group(
        "GetCallerIdentityResult",
        [
            Xml::text("Arn", format!("arn:aws:iam::{account}:user/simulated")),
            Xml::text("UserId", "AIDASIMULATED"),
            Xml::text("Account", account),
        ],
    )])
}
