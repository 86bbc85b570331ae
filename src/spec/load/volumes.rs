//! The meaning of `volumes`: each with a name and a device of its own.

use std::collections::BTreeMap;

use super::ebs::WrittenEbs;
use super::meaning::{Meaning, bytes, written};
use super::tags::Bearer;
use crate::ids::VolumeName;
use crate::spec::raw::{self, Spanned, Text};
use crate::spec::words::Word;
use crate::spec::{SnapshotBeforeReplace, VolumeSpec, device_letters, same_device};

impl Meaning<'_, '_> {
    /// Says what `volumes` means.
    pub fn volumes(
        &mut self,
        raw: &Option<Vec<raw::Volume>>,
        region: Option<&str>,
        shared: &BTreeMap<String, String>,
    ) -> Option<Vec<VolumeSpec>> {
        let raw = raw.as_ref()?;
        if raw.is_empty() {
            self.report
                .error(self.root.key(&["spec", "volumes"]), "no volumes")
                .hint("declare at least one: a member's data must outlive its instance");
        }
        self.unique(raw.iter().map(|volume| &volume.name), "volumes", "name");
        self.unique(raw.iter().map(|volume| &volume.device), "volumes", "device");
        self.one_volume_a_device(raw);
        let volumes: Vec<_> = raw.iter().map(|volume| self.volume(volume, region, shared)).collect();
        volumes.into_iter().collect()
    }

    /// Reports two spellings of one device.
    fn one_volume_a_device(&mut self, raw: &[raw::Volume]) {
        let devices: Vec<_> = raw.iter().filter_map(|volume| volume.device.as_ref()).collect();
        for (index, device) in devices.iter().enumerate() {
            let is_same = |other: &&&Spanned| other.value != device.value && same_device(&other.value, &device.value);
            if let Some(other) = devices[..index].iter().find(is_same) {
                self.report
                    .error(bytes(device), format!("`{}` is the device `{}`", device.value, other.value))
                    .hint("give each its own device");
            }
        }
    }

    fn volume(
        &mut self,
        raw: &raw::Volume,
        region: Option<&str>,
        shared: &BTreeMap<String, String>,
    ) -> Option<VolumeSpec> {
        let name = self.label(&raw.name, "volume");
        let device = self.device(&raw.device);
        let settings = WrittenEbs {
            size: &raw.size,
            volume_type: &raw.volume_type,
            iops: &raw.iops,
            throughput: &raw.throughput,
            encrypted: &raw.encrypted,
            kms_key: &raw.kms_key,
        };
        let (size_gib, ebs) = self.ebs(&settings, region).unzip();
        let own = self.tags(&[], &raw.tags, Bearer::Volumes);
        let tags = own.and_then(|own| self.with_shared(&[], &raw.tags, shared, own));
        Some(VolumeSpec {
            name: VolumeName::from(name?),
            device: device?,
            size_gib: size_gib.flatten()?,
            ebs: ebs?,
            tags: tags?,
            snapshot_before_replace: snapshot_before_replace(&raw.snapshot_before_replace),
        })
    }

    /// Reads a device name. Volumes that are taken over are also attached at `/dev/xvdf` and the like; what they boot from, and
    /// what EC2 keeps for instance store, is no place for data.
    fn device(&mut self, text: &Text) -> Option<String> {
        let device = self.valid(
            text,
            |device| letter(device).is_some_and(|letter| ('b'..='z').contains(&letter)),
            |text| format!("`{text}` is no device name"),
            |_| "EC2 keeps `/dev/sdf` to `/dev/sdp` for volumes like this".to_owned(),
        )?;
        if let (Some('b'..='e' | 'q'..='z'), Some(text)) = (letter(&device), text) {
            self.report.warning(bytes(text), "other device names are recommended for volumes").hint(
                "keep it where volumes are attached there already; otherwise take one of `/dev/sdf` to `/dev/sdp`",
            );
        }
        Some(device)
    }
}

/// Reads when a volume is saved. A boolean may be written in capitals, as every boolean may.
fn snapshot_before_replace(text: &Text) -> SnapshotBeforeReplace {
    let meant = |text: &str| SnapshotBeforeReplace::meant(text).or(SnapshotBeforeReplace::meant(&text.to_lowercase()));
    written(text).and_then(meant).unwrap_or_default()
}

/// Finds the letter of a device name that has one.
fn letter(device: &str) -> Option<char> {
    let mut letters = device_letters(device)?.chars();
    letters.next().filter(|_| letters.next().is_none())
}
