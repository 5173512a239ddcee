//! Measurements of one replica of a workload. Not what comparing replicas comes to: that's the crate `detect`.

use crate::window::Window;

/// A window of one replica, such as a pod. The window's subject is the workload, which stays while its replicas come and go.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use homeostat_core::{Grid, ReplicaWindow, Schema, Subject, Timestamp, Window};
///
/// let schema: Schema = serde_json::from_str(r#"[{"name":"latency","signal":"latency"}]"#)?;
/// let grid = Grid::new(Timestamp::from_secs(0), Duration::from_secs(60), 2)?;
/// let values = ndarray::array![[0.2], [0.3]];
/// let window = Window::new(Subject::deployment("shop", "cart"), grid, Arc::new(schema), values)?;
/// let pod = ReplicaWindow { replica: "cart-7d4f".into(), window };
/// assert_eq!(pod.window.subject().name, "cart");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ReplicaWindow {
    /// The replica's name, which stays with it: a pod's.
    pub replica: String,
    /// Its measurements.
    pub window: Window,
}
