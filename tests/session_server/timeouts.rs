//! An upstream that takes too long: to be connected to, to begin, to go on.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};

use super::rig::{Program, Rig, error, request, spawn, streamed};
use super::upstream::{Asked, piece, soon};

/// Chats, and lets the upstream say nothing: the client is told, and the call is dropped.
async fn says_nothing(rig: &Rig, id: &str, body: &Value) {
    let chat = rig.chat(id, body);
    let asked: Asked = rig.upstream.next().await;
    let late = soon(chat).await.unwrap();
    assert_eq!(late.status(), 502);
    let told = error(late).await;
    assert!(told.starts_with("backend transport error: ") && told.contains(id), "{told}");
    asked.dropped().await;
}

/// How often an upstream was told that it took too long.
async fn timeouts(rig: &Rig) -> u64 {
    let metrics = rig.get("/metrics").await.text().await.unwrap();
    let name = "session_server_limit_rejected_total{limit=\"upstream_timeout\"} ";
    metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_in_time_is_a_502_and_the_session_goes_on() {
    let rig = Rig::start(&["--busy", "reject", "--upstream-timeout", "1s"]).await;
    let id = rig.create().await;
    assert_eq!(timeouts(&rig).await, 0);
    says_nothing(&rig, &id, &request("hi")).await;
    says_nothing(&rig, &id, &streamed("hi")).await;
    assert_eq!(rig.records(&id).await, Vec::<Value>::new());
    assert_eq!(timeouts(&rig).await, 2);
    assert_eq!(rig.say(&id, "again", "fine").await.status(), 200);
    assert_eq!(rig.records(&id).await.len(), 1);
}

#[tokio::test]
async fn a_stream_that_stalls_in_the_middle_ends_with_an_error_and_is_not_recorded() {
    let rig = Rig::start(&["--busy", "reject", "--upstream-timeout", "2s"]).await;
    let id = rig.create().await;
    let chat = rig.chat(&id, &streamed("hi"));
    let stream = rig.upstream.next().await.stream();
    stream.say("Hel").await;
    let read = soon(chat.await.unwrap().text()).await.unwrap();
    let data: Vec<_> = read.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert_eq!((data.len(), data[0]), (2, &*piece("Hel").to_string()), "{read}");
    let last: Value = serde_json::from_str(data[1]).unwrap();
    let told = last["error"].as_str().unwrap();
    assert!(told.starts_with("backend transport error: ") && told.contains(&id), "{told}");
    stream.dropped().await;

    // One that was to come in one piece, and stops in it.
    let chat = rig.chat(&id, &request("hi"));
    let stream = rig.upstream.next().await.stream();
    stream.send("{\"choices\":").await;
    let late = soon(chat).await.unwrap();
    assert_eq!(late.status(), 502);
    assert!(error(late).await.starts_with("backend transport error: "));
    stream.dropped().await;
    assert_eq!(rig.records(&id).await, Vec::<Value>::new());
    assert_eq!(timeouts(&rig).await, 2);
    assert_eq!(rig.say(&id, "again", "fine").await.status(), 200);
}

#[tokio::test]
async fn a_stream_that_goes_on_takes_as_long_as_it_likes() {
    let rig = Rig::start(&["--upstream-timeout", "4s"]).await;
    let id = rig.create().await;
    let chat = rig.chat(&id, &streamed("hi"));
    let stream = rig.upstream.next().await.stream();
    // Longer than may pass without a word, and not without one.
    for _ in 0..45 {
        stream.say("x").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stream.done().await;
    let read = soon(chat.await.unwrap().text()).await.unwrap();
    assert!(read.ends_with(": x-session-commit: committed\n\ndata: [DONE]\n\n"), "{read}");
}

#[tokio::test]
async fn what_is_passed_on_has_as_long() {
    let rig = Rig::start(&["--upstream-timeout", "1s"]).await;
    let id = rig.create().await;
    let asked = rig.ask(Method::GET, &format!("/sessions/{id}/v1/models"));
    let got = spawn(async move { soon(asked.send()).await.unwrap() });
    let asked = rig.upstream.next().await;
    let late = got.await.unwrap();
    assert_eq!(late.status(), 502);
    assert!(error(late).await.starts_with("backend transport error: "));
    asked.dropped().await;
    let asked = rig.ask(Method::GET, &format!("/sessions/{id}/v1/models"));
    let got = spawn(async move { soon(asked.send()).await.unwrap() });
    let stream = rig.upstream.next().await.stream();
    stream.send("half").await;
    // The head is out, so it can only break off.
    assert!(soon(got.await.unwrap().text()).await.is_err());
    stream.dropped().await;
    assert_eq!(timeouts(&rig).await, 2);
}

#[tokio::test]
async fn an_upstream_that_cannot_be_connected_to_in_time_is_a_502() {
    // One that takes no connection: its line is short, and full.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut line = Vec::new();
    while line.len() < 16 {
        let connecting = TcpStream::connect(address);
        match tokio::time::timeout(Duration::from_millis(500), connecting).await {
            Ok(connection) => line.push(connection.unwrap()),
            Err(_) => break,
        }
    }
    assert!(line.len() < 16, "a line that never is full");

    let upstream = format!("http://{address}");
    let flags = ["--store", "memory", "--unknown", "create", "--upstream", &upstream];
    // It would take ten seconds if nothing was said.
    let own = ["--upstream-connect-timeout", "200ms"];
    let program = Program::start(&[&flags[..], &own].concat()).await;
    let url = format!("{}/sessions/a/v1/chat/completions", program.url);
    let asked = super::rig::client().post(url).json(&request("hi")).send();
    let late = tokio::time::timeout(Duration::from_secs(8), asked).await.unwrap().unwrap();
    assert_eq!(late.status(), 502);
    assert!(error(late).await.starts_with("backend transport error: "));
}

#[tokio::test]
async fn every_limit_has_a_default_and_is_told() {
    let rig = Rig::start(&["--busy", "queue", "--queue", "1", "--max-answer-bytes", "2000"]).await;
    let program = Program::start(&["--store", "memory", "--upstream", &rig.upstream.url]).await;
    let metrics = rig.http.get(format!("{}/metrics", program.url)).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for (limit, max) in [
        ("session_server_limit_max{limit=\"body_bytes\"}", 32 << 20),
        ("session_server_limit_max{limit=\"answer_bytes\"}", 64 << 20),
        ("session_server_limit_max{limit=\"queue\"}", 16),
        ("session_server_limit_max{limit=\"upstream_connections\"}", 4_096),
        ("session_server_limit_max{limit=\"upstream_timeout\"}", 600),
        ("session_limit_max{limit=\"turns\"}", 4_096),
        ("session_limit_max{limit=\"queued_turns\"}", 4_096),
        ("session_limit_max{limit=\"queued_bytes\"}", 256 << 20),
        ("session_limit_max{limit=\"sessions\"}", 1_000_000),
    ] {
        let line = format!("{limit} {max}");
        assert!(metrics.lines().any(|it| it == line), "{line} is not in\n{metrics}");
        let rejected = limit.replace("_max{", "_rejected_total{") + " 0";
        assert!(metrics.lines().any(|it| it == rejected), "{rejected} is not in\n{metrics}");
    }

    let id = rig.create().await;
    let running = rig.chat(&id, &request("a"));
    let asked = rig.upstream.next().await;
    let waiting = rig.chat(&id, &request("b"));
    rig.until(&id, |status| status["queued"] == json!(1)).await;
    assert_eq!(rig.chat(&id, &request("c")).await.unwrap().status(), 429);
    asked.say(&"x".repeat(3_000));
    assert_eq!(running.await.unwrap().status(), 502);
    rig.upstream.next().await.say("B");
    assert_eq!(waiting.await.unwrap().status(), 200);
    let metrics = rig.get("/metrics").await.text().await.unwrap();
    for limit in ["queue", "answer_bytes"] {
        let line = format!("session_server_limit_rejected_total{{limit=\"{limit}\"}} 1");
        assert!(metrics.lines().any(|it| it == line), "{line} is not in\n{metrics}");
    }
}
