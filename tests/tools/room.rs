//! A stack that is large enough for the SDK's futures within a test's or the controller's, even where nothing is optimised.

use std::thread;

const STACK: usize = 64 << 20;

/// Runs a test there.
pub fn with_room(test: impl FnOnce() + Send + 'static) {
    let running = thread::Builder::new().stack_size(STACK).spawn(test).unwrap();
    if let Err(panic) = running.join() {
        std::panic::resume_unwind(panic);
    }
}
