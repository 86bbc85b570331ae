//! Records what one controller of a simulation answers and does.

use std::cell::RefCell;
use std::rc::Rc;

use crate::event::{Event, EventKind, Listener};
use crate::sim::World;

use super::beside::Beside;
use super::judged::Lasting;
use super::transcript::Transcript;

/// The listener of one controller. Only the first controller's answers are recorded; the world tells what the others do.
pub(super) struct Recorder {
    pub(super) world: World,
    pub(super) transcript: Rc<RefCell<Transcript>>,
    /// The clusters beside the one that the transcript is about.
    pub(super) beside: Beside,
    /// The controller's number, from 0.
    pub(super) controller: u8,
    pub(super) lasting: RefCell<Lasting>,
}

impl Listener for Recorder {
    fn hear(&self, event: &Event) {
        let mut transcript = self.transcript.borrow_mut();
        if let EventKind::Planned(pass) = &event.kind
            && self.beside.is_about(pass)
        {
            transcript.take_events(&self.world);
            if self.controller == 0 {
                self.beside.take_pass(pass, &self.world);
            }
            return;
        }
        match &event.kind {
            EventKind::Planned(pass) => {
                transcript.passes += 1;
                let answer = self.lasting.borrow_mut().facts(pass, self.world.time());
                answer.iter().for_each(|answer| self.world.judge_answer(&pass.spec.name, answer));
                transcript.take_events(&self.world);
                if self.controller == 0 {
                    transcript.take_pass(pass, self.world.seconds(), self.world.time());
                }
            }
            EventKind::Acted(_) => transcript.take_events(&self.world),
            _ => {}
        }
    }
}
