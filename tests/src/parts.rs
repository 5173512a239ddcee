//! Finds the parts that `tests/parts/install` installed. The two follow the same rules.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

/// Where the parts of the end-to-end tests are.
#[derive(Clone, Debug)]
pub struct Parts {
    /// etcd's server.
    pub etcd: PathBuf,
    /// The Kubernetes API server.
    pub kube_apiserver: PathBuf,
    /// The built-in controllers: Deployments, `ReplicaSets`, service accounts and the rest.
    pub kube_controller_manager: PathBuf,
    /// The scheduler: KWOK doesn't bind pods to nodes.
    pub kube_scheduler: PathBuf,
    /// KWOK, which plays the kubelets.
    pub kwok: PathBuf,
    /// What KWOK does with nodes and pods, as its module ships it.
    pub kwok_stages: PathBuf,
    /// The Prometheus server.
    pub prometheus: PathBuf,
    /// Its tool, for back-filling and for checking rules.
    pub promtool: PathBuf,
    /// Helm.
    pub helm: Option<PathBuf>,
    /// ONNX Runtime's shared library; goes into `ORT_DYLIB_PATH`.
    pub onnxruntime: Option<PathBuf>,
    /// A directory for `PYTHONPATH` in which `import onnx` works.
    pub onnx_python: Option<PathBuf>,
}

impl Parts {
    /// Finds the parts.
    ///
    /// # Errors
    /// When one is missing; the message lists all that are, and what to do.
    pub fn find() -> Result<Self> {
        let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("parts");
        let root = root()?;
        let go = root.join(hash_of(&manifests.join("go.sum"))?);
        let python = root.join(hash_of(&manifests.join("requirements.txt"))?).join("python");
        let prometheus = root.join("prometheus/usr/bin");

        let mut missing = Vec::new();
        let mut need = |path: PathBuf| {
            if !path.is_file() {
                missing.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
            }
            path
        };
        let bin = |name: &str| given(name).unwrap_or_else(|| go.join("bin").join(name));
        let debian = |name: &str| on_path(name).unwrap_or_else(|| prometheus.join(name));
        let parts = Self {
            etcd: need(bin("etcd")),
            kube_apiserver: need(bin("kube-apiserver")),
            kube_controller_manager: need(bin("kube-controller-manager")),
            kube_scheduler: need(bin("kube-scheduler")),
            kwok: need(bin("kwok")),
            kwok_stages: need(go.join("kwok/stages.yaml")),
            prometheus: need(debian("prometheus")),
            promtool: need(debian("promtool")),
            helm: Some(root.join(hash_of(&manifests.join("helm/go.sum"))?).join("helm")).filter(|helm| helm.is_file()),
            onnxruntime: onnxruntime(&python),
            onnx_python: python.join("onnx").is_dir().then_some(python),
        };
        if missing.is_empty() {
            Ok(parts)
        } else {
            bail!("run ./test (or tests/parts/install) first; missing in {}: {}", root.display(), missing.join(", "))
        }
    }

    /// Finds the parts, or says loudly that `test` is skipped and returns nothing.
    ///
    /// # Panics
    /// Under `CI=true`, where a skipped test would be a test that nobody runs.
    #[must_use]
    pub fn or_skip(test: &str) -> Option<Self> {
        match Self::find() {
            Ok(parts) => Some(parts),
            Err(reason) => {
                skip(test, &format!("{reason:#}"));
                None
            }
        }
    }
}

/// Says loudly that `test` is skipped.
///
/// # Panics
/// Under `CI=true`.
#[allow(clippy::panic, reason = "a test can't go on, and CI must see it")]
pub fn skip(test: &str, reason: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{test} can't be skipped in CI: {reason}");
    // Past the test runner's capture, which hides what a passing test prints; on a line of its own.
    let line = format!("\nSKIP {test}: {reason}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// The parts, or a loud `SKIP` and a return from the test (which then must return `anyhow::Result<()>`).
#[macro_export]
macro_rules! need_parts {
    ($test:expr) => {
        match $crate::parts::Parts::or_skip($test) {
            Some(parts) => parts,
            None => return Ok(()),
        }
    };
}

fn root() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(root) = set("HOMEOSTAT_PARTS") {
        return Ok(root);
    }
    let cache = match set("XDG_CACHE_HOME") {
        Some(cache) => cache,
        None => set("HOME").context("neither HOMEOSTAT_PARTS nor HOME is set")?.join(".cache"),
    };
    Ok(cache.join("homeostat/parts"))
}

/// The first 16 hexadecimal digits of a file's SHA-256.
fn hash_of(path: &Path) -> Result<String> {
    let content = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(Sha256::digest(&content).iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// What `KUBEBUILDER_ASSETS`, the convention of Kubernetes projects, gives for `name`.
fn given(name: &str) -> Option<PathBuf> {
    if !matches!(name, "etcd" | "kube-apiserver") {
        return None;
    }
    let path = Path::new(&std::env::var_os("KUBEBUILDER_ASSETS")?).join(name);
    path.is_file().then_some(path)
}

pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn onnxruntime(python: &Path) -> Option<PathBuf> {
    let mut libraries: Vec<PathBuf> = std::fs::read_dir(python.join("onnxruntime/capi"))
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libonnxruntime.so")))
        .collect();
    libraries.sort();
    libraries.into_iter().next()
}
