//! One HTTP client for whatever sends requests to systems outside: channels and actions.
//!
//! It sends a request once, follows no redirect, shows no part of a URL that may be secret, and says whether a request
//! without an answer may have arrived. What an answer means is for whoever asked.

mod client;
mod secret_url;

pub use client::{ANSWER_BYTES_MAX, Answer, Http, NoAnswer, Request};
pub use secret_url::SecretUrl;
