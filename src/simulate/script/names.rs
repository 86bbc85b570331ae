//! Names for ids in a transcript, so that the transcript does not change with every chance that is drawn.

use std::collections::BTreeMap;

use crate::ids::{InstanceId, SlotName, VolumeId, VolumeName};
use crate::observed::CloudView;
use crate::sim::What;
use crate::simulate::Line;

/// The names that were given so far, e.g. `consul-b#2` for the second instance of `consul-b`.
#[derive(Default)]
pub(super) struct Names {
    known: BTreeMap<String, String>,
    launched: BTreeMap<SlotName, usize>,
    created: BTreeMap<SlotName, usize>,
    /// In the order of the spec, which is the order in which they are created.
    volumes: Vec<VolumeName>,
}

impl Names {
    /// Names everything that a cluster has at the beginning.
    pub(super) fn of(volumes: Vec<VolumeName>, view: Option<&CloudView>) -> Self {
        let mut names = Self { volumes, ..Self::default() };
        for instance in view.into_iter().flat_map(|view| &view.instances) {
            names.instance(&instance.slot, &instance.id);
        }
        for volume in view.into_iter().flat_map(|view| &view.volumes) {
            names.volume(&volume.id, format!("{}/{}", volume.slot, volume.name));
        }
        names
    }

    /// Names everything that a line tells of for the first time.
    pub(super) fn learn(&mut self, line: &Line) {
        let Line::World { event, .. } = line else { return };
        let What::Action { action, slot: Some(slot), instance, volume, .. } = &event.what else { return };
        match (action.as_str(), instance, volume) {
            ("launch" | "recruit", Some(id), _) => self.instance(slot, id),
            ("create-volume", _, Some(id)) if !self.known.contains_key(&**id) => self.created(slot, id),
            _ => {}
        }
    }

    fn created(&mut self, slot: &SlotName, id: &VolumeId) {
        let count = self.created.entry(slot.clone()).or_default();
        let name = self.volumes.get(*count % self.volumes.len().max(1)).map_or("", |name| &**name);
        *count += 1;
        let name = format!("{slot}/{name}");
        self.volume(id, name);
    }

    fn instance(&mut self, slot: &SlotName, id: &InstanceId) {
        if !self.known.contains_key(&**id) {
            let count = self.launched.entry(slot.clone()).or_default();
            *count += 1;
            self.known.insert(id.to_string(), format!("{slot}#{count}"));
        }
    }

    /// Gives a volume a name, with a number if another one has it already.
    pub(super) fn volume(&mut self, id: &VolumeId, name: String) {
        let is_taken = |name: &String| self.known.values().any(|known| known == name);
        let numbered = (2..).map(|number| format!("{name}#{number}"));
        if let Some(free) = std::iter::once(name.clone()).chain(numbered).find(|name| !is_taken(name)) {
            self.known.insert(id.to_string(), free);
        }
    }

    /// Puts names in the place of ids.
    pub(super) fn called(&self, text: &str) -> String {
        self.known.iter().fold(text.to_owned(), |text, (id, name)| text.replace(id, name))
    }
}
