//! What was asked for is remembered for a while.

use std::cell::RefCell;
use std::time::Duration;

use crate::time::{Timestamp, elapsed};

/// Something, and when it was asked for.
#[derive(Debug)]
pub(super) struct Aged<T>(RefCell<Option<(Timestamp, T)>>);

impl<T> Default for Aged<T> {
    fn default() -> Self {
        Self(RefCell::new(None))
    }
}

impl<T: Clone> Aged<T> {
    /// It, if it is not too old.
    pub(super) fn young(&self, now: Timestamp, life: impl FnOnce(&T) -> Duration) -> Option<T> {
        let kept = self.0.borrow();
        let (at, value) = kept.as_ref()?;
        (elapsed(now, *at) < life(value)).then(|| value.clone())
    }

    /// Remembers it, and gives it back.
    pub(super) fn keep(&self, at: Timestamp, value: T) -> T {
        *self.0.borrow_mut() = Some((at, value.clone()));
        value
    }
}
