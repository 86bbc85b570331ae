//! The world's side of controllers: the faults that their calls meet, and their deaths.

use std::time::Duration;

use super::state::{State, Taking, Tick};
use crate::ports::{ErrorKind, Outcome, SET_BACK};
use crate::sim::clock::Clock;
use crate::sim::event::What;
use crate::sim::time::{Millis, instant};
use crate::sim::unkind::fate::CallFate;
use crate::sim::words::Refusal;
use crate::time::{Timestamp, after, before};

impl State {
    /// Draws the fate of a call, and tells of it. What is refused for a time is refused before chance has a say.
    pub fn draw_fate(&mut self, call: &str, doing: &str, mutating: bool) -> CallFate {
        if let Some(kind) = self.faults.standing.next(call, self.now) {
            self.fault(None, "refused", format!("{doing}: {kind}"));
            return CallFate { refused: Some(kind), ..CallFate::default() };
        }
        let fate = self.faults.draw_fate(self.now, &mut self.chance, mutating);
        match fate.refused {
            Some(ErrorKind::Throttled) => self.fault(None, "throttled", doing.to_owned()),
            Some(_) => self.fault(None, "refused", doing.to_owned()),
            None if fate.lost.is_some() => self.fault(None, "answer-lost", doing.to_owned()),
            None => {}
        }
        CallFate { wire: fate.wire.or_else(|| self.faults.standing.on_the_wire(self.now)), ..fate }
    }

    /// Adds what was arranged for a mutating call that is sent now.
    pub fn arranged_fate(&mut self, fate: CallFate, doing: &str) -> CallFate {
        let Some(accident) = self.faults.arranged.next() else { return fate };
        if let Some(name) = accident.fault() {
            self.fault(None, name, doing.to_owned());
        }
        accident.befall(fate)
    }

    /// Lets a controller die now and come back after a while.
    pub fn crash(&mut self, controller: u8, at: &str) {
        let back = self.now + self.chance.rng.u64(1_000..=30_000);
        self.controllers.entry(controller).or_default().dies = Some(back);
        self.faults.last = Some(self.now);
        self.tell(What::Crash { controller, at: at.to_owned() });
    }

    /// Refuses the requests of a controller whose clock is further off than signatures are accepted for.
    pub fn clock_is_right(&self, controller: u8, accepted: Millis) -> Result<(), Refusal> {
        let ahead = self.clock(controller).machine();
        let expired = || Refusal::new(ErrorKind::Unreachable, "RequestExpired");
        if ahead.unsigned_abs() > accepted { Err(expired()) } else { Ok(()) }
    }

    /// Sends a call that takes so long to arrive, and answers its number.
    pub fn hold_up(&mut self, span: Millis, taking: Taking) -> u64 {
        self.on_the_wire.last += 1;
        let number = self.on_the_wire.last;
        self.on_the_wire.calls.insert(number, taking);
        self.schedule(span, Tick::Arrive(number));
        number
    }

    /// Lets a call arrive, whatever has become of its sender.
    pub fn arrive(&mut self, number: u64) {
        let Some(taking) = self.on_the_wire.calls.remove(&number) else { return };
        let answer = taking(self);
        self.on_the_wire.answers.insert(number, answer);
    }

    /// Hears the answer to a call that has arrived.
    pub fn hear(&mut self, number: u64) -> Result<Outcome, Refusal> {
        let answer = self.on_the_wire.answers.remove(&number);
        answer.unwrap_or_else(|| Err(Refusal::new(ErrorKind::Unreachable, "no answer")))
    }

    fn clock(&self, controller: u8) -> Clock {
        self.controllers.get(&controller).map_or_else(Clock::default, |known| known.clock)
    }

    /// Tells how far a controller's clock was set back while its process lived, if that is too far.
    pub fn clock_set_back(&self, controller: u8) -> Option<Duration> {
        let clock = self.clock(controller);
        let behind = u64::try_from(clock.shown() - clock.machine()).map(Duration::from_millis).ok()?;
        Some(behind).filter(|behind| *behind > SET_BACK)
    }

    /// Tells what a controller is shown as the time at a moment.
    pub fn shown_at(&self, controller: u8, now: Millis) -> Timestamp {
        let ahead = self.clock(controller).shown();
        let span = Duration::from_millis(ahead.unsigned_abs());
        if ahead < 0 { before(instant(now), span) } else { after(instant(now), span) }
    }
}
