//! The words of a script: each does one thing to a simulated world, and answers with what then happened.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use hermitcrab::cli::cloud::Environment;
use hermitcrab::ids::{InstanceId, SlotName, VolumeId, VolumeName};
use hermitcrab::observed::{Launches, Process};
use hermitcrab::plan::{Hazard, Plan, plan};
use hermitcrab::ports::{Clock, Cloud, Wanted};
use hermitcrab::sim::{FaultLevel, Payload, What, World, block_on};
use hermitcrab::simulate::{AnswerKind, Line, Simulation, text, version};
use hermitcrab::spec::load::load;
use hermitcrab::spec::window::{Window, WindowKind};
use hermitcrab::spec::{Approval, ClusterSpec, OnFailure};
use hermitcrab::status::status;
use hermitcrab::time::after;

/// The world of one script.
pub struct Script {
    world: World,
    simulation: Simulation,
    names: Names,
}

/// The names of ids in a transcript, so that the transcript does not change with every chance that is drawn.
#[derive(Default)]
struct Names {
    known: BTreeMap<String, String>,
    launched: BTreeMap<SlotName, usize>,
    created: BTreeMap<SlotName, usize>,
    /// In the order of the spec, which is the order in which they are created.
    volumes: Vec<VolumeName>,
}

impl Script {
    /// `cluster FILE` is settled on its own image; `cluster FILE from nothing` has nothing yet.
    pub fn begin(words: &[&str]) -> Self {
        let (file, blank) = match words {
            ["cluster", file] => (file, false),
            ["cluster", file, "from", "nothing"] => (file, true),
            other => panic!("a script begins with `cluster FILE [from nothing]`, and not with {other:?}"),
        };
        let spec = load(&[PathBuf::from(file)]).specs().next().unwrap().1.clone();
        let world = World::new(1, FaultLevel::None);
        world.register_image(&spec.image, Payload::Good { version: version(&spec) });
        if !blank {
            world.settle(&spec);
        }
        let sweep = block_on(&world, world.sweep(&Wanted::default())).unwrap();
        let volumes = spec.volumes.iter().map(|volume| volume.name.clone()).collect();
        let mut names = Names { volumes, ..Names::default() };
        for instance in &sweep.cluster(&spec.name).instances {
            names.instance(&instance.slot, &instance.id);
        }
        for volume in &sweep.cluster(&spec.name).volumes {
            names.known.insert(volume.id.to_string(), format!("{}/{}", volume.slot, volume.name));
        }
        world.drain_events();
        Self { simulation: Simulation::new(&world, spec, 1), world, names }
    }

    /// Does what a command says. Answers what happened.
    pub fn command(&mut self, words: &[&str]) -> String {
        match words {
            ["payload", image, what] => self.register(image, what),
            ["commit", change @ ..] => self.commit(change),
            ["approve"] => self.approve(),
            ["run", "to", "the", "end"] => return self.run_to_the_end(),
            ["run", "until", "blocked"] => return self.run_until_blocked(),
            ["run", "until", action, "of", slot] => return self.run_until_action(action, slot),
            ["run", "for", span] => return self.run_for(span_of(span)),
            ["crash", "controller"] => self.simulation.crash(0, Duration::from_secs(5)),
            ["stop", "instance", "of", slot] => self.world.stop_instance(&self.instance(slot)),
            ["start", "instance", "of", slot] => self.world.start_instance(&self.instance(slot)),
            ["terminate", "instance", "of", slot] => self.world.terminate_instance(&self.instance(slot)),
            ["delete", "volume", "of", slot] => self.world.delete_volume(&self.volume(slot)),
            ["no", "capacity", "in", zone, "for", span] => {
                self.world.exhaust_capacity(&(*zone).into(), span_of(span));
            }
            ["resume", "group"] => self.world.edit_group(&self.group(), |group| group.suspended.clear()),
            ["group"] => return self.told_group(),
            ["status"] => return self.status(),
            other => panic!("no such command: {}", other.join(" ")),
        }
        String::new()
    }

    /// No safety rule was broken.
    pub fn finish(self) {
        assert_eq!(self.world.violations(), []);
    }

    fn register(&self, image: &str, what: &str) {
        let payload = match what {
            "good" => Payload::Good { version: version(&self.simulation.committed()) },
            "never-joins" => Payload::NeverJoins,
            "unhealthy" => Payload::JoinsUnhealthy,
            other => panic!("no such payload: {other}"),
        };
        self.world.register_image(&image.into(), payload);
    }

    fn commit(&self, change: &[&str]) {
        let mut spec: ClusterSpec = self.simulation.committed();
        match change {
            ["image", image] => spec.image = (*image).into(),
            ["suspend", yes] => spec.suspend = *yes == "true",
            ["freeze", yes] => spec.freeze = *yes == "true",
            ["onFailure", "hold"] => spec.rollout.on_failure = OnFailure::Hold,
            ["approval", "canary"] => spec.rollout.approval = Approval::Canary,
            ["approval", "everySlot"] => spec.rollout.approval = Approval::EverySlot,
            ["window", "allow", "daily", "at", hour, "for", span] => {
                let (schedule, span) = (format!("0 {hour} * * *"), span_of(span));
                spec.rollout.windows = vec![Window::new(WindowKind::Allow, &schedule, span, "UTC").unwrap()];
            }
            ["without", slot] => spec.slots.retain(|declared| *declared.name != **slot),
            other => panic!("no such change: {}", other.join(" ")),
        }
        self.simulation.commit(spec);
    }

    /// Commits the approval that is asked for.
    fn approve(&self) {
        let mut spec = self.simulation.committed();
        let seen = self.scene().look(&spec);
        let Plan::Blocked(hazards) = plan(&spec, &seen) else { panic!("nobody asks for approval") };
        let asked = hazards.hazards.into_iter().find_map(|hazard| match hazard {
            Hazard::ApprovalRequired { plan, .. } => Some(plan),
            _ => None,
        });
        spec.rollout.approved = Some(asked.unwrap());
        self.simulation.commit(spec);
    }

    fn run_to_the_end(&mut self) -> String {
        let mut told = Told::new(&mut self.names);
        self.simulation.run_to_end(&mut |line| told.hear(line));
        told.text
    }

    fn run_for(&mut self, span: Duration) -> String {
        let mut told = Told::new(&mut self.names);
        let until = after(self.world.now(), span);
        self.simulation.run_until(until, &mut |line| told.hear(line), &mut || false);
        told.text
    }

    fn run_until_blocked(&mut self) -> String {
        let (mut told, blocked) = (Told::new(&mut self.names), Cell::new(false));
        let mut hear = |line: &Line| {
            told.hear(line);
            blocked.set(matches!(line, Line::Answer(answer) if answer.kind == AnswerKind::Blocked));
        };
        let limit = after(self.world.now(), Duration::from_secs(3_600));
        assert!(
            self.simulation.run_until(limit, &mut hear, &mut || blocked.get()),
            "it is never blocked:\n{}",
            told.text
        );
        told.text
    }

    fn run_until_action(&mut self, wanted: &str, wanted_slot: &str) -> String {
        let (mut told, done) = (Told::new(&mut self.names), Cell::new(false));
        let mut hear = |line: &Line| {
            told.hear(line);
            let Line::World { event, .. } = line else { return };
            if let What::Action { action, slot: Some(slot), outcome: None, .. } = &event.what {
                done.set(done.get() || (action == wanted && **slot == *wanted_slot));
            }
        };
        let limit = after(self.world.now(), Duration::from_secs(24 * 3_600));
        assert!(self.simulation.run_until(limit, &mut hear, &mut || done.get()), "it is never done:\n{}", told.text);
        told.text
    }

    /// The oldest live instance of a slot.
    fn instance(&self, slot: &str) -> InstanceId {
        self.world.instances_of(&self.simulation.committed().name, &slot.into()).remove(0)
    }

    fn volume(&self, slot: &str) -> VolumeId {
        self.world.volumes_of(&self.simulation.committed().name, &slot.into()).remove(0)
    }

    fn group(&self) -> String {
        self.simulation.committed().capacity.group().unwrap().to_owned()
    }

    /// Describes the adopted group: its desired capacity, its instances and its processes.
    fn told_group(&self) -> String {
        let group = self.world.group(&self.group()).unwrap();
        let Launches::Template(template) = &group.launches else { panic!("no template") };
        let mut told = format!("wants {}, launches {}\n", group.desired, template.version.make.image);
        let joined = |processes: &BTreeSet<Process>| match processes.is_empty() {
            true => "none".to_owned(),
            false => processes.iter().map(|process| process.name()).collect::<Vec<_>>().join(" "),
        };
        told.push_str(&format!("  suspended: {}\n", joined(&group.suspended)));
        told.extend(group.resume.iter().map(|resume| format!("  to resume: {}\n", joined(resume))));
        let mut members: Vec<_> = group.members.keys().map(|id| format!("  {}\n", self.names.called(id))).collect();
        members.sort();
        told.extend(members);
        told
    }

    fn scene(&self) -> Environment {
        Environment::simulated(vec![self.simulation.committed()], self.world.clone(), None)
    }

    fn status(&self) -> String {
        let spec = self.simulation.committed();
        let seen = self.scene().look(&spec);
        let status = status(&spec, &seen, &plan(&spec, &seen), None);
        let mut told = format!("{} of {} on {}\n", status.progress.updated, status.progress.total, status.image);
        for slot in &status.slots {
            let instance = slot.instance.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
            let image = slot.image.as_ref().map_or_else(String::new, ToString::to_string);
            told.push_str(&format!("  {}  {instance}  {image}  {}\n", slot.slot, slot.health));
        }
        told.extend(status.orphans.iter().map(|orphan| format!("  orphaned: {orphan}\n")));
        told.push_str(&format!("{}\n", status.answer));
        told.extend(status.hints.iter().map(|hint| format!("  hint: {hint}\n")));
        self.names.called(&told)
    }
}

/// `90s`, `20m`, `1h`.
fn span_of(text: &str) -> Duration {
    text.parse::<jiff::SignedDuration>().unwrap().unsigned_abs()
}

/// The transcript between one command and the next.
struct Told<'n> {
    names: &'n mut Names,
    text: String,
    last: String,
}

impl<'n> Told<'n> {
    fn new(names: &'n mut Names) -> Self {
        Self { names, text: String::new(), last: String::new() }
    }

    /// Waits are left out, and so are times and an answer that is given again.
    fn hear(&mut self, line: &Line) {
        self.names.learn(line);
        let said = match line {
            Line::World { event, .. } if matches!(event.what, What::World { .. }) => return,
            Line::Answer(answer) if answer.kind == AnswerKind::Wait => return,
            line => text::line(line),
        };
        let said = said.trim_start().split_once(' ').map_or("", |(_, rest)| rest).trim_end();
        let said = format!("  {}\n", self.names.called(said));
        if said != self.last {
            self.text.push_str(&said);
            self.last = said;
        }
    }
}

impl Names {
    fn learn(&mut self, line: &Line) {
        let Line::World { event, .. } = line else { return };
        let What::Action { action, slot: Some(slot), instance, volume, .. } = &event.what else { return };
        match (action.as_str(), instance, volume) {
            ("launch" | "recruit", Some(id), _) => self.instance(slot, id),
            ("create-volume", _, Some(id)) if !self.known.contains_key(&**id) => {
                let count = self.created.entry(slot.clone()).or_default();
                self.known.insert(id.to_string(), format!("{slot}/{}", self.volumes[*count]));
                *count += 1;
            }
            _ => {}
        }
    }

    fn instance(&mut self, slot: &SlotName, id: &InstanceId) {
        if !self.known.contains_key(&**id) {
            let count = self.launched.entry(slot.clone()).or_default();
            *count += 1;
            self.known.insert(id.to_string(), format!("{slot}#{count}"));
        }
    }

    fn called(&self, text: &str) -> String {
        self.known.iter().fold(text.to_owned(), |text, (id, name)| text.replace(id, name))
    }
}
