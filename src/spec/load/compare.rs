//! Files beside each other: what only one of them may declare.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use super::report::Report;
use super::{LoadedFile, MOST_PROBLEMS, Problem, tree};
use crate::ids::ClusterName;
use crate::input::text;

/// The most other files that a problem names.
const MOST_NAMED: usize = 20;

/// Refuses all files that declare one cluster: nothing says which of them is meant.
pub fn refuse_shared_names(files: &mut BTreeMap<PathBuf, LoadedFile>) {
    let mut named: BTreeMap<ClusterName, Vec<PathBuf>> = BTreeMap::new();
    for file in files.values() {
        if let Some(name) = &file.name {
            named.entry(name.clone()).or_default().push(file.path.clone());
        }
    }
    for (name, paths) in named.iter().filter(|(_, paths)| paths.len() > 1) {
        for path in paths {
            refuse(files, path, |report| {
                report
                    .error(
                        tree::name_in(report.text).map(|(_, bytes)| bytes),
                        format!("cluster `{name}` is declared more than once"),
                    )
                    .label(format!("also declared in {}", others(paths, path)))
                    .hint(
                        "give one of them another `metadata.name`, or remove one file; until then none of them is used",
                    );
            });
        }
    }
}

/// Refuses all files that adopt one Auto Scaling group: each cluster would undo what the other does to it.
pub fn refuse_shared_groups(files: &mut BTreeMap<PathBuf, LoadedFile>) {
    let mut adopted: BTreeMap<(String, String), Vec<PathBuf>> = BTreeMap::new();
    for (path, file) in files.iter() {
        let spec = file.spec.as_ref();
        if let Some((region, group)) = spec.and_then(|spec| Some((spec.region.clone(), spec.capacity.group()?))) {
            adopted.entry((region, group.to_owned())).or_default().push(path.clone());
        }
    }
    for ((_, group), paths) in adopted.iter().filter(|(_, paths)| paths.len() > 1) {
        for path in paths {
            let others = others(paths, path);
            refuse(files, path, |report| {
                report
                    .error(None, format!("Auto Scaling group `{group}` is adopted more than once"))
                    .hint(format!("also adopted in {others}; give each cluster a group of its own"));
            });
        }
    }
}

/// Refuses all files that declare one fixed address: each cluster would wait for the other to give it up.
pub fn refuse_shared_addresses(files: &mut BTreeMap<PathBuf, LoadedFile>) {
    let mut declared: BTreeMap<(String, String, Ipv4Addr), Vec<PathBuf>> = BTreeMap::new();
    for (path, file) in files.iter() {
        for (spec, slot) in file.spec.iter().flat_map(|spec| spec.slots.iter().map(move |slot| (spec, slot))) {
            if let Some(address) = slot.address {
                let place = (spec.region.clone(), slot.subnet.clone(), address);
                declared.entry(place).or_default().push(path.clone());
            }
        }
    }
    for ((_, subnet, address), paths) in declared.iter().filter(|(_, paths)| paths.len() > 1) {
        for path in paths {
            let others = others(paths, path);
            refuse(files, path, |report| {
                report
                    .error(None, format!("address `{address}` is declared more than once in {subnet}"))
                    .hint(format!("also declared in {others}; give each slot an address of its own"));
            });
        }
    }
}

fn refuse(files: &mut BTreeMap<PathBuf, LoadedFile>, path: &PathBuf, say: impl FnOnce(&mut Report)) {
    let Some(file) = files.get_mut(path) else { return };
    let mut report = Report::new(&file.path, &file.text, MOST_PROBLEMS);
    say(&mut report);
    let (problems, _) = report.finish();
    file.problems.extend(problems);
    file.problems.sort_by_key(Problem::start);
    file.spec = None;
}

/// The other paths, of which no more are named than a person reads.
fn others(paths: &[PathBuf], path: &PathBuf) -> String {
    let others = paths.iter().filter(|other| *other != path).take(MOST_NAMED);
    let named = others.map(|other| text::path(other)).collect::<Vec<_>>().join(", ");
    match (paths.len() - 1).saturating_sub(MOST_NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
