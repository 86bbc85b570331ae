//! The rig: the real controller, real servers of Consul, etcd, PostgreSQL, ZooKeeper, RabbitMQ and Redis, and an EC2 endpoint that nobody here wrote, all on loopback.
//!
//! moto answers for EC2 behind a proxy that refuses and delays calls as EC2 does, and injects faults. Private addresses are
//! loopback addresses. A hypervisor boots each instance that has its data volume: it runs the image's own scripts, which
//! configure and start a real server. Clients write and read throughout. Each scenario is judged by what really happened, and
//! never by what the controller says.
//!
//! `HERMITCRAB_RIG=required` makes a missing server a failure; `HERMITCRAB_RIG_SCALE` scales the times of EC2.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // Real servers take real time, and a test may panic.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};

#[macro_use]
#[path = "../tools/cases.rs"]
mod cases;

// From the outside in.
mod scenarios;

mod cluster;
mod controller;
mod report;

mod clients;
mod history;

mod agent;
#[path = "../tools/authorised.rs"]
mod authorised;
mod boot;
mod hypervisor;
#[allow(dead_code)] // tests/permissions.rs takes policies apart too
#[path = "../tools/iam.rs"]
mod iam;
mod invariants;
mod metadata;
mod printed;
mod proxy;
#[path = "../tools/query.rs"]
mod query;
#[path = "../tools/recorded.rs"]
mod recorded;
mod truth;
mod world;

mod consul;
#[path = "../tools/ebs_key.rs"]
mod ebs_key;
mod ec2;
mod etcd;
#[path = "../tools/fetch.rs"]
mod fetch;
mod ground;
mod kind;
#[path = "../tools/left_out.rs"]
mod left_out;
mod moto;
#[path = "../tools/motos.rs"]
mod motos;
mod network;
mod page;
mod patroni;
mod process;
#[path = "../tools/provider.rs"]
mod provider;
mod rabbitmq;
mod redis;
mod servers;
mod xml;
mod zookeeper;

use cluster::{Rig, Seats};
use ground::Tools;
use kind::Kind;
use servers::Servers;
use truth::Truth;

/// Scenarios mostly wait, so more of them run at once than there are processors.
const AT_ONCE: usize = 20;
/// Longer than anything takes that only has to happen, on a machine that is busy with other rigs: three nodes of RabbitMQ, begun beside
/// seven other scenarios, were not there after a minute and a half.
const AT_MOST: Duration = Duration::from_secs(5 * 60);

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    rustls::crypto::ring::default_provider().install_default().ok(); // for reqwest, which has none of its own
    let mut trials = history_tests();
    let [consul, etcd, patroni] = [Kind::Consul, Kind::Etcd, Kind::Patroni].map(servers_of);
    let [zookeeper, rabbitmq, redis] = [Kind::Zookeeper, Kind::RabbitMq, Kind::Redis].map(servers_of);
    let tools =
        Tools::find().inspect_err(|why| eprintln!("rig: the scenarios with Terraform and Packer are not run: {why}"));
    let harness = Harness { consul, etcd, patroni, zookeeper, rabbitmq, redis, tools };
    trials.extend(scenarios::all(&harness));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn servers_of(kind: Kind) -> Result<Servers, String> {
    Servers::find(kind).inspect_err(|why| eprintln!("rig: the scenarios of {} are not run: {why}", kind.name()))
}

fn history_tests() -> Vec<Trial> {
    let trial = |(name, test): (&str, fn())| {
        Trial::test(format!("history::{name}"), move || {
            test();
            Ok(())
        })
    };
    history::tests::CASES.into_iter().map(trial).collect()
}

/// The servers that the scenarios of each kind need, or the reason why they are missing.
struct Harness {
    consul: Result<Servers, String>,
    etcd: Result<Servers, String>,
    patroni: Result<Servers, String>,
    zookeeper: Result<Servers, String>,
    rabbitmq: Result<Servers, String>,
    redis: Result<Servers, String>,
    /// The programs of others that a person uses.
    tools: Result<Tools, String>,
}

impl Harness {
    /// Makes a trial of a scenario on a rig with that many slots, which have fixed addresses.
    fn scenario<F>(&self, name: &str, slots: usize, play: F) -> Trial
    where
        F: AsyncFnOnce(Rc<Rig>) + Send + 'static,
    {
        trial(&self.consul, name, Seats { slots, fixed: true }, play)
    }

    /// Makes a trial of a scenario that begins with nothing but a person and the programs of others. It takes a quarter of an hour or
    /// more, so it is run only when it is asked for.
    fn with_tools<F>(&self, name: &str, play: F) -> Trial
    where
        F: AsyncFnOnce(Rc<Rig>, Tools) + Send + 'static,
    {
        match self.tools.clone() {
            Ok(tools) => self.scenario(name, 0, async |rig| play(rig, tools).await).with_ignored_flag(true),
            Err(why) => trial(&Err(why), name, Seats { slots: 0, fixed: false }, async |_| {}),
        }
    }

    /// Makes a trial of a scenario in which each new instance has another address.
    fn without_addresses<F>(&self, name: &str, slots: usize, play: F) -> Trial
    where
        F: AsyncFnOnce(Rc<Rig>) + Send + 'static,
    {
        trial(&self.consul, name, Seats { slots, fixed: false }, play)
    }

    /// Makes a trial of a scenario on a rig of etcd, whose slots have fixed addresses.
    fn etcd<F>(&self, name: &str, slots: usize, play: F) -> Trial
    where
        F: AsyncFnOnce(Rc<Rig>) + Send + 'static,
    {
        trial(&self.etcd, name, Seats { slots, fixed: true }, play)
    }

    /// Makes a trial of a scenario on a rig of etcd in which each new instance has another address.
    fn etcd_without_addresses<F>(&self, name: &str, slots: usize, play: F) -> Trial
    where
        F: AsyncFnOnce(Rc<Rig>) + Send + 'static,
    {
        trial(&self.etcd, name, Seats { slots, fixed: false }, play)
    }

    /// Makes a trial of a scenario on a rig of three members of PostgreSQL under Patroni.
    fn patroni<F>(&self, name: &str, play: F) -> Trial
    where
        F: AsyncFnOnce(Rc<Rig>) + Send + 'static,
    {
        trial(&self.patroni, name, Seats { slots: 3, fixed: true }, play)
    }

    /// Makes a trial of a scenario on a rig of three ZooKeeper servers.
    fn zookeeper<F>(&self, name: &str, play: F) -> Trial
    where
        F: AsyncFnOnce(Rc<Rig>) + Send + 'static,
    {
        trial(&self.zookeeper, name, Seats { slots: 3, fixed: true }, play)
    }

    /// Makes a trial of a scenario on a rig of three members that a program of `adapters/` speaks to.
    fn command<F>(&self, kind: Kind, name: &str, play: F) -> Trial
    where
        F: AsyncFnOnce(Rc<Rig>) + Send + 'static,
    {
        let servers = if kind == Kind::RabbitMq { &self.rabbitmq } else { &self.redis };
        trial(servers, name, Seats { slots: 3, fixed: true }, play)
    }
}

/// Makes a trial. Where a server is missing, the trial is shown as not run.
fn trial<F>(servers: &Result<Servers, String>, name: &str, seats: Seats, play: F) -> Trial
where
    F: AsyncFnOnce(Rc<Rig>) + Send + 'static,
{
    match servers.clone() {
        Ok(servers) => {
            let title = name.to_owned();
            Trial::test(name, move || {
                run(&title, &servers, seats, play);
                Ok(())
            })
        }
        Err(why) => Trial::test(name, move || Err(why.into())).with_ignored_flag(!fetch::is_required()),
    }
}

/// Plays one scenario, and prints its course if it fails.
fn run(title: &str, servers: &Servers, seats: Seats, play: impl AsyncFnOnce(Rc<Rig>)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let dir = tempfile::Builder::new().prefix("rig-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let truth = Rc::new(Truth::new());
    let played = catch_unwind(AssertUnwindSafe(|| {
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let rig = Rig::start(title, servers, seats, dir.path(), truth.clone()).await;
            play(rig.clone()).await;
            rig.nothing_is_wrong();
        });
    }));
    // The end of the runtime ends all that runs on it, also after a panic.
    drop(runtime);
    if let Err(panic) = played {
        let kept = dir.keep();
        print!("{title}: FAILED, and left {}\n{}", kept.display(), truth.story());
        resume_unwind(panic);
    }
}

/// Waits until a look finds something, and fails if no look does in time.
async fn until<T>(what: &str, limit: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < limit, "waited {} s in vain for {what}", limit.as_secs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
