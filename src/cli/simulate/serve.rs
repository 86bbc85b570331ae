//! `simulate --serve`: a simulated world as an EC2 endpoint, for whatever speaks EC2's protocol.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;

use crate::cli::desired::Desired;
use crate::cli::signals::UnderWay;
use crate::cli::{Exit, Failure, Output, runtime, world};
use crate::clock::SystemClock;
use crate::endpoint::Endpoint;
use crate::ids::ImageId;
use crate::input::text;
use crate::ports::Clock;
use crate::sim::wire::Wire;
use crate::sim::{FaultLevel, Payload, World};
use crate::simulate::{self, Behaviour};
use crate::spec::{ClusterSpec, Scheme};

/// A world that is asked for.
pub(super) struct Served<'a> {
    pub(super) address: SocketAddr,
    pub(super) path: &'a Path,
    pub(super) image: Option<&'a ImageId>,
    pub(super) payload: Option<Behaviour>,
    pub(super) seed: u64,
    pub(super) faults: FaultLevel,
    pub(super) speed: f64,
    pub(super) save_to: Option<&'a Path>,
}

/// Reads an address of this machine alone: whoever reaches the endpoint may change the world.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "an address is written like `127.0.0.1:5000`".to_owned())?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err("the world is served to this machine alone: name an address like `127.0.0.1:5000`".to_owned())
}

/// Reads a speed.
pub(super) fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (0.1..=1_000.0).contains(&speed) => Ok(speed),
        _ => Err("a speed is a number from 0.1 to 1000".to_owned()),
    }
}

/// Serves the world until a signal comes.
pub(super) fn run(served: &Served, out: &mut Output) -> Result<Exit, Failure> {
    let desired = Desired::read(&[served.path.to_owned()], out)?;
    desired.specs.iter().try_for_each(can_be_served)?;
    let world = served.world(&desired.specs);
    let under_way = UnderWay::begin();
    runtime::start()?.block_on(async {
        let clock = Rc::new(SystemClock::start());
        let mut wire = Wire::new(&world).by_clock(clock.now(), served.speed);
        if let Some(account) = desired.specs.iter().find_map(|spec| spec.account.as_deref()) {
            wire = wire.of_account(account);
        }
        let port = |spec: &ClusterSpec| Some((spec.name.clone(), spec.application.asked_over()?.1));
        let ports = desired.specs.iter().filter_map(port).collect();
        let endpoint =
            Endpoint::bind(served.address, wire, clock, ports).await.map_err(|error| taken(served, error))?;
        let address = endpoint.address()?;
        write!(out.data, "{}", exports(address, &desired.specs))?;
        out.data.flush()?;
        write!(out.notes, "{}", hint(served))?;
        tokio::select! {
            () = endpoint.serve() => {}
            _ = under_way.first_signal() => {}
        }
        Ok::<(), Failure>(())
    })?;
    if let Some(path) = served.save_to {
        world::save(&world, path)?;
    }
    Ok(Exit::Done)
}

impl Served<'_> {
    /// A world in which each cluster is settled on its file's image.
    fn world(&self, specs: &[ClusterSpec]) -> World {
        let world = World::new(self.seed, self.faults);
        world.on_loopback();
        for spec in specs {
            let version = simulate::version(spec);
            world.register_image(&spec.image, Payload::Good { version: version.clone() });
            if let Some(image) = self.image {
                let payload = self.payload.map(|behaviour| behaviour.payload(&version));
                world.register_image(image, payload.unwrap_or(Payload::Good { version }));
            }
            world.settle(spec);
        }
        world
    }
}

/// Refuses a cluster whose members are to be asked over TLS, because nobody here has the key of their certificates, or by a
/// program, because nobody knows what that would ask for.
fn can_be_served(spec: &ClusterSpec) -> Result<(), Failure> {
    match spec.application.asked_over() {
        Some((Scheme::Http, _)) => return Ok(()),
        Some((Scheme::Https, _)) => {}
        None => {
            let failure =
                format!("the members of {} are asked by a program, and no simulated one answers it", spec.name);
            return Err(Failure::new(failure).hint("simulate this file without `--serve`"));
        }
    }
    let failure =
        Failure::new(format!("the members of {} would have to answer over TLS, which no simulated one can", spec.name));
    Err(failure.hint("serve a copy of the file with `scheme: http`, and with the port that goes with it"))
}

fn taken(served: &Served, error: std::io::Error) -> Failure {
    Failure::new(format!("nothing can listen at {}: {error}", served.address))
        .hint("end what listens there, or name another port; port 0 takes a free one")
}

/// Writes what a shell needs in order to speak to the world.
fn exports(address: SocketAddr, specs: &[ClusterSpec]) -> String {
    let region = specs.first().map_or("us-east-1", |spec| spec.region.as_str());
    format!(
        "export AWS_ENDPOINT_URL=http://{address} AWS_REGION={region} AWS_DEFAULT_REGION={region}\n\
         export AWS_ACCESS_KEY_ID=simulated AWS_SECRET_ACCESS_KEY=simulated AWS_EC2_METADATA_DISABLED=true\n"
    )
}

/// Says once what else can be done.
fn hint(served: &Served) -> String {
    let accidents = match served.faults {
        FaultLevel::None => {
            "it is a good day: `--faults some` or `many` has calls fail, answers lost, and people meddle"
        }
        FaultLevel::Some | FaultLevel::Many => "faults happen: calls fail, answers are lost, and people meddle",
    };
    format!(
        "The world is served until Ctrl-C. Paste the lines above into another shell, and then, for example:\n  \
         hermitcrab doctor {0}\n  hermitcrab run --cloud aws --once {0}\n  aws ec2 describe-instances\n\
         Stop, terminate or tag what you like with the AWS CLI; {accidents}.\n",
        text::path(served.path)
    )
}
