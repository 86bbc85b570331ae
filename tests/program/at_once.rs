//! Work that mostly waits for processes, done for several things at once.

use std::sync::Mutex;
use std::thread;

const THREADS: usize = 4;

/// Does something to each of them, begins in their order, and gives what comes of it in no order. Panics if any does.
pub fn at_once<T: Send, R: Send>(
    all: impl IntoIterator<Item = T, IntoIter: Send>,
    each: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let queue = Mutex::new(all.into_iter());
    let work = || {
        let mut done = Vec::new();
        loop {
            let Some(next) = queue.lock().unwrap().next() else { return done };
            done.push(each(next));
        }
    };
    thread::scope(|scope| {
        let threads = [(); THREADS].map(|()| scope.spawn(work));
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}
