//! Who may ask the API: programs on this machine that know its address. A web page can make a browser ask, too, under a name
//! of its own that leads to loopback (DNS rebinding); the `Host` header tells.

use axum::extract::Request;
use axum::http::header::{HOST, HeaderName, ORIGIN};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use super::problem;

/// Refuses requests under a foreign name, and those that change something and come from a foreign page.
pub(super) async fn check(request: Request, next: Next) -> Response {
    let refuse = |what: &str| problem(StatusCode::FORBIDDEN, "forbidden", what);
    if !host_of(request.headers(), &HOST).is_some_and(is_loopback) {
        return refuse("the Host header must name loopback: use 127.0.0.1, [::1] or localhost in the URL");
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !reads && request.headers().contains_key(ORIGIN) && !host_of(request.headers(), &ORIGIN).is_some_and(is_loopback)
    {
        return refuse("requests of web pages from elsewhere are refused");
    }
    next.run(request).await
}

/// The host in a header, without scheme and port.
fn host_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let text = headers.get(name)?.to_str().ok()?;
    let authority = text.split_once("://").map_or(text, |(_, authority)| authority);
    if authority.starts_with('[') {
        return authority.split_inclusive(']').next();
    }
    authority.split(':').next()
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> bool {
        let headers: HeaderMap = [(HOST, text.parse().expect("a value"))].into_iter().collect();
        host_of(&headers, &HOST).is_some_and(is_loopback)
    }

    #[test]
    fn only_names_of_loopback_are_ours() {
        for ours in ["127.0.0.1:9476", "127.0.0.1", "localhost", "LOCALHOST:1", "[::1]:9476", "[::1]"] {
            assert!(host(ours), "{ours}");
        }
        for foreign in
            ["evil.example", "evil.example:9476", "localhost.evil.example", "10.0.0.1:9476", "[::2]:1", "", ":9476"]
        {
            assert!(!host(foreign), "{foreign}");
        }
    }
}
