//! `RunInstances`: one instance at a time.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::asked::Asked;
use super::facts::is_type;
use super::instances::{self, ROOT_DEVICE};
use super::params::Params;
use super::placement;
use super::problem::Problem;
use super::tags::{self, Tags};
use super::xml::Xml;
use crate::action::{CloudEffect, Launch, RootVolume};
use crate::ids::{Generation, ImageId, Owner, Token, Zone};
use crate::make::{Make, UserData};
use crate::observed::tags::{GENERATION, OWNER, ROOT_VOLUME, USER_DATA};
use crate::ports::Outcome;
use crate::sim::ec2::{Bucket, architecture};
use crate::spec::EbsSettings;

/// The type of the root volume that every image has.
const PLAIN_ROOT: &str = "gp3";
/// As many bytes as user data may have.
const USER_DATA_LIMIT: usize = 16_384;

/// `RunInstances`.
pub fn run(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let tags = tags::specified(&params, "instance")?;
    let mut launch = read(&params, &tags)?;
    let placed = params.below("Placement").take("AvailabilityZone");
    ignored(&params)?;
    asked.begin(Bucket::RunInstances, "launch", true)?;
    launch.zone = zone_of(asked, &launch.subnet, placed)?;
    if !asked.state.region.images.contains_key(&launch.make.image) {
        let text = format!("The image id '[{}]' does not exist", launch.make.image);
        return Err(Problem::new("InvalidAMIID.NotFound", text));
    }
    if launch.token.is_empty() {
        launch.token = Token::from(asked.state.chance.id("token"));
    } else {
        asked.claim_token(&format!("launch/{}/{}", launch.zone, launch.token))?;
    }
    let (cluster, slot, token) = (tags::cluster(&tags), launch.slot.clone(), launch.token.to_string());
    let outcome = asked.change(&cluster, Some(&slot), &CloudEffect::Launch(Box::new(launch)))?;
    let Outcome::Launched(id) = outcome else { return Err(Problem::new("InternalError", "nothing was launched")) };
    if asked.notes.launched_by.insert(id.clone(), token).is_none() {
        let root = tags::specified(&asked.params(), "volume")?;
        asked.notes.tags.insert(tags::root_of(&id), root);
        let of_interface = tags::specified(&asked.params(), "network-interface")?;
        let interface = asked.state.region.machine(&id)?.seen.interface.as_ref();
        asked.notes.tags.extend(interface.map(|own| (own.id.to_string(), of_interface)));
        if let Some(machine) = asked.state.region.instances.get_mut(&id) {
            tags::onto_instance(&tags, machine); // of what the tags do not say, nothing is known
        }
    }
    let machine = asked.state.region.machine(&id)?;
    let owner = asked.face.account.clone();
    Ok(instances::reservation(&owner, instances::described_now(asked, machine)))
}

fn read(params: &Params, tags: &Tags) -> Result<Launch, Problem> {
    for count in ["MinCount", "MaxCount"] {
        if params.required(count)? != "1" {
            return Err(Problem::new("UnsupportedOperation", "The simulated world launches one instance a call"));
        }
    }
    let text = user_data(params)?;
    let tagged = tags::name::<String>(tags, USER_DATA).map(UserData::Digest);
    let (goes_with_it, root_volume) = mappings(params)?;
    Ok(Launch {
        token: Token::from(params.text("ClientToken")),
        slot: tags::slot(tags),
        make: Make {
            root_volume: tags::name(tags, ROOT_VOLUME),
            user_data: tagged.unwrap_or_else(|| UserData::of(text.as_deref())),
            ..make(params)?
        },
        user_data_text: text,
        zone: Zone::from(""),
        subnet: params.required("SubnetId")?,
        tags: tags::others(tags),
        interface_tags: tags::others(&tags::specified(params, "network-interface")?),
        owner: tags::name(tags, OWNER).unwrap_or_else(|| Owner::from("")),
        generation: tags::name(tags, GENERATION).unwrap_or_else(|| Generation::from("")),
        attempt: tags::attempt(tags),
        volumes: tags::volumes_of_guest(tags).collect(),
        address: None,
        goes_with_it,
        root_volume,
    })
}

fn make(params: &Params) -> Result<Make, Problem> {
    let profile = params.below("IamInstanceProfile");
    let by_arn = profile.take("Arn").and_then(|arn| arn.rsplit('/').next().map(str::to_owned));
    let instance_type = params.required("InstanceType")?;
    if !is_type(&instance_type) {
        return Err(Problem::value(format!("Invalid value '{instance_type}' for InstanceType.")));
    }
    if architecture(&instance_type) != "x86_64" {
        let text =
            "The architecture of the specified instance type does not match the architecture 'x86_64' of the AMI.";
        return Err(Problem::value(text));
    }
    Ok(Make {
        image: ImageId::from(params.required("ImageId")?),
        instance_type,
        iam_instance_profile: profile.take("Name").or(by_arn),
        security_groups: params.list("SecurityGroupId").into_iter().collect(),
        key_name: params.take("KeyName"),
        placement: placement::read(params)?,
        capacity_reservation: placement::reservation(params)?,
        root_volume: None,
        user_data: UserData::Absent,
    })
}

fn user_data(params: &Params) -> Result<Option<String>, Problem> {
    let Some(encoded) = params.take("UserData") else { return Ok(None) };
    let bytes = STANDARD
        .decode(&encoded)
        .map_err(|_| Problem::new("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data."))?;
    if bytes.len() > USER_DATA_LIMIT {
        return Err(Problem::value(format!("User data is limited to {USER_DATA_LIMIT} bytes")));
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Devices whose volumes end with the instance, each with its size, and the root volume that is asked for.
type Mappings = (BTreeMap<String, Option<u32>>, Option<RootVolume>);

/// Reads the devices whose volumes end with the instance, and the root volume where it is not to be as the image has it.
fn mappings(params: &Params) -> Result<Mappings, Problem> {
    let (mut devices, mut root) = (BTreeMap::new(), None);
    for mapping in params.entries("BlockDeviceMapping") {
        let (device, ebs) = (mapping.required("DeviceName")?, mapping.below("Ebs"));
        let ends_with_it = ebs.flag("DeleteOnTermination")? == Some(true);
        if device == ROOT_DEVICE && ends_with_it {
            root = Some(root_volume(device, &ebs)?);
        } else if ends_with_it {
            devices.insert(device, ebs.parsed("VolumeSize")?);
        }
    }
    // EC2 deletes the root volume with the instance anyway, unless the image says otherwise.
    let is_plain = |root: &RootVolume| root.ebs == EbsSettings { encrypted: false, ..EbsSettings::plain(PLAIN_ROOT) };
    if let Some(plain) = root.take_if(|root| is_plain(root) && root.size_gib.is_none()) {
        devices.insert(plain.device, None);
    }
    Ok((devices, root))
}

/// Reads a root volume, which ends with its instance.
pub fn root_volume(device: String, ebs: &Params) -> Result<RootVolume, Problem> {
    ebs.flag("DeleteOnTermination")?;
    let settings = EbsSettings {
        volume_type: ebs.take("VolumeType").unwrap_or_else(|| PLAIN_ROOT.to_owned()),
        iops: ebs.parsed("Iops")?,
        throughput: ebs.parsed("Throughput")?,
        encrypted: ebs.flag("Encrypted")?.unwrap_or(false),
        kms_key: ebs.take("KmsKeyId"),
    };
    Ok(RootVolume { device, size_gib: ebs.parsed("VolumeSize")?, ebs: settings })
}

/// Reads what has no effect in the simulated world. Other values than those of a plain launch are not known to it.
fn ignored(params: &Params) -> Result<(), Problem> {
    let metadata = params.below("MetadataOptions");
    for option in ["HttpEndpoint", "HttpTokens", "HttpPutResponseHopLimit", "InstanceMetadataTags"] {
        metadata.take(option);
    }
    if params.take("InstanceInitiatedShutdownBehavior").is_some_and(|behaviour| behaviour != "stop") {
        return Err(Problem::new("UnsupportedOperation", "Members of the simulated world only stop"));
    }
    params.flag("EbsOptimized").map(drop)
}

/// Finds the zone of a subnet, which must be the one that was asked for.
fn zone_of(asked: &Asked, subnet: &str, placed: Option<String>) -> Result<Zone, Problem> {
    let known = asked.state.region.subnets.get(subnet).and_then(|subnet| subnet.zone.clone());
    let unknown = || Problem::new("InvalidSubnetID.NotFound", format!("The subnet ID '{subnet}' does not exist"));
    let zone = known.ok_or_else(unknown)?;
    match placed.filter(|placed| **placed != *zone) {
        None => Ok(zone),
        Some(placed) => {
            let text = format!("The availability zone '{placed}' does not match the subnet's, which is '{zone}'");
            Err(Problem::new("InvalidParameterCombination", text))
        }
    }
}
