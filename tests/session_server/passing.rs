//! Anything else under a session is passed to the upstream.

use axum::body::Body;
use axum::http::Response as Answer;
use reqwest::Method;

use super::rig::{Program, Rig, error};

#[tokio::test]
async fn any_method_and_path_of_a_live_session_is_passed_on_and_back() {
    let rig = Rig::start(&[]).await;
    let id = rig.create().await;
    for (method, path, body) in [
        (Method::GET, "v1/models?limit=2&x=%20y", ""),
        (Method::POST, "v1/embeddings", "{\"input\":\"a\"}"),
        (Method::PUT, "files/a%20b//c", "bytes"),
        (Method::PATCH, "x", "1"),
        (Method::DELETE, "v1/files/1", ""),
        (Method::OPTIONS, "", ""),
        (Method::DELETE, "status", ""),
    ] {
        let asked = rig.ask(method.clone(), &format!("/sessions/{id}/{path}"));
        let asked = asked.header("accept-encoding", "gzip").body(body);
        let got = super::rig::spawn(async move { asked.send().await.unwrap() });
        let asked = rig.upstream.next().await;
        assert_eq!((&asked.method, asked.path.as_str()), (&method, format!("/{path}").as_str()));
        assert_eq!(asked.body, body);
        assert_eq!(asked.headers["x-smg-routing-key"], id);
        assert_eq!(asked.headers["accept-encoding"], "gzip");
        let answer = Answer::builder()
            .status(207)
            .header("content-encoding", "gzip")
            .header("x-theirs", "1")
            .header("server", "them")
            .header("connection", "close");
        asked.respond(answer.body(Body::from("not really gzip")).unwrap());
        let got = got.await.unwrap();
        assert_eq!(got.status(), 207);
        assert_eq!(got.headers()["content-encoding"], "gzip");
        assert_eq!(got.headers()["x-theirs"], "1");
        assert!(got.headers().get("server").is_none());
        assert_eq!(got.headers().get_all("date").iter().count(), 1);
        assert_eq!(got.text().await.unwrap(), "not really gzip");
    }
    assert!(rig.records(&id).await.is_empty());
}

#[tokio::test]
async fn a_body_that_comes_in_pieces_goes_on_in_pieces() {
    let rig = Rig::start(&[]).await;
    let id = rig.create().await;
    let asked = rig.ask(Method::GET, &format!("/sessions/{id}/events"));
    let got = super::rig::spawn(async move { asked.send().await.unwrap() });
    let stream = rig.upstream.next().await.stream();
    let mut got = got.await.unwrap();
    for text in ["one", "two"] {
        stream.send(text).await;
        assert_eq!(super::upstream::soon(got.chunk()).await.unwrap().unwrap(), text);
    }
    drop(got);
    stream.dropped().await;
}

#[tokio::test]
async fn a_path_that_goes_up_is_refused_and_a_redirect_is_the_clients() {
    let rig = Rig::start(&[]).await;
    let id = rig.create().await;
    for path in ["../x", "..%2Fx", "a/%2e%2E/b", "%2E", "a/.."] {
        let refused = rig.raw("GET", &format!("/sessions/{id}/{path}"), "").await;
        assert!(refused.starts_with("HTTP/1.1 400 "), "{path}: {refused}");
    }
    assert!(rig.upstream.is_idle());
    let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    let asked = http.build().unwrap().get(format!("{}/sessions/{id}/x", rig.program.url));
    let got = super::rig::spawn(async move { asked.send().await.unwrap() });
    let elsewhere = Answer::builder().status(302).header("location", "http://elsewhere/");
    rig.upstream.next().await.respond(elsewhere.body(Body::empty()).unwrap());
    let got = got.await.unwrap();
    assert_eq!(
        (got.status().as_u16(), &got.headers()["location"]),
        (302, &"http://elsewhere/".parse().unwrap())
    );
}

#[tokio::test]
async fn an_upstream_that_cannot_be_reached_is_a_502() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let program = Program::start(&["--store", "memory", "--upstream", &nobody]).await;
    let http = super::rig::client();
    let created = http.post(format!("{}/sessions", program.url)).body("{\"session_id\":\"a\"}");
    assert_eq!(created.send().await.unwrap().status(), 200);
    let failed = http.get(format!("{}/sessions/a/v1/models", program.url)).send().await.unwrap();
    assert_eq!(failed.status(), 502);
    let told = error(failed).await;
    assert!(
        told.starts_with("backend transport error: ") && told.ends_with("session_id=a"),
        "{told}"
    );
}
