//! The times of changes, which moto leaves out: the one model of every change under way, which the proxy shows in its answers
//! and the hypervisor acts on.
//!
//! moto changes state at once. So a change that must not happen early (a detached volume) is sent to moto only when it is
//! due, and a change that moto has made already (a running instance) is shown late.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::ec2::{Interface, Inventory, PERSON};

/// The time that EC2 takes for each change.
#[derive(Clone, Copy, Debug)]
pub struct Delays {
    pub launch: Duration,
    /// From `running` until the payload starts.
    pub boot: Duration,
    /// From `running` until the status checks pass.
    pub checks: Duration,
    pub stop: Duration,
    /// Added to the end of an instance whose payload runs, and is to run at another address. Peers accept a server's name
    /// there only after they have had it failed for 30 s; one that comes back sooner holds elections meanwhile, alone and in
    /// vain, and deposes the leader when it is let in. Ending a real instance takes about as long, so this is not scaled.
    pub shutdown: Duration,
    pub terminate: Duration,
    pub attach: Duration,
    pub detach: Duration,
    pub create_volume: Duration,
}

impl Delays {
    /// Multiplies the usual times of EC2 by a factor.
    pub fn scaled(scale: f64) -> Self {
        let of = |seconds: f64| Duration::from_secs_f64(seconds * scale);
        Self {
            launch: of(12.0),
            boot: of(15.0),
            checks: of(60.0),
            stop: of(15.0),
            shutdown: Duration::from_secs(36),
            terminate: of(30.0),
            attach: of(5.0),
            detach: of(6.0),
            create_volume: of(5.0),
        }
    }
}

/// An instance's life, in EC2's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    Pending,
    Running,
    Stopping,
    Stopped,
    ShuttingDown,
    Terminated,
}

impl Life {
    /// EC2's name and number of it.
    pub fn shown(self) -> (&'static str, &'static str) {
        match self {
            Self::Pending => ("pending", "0"),
            Self::Running => ("running", "16"),
            Self::ShuttingDown => ("shutting-down", "32"),
            Self::Terminated => ("terminated", "48"),
            Self::Stopping => ("stopping", "64"),
            Self::Stopped => ("stopped", "80"),
        }
    }
}

/// An instance.
#[derive(Clone, Debug)]
pub struct Machine {
    pub life: Life,
    pub since: Instant,
    /// The time of the latest start, as EC2 writes it; moto leaves the launch time as it was.
    pub started_again: Option<String>,
    /// The access key of whoever changed its state last.
    pub by: String,
    pub image: String,
    pub zone: String,
    pub address: String,
    pub interface: Interface,
    pub tags: BTreeMap<String, String>,
    /// Whether the instance's metadata show its tags.
    pub tells_tags: bool,
    /// Whether the instance's payload runs.
    pub guest: bool,
    /// Whether the payload ran when the instance began to end.
    pub was_busy: bool,
    /// The launch will fail for this reason.
    pub doomed: Option<&'static str>,
}

/// The state of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Creating,
    Available,
    Attaching,
    Attached,
    Detaching,
}

/// A volume.
#[derive(Clone, Debug)]
pub struct Disk {
    pub standing: Standing,
    pub since: Instant,
    pub zone: String,
    pub tags: BTreeMap<String, String>,
    /// The instance and device that it is attached to, or on its way to or from.
    pub attachment: Option<(String, String)>,
}

/// A change whose time has come, to be sent to moto.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    Terminate(String),
    Detach { volume: String, instance: String, device: String },
}

/// A payload that should run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    pub instance: String,
    pub image: String,
    pub cluster: String,
    pub slot: String,
    pub address: String,
    pub volume: String,
}

/// All instances and volumes, and what is on its way since when.
pub struct World {
    pub delays: Delays,
    pub machines: BTreeMap<String, Machine>,
    pub disks: BTreeMap<String, Disk>,
    /// Ids of volumes that were there and are not any more.
    pub deleted: Vec<(String, Disk)>,
}

impl World {
    pub fn new(delays: Delays) -> Self {
        Self { delays, machines: BTreeMap::new(), disks: BTreeMap::new(), deleted: Vec::new() }
    }

    /// Takes in what moto has after something was changed by `who`: whatever differs began now.
    pub fn take_in(&mut self, inventory: Inventory, who: &str, now: Instant) {
        for row in inventory.instances {
            let machine = self.machines.entry(row.id).or_insert_with(|| Machine {
                life: Life::Pending,
                since: now,
                started_again: None,
                by: who.to_owned(),
                image: row.image,
                zone: row.zone,
                address: row.address,
                interface: Interface::default(),
                tags: BTreeMap::new(),
                tells_tags: row.tells_tags,
                guest: false,
                was_busy: false,
                doomed: None,
            });
            machine.tags = row.tags;
            let turned = match (row.state.as_str(), machine.life) {
                ("running", Life::Stopping | Life::Stopped) => Life::Pending,
                ("stopped", Life::Pending | Life::Running) => Life::Stopping,
                // The proxy sent the call, so the change is due.
                ("terminated", Life::ShuttingDown) => Life::Terminated,
                ("terminated", Life::Pending | Life::Running | Life::Stopping | Life::Stopped) => Life::ShuttingDown,
                (_, unchanged) => unchanged,
            };
            if turned != machine.life {
                (machine.life, machine.since, machine.was_busy) = (turned, now, machine.guest);
                if turned == Life::Pending {
                    machine.started_again = Some(jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string());
                }
                if turned != Life::Terminated {
                    machine.by = who.to_owned();
                }
            }
            // moto keeps the interface of a terminated instance for ever.
            let is_kept = machine.life != Life::Terminated;
            machine.interface = Some(row.interface).filter(|_| is_kept).unwrap_or_default();
        }
        let mut gone = std::mem::take(&mut self.disks);
        for row in inventory.volumes {
            let attachment = row.attachments.into_iter().next();
            let disk = match gone.remove(&row.id) {
                Some(known) => Disk { tags: row.tags, ..known }.turned_to(attachment, now),
                // A root volume comes with its instance.
                None if attachment.is_some() => {
                    Disk { standing: Standing::Attached, since: now, zone: row.zone, tags: row.tags, attachment }
                }
                None => Disk { standing: Standing::Creating, since: now, zone: row.zone, tags: row.tags, attachment },
            };
            self.disks.insert(row.id, disk);
        }
        self.deleted.extend(gone);
    }

    /// Begins what moto is told of only when its time has come.
    pub fn begin(&mut self, due: &Due, who: &str, now: Instant) {
        match due {
            Due::Terminate(instance) => {
                if let Some(machine) = self.machines.get_mut(instance)
                    && !matches!(machine.life, Life::ShuttingDown | Life::Terminated)
                {
                    (machine.life, machine.since, machine.by) = (Life::ShuttingDown, now, who.to_owned());
                    machine.was_busy = machine.guest;
                }
            }
            Due::Detach { volume, .. } => {
                if let Some(disk) = self.disks.get_mut(volume) {
                    (disk.standing, disk.since) = (Standing::Detaching, now);
                }
            }
        }
    }

    /// Lets time pass, and says what has to be sent to moto now.
    pub fn advance(&mut self, now: Instant) -> Vec<Due> {
        let delays = self.delays;
        let mut due = Vec::new();
        for (id, machine) in &mut self.machines {
            let for_so_long = now.duration_since(machine.since);
            let next = match machine.life {
                Life::Pending if for_so_long >= delays.launch && machine.doomed.is_some() => Life::ShuttingDown,
                Life::Pending if for_so_long >= delays.launch => Life::Running,
                Life::Stopping if for_so_long >= delays.stop + machine.shutdown(&delays) && !machine.guest => {
                    Life::Stopped
                }
                Life::ShuttingDown if for_so_long >= delays.terminate + machine.shutdown(&delays) && !machine.guest => {
                    due.push(Due::Terminate(id.clone()));
                    continue;
                }
                _ => continue,
            };
            (machine.life, machine.since) = (next, now);
        }
        for (id, disk) in &mut self.disks {
            let for_so_long = now.duration_since(disk.since);
            let next = match (disk.standing, &disk.attachment) {
                (Standing::Creating, _) if for_so_long >= delays.create_volume => Standing::Available,
                (Standing::Attaching, _) if for_so_long >= delays.attach => Standing::Attached,
                (Standing::Detaching, Some((instance, device))) if for_so_long >= delays.detach => {
                    let (instance, device) = (instance.clone(), device.clone());
                    due.push(Due::Detach { volume: id.clone(), instance, device });
                    continue;
                }
                _ => continue,
            };
            (disk.standing, disk.since) = (next, now);
        }
        due
    }

    /// The payloads that should run now: of booted instances that have their data volume.
    pub fn guests(&self, now: Instant) -> Vec<Guest> {
        let attached = self.disks.iter().filter(|(_, disk)| disk.standing == Standing::Attached);
        let guests = attached.filter_map(|(volume, disk)| {
            let (instance, _) = disk.attachment.as_ref()?;
            let machine = self.machines.get(instance)?;
            let booted = machine.life == Life::Running && now.duration_since(machine.since) >= self.delays.boot;
            let address = machine.member_address()?;
            (booted && disk.is_data()).then(|| Guest {
                instance: instance.clone(),
                image: machine.image.clone(),
                cluster: tag(&machine.tags, "cluster"),
                slot: tag(&machine.tags, "slot"),
                address: address.to_owned(),
                volume: volume.clone(),
            })
        });
        guests.collect()
    }

    /// EC2's status checks of an instance have passed.
    pub fn checks_passed(&self, instance: &str, now: Instant) -> bool {
        let machine = self.machines.get(instance);
        machine
            .is_some_and(|found| found.life == Life::Running && now.duration_since(found.since) >= self.delays.checks)
    }

    /// Data volumes that an instance has, or is being given.
    pub fn data_of<'a>(&'a self, instance: &'a str) -> impl Iterator<Item = (&'a String, &'a Disk)> {
        self.disks.iter().filter(move |(_, disk)| {
            disk.is_data() && disk.attachment.as_ref().is_some_and(|(owner, _)| owner == instance)
        })
    }

    /// Instances that have an address, and another network interface than this one.
    pub fn others_at<'a>(
        &'a self,
        address: &'a str,
        interface: &'a str,
    ) -> impl Iterator<Item = (&'a String, &'a Machine)> {
        self.machines.iter().filter(move |(_, machine)| {
            machine.interface.id != interface && machine.interface.secondary.iter().any(|held| held == address)
        })
    }

    /// Instances in a slot that are not terminated.
    pub fn live_in<'a>(&'a self, slot: &'a str) -> impl Iterator<Item = (&'a String, &'a Machine)> {
        self.machines.iter().filter(move |(_, machine)| {
            tag(&machine.tags, "slot") == slot && !matches!(machine.life, Life::ShuttingDown | Life::Terminated)
        })
    }
}

impl Machine {
    fn shutdown(&self, delays: &Delays) -> Duration {
        if self.was_busy && self.fixed_address().is_none() { delays.shutdown } else { Duration::ZERO }
    }

    /// Finds the fixed address that the instance's member is to have, if it is to have one.
    fn fixed_address(&self) -> Option<&String> {
        self.tags.get("hermitcrab:address")
    }

    /// Finds the address at which the instance's member serves: its slot's fixed one, once it has that, or its own.
    fn member_address(&self) -> Option<&str> {
        match self.fixed_address() {
            Some(fixed) => self.interface.secondary.iter().find(|held| *held == fixed).map(String::as_str),
            None => Some(&self.address),
        }
    }

    /// Says whether a person brought the volume to its place.
    pub fn by_a_person(&self) -> bool {
        self.by == PERSON
    }
}

impl Disk {
    /// Says whether the volume is a member's data volume, and not an instance's root.
    pub fn is_data(&self) -> bool {
        self.tags.contains_key("hermitcrab:volume")
    }

    fn turned_to(mut self, attachment: Option<(String, String)>, now: Instant) -> Self {
        let turned = match (&attachment, self.standing) {
            (Some(_), Standing::Creating | Standing::Available) => Standing::Attaching,
            (None, Standing::Attaching | Standing::Attached | Standing::Detaching) => Standing::Available,
            (_, unchanged) => unchanged,
        };
        if turned != self.standing {
            (self.standing, self.since) = (turned, now);
        }
        self.attachment = attachment;
        self
    }
}

/// The value of one of our tags, empty if there is none.
pub fn tag(tags: &BTreeMap<String, String>, name: &str) -> String {
    tags.get(&format!("hermitcrab:{name}")).cloned().unwrap_or_default()
}
