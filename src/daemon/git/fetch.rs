//! One attempt to bring a source up to date: from the name on the server to a tree on the disk, which nothing sees before it is whole.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::ask::{Failed, Git};
use super::entries::{LARGEST_FILE, LARGEST_TREE, MOST_FILES, choose, contents};
use super::kept::Kept;
use crate::daemon::aside::aside;
use crate::input::text;
use crate::revision::{Reason, Revision, SourceTrouble, short};

/// The name that what was fetched has here.
const TIP: &str = "refs/hermitcrab/tip";
/// The most commits that are looked through for the one in force.
const DEPTH: u32 = 1_000;
/// The most bytes of a short answer.
const SHORT: usize = 1 << 20;
/// The most bytes of a list of files: their names are a hundred bytes each, or fewer.
const LIST: usize = MOST_FILES * 512;
/// The most characters that are kept of an author's name, and of the first line of a message.
const LONGEST: usize = 120;

/// A newer revision, whose tree is on the disk.
#[derive(Debug)]
pub(super) struct Newer {
    pub revision: Revision,
    /// The commit that was in force does not lead to this one.
    pub is_rewritten: bool,
}

/// One attempt.
pub(super) struct Attempt {
    pub git: Rc<Git>,
    pub kept: Arc<Kept>,
    /// The revision in force.
    pub before: Option<Revision>,
    /// Held while files are read, so that they are all of one revision.
    pub reading: Rc<Mutex<()>>,
}

/// The words for an answer of git's that is none.
const NONSENSE: &str = "git answers with something else than was asked for";

type Outcome<T> = Result<T, SourceTrouble>;

impl Attempt {
    /// Fetches the revision that the address leads to, and puts it in force. None if it is in force already.
    pub(super) async fn make(self) -> Outcome<Option<Newer>> {
        let repository = self.kept.repository();
        self.prepare(&repository).await?;
        let (tip, full) = (self.listed(&repository).await?, self.git.address.full_reference());
        if self.before.as_ref().is_some_and(|before| before.id == tip) {
            return Ok(None);
        }
        let filter = format!("--filter=blob:limit={}", LARGEST_FILE + 1);
        self.fetch(&repository, &["--depth=1", &filter], &full).await?;
        let commit =
            self.ask(&repository, &["rev-parse", "--verify", &format!("{TIP}^{{commit}}")], Reason::RefMissing).await?;
        let revision = self.verified(self.revision(commit.trim()).await?).await?;
        let is_rewritten = self.is_rewritten(&revision, &full).await?;
        self.write(&revision).await?;
        let (kept, id, _alone) = (self.kept.clone(), revision.id.clone(), self.reading.lock().await);
        on_disk(move || kept.exchange(&id).map_err(|error| error.to_string())).await?;
        Ok(Some(Newer { revision, is_rewritten }))
    }

    async fn prepare(&self, repository: &Path) -> Outcome<()> {
        if !repository.join("HEAD").exists() {
            self.ask(repository, &["init", "--quiet", "--bare", "--template="], Reason::Unusable).await?;
        }
        let url = &self.git.address.url;
        self.ask(repository, &["config", "remote.origin.url", url], Reason::Unusable).await.map(drop)
    }

    /// Asks the server for the commit, or the tag, that the address names.
    async fn listed(&self, repository: &Path) -> Outcome<String> {
        let full = self.git.address.full_reference();
        let listed = self.ask(repository, &["ls-remote", "--quiet", "origin", &full], Reason::Unreachable).await?;
        let find = |name: &str| listed.lines().find_map(|line| line.split_once('\t').filter(|(_, it)| *it == name));
        let found = find(&format!("{full}^{{}}")).or_else(|| find(&full)).map(|(id, _)| id.to_owned());
        found.ok_or_else(|| {
            trouble(Reason::RefMissing, format!("the repository has no {}", self.git.address.reference()))
        })
    }

    async fn fetch(&self, repository: &Path, how: &[&str], full: &str) -> Outcome<()> {
        let onto = format!("+{full}:{TIP}");
        let always = ["fetch", "--quiet", "--force", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head"];
        let arguments: Vec<_> = always.into_iter().chain(how.iter().copied()).chain(["origin", &onto]).collect();
        self.ask(repository, &arguments, Reason::Unreachable).await.map(drop)
    }

    async fn revision(&self, id: &str) -> Outcome<Revision> {
        let arguments = ["log", "-1", "--no-show-signature", "--format=%H%x00%an%x00%cI%x00%s", id, "--"];
        let said = self.ask(&self.kept.repository(), &arguments, Reason::Unusable).await?;
        let words: Vec<_> = said.trim_end_matches('\n').split('\0').collect();
        let [id, author, committed, subject] = words.as_slice() else {
            return Err(trouble(Reason::Unusable, NONSENSE));
        };
        Ok(Revision {
            id: (*id).to_owned(),
            reference: self.git.address.reference().to_owned(),
            author: text::cut(author, LONGEST),
            subject: text::cut(subject, LONGEST),
            committed_at: committed.parse().unwrap_or_default(),
            verified_by: None,
        })
    }

    /// Checks the signature of the commit, if signatures were asked for.
    pub(super) async fn verified(&self, revision: Revision) -> Outcome<Revision> {
        if !self.git.verifies() {
            return Ok(revision);
        }
        let (repository, id) = (self.kept.repository(), &*revision.id);
        if let Some(keyring) = &self.git.keyring {
            let taken = self.git.take_keys(keyring, &repository).await;
            taken.map_err(|why| trouble(Reason::Unusable, why))?;
        }
        let refused = |why: &str| {
            let why = if why.is_empty() { "it has no signature" } else { why };
            trouble(
                Reason::NotVerified,
                format!("{} is not signed by anybody who is allowed to: {why}", revision.short()),
            )
        };
        match self.git.ask(&repository, &["verify-commit", id], &[], SHORT).await {
            Ok(_) => {}
            Err(Failed::Refused { .. }) if self.git.keyring.is_some() => {
                let fault = self.git.fault(&repository, id).await;
                return Err(refused(fault.unwrap_or("git does not say why")));
            }
            Err(Failed::Refused { said, .. }) => return Err(refused(&said)),
            Err(Failed::Broken(reason, why)) => return Err(trouble(reason, why)),
        }
        let signer = ["log", "-1", "--no-show-signature", "--format=%GS", id, "--"];
        let signer = self.ask(&repository, &signer, Reason::NotVerified).await?;
        let verified_by = text::cut(signer.trim(), LONGEST);
        if verified_by.is_empty() {
            Err(refused("nobody is named as its signer"))
        } else {
            Ok(Revision { verified_by: Some(verified_by), ..revision })
        }
    }

    /// Says whether the commit in force does not lead to this one. Where signatures are asked for, that is refused: whoever may push
    /// and not sign could bring back an older commit, whose signature is good.
    async fn is_rewritten(&self, revision: &Revision, full: &str) -> Outcome<bool> {
        let Some(before) = &self.before else { return Ok(false) };
        let history = self.kept.history();
        self.prepare(&history).await?;
        self.fetch(&history, &[&format!("--depth={DEPTH}"), "--filter=tree:0"], full).await?;
        let arguments = ["merge-base", "--is-ancestor", &before.id, &revision.id];
        match self.git.ask(&history, &arguments, &[], SHORT).await {
            Ok(_) => Ok(false),
            Err(Failed::Broken(reason, why)) => Err(trouble(reason, why)),
            Err(Failed::Refused { .. }) => {
                let known = format!("{}^{{commit}}", revision.id);
                self.ask(&history, &["cat-file", "-e", &known], Reason::Unreachable).await?;
                if !self.git.verifies() {
                    return Ok(true);
                }
                let (now, before) = (revision.short(), short(&before.id));
                let why = format!(
                    "{} was rewritten: {now} does not descend from {before}, which is in force; push a signed commit that does",
                    revision.reference
                );
                Err(trouble(Reason::Rewritten, why))
            }
        }
    }

    /// Writes the files of the commit's folder.
    async fn write(&self, revision: &Revision) -> Outcome<()> {
        let (repository, folder) = (self.kept.repository(), &self.git.address.folder);
        let tree = format!("{}:{}", revision.id, folder.to_string_lossy());
        let listed = self.git.ask(&repository, &["ls-tree", "-r", "-l", "-z", "--full-tree", &tree], &[], LIST).await;
        let listed = listed.map_err(|failed| match failed {
            Failed::Refused { .. } => {
                let why = format!("{} has no folder {}", revision.short(), text::path(folder));
                trouble(Reason::PathMissing, why)
            }
            Failed::Broken(reason, why) => trouble(reason, why),
        })?;
        let entries = choose(&listed).map_err(|why| trouble(Reason::TooLarge, why))?;
        let wanted: String = entries.iter().map(|entry| format!("{}\n", entry.object)).collect();
        let most = usize::try_from(LARGEST_TREE).unwrap_or(usize::MAX).saturating_add(LIST);
        let output = self.git.ask(&repository, &["cat-file", "--batch"], wanted.as_bytes(), most).await;
        let output = output.map_err(|failed| named(failed, Reason::Unusable))?;
        let (kept, folder, revision) = (self.kept.clone(), folder.clone(), revision.clone());
        on_disk(move || {
            let contents = contents(&entries, &output).ok_or_else(|| NONSENSE.to_owned())?;
            kept.write(&revision, &folder, &entries, &contents).map_err(|error| error.to_string())
        })
        .await
    }

    /// Runs git for a short answer, and names the trouble if there is none.
    async fn ask(&self, repository: &Path, arguments: &[&str], reason: Reason) -> Outcome<String> {
        let answer = self.git.ask(repository, arguments, &[], SHORT).await;
        answer.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).map_err(|failed| named(failed, reason))
    }
}

/// Does something on the disk, on a thread of its own.
async fn on_disk(doing: impl FnOnce() -> Result<(), String> + Send + 'static) -> Outcome<()> {
    let done = aside("source", doing).await.unwrap_or_else(|| Err("no thread could be started".to_owned()));
    done.map_err(|why| trouble(Reason::Unusable, format!("the files cannot be kept: {why}")))
}

/// Names the trouble that a run of git ended in.
fn named(failed: Failed, reason: Reason) -> SourceTrouble {
    match failed {
        Failed::Refused { said, code: Some(code) } if said.is_empty() => {
            trouble(reason, format!("git ended with {code}"))
        }
        Failed::Refused { said, .. } => trouble(reason, said),
        Failed::Broken(reason, why) => trouble(reason, why),
    }
}

fn trouble(reason: Reason, message: impl Into<String>) -> SourceTrouble {
    SourceTrouble { reason, message: message.into(), times: 1 }
}
