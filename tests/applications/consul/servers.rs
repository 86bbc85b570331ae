//! Three real Consul servers on loopback addresses of their own. They end with the test.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::fetch::fetch;
use crate::left_out::left_out;
use crate::loopback::free_net;

/// Three servers, `consul-a` to `consul-c`.
pub struct Servers {
    net: (u8, u8),
    children: Vec<Option<Child>>,
    _data: TempDir,
}

impl Servers {
    /// Starts them; none if there is no Consul to be had, which is said aloud.
    pub fn start() -> Option<Self> {
        let program = match fetch(["consul"]) {
            Ok([program]) => program,
            Err(why) => {
                left_out("real Consul servers", &why);
                return None;
            }
        };
        let mut servers =
            Self { net: free_net([8500, 8300]), children: Vec::new(), _data: tempfile::tempdir().unwrap() };
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
