//! A controller's request on its way to AWS and back, in the world's own time: what it meets there, and what becomes of its sender.

use std::cell::RefCell;
use std::rc::Rc;

use super::handle::World;
use super::latency;
use super::ports::halves;
use super::time::Millis;
use super::unkind::fate::CallFate;
use super::wire::{Form, Meets, Reply, Request, Wire};
use super::words::CrashPoint;
use super::world::{Sender, State};
use crate::ports::Outcome;

/// The parameters by which the look just before a change names what is to be changed.
const NAMED: [&str; 2] = ["InstanceId", "VolumeId"];

/// A request that is about to be sent.
struct Letter {
    request: Request,
    sender: Sender,
    /// The world's simulated name of the call, e.g. `stop`.
    call: String,
    changes: bool,
    fate: CallFate,
}

impl Wire {
    /// Carries a request of a controller's, who has just signed it, and brings the answer back. Both take their time, and meet
    /// the faults that a call through the world's own port meets. Whoever never hears an answer hears of the silence after a
    /// while.
    pub async fn carry(self: &Rc<Self>, by: &World, request: Request) -> Reply {
        let sender = Sender { controller: by.controller, sent: by.now_millis() };
        let (letter, ways) = by.with(|state| {
            let letter = self.weigh(state, sender, request);
            let takes = if matches!(letter.call.as_str(), "launch" | "start") {
                &latency::RUN_INSTANCES
            } else {
                &latency::API
            };
            (letter, halves(takes.draw(&mut state.chance.rng)))
        });
        let fate = letter.fate.clone();
        by.nap(ways.0).await;
        if fate.crash == Some(CrashPoint::BeforeSend) {
            by.die("before-send").await;
        }
        if fate.frozen.is_some() {
            by.stand_still(fate.frozen);
            by.nap(1).await;
        }
        let stands_still = by.with(|state| self.pause_after(state, &letter));
        let reply = match fate.wire.filter(|_| letter.changes) {
            None => by.with(|state| self.deliver(state, &letter)),
            Some(span) => self.hold_up(by, span, letter).await,
        };
        by.stand_still(stands_still);
        self.bring_back(by, &fate, ways.1, reply).await
    }

    /// Draws what a request will meet, without any effect.
    fn weigh(&self, state: &mut State, sender: Sender, request: Request) -> Letter {
        let mut meets = Meets::Undrawn;
        self.answer_in(state, &request, Some(sender), &mut meets);
        let (fate, call, changes) = match meets {
            Meets::Drawn { fate, call, changes } => (fate, call, changes),
            Meets::Chance | Meets::Undrawn | Meets::Known(_) => Default::default(), // refused whatever it meets
        };
        Letter { request, sender, call, changes, fate }
    }

    /// Draws for how long a controller stands still after a look just before a change: what it decided may then be too old.
    fn pause_after(&self, state: &mut State, letter: &Letter) -> Option<Millis> {
        let form = Form::parse(&letter.request.body);
        let is_last_look = !letter.changes && NAMED.iter().any(|name| !form.all().list(name).is_empty());
        let now = state.now;
        if is_last_look { state.faults.draw_pause(now, &mut state.chance) } else { None }
    }

    /// Lets a request arrive; twice, if something on its way sends it again.
    fn deliver(&self, state: &mut State, letter: &Letter) -> Reply {
        let known = || Meets::Known(letter.fate.clone());
        let reply = self.answer_in(state, &letter.request, Some(letter.sender), &mut known());
        let again = letter.fate.twice && letter.fate.refused.is_none();
        if again { self.answer_in(state, &letter.request, Some(letter.sender), &mut known()) } else { reply }
    }

    /// Holds a request up on its way. It arrives whatever becomes of its sender.
    async fn hold_up(self: &Rc<Self>, by: &World, span: Millis, letter: Letter) -> Reply {
        let heard = Rc::new(RefCell::new(None));
        let (wire, put) = (self.clone(), heard.clone());
        let number = by.with(|state| {
            state.fault(None, "held-up", format!("{} for {span} ms", letter.call));
            let arrives = move |state: &mut State| {
                *put.borrow_mut() = Some(wire.deliver(state, &letter));
                Ok(Outcome::Done)
            };
            state.hold_up(span, Box::new(arrives))
        });
        by.nap(span).await;
        // Whether it was accepted is said in the answer.
        by.with(|state| _ = state.hear(number));
        heard.take().unwrap_or(Reply::Silence)
    }

    /// Brings an answer to its sender, unless that dies or the answer is lost.
    async fn bring_back(&self, by: &World, fate: &CallFate, takes: Millis, reply: Reply) -> Reply {
        if fate.crash == Some(CrashPoint::AfterEffect) {
            by.die("after-effect").await;
        }
        by.nap(fate.lost.unwrap_or(takes)).await;
        if fate.crash == Some(CrashPoint::AfterAnswer) {
            by.with(|state| state.crash(by.controller, "after-answer"));
        }
        reply
    }
}
