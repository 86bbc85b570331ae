//! Signals that ask the process to end: SIGINT, SIGTERM, and SIGHUP, because an ssh connection that breaks must not leave
//! half of a replacement, or a copy with a cluster's data, behind.
//!
//! While work is under way that must not be broken off, the first signal lets the call in flight be finished. At any other
//! time the first one ends the process at once, and a second one always does: a thread of its own listens, whatever the
//! others wait for. To a daemon below a service manager SIGHUP says something else: to look at desired state again.

use std::io;
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use futures_util::future::{Either, pending};
use rustix::process::{Signal as Number, getpid, kill_process};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};

use super::{Exit, Failure};

/// The longest time for what a command says after it was told to end: stdout waits for whoever reads there.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// The longest time for the process to end by itself: a machine that is busy may leave it waiting for a part of that.
const LAST_FLUSH: Duration = Duration::from_secs(1);

/// The first signal that came.
static FIRST: OnceLock<watch::Receiver<Option<Signal>>> = OnceLock::new();
/// The pieces of work under way that must not be broken off.
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

/// The bell that a hang-up rings, once it asks for nothing but another look.
static HANG_UPS: OnceLock<Arc<Notify>> = OnceLock::new();

/// A signal that asks the process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// From a person: Ctrl-C.
    Interrupt,
    /// From a service manager.
    Terminate,
    /// From a terminal that is gone.
    HangUp,
}

impl Signal {
    /// The exit code of a process that the signal ended.
    pub fn exit(self) -> Exit {
        match self {
            Self::HangUp => Exit::HungUp,
            Self::Interrupt => Exit::Interrupted,
            Self::Terminate => Exit::Terminated,
        }
    }

    /// Ends the process once it has had time for its last words, unless further work has begun.
    fn end_soon(self) {
        after(LAST_WORDS, move || {
            if is_idle() {
                self.end();
            }
        });
    }

    /// Ends the process, by force if nobody takes what it has left to say.
    fn end(self) -> ! {
        after(LAST_FLUSH, || _ = kill_process(getpid(), Number::KILL));
        process::exit(i32::from(self.exit() as u8))
    }
}

/// Says whether no work is under way that must not be broken off.
fn is_idle() -> bool {
    UNDER_WAY.load(Ordering::SeqCst) == 0
}

/// Does something on a thread of its own, if the process goes on for so long.
fn after(span: Duration, doing: impl FnOnce() + Send + 'static) {
    let wait = move || {
        let (_keep, never) = mpsc::channel::<()>();
        let _ = never.recv_timeout(span);
        doing();
    };
    let _ = thread::Builder::new().name("end".to_owned()).spawn(wait);
}

/// Begins to listen, once in a process. From then on no signal ends the process but as is said here.
pub fn listen() -> io::Result<()> {
    if FIRST.get().is_some() {
        return Ok(());
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (sender, receiver) = watch::channel(None);
    let mut kinds = {
        let _within = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?)
    };
    let listen = async move {
        loop {
            let came = tokio::select! {
                _ = kinds.0.recv() => Signal::Interrupt,
                _ = kinds.1.recv() => Signal::Terminate,
                _ = kinds.2.recv() => Signal::HangUp,
            };
            if let (Signal::HangUp, Some(hang_ups)) = (came, HANG_UPS.get()) {
                hang_ups.notify_one();
                continue;
            }
            // Whether it was idle is asked first: whoever hears of the signal may be done before this thread goes on.
            let was_idle = is_idle();
            let is_second = sender.send_replace(Some(came)).is_some();
            if is_second || was_idle {
                came.end();
            } else if is_idle() {
                came.end_soon();
            }
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(move || runtime.block_on(listen))?;
    let _ = FIRST.set(receiver);
    Ok(())
}

/// Fails if a signal has come, for a command that would begin another change.
pub fn refuse_further() -> Result<(), Failure> {
    let interrupted = Failure::new("interrupted").hint("run the same command again; it continues from here");
    came().map_or(Ok(()), |signal| Err(Failure { exit: signal.exit(), ..interrupted }))
}

/// The exit code of a command that a signal has broken off.
pub fn interrupted() -> Exit {
    came().map_or(Exit::Interrupted, Signal::exit)
}

/// The signal that has come while something was under way, if one has.
fn came() -> Option<Signal> {
    *FIRST.get()?.borrow()
}

/// Shares the bell that each hang-up rings from now on. None asks the process to end any more.
pub fn hang_ups() -> Arc<Notify> {
    HANG_UPS.get_or_init(Arc::default).clone()
}

/// Work under way that must not be broken off, for as long as this is kept.
#[derive(Debug)]
pub struct UnderWay(());

impl UnderWay {
    /// Begins such work.
    pub fn begin() -> Self {
        UNDER_WAY.fetch_add(1, Ordering::SeqCst);
        Self(())
    }

    /// Waits for the first signal; at once, if it has come already.
    pub fn first_signal(&self) -> impl Future<Output = Signal> + use<> {
        match FIRST.get().cloned() {
            Some(first) => Either::Left(wait_for(first)),
            None => Either::Right(pending()),
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let is_last = UNDER_WAY.fetch_sub(1, Ordering::SeqCst) == 1;
        if let Some(signal) = came().filter(|_| is_last) {
            signal.end_soon();
        }
    }
}

async fn wait_for(mut first: watch::Receiver<Option<Signal>>) -> Signal {
    match first.wait_for(Option::is_some).await.map(|came| *came) {
        Ok(Some(signal)) => signal,
        // The thread is gone: no signal will be heard of.
        Ok(None) | Err(_) => pending().await,
    }
}
