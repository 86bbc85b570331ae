//! The git program: asked without a shell, knowing nothing of this machine's settings, and ended when it takes too long.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use super::address::{Address, Scheme};
use super::openpgp;
use crate::input::file;
use crate::input::secret::Secret;
use crate::input::text;
use crate::program::{self, Bounds, Ended, Trouble};
use crate::revision::Reason;

/// The variable that names the file with the token, for the program that answers git's question for a password.
pub const TOKEN_FILE: &str = "HERMITCRAB_ASKPASS";
/// The user that a token is sent with where the address names none. GitHub and GitLab take a token with any user.
const USER: &str = "x-access-token";
/// The most characters that are shown of what git says.
const LONGEST: usize = 300;
/// The variables that git is given as we have them.
const HANDED_ON: [&str; 7] = ["PATH", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"];
/// Settings of every run. No hook, filter, helper or setting of this machine has a say, no redirect is followed to where a token does
/// not belong, nothing is left to run behind our back, and what is fetched is checked.
const SETTINGS: [&str; 12] = [
    "core.hooksPath=/dev/null",
    "core.attributesFile=/dev/null",
    "core.fsmonitor=false",
    "credential.helper=",
    "fetch.fsckObjects=true",
    "gc.autoDetach=false",
    "gc.pruneExpire=1.day.ago",
    "http.followRedirects=false",
    "http.lowSpeedLimit=100",
    "http.lowSpeedTime=60",
    "i18n.logOutputEncoding=UTF-8",
    "maintenance.autoDetach=false",
];
/// Programs that would check signatures by the keys of this machine's user: there are none.
const NO_OTHER_SIGNATURES: [&str; 1] = ["gpg.x509.program=/dev/null/none"];
/// The program for OpenPGP, with a file of keys and without one.
const OPENPGP: (&str, &str) = ("gpg.program=gpg", "gpg.program=/dev/null/none");

/// The files by which a server lets us in, and by which we know it. None is handed over but by name.
#[derive(Clone, Debug)]
pub struct Access {
    /// A token for https.
    pub token_file: Option<PathBuf>,
    /// The certificates that an https server is known by, in place of this machine's.
    pub ca_file: Option<PathBuf>,
    /// A private key for ssh.
    pub ssh_key: Option<PathBuf>,
    /// The keys that ssh servers are known by.
    pub known_hosts: Option<PathBuf>,
    /// The program that answers git's question for a password: with the token of the file that [`TOKEN_FILE`] names.
    pub asked: PathBuf,
}

/// Git, for one source.
#[derive(Clone, Debug)]
pub(super) struct Git {
    pub address: Address,
    pub access: Access,
    /// The file of those whose signatures count.
    pub allowed_signers: Option<PathBuf>,
    /// The file of the OpenPGP keys whose signatures count.
    pub keyring: Option<PathBuf>,
    /// The longest time of a run.
    pub timeout: Duration,
}

/// A run of git that did not answer with what was asked for.
#[derive(Debug)]
pub(super) enum Failed {
    /// Git ended by itself, with a code that is none of success.
    Refused { code: Option<i32>, said: String },
    /// Git did not come to an end, or never began.
    Broken(Reason, String),
}

impl Git {
    /// Says whether only signed commits are taken.
    pub(super) fn verifies(&self) -> bool {
        self.allowed_signers.is_some() || self.keyring.is_some()
    }

    /// Runs git on a repository, and answers with its output, of at most that many bytes.
    pub(super) async fn ask(
        &self,
        repository: &Path,
        arguments: &[&str],
        input: &[u8],
        most: usize,
    ) -> Result<Vec<u8>, Failed> {
        let mut command = Command::new("git");
        command.env_clear().envs(self.environment(repository));
        command.arg("--git-dir").arg(repository).args(self.settings()).args(arguments);
        command.current_dir(repository.parent().unwrap_or(repository));
        let ended = program::run(&mut command, input, Bounds { timeout: self.timeout, most }).await;
        let Ended { status, stdout, stderr } = ended.map_err(|trouble| broken(arguments, &trouble))?;
        if status.success() {
            return Ok(stdout);
        }
        Err(Failed::Refused { code: status.code(), said: self.shown(&stderr) })
    }

    fn settings(&self) -> impl Iterator<Item = OsString> {
        let mut settings: Vec<OsString> = SETTINGS.into_iter().chain(NO_OTHER_SIGNATURES).map(OsString::from).collect();
        settings.push(if self.keyring.is_some() { OPENPGP.0 } else { OPENPGP.1 }.into());
        let mut add = |name: &str, value: &Path| {
            let mut setting = OsString::from(format!("{name}="));
            setting.push(value);
            settings.push(setting);
        };
        if let Some(signers) = &self.allowed_signers {
            add("gpg.ssh.allowedSignersFile", signers);
        }
        if let Some(file) = &self.access.ca_file {
            add("http.sslCAInfo", file);
        }
        if self.access.token_file.is_some() && self.address.user.is_none() {
            add("credential.username", Path::new(USER));
        }
        settings.into_iter().flat_map(|setting| [OsString::from("-c"), setting])
    }

    fn environment(&self, repository: &Path) -> Vec<(&'static str, OsString)> {
        let ours = HANDED_ON.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        let mut environment: Vec<(_, OsString)> = ours.collect();
        environment.extend([
            ("GIT_ALLOW_PROTOCOL", self.address.scheme.word().into()),
            ("GIT_CONFIG_GLOBAL", "/dev/null".into()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
            ("GIT_NO_LAZY_FETCH", "1".into()),
            ("GIT_NO_REPLACE_OBJECTS", "1".into()),
            ("GIT_TERMINAL_PROMPT", "0".into()),
            ("HOME", repository.into()),
            ("LC_ALL", "C".into()),
        ]);
        if self.keyring.is_some() {
            environment.push(("GNUPGHOME", openpgp::home(repository).into()));
        }
        if let Some(file) = &self.access.token_file {
            environment.extend([(TOKEN_FILE, file.into()), ("GIT_ASKPASS", self.access.asked.clone().into())]);
        }
        if self.address.scheme == Scheme::Ssh {
            environment.extend([("GIT_SSH_COMMAND", self.ssh().into()), ("GIT_SSH_VARIANT", "ssh".into())]);
        }
        environment
    }

    /// Writes the command by which git runs ssh. Git hands it to a shell, and ssh reads some marks in names of files, so such names
    /// have none: [`is_plain`].
    fn ssh(&self) -> String {
        let name = |file: &Option<PathBuf>| Some(file.as_ref()?.to_string_lossy().into_owned());
        let key = name(&self.access.ssh_key).map(|key| format!(" -i {key}")).unwrap_or_default();
        let known_hosts = name(&self.access.known_hosts).unwrap_or("/dev/null".to_owned());
        format!(
            "ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=yes -o GlobalKnownHostsFile=/dev/null \
             -o UserKnownHostsFile={known_hosts} -o IdentitiesOnly=yes -o IdentityAgent=none -o ConnectTimeout=20 \
             -o ServerAliveInterval=15{key}"
        )
    }

    /// Shows what git has said in one line, without the token, should a server have repeated it.
    fn shown(&self, said: &str) -> String {
        let token = self.access.token_file.as_deref().and_then(|path| file::read_text(path, file::TOKEN).ok());
        let said = token.map_or(said.to_owned(), |token| Secret::new(token.trim()).blank_out(said));
        let lines: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        text::cut(&text::without_passwords(&lines.join("; ")), LONGEST)
    }
}

/// Says whether the name of a file has no mark that a shell or ssh would read as something else.
pub fn is_plain(path: &Path) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@,".contains(c);
    path.to_str().is_some_and(|path| path.chars().all(is_plain))
}

fn broken(arguments: &[&str], trouble: &Trouble) -> Failed {
    let doing = arguments.first().copied().unwrap_or_default();
    match trouble {
        Trouble::CannotRun(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Failed::Broken(Reason::Unusable, "there is no program `git`".to_owned())
        }
        Trouble::CannotRun(error) => Failed::Broken(Reason::Unusable, format!("git cannot be run: {error}")),
        Trouble::Floods { .. } => Failed::Broken(Reason::TooLarge, format!("git {doing}: {trouble}")),
        Trouble::Late(_) | Trouble::LeftBehind | Trouble::Unread(_) => {
            Failed::Broken(Reason::Unreachable, format!("git {doing}: {trouble}"))
        }
    }
}
