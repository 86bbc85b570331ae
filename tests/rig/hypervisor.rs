//! The hypervisor below the instances. It boots each instance that has its data volume, as the image does, then starts a real
//! server on the volume, and ends it with the instance.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::boot::{Boot, Image};
use crate::kind::{Api, Kind, Server};
use crate::process::{Process, Signal};
use crate::proxy::Proxy;
use crate::servers::Program;
use crate::truth::Truth;
use crate::world::Guest;

/// A server that does not end by itself is killed after so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// The interval at which a server that its peers do not see looks for them again; cloud auto-join uses 30 s.
const JOIN_EVERY: Duration = Duration::from_secs(2);

/// The content of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    Server(Program),
    /// A guest that boots, and whose server never starts.
    Nothing,
}

/// Everything that runs on the instances.
pub struct Hypervisor {
    pub kind: Kind,
    proxy: Rc<Proxy>,
    truth: Rc<Truth>,
    dir: PathBuf,
    image: Image,
    api: Api,
    images: RefCell<BTreeMap<String, Payload>>,
    booting: RefCell<BTreeMap<String, Boot>>,
    running: RefCell<BTreeMap<String, Running>>,
    /// The last that the members of each cluster said of each other.
    seen: RefCell<BTreeMap<String, Vec<Server>>>,
}

struct Running {
    guest: Guest,
    process: Process,
    started: Instant,
    stopping: Option<Instant>,
    joins_at: Instant,
}

impl Hypervisor {
    /// Begins to watch. It goes on for as long as its runtime.
    pub fn start(kind: Kind, proxy: Rc<Proxy>, truth: Rc<Truth>, dir: &Path, image: Image) -> Rc<Self> {
        let hypervisor = Rc::new(Self {
            kind,
            proxy,
            truth,
            dir: dir.to_owned(),
            image,
            api: Api::new(kind, Duration::from_secs(3)),
            images: RefCell::default(),
            booting: RefCell::default(),
            running: RefCell::default(),
            seen: RefCell::default(),
        });
        let copies = Rc::downgrade(&hypervisor);
        hypervisor.proxy.when_copied(move |from, to| copies.upgrade().unwrap().copy(from, to));
        let (runs, watches) = (hypervisor.clone(), hypervisor.clone());
        tokio::task::spawn_local(async move {
            loop {
                runs.proxy.advance().await;
                runs.tick();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        tokio::task::spawn_local(async move {
            loop {
                watches.watch().await;
                tokio::time::sleep(Duration::from_millis(400)).await;
            }
        });
        hypervisor
    }

    /// Says what is on an image.
    pub fn image(&self, id: &str, payload: Payload) {
        self.images.borrow_mut().insert(id.to_owned(), payload);
    }

    /// Where servers can be reached now.
    pub fn addresses(&self) -> Vec<String> {
        let running = self.running.borrow();
        running.values().filter(|one| one.stopping.is_none()).map(|one| one.guest.address.clone()).collect()
    }

    /// Where those of one cluster can be reached.
    pub fn addresses_of(&self, cluster: &str) -> Vec<String> {
        let running = self.running.borrow();
        let its = running.values().filter(|one| one.stopping.is_none() && one.guest.cluster == cluster);
        its.map(|one| one.guest.address.clone()).collect()
    }

    /// The clusters that any server runs of.
    pub fn clusters(&self) -> BTreeSet<String> {
        self.running.borrow().values().map(|one| one.guest.cluster.clone()).collect()
    }

    /// Sends a signal to the server of a slot.
    pub fn signal(&self, slot: &str, signal: Signal) {
        let running = self.running.borrow();
        running.values().filter(|one| one.guest.slot == slot).for_each(|one| one.process.signal(signal));
    }

    /// Collects the output of the servers of these slots.
    pub fn said(&self, is_meant: impl Fn(&str) -> bool) -> String {
        let logs = fs::read_dir(&self.dir).unwrap().map(|entry| entry.unwrap().path());
        let logs = logs.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
        let its = logs.filter(|path| is_meant(&path.file_name().unwrap().to_string_lossy()));
        its.map(|path| fs::read_to_string(path).unwrap()).collect()
    }

    /// Returns what all servers said of each other last.
    pub fn servers(&self) -> Vec<Server> {
        self.seen.borrow().values().flatten().cloned().collect()
    }

    /// The slot whose server leads, as far as its peers said last.
    pub fn leader(&self) -> Option<String> {
        self.servers().into_iter().find(|server| server.leader).map(|server| server.name)
    }

    /// How often any server has come to lead.
    pub fn elections(&self) -> usize {
        self.kind.leads().map_or(0, |words| self.said(|_| true).matches(words).count())
    }

    /// Copies what is on a volume or in a snapshot, as it is at one moment: whoever writes there stands still meanwhile.
    fn copy(&self, from: &str, to: &str) {
        let running = self.running.borrow();
        let writer = running.values().find(|one| one.guest.volume == from);
        writer.iter().for_each(|one| one.process.signal(Signal::Stop));
        let (source, target) = (self.dir.join(from), self.dir.join(to));
        fs::create_dir_all(&source).unwrap();
        let copied = std::process::Command::new("cp").arg("--archive").arg(source).arg(target).status().unwrap();
        writer.iter().for_each(|one| one.process.signal(Signal::Cont));
        assert!(copied.success(), "{from} was not copied to {to}");
    }

    /// Finds the id of a slot's member, whose volume that is.
    pub fn member(&self, volume: &str, slot: &str) -> Option<String> {
        self.kind.member(&self.dir.join(volume), slot, &self.servers())
    }

    /// Ends and starts servers as the instances have it.
    fn tick(&self) {
        let now = Instant::now();
        let wanted = self.proxy.world.borrow().guests(now);
        self.booting.borrow_mut().retain(|instance, _| wanted.iter().any(|guest| guest.instance == *instance));
        self.end_those_not_in(&wanted, now);
        for guest in wanted {
            let known = self.running.borrow().contains_key(&guest.instance);
            let payload = self.images.borrow().get(&guest.image).cloned();
            if let (false, Some(Payload::Server(program))) = (known, payload) {
                self.bring_up(guest, &program, now);
            }
        }
    }

    fn end_those_not_in(&self, wanted: &[Guest], now: Instant) {
        let mut ended = Vec::new();
        for (instance, running) in self.running.borrow_mut().iter_mut() {
            if let Some(status) = running.process.ended() {
                let slot = &running.guest.slot;
                if running.stopping.is_none() {
                    self.truth.violation(format!("the server of {slot} ended by itself: {status}"));
                } else if self.has_left(&running.guest) {
                    self.truth.violation(format!("the server of {slot} left its cluster when it was to stop"));
                }
                ended.push(instance.clone());
            } else if let Some(since) = running.stopping {
                if now.duration_since(since) > PATIENCE {
                    self.truth.note(format!("the server of {} is killed: it did not end", running.guest.slot));
                    running.process.kill();
                }
            } else if !wanted.iter().any(|guest| guest.instance == *instance) {
                running.stopping = Some(now);
                running.process.signal(Signal::Term);
                let world = self.proxy.world.borrow();
                let ours = world.machines.get(instance).is_some_and(|machine| !machine.by_a_person());
                let led = self.leader().as_ref() == Some(&running.guest.slot);
                self.truth.went_down(&running.guest.cluster, &running.guest.slot, ours, led);
            }
        }
        for instance in ended {
            self.running.borrow_mut().remove(&instance);
            self.set_guest(&instance, false);
        }
    }

    fn has_left(&self, guest: &Guest) -> bool {
        let said = fs::read_to_string(log_of(&self.dir, guest)).unwrap();
        self.kind.leaves().is_some_and(|words| said.contains(words))
    }

    /// Begins an instance's boot, or starts its server if that has ended well.
    fn bring_up(&self, guest: Guest, program: &Program, now: Instant) {
        let own = self.dir.join(&guest.instance);
        let mut booting = self.booting.borrow_mut();
        let Some(boot) = booting.get_mut(&guest.instance) else {
            if let Some(other) = self.running.borrow().values().find(|other| other.guest.volume == guest.volume) {
                let (volume, one, two) = (&guest.volume, &other.guest.instance, &guest.instance);
                return self.truth.violation(format!("{volume} is in use by {one} and {two} at once"));
            }
            let boot = self.image.boot(&guest, &own, &self.dir.join(&guest.volume));
            booting.insert(guest.instance, boot);
            return;
        };
        match boot.ended() {
            None => {}
            Some(Ok(())) => {
                booting.remove(&guest.instance);
                self.serve(guest, program, &own, now);
            }
            Some(Err(why)) => {
                let (slot, instance) = (&guest.slot, &guest.instance);
                self.truth.violation(format!("the guest of {slot} on {instance} starts no server: {why}"));
            }
        }
    }

    fn serve(&self, guest: Guest, program: &Program, own: &Path, now: Instant) {
        let peers = self.addresses_of(&guest.cluster);
        let command = self.kind.server(&self.image, program, &guest, own, &peers);
        let process = Process::start(command, &log_of(&self.dir, &guest));
        let (slot, instance, address, version) = (&guest.slot, &guest.instance, &guest.address, &program.version);
        self.truth.note(format!("the server of {slot} starts on {instance} at {address}, version {version}"));
        self.set_guest(&guest.instance, true);
        let running =
            Running { guest: guest.clone(), process, started: now, stopping: None, joins_at: now + JOIN_EVERY };
        self.running.borrow_mut().insert(guest.instance, running);
    }

    fn set_guest(&self, instance: &str, runs: bool) {
        if let Some(machine) = self.proxy.world.borrow_mut().machines.get_mut(instance) {
            machine.guest = runs;
        }
    }

    /// Has servers find each other, and sees who is well.
    async fn watch(&self) {
        for guest in self.looking_for_peers() {
            let mut peers = self.addresses_of(&guest.cluster);
            peers.retain(|peer| *peer != guest.address);
            self.api.introduce(&guest, &peers).await;
        }
        for cluster in self.clusters() {
            self.watch_one(cluster).await;
        }
    }

    async fn watch_one(&self, cluster: String) {
        let (addresses, mut servers) = (self.addresses_of(&cluster), Vec::new());
        for address in &addresses {
            servers = self.api.servers(address).await;
            if !servers.is_empty() {
                break;
            }
        }
        for server in servers.iter().filter(|server| server.is_well()) {
            // Peers may still speak of the time before it went.
            let at = self.place_of(server);
            if let Some(address) = at
                && self.truth.down_now().contains(&server.name)
                && self.api.is_led(&address).await
            {
                self.truth.came_up(&server.name);
            }
        }
        if !servers.is_empty() {
            self.seen.borrow_mut().insert(cluster, servers);
        }
    }

    /// Finds where a server runs, if that is where its peers have it.
    fn place_of(&self, server: &Server) -> Option<String> {
        let running = self.running.borrow();
        let mut places = running
            .values()
            .filter(|running| running.stopping.is_none() && running.guest.slot == server.name)
            .map(|running| running.guest.address.clone());
        places.find(|address| *address == server.host)
    }

    /// Servers for which it is time to look for their peers again.
    fn looking_for_peers(&self) -> Vec<Guest> {
        let now = Instant::now();
        let mut running = self.running.borrow_mut();
        let due = running.values_mut().filter(|one| one.stopping.is_none() && one.joins_at <= now);
        due.map(|one| {
            // One that has been there for long was found long ago.
            let pause = if now.duration_since(one.started) < Duration::from_secs(120) { JOIN_EVERY } else { PATIENCE };
            one.joins_at = now + pause;
            one.guest.clone()
        })
        .collect()
    }
}

fn log_of(dir: &Path, guest: &Guest) -> PathBuf {
    dir.join(format!("{}-{}.log", guest.slot, guest.instance))
}
