//! Files beside each other: what only one of them may declare.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::ops::Range;
use std::path::PathBuf;

use super::names::nearest;
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

/// Refuses all files that stand on a cluster that no file declares. Where a file was named by itself, the other one may be
/// anywhere: that is said, and with it nothing begins.
pub fn refuse_unknown_dependencies(files: &mut BTreeMap<PathBuf, LoadedFile>, named: &[PathBuf]) {
    let declared: BTreeSet<ClusterName> = files.values().filter_map(|file| file.name.clone()).collect();
    let unknown = |file: &LoadedFile| file.spec.as_ref()?.depends_on.difference(&declared).next().cloned();
    let unknown: Vec<_> = files.iter().filter_map(|(path, file)| Some((path.clone(), unknown(file)?))).collect();
    for (path, name) in unknown {
        let message = format!("this cluster stands on `{name}`, which no file declares");
        if named.contains(&path) {
            let why = "give the folder, or that cluster's file too; until then nothing is replaced here";
            remark(files, &path, |report| _ = report.warning(place(report.text, &name), message).hint(why));
        } else {
            let others = declared.iter().map(|name| &**name).collect::<Vec<_>>();
            let hint = nearest(&name, &others).map_or_else(
                || "declare that cluster in the same folder, or remove the name".to_owned(),
                |meant| format!("did you mean `{meant}`?"),
            );
            refuse(files, &path, |report| _ = report.error(place(report.text, &name), message).hint(hint));
        }
    }
}

/// Refuses all files whose clusters stand on each other in a circle: each would wait for the other for ever.
pub fn refuse_circular_dependencies(files: &mut BTreeMap<PathBuf, LoadedFile>) {
    let specs = || files.iter().filter_map(|(path, file)| Some((path, file.spec.as_ref()?)));
    let edges = specs().flat_map(|(_, spec)| spec.depends_on.iter().map(move |on| (spec.name.clone(), on.clone())));
    // A name that leads nowhere is in no circle, and neither is one that nothing leads to.
    let lead_on = those_that_lead_on(edges.collect());
    let turned = those_that_lead_on(lead_on.into_iter().map(|(from, to)| (to, from)).collect());
    let circles: BTreeMap<ClusterName, ClusterName> = turned.into_iter().map(|(to, from)| (from, to)).collect();
    let in_circle: Vec<_> =
        specs().filter_map(|(path, spec)| Some((path.clone(), spec.name.clone(), circles.get(&spec.name)?))).collect();
    for (path, name, next) in in_circle {
        refuse(files, &path, |report| {
            report
                .error(
                    place(report.text, next),
                    format!("clusters stand on each other in a circle: {name} → {next} → …"),
                )
                .hint("remove one of the names: a cluster cannot wait for one that waits for it");
        });
    }
}

/// Keeps those edges that lead to one more edge, and so on without an end.
fn those_that_lead_on(mut edges: BTreeSet<(ClusterName, ClusterName)>) -> BTreeSet<(ClusterName, ClusterName)> {
    let mut to: BTreeMap<ClusterName, Vec<ClusterName>> = BTreeMap::new();
    let mut onward: BTreeMap<ClusterName, usize> = BTreeMap::new();
    for (from, on) in &edges {
        to.entry(on.clone()).or_default().push(from.clone());
        *onward.entry(from.clone()).or_default() += 1;
    }
    let mut ends: Vec<ClusterName> = to.keys().filter(|name| !onward.contains_key(*name)).cloned().collect();
    while let Some(end) = ends.pop() {
        for from in to.remove(&end).unwrap_or_default() {
            edges.remove(&(from.clone(), end.clone()));
            let left = onward.entry(from.clone()).or_default();
            *left = left.saturating_sub(1);
            if *left == 0 {
                ends.push(from);
            }
        }
    }
    edges
}

/// Finds where a file names a cluster that it stands on.
fn place(text: &str, name: &ClusterName) -> Option<Range<usize>> {
    tree::item_in(text, &["spec", "dependsOn"], name)
}

/// Adds to the problems of a file.
fn remark(files: &mut BTreeMap<PathBuf, LoadedFile>, path: &PathBuf, say: impl FnOnce(&mut Report)) {
    let Some(file) = files.get_mut(path) else { return };
    let mut report = Report::new(&file.path, &file.text, MOST_PROBLEMS);
    say(&mut report);
    let (problems, _) = report.finish();
    file.problems.extend(problems);
    file.problems.sort_by_key(Problem::start);
}

fn refuse(files: &mut BTreeMap<PathBuf, LoadedFile>, path: &PathBuf, say: impl FnOnce(&mut Report)) {
    remark(files, path, say);
    if let Some(file) = files.get_mut(path) {
        file.spec = None;
    }
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
