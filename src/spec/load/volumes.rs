//! The meaning of `volumes`: each with a name and a device of its own.

use super::meaning::{Meaning, boolean, bytes, written};
use super::quantity;
use crate::ids::VolumeName;
use crate::spec::VolumeSpec;
use crate::spec::raw;

impl Meaning<'_, '_> {
    /// Says what `volumes` means.
    pub fn volumes(&mut self, raw: &Option<Vec<raw::Volume>>) -> Option<Vec<VolumeSpec>> {
        let raw = raw.as_ref()?;
        if raw.is_empty() {
            self.report
                .error(self.root.key(&["spec", "volumes"]), "no volumes")
                .hint("declare at least one: a member's data must outlive its instance");
        }
        self.unique(raw.iter().map(|volume| &volume.name), "volumes", "name");
        self.unique(raw.iter().map(|volume| &volume.device), "volumes", "device");
        let volumes: Vec<_> = raw.iter().map(|volume| self.volume(volume)).collect();
        volumes.into_iter().collect()
    }

    fn volume(&mut self, raw: &raw::Volume) -> Option<VolumeSpec> {
        let name = self.label(&raw.name, "volume");
        let is_device = |device: &str| {
            device.strip_prefix("/dev/sd").is_some_and(|letter| letter.len() == 1 && ("f"..="p").contains(&letter))
        };
        let device = self.valid(
            &raw.device,
            is_device,
            |text| format!("`{text}` is no device name"),
            |_| "EC2 keeps `/dev/sdf` to `/dev/sdp` for volumes like this".to_owned(),
        );
        let size = self.quantity(&raw.size, quantity::size_gib, "size");
        let volume_type = written(&raw.volume_type).unwrap_or("gp3");
        if let (Some(size), "st1" | "sc1", Some(text)) = (size, volume_type, &raw.size)
            && size < 125
        {
            self.report
                .error(bytes(text), format!("too small for {volume_type}"))
                .hint("such a volume has at least 125GiB");
        }
        Some(VolumeSpec {
            name: VolumeName::from(name?),
            device: device?,
            size_gib: size?,
            volume_type: volume_type.to_owned(),
            encrypted: boolean(&raw.encrypted, true),
            snapshot_before_replace: boolean(&raw.snapshot_before_replace, false),
        })
    }
}
