//! Two turns of one session at once, under each policy.

use std::time::Duration;

use serde_json::{Value, json};

use super::rig::{Rig, commit, error, request};

#[tokio::test]
async fn in_parallel_all_run_one_commit_wins_and_the_others_are_told() {
    let rig = Rig::start(&[]).await;
    let id = rig.create().await;
    let mut chats = Vec::new();
    let mut asked = Vec::new();
    for said in ["a", "b", "c"] {
        chats.push(rig.chat(&id, &request(said)));
        asked.push(rig.upstream.next().await);
    }
    let status = rig.json(&format!("/sessions/{id}/status")).await;
    // The second answers first.
    asked.remove(1).say("B");
    let winner = chats.remove(1).await.unwrap();
    assert_eq!((winner.status().as_u16(), commit(&winner)), (200, "committed"));
    let mut streams = Vec::new();
    for (chat, (asked, answer)) in chats.into_iter().zip(asked.into_iter().zip(["A", "C"])) {
        asked.say(answer);
        let chat = chat.await.unwrap();
        assert_eq!((chat.status().as_u16(), commit(&chat)), (200, "superseded"));
        streams.push(chat.headers()["x-session-stream"].to_str().unwrap().to_owned());
        let body: Value = chat.json().await.unwrap();
        assert_eq!(body["choices"][0]["message"]["content"], answer);
    }
    // The one begun last was the active one.
    assert_eq!(status["active_stream"], json!(streams[1]));
    assert_eq!(rig.said(&id).await, [("b".to_owned(), "B".to_owned())]);
    let next = rig.say(&id, "d", "D").await;
    assert_eq!(commit(&next), "committed");
    assert_eq!(rig.records(&id).await.len(), 2);
}

#[tokio::test]
async fn under_reject_the_second_is_refused_before_its_body_is_read() {
    let rig = Rig::start(&["--busy", "reject"]).await;
    let id = rig.create().await;
    let chat = rig.chat(&id, &request("a"));
    let asked = rig.upstream.next().await;
    let active = rig.json(&format!("/sessions/{id}/status")).await["active_stream"].clone();
    let active = active.as_str().unwrap();

    let path = format!("/sessions/{id}/v1/chat/completions");
    let headers = "content-type: application/json\r\ncontent-length: 1000\r\n";
    let answer = rig.raw("POST", &path, headers).await;
    assert!(answer.starts_with("HTTP/1.1 409 "), "{answer}");
    assert!(answer.contains(active) && answer.contains(&id), "{answer}");

    asked.say("A");
    assert_eq!(commit(&chat.await.unwrap()), "committed");
    assert_eq!(rig.say(&id, "b", "B").await.status(), 200);
    assert_eq!(rig.records(&id).await.len(), 2);
}

#[tokio::test]
async fn under_queue_turns_run_one_after_the_other_in_order() {
    let rig = Rig::start(&["--busy", "queue"]).await;
    let id = rig.create().await;
    let mut chats = vec![rig.chat(&id, &request("0"))];
    let mut asked = rig.upstream.next().await;
    for waiting in 1..4 {
        chats.push(rig.chat(&id, &request(&waiting.to_string())));
        rig.until(&id, |status| status["queued"] == waiting).await;
    }
    assert!(rig.upstream.is_idle());
    for (turn, chat) in chats.into_iter().enumerate() {
        assert_eq!(asked.json()["messages"][0]["content"], turn.to_string());
        asked.say("ok");
        assert_eq!(commit(&chat.await.unwrap()), "committed");
        if turn == 3 {
            break;
        }
        asked = rig.upstream.next().await;
    }
    let said: Vec<_> = rig.said(&id).await.into_iter().map(|(asked, _)| asked).collect();
    assert_eq!(said, ["0", "1", "2", "3"]);
}

#[tokio::test]
async fn a_full_queue_and_one_that_takes_too_long_are_told() {
    let rig = Rig::start(&["--busy", "queue", "--queue", "1", "--queue-wait", "300ms"]).await;
    let id = rig.create().await;
    let running = rig.chat(&id, &request("a"));
    let asked = rig.upstream.next().await;
    let waiting = rig.chat(&id, &request("b"));
    rig.until(&id, |status| status["queued"] == 1).await;
    let full = rig.chat(&id, &request("c")).await.unwrap();
    assert_eq!(full.status(), 429);
    assert_eq!(full.headers()["retry-after"], "1");
    assert!(error(full).await.contains(&id));
    let late = waiting.await.unwrap();
    assert_eq!(late.status(), 409);
    assert!(error(late).await.contains(&id));
    asked.say("A");
    assert_eq!(running.await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_client_that_leaves_the_queue_is_not_run() {
    let rig = Rig::start(&["--busy", "queue"]).await;
    let id = rig.create().await;
    let running = rig.chat(&id, &request("a"));
    let asked = rig.upstream.next().await;
    let waiting = rig.chat(&id, &request("b"));
    rig.until(&id, |status| status["queued"] == 1).await;
    waiting.abort();
    rig.until(&id, |status| status["queued"] == 0).await;
    asked.say("A");
    running.await.unwrap();
    assert_eq!(rig.said(&id).await, [("a".to_owned(), "A".to_owned())]);
    assert!(rig.upstream.is_idle());
}

#[tokio::test]
async fn under_interrupt_the_newcomer_ends_the_one_that_runs() {
    let rig = Rig::start(&["--busy", "interrupt"]).await;
    let id = rig.create().await;
    let first = rig.chat(&id, &request("a"));
    let asked = rig.upstream.next().await;
    let stream = rig.json(&format!("/sessions/{id}/status")).await["active_stream"].clone();
    let second = rig.chat(&id, &request("b"));
    asked.dropped().await;
    let first = first.await.unwrap();
    assert_eq!(first.status(), 409);
    let told = error(first).await;
    assert!(told.contains("interrupted") && told.contains(&id), "{told}");
    assert!(told.contains(stream.as_str().unwrap()), "{told}");
    rig.upstream.next().await.say("B");
    assert_eq!(commit(&second.await.unwrap()), "committed");
    assert_eq!(rig.said(&id).await, [("b".to_owned(), "B".to_owned())]);
}

#[tokio::test]
async fn as_many_turns_run_as_may_and_one_more_is_told_when_to_come_back() {
    let rig = Rig::start(&["--max-turns", "2"]).await;
    let mut running = Vec::new();
    for _ in 0..2 {
        let id = rig.create().await;
        running.push((rig.chat(&id, &request("a")), rig.upstream.next().await));
    }
    let id = rig.create().await;
    let refused = rig.chat(&id, &request("a")).await.unwrap();
    assert_eq!(refused.status(), 429);
    let after: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&after), "{after}");
    assert!(error(refused).await.contains(&id));
    for (chat, asked) in running {
        asked.say("A");
        assert_eq!(chat.await.unwrap().status(), 200);
    }
    assert_eq!(rig.say(&id, "a", "A").await.status(), 200);
    let metrics = rig.get("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("session_limit_rejected_total{limit=\"turns\"} 1"), "{metrics}");
}

#[tokio::test]
async fn with_a_wait_one_more_turn_waits_for_a_place() {
    let rig = Rig::start(&["--max-turns", "1", "--turn-wait", "30s"]).await;
    let (first, second) = (rig.create().await, rig.create().await);
    let running = rig.chat(&first, &request("a"));
    let asked = rig.upstream.next().await;
    let waiting = rig.chat(&second, &request("b"));
    rig.until(&second, |status| status["queued"] == 1).await;
    asked.say("A");
    running.await.unwrap();
    rig.upstream.next().await.say("B");
    let waited = tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap();
    assert_eq!(waited.status(), 200);
}

#[tokio::test]
async fn bytes_that_wait_sessions_and_upstream_connections_are_bounded() {
    let rig = Rig::start(&[
        "--busy",
        "queue",
        "--max-queued-bytes",
        "2000",
        "--max-sessions",
        "2",
        "--upstream-connections",
        "1",
    ])
    .await;
    let (id, other) = (rig.create().await, rig.create().await);
    let refused = rig.post("/sessions", json!({})).await;
    assert_eq!(refused.status(), 429);
    error(refused).await;

    let running = rig.chat(&id, &request("a"));
    let asked = rig.upstream.next().await;
    let large = rig.chat(&id, &request(&"x".repeat(3_000))).await.unwrap();
    assert_eq!(large.status(), 429);
    assert!(error(large).await.contains("max_queued_bytes"));
    let connections = rig.chat(&other, &request("b")).await.unwrap();
    assert_eq!(connections.status(), 429);
    assert_eq!(connections.headers()["retry-after"], "1");
    assert!(error(connections).await.contains(&other));
    asked.say("A");
    running.await.unwrap();
    assert_eq!(rig.say(&other, "b", "B").await.status(), 200);
    let metrics = rig.get("/metrics").await.text().await.unwrap();
    for limit in ["queued_bytes", "sessions"] {
        let line = format!("session_limit_rejected_total{{limit=\"{limit}\"}} 1");
        assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
    }
    let line = "session_server_limit_rejected_total{limit=\"upstream_connections\"} 1";
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test]
async fn as_many_turns_wait_in_all_sessions_as_may() {
    let rig = Rig::start(&["--busy", "queue", "--max-queued", "1"]).await;
    let (one, other) = (rig.create().await, rig.create().await);
    let running = [rig.chat(&one, &request("a")), rig.chat(&other, &request("b"))];
    let asked = [rig.upstream.next().await, rig.upstream.next().await];
    let waiting = rig.chat(&one, &request("c"));
    rig.until(&one, |status| status["queued"] == 1).await;
    let refused = rig.chat(&other, &request("d")).await.unwrap();
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().get("retry-after").is_some());
    assert!(error(refused).await.contains(&other));
    // Either may have been asked first.
    for asked in asked {
        asked.say("ok");
    }
    for chat in running {
        assert_eq!(chat.await.unwrap().status(), 200);
    }
    rig.upstream.next().await.say("C");
    assert_eq!(waiting.await.unwrap().status(), 200);
    let metrics = rig.get("/metrics").await.text().await.unwrap();
    let line = "session_limit_rejected_total{limit=\"queued_turns\"} 1";
    assert!(metrics.lines().any(|it| it == line), "{metrics}");
}
