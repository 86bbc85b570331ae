//! `--source`: desired state from git, in place of folders of files.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;

use crate::cli::Failure;
use crate::daemon::files::Files;
use crate::daemon::git::address::{Address, Scheme};
use crate::daemon::git::ask::{Access, is_plain};
use crate::daemon::git::{Repository, Settings};
use crate::daemon::source::{Source, Wish};
use crate::input::{file, text};
use crate::revision::Standing;
use crate::spec::load::Loaded;

use super::span;

/// The folder within the state that a source is kept in.
const WITHIN_STATE: &str = "source";

/// The arguments of desired state from git.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Desired state from git")]
#[group(skip)]
pub(super) struct Args {
    /// Take desired state from a folder of a repository, e.g. `git+https://host/org/repo.git//prod?ref=main`; git+ssh:// and
    /// git+file:// as well
    #[arg(long = "source", value_name = "ADDRESS", conflicts_with_all = ["paths", "unchanged_for"])]
    pub(super) address: Option<Address>,
    /// The folder that the repository is kept in, with the last good revision; `source` within --state if left out
    #[arg(long, value_name = "DIR", requires = "address")]
    source_dir: Option<PathBuf>,
    /// The time between two looks for a newer commit, which chance moves by a fifth; longer after looks that fail
    #[arg(long, value_name = "SPAN", default_value = "1m", value_parser = span, requires = "address")]
    source_interval: Duration,
    /// The time after which a git that has not come to its end is killed
    #[arg(long, value_name = "SPAN", default_value = "1m", value_parser = span, requires = "address")]
    source_timeout: Duration,
    /// Take only commits signed by ssh keys of this file, which has the form of ssh's allowed signers
    #[arg(long, value_name = "FILE", requires = "address")]
    source_verify: Option<PathBuf>,
    /// Take only commits signed by OpenPGP keys of this file, which `gpg --export` has written; with both, signed by one or the
    /// other
    #[arg(long, value_name = "FILE", requires = "address")]
    source_verify_openpgp: Option<PathBuf>,
    /// A file with a token for https; it may be replaced at any time
    #[arg(long, value_name = "FILE", requires = "address")]
    source_token_file: Option<PathBuf>,
    /// The certificates that the https server is known by, in place of this machine's
    #[arg(long, value_name = "FILE", requires = "address")]
    source_ca_file: Option<PathBuf>,
    /// A private key for ssh, without a passphrase
    #[arg(long, value_name = "FILE", requires = "address")]
    source_ssh_key: Option<PathBuf>,
    /// The keys that the ssh server is known by, as `ssh-keyscan` writes them
    #[arg(long, value_name = "FILE", requires = "address")]
    source_known_hosts: Option<PathBuf>,
}

/// The place that desired state comes from.
pub(super) enum Chosen {
    Files(Files),
    Git(Box<Repository>),
}

impl Args {
    /// Opens the repository. With `once` the newest commit is needed, because nobody looks again.
    pub(super) async fn open(&self, address: &Address, state: Option<&Path>, once: bool) -> Result<Chosen, Failure> {
        let settings = Settings {
            address: address.clone(),
            folder: self.folder(state)?,
            access: self.access(address)?,
            allowed_signers: self.source_verify.as_deref().map(named).transpose()?,
            keyring: self.source_verify_openpgp.as_deref().map(named).transpose()?,
            interval: self.source_interval,
            timeout: self.source_timeout,
            seed: u64::from(std::process::id()),
        };
        let folder = text::path(&settings.folder);
        let repository = Repository::open(settings).await;
        let repository = repository.map_err(|error| {
            Failure::new(format!("the source cannot be kept in {folder}: {error}"))
                .hint("give each controller a folder of its own on a local disk, with --source-dir")
        })?;
        match repository.standing().and_then(|standing| standing.trouble.clone()).filter(|_| once) {
            Some(trouble) => Err(Failure::new(format!("{address} cannot be read: {trouble}"))
                .hint("nothing was changed; without --once the last good revision would stay in force")),
            None => Ok(Chosen::Git(Box::new(repository))),
        }
    }

    fn folder(&self, state: Option<&Path>) -> Result<PathBuf, Failure> {
        let folder = self.source_dir.clone().or_else(|| state.map(|state| state.join(WITHIN_STATE)));
        let folder = folder.ok_or_else(|| {
            Failure::new("nobody has said where the repository is kept")
                .hint("name a folder with --source-dir, or one for all that outlasts the process with --state")
        })?;
        Ok(std::path::absolute(folder)?)
    }

    fn access(&self, address: &Address) -> Result<Access, Failure> {
        let one = |given: &Option<PathBuf>| given.as_deref().map(named).transpose();
        let (token_file, ca_file) = (one(&self.source_token_file)?, one(&self.source_ca_file)?);
        let (ssh_key, known_hosts) = (one(&self.source_ssh_key)?, one(&self.source_known_hosts)?);
        let is = |scheme| address.scheme == scheme;
        if !is(Scheme::Https) && (token_file.is_some() || ca_file.is_some()) {
            return Err(Failure::new("a token and certificates are for git+https:// alone").hint("leave them out"));
        }
        if !is(Scheme::Ssh) && (ssh_key.is_some() || known_hosts.is_some()) {
            return Err(Failure::new("keys are for git+ssh:// alone").hint("leave them out"));
        }
        if is(Scheme::Ssh) && (ssh_key.is_none() || known_hosts.is_none()) {
            return Err(Failure::new("git+ssh:// needs a key, and the keys that the server is known by")
                .hint("name their files with --source-ssh-key and --source-known-hosts"));
        }
        if let Some(odd) = [&ssh_key, &known_hosts].into_iter().flatten().find(|path| !is_plain(path)) {
            return Err(Failure::new(format!("ssh would misread the name {}", text::path(odd)))
                .hint("give the file a name of letters, digits and ./_-+@, alone"));
        }
        Ok(Access { token_file, ca_file, ssh_key, known_hosts, asked: std::env::current_exe()? })
    }
}

/// Makes the path of a file absolute, which must be one that can be read to its end.
fn named(path: &Path) -> Result<PathBuf, Failure> {
    let unread = |error| Failure::new(format!("{} cannot be read: {error}", text::path(path)));
    file::has_an_end(path, file::CERTIFICATES).map_err(unread)?;
    Ok(std::path::absolute(path)?)
}

impl Source for Chosen {
    fn name(&self) -> String {
        match self {
            Self::Files(files) => files.name(),
            Self::Git(repository) => repository.name(),
        }
    }

    async fn changed(&mut self) {
        match self {
            Self::Files(files) => files.changed().await,
            Self::Git(repository) => repository.changed().await,
        }
    }

    fn load(&self) -> LocalBoxFuture<'static, Loaded> {
        match self {
            Self::Files(files) => files.load(),
            Self::Git(repository) => repository.load(),
        }
    }

    fn standing(&self) -> Option<Arc<Standing>> {
        match self {
            Self::Files(files) => files.standing(),
            Self::Git(repository) => repository.standing(),
        }
    }

    fn is_outdated(&mut self) -> bool {
        match self {
            Self::Files(files) => files.is_outdated(),
            Self::Git(repository) => repository.is_outdated(),
        }
    }

    fn wish(&self) -> Option<Rc<Wish>> {
        match self {
            Self::Files(files) => files.wish(),
            Self::Git(repository) => repository.wish(),
        }
    }
}
