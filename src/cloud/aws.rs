//! EC2: what fills [`Cloud`] with an AWS account.
//!
//! A look is a handful of paginated `Describe*` calls, whatever the number of clusters ([`describe`]). A change is one
//! mutating call, sent only if a narrow look just before it found the world as the effect expects ([`change`]). No call is
//! repeated by the SDK: an attempt is an attempt, and waits its turn at our own rate limit ([`limit`]). A question that
//! brought no answer is asked again ([`call`]); whether a change is tried again is for the controller to decide. What EC2 answers becomes data in one place ([`convert`]), and what it
//! refuses becomes a kind of failure in another ([`error`]).

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, ConfigLoader, Region as RegionName, SdkConfig};
use aws_smithy_http_client::tls;

use crate::action::CloudEffect;
use crate::ids::{Owner, SlotName};
use crate::observed::Sweep;
use crate::ports::{Clock, Cloud, Decision, Outcome, PortError, Wanted};
use crate::spec::ClusterSpec;

pub mod adopt;
mod bounded;
mod call;
mod change;
mod convert;
mod date;
mod describe;
mod encryption;
mod error;
pub mod keys;
mod limit;
pub mod operation;
pub mod probe;
mod protection;
mod subnets;
mod tags;
mod vcpus;

use bounded::Bounded;
use describe::{Facts, FirstSeen, Statuses};
use limit::Limiter;

/// For a connection to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// For one request to be answered. The SDK has no limit of its own.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// For a call with all that belongs to it, such as fetching credentials.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(30);

/// Settings of the way to EC2.
#[derive(Clone, Debug)]
pub struct Options {
    /// Value of the tag `hermitcrab:owner` on everything that may be changed.
    pub owner: Owner,
    /// A region to start from, for whatever the credentials need one. Each sweep and each change names its own.
    pub region: String,
    /// The profile of the AWS configuration files, where not the one that the environment names.
    pub profile: Option<String>,
    /// Endpoint to send everything to instead of to AWS, where `AWS_ENDPOINT_URL` names none already.
    pub endpoint: Option<String>,
    /// Share of EC2's published request limits to use, in percent. Everything in the account shares the limits.
    pub share: u32,
    /// Whether a question that EC2 finds one too many is asked once more after a wait. Whoever looks again anyway looks later.
    pub patient: bool,
}

impl Options {
    /// A tenth of the published limits, and the environment's profile.
    pub fn new(owner: Owner, region: impl Into<String>) -> Self {
        Self { owner, region: region.into(), profile: None, endpoint: None, share: 10, patient: false }
    }
}

/// EC2 in all regions, with the credentials of one account.
#[derive(Debug)]
pub struct Aws<C> {
    clock: C,
    owner: Owner,
    share: u32,
    patient: bool,
    /// Whether nobody answered the last question, however often it was asked.
    silent: Cell<bool>,
    config: SdkConfig,
    regions: RefCell<BTreeMap<String, Rc<Region>>>,
    calls: RefCell<BTreeMap<(&'static str, String), u64>>,
}

/// One region: its clients, made on first use, and what is remembered of it.
#[derive(Debug)]
struct Region {
    name: String,
    ec2: aws_sdk_ec2::Client,
    autoscaling: aws_sdk_autoscaling::Client,
    sts: aws_sdk_sts::Client,
    limiter: RefCell<Limiter>,
    facts: Facts,
    statuses: Statuses,
    /// The statuses of clusters that are looked at by themselves.
    statuses_of_busy: Statuses,
    first_seen: FirstSeen,
    /// Resources that were odd in the last look, and why.
    odd: RefCell<BTreeMap<String, String>>,
}

impl<C: Clock> Aws<C> {
    /// With the usual chain of credentials: environment, profiles, SSO, a process, web identity, container, instance.
    /// `AWS_ENDPOINT_URL` is honoured. Nothing is sent before the first call.
    pub async fn open(clock: C, options: Options) -> Self {
        let ring = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
        let https = aws_smithy_http_client::Builder::new().tls_provider(ring).build_https();
        Self::by(clock, options, ConfigLoader::default().http_client(https)).await
    }

    /// The same by a way that is not this machine's: the loader has a client for HTTP, and may have a sleep, a clock and credentials.
    pub async fn by(clock: C, options: Options, way: ConfigLoader) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(OPERATION_TIMEOUT)
            .build();
        let mut loader = way
            .behavior_version(BehaviorVersion::v2026_01_12())
            .app_name(AppName::new("hermitcrab").unwrap_or_else(|_| unreachable!("letters only")))
            .region(RegionName::new(options.region))
            .timeout_config(timeouts)
            // Reads too: each attempt is to wait its turn and be counted. We ask again ourselves (`call`).
            .retry_config(RetryConfig::disabled());
        if let Some(profile) = options.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(endpoint) = options.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        Self {
            clock,
            owner: options.owner,
            share: options.share,
            patient: options.patient,
            silent: Cell::default(),
            config: loader.load().await,
            regions: RefCell::default(),
            calls: RefCell::default(),
        }
    }

    /// Counts the answers by operation and code (`ok`, EC2's code, or what kept an answer from coming).
    pub fn calls(&self) -> BTreeMap<(&'static str, String), u64> {
        self.calls.borrow().clone()
    }

    fn region(&self, name: &str) -> Rc<Region> {
        let open = || {
            let region = RegionName::new(name.to_owned());
            Rc::new(Region {
                name: name.to_owned(),
                ec2: aws_sdk_ec2::Client::from_conf(
                    aws_sdk_ec2::config::Builder::from(&self.config)
                        .interceptor(Bounded)
                        .region(region.clone())
                        .build(),
                ),
                autoscaling: aws_sdk_autoscaling::Client::from_conf(
                    aws_sdk_autoscaling::config::Builder::from(&self.config)
                        .interceptor(Bounded)
                        .region(region.clone())
                        .build(),
                ),
                sts: aws_sdk_sts::Client::from_conf(
                    aws_sdk_sts::config::Builder::from(&self.config).interceptor(Bounded).region(region).build(),
                ),
                limiter: RefCell::new(Limiter::new(self.share)),
                facts: Facts::default(),
                statuses: Statuses::default(),
                statuses_of_busy: Statuses::default(),
                first_seen: FirstSeen::default(),
                odd: RefCell::default(),
            })
        };
        self.regions.borrow_mut().entry(name.to_owned()).or_insert_with(open).clone()
    }
}

impl<C: Clock> Cloud for Aws<C> {
    async fn sweep(&self, wanted: &Wanted) -> Result<Sweep, PortError> {
        self.look_at_fleet(wanted).await
    }

    async fn change(
        &self,
        spec: &ClusterSpec,
        slot: Option<&SlotName>,
        effect: &CloudEffect,
        decision: &Decision,
    ) -> Result<Outcome, PortError> {
        self.carry_out(spec, slot, effect, decision).await
    }
}
