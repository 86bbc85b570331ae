//! The way to AWS: EC2, the applications that run there, and the place where claims are kept.

use std::path::PathBuf;

use crate::coordination::{Credentials, Place};
use crate::ids::Owner;

/// The arguments of every command that reaches AWS.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "AWS")]
#[group(skip)] // clap would give it the name of every command's own arguments
pub struct Args {
    /// The place of the claims; every controller of a cluster must use the same place. A folder on a local disk
    /// (the default: `hermitcrab` in the state directory), `s3://BUCKET/PREFIX` (`?region=REGION` after it, if the bucket
    /// is elsewhere), or `consul+https://HOST:PORT/PREFIX`
    #[arg(long, value_name = "PLACE", env = "HERMITCRAB_CLAIMS", hide_env_values = true, value_parser = named)]
    pub claims: Option<Named>,
    /// For claims in Consul: a file that holds the ACL token; over plain HTTP it is sent to this machine alone
    #[arg(long, value_name = "FILE", env = "HERMITCRAB_CLAIMS_TOKEN_FILE", hide_env_values = true)]
    pub claims_token_file: Option<String>,
    /// Send that token over plain HTTP to other machines as well, where everybody on the way can read it
    #[arg(long)]
    pub claims_token_in_clear: bool,
    /// For claims in Consul over TLS: a PEM file with the CA to trust, in place of the system's
    #[arg(long, value_name = "FILE", env = "HERMITCRAB_CLAIMS_CA_FILE", hide_env_values = true)]
    pub claims_ca_file: Option<String>,
    /// For claims in Consul over TLS: a PEM file with the client's certificate
    #[arg(long, value_name = "FILE", requires = "claims_key_file")]
    pub claims_cert_file: Option<String>,
    /// The key of that certificate
    #[arg(long, value_name = "FILE", requires = "claims_cert_file")]
    pub claims_key_file: Option<String>,
    /// The value of the `hermitcrab:owner` tag on what may be touched
    #[arg(long, value_name = "NAME", default_value = Owner::DEFAULT)]
    pub owner: String,
    /// The profile of the AWS configuration files; credentials come from the usual places
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// The share of EC2's published request limits to use, in percent. All that runs in the account and region shares
    /// these limits; a larger fleet is seen more often with a larger share
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub aws_api_share: u32,
    /// Whether the command looks only once, so that it asks again itself what was one too many.
    #[arg(skip)]
    pub patient: bool,
    /// The folder whose programs may be run to speak to the members of clusters of the kind `command`. Without it none is,
    /// whatever a file says: a file that is only under review must not choose what runs here
    #[arg(long, value_name = "DIR")]
    pub adapters: Option<PathBuf>,
}

/// A place that was named; none where the text is empty, as a pipeline leaves a variable that has no value.
pub type Named = Option<Place>;

fn named(text: &str) -> Result<Named, String> {
    if text.is_empty() { Ok(None) } else { text.parse().map(Some) }
}

impl Args {
    /// Returns the place that was named; otherwise the state directory, which is systemd's or the user's.
    pub fn place(&self) -> Place {
        let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let state = || {
            from("STATE_DIRECTORY")
                .or_else(|| from("XDG_STATE_HOME").map(|state| state.join("hermitcrab")))
                .or_else(|| from("HOME").map(|home| home.join(".local/state/hermitcrab")))
                .unwrap_or_else(|| PathBuf::from("/var/lib/hermitcrab"))
        };
        self.claims.clone().flatten().unwrap_or_else(|| Place::Directory(state()))
    }

    /// Returns the credentials for that place.
    pub fn credentials(&self) -> Credentials {
        let given = |file: &Option<String>| file.clone().filter(|file| !file.is_empty());
        Credentials {
            token_file: given(&self.claims_token_file),
            token_in_clear: self.claims_token_in_clear,
            ca_file: given(&self.claims_ca_file),
            own_files: self.claims_cert_file.clone().zip(self.claims_key_file.clone()),
            account: None,
        }
    }
}

#[cfg(feature = "aws")]
mod ports {
    use std::rc::Rc;
    use std::sync::Arc;

    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;

    use super::Args;
    use crate::application::Applications;
    use crate::cli::Failure;
    use crate::clock::SystemClock;
    use crate::cloud::aws::keys::AccountKeys;
    use crate::cloud::aws::{Aws, Options};
    use crate::coordination::place::{Account, Key, Keys};
    use crate::coordination::{Claims, Credentials};
    use crate::ids::Owner;
    use crate::input::environment;
    use crate::input::secret::Secret;
    use crate::ports::{Outside, OutsideWithCanaries};
    use crate::spec::{ApplicationSpec, ClusterSpec};

    type Clock = Rc<SystemClock>;

    /// The ports of a controller on AWS: EC2, the applications, the claims and the machine's clock.
    pub struct Ports {
        /// EC2.
        pub aws: Aws<Clock>,
        applications: Applications,
        /// The place of the claims.
        pub claims: Claims<Clock>,
        clock: Clock,
    }

    impl Ports {
        /// Opens all ports. Nothing is asked of EC2 yet; credentials that need a region are asked for in that of `first`.
        pub async fn open(args: &Args, first: Option<&ClusterSpec>) -> Result<Rc<Self>, Failure> {
            environment::check().map_err(|error| {
                let hint = format!("let {} name a file, or unset it", error.variable);
                Failure::new(error).hint(hint)
            })?;
            let region = first.map_or("us-east-1", |spec| spec.region.as_str());
            let clock = Rc::new(SystemClock::start());
            let owner = Owner::from(args.owner.as_str());
            let (profile, share, patient) = (args.profile.clone(), args.aws_api_share, args.patient);
            let options = Options { profile, share, patient, ..Options::new(owner, region) };
            let aws = Aws::open(clock.clone(), options).await;
            let credentials = Credentials { account: Some(account(&aws)), ..args.credentials() };
            let claims = Claims::open(&args.place(), &credentials, clock.clone()).map_err(|error| {
                Failure::new(error).hint("give another place with --claims, or let this one be written to")
            })?;
            let applications = Applications::with_programs_in(args.adapters.clone());
            Ok(Rc::new(Self { aws, applications, claims, clock }))
        }
    }

    /// The account, as a bucket of claims needs it. For S3 alone another address may be named, as for the SDK's own clients.
    fn account(aws: &Aws<Clock>) -> Account {
        let named = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Account {
            region: aws.first_region().unwrap_or("us-east-1").to_owned(),
            endpoint: named("AWS_ENDPOINT_URL_S3").or_else(|| aws.endpoint().map(str::to_owned)),
            keys: Arc::new(OfAccount(aws.keys())),
        }
    }

    /// The account's keys as the claims want them.
    #[derive(Debug)]
    struct OfAccount(AccountKeys);

    impl Keys for OfAccount {
        fn key(&self) -> BoxFuture<'_, Result<Key, String>> {
            async {
                let keys = self.0.current().await?;
                let session = keys.session_token().map(Secret::new);
                Ok(Key { id: keys.access_key_id().to_owned(), secret: Secret::new(keys.secret_access_key()), session })
            }
            .boxed()
        }
    }

    impl Outside for Rc<Ports> {
        type Cloud = Aws<Clock>;
        type Members = Applications;
        type Coordination = Claims<Clock>;
        type Clock = Clock;

        fn cloud(&self) -> &Aws<Clock> {
            &self.aws
        }

        fn members(&self) -> &Applications {
            &self.applications
        }

        fn coordination(&self) -> &Claims<Clock> {
            &self.claims
        }

        fn clock(&self) -> &Clock {
            &self.clock
        }
    }

    impl OutsideWithCanaries for Rc<Ports> {
        type Canaries = Applications;

        fn canaries_of(&self, application: &ApplicationSpec) -> Option<&Applications> {
            self.applications.canaries_of(application)
        }
    }
}

#[cfg(feature = "aws")]
pub use ports::Ports;
