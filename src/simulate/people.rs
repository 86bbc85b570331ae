//! People who change their minds: at random moments somebody edits the file, and in the end it says what it said at first.

use std::time::Duration;

use fastrand::Rng;

use crate::ids::ImageId;
use crate::ports::Clock;
use crate::sim::World;
use crate::spec::{ClusterSpec, OnFailure, Strategy};
use crate::time::after;

use super::{Line, Scenario, Simulation, version};

/// The most edits of one run.
const MOST_EDITS: u32 = 6;
/// The longest time in seconds after which a controller hears of a commit.
const LATEST: u64 = 240;
/// Images, of which a scenario names two at the most.
const IMAGES: [&str; 3] = ["ami-0dddddddddddddddd", "ami-0ddddddddddddddd3", "ami-0ddddddddddddddd4"];

/// An edit of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edit {
    ThirdImage,
    FirstImage,
    Tags,
    Device,
    Subnet,
    Strategy,
    Suspend,
    OnFailure,
    InstanceType,
    Slots,
    BakeTime,
    Revert,
}

const EVERY_EDIT: [Edit; 12] = [
    Edit::ThirdImage,
    Edit::FirstImage,
    Edit::Tags,
    Edit::Device,
    Edit::Subnet,
    Edit::Strategy,
    Edit::Suspend,
    Edit::OnFailure,
    Edit::InstanceType,
    Edit::Slots,
    Edit::BakeTime,
    Edit::Revert,
];

/// Lets people edit the file for as long as there are faults, and then put it back, to either image.
pub(super) fn change_their_minds(
    scenario: &Scenario,
    world: &World,
    simulation: &mut Simulation,
    tell: &mut dyn FnMut(&Line),
) {
    let mut rng = Rng::with_seed(scenario.seed ^ 0x5eed);
    if rng.bool() {
        return;
    }
    world.register_image(&third_image(scenario), world.draw_payload(&version(&scenario.from)));
    let span = world.faults_end().duration_since(world.now()).unsigned_abs();
    let edits = rng.u32(1..=MOST_EDITS);
    for _ in 0..edits {
        let pause = span.mul_f64(rng.f64() * 1.5 / f64::from(edits));
        go_on(world, simulation, pause, tell);
        if let Some(edit) = rng.choice(EVERY_EDIT) {
            let edited = edit.applied(simulation.committed(), scenario);
            commit(world, simulation, edited, &format!("{edit:?}"), &mut rng, tell);
        }
    }
    go_on(world, simulation, Duration::from_secs(rng.u64(0..900)), tell);
    let last = if rng.bool() { scenario.to() } else { scenario.from.clone() };
    commit(world, simulation, last, "what the file said before", &mut rng, tell);
}

fn go_on(world: &World, simulation: &mut Simulation, span: Duration, tell: &mut dyn FnMut(&Line)) {
    let until = after(world.time(), span);
    simulation.run_until(until, tell, &mut || false);
}

/// Commits an edit. Of two controllers one may hear of it later than the other, because each looks at its own copy of the files.
fn commit(
    world: &World,
    simulation: &mut Simulation,
    spec: ClusterSpec,
    what: &str,
    rng: &mut Rng,
    tell: &mut dyn FnMut(&Line),
) {
    world.note(&spec.name, "commit", what.to_owned());
    if !world.wants_second_controller() || rng.bool() {
        return simulation.commit(spec);
    }
    let (name, late) = (spec.name.clone(), rng.u8(0..2));
    simulation.commit_unheard(spec, Some(late));
    go_on(world, simulation, Duration::from_secs(rng.u64(1..=LATEST)), tell);
    world.note(&name, "heard-late", format!("controller {late}"));
    simulation.catch_up(late);
}

/// Finds an image that the scenario does not name.
fn third_image(scenario: &Scenario) -> ImageId {
    let is_named = |image: &ImageId| [&scenario.from.image, &scenario.image].contains(&image);
    let other = IMAGES.map(ImageId::from).into_iter().find(|image| !is_named(image));
    other.unwrap_or_else(|| ImageId::from(IMAGES[0]))
}

impl Edit {
    /// The file after the edit.
    fn applied(self, mut spec: ClusterSpec, scenario: &Scenario) -> ClusterSpec {
        match self {
            Self::ThirdImage => spec.image = third_image(scenario),
            Self::FirstImage => spec.image = scenario.from.image.clone(),
            Self::Tags => drop(spec.instance.tags.insert("team".to_owned(), "storage".to_owned())),
            Self::Device => spec.volumes.iter_mut().take(1).for_each(|volume| volume.device = "/dev/sdp".to_owned()),
            Self::Subnet => spec.slots.iter_mut().take(1).for_each(|slot| slot.subnet = "subnet-other".to_owned()),
            Self::Strategy => {
                spec.rollout.strategy = match spec.rollout.strategy {
                    Strategy::Surge => Strategy::Recreate,
                    Strategy::Recreate => Strategy::Surge,
                }
            }
            Self::Suspend => spec.suspend = !spec.suspend,
            Self::OnFailure => {
                spec.rollout.on_failure = match spec.rollout.on_failure {
                    OnFailure::Hold => OnFailure::Rollback,
                    OnFailure::Rollback => OnFailure::Hold,
                }
            }
            Self::InstanceType => spec.instance.instance_type = "m7i.xlarge".to_owned(),
            Self::Slots => drop(spec.slots.pop()),
            Self::BakeTime => spec.rollout.bake_time += Duration::from_secs(60),
            Self::Revert => return scenario.to(),
        }
        spec
    }
}
