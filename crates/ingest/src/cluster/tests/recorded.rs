//! Files as kubectl writes them.

use std::path::PathBuf;

use crate::cluster::files::{ClusterFiles, ClusterFilesError};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/cluster").join(name)
}

fn sentences(names: &[&str]) -> Vec<(String, String)> {
    let mut files = ClusterFiles::default();
    names.iter().for_each(|name| files.read(&path(name)).unwrap());
    let at = files.cluster.newest_moment().unwrap();
    files.cluster.facts(at).into_iter().map(|fact| (fact.subject.to_string(), fact.sentence)).collect()
}

#[test]
fn several_files_are_one_cluster() {
    let found = sentences(&["missing-configmap.json", "crash-loop.json"]);
    let wanted = [
        ("shop/deployment/cart", "ConfigMap `settings` doesn't exist (1 of 3 pods); since revision 2"),
        ("shop/deployment/orders", "the container `app` crashes again and again: exit code 1"),
    ];
    assert_eq!(found, wanted.map(|(subject, sentence)| (subject.to_owned(), sentence.to_owned())));
}

#[test]
fn what_is_no_object_is_refused_with_what_to_do() {
    let read = |name: &str| ClusterFiles::default().read(&path(name)).unwrap_err();
    assert!(matches!(read("nothing.json"), ClusterFilesError::NoObject { .. }));
    assert!(matches!(read("not-there.json"), ClusterFilesError::NotRead { .. }));
}

#[test]
fn nothing_of_an_environment_or_a_manager_is_kept() {
    let mut files = ClusterFiles::default();
    files.read(&path("missing-configmap.json")).unwrap();
    let kept = format!("{:?}", files.cluster);
    assert!(!kept.contains("COLOR") && !kept.contains("managedFields") && !kept.contains("last-applied"), "{kept}");
}
