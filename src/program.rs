//! One run of another program: no shell, a process group of its own, an environment of a few words, input and output of a limited
//! size, and an end in time. Whatever it starts within its group ends with it.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use futures_util::future;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use crate::input::text;
use crate::time::Human;

/// The most bytes that a program may write to its standard error.
const MOST_COMPLAINED: usize = 1 << 20;
/// The most bytes that are kept of them: the last ones, which tell how it ended.
const KEPT: usize = 8 << 10;
/// The time in which a killed process is gone, unless the system itself is stuck.
const DEATH: Duration = Duration::from_secs(1);

/// The bounds of a run.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The time after which the program is killed.
    pub timeout: Duration,
    /// The most bytes of its output.
    pub most: usize,
}

/// A program that has come to its end by itself.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    /// The end of what it has written to its standard error, as clean text.
    pub stderr: String,
}

/// A run that came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The system has refused to run it.
    #[error("it cannot be run")]
    CannotRun(#[source] io::Error),
    /// The program did not end in time, and was killed with all that it had started.
    #[error("it was killed: it had not ended after {}", Human(*.0))]
    Late(Duration),
    /// The program had ended, and something that it had started held its output open.
    #[error("it left something behind that holds its output open")]
    LeftBehind,
    /// The program wrote without end, and was killed.
    #[error("it was killed: it wrote more than {most} bytes to {stream}")]
    Floods {
        /// `stdout` or `stderr`.
        stream: &'static str,
        /// The most that is read.
        most: usize,
    },
    /// The output could not be read.
    #[error("its output cannot be read")]
    Unread(#[source] io::Error),
}

/// Runs a program on one input. The command says which, with what arguments and environment. Should the caller go away, so does
/// the program with all that it has started.
pub async fn run(command: &mut Command, input: &[u8], bounds: Bounds) -> Result<Ended, Trouble> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(Trouble::CannotRun)?;
    let group = Group::of(&child).map_err(Trouble::CannotRun)?;
    let worked = timeout(bounds.timeout, work(&mut child, &group, input, bounds.most)).await;
    // The process itself has not been waited for until now, so its number, which is its group's too, is nobody else's.
    group.kill();
    let status = match timeout(DEATH, child.wait()).await {
        Ok(status) => status.map_err(Trouble::Unread)?,
        Err(_) => return Err(Trouble::Late(bounds.timeout)),
    };
    match worked {
        Ok(worked) => worked.map(|(stdout, stderr)| Ended { status, stdout, stderr }),
        // One that we had to kill bears the mark of it.
        Err(_) if status.signal() == Some(Signal::KILL.as_raw()) => Err(Trouble::Late(bounds.timeout)),
        Err(_) => Err(Trouble::LeftBehind),
    }
}

/// Hands the input over, takes the output, and waits for the end, without taking note of it.
async fn work(child: &mut Child, group: &Group, input: &[u8], most: usize) -> Result<(Vec<u8>, String), Trouble> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let answered = read(stdout, "stdout", most);
    let complained = read(stderr, "stderr", MOST_COMPLAINED);
    let (_, stdout, stderr) = future::try_join3(feed(stdin, input), answered, complained).await?;
    group.ended().await.map_err(Trouble::Unread)?;
    Ok((stdout, tail(&stderr)))
}

/// Writes the input, and closes it. A program that does not read it may know its answer without.
async fn feed(stdin: Option<ChildStdin>, input: &[u8]) -> Result<(), Trouble> {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(input).await;
    }
    Ok(())
}

/// Reads a stream to its end.
async fn read(stream: Option<impl AsyncRead + Unpin>, name: &'static str, most: usize) -> Result<Vec<u8>, Trouble> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        stream.take(most as u64 + 1).read_to_end(&mut bytes).await.map_err(Trouble::Unread)?;
    }
    if bytes.len() > most { Err(Trouble::Floods { stream: name, most }) } else { Ok(bytes) }
}

/// Takes the last part of what a program has complained of, as clean lines.
fn tail(bytes: &[u8]) -> String {
    let kept = &bytes[bytes.len().saturating_sub(KEPT)..];
    text::clean_lines(String::from_utf8_lossy(kept).trim())
}

/// The process group of a program. Dropped, it is killed, whatever is left of it.
struct Group(Pid);

impl Group {
    /// The group that a process leads, which has not been waited for.
    fn of(child: &Child) -> io::Result<Self> {
        let number = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        number.map(Self).ok_or_else(|| io::Error::other("it has no number"))
    }

    /// Waits until the process that leads the group has ended, and leaves it to be waited for: as long as nobody has, no other
    /// process gets its number.
    async fn ended(&self) -> io::Result<()> {
        let mut children = signal(SignalKind::child())?;
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        while waitid(WaitId::Pid(self.0), look)?.is_none() {
            children.recv().await;
        }
        Ok(())
    }

    fn kill(self) {
        drop(self);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Nobody is left, or all are killed: there is no third case for processes that we have started.
        let _ = kill_process_group(self.0, Signal::KILL);
    }
}
