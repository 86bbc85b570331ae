//! Signals that ask the process to end: the first lets it finish the call in flight, the second ends it at once.
//!
//! A thread of its own listens, so that the second signal works whatever the others wait for. SIGHUP counts as SIGTERM:
//! an ssh connection that breaks must not leave half of a replacement, or a copy with a cluster's data, behind.

use std::io;
use std::process;
use std::sync::OnceLock;
use std::thread;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

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
    /// The exit code of a process that a signal ended: 128 and its number.
    fn code(self) -> i32 {
        128 + match self {
            Self::HangUp => 1,
            Self::Interrupt => 2,
            Self::Terminate => 15,
        }
    }
}

/// The signals of this process, from now on.
#[derive(Clone, Debug)]
pub struct Signals(watch::Receiver<Option<Signal>>);

impl Signals {
    /// Begins to listen, once in a process: a signal that has come stays heard.
    pub fn listen() -> io::Result<Self> {
        static SIGNALS: OnceLock<Signals> = OnceLock::new();
        match SIGNALS.get() {
            Some(signals) => Ok(signals.clone()),
            None => {
                let begun = Self::begin()?;
                Ok(SIGNALS.get_or_init(|| begun).clone())
            }
        }
    }

    fn begin() -> io::Result<Self> {
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
                if sender.send_replace(Some(came)).is_some() {
                    process::exit(came.code());
                }
            }
        };
        thread::Builder::new().name("signals".to_owned()).spawn(move || runtime.block_on(listen))?;
        Ok(Self(receiver))
    }

    /// Waits for the first signal; at once, if it has come already.
    pub async fn first(mut self) -> Signal {
        match self.0.wait_for(Option::is_some).await.map(|came| *came) {
            Ok(Some(signal)) => signal,
            // The thread is gone: no signal will be heard of.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}
