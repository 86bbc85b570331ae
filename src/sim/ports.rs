//! The ports: each call takes its time, and meets its fate.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::{self, Either};

use super::ec2::{Bucket, Call};
use super::handle::World;
use super::latency::{self, Quantiles};
use super::pace::Pace;
use super::time::{Millis, millis};
use super::turn;
use super::unkind::fate::{CallFate, SIGNATURE_LIFE};
use super::unkind::interfere;
use super::words::{CrashPoint, Refusal};
use super::world::{Sender, State, Taking};
use crate::action::{ClaimEffect, CloudEffect, Effect, MemberEffect};
use crate::ids::{ClusterName, SlotName};
use crate::observed::{ClaimRecord, Membership, Sweep};
use crate::ports::{
    Canaries, Clock, Cloud, Coordination, Decision, ErrorKind, Members, Outcome, Outside, OutsideWithCanaries,
    PortError, Seat, Wanted, canary_key,
};
use crate::spec::{ApplicationSpec, ClusterSpec};
use crate::time::Timestamp;

impl Cloud for World {
    async fn sweep(&self, wanted: &Wanted) -> Result<Sweep, PortError> {
        let (begun, shown) = (self.now_millis(), self.shown_time());
        let turn = self.with(|state| state.turn_to_look(self.controller, wanted));
        self.nap(turn).await;
        self.read("look", "describe instances and volumes", &latency::API, |state| {
            state.clock_is_right(self.controller, SIGNATURE_LIFE)?;
            let pages = state.pages(wanted).into_iter().sum();
            // Whoever waits for its turn has taken the requests from the account one after the other.
            let at_once = if turn > 0 { 1 } else { pages };
            state.region.buckets.take(state.now, Bucket::Describe, at_once)?;
            let mut sweep = state.sweep(shown, wanted);
            sweep.clusters.retain(|name, _| wanted.only.is_empty() || wanted.only.contains(name));
            let swept = &mut state.controllers.entry(self.controller).or_default().swept;
            *swept = (*swept).max(Some(begun));
            Ok(sweep)
        })
        .await
    }

    async fn change(
        &self,
        spec: &ClusterSpec,
        slot: Option<&SlotName>,
        effect: &CloudEffect,
        decision: &Decision,
    ) -> Result<Outcome, PortError> {
        let cluster = &spec.name;
        let doing = format!("{} for {}", effect.name(), slot.map_or(&**cluster, |slot| &**slot));
        let look = |state: &mut State, sender| {
            let found = match decision.too_old(state.shown_at(self.controller, state.now)) {
                Some(too_old) => Some(too_old),
                None => {
                    let moments = state.draw_last_look();
                    state.region.check(spec, slot, effect, moments)?
                }
            };
            if let Some(outcome) = &found {
                state.record(sender, cluster, slot, &Effect::Cloud(effect.clone()), &Ok(outcome.clone()));
            }
            Ok(found)
        };
        let (of, about, sent) = (cluster.clone(), slot.cloned(), effect.clone());
        let send = move |state: &mut State, sender: Sender| {
            state.clock_is_right(sender.controller, SIGNATURE_LIFE)?;
            state.region.buckets.take(state.now, Bucket::of(&sent), 1)?;
            state.apply(sender, Call { cluster: &of, slot: about.as_ref(), effect: &sent })
        };
        let result = self.mutate(effect.name(), &doing, takes(effect), Some(decision), look, send).await;
        if let (Err(_), CloudEffect::Retire { instance } | CloudEffect::Terminate { instance }) = (&result, effect) {
            self.with(|state| state.region.end_was_refused(instance));
        }
        result
    }
}

/// Says how long a call to EC2 takes.
fn takes(effect: &CloudEffect) -> &'static Quantiles {
    match effect {
        CloudEffect::Launch(_) | CloudEffect::Start { .. } => &latency::RUN_INSTANCES,
        _ => &latency::API,
    }
}

impl Members for World {
    async fn membership(&self, spec: &ClusterSpec, seats: &[Seat]) -> Result<Membership, PortError> {
        self.read("ask-members", "ask the members of each other", &latency::NEARBY, |state| {
            let slots = spec.slots.iter().map(|slot| slot.name.clone()).collect();
            state.membership(&spec.name, &slots, seats)
        })
        .await
    }

    async fn change(&self, spec: &ClusterSpec, seats: &[Seat], effect: &MemberEffect) -> Result<Outcome, PortError> {
        let named = Effect::Member(effect.clone());
        let (name, of, seats, sent) = (named.name(), spec.name.clone(), seats.to_vec(), effect.clone());
        let send = move |state: &mut State, sender: Sender| {
            let result = state.change_member(&of, &seats, &sent);
            state.record(sender, &of, None, &named, &result);
            result
        };
        self.mutate(name, name, &latency::NEARBY, None, |_, _| Ok(None), send).await
    }
}

impl Canaries for World {
    async fn write_canary(&self, spec: &ClusterSpec, seats: &[Seat], key: &str, value: &str) -> Result<(), PortError> {
        canary_key(key)?;
        let (of, seats, key, value) = (spec.name.clone(), seats.to_vec(), key.to_owned(), value.to_owned());
        let send = move |state: &mut State, _| {
            state.write_canary(&of, &seats, &key, &value)?;
            Ok(Outcome::Done)
        };
        self.mutate("write-canary", "write a canary", &latency::NEARBY, None, |_, _| Ok(None), send).await.map(drop)
    }

    async fn canaries(&self, spec: &ClusterSpec, seats: &[Seat]) -> Result<BTreeMap<String, String>, PortError> {
        self.read("read-canaries", "read the canary data", &latency::NEARBY, |state| state.canaries(&spec.name, seats))
            .await
    }
}

impl OutsideWithCanaries for World {
    type Canaries = Self;

    fn canaries_of(&self, application: &ApplicationSpec) -> Option<&Self> {
        application.keeps_canaries().then_some(self)
    }
}

/// A world whose cloud is reached through something between: what counts the calls, say, or has trouble with some.
#[derive(Clone)]
pub struct Through<C> {
    /// The cloud that is asked in place of the world's.
    pub cloud: C,
    /// The world that fills all other ports.
    pub world: World,
}

impl<C: Cloud> Outside for Through<C> {
    type Cloud = C;
    type Members = World;
    type Coordination = World;
    type Clock = World;

    fn cloud(&self) -> &C {
        &self.cloud
    }

    fn members(&self) -> &World {
        &self.world
    }

    fn coordination(&self) -> &World {
        &self.world
    }

    fn clock(&self) -> &World {
        &self.world
    }
}

impl Coordination for World {
    async fn read(&self, cluster: &ClusterName) -> Result<ClaimRecord, PortError> {
        self.read("read-claim", "read the claim", &latency::NEARBY, |state| {
            state.claims_answer()?;
            Ok(state.claims.get(cluster).cloned().unwrap_or_default())
        })
        .await
    }

    async fn write(&self, cluster: &ClusterName, effect: &ClaimEffect) -> Result<Outcome, PortError> {
        let (of, sent) = (cluster.clone(), effect.clone());
        let send = move |state: &mut State, sender: Sender| {
            state.claims_answer()?;
            state.write_claim(sender, &of, &sent)
        };
        let call = Effect::Claim(effect.clone());
        let result = self.mutate(call.name(), "write the claim", &latency::NEARBY, None, |_, _| Ok(None), send).await;
        if let (Err(_), ClaimEffect::LetGo { .. }) = (&result, effect) {
            self.with(|state| state.let_go_was_refused(cluster));
        }
        result
    }

    async fn kept_at(&self) -> Vec<IpAddr> {
        self.with(|state| state.claims_kept_at())
    }

    async fn forget(&self, cluster: &ClusterName) -> Result<(), PortError> {
        self.read("remove-claim", "remove the claim", &latency::NEARBY, |state| {
            state.claims_answer()?;
            state.claims.forget(cluster);
            Ok(())
        })
        .await
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        self.shown_time()
    }

    async fn sleep(&self, span: Duration) {
        let span = millis(span);
        match self.with(|state| state.faults.draw_crash_waiting(state.now, &mut state.chance, span)) {
            None => self.nap(span).await,
            Some(part) => {
                self.nap(part).await;
                self.die("while-waiting").await;
            }
        }
    }

    fn set_back(&self) -> Option<Duration> {
        self.state.borrow().clock_set_back(self.controller)
    }
}

impl World {
    /// Sends a call as a tool would that checks nothing first, in the time that the call takes. EC2's own rules still hold.
    pub async fn send(
        &self,
        cluster: &ClusterName,
        slot: Option<&SlotName>,
        effect: &CloudEffect,
    ) -> Result<Outcome, PortError> {
        let (of, about, sent) = (cluster.clone(), slot.cloned(), effect.clone());
        let send = move |state: &mut State, sender: Sender| {
            state.apply(sender, Call { cluster: &of, slot: about.as_ref(), effect: &sent })
        };
        self.mutate(effect.name(), effect.name(), takes(effect), None, |_, _| Ok(None), send).await
    }

    /// Waits for a span of time in which nothing befalls the controller by itself.
    pub async fn wait(&self, span: Duration) {
        self.nap(millis(span)).await;
    }

    pub(super) async fn nap(&self, span: Millis) {
        let until = self.now_millis() + span;
        let nap = Nap { state: self.state.clone(), until, key: None };
        let pace = self.state.borrow().pace;
        match pace {
            Some(pace) => self.paced_nap(nap, pace).await,
            None => nap.await,
        }
    }

    /// Sleeps in a world that nobody else drives. Whoever is to wake first moves the clock when its time has passed, so that
    /// it passes nobody's waking.
    async fn paced_nap(&self, nap: Nap, pace: Pace) {
        let until = nap.until;
        let mut nap = std::pin::pin!(nap);
        loop {
            let passed = std::pin::pin!(pace.wait_until(until));
            if let Either::Left(_) = future::select(nap.as_mut(), passed).await {
                return;
            }
            let mut state = self.state.borrow_mut();
            if state.sleepers.next().is_none_or(|first| first >= until) {
                turn::advance_to(&mut state, until);
            }
        }
    }

    /// Ends the controller's process: nothing runs from here on.
    pub(super) async fn die(&self, at: &str) {
        self.with(|state| state.crash(self.controller, at));
        std::future::pending::<()>().await;
    }

    /// Makes a call that changes nothing.
    async fn read<T>(
        &self,
        call: &str,
        doing: &str,
        takes: &Quantiles,
        answer: impl FnOnce(&mut State) -> Result<T, Refusal>,
    ) -> Result<T, PortError> {
        let (before, after) = self.with(|state| halves(takes.draw(&mut state.chance.rng)));
        self.nap(before).await;
        let result = self.with(|state| match state.draw_fate(call, doing, false).refused {
            Some(kind) => Err(Refusal::new(kind, "injected")),
            None => answer(state),
        });
        self.nap(after).await;
        result.map_err(|refusal| refusal.while_doing(doing))
    }

    /// Makes a call that changes something: looks first, then sends. A decision is of a call to EC2, and its age is checked once
    /// more before the call is on the wire.
    async fn mutate(
        &self,
        call: &str,
        doing: &str,
        takes: &Quantiles,
        decision: Option<&Decision>,
        look: impl FnOnce(&mut State, Sender) -> Result<Option<Outcome>, Refusal>,
        send: impl Fn(&mut State, Sender) -> Result<Outcome, Refusal> + 'static,
    ) -> Result<Outcome, PortError> {
        let (before, after, fate) = self.with(|state| {
            let (before, after) = halves(takes.draw(&mut state.chance.rng));
            (before, after, state.draw_fate(call, doing, true))
        });
        let sender = Sender { controller: self.controller, sent: self.now_millis() };
        self.nap(before / 2).await;
        if let Some(known) = self.with(|state| look(state, sender)).map_err(|refusal| refusal.while_doing(doing))? {
            self.nap(after).await;
            return Ok(known);
        }
        let fate = self.with(|state| state.arranged_fate(fate, doing));
        if fate.crash == Some(CrashPoint::BeforeSend) {
            self.die("before-send").await;
        }
        self.stand_still(fate.pause);
        self.nap(before / 2).await;
        let checked = self.now_millis();
        if fate.frozen.is_some() {
            self.stand_still(fate.frozen);
            self.nap(1).await;
        }
        let shown = self.with(|state| state.shown_at(self.controller, checked));
        let too_old = decision.and_then(|decision| decision.too_old(shown));
        let (wire, twice) = (fate.wire.filter(|_| decision.is_some()), fate.twice);
        let taking = move |state: &mut State| {
            let answer = send(state, sender);
            if twice { send(state, sender) } else { answer }
        };
        let result = match (fate.refused, too_old, wire) {
            (Some(kind), ..) => Err(Refusal::new(kind, "injected")),
            _ if self.now_millis() - sender.sent > SIGNATURE_LIFE => {
                Err(Refusal::new(ErrorKind::Unreachable, "RequestExpired"))
            }
            (None, Some(too_old), _) => Ok(too_old),
            (None, None, None) => self.with(taking),
            (None, None, Some(span)) => self.over_the_wire(span, doing, Box::new(taking)).await,
        };
        let result = self.meet_after_effect(&fate, after, result).await;
        result.map_err(|refusal| refusal.while_doing(doing))
    }

    /// Sends a call that is held up on its way, and hears the answer once it has arrived.
    async fn over_the_wire(&self, span: Millis, doing: &str, taking: Taking) -> Result<Outcome, Refusal> {
        let number = self.with(|state| {
            state.fault(None, "held-up", format!("{doing} for {span} ms"));
            state.hold_up(span, taking)
        });
        self.nap(span).await;
        self.with(|state| state.hear(number))
    }

    /// Lets the controller stand still from its next wait on.
    pub(super) fn stand_still(&self, span: Option<Millis>) {
        if let Some(span) = span {
            self.with(|state| interfere::pause_controller(state, self.controller, state.now + span));
        }
    }

    /// Lets a controller die before or after it hears the answer, or never hear it.
    async fn meet_after_effect(
        &self,
        fate: &CallFate,
        takes: Millis,
        result: Result<Outcome, Refusal>,
    ) -> Result<Outcome, Refusal> {
        if fate.crash == Some(CrashPoint::AfterEffect) {
            self.die("after-effect").await;
        }
        if let Some(silence) = fate.lost {
            self.nap(silence).await;
            return Err(Refusal::new(ErrorKind::Unreachable, "no answer"));
        }
        self.nap(takes).await;
        if fate.crash == Some(CrashPoint::AfterAnswer) {
            self.with(|state| state.crash(self.controller, "after-answer"));
        }
        result
    }
}

/// Divides the time that a call takes into its way there and its way back.
pub fn halves(span: Millis) -> (Millis, Millis) {
    (span / 2, span - span / 2)
}

/// A wait until the world's clock shows a certain time. The clock wakes it.
struct Nap {
    state: Rc<RefCell<State>>,
    until: Millis,
    key: Option<u64>,
}

impl Future for Nap {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let nap = &mut *self;
        let mut state = nap.state.borrow_mut();
        if state.now >= nap.until {
            return Poll::Ready(());
        }
        let key = *nap.key.get_or_insert_with(|| state.sleepers.number());
        state.sleepers.set(nap.until, key, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Nap {
    fn drop(&mut self) {
        if let (Some(key), Ok(mut state)) = (self.key, self.state.try_borrow_mut()) {
            state.sleepers.remove(self.until, key);
        }
    }
}
