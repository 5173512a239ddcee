//! What loading models needs beside their bytes.

#[cfg(feature = "onnx")]
use crate::onnx::OnnxRuntime;

/// What loading needs beside the bytes. The default runs networks inside the program.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "onnx"), derive(Default))]
pub struct LoadOptions {
    /// What runs the autoencoder's network.
    #[cfg(feature = "onnx")]
    pub onnx: OnnxRuntime,
}

#[cfg(feature = "onnx")]
impl Default for LoadOptions {
    fn default() -> Self {
        Self { onnx: OnnxRuntime::embedded() }
    }
}
