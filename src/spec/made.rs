//! The makes that a spec gives its instances, each built and hashed once.

use std::sync::{Mutex, PoisonError};

use crate::ids::{Generation, ImageId};
use crate::make::{Make, UserData};

use super::InstanceSpec;

/// Makes and their generations that were asked for before. The same question comes several times in each pass, and hashing
/// is most of what a decision costs.
///
/// Two such memories are always equal, because they hold nothing that the spec does not say.
#[derive(Debug, Default)]
pub struct Made(Mutex<Option<Known>>);

#[derive(Clone, Debug)]
struct Known {
    /// The settings that all of them are made of. Others make everything anew.
    instance: InstanceSpec,
    /// A handful: the image that is wanted, and those that are gone back to.
    made: Vec<(Make, Generation)>,
}

impl Made {
    /// Gives the make of an instance with these settings and that image, and the generation of the make.
    pub(super) fn of(&self, instance: &InstanceSpec, image: &ImageId) -> (Make, Generation) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.take_if(|known| known.instance != *instance);
        let nothing = || Known { instance: instance.clone(), made: Vec::with_capacity(1) };
        let all = &mut known.get_or_insert_with(nothing).made;
        if let Some(made) = all.iter().find(|(make, _)| make.image == *image) {
            return made.clone();
        }
        let make = make(instance, image);
        let made = (make.clone(), make.generation());
        all.push(made.clone());
        made
    }
}

impl Clone for Made {
    fn clone(&self) -> Self {
        Self(Mutex::new(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()))
    }
}

impl PartialEq for Made {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

fn make(instance: &InstanceSpec, image: &ImageId) -> Make {
    Make {
        image: image.clone(),
        instance_type: instance.instance_type.clone(),
        iam_instance_profile: instance.iam_instance_profile.clone(),
        security_groups: instance.security_groups.clone(),
        key_name: instance.key_name.clone(),
        placement: instance.placement.clone(),
        capacity_reservation: instance.capacity_reservation.clone(),
        root_volume: instance.root_volume.as_ref().map(ToString::to_string),
        user_data: UserData::of(instance.user_data.as_deref()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn other_settings_make_another_generation() {
        let loaded = crate::spec::load::load(&["desired-state/prod/consul.yaml".into()]);
        let mut spec = loaded.specs().next().unwrap().1.clone();
        let before = spec.generation();
        assert_eq!(spec.generation(), before);
        assert_eq!(spec.generation(), spec.make().generation());
        spec.instance.instance_type = "m7i.xlarge".to_owned();
        assert_ne!(spec.generation(), before);
        assert_eq!(spec.generation(), spec.make().generation());
        spec.image = "ami-0bbbbbbbbbbbbbbbb".into();
        assert_eq!(spec.make().image, spec.image);
    }
}
