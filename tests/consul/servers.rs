//! Three real Consul servers on loopback addresses of their own. They end with the test.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs};

use tempfile::TempDir;

/// Three servers, `consul-a` to `consul-c`.
pub struct Servers {
    net: (u8, u8),
    children: Vec<Option<Child>>,
    _data: TempDir,
}

impl Servers {
    /// Starts them; none if there is no Consul on this machine, which is said aloud.
    pub fn start() -> Option<Self> {
        let Some(program) = program() else {
            let why = "there is no consul on PATH, and tests/rig/fetch.sh has brought none";
            assert!(env::var("HERMITCRAB_RIG").as_deref() != Ok("required"), "{why}");
            // Past the harness, which would keep to itself what a test that passes has to say.
            let _ = writeln!(io::stderr(), "\n*** NOT TESTED against real Consul servers: {why} ***\n");
            return None;
        };
        let mut servers = Self { net: free_net(), children: Vec::new(), _data: tempfile::tempdir().unwrap() };
        for nth in 0..3 {
            let data = servers._data.path().join(nth.to_string());
            fs::create_dir(&data).unwrap();
            let config = data.with_extension("json");
            let settings = r#"{"ports": {"dns": -1, "grpc": -1}, "performance": {"raft_multiplier": 1},
                "disable_update_check": true, "leave_on_terminate": false}"#;
            fs::write(&config, settings).unwrap();
            let address = servers.address(nth);
            let joins = (0..3).map(|other| format!("-retry-join={}", servers.address(other)));
            let child = Command::new(&program)
                .args(["agent", "-server", "-bootstrap-expect=3", "-datacenter=dc1", "-retry-interval=1s"])
                .arg(format!("-node=consul-{}", ["a", "b", "c"][nth]))
                .args([format!("-bind={address}"), format!("-client={address}")])
                .args([format!("-data-dir={}", data.display()), format!("-config-file={}", config.display())])
                .args(joins)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            servers.children.push(Some(child));
        }
        Some(servers)
    }

    /// Where one of them is.
    pub fn address(&self, nth: usize) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(127, self.net.0, self.net.1, nth as u8 + 1))
    }

    /// Ends one of them without a leave.
    pub fn stop(&mut self, nth: usize) {
        if let Some(mut child) = self.children[nth].take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for nth in 0..self.children.len() {
            self.stop(nth);
        }
    }
}

fn program() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    let rig = env::var_os("HERMITCRAB_RIG_DIR").map(PathBuf::from).or_else(|| Some(cache?.join("hermitcrab-rig")));
    let fetched = rig.map(|rig| rig.join("consul-bullseye/usr/bin"));
    env::split_paths(&path).chain(fetched).map(|folder| folder.join("consul")).find(|program| program.is_file())
}

/// A part of the loopback network where nobody speaks Consul. The process's id keeps two runs apart, and a count two
/// tests of one run.
fn free_net() -> (u8, u8) {
    static TESTS: AtomicU32 = AtomicU32::new(0);
    for _ in 0..1_000 {
        let n = std::process::id().wrapping_mul(10).wrapping_add(TESTS.fetch_add(1, Ordering::Relaxed));
        let net = (100 + (n % 100) as u8, (n / 100 % 250) as u8);
        let address = Ipv4Addr::new(127, net.0, net.1, 1);
        if TcpListener::bind((address, 8500)).is_ok() && TcpListener::bind((address, 8300)).is_ok() {
            return net;
        }
    }
    panic!("no free loopback network");
}
