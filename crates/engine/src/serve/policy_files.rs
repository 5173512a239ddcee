//! Whether the policy files have changed. By their content: a ConfigMap that is mounted is a chain of symbolic links, of which the
//! last one changes.

use std::path::PathBuf;

/// The policy files as they were last looked at.
pub(super) struct PolicyFiles {
    paths: Vec<PathBuf>,
    seen: Vec<Option<Vec<u8>>>,
}

impl PolicyFiles {
    /// As they are now.
    pub(super) fn new(paths: Vec<PathBuf>) -> Self {
        let seen = contents(&paths);
        Self { paths, seen }
    }

    /// Where they are.
    pub(super) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Whether any of them is another one than at the last look. What can't be read counts as changed once.
    pub(super) fn have_changed(&mut self) -> bool {
        let now = contents(&self.paths);
        let changed = now != self.seen;
        self.seen = now;
        changed
    }

    /// Looks at these from now on.
    pub(super) fn watch(&mut self, paths: Vec<PathBuf>) {
        *self = Self::new(paths);
    }
}

fn contents(paths: &[PathBuf]) -> Vec<Option<Vec<u8>>> {
    paths.iter().map(|path| std::fs::read(path).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mounted_config_map_that_is_swapped_has_changed() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        for (version, text) in [("..1", "a"), ("..2", "b")] {
            std::fs::create_dir(at(version)).expect("made");
            std::fs::write(at(version).join("policies.yaml"), text).expect("written");
        }
        let link = |version: &str| {
            std::os::unix::fs::symlink(version, at("..new")).expect("linked");
            std::fs::rename(at("..new"), at("..data")).expect("swapped");
        };
        link("..1");
        std::os::unix::fs::symlink("..data/policies.yaml", at("policies.yaml")).expect("linked");
        let mut files = PolicyFiles::new(vec![at("policies.yaml")]);
        assert!(!files.have_changed());
        link("..2");
        assert!(files.have_changed() && !files.have_changed());
        std::fs::remove_file(at("policies.yaml")).expect("removed");
        assert!(files.have_changed() && !files.have_changed(), "once");
    }
}
