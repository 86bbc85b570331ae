//! Notifications: news of clusters for people and programs elsewhere, told once each and never at the cost of a pass.
//!
//! [`watch`] hears every event and finds what is news, [`post`] delivers it from a thread of its own, and [`kept`] is what
//! both remember over a restart. [`file`] names the receivers, each of which has its [`way`] of being told.

use std::cell::RefCell;

use crate::event::{Event, Listener};

pub mod email;
pub mod file;
pub mod hook;
pub mod kept;
pub mod news;
mod outbox;
pub mod post;
mod revision;
mod smtp;
pub mod watch;
pub mod way;

use post::Post;
use watch::Watch;

/// A listener that hands news to the post.
pub struct Notifier {
    watch: RefCell<Watch>,
    post: Post,
}

impl Notifier {
    /// Makes a listener that goes on from what was told before.
    pub fn new(watch: Watch, post: Post) -> Self {
        Self { watch: RefCell::new(watch), post }
    }
}

impl Listener for Notifier {
    fn hear(&self, event: &Event) {
        let mut watch = self.watch.borrow_mut();
        if let Some(news) = watch.take(event) {
            self.post.hand_over(watch.memory().clone(), news);
        }
    }
}
