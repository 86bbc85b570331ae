//! The second half of the tutorial, typed command by command: from an account with nothing in it to an upgraded cluster, and back to
//! nothing. Terraform, Packer, the AWS CLI and Consul are real; what is different from an account is said at each place.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::authorised;
use crate::cluster::Rig;
use crate::ec2::PERSON;
use crate::ground::{Ended, Ground, Tools, know_images};
use crate::page::Page;
use crate::world::{Life, tag};
use crate::{Harness, consul};

const LIMIT: Duration = Duration::from_secs(15 * 60);
const CLUSTER: &str = "consul-prod";
/// The controller, and whoever rehearses.
const CONTROLLER: &str = "controller";
const REHEARSAL: &str = "rehearsal";

pub fn all(harness: &Harness) -> Vec<Trial> {
    vec![harness.with_tools("tutorial::its_second_half_does_what_it_says", from_nothing_to_nothing)]
}

async fn from_nothing_to_nothing(rig: Rc<Rig>, tools: Tools) {
    let mut page = Page::read("docs/tutorial.md", "On AWS");
    let desk = Desk::lay(rig.clone(), &tools).await;
    let version = rig.programs[0].version.clone();
    // Consul 1.8.7 is what can be had, in both images.
    let v1 = [("2.0.1", &*version)];
    let v2 = [("2.0.1", &*version), ("2.0.2", &*version)];

    desk.types(&page.next("1. The ground", &[])).await;
    let state: Value =
        serde_json::from_str(&desk.types("terraform -chdir=infra show -json | tail -n 1").await.said).unwrap();
    desk.types(&page.next("2. The first image", &[])).await;
    desk.types(&page.next("3. The first file", &[])).await;
    let secrets = desk.types("aws ssm describe-parameters --query 'Parameters[].Name' --output text").await.said;
    assert!(secrets.contains("/consul-prod/gossip.key"), "{secrets}");
    desk.types(&page.next("3. The first file", &v1)).await;
    // The defaults are for real instances, and take minutes.
    desk.types("sed -i 's/bakeTime: 60s/bakeTime: 5s/' desired-state/prod/consul.yaml && git commit -qam Hurry").await;

    desk.types(&page.next("4. Ask the doctor, and create it", &[])).await;
    desk.is_in_a_session_of_the_controllers_host();
    desk.host_fetches().await;
    let claims = desk.types("terraform -chdir=infra output -raw claims").await.said;
    let create = page.next("4. Ask the doctor, and create it", &[("s3://…/claims", &claims)]);
    let said = desk.types_on_the_host(&create).await.said;
    assert!(said.contains("nothing would block a rollout") && said.contains("healthy voters 3 of 3"), "{said}");
    what_was_called_can_be_reached(&rig, &state);
    let before = desk.seats().await;
    desk.writes("of the first day").await;

    let after = desk.claims(&claims);
    after.types(&page.next("5. The next image", &v2)).await;
    // A machine with much to do stalls for longer than an instance of its own would.
    let rehearse =
        page.next("6. Rehearse it", &[("--max-stall 30s", "--max-stall 2m"), ("--max-down 2m", "--max-down 5m")]);
    let report = after.types_as(REHEARSAL, &rehearse).await.said;
    assert!(report.contains("passed"), "{report}");
    page.leave_out("6. Rehearse it", "--with-data"); // the acceptance kit's, and `journey`'s
    after.types(&page.next("7. Upgrade", &[])).await;
    desk.host_fetches().await;
    after.types_on_the_host("hermitcrab run desired-state --once").await;
    let seats = desk.seats().await;
    for ((slot, volume, image, _), (_, volume_before, image_before, _)) in seats.iter().zip(&before) {
        assert_eq!(volume, volume_before, "{slot} has its volume");
        assert_ne!(image, image_before, "{slot} is on the next image");
    }
    desk.reads("of the first day").await;

    let out = "sed -i 's/deletionProtection: true/deletionProtection: false/' desired-state/prod/consul.yaml";
    after.types(out).await;
    let destroy =
        page.next("8. Take it down", &[("consul.yaml  ", "consul.yaml --confirm consul-prod  "), ("#", "\n#")]);
    after.types(&destroy).await;
    page.is_at_its_end();
    assert_eq!(desk.types("terraform -chdir=infra state list").await.said, "", "all of it is destroyed");
    let there = rig.inventory().await;
    assert!(there.instances.iter().all(|instance| instance.state == "terminated"), "{:?}", there.instances);
    assert_eq!(
        there.volumes.iter().filter(|volume| tag(&volume.tags, "cluster") == CLUSTER).count(),
        3,
        "these are kept"
    );
    while rig.truth.excuse("was deleted").is_some() {}
    // In the end a rehearsal stops all members of its copy.
    while rig.truth.excuse("rehearsal-consul-").is_some() {}

    what_was_called_is_allowed(&rig, &state);
}

/// The private subnets have no way to AWS but endpoints: each service that the host has called has one.
fn what_was_called_can_be_reached(rig: &Rig, state: &Value) {
    let resources = state["values"]["root_module"]["resources"].as_array().unwrap();
    let endpoints = resources.iter().filter(|one| one["type"] == "aws_vpc_endpoint");
    let names: Vec<_> = endpoints.map(|one| one["values"]["service_name"].as_str().unwrap()).collect();
    let called = rig.proxy.recorded().into_iter().filter(|call| call.who == CONTROLLER);
    let called: BTreeSet<_> = called.map(|call| call.params.service).collect();
    assert!(called.len() >= 3, "{called:?}");
    for service in called {
        let has_one = names.iter().any(|name| name.ends_with(&format!(".{service}")));
        assert!(has_one, "the host calls {service}, and there is no way there: {names:?}");
    }
}

/// Every call of the controller and of the rehearsal is one that the policies allow which Terraform had given them, and none is
/// allowed any more once its action is taken out.
fn what_was_called_is_allowed(rig: &Rig, state: &Value) {
    let resources = state["values"]["root_module"]["resources"].as_array().unwrap();
    let statements = |address: &str| -> Vec<Value> {
        let found = resources.iter().find(|one| one["address"] == address).unwrap_or_else(|| panic!("no {address}"));
        let policy: Value = serde_json::from_str(found["values"]["policy"].as_str().unwrap()).unwrap();
        policy["Statement"].as_array().unwrap().clone()
    };
    let roles = [
        (CONTROLLER, ["aws_iam_role_policy.controller", "aws_iam_role_policy.host"], "ec2:AttachVolume"),
        (REHEARSAL, ["aws_iam_role_policy.rehearsal", "aws_iam_role_policy.rehearsal_claims"], "ec2:DeleteVolume"),
    ];
    for (who, policies, among) in roles {
        let policy = json!({ "Version": "2012-10-17", "Statement": policies.map(statements).concat() });
        let calls: Vec<_> = rig.proxy.recorded().into_iter().filter(|call| call.who == who).collect();
        let actions = authorised::actions(&calls);
        assert!(actions.len() > 15 && actions.contains(among), "{who} called {actions:?}");
        authorised::is_allowed(&calls, &policy);
    }
}

/// The desk of whoever reads the tutorial, and the controller's host.
struct Desk {
    rig: Rc<Rig>,
    ground: Ground,
    host: PathBuf,
}

impl Desk {
    async fn lay(rig: Rc<Rig>, tools: &Tools) -> Self {
        let ground = Ground::prepare(&rig, tools);
        // Whoever types a command says yes to what it shows.
        let ground = ground.with("TF_CLI_ARGS_apply", "-auto-approve").with("TF_CLI_ARGS_destroy", "-auto-approve");
        let ground = ground.with("TF_CLI_ARGS", "-no-color");
        rig.proxy.record_calls();
        know_images(&rig, vec![ground.folder.join("packer-manifest.json")]);
        let host = rig.dir.join("controllers-host");
        let desk = Self { rig, ground, host };
        let release = desk.ground.folder.join("target/release");
        fs::create_dir_all(&release).unwrap();
        fs::copy(desk.ground.folder.join("bin/hermitcrab"), release.join("hermitcrab")).unwrap();
        desk.types("git init -q . && git config user.name Ann && git config user.email ann@example.org").await;
        // The bucket for Terraform's state has to be there.
        desk.types("aws s3api create-bucket --bucket example-terraform-state >/dev/null").await;
        desk
    }

    /// The same desk with the place of the claims in its environment.
    fn claims(&self, claims: &str) -> Self {
        let ground = self.ground.with("HERMITCRAB_CLAIMS", claims);
        Self { rig: self.rig.clone(), ground, host: self.host.clone() }
    }

    async fn types(&self, text: &str) -> Ended {
        self.types_as(PERSON, text).await
    }

    async fn types_as(&self, who: &str, text: &str) -> Ended {
        let ended = self.ground.script(who, &self.ground.folder, text, LIMIT).await;
        assert_eq!(ended.code, Some(0), "{text}\n{}", ended.said);
        ended
    }

    /// Types into a session on the host, whose program is the one that it has fetched.
    async fn types_on_the_host(&self, text: &str) -> Ended {
        let text = format!("PATH=\"{}/usr/bin:$PATH\"\n{text}", self.host.display());
        let ended = self.ground.script(CONTROLLER, &self.host.join("etc/hermitcrab"), &text, LIMIT).await;
        assert_eq!(ended.code, Some(0), "{text}\n{}", ended.said);
        ended
    }

    /// The instance to which a session was started is the one that runs with the controller's role.
    fn is_in_a_session_of_the_controllers_host(&self) {
        let target = fs::read_to_string(self.ground.folder.join("home/session")).unwrap();
        let world = self.rig.proxy.world.borrow();
        let machine = world.machines.get(target.trim()).unwrap_or_else(|| panic!("there is no {target}"));
        assert_eq!(machine.life, Life::Running);
        assert_eq!(machine.tags.get("Name").map(String::as_str), Some("consul-prod-controller"));
    }

    /// Has the host look into its bucket, by its own script, with its files where this test keeps them.
    async fn host_fetches(&self) {
        let mut script = fs::read_to_string(self.ground.folder.join("infra/host/fetch.sh")).unwrap();
        let host = self.host.display().to_string();
        for path in ["/usr/bin/hermitcrab", "/etc/hermitcrab/desired-state", "/var/cache/hermitcrab"] {
            assert!(script.contains(&format!("={path}\n")), "the host's script has no {path}");
            script = script.replace(&format!("={path}\n"), &format!("={host}{path}\n"));
        }
        fs::create_dir_all(self.host.join("usr/bin")).unwrap();
        fs::create_dir_all(self.host.join("etc/hermitcrab")).unwrap();
        let systemctl = self.host.join("usr/bin/systemctl");
        fs::write(&systemctl, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).unwrap();
        let bucket = self.types("terraform -chdir=infra output -raw bucket").await.said;
        self.types_on_the_host(&format!("export BUCKET='{bucket}'\n{script}")).await;
    }

    /// The slot, the volume, the image and the address of each member, by slot.
    async fn seats(&self) -> Vec<(String, String, String, String)> {
        let world = self.rig.proxy.world.borrow();
        let mut seats: Vec<_> = (world.disks.iter())
            .filter(|(_, disk)| tag(&disk.tags, "cluster") == CLUSTER && disk.is_data())
            .filter_map(|(volume, disk)| {
                let machine = world.machines.get(&disk.attachment.as_ref()?.0)?;
                let address = machine.interface.secondary.first().cloned().unwrap_or_default();
                Some((tag(&disk.tags, "slot"), volume.clone(), machine.image.clone(), address))
            })
            .collect();
        seats.sort();
        assert_eq!(seats.len(), 3, "{seats:?}");
        seats
    }

    async fn writes(&self, value: &'static str) {
        let (.., address) = &self.seats().await[0];
        let answer = reqwest::Client::new().put(consul::url(address, "kv/tutorial")).body(value).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap().trim(), "true");
    }

    async fn reads(&self, value: &str) {
        for (slot, .., address) in self.seats().await {
            let answer = reqwest::get(consul::url(&address, "kv/tutorial?raw&stale")).await.unwrap();
            assert_eq!(answer.text().await.unwrap(), value, "{slot}");
        }
    }
}
