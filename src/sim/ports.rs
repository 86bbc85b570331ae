//! The four ports: each call takes its time, and meets its fate.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::calls::{Refusal, Sender};
use super::event::What;
use super::latency::{self, Quantiles};
use super::throttle::Bucket;
use super::truth::{Millis, Truth};
use super::{CrashPoint, World, millis};
use crate::action::{ClaimEffect, CloudEffect, Effect, MemberEffect};
use crate::ids::{ClusterName, SlotName};
use crate::observed::{ClaimRecord, Membership, Sweep};
use crate::ports::{Application, Clock, Cloud, Coordination, ErrorKind, Outcome, PortError, Seat, Wanted, canary_key};
use crate::spec::ClusterSpec;
use crate::time::Timestamp;

/// EC2 refuses a request that was signed longer ago (`RequestExpired`).
const SIGNATURE_LIFE: Millis = 300_000;

impl Cloud for World {
    async fn sweep(&self, wanted: &Wanted) -> Result<Sweep, PortError> {
        let begun = self.now_millis();
        self.read("describe instances and volumes", &latency::API, |truth| {
            let pages = 3 + (truth.instances.len() + truth.volumes.len()) as u64 / 1_000;
            truth.take(Bucket::Describe, pages)?;
            let sweep = truth.sweep(begun, wanted);
            let swept = &mut truth.controllers.entry(self.controller).or_default().swept;
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
    ) -> Result<Outcome, PortError> {
        let cluster = &spec.name;
        let slow = matches!(effect, CloudEffect::Launch(_) | CloudEffect::Start { .. });
        let takes = if slow { latency::RUN_INSTANCES } else { latency::API };
        let doing = format!("{} for {}", effect.name(), slot.map_or(&**cluster, |slot| &**slot));
        let look = |truth: &mut Truth, sender| {
            let found = truth.check(&spec.name, effect)?;
            if let Some(outcome) = &found {
                truth.record(sender, cluster, slot, &Effect::Cloud(effect.clone()), &Ok(outcome.clone()));
            }
            Ok(found)
        };
        let send = |truth: &mut Truth, sender| {
            truth.take(Bucket::of(effect), 1)?;
            truth.apply(sender, cluster, slot, effect)
        };
        self.mutate(&doing, &takes, look, send).await
    }
}

impl Application for World {
    async fn membership(&self, spec: &ClusterSpec, seats: &[Seat]) -> Result<Membership, PortError> {
        self.read("ask the members of each other", &latency::NEARBY, |truth| truth.membership(&spec.name, seats)).await
    }

    async fn change(&self, spec: &ClusterSpec, seats: &[Seat], effect: &MemberEffect) -> Result<Outcome, PortError> {
        let named = Effect::Member(effect.clone());
        let send = |truth: &mut Truth, sender| {
            let result = truth.change_member(&spec.name, seats, effect);
            truth.record(sender, &spec.name, None, &named, &result);
            result
        };
        self.mutate(named.name(), &latency::NEARBY, |_, _| Ok(None), send).await
    }

    async fn write_canary(&self, spec: &ClusterSpec, seats: &[Seat], key: &str, value: &str) -> Result<(), PortError> {
        canary_key(key)?;
        let send = |truth: &mut Truth, _| {
            truth.write_canary(&spec.name, seats, key, value)?;
            Ok(Outcome::Done)
        };
        self.mutate("write a canary", &latency::NEARBY, |_, _| Ok(None), send).await.map(drop)
    }

    async fn canaries(&self, spec: &ClusterSpec, seats: &[Seat]) -> Result<BTreeMap<String, String>, PortError> {
        self.read("read the canary data", &latency::NEARBY, |truth| truth.canaries(&spec.name, seats)).await
    }
}

impl Coordination for World {
    async fn read(&self, cluster: &ClusterName) -> Result<ClaimRecord, PortError> {
        self.read("read the claim", &latency::NEARBY, |truth| {
            truth.store_answers()?;
            Ok(truth.clusters.get(cluster).map(|known| known.claim.clone()).unwrap_or_default())
        })
        .await
    }

    async fn write(&self, cluster: &ClusterName, effect: &ClaimEffect) -> Result<Outcome, PortError> {
        let send = |truth: &mut Truth, sender| {
            truth.store_answers()?;
            truth.write_claim(sender, cluster, effect)
        };
        self.mutate("write the claim", &latency::NEARBY, |_, _| Ok(None), send).await
    }

    async fn forget(&self, cluster: &ClusterName) -> Result<(), PortError> {
        self.read("remove the claim", &latency::NEARBY, |truth| {
            truth.store_answers()?;
            if let Some(known) = truth.clusters.get_mut(cluster) {
                known.claim = ClaimRecord::default();
            }
            Ok(())
        })
        .await
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        let now = self.now_millis();
        self.truth.borrow().timestamp(now)
    }

    async fn sleep(&self, span: Duration) {
        let span = millis(span);
        match self.with(|truth| truth.draw_crash_waiting(span)) {
            None => self.nap(span).await,
            Some(part) => {
                self.nap(part).await;
                self.die("while-waiting").await;
            }
        }
    }
}

impl World {
    async fn nap(&self, span: Millis) {
        let until = self.now_millis() + span;
        let pace = self.truth.borrow().pace;
        match pace {
            Some(pace) => {
                pace.wait_until(until).await;
                self.truth.borrow_mut().advance_to(until);
            }
            None => Nap { truth: self.truth.clone(), until, key: None }.await,
        }
    }

    /// The controller's process is dead from here on.
    async fn die(&self, at: &str) {
        self.with(|truth| truth.crash(self.controller, at));
        std::future::pending::<()>().await;
    }

    /// A call that changes nothing.
    async fn read<T>(
        &self,
        doing: &str,
        takes: &Quantiles,
        answer: impl FnOnce(&mut Truth) -> Result<T, Refusal>,
    ) -> Result<T, PortError> {
        let (before, after) = self.with(|truth| halves(takes.draw(&mut truth.rng)));
        self.nap(before).await;
        let result = self.with(|truth| match truth.draw_fate(doing, false).refused {
            Some(kind) => Err(Refusal::new(kind, "injected")),
            None => answer(truth),
        });
        self.nap(after).await;
        result.map_err(|refusal| refusal.while_doing(doing))
    }

    /// A call that changes something: looks first, then sends.
    async fn mutate(
        &self,
        doing: &str,
        takes: &Quantiles,
        look: impl FnOnce(&mut Truth, Sender) -> Result<Option<Outcome>, Refusal>,
        send: impl FnOnce(&mut Truth, Sender) -> Result<Outcome, Refusal>,
    ) -> Result<Outcome, PortError> {
        let (before, after, fate) = self.with(|truth| {
            let (before, after) = halves(takes.draw(&mut truth.rng));
            (before, after, truth.draw_fate(doing, true))
        });
        let sender = Sender { controller: self.controller, sent: self.now_millis() };
        self.nap(before / 2).await;
        if let Some(known) = self.with(|truth| look(truth, sender)).map_err(|refusal| refusal.while_doing(doing))? {
            self.nap(after).await;
            return Ok(known);
        }
        let fate = self.with(|truth| truth.arranged_fate(fate, doing));
        if fate.crash == Some(CrashPoint::BeforeSend) {
            self.die("before-send").await;
        }
        if let Some(span) = fate.pause {
            self.with(|truth| truth.pause_controller(self.controller, truth.now + span));
        }
        self.nap(before / 2).await;
        let result = match fate.refused {
            Some(kind) => Err(Refusal::new(kind, "injected")),
            None if self.now_millis() - sender.sent > SIGNATURE_LIFE => {
                Err(Refusal::new(ErrorKind::Unreachable, "RequestExpired"))
            }
            None => self.with(|truth| send(truth, sender)),
        };
        if fate.crash == Some(CrashPoint::AfterEffect) {
            self.die("after-effect").await;
        }
        if let Some(silence) = fate.lost {
            self.nap(silence).await;
            return Err(Refusal::new(ErrorKind::Unreachable, "no answer").while_doing(doing));
        }
        self.nap(after).await;
        if fate.crash == Some(CrashPoint::AfterAnswer) {
            self.with(|truth| truth.crash(self.controller, "after-answer"));
        }
        result.map_err(|refusal| refusal.while_doing(doing))
    }
}

fn halves(span: Millis) -> (Millis, Millis) {
    (span / 2, span - span / 2)
}

impl Truth {
    fn store_answers(&self) -> Result<(), Refusal> {
        let down = self.now < self.faults.store_down_until;
        if down { Err(Refusal::new(ErrorKind::Unreachable, "the claim store does not answer")) } else { Ok(()) }
    }

    /// A controller dies now and comes back after a while.
    fn crash(&mut self, controller: u8, at: &str) {
        let back = self.now + self.rng.u64(1_000..=30_000);
        self.controllers.entry(controller).or_default().dies = Some(back);
        self.faults.last = Some(self.now);
        self.tell(What::Crash { controller, at: at.to_owned() });
    }
}

/// Waits until the world's clock shows a certain time. Whoever advances the clock wakes it.
struct Nap {
    truth: Rc<RefCell<Truth>>,
    until: Millis,
    key: Option<u64>,
}

impl Future for Nap {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let nap = &mut *self;
        let mut truth = nap.truth.borrow_mut();
        if truth.now >= nap.until {
            return Poll::Ready(());
        }
        let key = *nap.key.get_or_insert_with(|| truth.next_sleeper());
        truth.sleepers.insert((nap.until, key), context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Nap {
    fn drop(&mut self) {
        if let (Some(key), Ok(mut truth)) = (self.key, self.truth.try_borrow_mut()) {
            truth.sleepers.remove(&(self.until, key));
        }
    }
}
