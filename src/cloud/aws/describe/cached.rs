//! Answers that are remembered for a while.

use std::cell::RefCell;
use std::time::Duration;

use crate::time::{Timestamp, elapsed};

/// An answer, with the time at which it was asked for.
#[derive(Debug)]
pub(super) struct Cached<T>(RefCell<Option<(Timestamp, T)>>);

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self(RefCell::new(None))
    }
}

impl<T: Clone> Cached<T> {
    /// Gives the answer, unless it is too old.
    pub(super) fn fresh(&self, now: Timestamp, life: impl FnOnce(&T) -> Duration) -> Option<T> {
        let kept = self.0.borrow();
        let (at, value) = kept.as_ref()?;
        (elapsed(now, *at) < life(value)).then(|| value.clone())
    }

    /// Gives the age of the answer, if there is one.
    pub(super) fn age(&self, now: Timestamp) -> Option<Duration> {
        self.0.borrow().as_ref().map(|(at, _)| elapsed(now, *at))
    }

    /// Forgets the answer.
    pub(super) fn forget(&self) {
        *self.0.borrow_mut() = None;
    }

    /// Remembers an answer, and gives it back.
    pub(super) fn store(&self, at: Timestamp, value: T) -> T {
        *self.0.borrow_mut() = Some((at, value.clone()));
        value
    }
}
