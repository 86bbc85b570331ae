//! Where Terraform finds the provider of AWS.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Terraform's configuration. The provider of this machine is taken if there is one, because most machines that test reach no
/// registry of Terraform's; else Terraform looks where it always does.
pub fn installation() -> String {
    let mirror = |folder: PathBuf| {
        format!("provider_installation {{\n  filesystem_mirror {{\n    path = {:?}\n  }}\n}}\n", folder.display())
    };
    mirror_of_the_provider().map(mirror).unwrap_or_default()
}

/// Finds a folder in which the AWS provider lies as a filesystem mirror has it: `HOST/hashicorp/aws/VERSION/PLATFORM/PROGRAM`.
fn mirror_of_the_provider() -> Option<PathBuf> {
    let home = env::var("HOME").unwrap_or_default();
    let cache = env::var("TF_PLUGIN_CACHE_DIR").unwrap_or_default();
    let usual = [
        cache,
        format!("{home}/.terraform.d"),
        format!("{home}/.local/share/terraform"),
        "/usr/local/share/terraform".to_owned(),
        "/usr/share/terraform".to_owned(),
        "/opt".to_owned(),
        "/".to_owned(),
    ];
    usual.iter().filter(|folder| Path::new(folder).is_dir()).find_map(|folder| mirror_below(folder))
}

fn mirror_below(folder: &str) -> Option<PathBuf> {
    let mut find = Command::new("find");
    find.args([folder, "-xdev", "-maxdepth", "9", "-type", "f", "-name", "terraform-provider-aws_v*"]);
    let found = String::from_utf8(find.stderr(Stdio::null()).output().ok()?.stdout).ok()?;
    let is_a_mirrors = |path: &&str| path.contains("/registry.terraform.io/hashicorp/aws/");
    let program = Path::new(found.lines().find(is_a_mirrors)?);
    program.ancestors().nth(6).map(Path::to_path_buf)
}
