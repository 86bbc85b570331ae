//! Things that stay on the thread of their simulated world, with handles that may go anywhere.
//!
//! The SDK asks of a client, of a sleep and of their futures that they can be sent to other threads. Those of a simulated world
//! cannot, and need not: a world and its controllers run on one thread. So the SDK has their numbers.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

type Work = Pin<Box<dyn Future<Output = Box<dyn Any>>>>;

/// Everything that stays on this thread.
#[derive(Default)]
struct Staying {
    last: u64,
    things: BTreeMap<u64, Rc<dyn Any>>,
    works: BTreeMap<u64, Work>,
}

thread_local! {
    static HERE: RefCell<Staying> = RefCell::default();
}

impl Staying {
    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

/// A thing that is kept on this thread for as long as this is.
#[derive(Debug)]
pub struct Keeping {
    pub number: u64,
}

/// Keeps a thing on this thread.
pub fn keep(thing: impl Any) -> Keeping {
    HERE.with_borrow_mut(|here| {
        let number = here.number();
        here.things.insert(number, Rc::new(thing));
        Keeping { number }
    })
}

impl Drop for Keeping {
    fn drop(&mut self) {
        let thing = HERE.try_with(|here| here.borrow_mut().things.remove(&self.number));
        drop(thing);
    }
}

/// Gives a thing that is kept on this thread.
pub fn kept<T: Any>(number: u64) -> Rc<T> {
    let thing = HERE.with_borrow(|here| here.things[&number].clone());
    thing.downcast().unwrap()
}

/// The handle of a future that stays on this thread. The future ends with it.
pub struct Remote<T> {
    number: u64,
    gives: PhantomData<fn() -> T>,
}

/// Has a future stay on this thread.
pub fn stay<T: Any>(work: impl Future<Output = T> + 'static) -> Remote<T> {
    let work = Box::pin(async move { Box::new(work.await) as Box<dyn Any> });
    let number = HERE.with_borrow_mut(|here| {
        let number = here.number();
        here.works.insert(number, work);
        number
    });
    Remote { number, gives: PhantomData }
}

impl<T: Any> Future for Remote<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // The future may keep others meanwhile, and let go of them.
        let mut work = HERE.with_borrow_mut(|here| here.works.remove(&self.number)).unwrap();
        let polled = work.as_mut().poll(context);
        if polled.is_pending() {
            HERE.with_borrow_mut(|here| _ = here.works.insert(self.number, work));
        }
        polled.map(|given| *given.downcast().unwrap())
    }
}

impl<T> Drop for Remote<T> {
    fn drop(&mut self) {
        let work = HERE.try_with(|here| here.borrow_mut().works.remove(&self.number));
        drop(work);
    }
}
