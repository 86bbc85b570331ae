//! The policy that is printed for a scenario's cluster, and the calls that were made of it.

use crate::authorised::{actions, is_allowed};
use crate::cluster::Rig;

impl Rig {
    /// Holds that the calls of a controller since calls are recorded are allowed by the policy that `iam-policy` prints for the cluster's file.
    pub fn the_printed_policy_allows_what_was_called(&self, who: &str, more: &[&str]) {
        let mut print = std::process::Command::new(env!("CARGO_BIN_EXE_hermitcrab"));
        let printed = print.arg("iam-policy").arg(self.dir.join("desired-state")).args(more).output().unwrap();
        assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
        let policy = serde_json::from_slice(&printed.stdout).unwrap();
        let calls: Vec<_> = self.proxy.recorded().into_iter().filter(|call| call.who == who).collect();
        assert!(actions(&calls).contains("ec2:RunInstances"), "{:?}", actions(&calls));
        is_allowed(&calls, &policy);
    }
}
