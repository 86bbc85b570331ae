//! The daemon's loop in a simulated world: what it tells its listeners, what the lease has to do with it, and when it ends.
#![allow(clippy::unwrap_used)] // functions that tests call are tests as well

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{FutureExt, LocalBoxFuture};
use hermitcrab::controller::convergence::Convergence;
use hermitcrab::daemon::convergences::Convergences;
use hermitcrab::daemon::lease::{Held, Lease, Unshared};
use hermitcrab::daemon::source::Source;
use hermitcrab::daemon::{Daemon, Ended};
use hermitcrab::event::{Event, EventKind, Listener, Listeners};
use hermitcrab::plan::{Hazard, Plan};
use hermitcrab::ports::{Clock, PortError};
use hermitcrab::sim::{FaultLevel, Payload, World, block_on};
use hermitcrab::simulate::{settings, version};
use hermitcrab::spec::load::{Loaded, load};

#[path = "tools/recorder.rs"]
mod recorder;

use recorder::Recorder;

const FILE: &str = "desired-state/prod/consul.yaml";
const NEW: &str = "ami-0bbbbbbbbbbbbbbbb";
const HOUR: Duration = Duration::from_secs(3_600);

/// Desired state that never changes.
struct Fixed(Loaded);

impl Source for Fixed {
    fn name(&self) -> String {
        FILE.to_owned()
    }

    async fn changed(&mut self) {
        std::future::pending().await
    }

    fn load(&self) -> LocalBoxFuture<'static, Loaded> {
        std::future::ready(self.0.clone()).boxed_local()
    }
}

/// A world in which the file's cluster is settled, and the file with another image committed if that is wanted.
fn begin(is_upgrade: bool) -> (World, Fixed) {
    let mut loaded = load(&[FILE.into()]);
    let spec = Arc::make_mut(loaded.files.values_mut().next().unwrap().spec.as_mut().unwrap());
    let world = World::new(1, FaultLevel::None);
    world.register_image(&spec.image, Payload::Good { version: version(spec) });
    world.settle(spec);
    if is_upgrade {
        spec.image = NEW.into();
        world.register_image(&spec.image, Payload::Good { version: version(spec) });
    }
    (world, Fixed(loaded))
}

fn daemon<L: Lease>(world: &World, source: Fixed, lease: L, listeners: Listeners<'static>) -> Daemon<World, Fixed, L> {
    Daemon { outside: world.clone(), source, lease, settings: settings(1), listeners, once: None }
}

/// A lease that is lost after ten minutes the first time, and that another holds for a minute then.
struct LostOnce {
    world: World,
    is_first: Cell<bool>,
}

/// The lease while it is held.
struct Term {
    world: World,
    is_first: bool,
    is_certain: bool,
}

impl Lease for LostOnce {
    type Held = Term;

    async fn acquire(&self) -> Result<Term, PortError> {
        let is_first = self.is_first.replace(false);
        if !is_first {
            self.world.sleep(Duration::from_secs(60)).await;
        }
        Ok(Term { world: self.world.clone(), is_first, is_certain: true })
    }
}

impl Held for Term {
    fn is_held(&self) -> bool {
        self.is_certain
    }

    async fn lost(&self) {
        if self.is_first {
            self.world.sleep(Duration::from_secs(600)).await;
        } else {
            std::future::pending::<()>().await;
        }
    }

    async fn release(self) {}
}

/// A lease of which nobody knows whether another controller has it.
struct Uncertain(World);

impl Lease for Uncertain {
    type Held = Term;

    async fn acquire(&self) -> Result<Term, PortError> {
        Ok(Term { world: self.0.clone(), is_first: false, is_certain: false })
    }
}

/// The events that are about the daemon or a file, in words.
fn words(events: Vec<Event>) -> Vec<&'static str> {
    let word = |event: Event| match event.kind {
        EventKind::Started { .. } => Some("started"),
        EventKind::DesiredChanged(_) => Some("changed"),
        EventKind::LeaseLost => Some("lease lost"),
        EventKind::Broken => Some("broken"),
        EventKind::Stopped => Some("stopped"),
        _ => None,
    };
    events.into_iter().filter_map(word).collect()
}

#[test]
fn a_lost_lease_is_told_and_waited_for_and_then_everything_begins_anew() {
    let (world, source) = begin(false);
    let (recorder, listeners) = Recorder::alone();
    let lease = LostOnce { world: world.clone(), is_first: Cell::new(true) };
    let stop = Clock::sleep(&world, HOUR);
    let ended = block_on(&world, daemon(&world, source, lease, listeners).run(stop)).unwrap();
    assert_eq!(ended, Ended::Stopped(()));
    let told = ["started", "changed", "lease lost", "stopped", "started", "changed", "stopped"];
    assert_eq!(words(recorder.events()), told);
}

#[test]
fn while_it_is_not_certain_that_the_lease_is_held_nothing_is_changed() {
    let (world, source) = begin(true);
    let (recorder, listeners) = Recorder::alone();
    let stop = Clock::sleep(&world, HOUR);
    block_on(&world, daemon(&world, source, Uncertain(world.clone()), listeners).run(stop)).unwrap();
    assert_eq!(world.sent(), 0);
    let Plan::Blocked(blocked) = &recorder.latest().unwrap().plan else { panic!("it is not blocked") };
    let of_lease = |hazard: &Hazard| hazard.to_string().contains("another controller may hold the lease");
    assert!(blocked.hazards.iter().any(of_lease), "{blocked}");
}

#[test]
fn once_it_ends_when_every_cluster_has_come_to_its_end() {
    let (world, source) = begin(true);
    let name = source.0.specs().next().unwrap().1.name.clone();
    let convergences = Rc::new(Convergences::default());
    let once = Some(convergences.clone());
    let daemon = Daemon { once, ..daemon(&world, source, Unshared, Listeners::default()) };
    let ended = block_on(&world, daemon.run(Clock::sleep(&world, HOUR))).unwrap();
    assert_eq!(ended, Ended::Converged);
    assert_eq!(convergences.by_cluster(), [(name, Convergence::Settled)].into());
    assert!(world.sent() > 20, "it was rolled out first");
}

/// A listener in which an assertion breaks, in the middle of a pass.
struct Faulty;

impl Listener for Faulty {
    fn hear(&self, event: &Event) {
        assert!(!matches!(event.kind, EventKind::Planned(_)), "this is meant to break");
    }
}

#[test]
fn a_cluster_in_whose_pass_an_assertion_breaks_is_left_alone_and_told() {
    let (world, source) = begin(true);
    let (recorder, listeners) = Recorder::alone();
    let listeners = listeners.with(Rc::new(Faulty));
    let convergences = Rc::new(Convergences::default());
    let daemon = Daemon { once: Some(convergences.clone()), ..daemon(&world, source, Unshared, listeners) };
    let ended = block_on(&world, daemon.run(Clock::sleep(&world, HOUR))).unwrap();
    assert_eq!((ended, convergences.worst()), (Ended::Converged, Some(Convergence::Broken)));
    assert_eq!(words(recorder.events()), ["started", "changed", "broken", "stopped"]);
    assert_eq!(recorder.passes().len(), 1);
}
