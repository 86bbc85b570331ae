//! Cases: how a cluster begins, and the end to which it comes whether or not something goes wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Mutex;

use hermitcrab::event::Listeners;
use hermitcrab::ids::{Generation, ImageId, InstanceId, MemberId, SlotName, VolumeId, VolumeName};
use hermitcrab::observed::{GroupMember, Health, InstanceState, Launches, Lifecycle, Process};
use hermitcrab::ports::{Cloud, Members, Seat, Wanted};
use hermitcrab::sim::{FaultLevel, Payload, What, World, block_on};
use hermitcrab::simulate::{Ending, Line, Reach, Scenario, Simulation, text};
use hermitcrab::spec::ClusterSpec;
use hermitcrab::spec::load::load;

/// The image that is rolled to.
pub const NEW: &str = "ami-0bbbbbbbbbbbbbbbb";
/// A further image.
pub const THIRD: &str = "ami-0dddddddddddddddd";

/// The beginning of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// Settled, and then another image is committed.
    Upgrade,
    /// Settled, and then an image is committed whose members never join.
    BadUpgrade,
    /// Declared, and nothing of it is there.
    Nothing,
    /// Settled, and then the instance of the second slot is terminated.
    Loss,
}

/// Effects on a group that are sent once in a rollout, or once more after a pause in it.
const PER_ROLLOUT: [&str; 4] = ["record-resume", "suspend-processes", "resume-processes", "forget-resume"];

/// A case that has one end.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub file: &'static str,
    pub beginning: Beginning,
}

/// A slot at the end.
#[derive(Debug, PartialEq)]
pub struct SlotEnd {
    pub images: Vec<ImageId>,
    pub volumes: BTreeMap<VolumeName, VolumeEnd>,
    pub member: Option<MemberEnd>,
}

/// A volume at the end. Ids are left out where the controller itself made the volume.
#[derive(Debug, PartialEq)]
pub struct VolumeEnd {
    pub id: Option<VolumeId>,
    pub on_live_instance: bool,
    pub generation: Option<Generation>,
    pub rejected: Option<Generation>,
    pub formatted: u32,
}

/// A member at the end.
#[derive(Debug, PartialEq)]
pub struct MemberEnd {
    pub id: Option<MemberId>,
    pub well: bool,
    pub version: Option<String>,
}

/// The end of a run.
#[derive(Debug, PartialEq)]
pub struct Came {
    pub ending: Ending,
    /// Effects by name: calls that changed something, replays of the same token counted once. Writes of the claim record by what they
    /// come to, because one write may do what several do at another time: a slot is claimed, or given up, so many times.
    pub effects: BTreeMap<String, usize>,
    pub slots: BTreeMap<SlotName, SlotEnd>,
    pub group: Option<GroupEnd>,
}

/// The adopted group at the end, which should be as it was.
#[derive(Debug, PartialEq)]
pub struct GroupEnd {
    pub wants: u32,
    pub members: usize,
    /// Members that serve no slot, are not in service, not healthy, or may be scaled in.
    pub amiss: usize,
    pub suspended: BTreeSet<Process>,
    pub resume: Option<BTreeSet<Process>>,
    pub launches: Option<ImageId>,
}

/// A run: its end, and the way there.
pub struct Run {
    pub came: Came,
    /// Mutating calls that were sent.
    pub sent: u64,
    /// Accidents that did happen.
    pub accidents: usize,
    pub transcript: String,
    /// The effects in the order in which they were sent.
    pub order: Vec<String>,
}

impl Case {
    /// The spec in the case's file, which is read once.
    pub fn spec(&self) -> ClusterSpec {
        static READ: Mutex<BTreeMap<&str, ClusterSpec>> = Mutex::new(BTreeMap::new());
        let mut read = READ.lock().unwrap();
        let load = || load(&[PathBuf::from(self.file)]).specs().next().unwrap().1.clone();
        read.entry(self.file).or_insert_with(load).clone()
    }

    /// The world and the simulation, just before the first pass of a controller that reaches the world in this way.
    pub fn begin_by(&self, reach: &Reach) -> (World, Simulation) {
        let from = self.spec();
        let payload = match self.beginning {
            Beginning::BadUpgrade => Some(Payload::NeverJoins),
            _ => None,
        };
        let scenario = Scenario { from: from.clone(), image: NEW.into(), payload, seed: 1, faults: FaultLevel::None };
        let world = match self.beginning {
            Beginning::Nothing => {
                let world = World::new(1, FaultLevel::None);
                world.register_image(&from.image, good(&from));
                world
            }
            _ => scenario.world(),
        };
        world.register_image(&THIRD.into(), good(&from));
        let wanted = match self.beginning {
            Beginning::Upgrade | Beginning::BadUpgrade => scenario.to(),
            Beginning::Nothing | Beginning::Loss => from.clone(),
        };
        if self.beginning == Beginning::Loss {
            let lost = world.instances_of(&from.name, &from.slots[1].name).remove(0);
            world.terminate_instance(&lost);
        }
        let simulation = Simulation::heard(&world, wanted, Vec::new(), (1, reach), &Listeners::default());
        (world, simulation)
    }

    /// Runs to the end, after whatever `arrange` has arranged.
    pub fn run_by(&self, reach: &Reach, arrange: impl FnOnce(&World, &mut Simulation)) -> Run {
        let (world, mut simulation) = self.begin_by(reach);
        arrange(&world, &mut simulation);
        self.finish(&world, &mut simulation, Transcript::default())
    }

    pub fn finish(&self, world: &World, simulation: &mut Simulation, mut transcript: Transcript) -> Run {
        simulation.run_to_end(&mut |line| transcript.hear(line));
        let (ending, effects) = (simulation.ending(), transcript.effects());
        let came = Came { ending, effects, slots: self.slots(world), group: self.group(world) };
        for violation in world.violations() {
            transcript.text.push_str(&format!("{violation:?}\n"));
        }
        Run {
            came,
            sent: world.sent(),
            accidents: transcript.accidents,
            transcript: transcript.text,
            order: transcript.order,
        }
    }

    fn group(&self, world: &World) -> Option<GroupEnd> {
        let spec = self.spec();
        let group = world.group(spec.capacity.group()?)?;
        let serving: Vec<_> = spec.slots.iter().flat_map(|slot| world.instances_of(&spec.name, &slot.name)).collect();
        let right = |(id, member): &(&InstanceId, &GroupMember)| {
            serving.contains(id) && member.healthy && member.protected && member.lifecycle == Lifecycle::InService
        };
        Some(GroupEnd {
            wants: group.desired,
            members: group.members.len(),
            amiss: group.members.iter().filter(|member| !right(member)).count(),
            suspended: group.suspended,
            resume: group.resume,
            launches: match group.launches {
                Launches::Template(template) => Some(template.version.make.image),
                Launches::Otherwise(_) => None,
            },
        })
    }

    fn slots(&self, world: &World) -> BTreeMap<SlotName, SlotEnd> {
        let spec = self.spec();
        let made_before = self.beginning != Beginning::Nothing;
        let sweep = block_on(world, world.sweep(&Wanted::default())).unwrap();
        let view = sweep.cluster(&spec.name);
        let running = view.instances.iter().filter(|instance| instance.state == InstanceState::Running);
        let seats: Vec<_> = running
            .filter_map(|i| Some(Seat { slot: i.slot.clone(), instance: i.id.clone(), address: i.asked_at()? }))
            .collect();
        // None where no member answers.
        let membership = block_on(world, world.membership(&spec, &seats)).ok();
        let end = |slot: &SlotName| {
            let live: Vec<_> = view.instances.iter().filter(|i| i.slot == *slot && i.state.is_live()).collect();
            let listed = |id: &VolumeId| live.iter().any(|i| i.devices.iter().any(|device| device.volume == *id));
            let volumes = view.volumes.iter().filter(|volume| volume.slot == *slot).map(|volume| {
                let end = VolumeEnd {
                    id: made_before.then(|| volume.id.clone()),
                    on_live_instance: listed(&volume.id),
                    generation: volume.settled.as_ref().map(|settled| settled.generation.clone()),
                    rejected: volume.rejected.clone(),
                    formatted: world.times_formatted(&volume.id),
                };
                (volume.name.clone(), end)
            });
            let member = membership.as_ref().and_then(|known| known.of_slot(slot)).map(|member| MemberEnd {
                id: made_before.then(|| member.id.clone()),
                well: member.counts && member.health == Health::Healthy,
                version: member.version.clone(),
            });
            SlotEnd { images: live.iter().map(|i| i.make.image.clone()).collect(), volumes: volumes.collect(), member }
        };
        spec.slots.iter().map(|slot| (slot.name.clone(), end(&slot.name))).collect()
    }
}

fn good(spec: &ClusterSpec) -> Payload {
    Payload::Good { version: hermitcrab::simulate::version(spec) }
}

/// The transcript of a run, and the effects that it tells of.
#[derive(Default)]
pub struct Transcript {
    pub text: String,
    accidents: usize,
    done: BTreeSet<(String, String)>,
    order: Vec<String>,
}

impl Transcript {
    pub fn hear(&mut self, line: &Line) {
        self.text.push_str(&text::line(line));
        self.text.push('\n');
        let Line::World { event, .. } = line else { return };
        if let What::Action { action, .. } = &event.what {
            self.order.push(action.clone());
        }
        match &event.what {
            What::Crash { .. } | What::Fault { .. } => self.accidents += 1,
            // Memory of which slots there are: written as often as volumes come to be one after the other.
            What::Action { action, .. } if action == "record-slots" => {}
            // Whether a rollout is blocked for a moment between two slots, and the group let go meanwhile, hangs on the time
            // that an accident takes. How it is left is compared instead.
            What::Action { action, .. } if PER_ROLLOUT.contains(&action.as_str()) => {}
            What::Action { action, instance, volume, outcome: None, .. } => {
                // Of what is made, each thing counts once, however often the answer was heard.
                let which = match (action.as_str(), instance, volume) {
                    ("launch", Some(id), _) => id.to_string(),
                    ("create-volume", _, Some(id)) => id.to_string(),
                    _ => self.done.len().to_string(),
                };
                self.done.insert((action.clone(), which));
            }
            _ => {}
        }
    }

    fn effects(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (action, _) in &self.done {
            let means: &[&str] = match action.as_str() {
                "move-claim" => &["release", "claim"],
                "mark-stop" => &[],
                other => &[other],
            };
            means.iter().for_each(|effect| *counts.entry((*effect).to_owned()).or_default() += 1);
        }
        counts
    }
}
