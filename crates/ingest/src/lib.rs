//! Prometheus range data, exported files and presets, aligned into windows.
