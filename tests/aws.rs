//! The EC2 adapter on the wire: against recorded answers, and against an EC2 endpoint that nobody here wrote (moto).
//!
//! The SDK reads its credentials from the environment, which a process cannot safely change for itself, so the tests run
//! in a child of this program. `tests/tools/fetch.sh` brings moto; where it cannot be had, its test is shown
//! as ignored, or as failed if `HERMITCRAB_RIG=required`.
#![allow(clippy::unwrap_used)] // a test may panic

use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Trial};

#[path = "tools/authorised.rs"]
mod authorised;
#[path = "aws/bucket.rs"]
mod bucket;
#[path = "aws/change.rs"]
mod change;
#[path = "claims/claim.rs"]
#[allow(dead_code)] // rehearsals are kept as in every other place
mod claiming;
#[path = "tools/ebs_key.rs"]
mod ebs_key;
#[path = "aws/encryption.rs"]
mod encryption;
#[path = "aws/endpoint.rs"]
mod endpoint;
#[path = "tools/fetch.rs"]
mod fetch;
#[path = "aws/fixture.rs"]
mod fixture;
#[path = "tools/harm.rs"]
mod harm;
#[path = "aws/hostile.rs"]
mod hostile;
#[path = "tools/iam.rs"]
#[allow(dead_code)] // tests/permissions.rs takes policies apart too
mod iam;
#[path = "tools/left_out.rs"]
mod left_out;
#[path = "aws/made.rs"]
mod made;
#[path = "aws/moto.rs"]
mod moto;
#[path = "aws/moto_addresses.rs"]
mod moto_addresses;
#[path = "aws/moto_adoption.rs"]
mod moto_adoption;
#[path = "aws/moto_copies.rs"]
mod moto_copies;
#[path = "aws/moto_server.rs"]
mod moto_server;
#[path = "hostile/mutator.rs"]
mod mutator;
#[path = "aws/planted.rs"]
mod planted;
#[path = "tools/query.rs"]
#[allow(dead_code)] // the rig asks more of a call
mod query;
#[path = "tools/recorded.rs"]
#[allow(dead_code)] // the rig has several callers
mod recorded;
#[path = "aws/recorder.rs"]
mod recorder;
#[path = "tools/relay.rs"]
mod relay;
#[path = "tools/room.rs"]
mod room;
#[path = "tools/moto.rs"]
mod server;
#[path = "aws/signals.rs"]
mod signals;
#[path = "aws/sweep.rs"]
mod sweep;

/// Set in the child.
const CHILD: &str = "HERMITCRAB_AWS_TESTS";

/// The tests mostly wait, so more of them run at once than there are processors.
const AT_ONCE: usize = 6;

fn main() -> ExitCode {
    if std::env::var_os(CHILD).is_none() {
        return in_child();
    }
    rustls::crypto::ring::default_provider().install_default().ok(); // for reqwest, which has none of its own
    // The longest first: what begins last is waited for with nothing beside it.
    let mut trials = Vec::new();
    trials.extend(planted::trials());
    trials.push(moto::trial());
    trials.extend(bucket::trials());
    trials.extend(signals::trials());
    trials.extend(hostile::trials());
    trials.extend(sweep::trials());
    trials.extend(encryption::trials());
    trials.extend(change::trials());
    trials.extend(made::trials());
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Runs the tests with credentials of nobody, and with no way to find any others.
fn in_child() -> ExitCode {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(std::env::args_os().skip(1)).env(CHILD, "1");
    child.env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE").env("AWS_SECRET_ACCESS_KEY", "of nobody");
    child.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_CONFIG_FILE", "/dev/null");
    child.env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null").env_remove("AWS_SESSION_TOKEN").env_remove("AWS_PROFILE");
    child.env_remove("AWS_ENDPOINT_URL");
    let moto = moto_server::Server::start();
    if let Ok(server) = &moto {
        child.env("AWS_ENDPOINT_URL", server.url());
    }
    if let Err(why) = &moto {
        child.env(moto_server::MISSING, why);
    }
    let code = child.status().unwrap().code();
    code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// A trial that runs on a runtime like the controller's.
fn trial(name: &str, test: impl AsyncFnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        room::with_room(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(test());
        });
        Ok(())
    })
}
