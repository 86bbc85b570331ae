//! The stage of a story: does to a simulated world what the commands say.

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use crate::controller::Controller;
use crate::event::Listeners;
use crate::ids::{InstanceId, SlotName, VolumeId};
use crate::input::text;
use crate::observed::Observation;
use crate::plan::{Hazard, Plan, plan};
use crate::ports::{Cloud, Wanted};
use crate::sim::{Payload, What, World, block_on};
use crate::simulate::{self, AnswerKind, Ending, Line, Simulation, settings, version};
use crate::time::{Human, after};

use super::Setting;
use super::command::{
    AddressDeed, Change, Cluster, Command, ControllerDeed, InstanceDeed, Length, Pick, Said, Until, VolumeDeed,
    ZoneDeed,
};
use super::files::{Files, Unusable};
use super::mistake::Mistake;
use super::names::Names;
use super::shown;
use super::told::Told;
use super::words::Placed;

/// The longest that a story waits for an action.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3_600);
/// The longest that a story waits for an answer.
const LONGEST_THOUGHT: Duration = Duration::from_secs(3_600);
/// The time for which a controller that was killed is away.
const AWAY: Duration = Duration::from_secs(5);

/// The world of one story.
pub(super) struct Stage {
    pub(super) world: World,
    pub(super) simulation: Simulation,
    pub(super) names: Names,
    files: Files,
    /// The line of the command that is done now.
    line: usize,
    /// The last time that the story went on, it went on to the end.
    has_ended: bool,
}

/// Tells a part of the transcript.
pub(super) type Tell<'t> = &'t mut dyn FnMut(&str);

impl Stage {
    /// Builds the world in which a story begins.
    pub(super) fn begin(line: usize, path: &Path, first: &Cluster, setting: &Setting) -> Result<Self, Mistake> {
        let Setting { seed, faults, reach, cluster, .. } = setting;
        let read = Files::read(path, cluster.as_deref());
        let place =
            |unusable: Unusable| mistake(line, &format!("{}: {}", text::path(path), unusable.message), unusable.hint);
        let (files, spec) = read.map_err(place)?;
        let world = World::new(*seed, *faults);
        world.register_image(&spec.image, Payload::Good { version: version(&spec) });
        let others = simulate::copies(&spec, first.beside.into());
        if !first.from_nothing {
            [&spec].into_iter().chain(&others).for_each(|spec| world.settle(spec));
        }
        if !others.is_empty() {
            world.keep_to_share(0);
        }
        let sweep = block_on(&world, world.sweep(&Wanted::default())).ok();
        let volumes = spec.volumes.iter().map(|volume| volume.name.clone()).collect();
        let names = Names::of(volumes, sweep.and_then(|mut sweep| sweep.clusters.remove(&spec.name)).as_deref());
        world.drain_events();
        world.remember_answers();
        let simulation = Simulation::heard(&world, spec, others, (*seed, reach), &Listeners::default());
        Ok(Self { world, simulation, names, files, line, has_ended: false })
    }

    /// Does what a command says, and tells what happened.
    pub(super) fn command(&mut self, line: usize, command: &Command, tell: Tell) -> Result<(), Mistake> {
        self.line = line;
        match command {
            Command::Payload(image, behaviour) => {
                let payload = behaviour.payload(&version(&self.simulation.committed()));
                self.world.register_image(image, payload);
            }
            Command::Deregister(image) => self.world.deregister_image(image),
            Command::Commit(change) => self.commit(change, tell)?,
            Command::Revert => {
                let reverted = self.files.revert();
                self.committed(reverted, tell)?;
            }
            Command::Approve => self.approve(tell)?,
            Command::Run(until) => self.run(until, tell)?,
            Command::Controller(index, deed) => self.controller(*index, *deed),
            Command::Instance(deed, pick, slot) => self.instance(*deed, *pick, slot)?,
            Command::Volume(deed, slot) => self.volume(*deed, slot)?,
            Command::Address(deed, slot) => self.address(*deed, slot)?,
            Command::Zone(ZoneDeed::NoCapacity, zone, span) => self.world.exhaust_capacity(&zone.value, *span),
            Command::Zone(ZoneDeed::Lose, zone, span) => self.world.lose_zone(&zone.value, *span),
            Command::HideMembers(span) => self.world.hide_members(&self.simulation.committed().name, *span),
            Command::HideMember(slot, span) => {
                self.instance_of(Pick::Oldest, slot)?;
                self.world.hide_member(&self.simulation.committed().name, &slot.value, *span);
            }
            Command::LoseLeader => self.world.lose_leader(&self.simulation.committed().name),
            Command::LoseClaims(span) => self.world.lose_claims(*span),
            Command::Refuse { call, error, length } => {
                let (span, times) = match length {
                    Length::Once => (None, Some(1)),
                    Length::For(span) => (Some(*span), None),
                    Length::Ever => (None, None),
                };
                self.world.refuse(call.as_deref(), *error, span, times);
            }
            Command::Allow => self.world.allow_everything(),
            Command::ResumeGroup => {
                let group = self.group()?;
                self.world.edit_group(&group, |group| group.suspended.clear());
            }
            Command::ShowGroup => tell(&shown::group(self, &self.group()?)),
            Command::Status => tell(&shown::status_of(self)),
            Command::Trouble(trouble) => self.trouble(trouble)?,
        }
        Ok(())
    }

    /// The ending of the story, if it went on to its end.
    pub(super) fn ending(&self) -> Option<Ending> {
        let broken = !self.world.violations().is_empty();
        (broken || self.has_ended).then(|| self.simulation.ending())
    }

    fn mistake(&self, message: impl AsRef<str>) -> Mistake {
        mistake(self.line, message.as_ref(), None)
    }

    fn commit(&mut self, change: &Change, tell: Tell) -> Result<(), Mistake> {
        let done = self.files.commit(change);
        self.committed(done, tell)
    }

    /// Has the controllers hear of what was committed, unless the file cannot be used: then the last good one stays.
    fn committed(&mut self, done: Result<(), Unusable>, tell: Tell) -> Result<(), Mistake> {
        done.map_err(|unusable| mistake(self.line, &unusable.message, unusable.hint))?;
        match self.files.spec() {
            Ok(spec) => self.simulation.commit(spec),
            Err(Unusable { message, hint }) => {
                tell(&format!("  the file cannot be used: {message}\n"));
                if let Some(hint) = hint {
                    tell(&format!("    hint: {hint}\n"));
                }
            }
        }
        Ok(())
    }

    /// Commits the approval that is asked for.
    fn approve(&mut self, tell: Tell) -> Result<(), Mistake> {
        let spec = self.simulation.committed();
        let Plan::Blocked(hazards) = plan(&spec, &self.look()) else {
            return Err(self.mistake("nobody asks for approval"));
        };
        let asked = hazards.hazards.into_iter().find_map(|hazard| match hazard {
            Hazard::ApprovalRequired { plan, .. } => Some(plan.to_string()),
            _ => None,
        });
        let value = asked.ok_or_else(|| self.mistake("nobody asks for approval"))?;
        self.commit(&Change::Set { field: "rollout.approved".to_owned(), value }, tell)
    }

    /// Looks at the cluster as a command does.
    pub(super) fn look(&self) -> Observation {
        let controller = Controller::new(self.world.controller(0), Listeners::default(), settings(0));
        block_on(&self.world, controller.look(&self.simulation.committed()))
    }

    fn run(&mut self, until: &Until, tell: Tell) -> Result<(), Mistake> {
        self.has_ended = *until == Until::End;
        match until {
            Until::End => {
                let mut told = Told::new(&mut self.names, tell);
                self.simulation.run_to_end(&mut |line| told.hear(line));
                Ok(())
            }
            Until::Later(span) => {
                self.go_on(*span, tell, &|_| false);
                Ok(())
            }
            Until::Answer(said) => {
                let kind = match said {
                    Said::Blocked => AnswerKind::Blocked,
                    Said::Stalled => AnswerKind::Stalled,
                    Said::Settled => AnswerKind::Settled,
                };
                let is_said = |line: &Line| matches!(line, Line::Answer(answer) if answer.kind == kind);
                let done = self.go_on(LONGEST_THOUGHT, tell, &is_said);
                self.unless(done, format!("the controller did not say so within {}", Human(LONGEST_THOUGHT)))
            }
            Until::Action { action, slot } => {
                let done = self.go_on(LONGEST_WAIT, tell, &|line| is_done(line, action, slot.as_ref()));
                self.unless(done, format!("{action} was not done within {}", Human(LONGEST_WAIT)))
            }
        }
    }

    fn unless(&self, done: bool, message: String) -> Result<(), Mistake> {
        if done { Ok(()) } else { Err(self.mistake(message)) }
    }

    /// Goes on until a line of the transcript is the one that is waited for. Says whether it came.
    fn go_on(&mut self, longest: Duration, tell: Tell, is_wanted: &dyn Fn(&Line) -> bool) -> bool {
        let (mut told, done) = (Told::new(&mut self.names, tell), Cell::new(false));
        let mut hear = |line: &Line| {
            told.hear(line);
            done.set(done.get() || is_wanted(line));
        };
        let limit = after(self.world.time(), longest);
        self.simulation.run_until(limit, &mut hear, &mut || done.get())
    }

    fn controller(&mut self, index: u8, deed: ControllerDeed) {
        match deed {
            ControllerDeed::Crash => self.simulation.crash(index, AWAY),
            ControllerDeed::Start => self.simulation.join(index),
            ControllerDeed::Pause(span) => self.world.pause_controller(index, span),
            ControllerDeed::Hold => self.simulation.hold(index),
            ControllerDeed::Clock(ahead) => self.world.set_clock(index, ahead),
        }
    }

    fn instance(&self, deed: InstanceDeed, pick: Pick, slot: &Placed<SlotName>) -> Result<(), Mistake> {
        let id = self.instance_of(pick, slot)?;
        match deed {
            InstanceDeed::Stop => self.world.stop_instance(&id),
            InstanceDeed::Start => self.world.start_instance(&id),
            InstanceDeed::Terminate => self.world.terminate_instance(&id),
            InstanceDeed::AnnounceRetirement(None) => self.world.announce_event(&id),
            InstanceDeed::AnnounceRetirement(Some(notice)) => self.world.announce_retirement(&id, notice),
            InstanceDeed::CrashMember(span) => self.world.crash_member(&id, span),
        }
        Ok(())
    }

    fn volume(&mut self, deed: VolumeDeed, slot: &Placed<SlotName>) -> Result<(), Mistake> {
        let id = self.volume_of(slot)?;
        match deed {
            VolumeDeed::Delete => self.world.delete_volume(&id),
            VolumeDeed::Wipe => self.world.wipe_volume(&id),
            VolumeDeed::RevokeKey => self.world.revoke_key(&id),
            VolumeDeed::Copy => {
                if let Some(copy) = self.world.copy_volume(&id) {
                    self.names.volume(&copy, self.names.called(&format!("copy-of-{id}")));
                }
            }
        }
        Ok(())
    }

    pub(super) fn instance_of(&self, pick: Pick, slot: &Placed<SlotName>) -> Result<InstanceId, Mistake> {
        let live = self.world.instances_of(&self.simulation.committed().name, &slot.value);
        let picked = if pick == Pick::Oldest { live.first() } else { live.last() };
        picked.cloned().ok_or_else(|| self.nothing(slot, "no live instance"))
    }

    pub(super) fn volume_of(&self, slot: &Placed<SlotName>) -> Result<VolumeId, Mistake> {
        let volumes = self.world.volumes_of(&self.simulation.committed().name, &slot.value);
        volumes.first().cloned().ok_or_else(|| self.nothing(slot, "no volume"))
    }

    fn address(&self, deed: AddressDeed, slot: &Placed<SlotName>) -> Result<(), Mistake> {
        let spec = self.simulation.committed();
        let declared = spec.slot(&slot.value).and_then(|slot| Some((slot.address?, &slot.subnet)));
        let (address, subnet) = declared.ok_or_else(|| self.nothing(slot, "no fixed address"))?;
        match deed {
            AddressDeed::Unassign => self.world.unassign_address(address),
            AddressDeed::Lend => self.world.lend_address(address, subnet, true),
            AddressDeed::Free => self.world.lend_address(address, subnet, false),
        }
        Ok(())
    }

    /// A mistake about a slot that has not got what is asked for.
    fn nothing(&self, slot: &Placed<SlotName>, what: &str) -> Mistake {
        let slots: Vec<_> = self.simulation.committed().slots.iter().map(|slot| slot.name.to_string()).collect();
        let hint = format!("the slots that the file declares: {}", slots.join(", "));
        Mistake::new(self.line, slot.column, format!("{} has {what}", slot.value)).hint(hint)
    }

    fn group(&self) -> Result<String, Mistake> {
        let spec = self.simulation.committed();
        spec.capacity.group().map(str::to_owned).ok_or_else(|| self.mistake("the file adopts no Auto Scaling group"))
    }
}

/// Says whether a line tells that an action has taken effect.
fn is_done(line: &Line, wanted: &str, wanted_slot: Option<&SlotName>) -> bool {
    let Line::World { event, .. } = line else { return false };
    let What::Action { action, slot, outcome: None, .. } = &event.what else { return false };
    action == wanted && wanted_slot.is_none_or(|wanted| slot.as_ref() == Some(wanted))
}

/// A mistake at a command.
fn mistake(line: usize, message: &str, hint: Option<String>) -> Mistake {
    Mistake { hint, ..Mistake::new(line, 3, message) }
}
