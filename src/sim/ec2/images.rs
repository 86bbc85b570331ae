//! Images: the devices that each fills by itself, at every instance that is launched from it.

use std::collections::BTreeMap;

use super::region::{Fresh, Region};
use super::volumes::{refusal_of, shown};
use crate::action::RootVolume;
use crate::ids::{ImageId, InstanceId, VolumeId};
use crate::observed::{Device, Image, ImageDevice, ImageState};
use crate::ports::ErrorKind;
use crate::sim::words::Refusal;
use crate::spec::EbsSettings;

/// The device of an image's root volume, which is none of those that an instance shows here.
const ROOT: &str = "/dev/xvda";
/// The size of every volume that an image brings.
const SIZE_GIB: u32 = 8;

impl Region {
    /// Has an image fill a device by itself, or has its root volume stay when an instance goes.
    pub fn map_device(&mut self, image: &ImageId, device: Option<&str>) {
        let mapped = ImageDevice { delete_on_termination: device.is_some(), size_gib: Some(SIZE_GIB) };
        let name = device.unwrap_or(ROOT).to_owned();
        self.image_devices.entry(image.clone()).or_default().insert(name, mapped);
        self.forget_catalogue();
    }

    /// Describes every image there is: those that are wanted, and those that instances and volumes name.
    pub(super) fn described_images(&self) -> BTreeMap<ImageId, Image> {
        let described = |image: &ImageId| Image {
            state: ImageState::Available,
            architecture: "x86_64".to_owned(),
            isolates_copies: true,
            root_device: Some(ROOT.to_owned()),
            devices: self.devices_of(image),
        };
        self.images.keys().map(|image| (image.clone(), described(image))).collect()
    }

    fn devices_of(&self, image: &ImageId) -> BTreeMap<String, ImageDevice> {
        let root = ImageDevice { delete_on_termination: true, size_gib: Some(SIZE_GIB) };
        let mapped = self.image_devices.get(image).cloned().unwrap_or_default();
        [(ROOT.to_owned(), root)].into_iter().chain(mapped).collect()
    }

    /// Refuses a root volume that is smaller than the image's, or that EBS does not offer.
    pub(super) fn can_have_root(&self, root: &RootVolume) -> Result<(), Refusal> {
        let size = root.size_gib.unwrap_or(SIZE_GIB);
        if size < SIZE_GIB {
            let text = format!(
                "InvalidBlockDeviceMapping: Volume of size {size}GB is smaller than snapshot, expect size >= {SIZE_GIB}GB"
            );
            return Err(Refusal::new(ErrorKind::Invalid, text));
        }
        match root.ebs.objections(size).first() {
            Some(objection) => Err(Refusal::new(ErrorKind::Invalid, refusal_of(*objection, &root.ebs, size))),
            None => Ok(()),
        }
    }

    /// Gives the size in GiB and the settings of an instance's root volume, as EBS shows them.
    pub fn root_shown(&self, id: &InstanceId) -> (u32, EbsSettings) {
        let asked = self.launched.values().find(|spent| spent.made == *id);
        let asked = asked.and_then(|spent| spent.request.root_volume.as_ref());
        let size = asked.and_then(|root| root.size_gib).unwrap_or(SIZE_GIB);
        let plain = EbsSettings { encrypted: false, ..EbsSettings::plain("gp3") };
        (size, shown(asked.map_or(&plain, |root| &root.ebs), size))
    }

    /// Gives a new instance the volumes that its image brings, but for the root volume.
    pub(super) fn fill_devices(&mut self, id: &InstanceId, fresh: Fresh) {
        let Some(machine) = self.instances.get_mut(id) else { return };
        let devices = self.image_devices.get(&machine.seen.make.image).into_iter().flatten();
        for (device, mapped) in devices.filter(|(device, _)| *device != ROOT) {
            let (device, volume) = (device.clone(), VolumeId::from(fresh("vol")));
            let delete_on_termination = mapped.delete_on_termination;
            machine.seen.devices.push(Device { volume, device, delete_on_termination });
        }
    }
}
