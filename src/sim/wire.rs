//! The world as AWS's own endpoint shows it: a request in the query protocol in, an answer in XML out.
//!
//! Whoever speaks EC2's protocol meets the same world as whoever fills a port with it: the AWS CLI, a pipeline, Terraform's data
//! sources, and our own adapter with the SDK beneath it. An answer is a function of the world and of the request; sockets are
//! somebody else's. Nothing is answered that EC2 would refuse: an action, a parameter, a filter or a value that is not known
//! here is refused with EC2's own code.
//!
//! Absent on purpose: signatures are not checked, only that there is one; Spot, hosts, network interfaces and placement groups;
//! user data of a launch template.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::ids::ClusterName;
use crate::time::Timestamp;

use super::handle::World;
use super::members::Request as MemberRequest;
use super::words::OUTSIDER;
use super::world::{Cluster, Sender, State};

mod asked;
mod changes;
mod face;
mod facts;
mod groups;
mod instances;
mod launch;
mod listing;
mod marks;
mod moves;
mod notes;
mod params;
mod placement;
mod problem;
mod tags;
mod volumes;
mod xml;

use asked::Asked;
pub(super) use asked::Meets;
use face::Face;
use notes::Notes;
pub(super) use params::Form;
use problem::Problem;
use xml::{Xml, document};

/// A request, as it came over HTTP.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The header `authorization`.
    pub authorization: String,
    /// The header `user-agent`.
    pub agent: String,
    /// The form.
    pub body: Vec<u8>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// The status, and the document.
    Answer(u16, String),
    /// Nobody answers, although the call may have taken effect.
    Silence,
}

/// A world behind an endpoint.
pub struct Wire {
    world: World,
    face: Face,
    notes: RefCell<Notes>,
}

/// A service, by the version of its interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    Ec2,
    Sts,
    AutoScaling,
}

type Handler = fn(&mut Asked) -> Result<Vec<Xml>, Problem>;
use Service::{AutoScaling, Ec2, Sts};

/// Every action that is answered.
const ACTIONS: &[(Service, &str, Handler)] = &[
    (Ec2, "DescribeInstances", instances::describe),
    (Ec2, "DescribeInstanceStatus", instances::statuses),
    (Ec2, "DescribeInstanceAttribute", instances::attribute),
    (Ec2, "DescribeNetworkInterfaces", instances::interfaces),
    (Ec2, "DescribeSubnets", facts::subnets),
    (Ec2, "GetSubnetCidrReservations", facts::reservations),
    (Ec2, "GetEbsEncryptionByDefault", facts::encryption),
    (Ec2, "GetEbsDefaultKmsKeyId", facts::default_key),
    (Ec2, "DescribeVolumes", volumes::describe),
    (Ec2, "DescribeVolumeStatus", volumes::statuses),
    (Ec2, "DescribeVolumesModifications", volumes::modifications),
    (Ec2, "DescribeSnapshots", volumes::snapshots),
    (Ec2, "DescribeImages", facts::images),
    (Ec2, "DescribeInstanceTypes", facts::types),
    (Ec2, "DescribeAvailabilityZones", facts::zones),
    (Ec2, "DescribeLaunchTemplateVersions", groups::versions),
    (Sts, "GetCallerIdentity", facts::identity),
    (Ec2, "RunInstances", launch::run),
    (Ec2, "StopInstances", changes::stop),
    (Ec2, "StartInstances", changes::start),
    (Ec2, "TerminateInstances", changes::terminate),
    (Ec2, "ModifyInstanceAttribute", changes::modify),
    (Ec2, "AssignPrivateIpAddresses", changes::assign),
    (Ec2, "AttachVolume", moves::attach),
    (Ec2, "DetachVolume", moves::detach),
    (Ec2, "CreateVolume", moves::create),
    (Ec2, "DeleteVolume", moves::delete),
    (Ec2, "ModifyVolume", moves::grow),
    (Ec2, "CreateSnapshot", moves::snapshot),
    (Ec2, "DeleteSnapshot", moves::delete_snapshot),
    (Ec2, "CreateTags", marks::create),
    (Ec2, "DeleteTags", marks::delete),
    (Ec2, "CreateLaunchTemplateVersion", groups::create_version),
    (AutoScaling, "DescribeAutoScalingGroups", groups::describe),
    (AutoScaling, "SuspendProcesses", groups::suspend),
    (AutoScaling, "ResumeProcesses", groups::resume),
    (AutoScaling, "AttachInstances", groups::attach),
    (AutoScaling, "DetachInstances", groups::detach),
    (AutoScaling, "SetInstanceProtection", groups::protect),
    (AutoScaling, "SetInstanceHealth", groups::vouch),
    (AutoScaling, "SetDesiredCapacity", groups::resize),
    (AutoScaling, "UpdateAutoScalingGroup", groups::update),
    (AutoScaling, "CreateOrUpdateTags", groups::tag),
    (AutoScaling, "DeleteTags", groups::untag),
];

impl Service {
    const ALL: [Self; 3] = [Ec2, Sts, AutoScaling];

    fn version(self) -> &'static str {
        match self {
            Ec2 => "2016-11-15",
            Sts => "2011-06-15",
            AutoScaling => "2011-01-01",
        }
    }

    fn namespace(self) -> &'static str {
        match self {
            Ec2 => "http://ec2.amazonaws.com/doc/2016-11-15/",
            Sts => "https://sts.amazonaws.com/doc/2011-06-15/",
            AutoScaling => "http://autoscaling.amazonaws.com/doc/2011-01-01/",
        }
    }
}

impl Wire {
    /// Puts an endpoint before a world. Its clock is the world's own.
    pub fn new(world: &World) -> Self {
        // Resources of nobody's are kept under no name.
        world.with(|state| state.region.clusters.entry(ClusterName::from("")).or_default().shown.outdate());
        Self { world: world.clone(), face: Face::default(), notes: RefCell::default() }
    }

    /// Names the account that the world's resources belong to.
    pub fn of_account(mut self, account: &str) -> Self {
        self.face.account = account.to_owned();
        self
    }

    /// Shows the world by a reader's clock, on which it is now `now`, and goes so many times as fast as that.
    pub fn by_clock(mut self, now: Timestamp, speed: f64) -> Self {
        let begun =
            crate::time::before(now, std::time::Duration::from_millis((self.world.now_millis() as f64 / speed) as u64));
        (self.face.origin, self.face.speed) = (begun, speed);
        self
    }

    /// Lets everything happen that is due when a reader's clock shows `now`.
    pub fn advance(&self, now: Timestamp) {
        self.world.advance_to(self.face.world_at(now));
    }

    /// Lists where members can be reached now, each with its cluster.
    pub fn members(&self) -> BTreeSet<(IpAddr, ClusterName)> {
        self.world.with(|state| {
            let reached = state.clusters.iter().filter(|(_, cluster)| cluster.hidden_until <= state.now);
            let at = |(name, cluster): (&ClusterName, &Cluster)| {
                cluster
                    .members
                    .addresses_of_processes()
                    .into_iter()
                    .map(|address| (address, name.clone()))
                    .collect::<Vec<_>>()
            };
            reached.flat_map(at).collect()
        })
    }

    /// Answers a request to the interface that a member has of its own. Nobody answers where no member can be reached.
    pub fn ask_member(&self, at: IpAddr, method: &str, target: &str, body: &[u8]) -> Option<(u16, String)> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query: BTreeMap<String, String> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let written = |at| self.face.written(at);
        self.world.with(|state| {
            let now = state.now;
            let is_here = |cluster: &Cluster| cluster.members.addresses_of_processes().contains(&at);
            let mut reached = state.clusters.iter_mut().filter(|(_, cluster)| cluster.hidden_until <= now);
            let (name, cluster) = reached.find(|(_, cluster)| is_here(cluster))?;
            let request = MemberRequest { at, method, path, query: &query, body, now, written: &written };
            let answer = cluster.members.answer(&request, &mut state.chance.rng);
            let name = name.clone();
            if method != "GET" {
                state.stir(&name);
            }
            Some(answer)
        })
    }

    /// Answers a request.
    pub fn answer(&self, request: &Request) -> Reply {
        self.world.with(|state| {
            let by_controller = request.agent.contains("app/hermitcrab");
            let sender = by_controller.then_some(Sender { controller: OUTSIDER, sent: state.now });
            self.answer_in(state, request, sender, &mut Meets::Chance)
        })
    }

    /// Answers a request of a sender's, which meets certain faults.
    pub(super) fn answer_in(
        &self,
        state: &mut State,
        request: &Request,
        sender: Option<Sender>,
        meets: &mut Meets,
    ) -> Reply {
        let mut notes = self.notes.borrow_mut();
        notes.requests += 1;
        let id = format!("00000000-0000-4000-8000-{:012x}", notes.requests);
        let form = Form::parse(&request.body);
        let (action, version) = (form.all().text("Action"), form.all().text("Version"));
        let service = Service::ALL.into_iter().find(|service| service.version() == version).unwrap_or(Ec2);
        let known = ACTIONS.iter().find(|(of, name, _)| *of == service && *name == action);
        let region = match scope_of(&request.authorization) {
            Ok(region) => region,
            Err(problem) => return refused(service, &problem, &id),
        };
        let Some((_, _, handler)) = known else {
            let text = format!("The action {action} is not valid for this web service.");
            return refused(service, &Problem::new("InvalidAction", text), &id);
        };
        let (face, form) = (&self.face, &form);
        let met = std::mem::replace(meets, Meets::Chance);
        let mut asked =
            Asked { state, notes: &mut notes, face, form, region, sender, meets: met, answer_is_lost: false };
        let answer = handler(&mut asked);
        let is_lost = asked.answer_is_lost;
        *meets = asked.meets;
        match answer {
            _ if is_lost => Reply::Silence,
            Ok(xml) => Reply::Answer(200, service.document(&action, xml, &id)),
            Err(problem) => refused(service, &problem, &id),
        }
    }
}

impl Service {
    fn document(self, action: &str, xml: Vec<Xml>, id: &str) -> String {
        let name = format!("{action}Response");
        let elements: Vec<Xml> = match self {
            Ec2 => std::iter::once(Xml::text("requestId", id)).chain(xml).collect(),
            Sts | AutoScaling => {
                let metadata = Xml::group("ResponseMetadata", [Xml::text("RequestId", id)]);
                xml.into_iter().chain([metadata]).collect()
            }
        };
        document(&name, Some(self.namespace()), &elements)
    }
}

fn refused(service: Service, problem: &Problem, id: &str) -> Reply {
    let text = match service {
        Ec2 => problem.in_ec2(id),
        Sts | AutoScaling => problem.elsewhere(service.namespace(), id),
    };
    Reply::Answer(problem.status(), text)
}

/// Reads the region off a signature: `AWS4-HMAC-SHA256 Credential=KEY/20261123/us-east-1/ec2/aws4_request, …`.
fn scope_of(authorization: &str) -> Result<String, Problem> {
    let scope = authorization.strip_prefix("AWS4-HMAC-SHA256 ").and_then(|rest| rest.split_once("Credential="));
    let region = scope.and_then(|(_, rest)| rest.split('/').nth(2)).map(str::to_owned);
    let nobody = || Problem::new("AuthFailure", "AWS was not able to validate the provided access credentials");
    region.ok_or_else(nobody)
}
