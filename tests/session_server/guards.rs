//! Who may ask, and how much.

use reqwest::Method;
use serde_json::json;

use super::rig::{Rig, command, error, request};
use super::upstream::soon;

/// Every route that is not for everybody.
const GUARDED: [(&str, &str); 6] = [
    ("GET", "/sessions"),
    ("POST", "/sessions"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", "/sessions/a/v1/models"),
    ("GET", "/nothing"),
];

#[tokio::test]
async fn with_a_token_nothing_is_told_to_whoever_does_not_show_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "s3cret\n").unwrap();
    for flags in [["--token", "s3cret"], ["--token-file", file.to_str().unwrap()]] {
        let rig = Rig::start(&[&flags[..], &["--upstream-token", "ours"]].concat()).await;
        assert_eq!(rig.get("/health").await.status(), 200);
        assert_eq!(rig.get("/ready").await.status(), 200);
        for (method, path) in GUARDED {
            for shown in [None, Some("Bearer wrong"), Some("Basic s3cret"), Some("s3cret")] {
                let mut asked = rig.ask(method.parse().unwrap(), path);
                if let Some(shown) = shown {
                    asked = asked.header("authorization", shown);
                }
                let refused = asked.send().await.unwrap();
                assert_eq!(refused.status(), 401, "{method} {path} {shown:?}");
                assert_eq!(refused.headers()["www-authenticate"], "Bearer");
                error(refused).await;
            }
        }
        let body = json!({"session_id": "a"});
        let created = rig.ask(Method::POST, "/sessions").bearer_auth("s3cret").json(&body);
        assert_eq!(created.send().await.unwrap().status(), 200);
        // With a token any name of this machine will do, and the upstream does not see it.
        let asked = rig.ask(Method::POST, "/sessions/a/v1/chat/completions").bearer_auth("s3cret");
        let asked = asked.header("host", "gateway.example").json(&request("hi"));
        let chat = super::rig::spawn(async move { asked.send().await.unwrap() });
        let asked = rig.upstream.next().await;
        assert_eq!(asked.headers["authorization"], "Bearer ours");
        asked.say("hello");
        assert_eq!(chat.await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn the_page_is_open_with_a_token_and_for_this_machine_alone_without_one() {
    let rig = Rig::start(&["--token", "s3cret"]).await;
    let page = rig.get("/").await;
    assert_eq!(page.status(), 200);
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    assert_eq!(page.headers()["cache-control"], "no-cache");
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"));
    let tag = page.headers()["etag"].clone();
    let again = rig.ask(Method::GET, "/").header("if-none-match", tag).send().await.unwrap();
    assert_eq!(again.status(), 304);
    // What it asks for is there, each as what it is and as nothing else.
    let page = page.text().await.unwrap();
    let asked: Vec<_> = page.split("\"/page/").skip(1).collect();
    assert!(asked.len() >= 3, "{page}");
    for name in asked.iter().map(|it| it.split('"').next().unwrap()) {
        let file = rig.get(&format!("/page/{name}")).await;
        assert_eq!(file.status(), 200, "{name}");
        assert_eq!(file.headers()["x-content-type-options"], "nosniff");
    }
    for nothing in ["/page/nothing", "/page/..%2findex.html", "/page/a%FF"] {
        let refused = rig.get(nothing).await;
        assert_eq!(refused.status(), 404, "{nothing}");
        error(refused).await;
    }
    for guarded in ["/page", "/page/", "/page/a/b"] {
        assert!([401, 404].contains(&rig.get(guarded).await.status().as_u16()), "{guarded}");
    }

    let rig = Rig::start(&[]).await;
    assert_eq!(rig.get("/").await.status(), 200);
    for path in ["/", "/page/main.js"] {
        let stranger = rig.ask(Method::GET, path).header("host", "evil.example");
        assert_eq!(stranger.send().await.unwrap().status(), 403, "{path}");
    }
    let refused = rig.post("/", json!({})).await;
    assert_eq!(refused.status(), 405);
    error(refused).await;
}

#[tokio::test]
async fn the_servers_own_token_is_never_passed_on() {
    let rig = Rig::start(&["--token", "s3cret"]).await;
    let body = json!({"session_id": "a"});
    let created = rig.ask(Method::POST, "/sessions").bearer_auth("s3cret").json(&body);
    assert_eq!(created.send().await.unwrap().status(), 200);
    let asked = rig.ask(Method::GET, "/sessions/a/v1/models").bearer_auth("s3cret");
    let got = super::rig::spawn(async move { asked.send().await.unwrap() });
    let asked = rig.upstream.next().await;
    assert!(asked.headers.get("authorization").is_none());
    asked.status(200, "[]");
    got.await.unwrap();
}

#[tokio::test]
async fn without_a_token_only_this_machine_is_served_and_no_page_from_elsewhere() {
    let rig = Rig::start(&[]).await;
    rig.program.heard("listening on loopback only").await;
    let (_, port) = rig.program.url.rsplit_once(':').unwrap();
    for host in ["evil.example", "localhost.evil.example", "10.0.0.1"] {
        let refused = rig.ask(Method::GET, "/sessions").header("host", host).send().await.unwrap();
        assert_eq!(refused.status(), 403, "{host}");
        error(refused).await;
    }
    let local = format!("localhost:{port}");
    let served = rig.ask(Method::GET, "/sessions").header("host", &local).send().await.unwrap();
    assert_eq!(served.status(), 200);
    for origin in ["https://evil.example", "null", "http://localhost:1", "http://127.0.0.1"] {
        let asked = rig.ask(Method::POST, "/sessions").header("origin", origin);
        let refused = asked.send().await.unwrap();
        assert_eq!(refused.status(), 403, "{origin}");
        error(refused).await;
    }
    let same = rig.ask(Method::POST, "/sessions").header("origin", &rig.program.url);
    assert_eq!(same.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn without_a_token_it_does_not_start_for_others() {
    let flags = ["--upstream", "http://127.0.0.1:1", "--store", "memory", "--host", "0.0.0.0"];
    let refused = soon(command(&flags).output()).await.unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(told.contains("loopback only"), "{told}");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_a_413_wherever_it_is_sent() {
    let rig = Rig::start(&["--max-body-bytes", "1000"]).await;
    let id = rig.create().await;
    for path in ["/v1/chat/completions", "/v1/embeddings", "/cancel"] {
        let path = format!("/sessions/{id}{path}");
        for chunked in [false, true] {
            let large = vec![b' '; 1_001];
            let body = if chunked {
                let pieces = futures_util::stream::iter([Ok::<_, std::io::Error>(large)]);
                reqwest::Body::wrap_stream(pieces)
            } else {
                large.into()
            };
            let refused = rig.ask(Method::POST, &path).body(body).send().await.unwrap();
            assert_eq!(refused.status(), 413, "{path} {chunked}");
            error(refused).await;
        }
    }
    assert!(rig.upstream.is_idle());
    let metrics = rig.get("/metrics").await.text().await.unwrap();
    let line = "session_server_limit_rejected_total{limit=\"body_bytes\"} 6";
    assert!(metrics.lines().any(|it| it == line), "{metrics}");
    assert_eq!(rig.say(&id, "hi", "hello").await.status(), 200);
}
