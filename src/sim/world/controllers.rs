//! The world's side of controllers: the faults that their calls meet, and their deaths.

use super::state::State;
use crate::ports::ErrorKind;
use crate::sim::event::What;
use crate::sim::unkind::fate::CallFate;

impl State {
    /// Draws the fate of a call, and tells of it.
    pub fn draw_fate(&mut self, doing: &str, mutating: bool) -> CallFate {
        let fate = self.faults.draw_fate(self.now, &mut self.chance, mutating);
        match fate.refused {
            Some(ErrorKind::Throttled) => self.fault(None, "throttled", doing.to_owned()),
            Some(_) => self.fault(None, "refused", doing.to_owned()),
            None if fate.lost.is_some() => self.fault(None, "answer-lost", doing.to_owned()),
            None => {}
        }
        fate
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
}
