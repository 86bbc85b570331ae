//! The proposal to adopt an instance for a slot; pure, so that each obstacle can be tried.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use crate::cloud::candidates::{Candidate, CandidateVolume};
use crate::ids::{InstanceId, SlotName, VolumeId, VolumeName};
use crate::make::{self, Field};
use crate::observed::InstanceState;
use crate::spec::{ClusterSpec, SlotSpec, VolumeSpec, same_device};

/// One slot with the instance that is to serve it.
#[derive(Debug, PartialEq)]
pub(super) struct SlotProposal {
    pub slot: SlotName,
    pub instance: InstanceId,
    /// The data volumes, found by their devices.
    pub volumes: BTreeMap<VolumeName, VolumeId>,
    /// The slot's fixed address, where the instance has it as a secondary one already.
    pub address: Option<Ipv4Addr>,
    /// The secondary private addresses of the instance's primary interface, which could be fixed ones.
    pub secondary: BTreeSet<Ipv4Addr>,
    /// Devices whose volume would be deleted with the instance as it is.
    pub kept: Vec<String>,
    /// The differences from the file, which the first rollout will remove.
    pub differences: Vec<String>,
    /// The reasons why the instance cannot be adopted.
    pub obstacles: Vec<String>,
}

/// Compares the instance in EC2 with the file.
pub(super) fn propose(
    spec: &ClusterSpec,
    slot: &SlotSpec,
    instance: &InstanceId,
    candidate: Option<&Candidate>,
    owner: &str,
) -> SlotProposal {
    let mut proposal = SlotProposal {
        slot: slot.name.clone(),
        instance: instance.clone(),
        volumes: BTreeMap::new(),
        address: None,
        secondary: BTreeSet::new(),
        kept: Vec::new(),
        differences: Vec::new(),
        obstacles: Vec::new(),
    };
    let Some(candidate) = candidate else {
        proposal.obstacles.push(format!("no such instance in {}, or the credentials may not see it", spec.region));
        return proposal;
    };
    proposal.obstacles.extend(obstacles(spec, slot, candidate, owner));
    proposal.differences.extend(differences(spec, slot, candidate));
    proposal.differences.extend(lost(spec, slot, candidate));
    proposal.secondary.extend(candidate.interface.iter().flat_map(|interface| &interface.secondary));
    proposal.address = slot.address.filter(|address| has(candidate, *address));
    // Undeclared volumes as well, because an untagged volume may hold data.
    let doomed = candidate.volumes.iter().filter(|volume| volume.delete_on_termination && !volume.is_root);
    proposal.kept.extend(doomed.map(|volume| volume.device.clone()));
    for declared in &spec.volumes {
        match candidate.volumes.iter().find(|volume| same_device(&volume.device, &declared.device)) {
            Some(volume) => proposal.take(spec, declared, volume, owner),
            None => proposal
                .obstacles
                .push(format!("no volume is attached at {}, the device of {}", declared.device, declared.name)),
        }
    }
    proposal
}

/// Says what the file could declare where it declares no addresses, and the instances have secondary ones: `slots` as they could
/// be if each has one, else what is there, because a file has an address for all slots or for none.
pub(super) fn fixed_addresses(spec: &ClusterSpec, proposals: &[SlotProposal]) -> Vec<String> {
    if spec.has_addresses() || proposals.iter().all(|proposal| proposal.secondary.is_empty()) {
        return Vec::new();
    }
    let listed = |addresses: &BTreeSet<Ipv4Addr>| match addresses.len() {
        0 => "none".to_owned(),
        _ => addresses.iter().map(Ipv4Addr::to_string).collect::<Vec<_>>().join(" and "),
    };
    if proposals.iter().any(|proposal| proposal.secondary.len() != 1) || spec.capacity.group().is_some() {
        let each = proposals.iter().map(|proposal| format!("{} {}", proposal.slot, listed(&proposal.secondary)));
        let each = each.collect::<Vec<_>>().join(", ");
        let why = match spec.capacity.group() {
            Some(_) => "slots of an adopted Auto Scaling group have no fixed addresses",
            None => "fixed addresses are for all slots or for none, one for each",
        };
        return vec![format!("secondary private addresses: {each}; {why}")];
    }
    let line = |(slot, proposal): (&SlotSpec, &SlotProposal)| {
        let SlotSpec { name, zone, subnet, .. } = slot;
        format!("  - {{ name: {name}, zone: {zone}, subnet: {subnet}, address: {} }}", listed(&proposal.secondary))
    };
    let seats = proposals.iter().filter_map(|proposal| Some((spec.slot(&proposal.slot)?, proposal)));
    let said = "each instance has one secondary private address. If the members serve there, and the image's guest takes such an \
                address up, declare them before you tag, and they move with the volumes:";
    [said.to_owned(), "slots:".to_owned()].into_iter().chain(seats.map(line)).collect()
}

impl SlotProposal {
    fn take(&mut self, spec: &ClusterSpec, declared: &VolumeSpec, volume: &CandidateVolume, owner: &str) {
        if volume.is_root {
            self.obstacles
                .push(format!("{} at {} is the root volume, which the instance boots from", volume.id, volume.device));
            return;
        }
        let wanted = [
            ("hermitcrab:cluster", &*spec.name),
            ("hermitcrab:slot", &*self.slot),
            ("hermitcrab:volume", &*declared.name),
            ("hermitcrab:owner", owner),
        ];
        self.obstacles.extend(foreign(&volume.id, &volume.tags, &wanted));
        let as_made = declared.differences_from(volume.size_gib, volume.ebs.as_ref(), &volume.tags);
        if !as_made.is_empty() {
            let (id, as_made) = (&volume.id, as_made.join(", "));
            self.differences.push(format!("{id} stays as it was made; not carried out: {as_made}"));
        }
        if let Some(to) = declared.grown_size(volume.size_gib, volume.ebs.as_ref()) {
            self.differences
                .push(format!("{} grows from {}GiB to {to}GiB once it is adopted", volume.id, volume.size_gib));
        }
        self.volumes.insert(declared.name.clone(), volume.id.clone());
    }
}

fn obstacles(spec: &ClusterSpec, slot: &SlotSpec, candidate: &Candidate, owner: &str) -> Vec<String> {
    let mut obstacles = Vec::new();
    if candidate.state != InstanceState::Running {
        obstacles.push("the instance does not run; start it, and adopt it then".to_owned());
    }
    if candidate.zone != slot.zone {
        obstacles.push(format!(
            "the instance is in {}, and the slot in {}: volumes cannot change zones",
            candidate.zone, slot.zone
        ));
    }
    if let Some(address) = slot.address.filter(|address| candidate.address == Some(IpAddr::V4(*address))) {
        obstacles.push(format!(
            "{address} is the primary address of the instance, which never moves: declare another address for the slot"
        ));
    }
    let wanted = [("hermitcrab:cluster", &*spec.name), ("hermitcrab:slot", &*slot.name), ("hermitcrab:owner", owner)];
    obstacles.extend(foreign(&candidate.id, &candidate.tags, &wanted));
    obstacles
}

/// Says whether an instance has that address as a secondary one.
fn has(candidate: &Candidate, address: Ipv4Addr) -> bool {
    candidate.interface.as_ref().is_some_and(|interface| interface.secondary.contains(&address))
}

/// Lists the controller's tags that have another value.
fn foreign(id: &str, tags: &BTreeMap<String, String>, wanted: &[(&str, &str)]) -> Vec<String> {
    let other = |(key, value): &(&str, &str)| {
        let is = tags.get(*key).filter(|is| *is != value)?;
        Some(format!("{id} has the tag {key}={is} already, not {value}"))
    };
    wanted.iter().filter_map(other).collect()
}

fn differences(spec: &ClusterSpec, slot: &SlotSpec, candidate: &Candidate) -> Vec<String> {
    let mut drifts = make::differences(&candidate.make, &spec.make());
    drifts.extend(make::drift(Field::Subnet, &candidate.subnet, &slot.subnet, Clone::clone));
    let mut differences: Vec<_> = drifts.iter().map(|drift| format!("{drift} at the first rollout")).collect();
    if let Some(address) = slot.address.filter(|address| !has(candidate, *address)) {
        differences.push(format!("the member is to serve at {address} from the first rollout on"));
    }
    if let Some(group) = &candidate.auto_scaling_group {
        differences.push(format!(
            "the instance belongs to Auto Scaling group {group}: nothing is replaced before it is detached, or the group adopted"
        ));
    }
    differences
}

/// Lists what a replacement would not have, because no file or this file does not declare it.
fn lost(spec: &ClusterSpec, slot: &SlotSpec, candidate: &Candidate) -> Vec<String> {
    let is_declared = |volume: &CandidateVolume| spec.volumes.iter().any(|it| it.device == volume.device);
    let volumes = candidate.volumes.iter().filter(|volume| !is_declared(volume)).map(|volume| {
        let CandidateVolume { id, device, size_gib, .. } = volume;
        match volume.is_root {
            true => format!("the root volume ({size_gib} GiB) is not kept: the next one is as {} has it", of_root(spec)),
            false => format!(
                "{id} ({size_gib} GiB) at {device} is not declared: nothing is replaced before it is declared or detached"
            ),
        }
    });
    let secondary = candidate.interface.iter().flat_map(|interface| interface.beside(slot.address));
    let secondary = secondary.map(|address| format!("secondary private address {address}"));
    let beyond = candidate.beyond.iter().cloned().chain(secondary);
    let beyond = beyond.map(|beyond| format!("{beyond}: no file declares it, and a replacement has none"));
    let left = make::left_to_ec2(&candidate.make, &spec.make()).into_iter();
    let left = left.map(|chosen| format!("{chosen}: the file does not declare it, and for a replacement EC2 chooses"));
    let protected = candidate
        .protected_from
        .iter()
        .map(|call| format!("the instance is protected from being {call}: turn that off, or nothing is replaced"));
    volumes.chain(beyond).chain(left).chain(protected).collect()
}

/// Names what says how a root volume is.
fn of_root(spec: &ClusterSpec) -> &'static str {
    if spec.instance.root_volume.is_some() { "the file" } else { "the image" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::make::{Make, UserData};
    use crate::observed::Interface;
    use crate::spec::EbsSettings;

    fn spec() -> ClusterSpec {
        let loaded = crate::spec::load::load(&["desired-state/prod/consul.yaml".into()]);
        loaded.specs().next().unwrap().1.clone()
    }

    /// Makes an instance that is as the first slot wants it.
    fn fitting(spec: &ClusterSpec) -> Candidate {
        let volume = |declared: &VolumeSpec| CandidateVolume {
            id: format!("vol-{}", declared.name).into(),
            device: declared.device.clone(),
            is_root: false,
            delete_on_termination: false,
            size_gib: declared.size_gib,
            ebs: Some(declared.ebs.clone()),
            tags: BTreeMap::new(),
        };
        Candidate {
            id: "i-1".into(),
            state: InstanceState::Running,
            zone: spec.slots[0].zone.clone(),
            subnet: spec.slots[0].subnet.clone(),
            make: Make { user_data: UserData::Unknown, ..spec.make() },
            tags: BTreeMap::new(),
            volumes: spec.volumes.iter().map(volume).collect(),
            auto_scaling_group: None,
            address: Some("10.0.1.7".parse().unwrap()),
            interface: Some(Interface { id: "eni-1".into(), secondary: [].into() }),
            beyond: Vec::new(),
            protected_from: Vec::new(),
        }
    }

    fn proposed(change: impl FnOnce(&mut Candidate)) -> SlotProposal {
        let spec = spec();
        let mut candidate = fitting(&spec);
        change(&mut candidate);
        propose(&spec, &spec.slots[0], &"i-1".into(), Some(&candidate), "hermitcrab")
    }

    #[test]
    fn what_fits_is_taken_as_it_is() {
        let proposal = proposed(|_| ());
        assert_eq!((proposal.differences, proposal.obstacles, proposal.kept), (vec![], vec![], vec![]));
        assert_eq!(proposal.volumes.len(), spec().volumes.len());
    }

    #[test]
    fn what_a_volume_was_made_with_stays_and_is_said() {
        let proposal = proposed(|candidate| {
            candidate.volumes[0].size_gib = 8;
            candidate.volumes[0].ebs = Some(EbsSettings { encrypted: false, ..EbsSettings::plain("gp2") });
        });
        let said = [
            "vol-data stays as it was made; not carried out: type gp2 → gp3, encrypted false → true",
            "vol-data grows from 8GiB to 20GiB once it is adopted",
        ];
        assert_eq!((proposal.differences, proposal.obstacles), (said.map(str::to_owned).to_vec(), vec![]));
        assert!(proposal.volumes.contains_key(&spec().volumes[0].name));
    }

    #[test]
    fn what_somebody_else_has_tagged_is_left_alone() {
        let proposal = proposed(|candidate| {
            candidate.tags.insert("hermitcrab:cluster".to_owned(), "other".to_owned());
        });
        assert_eq!(proposal.obstacles, ["i-1 has the tag hermitcrab:cluster=other already, not consul-prod"]);
    }

    #[test]
    fn a_root_volume_is_no_data_volume() {
        let proposal = proposed(|candidate| candidate.volumes[0].is_root = true);
        assert!(proposal.obstacles[0].contains("boots from"), "{proposal:?}");
        assert!(!proposal.volumes.contains_key(&spec().volumes[0].name));
    }

    #[test]
    fn another_zone_a_missing_volume_and_a_stopped_instance_are_in_the_way_together() {
        let proposal = proposed(|candidate| {
            candidate.zone = "us-east-1f".into();
            candidate.state = InstanceState::Stopped;
            candidate.volumes.clear();
        });
        assert_eq!(proposal.obstacles.len(), 2 + spec().volumes.len());
    }

    #[test]
    fn a_fixed_address_is_taken_where_it_can_move_and_refused_where_it_is_primary() {
        let mut spec = spec();
        spec.slots[0].address = Some("10.0.1.10".parse().unwrap());
        let proposed = |change: &dyn Fn(&mut Candidate)| {
            let mut candidate = fitting(&spec);
            change(&mut candidate);
            propose(&spec, &spec.slots[0], &"i-1".into(), Some(&candidate), "hermitcrab")
        };
        let without = proposed(&|_| ());
        assert_eq!((without.address, without.differences.len(), without.obstacles.len()), (None, 1, 0), "{without:?}");
        let with = proposed(&|candidate| {
            let secondary = ["10.0.1.10", "10.0.1.11"].map(|text| text.parse().unwrap());
            candidate.interface = Some(Interface { id: "eni-1".into(), secondary: secondary.into() });
        });
        assert_eq!(with.address, spec.slots[0].address);
        assert!(with.differences[0].starts_with("secondary private address 10.0.1.11"), "{with:?}");
        let primary = proposed(&|candidate| candidate.address = spec.slots[0].address.map(IpAddr::V4));
        assert!(primary.obstacles[0].contains("never moves"), "{primary:?}");
    }

    #[test]
    fn addresses_that_every_instance_has_are_proposed_and_others_are_told() {
        let spec = spec();
        let with = |addresses: [&[&str]; 3]| {
            let propose = |(slot, addresses): (&SlotSpec, &[&str])| {
                let mut candidate = fitting(&spec);
                let secondary = addresses.iter().map(|text| text.parse().unwrap()).collect();
                candidate.interface = Some(Interface { id: "eni-1".into(), secondary });
                propose(&spec, slot, &"i-1".into(), Some(&candidate), "hermitcrab")
            };
            let proposals: Vec<_> = spec.slots.iter().zip(addresses).map(propose).collect();
            fixed_addresses(&spec, &proposals)
        };
        assert_eq!(with([&[], &[], &[]]), [""; 0]);
        let each = with([&["10.0.1.10"], &["10.0.2.10"], &["10.0.3.10"]]);
        let SlotSpec { name, zone, subnet, .. } = &spec.slots[1];
        assert_eq!(each.len(), 5, "{each:?}");
        assert_eq!(each[3], format!("  - {{ name: {name}, zone: {zone}, subnet: {subnet}, address: 10.0.2.10 }}"));
        let some = with([&["10.0.1.10"], &[], &["10.0.3.10", "10.0.3.11"]]);
        let told =
            "consul-a 10.0.1.10, consul-b none, consul-c 10.0.3.10 and 10.0.3.11; fixed addresses are for all slots";
        assert!(some.len() == 1 && some[0].contains(told), "{some:?}");
    }

    #[test]
    fn an_image_that_differs_is_said_and_no_obstacle() {
        let proposal = proposed(|candidate| candidate.make.image = "ami-0ffffffffffffffff".into());
        assert!(proposal.obstacles.is_empty());
        assert!(proposal.differences[0].starts_with("image ami-0ffffffffffffffff"), "{proposal:?}");
    }

    #[test]
    fn a_volume_that_would_go_with_its_instance_is_kept() {
        let proposal = proposed(|candidate| candidate.volumes[0].delete_on_termination = true);
        assert_eq!(proposal.kept, [spec().volumes[0].device.clone()]);
    }

    #[test]
    fn what_a_replacement_would_not_have_is_named() {
        let proposal = proposed(|candidate| {
            let volume = candidate.volumes[0].clone();
            let beside =
                |id: &str, device: &str| CandidateVolume { id: id.into(), device: device.into(), ..volume.clone() };
            candidate.volumes.push(CandidateVolume { is_root: true, ..beside("vol-0", "/dev/xvda") });
            candidate.volumes.push(beside("vol-9", "/dev/sdp"));
            candidate.beyond = vec!["Elastic IP 192.0.2.1".to_owned()];
            candidate.protected_from = vec!["terminated"];
        });
        assert!(proposal.obstacles.is_empty(), "{proposal:?}");
        let begins =
            ["the root volume", "vol-9", "Elastic IP 192.0.2.1", "the instance is protected from being terminated"];
        assert_eq!(proposal.differences.len(), begins.len(), "{proposal:?}");
        for (told, begins) in proposal.differences.iter().zip(begins) {
            assert!(told.starts_with(begins), "{told}");
        }
    }

    #[test]
    fn an_instance_that_is_not_there_is_in_the_way() {
        let spec = spec();
        let proposal = propose(&spec, &spec.slots[0], &"i-9".into(), None, "hermitcrab");
        assert!(proposal.obstacles[0].contains("no such instance"));
    }
}
