//! Facts about a region that every cluster in it shares.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::ids::{ImageId, InstanceId, InterfaceId, Zone};

/// The facts that were asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Catalogue {
    /// The account that the credentials belong to; none in a cloud without accounts, such as a simulated world.
    pub account: Option<String>,
    /// The images that were asked for and exist.
    pub images: BTreeMap<ImageId, Image>,
    /// The instance types that were asked for, and the processor architectures that each runs, e.g. `x86_64`.
    pub instance_types: BTreeMap<String, BTreeSet<String>>,
    /// The instance types among them that run on Xen, where a guest cannot find a volume by its NVMe serial.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub xen_types: BTreeSet<String>,
    /// The availability zones that AWS reports as impaired, with its words.
    pub impaired_zones: BTreeMap<Zone, String>,
    /// The fixed addresses that specs declare and that some network interface has, whoever's it is. They may be a minute old.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub used_addresses: Vec<UsedAddress>,
}

/// A private address that a network interface has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsedAddress {
    /// The subnet of the interface: the same address may be used in another network.
    pub subnet: String,
    pub address: Ipv4Addr,
    pub interface: InterfaceId,
    /// The instance that the interface belongs to, if it is one's.
    pub instance: Option<InstanceId>,
}

/// An AMI.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    pub state: ImageState,
    /// E.g. `x86_64`.
    pub architecture: String,
    /// The guest cuts a copied volume off from the cluster that it was copied from, or else refuses it: from the tag
    /// `hermitcrab-guest` with the value `isolates-copies`.
    #[serde(default)]
    pub isolates_copies: bool,
    /// The device that instances boot from, e.g. `/dev/xvda`; none where EC2 names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_device: Option<String>,
    /// The devices that the image fills by itself, that of its root volume among them, by name, e.g. `/dev/xvda`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub devices: BTreeMap<String, ImageDevice>,
}

impl Image {
    /// Gives the size of the root volume that the image brings, in GiB.
    pub fn root_size_gib(&self) -> Option<u32> {
        self.devices.get(self.root_device.as_deref()?)?.size_gib
    }

    /// Names the devices whose volumes would be left behind by every instance that is launched from the image.
    pub fn leaves_behind(&self) -> impl Iterator<Item = (&String, &ImageDevice)> {
        self.devices.iter().filter(|(_, device)| !device.delete_on_termination)
    }
}

/// A device that an image fills by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageDevice {
    /// EC2 deletes the volume with its instance, unless a launch says otherwise.
    pub delete_on_termination: bool,
    /// The size of the volume in GiB; none for a disk of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_gib: Option<u32>,
}

/// The life cycle of an image, in EC2's words. Instances can be launched from an available one alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageState {
    Pending,
    Available,
    Invalid,
    Deregistered,
    Transient,
    Failed,
    Error,
    Disabled,
    /// EC2 says nothing, or a word that we do not know.
    Unknown,
}

impl ImageState {
    /// Says whether an instance can be launched from an image in that state.
    pub fn is_available(self) -> bool {
        self == Self::Available
    }
}

impl fmt::Display for ImageState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pending => "pending",
            Self::Available => "available",
            Self::Invalid => "invalid",
            Self::Deregistered => "deregistered",
            Self::Transient => "transient",
            Self::Failed => "failed",
            Self::Error => "error",
            Self::Disabled => "disabled",
            Self::Unknown => "in a state that is not known",
        })
    }
}
