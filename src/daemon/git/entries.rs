//! The entries of a commit's folder: which of them are taken, decided on what git lists of them.

use std::path::{Component, Path, PathBuf};

/// The most files and links that are taken.
pub const MOST_FILES: usize = 20_000;
/// The most bytes of one file. A larger one is no desired state, nor user data, and is left out.
pub const LARGEST_FILE: u64 = 1 << 20;
/// The most bytes that are taken in all.
pub const LARGEST_TREE: u64 = 64 << 20;

/// One file or link to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub kind: Kind,
    /// The id of its content.
    pub object: String,
    /// The size of its content in bytes.
    pub size: u64,
    /// The path below the folder; every part is a plain name.
    pub path: PathBuf,
}

/// The kinds of entries that are taken. A submodule is none: nothing of another repository is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    /// A link: whoever reads the files decides whether it is followed.
    Link,
}

/// Reads what `git ls-tree -r -l -z` lists, and chooses. Says what is too much, if anything is.
pub fn choose(listed: &[u8]) -> Result<Vec<Entry>, String> {
    let mut taken = Vec::new();
    let mut bytes = 0;
    for line in listed.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
        let Some(entry) = read(line).filter(|entry| entry.size <= LARGEST_FILE) else { continue };
        bytes += entry.size;
        taken.push(entry);
        if taken.len() > MOST_FILES {
            return Err(format!("it has more than {MOST_FILES} files"));
        }
        if bytes > LARGEST_TREE {
            return Err(format!("its files have more than {} MiB together", LARGEST_TREE >> 20));
        }
    }
    Ok(taken)
}

/// Reads one line: `MODE TYPE OBJECT SIZE<TAB>PATH`. None for what is not taken: a submodule, a path that leads elsewhere or is
/// no text, and a file whose size git does not know because the server has kept it back as too large.
fn read(line: &[u8]) -> Option<Entry> {
    let line = std::str::from_utf8(line).ok()?;
    let (words, path) = line.split_once('\t')?;
    let mut words = words.split_ascii_whitespace();
    let kind = match words.next()? {
        "100644" | "100755" | "100664" => Kind::File,
        "120000" => Kind::Link,
        _ => return None,
    };
    let (_, object, size) = (words.next()?, words.next()?, words.next()?.parse().ok()?);
    let path = Path::new(path);
    let is_plain = |part: Component<'_>| match part {
        Component::Normal(name) => !name.eq_ignore_ascii_case(".git"),
        _ => false,
    };
    let is_named = path.components().next().is_some();
    let is_taken = is_named && path.components().all(is_plain) && object.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_taken.then(|| Entry { kind, object: object.to_owned(), size, path: path.to_owned() })
}

/// Cuts the output of `git cat-file --batch` into the contents of entries, in their order. None if it is not as it should be.
pub fn contents<'b>(entries: &[Entry], mut output: &'b [u8]) -> Option<Vec<&'b [u8]>> {
    let mut all = Vec::with_capacity(entries.len());
    for entry in entries {
        let expected = format!("{} blob {}\n", entry.object, entry.size);
        let rest = output.strip_prefix(expected.as_bytes())?;
        let (content, rest) = rest.split_at_checked(usize::try_from(entry.size).ok()?)?;
        output = rest.strip_prefix(b"\n")?;
        all.push(content);
    }
    output.is_empty().then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: &str = "0123456789012345678901234567890123456789";

    fn line(mode: &str, size: &str, path: &str) -> String {
        format!("{mode} blob {OBJECT} {size}\t{path}\0")
    }

    #[test]
    fn files_and_links_are_taken_and_what_is_neither_or_too_large_is_left_out() {
        let listed = line("100644", "    12", "prod/a file.yaml")
            + &line("120000", "      7", "prod/link.yaml")
            + &line("160000", "      -", "submodule")
            + &line("100644", "1048577", "large.bin")
            + &line("100644", "    BAD", "kept-back.bin")
            + &line("100644", "      1", "a/../b")
            + &line("100644", "      1", "/etc/passwd")
            + &line("100644", "      1", "a/.GIT/config")
            + &line("100644", "      1", "");
        let taken = choose(listed.as_bytes()).unwrap();
        let paths: Vec<_> = taken.iter().map(|entry| (entry.kind, entry.path.to_str().unwrap())).collect();
        assert_eq!(paths, [(Kind::File, "prod/a file.yaml"), (Kind::Link, "prod/link.yaml")]);
    }

    #[test]
    fn more_than_anybody_needs_is_refused() {
        let many: String = (0..=MOST_FILES).map(|file| line("100644", "1", &format!("{file}"))).collect();
        assert_eq!(choose(many.as_bytes()).unwrap_err(), "it has more than 20000 files");
        let large: String = (0..65).map(|file| line("100644", "1048576", &format!("{file}"))).collect();
        assert_eq!(choose(large.as_bytes()).unwrap_err(), "its files have more than 64 MiB together");
    }

    #[test]
    fn contents_are_cut_by_their_sizes_whatever_is_in_them() {
        let entry = |size| Entry { kind: Kind::File, object: OBJECT.to_owned(), size, path: "x".into() };
        let entries = [entry(4), entry(0)];
        let output = format!("{OBJECT} blob 4\na\n\nb\n{OBJECT} blob 0\n\n");
        assert_eq!(contents(&entries, output.as_bytes()).unwrap(), [&b"a\n\nb"[..], b""]);
        for wrong in [output.replace(" 4", " 5"), output.replace("blob 0", "missing"), output[..20].to_owned()] {
            assert_eq!(contents(&entries, wrong.as_bytes()), None);
        }
    }
}
