//! What runs the networks of models: the ONNX backend inside the program, or a native library that the config names. A program without the
//! feature `onnx` has none, and no autoencoder.

use std::path::Path;

use homeostat_detect::LoadOptions;
#[cfg(feature = "onnx")]
use homeostat_detect::OnnxRuntime;

/// What the config names.
#[cfg(feature = "onnx")]
pub(crate) fn load_options(library: Option<&Path>) -> anyhow::Result<LoadOptions> {
    let onnx = match library {
        Some(path) => OnnxRuntime::native(path)?,
        None => OnnxRuntime::embedded(),
    };
    Ok(LoadOptions { onnx })
}

/// The same of a program without ONNX, which refuses a library.
#[cfg(not(feature = "onnx"))]
pub(crate) fn load_options(library: Option<&Path>) -> anyhow::Result<LoadOptions> {
    match library {
        Some(path) => anyhow::bail!(
            "the ONNX library {} can't be used: this homeostat was built without the feature `onnx`; leave it out, or use another build",
            path.display()
        ),
        None => Ok(LoadOptions::default()),
    }
}

/// Its name.
#[cfg(feature = "onnx")]
pub(crate) fn backend(options: &LoadOptions) -> &'static str {
    options.onnx.backend()
}

/// There is none.
#[cfg(not(feature = "onnx"))]
pub(crate) fn backend(_options: &LoadOptions) -> &'static str {
    "none"
}
