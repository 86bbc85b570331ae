//! The true course of one scenario, whatever anybody believes: a log, who was down when and by whose hand, and every
//! safety rule that was broken.

use std::cell::RefCell;
use std::time::{Duration, Instant};

/// The log of one scenario.
pub struct Truth {
    began: Instant,
    notes: RefCell<Vec<(Duration, String)>>,
    violations: RefCell<Vec<String>>,
    downs: RefCell<Vec<Down>>,
}

/// A time for which a member was not a healthy voter.
#[derive(Clone, Debug)]
pub struct Down {
    pub cluster: String,
    pub slot: String,
    /// Whether the member led when it was stopped, as far as its peers had said.
    pub led: bool,
    pub from: Instant,
    pub to: Option<Instant>,
}

impl Down {
    pub fn lasted(&self) -> Duration {
        self.to.unwrap_or_else(Instant::now).duration_since(self.from)
    }
}

impl Truth {
    pub fn new() -> Self {
        let began = Instant::now();
        Self { began, notes: RefCell::default(), violations: RefCell::default(), downs: RefCell::default() }
    }

    pub fn note(&self, text: impl Into<String>) {
        self.notes.borrow_mut().push((self.began.elapsed(), text.into()));
    }

    /// A safety rule was broken, or the rig caught something that it does not understand.
    pub fn violation(&self, text: impl Into<String>) {
        let text = text.into();
        self.note(format!("VIOLATION {text}"));
        self.violations.borrow_mut().push(text);
    }

    pub fn violations(&self) -> Vec<String> {
        self.violations.borrow().clone()
    }

    /// A scenario has provoked the one violation that says these words, and saw that the rig noticed.
    pub fn excuse(&self, words: &str) -> Option<String> {
        let mut violations = self.violations.borrow_mut();
        let at = violations.iter().position(|violation| violation.contains(words))?;
        Some(violations.remove(at))
    }

    /// A member's process is ended, by a controller's hand or another's. One at a time is the most that a controller may
    /// cause.
    pub fn went_down(&self, cluster: &str, slot: &str, ours: bool, led: bool) {
        let is_other = |down: &&Down| down.to.is_none() && down.cluster == cluster && down.slot != slot;
        let others: Vec<String> = self.downs.borrow().iter().filter(is_other).map(|down| down.slot.clone()).collect();
        if ours && !others.is_empty() {
            self.violation(format!("{slot} was stopped while {} was down", others.join(", ")));
        }
        let mut downs = self.downs.borrow_mut();
        if !downs.iter().any(|down| down.slot == slot && down.to.is_none()) {
            downs.push(Down {
                cluster: cluster.to_owned(),
                slot: slot.to_owned(),
                led,
                from: Instant::now(),
                to: None,
            });
        }
        drop(downs);
        self.note(format!("{slot} down{}", if ours { "" } else { ", not by a controller" }));
    }

    /// A member is a healthy voter at the address of its instance.
    pub fn came_up(&self, slot: &str) {
        let mut downs = self.downs.borrow_mut();
        if let Some(down) = downs.iter_mut().find(|down| down.slot == slot && down.to.is_none()) {
            down.to = Some(Instant::now());
            let seconds = down.lasted().as_secs_f64();
            drop(downs);
            self.note(format!("{slot} up after {seconds:.1} s"));
        }
    }

    pub fn down_now(&self) -> Vec<String> {
        let downs = self.downs.borrow();
        downs.iter().filter(|down| down.to.is_none()).map(|down| down.slot.clone()).collect()
    }

    pub fn downs(&self) -> Vec<Down> {
        self.downs.borrow().clone()
    }

    /// The whole log, a line for each entry.
    pub fn story(&self) -> String {
        let notes = self.notes.borrow();
        notes.iter().map(|(at, text)| format!("{:8.2}  {text}\n", at.as_secs_f64())).collect()
    }
}
