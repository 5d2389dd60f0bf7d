//! One turn at a time: what the upstream gets, what the client gets, what is recorded.

use axum::http::Response as Answer;
use reqwest::Method;
use serde_json::{Value, json};

use super::rig::{Program, Rig, commit, error, request};
use super::upstream::completion;

#[tokio::test]
async fn a_turn_is_answered_as_the_upstream_does_and_recorded_as_it_was() {
    let rig = Rig::start(&[]).await;
    let id = rig.create().await;
    let sent = r#"{"messages":[{"role":"user","content":"hi"}],  "zeta":1.10, "alpha":{"b":[]}}"#;
    let path = format!("/sessions/{id}/v1/chat/completions");
    let asked = rig.ask(Method::POST, &path).header("content-type", "application/json").body(sent);
    let chat = super::rig::spawn(async move { asked.send().await.unwrap() });
    let asked = rig.upstream.next().await;
    assert_eq!((&asked.method, &*asked.path), (&Method::POST, "/v1/chat/completions"));
    assert_eq!(asked.body, sent);
    let answer = r#"{"choices":[{"message":{"role":"assistant","content":"hello"}}],"odd":1.50}"#;
    asked.respond(Answer::new(answer.into()));
    let chat = chat.await.unwrap();
    assert_eq!((chat.status().as_u16(), commit(&chat)), (200, "committed"));
    assert_eq!(chat.text().await.unwrap(), answer);

    let told = rig.get(&format!("/sessions/{id}")).await.text().await.unwrap();
    assert!(told.contains(sent) && told.contains(answer), "byte for byte: {told}");
    let records = rig.records(&id).await;
    assert_eq!(records.len(), 1);
    let record = &records[0];
    assert_eq!((&record["method"], &record["status_code"]), (&json!("POST"), &json!(200)));
    assert_eq!(record["path"], "/v1/chat/completions");
    let (asked, answered) = (record["request_timestamp"].as_f64(), record["timestamp"].as_f64());
    assert!(asked.unwrap() > 1e9 && answered.unwrap() >= asked.unwrap());
}

#[tokio::test]
async fn turns_are_recorded_in_their_order_and_survive_a_restart() {
    let mut rig = Rig::start(&[]).await;
    let id = rig.create().await;
    for turn in 0..3 {
        rig.say(&id, &format!("q{turn}"), &format!("a{turn}")).await;
    }
    let before = rig.records(&id).await;
    assert_eq!(before.len(), 3);
    rig.program.terminate();
    assert!(rig.program.ended().await.success());
    rig.restart().await;
    assert_eq!(rig.records(&id).await, before);
    rig.say(&id, "q3", "a3").await;
    assert_eq!(rig.said(&id).await[3], ("q3".to_owned(), "a3".to_owned()));
}

#[tokio::test]
async fn headers_of_a_connection_stay_on_it() {
    let rig = Rig::start(&[]).await;
    let id = rig.create().await;
    let path = format!("/sessions/{id}/v1/chat/completions?trace=1");
    let asked = rig
        .ask(Method::POST, &path)
        .header("connection", "keep-alive, x-mine")
        .header("x-mine", "1")
        .header("x-other", "2")
        .header("te", "trailers")
        .header("accept-encoding", "gzip")
        .header("authorization", "Bearer theirs")
        .header("x-smg-routing-key", "forged")
        .json(&request("hi"));
    let chat = super::rig::spawn(async move { asked.send().await.unwrap() });
    let asked = rig.upstream.next().await;
    let got = |name: &str| asked.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(asked.path, "/v1/chat/completions?trace=1");
    assert_eq!(got("x-smg-routing-key"), Some(id.clone()));
    assert_eq!(got("x-other").as_deref(), Some("2"));
    assert_eq!(got("authorization").as_deref(), Some("Bearer theirs"));
    assert_eq!(got("content-type").as_deref(), Some("application/json"));
    assert_eq!(got("host").map(|host| format!("http://{host}")), Some(rig.upstream.url.clone()));
    assert_eq!(got("content-length"), Some(asked.body.len().to_string()));
    for name in ["x-mine", "te", "accept-encoding", "transfer-encoding", "connection"] {
        assert_eq!(got(name), None, "{name}");
    }
    let body = completion("hello").to_string();
    let answer = Answer::builder()
        .header("server", "them")
        .header("date", "then")
        .header("keep-alive", "timeout=1")
        .header("x-ratelimit", "7")
        .header("content-type", "application/json; charset=utf-8");
    asked.respond(answer.body(body.into()).unwrap());
    let chat = chat.await.unwrap();
    let headers = chat.headers();
    assert_eq!(headers["x-ratelimit"], "7");
    assert_eq!(headers["content-type"], "application/json; charset=utf-8");
    assert_eq!(headers.get_all("date").iter().count(), 1);
    assert_ne!(headers["date"], "then");
    assert_eq!(headers.get_all("content-length").iter().count(), 1);
    for name in ["server", "keep-alive", "content-encoding"] {
        assert!(headers.get(name).is_none(), "{name}");
    }
}

#[tokio::test]
async fn what_the_upstream_refuses_is_passed_on_and_not_recorded() {
    let rig = Rig::start(&["--busy", "reject"]).await;
    let id = rig.create().await;
    for status in [201, 400, 401, 429, 500, 503] {
        let chat = rig.chat(&id, &request("hi"));
        rig.upstream.next().await.status(status, "{\"error\": {\"odd\": 1}}");
        let chat = chat.await.unwrap();
        assert_eq!((chat.status().as_u16(), commit(&chat)), (status, ""));
        assert_eq!(chat.text().await.unwrap(), "{\"error\": {\"odd\": 1}}");
        assert_eq!(rig.records(&id).await, Vec::<Value>::new());
    }
    assert_eq!(rig.say(&id, "again", "fine").await.status(), 200);
    assert_eq!(rig.said(&id).await, [("again".to_owned(), "fine".to_owned())]);
}

#[tokio::test]
async fn an_upstream_that_cannot_be_reached_is_a_502_and_the_session_goes_on() {
    let rig = Rig::start(&["--busy", "reject"]).await;
    let id = rig.create().await;
    // It breaks off in the middle of its answer.
    let chat = rig.chat(&id, &request("hi"));
    rig.upstream.next().await.stream().cut().await;
    let broken = chat.await.unwrap();
    assert_eq!(broken.status(), 502);
    let told = error(broken).await;
    assert!(told.starts_with("backend transport error: ") && told.contains(&id), "{told}");
    assert_eq!(rig.say(&id, "again", "fine").await.status(), 200);
    assert_eq!(rig.records(&id).await.len(), 1);

    // Nobody is there.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let program =
        Program::start(&["--store", "memory", "--upstream", &nobody, "--unknown", "create"]).await;
    let url = format!("{}/sessions/a/v1/chat/completions", program.url);
    let failed = rig.http.post(url).json(&request("hi")).send().await.unwrap();
    assert_eq!(failed.status(), 502);
    assert!(error(failed).await.starts_with("backend transport error: "));
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused_before_the_upstream_is_asked() {
    let rig = Rig::start(&[]).await;
    let id = rig.create().await;
    let path = format!("/sessions/{id}/v1/chat/completions");
    for body in [&b"{"[..], b"", b"hello", b"{} {}", b"\xff\xfe"] {
        let refused = rig.ask(Method::POST, &path).body(body).send().await.unwrap();
        assert_eq!(refused.status(), 400);
        assert!(error(refused).await.contains(&id));
    }
    assert!(rig.upstream.is_idle());
    assert_eq!(rig.json(&format!("/sessions/{id}/status")).await["phase"], "idle");
}

#[tokio::test]
async fn an_answer_without_a_message_is_a_502_and_not_recorded() {
    let rig = Rig::start(&["--busy", "reject"]).await;
    let id = rig.create().await;
    for body in ["{}", "hello", r#"{"choices":[]}"#, r#"{"choices":[{"message":null}]}"#] {
        let chat = rig.chat(&id, &request("hi"));
        rig.upstream.next().await.respond(Answer::new(body.into()));
        let chat = chat.await.unwrap();
        assert_eq!(chat.status(), 502, "{body}");
        let told = error(chat).await;
        assert!(told.contains("choices[0].message") && told.contains(&id), "{told}");
    }
    assert_eq!(rig.records(&id).await, Vec::<Value>::new());
    assert_eq!(rig.say(&id, "again", "fine").await.status(), 200);
}

#[tokio::test]
async fn another_method_on_the_chats_path_is_passed_on() {
    let rig = Rig::start(&[]).await;
    let id = rig.create().await;
    let asked = rig.ask(Method::GET, &format!("/sessions/{id}/v1/chat/completions"));
    let got = super::rig::spawn(async move { asked.send().await.unwrap() });
    let asked = rig.upstream.next().await;
    assert_eq!(asked.method, Method::GET);
    asked.status(418, "no");
    assert_eq!(got.await.unwrap().status(), 418);
}
