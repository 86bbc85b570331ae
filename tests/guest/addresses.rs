//! The fixed address of a slot on a real network interface, in a network namespace of its own.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Case;
use crate::guest::{Guest, STAMP};
use crate::tools::{TREE, run};

pub const CASES: [Case; 5] = cases![
    an_address_is_added_once_metadata_show_it,
    what_a_renewal_takes_off_is_added_again,
    an_address_is_removed_when_it_is_gone,
    an_address_that_metadata_do_not_show_is_never_answered_for,
    consul_serves_at_the_fixed_address_and_waits_for_it,
];

const MAC: &str = "02:00:00:00:00:07";
const OWN: &str = "10.0.1.7";
const FIXED: &str = "10.0.1.10";
/// A test that is still waiting after so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A guest that sits in a network namespace of its own, with one interface.
struct Networked {
    guest: Guest,
    /// The process that the namespace lives as long as.
    holder: Child,
}

impl Networked {
    fn start() -> Self {
        let guest = Guest::start("ext4");
        let socket = guest.path("metadata.sock");
        guest.metadata.also_at(&socket);
        // Every call of curl goes by way of the socket, which is the same one in every network namespace.
        fs::write(guest.path(".curlrc"), format!("unix-socket = \"{}\"\n", socket.display())).unwrap();
        guest.metadata.tag("hermitcrab:address", FIXED);
        guest.metadata.set("mac", MAC);
        let networked = Self { holder: holder(), guest };
        networked.shows(&[OWN]);
        networked.ip(&["link", "set", "lo", "up"]);
        networked.ip(&["link", "add", "ens5", "address", MAC, "type", "veth", "peer", "name", "wire"]);
        networked.ip(&["link", "set", "wire", "up"]);
        networked.ip(&["link", "set", "ens5", "up"]);
        networked.ip(&["address", "add", &format!("{OWN}/24"), "dev", "ens5"]);
        networked
    }

    /// Has the metadata show these addresses of the interface.
    fn shows(&self, addresses: &[&str]) {
        self.guest.metadata.set(&format!("network/interfaces/macs/{MAC}/local-ipv4s"), &addresses.join("\n"));
    }

    fn ip(&self, arguments: &[&str]) -> String {
        let namespace = format!("--net=/proc/{}/ns/net", self.holder.id());
        run("nsenter", &[&[namespace.as_str(), "ip"], arguments].concat())
    }

    fn begin(&self, script: &str, arguments: &[&str]) -> Running {
        let child = Command::new("nsenter")
            .arg(format!("--net=/proc/{}/ns/net", self.holder.id()))
            .arg(script)
            .args(arguments)
            .env("HERMITCRAB_CONF", self.guest.path("guest.conf"))
            .env("CURL_HOME", self.guest.folder())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Running(child)
    }

    fn watches(&self) -> Running {
        self.begin(&format!("{TREE}/images/guest/hermitcrab-address"), &["watch"])
    }

    fn looks_once(&self) {
        let mut once = self.begin(&format!("{TREE}/images/guest/hermitcrab-address"), &["once"]);
        assert!(once.0.wait().unwrap().success());
    }

    fn has(&self, address: &str) -> bool {
        self.ip(&["-4", "-oneline", "address", "show", "dev", "ens5"]).contains(&format!(" {address}/"))
    }

    fn comes_to_have(&self, address: &str, wanted: bool) {
        let begun = Instant::now();
        while self.has(address) != wanted {
            assert!(begun.elapsed() < PATIENCE, "{address}: {}", self.ip(&["address"]));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Networked {
    fn drop(&mut self) {
        self.holder.kill().ok();
        self.holder.wait().ok();
    }
}

/// Starts a process in a network namespace of its own, and waits until it is there.
fn holder() -> Child {
    let child = Command::new("unshare").args(["--net", "sleep", "600"]).stdin(Stdio::null()).spawn().unwrap();
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    let begun = Instant::now();
    while fs::read_link(format!("/proc/{}/ns/net", child.id())).unwrap() == own {
        assert!(begun.elapsed() < PATIENCE, "there is no network namespace");
        std::thread::sleep(Duration::from_millis(10));
    }
    child
}

/// A script that runs until the test ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn an_address_is_added_once_metadata_show_it() {
    let networked = Networked::start();
    networked.looks_once();
    assert!(!networked.has(FIXED), "it is still another instance's");
    networked.shows(&[OWN, FIXED]);
    networked.looks_once();
    assert!(networked.has(FIXED) && networked.has(OWN));
    networked.looks_once();
    let route = networked.ip(&["route", "get", "10.0.1.99"]);
    assert!(route.contains(&format!("src {OWN}")), "connections leave by the instance's own address: {route}");
}

fn what_a_renewal_takes_off_is_added_again() {
    let networked = Networked::start();
    networked.shows(&[OWN, FIXED]);
    let _watch = networked.watches();
    networked.comes_to_have(FIXED, true);
    networked.ip(&["address", "flush", "dev", "ens5"]);
    networked.ip(&["address", "add", &format!("{OWN}/24"), "dev", "ens5"]);
    networked.comes_to_have(FIXED, true);
    assert!(networked.has(OWN));
}

fn an_address_is_removed_when_it_is_gone() {
    let networked = Networked::start();
    networked.shows(&[OWN, FIXED]);
    let _watch = networked.watches();
    networked.comes_to_have(FIXED, true);
    networked.shows(&[OWN]);
    networked.comes_to_have(FIXED, false);
    assert!(networked.has(OWN), "the instance's own address stays");
}

/// After a boot nothing is on the interface, whatever was there before: metadata decide anew.
fn an_address_that_metadata_do_not_show_is_never_answered_for() {
    let networked = Networked::start();
    networked.looks_once();
    assert!(!networked.has(FIXED));
    networked.guest.metadata.set(&format!("network/interfaces/macs/{MAC}/local-ipv4s"), "\0busy");
    networked.looks_once();
    assert!(!networked.has(FIXED), "no answer is no leave");
    // One that was there stays while nobody answers, and goes when metadata do not show it.
    networked.ip(&["address", "add", &format!("{FIXED}/32"), "dev", "ens5"]);
    networked.looks_once();
    assert!(networked.has(FIXED));
    networked.guest.metadata.unset(&format!("network/interfaces/macs/{MAC}/local-ipv4s"));
    networked.looks_once();
    assert!(!networked.has(FIXED));
}

fn consul_serves_at_the_fixed_address_and_waits_for_it() {
    let networked = Networked::start();
    fs::create_dir(networked.guest.mount()).unwrap();
    fs::write(networked.guest.mount().join(".hermitcrab"), STAMP).unwrap();
    networked.guest.metadata.tag("consul-servers", "3");
    let mut configures =
        networked.begin(networked.guest.installed("consul", "consul-configure").to_str().unwrap(), &[]);
    std::thread::sleep(Duration::from_millis(500));
    assert!(configures.0.try_wait().unwrap().is_none(), "it waits for the address");
    assert!(!networked.guest.path("consul.json").exists());
    networked.shows(&[OWN, FIXED]);
    networked.looks_once();
    assert!(configures.0.wait().unwrap().success());
    let written: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(networked.guest.path("consul.json")).unwrap()).unwrap();
    assert_eq!(written["bind_addr"], FIXED);
    assert_eq!(written["client_addr"], format!("127.0.0.1 {FIXED}"));
}
