//! The endpoint that stands between the controller and moto: it refuses what EC2 refuses, takes the time that EC2 takes,
//! writes every call down, and does harm when a scenario asks for it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hyper::body::Bytes;

use crate::agent::Agent;
use crate::ebs_key::EbsKey;
use crate::ec2::{Ec2, PERSON, Refused};
use crate::invariants;
use crate::query::Request;
use crate::recorded::Recorded;
use crate::truth::Truth;
use crate::world::{Due, Life, World};
use crate::xml;

pub mod answers;
pub mod faults;
mod others;
mod recorded;
mod rules;
mod server;
mod tokens;

use faults::{Fault, Faults};
use tokens::Tokens;

/// moto and what stands before it.
pub struct Proxy {
    pub endpoint: String,
    pub world: RefCell<World>,
    pub faults: RefCell<Faults>,
    pub truth: Rc<Truth>,
    moto: Ec2,
    http: reqwest::Client,
    upstream: String,
    /// The answers to questions since moto was last told to change something, by who asked where and what. To make each of them
    /// again would cost moto seconds of a processor in every rollout.
    answered: RefCell<BTreeMap<(String, String), String>>,
    tokens: RefCell<Tokens>,
    calls: RefCell<Vec<Call>>,
    earlier: RefCell<BTreeMap<String, Vec<(Instant, String)>>>,
    changes: Cell<u32>,
    hook: RefCell<Option<Hook>>,
    copier: RefCell<Option<Copier>>,
    agent: RefCell<Option<Rc<Agent>>>,
    recorded: RefCell<Option<Vec<Recorded>>>,
    /// The tags that launches gave to network interfaces, by the instance. moto keeps none.
    interfaces: RefCell<BTreeMap<String, BTreeMap<String, String>>>,
    /// The policies of buckets, by name.
    policies: RefCell<BTreeMap<String, Bytes>>,
    ebs_key: EbsKey,
    /// One call at a time, so that what is checked is still so when it is sent. moto itself has no such order.
    turn: tokio::sync::Mutex<()>,
}

/// Called after each change that a controller has made, with its number, before it is answered.
type Hook = Box<dyn FnMut(u32)>;

/// Called when what is on a volume goes to a snapshot, or back from one to a new volume, with the ids of both.
type Copier = Box<dyn Fn(&str, &str)>;

/// A call, to be counted. When it came, what it was about and how it was answered is in the truth's log.
#[derive(Clone, Debug)]
pub struct Call {
    pub who: String,
    pub action: String,
    pub mutating: bool,
    /// Whether the call changed something.
    pub effect: bool,
}

/// The answer to a call: an HTTP status and a body.
type Answer = (u16, String);

impl Proxy {
    /// Starts to listen, on a port of its own.
    pub async fn start(upstream: &str, world: World, truth: Rc<Truth>) -> Rc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Rc::new(Self {
            endpoint: format!("http://{}", listener.local_addr().unwrap()),
            world: RefCell::new(world),
            faults: RefCell::new(Faults::new(0)),
            truth,
            moto: Ec2::new(upstream, PERSON),
            http: reqwest::Client::new(),
            upstream: upstream.to_owned(),
            answered: RefCell::default(),
            tokens: RefCell::default(),
            calls: RefCell::default(),
            earlier: RefCell::default(),
            changes: Cell::default(),
            hook: RefCell::default(),
            copier: RefCell::default(),
            agent: RefCell::default(),
            recorded: RefCell::default(),
            interfaces: RefCell::default(),
            policies: RefCell::default(),
            ebs_key: EbsKey::default(),
            turn: tokio::sync::Mutex::default(),
        });
        tokio::task::spawn_local(server::serve(listener, proxy.clone()));
        proxy
    }

    /// Calls back after each change that a controller makes.
    pub fn after_changes(&self, hook: impl FnMut(u32) + 'static) {
        *self.hook.borrow_mut() = Some(Box::new(hook));
    }

    /// Calls back to have data copied.
    pub fn when_copied(&self, copier: impl Fn(&str, &str) + 'static) {
        *self.copier.borrow_mut() = Some(Box::new(copier));
    }

    /// Gives every host an agent that carries out what SSM sends.
    pub fn has_an_agent(&self, agent: Agent) {
        *self.agent.borrow_mut() = Some(Rc::new(agent));
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.borrow().clone()
    }

    /// Answers a call, or closes the connection.
    pub(self) async fn answer(&self, request: Request) -> Option<Answer> {
        let fault = match request.who == PERSON {
            true => None,
            false => self.faults.borrow_mut().strike(&request),
        };
        match fault {
            Some(Fault::Refused(code)) => return Some(self.refuse(&request, faults::refusal(code))),
            Some(Fault::FailsBefore) => return Some(self.refuse(&request, faults::refusal("Unavailable"))),
            Some(Fault::Stale(age)) => {
                if let Some(body) = self.of_earlier(&request, age) {
                    self.record(&request, "stale", false);
                    return Some((200, body));
                }
            }
            _ => {}
        }
        self.remember(&request).await;
        let (outcome, effect) = self.carry_out(&request, fault.as_ref()).await;
        if effect && request.who != PERSON {
            self.changes.set(self.changes.get() + 1);
            if let Some(hook) = self.hook.borrow_mut().as_mut() {
                hook(self.changes.get());
            }
        }
        self.told(&request, fault, outcome, effect).await
    }

    /// Makes the answer that the caller receives, which may be lost or late.
    async fn told(
        &self,
        request: &Request,
        fault: Option<Fault>,
        outcome: Result<String, (u16, Refused)>,
        effect: bool,
    ) -> Option<Answer> {
        let body = match outcome {
            Ok(body) => body,
            Err(refused) => return Some(self.refuse(request, refused)),
        };
        let (told, answer) = match fault {
            Some(Fault::FailsAfter) => {
                let (status, refused) = faults::refusal("InternalError");
                ("done, and answered InternalError", Some((status, answers::error(&request.service, &refused))))
            }
            Some(Fault::LosesAnswer) => ("done, and the answer was lost", None),
            Some(Fault::Partial) => {
                ("partial", Some((200, answers::partial(&body, &mut self.faults.borrow_mut().chance))))
            }
            Some(Fault::WrongAccount) => ("another account", Some((200, body.replace("123456789012", "999999999999")))),
            Some(Fault::Slow(span)) => {
                tokio::time::sleep(span).await;
                ("slow", Some((200, body)))
            }
            _ => ("ok", Some((200, body))),
        };
        self.record(request, told, effect);
        answer
    }

    fn refuse(&self, request: &Request, (status, refused): (u16, Refused)) -> Answer {
        self.record(request, &refused.code, false);
        (status, answers::error(&request.service, &refused))
    }

    fn record(&self, request: &Request, outcome: &str, effect: bool) {
        let (who, action) = (request.who.clone(), request.action.clone());
        let mutating = request.is_mutating() && !request.is_dry_run();
        if mutating || outcome != "ok" {
            self.truth.note(format!("{who}: {action} {}: {outcome}", request.subject()));
        }
        self.calls.borrow_mut().push(Call { who, action, mutating, effect });
    }

    /// Does what is asked as EC2 would, and says whether it changed anything.
    async fn carry_out(&self, request: &Request, fault: Option<&Fault>) -> (Result<String, (u16, Refused)>, bool) {
        if request.is_dry_run() {
            let message = "Request would have succeeded, but DryRun flag is set.".to_owned();
            return (Err((412, Refused { code: "DryRunOperation".into(), message })), false);
        }
        let _turn = self.turn.lock().await;
        match request.service.as_str() {
            "ec2" => self.carry_out_in_ec2(request, fault).await,
            _ => {
                let answer = self.forward(request).await;
                let effect = request.is_mutating() && answer.is_ok();
                if effect {
                    self.look(&request.who).await;
                }
                (answer, effect)
            }
        }
    }

    async fn carry_out_in_ec2(
        &self,
        request: &Request,
        fault: Option<&Fault>,
    ) -> (Result<String, (u16, Refused)>, bool) {
        let replayed = self.tokens.borrow().replay(request, &self.world.borrow());
        if let Some(answer) = replayed {
            let now = Instant::now();
            let shown = |body| answers::patched(request, body, &self.world.borrow(), now);
            return (answer.map(shown).map_err(|refused| (400, refused)), false);
        }
        if let Some(refused) = rules::refusal(request, &self.world.borrow()) {
            return (Err((400, refused)), false);
        }
        for broken in invariants::broken(request, &self.world.borrow()) {
            self.truth.violation(broken);
        }
        if let Some(due) = self.later(request) {
            let answer = answers::begun(&due, &self.world.borrow());
            self.world.borrow_mut().begin(&due, &request.who, Instant::now());
            return (Ok(answer), true);
        }
        match request.action.as_str() {
            "DescribeVolumeStatus" => return (Ok(answers::volume_status(request, &self.world.borrow())), false),
            // Others ask for interfaces by other things.
            "DescribeNetworkInterfaces" if request.list("Filter").any(|value| value.starts_with("addresses.")) => {
                return (Ok(answers::interfaces(request, &self.world.borrow())), false);
            }
            _ => {}
        }
        if let Some(answer) = self.ebs_key.answer(&request.body) {
            return (Ok(answer), false);
        }
        let answer = self.forward(request).await;
        let effect = request.is_mutating() && answer.is_ok();
        if let (true, Ok(body)) = (effect, &answer) {
            self.take_off_others(request).await;
            self.look(&request.who).await;
            self.made(request, body, fault);
        }
        let now = Instant::now();
        let shown = answer.map(|body| answers::patched(request, body, &self.world.borrow(), now));
        if let (false, Ok(body)) = (request.is_mutating(), &shown) {
            self.earlier.borrow_mut().entry(request.body.clone()).or_default().push((now, body.clone()));
        }
        (shown, effect)
    }

    /// Takes an address that was assigned off whatever had it before. moto lets both have it.
    async fn take_off_others(&self, request: &Request) {
        if request.action != "AssignPrivateIpAddresses" {
            return;
        }
        for address in request.list("PrivateIpAddress") {
            let others: Vec<_> = {
                let world = self.world.borrow();
                let others = world.others_at(address, request.param("NetworkInterfaceId"));
                others.map(|(_, machine)| machine.interface.id.clone()).collect()
            };
            for interface in others {
                let params = [("NetworkInterfaceId", &*interface), ("PrivateIpAddress.1", address)];
                if let Err(refused) = self.moto.call("UnassignPrivateIpAddresses", &params).await {
                    self.truth.violation(format!("moto does not take {address} off {interface}: {refused}"));
                }
            }
        }
    }

    /// Finds the change that a call begins, if moto is called only when the change is due.
    fn later(&self, request: &Request) -> Option<Due> {
        match request.action.as_str() {
            "TerminateInstances" => {
                let id = request.list("InstanceId").next()?.to_owned();
                self.world.borrow().machines.contains_key(&id).then_some(Due::Terminate(id))
            }
            "DetachVolume" => {
                let volume = request.param("VolumeId").to_owned();
                let (instance, device) = self.world.borrow().disks.get(&volume)?.attachment.clone()?;
                Some(Due::Detach { volume, instance, device })
            }
            _ => None,
        }
    }

    fn made(&self, request: &Request, body: &str, fault: Option<&Fault>) {
        let made = xml::parse(body).and_then(|document| {
            let mut ids =
                document.descendants().filter(|node| node.has_tag_name("instanceId") || node.has_tag_name("volumeId"));
            match request.action.as_str() {
                "RunInstances" => ids.find(|node| node.has_tag_name("instanceId")),
                _ => ids.next(),
            }
            .and_then(|node| node.text().map(str::to_owned))
        });
        let made = made.unwrap_or_default();
        self.copied(request, body, &made);
        if request.action == "RunInstances" {
            // The look that shows the interface itself may have begun before the launch.
            self.interfaces.borrow_mut().insert(made.clone(), request.tags_of_kind("network-interface"));
        }
        if fault == Some(&Fault::DeadKey)
            && let Some(machine) = self.world.borrow_mut().machines.get_mut(&made)
        {
            machine.doomed = Some("Client.InvalidKMSKey.InvalidState");
        }
        self.tokens.borrow_mut().spend(request, body, &made);
    }

    /// Copies the data of a volume to its snapshot, and the data of a snapshot to a volume made from it.
    fn copied(&self, request: &Request, body: &str, volume: &str) {
        let copier = self.copier.borrow();
        let Some(copier) = copier.as_ref() else { return };
        let snapshot = xml::parse(body).and_then(|document| {
            let node = document.descendants().find(|node| node.has_tag_name("snapshotId"))?;
            node.text().map(str::to_owned)
        });
        match (request.action.as_str(), snapshot) {
            ("CreateSnapshot", Some(snapshot)) => copier(request.param("VolumeId"), &snapshot),
            ("CreateVolume", Some(snapshot)) => copier(&snapshot, volume),
            _ => {}
        }
    }

    /// Sends a call on as it came, unless it is a question that moto has answered since it last changed.
    async fn forward(&self, request: &Request) -> Result<String, (u16, Refused)> {
        if request.is_mutating() {
            self.answered.borrow_mut().clear();
            return self.send(request).await;
        }
        let credential = request.authorization.split(',').next().unwrap_or_default();
        let question = (credential.to_owned(), request.body.clone());
        if let Some(answer) = self.answered.borrow().get(&question) {
            return Ok(answer.clone());
        }
        let answer = self.send(request).await?;
        self.answered.borrow_mut().insert(question, answer.clone());
        Ok(answer)
    }

    async fn send(&self, request: &Request) -> Result<String, (u16, Refused)> {
        let sent = self
            .http
            .post(&self.upstream)
            .header("authorization", &request.authorization)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(request.body.clone());
        let unreachable = |error: reqwest::Error| {
            (500, Refused { code: "InternalError".into(), message: format!("moto does not answer: {error}") })
        };
        let answer = sent.send().await.map_err(unreachable)?;
        let status = answer.status();
        let body = answer.text().await.map_err(unreachable)?;
        if status.is_success() {
            return Ok(body);
        }
        let document = xml::parse(&body);
        let find = |name: &str| {
            let node = document.as_ref()?.descendants().find(|node| node.has_tag_name(name))?;
            node.text().map(str::to_owned)
        };
        let code = find("Code").unwrap_or_else(|| "InternalFailure".into());
        Err((status.as_u16(), Refused { code, message: find("Message").unwrap_or_default() }))
    }

    fn of_earlier(&self, request: &Request, age: Duration) -> Option<String> {
        let earlier = self.earlier.borrow();
        let answers = earlier.get(&request.body)?;
        answers.iter().rev().find(|(at, _)| at.elapsed() >= age).map(|(_, body)| body.clone())
    }

    /// Looks at moto, and takes in what has changed by somebody's hand.
    async fn look(&self, who: &str) {
        match self.moto.inventory().await {
            Ok(inventory) => self.world.borrow_mut().take_in(inventory, who, Instant::now()),
            Err(refused) => self.truth.violation(format!("moto cannot be looked at: {refused}")),
        }
        for (id, disk) in std::mem::take(&mut self.world.borrow_mut().deleted) {
            if disk.is_data() {
                self.truth.violation(format!("the data volume {id} was deleted"));
            }
        }
    }

    /// Lets time pass in the world, and sends moto what is due.
    pub async fn advance(&self) {
        let due = self.world.borrow_mut().advance(Instant::now());
        for change in due {
            let _turn = self.turn.lock().await;
            self.answered.borrow_mut().clear();
            let sent = match &change {
                Due::Terminate(id) => self.moto.call("TerminateInstances", &[("InstanceId.1", id)]).await,
                Due::Detach { volume, instance, device } => {
                    let params = [("VolumeId", &**volume), ("InstanceId", &**instance), ("Device", &**device)];
                    self.moto.call("DetachVolume", &params).await
                }
            };
            if let Err(refused) = sent {
                self.truth.violation(format!("moto refuses what is due: {change:?}: {refused}"));
            }
            self.look("time").await;
        }
    }

    /// An instance's life as EC2 has it.
    pub fn life(&self, instance: &str) -> Option<Life> {
        self.world.borrow().machines.get(instance).map(|machine| machine.life)
    }
}
