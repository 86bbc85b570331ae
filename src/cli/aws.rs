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
    /// (the default: `hermitcrab` in the state directory), or `consul+https://HOST:PORT/PREFIX`
    #[arg(long, value_name = "PLACE", env = "HERMITCRAB_CLAIMS", hide_env_values = true)]
    pub claims: Option<Place>,
    /// For claims in Consul: a file that holds the ACL token
    #[arg(long, value_name = "FILE", env = "HERMITCRAB_CLAIMS_TOKEN_FILE", hide_env_values = true)]
    pub claims_token_file: Option<String>,
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
        self.claims.clone().unwrap_or_else(|| Place::Directory(state()))
    }

    /// Returns the credentials for that place.
    pub fn credentials(&self) -> Credentials {
        Credentials {
            token_file: self.claims_token_file.clone(),
            ca_file: self.claims_ca_file.clone(),
            own_files: self.claims_cert_file.clone().zip(self.claims_key_file.clone()),
        }
    }
}

#[cfg(feature = "aws")]
mod ports {
    use std::rc::Rc;

    use super::Args;
    use crate::application::Applications;
    use crate::cli::Failure;
    use crate::clock::SystemClock;
    use crate::cloud::aws::{Aws, Options};
    use crate::coordination::Claims;
    use crate::ids::Owner;
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
            let region = first.map_or("us-east-1", |spec| spec.region.as_str());
            let clock = Rc::new(SystemClock::start());
            let claims = Claims::open(&args.place(), &args.credentials(), clock.clone()).map_err(|error| {
                Failure::new(error).hint("give another place with --claims, or let this one be written to")
            })?;
            let options =
                Options { profile: args.profile.clone(), ..Options::new(Owner::from(args.owner.as_str()), region) };
            let aws = Aws::open(clock.clone(), options).await;
            Ok(Rc::new(Self { aws, applications: Applications::default(), claims, clock }))
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
