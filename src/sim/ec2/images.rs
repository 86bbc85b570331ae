//! Images: the devices that each fills by itself, at every instance that is launched from it.

use std::collections::BTreeMap;

use super::region::{Fresh, Region};
use crate::ids::{ImageId, InstanceId, VolumeId};
use crate::observed::{Device, Image, ImageDevice, ImageState};

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
            devices: self.image_devices.get(image).cloned().unwrap_or_default(),
        };
        self.images.keys().map(|image| (image.clone(), described(image))).collect()
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
