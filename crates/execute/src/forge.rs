//! A pull request at a forge, in the shapes of GitHub and GitLab: whether there is one for a branch, and opening one.

use std::time::Duration;

use homeostat_http::{Answer, Http, Request, SecretUrl};
use serde_json::{Value, json};

use crate::outside;

/// Asked in each cycle, in which detection waits for it.
const LIMIT: Duration = Duration::from_secs(5);

/// Which forge's API it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forge {
    /// GitHub, GitHub Enterprise, Gitea and Forgejo.
    GitHub,
    /// GitLab.
    GitLab,
}

/// A pull request to open.
pub(crate) struct PullRequest<'a> {
    pub(crate) forge: Forge,
    /// The repository's or project's resource in the API.
    pub(crate) url: &'a str,
    pub(crate) token_file: &'a str,
    pub(crate) branch: &'a str,
    /// The branch to merge it into.
    pub(crate) base: &'a str,
    pub(crate) title: &'a str,
    pub(crate) text: &'a str,
}

impl Forge {
    /// Both, as policies name them.
    pub(crate) const ALL: [(&'static str, Self); 2] = [("github", Self::GitHub), ("gitlab", Self::GitLab)];
}

impl PullRequest<'_> {
    /// Where to and what, for people and for the journal.
    pub(crate) fn payload(&self) -> Value {
        json!({ "method": "POST", "url": self.collection(), "body": self.body(), "token": format!("<in {}>", self.token_file) })
    }

    fn collection(&self) -> String {
        let plural = match self.forge {
            Forge::GitHub => "pulls",
            Forge::GitLab => "merge_requests",
        };
        format!("{}/{plural}", self.url)
    }

    fn body(&self) -> Value {
        match self.forge {
            Forge::GitHub => json!({ "title": self.title, "head": self.branch, "base": self.base, "body": self.text }),
            Forge::GitLab => json!({ "title": self.title, "source_branch": self.branch, "target_branch": self.base,
                "description": self.text, "remove_source_branch": true }),
        }
    }

    /// Those of the branch, whatever their state: one that somebody closed isn't opened again.
    fn existing(&self) -> String {
        let (collection, branch) = (self.collection(), self.branch);
        match self.forge {
            Forge::GitHub => {
                let owner = self.url.rsplit('/').nth(1).unwrap_or_default();
                format!("{collection}?state=all&head={owner}:{branch}")
            }
            Forge::GitLab => format!("{collection}?state=all&source_branch={branch}"),
        }
    }

    /// Opens it unless there is one.
    pub(crate) async fn open(&self, http: &Http) -> Result<(), String> {
        let token = outside::secret(self.token_file)?;
        let existing = self.send(http, &token, "GET", &self.existing(), String::new()).await?;
        match existing.body.trim_start().strip_prefix('[').map(str::trim_start) {
            Some(list) if existing.is_success() && list.starts_with(']') => {}
            Some(_) if existing.is_success() => return Ok(()),
            Some(_) | None => return Err(format!("the forge's list of pull requests: {}", existing.quote)),
        }
        let opened = self.send(http, &token, "POST", &self.collection(), self.body().to_string()).await?;
        if opened.is_success() { Ok(()) } else { Err(format!("opening the pull request: {}", opened.quote)) }
    }

    async fn send(&self, http: &Http, token: &str, method: &str, url: &str, body: String) -> Result<Answer, String> {
        let url = SecretUrl::parse(url)?;
        let bearer = format!("Bearer {token}");
        let (name, value, accept) = match self.forge {
            Forge::GitHub => ("authorization", bearer.as_str(), "application/vnd.github+json"),
            Forge::GitLab => ("private-token", token, "application/json"),
        };
        let headers = [(name, value), ("accept", accept), ("content-type", "application/json")];
        let request = Request { method, url: &url, headers: &headers, body, limit: LIMIT };
        http.send(request).await.map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    type Requests = Arc<Mutex<Vec<String>>>;

    /// A forge that has these pull requests of every branch, and keeps what it was asked.
    async fn forge(list: &'static str, created: u16) -> (String, Requests) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/repos/shop/manifests", listener.local_addr().unwrap());
        let requests = Requests::default();
        let log = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut text = String::new();
                let mut buffer = [0; 4096];
                while !text.contains("\r\n\r\n") || (text.starts_with("POST") && !text.ends_with('}')) {
                    let n_bytes = stream.read(&mut buffer).await.unwrap();
                    text.push_str(&String::from_utf8_lossy(&buffer[..n_bytes]));
                }
                let (status, body) = if text.starts_with("GET") { (200, list) } else { (created, "{}") };
                log.lock().unwrap().push(text);
                let head =
                    format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
                stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            }
        });
        (url, requests)
    }

    async fn open(forge: Forge, url: &str) -> Result<(), String> {
        let token = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(token.path(), "t0ken\n").unwrap();
        let token_file = token.path().display().to_string();
        let request = PullRequest {
            forge,
            url,
            token_file: &token_file,
            branch: "homeostat/act-1-ab",
            base: "main",
            title: "cart: replicas from 3 to 5",
            text: "because",
        };
        assert!(!request.payload().to_string().contains("t0ken"), "the token is in no journal");
        request.open(&Http::default()).await
    }

    #[tokio::test]
    async fn a_pull_request_is_opened_in_the_forges_own_shape() {
        let (url, requests) = forge("[]", 201).await;
        open(Forge::GitHub, &url).await.unwrap();
        open(Forge::GitLab, &url).await.unwrap();
        let requests = requests.lock().unwrap().clone();
        let expected = [
            ("GET /repos/shop/manifests/pulls?state=all&head=shop:homeostat/act-1-ab ", "authorization: Bearer t0ken"),
            ("POST /repos/shop/manifests/pulls ", r#""head":"homeostat/act-1-ab""#),
            (
                "GET /repos/shop/manifests/merge_requests?state=all&source_branch=homeostat/act-1-ab ",
                "private-token: t0ken",
            ),
            ("POST /repos/shop/manifests/merge_requests ", r#""source_branch":"homeostat/act-1-ab""#),
        ];
        assert_eq!(requests.len(), expected.len(), "{requests:?}");
        for (request, (begins, has)) in requests.iter().zip(expected) {
            assert!(request.starts_with(begins) && request.contains(has), "{begins}: {request}");
        }
    }

    #[tokio::test]
    async fn one_that_is_there_already_or_was_closed_is_not_opened_again() {
        let (url, requests) = forge(r#"[{"state":"closed"}]"#, 201).await;
        open(Forge::GitHub, &url).await.unwrap();
        assert_eq!(requests.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn what_the_forge_refuses_is_said_and_a_strange_list_opens_nothing() {
        let (url, _) = forge("[]", 403).await;
        assert!(open(Forge::GitHub, &url).await.unwrap_err().contains("403"));
        let (url, requests) = forge(r#"{"message":"who are you?"}"#, 201).await;
        assert!(open(Forge::GitLab, &url).await.unwrap_err().contains("who are you?"));
        assert_eq!(requests.lock().unwrap().len(), 1);
    }
}
