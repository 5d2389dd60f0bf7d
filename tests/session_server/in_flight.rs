//! A turn in flight, and everything that may happen to it meanwhile, under each policy.

use serde_json::{Value, json};

use super::rig::{Rig, commit, error, request};

/// Every policy.
const POLICIES: [&str; 4] = ["parallel", "reject", "queue", "interrupt"];

#[tokio::test]
async fn a_delete_does_not_wait_and_the_client_gets_its_answer_marked_stale() {
    for busy in POLICIES {
        let rig = Rig::start(&["--busy", busy]).await;
        let id = rig.create().await;
        let chat = rig.chat(&id, &request("a"));
        let asked = rig.upstream.next().await;
        assert_eq!(rig.delete(&id).await, 204, "{busy}");
        assert_eq!(rig.delete(&id).await, 404, "{busy}: a second delete");
        assert_eq!(rig.get(&format!("/sessions/{id}")).await.status(), 404);
        let late = rig.chat(&id, &request("b")).await.unwrap();
        assert_eq!(late.status(), 404);
        asked.say("A");
        let chat = chat.await.unwrap();
        assert_eq!((chat.status().as_u16(), commit(&chat)), (200, "stale"), "{busy}");
        let body: Value = chat.json().await.unwrap();
        assert_eq!(body["choices"][0]["message"]["content"], "A");
        assert_eq!(rig.get(&format!("/sessions/{id}")).await.status(), 404);
    }
}

#[tokio::test]
async fn a_deleted_id_that_lives_again_has_nothing_of_the_turn_before() {
    for busy in POLICIES {
        let rig = Rig::start(&["--busy", busy]).await;
        let id = rig.create().await;
        let chat = rig.chat(&id, &request("a"));
        let asked = rig.upstream.next().await;
        assert_eq!(rig.delete(&id).await, 204);
        let again = json!({"session_id": id, "allow_reuse": true});
        assert_eq!(rig.post("/sessions", again).await.status(), 200);
        asked.say("A");
        assert_eq!(commit(&chat.await.unwrap()), "stale");
        assert_eq!(rig.records(&id).await, Vec::<Value>::new());
        assert_eq!(rig.say(&id, "b", "B").await.status(), 200);
        assert_eq!(rig.said(&id).await, [("b".to_owned(), "B".to_owned())]);
    }
}

#[tokio::test]
async fn a_delete_tells_those_that_wait_that_the_session_is_gone() {
    let rig = Rig::start(&["--busy", "queue"]).await;
    let id = rig.create().await;
    let running = rig.chat(&id, &request("a"));
    let asked = rig.upstream.next().await;
    let waiting = rig.chat(&id, &request("b"));
    rig.until(&id, |status| status["queued"] == 1).await;
    assert_eq!(rig.delete(&id).await, 204);
    let waiting = waiting.await.unwrap();
    assert_eq!(waiting.status(), 404);
    assert_eq!(error(waiting).await, format!("session not found: session_id={id}"));
    asked.say("A");
    assert_eq!(commit(&running.await.unwrap()), "stale");
    assert!(rig.upstream.is_idle());
}

#[tokio::test]
async fn a_cancel_ends_it_with_409_and_the_session_goes_on() {
    for busy in POLICIES {
        for by_id in [false, true] {
            let rig = Rig::start(&["--busy", busy]).await;
            let id = rig.create().await;
            let chat = rig.chat(&id, &request("a"));
            let asked = rig.upstream.next().await;
            let active = rig.json(&format!("/sessions/{id}/status")).await["active_stream"].clone();
            let which = if by_id { json!({"stream_id": active}) } else { json!({}) };
            let cancel = rig.post(&format!("/sessions/{id}/cancel"), which).await;
            assert_eq!(cancel.status(), 200);
            let told: Value = cancel.json().await.unwrap();
            assert_eq!(told, json!({"cancelled": true, "stream_id": active}), "{busy}");
            asked.dropped().await;
            let chat = chat.await.unwrap();
            assert_eq!((chat.status().as_u16(), commit(&chat)), (409, ""), "{busy}");
            let text = error(chat).await;
            assert!(text.contains("stopped") && text.contains(&id), "{text}");

            // The same cancel again hits nobody, nor does it hit a newer turn.
            let next = rig.chat(&id, &request("b"));
            let asked = rig.upstream.next().await;
            let stale = json!({"stream_id": active});
            let stale = rig.post(&format!("/sessions/{id}/cancel"), stale).await;
            let told: Value = stale.json().await.unwrap();
            assert_eq!(told, json!({"cancelled": false, "stream_id": active}));
            asked.say("B");
            assert_eq!(commit(&next.await.unwrap()), "committed");
            assert_eq!(rig.said(&id).await, [("b".to_owned(), "B".to_owned())]);
        }
    }
}

#[tokio::test]
async fn a_cancel_of_nothing_says_so_and_one_of_nonsense_is_refused() {
    let rig = Rig::start(&[]).await;
    let id = rig.create().await;
    let path = format!("/sessions/{id}/cancel");
    let empty = rig.ask(reqwest::Method::POST, &path).send().await.unwrap();
    assert_eq!(
        empty.json::<Value>().await.unwrap(),
        json!({"cancelled": false, "stream_id": null})
    );
    for wrong in [json!({"stream_id": "x"}), json!({"stream_id": 3}), json!([1, 2, 3])] {
        let refused = rig.post(&path, wrong.clone()).await;
        assert_eq!(refused.status(), 400, "{wrong}");
        error(refused).await;
    }
    let refused = rig.ask(reqwest::Method::POST, &path).body("{").send().await.unwrap();
    assert_eq!(refused.status(), 400);
}

#[tokio::test]
async fn a_cancel_without_an_id_ends_all_turns_and_those_that_wait() {
    let rig = Rig::start(&[]).await;
    let id = rig.create().await;
    let mut chats = Vec::new();
    let mut asked = Vec::new();
    for _ in 0..3 {
        chats.push(rig.chat(&id, &request("a")));
        asked.push(rig.upstream.next().await);
    }
    let active = rig.json(&format!("/sessions/{id}/status")).await["active_stream"].clone();
    let told: Value =
        rig.post(&format!("/sessions/{id}/cancel"), json!({})).await.json().await.unwrap();
    assert_eq!(told, json!({"cancelled": true, "stream_id": active}));
    for asked in asked {
        asked.dropped().await;
    }
    for chat in chats {
        assert_eq!(chat.await.unwrap().status(), 409);
    }

    let rig = Rig::start(&["--busy", "queue"]).await;
    let id = rig.create().await;
    let running = rig.chat(&id, &request("a"));
    let asked = rig.upstream.next().await;
    let waiting = rig.chat(&id, &request("b"));
    rig.until(&id, |status| status["queued"] == 1).await;
    rig.post(&format!("/sessions/{id}/cancel"), json!({})).await;
    asked.dropped().await;
    assert_eq!(running.await.unwrap().status(), 409);
    let waiting = waiting.await.unwrap();
    assert_eq!(waiting.status(), 409);
    assert!(error(waiting).await.contains(&id));
    assert!(rig.upstream.is_idle());
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_end_its_turn() {
    for busy in POLICIES {
        let rig = Rig::start(&["--busy", busy]).await;
        let id = rig.create().await;
        let chat = rig.chat(&id, &request("a"));
        let asked = rig.upstream.next().await;
        chat.abort();
        assert!(chat.await.is_err());
        asked.say("A");
        rig.until(&id, |status| status["phase"] == "idle").await;
        assert_eq!(rig.said(&id).await, [("a".to_owned(), "A".to_owned())], "{busy}");
    }
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_turn_if_that_is_set() {
    for busy in POLICIES {
        let rig = Rig::start(&["--busy", busy, "--on-disconnect", "cancel"]).await;
        let id = rig.create().await;
        let chat = rig.chat(&id, &request("a"));
        let asked = rig.upstream.next().await;
        chat.abort();
        asked.dropped().await;
        rig.until(&id, |status| status["phase"] == "idle").await;
        assert_eq!(rig.records(&id).await, Vec::<Value>::new(), "{busy}");
        assert_eq!(rig.say(&id, "b", "B").await.status(), 200);
    }
}

#[tokio::test]
async fn a_shutdown_waits_for_it_and_answers_its_client() {
    for busy in POLICIES {
        let mut rig = Rig::start(&["--busy", busy]).await;
        let id = rig.create().await;
        let chat = rig.chat(&id, &request("a"));
        let asked = rig.upstream.next().await;
        rig.program.terminate();
        rig.program.heard("draining").await;
        // The port is open, and says so.
        let ready = async { while rig.get("/ready").await.status() != 503 {} };
        super::upstream::soon(ready).await;
        assert_eq!(rig.get("/health").await.status(), 200);
        let late = rig.chat(&id, &request("b")).await.unwrap();
        let expected = if busy == "reject" { 409 } else { 503 };
        assert_eq!(late.status(), expected, "{busy}");
        asked.say("A");
        let chat = chat.await.unwrap();
        assert_eq!((chat.status().as_u16(), commit(&chat)), (200, "committed"), "{busy}");
        let report = rig.program.heard("drained in").await;
        assert!(report.contains("1 turns, 0 told to end; clean"), "{report}");
        assert_eq!(rig.program.ended().await.code(), Some(0));
        rig.restart().await;
        assert_eq!(rig.said(&id).await, [("a".to_owned(), "A".to_owned())], "{busy}");
    }
}

#[tokio::test]
async fn a_shutdown_ends_it_at_the_deadline_and_says_so() {
    for busy in POLICIES {
        let mut rig = Rig::start(&["--busy", busy, "--drain-timeout", "200ms"]).await;
        let id = rig.create().await;
        let chat = rig.chat(&id, &request("a"));
        let asked = rig.upstream.next().await;
        rig.program.terminate();
        asked.dropped().await;
        let chat = chat.await.unwrap();
        assert_eq!(chat.status(), 503, "{busy}");
        assert!(error(chat).await.contains(&id));
        let turn = rig.program.heard(&format!("session {id}: turn ")).await;
        assert!(turn.contains("cancelled, outcome cancelled_shutdown"), "{turn}");
        rig.program.heard("1 told to end; clean").await;
        assert_eq!(rig.program.ended().await.code(), Some(0));
        rig.restart().await;
        assert_eq!(rig.records(&id).await, Vec::<Value>::new(), "{busy}");
        assert_eq!(rig.say(&id, "b", "B").await.status(), 200);
    }
}

#[tokio::test]
async fn after_kill_9_what_was_committed_is_there_and_the_session_goes_on() {
    for busy in POLICIES {
        let mut rig = Rig::start(&["--busy", busy]).await;
        let id = rig.create().await;
        let before: Value = rig.json("/health").await;
        assert_eq!(rig.say(&id, "a", "A").await.status(), 200);
        let chat = rig.chat(&id, &request("b"));
        let asked = rig.upstream.next().await;
        rig.program.kill().await;
        chat.abort();
        asked.dropped().await;
        rig.restart().await;
        rig.program.heard("1 turns settled that were cut off").await;
        assert_ne!(rig.json("/health").await["instance_id"], before["instance_id"]);
        assert_eq!(rig.said(&id).await, [("a".to_owned(), "A".to_owned())], "{busy}");
        let status = rig.json(&format!("/sessions/{id}/status")).await;
        assert_eq!((&status["phase"], &status["state"]), (&json!("idle"), &json!("active")));
        assert_eq!(commit(&rig.say(&id, "b", "B").await), "committed");
        assert_eq!(rig.said(&id).await.len(), 2);
        // A delete is there as well.
        assert_eq!(rig.delete(&id).await, 204);
        rig.program.kill().await;
        rig.restart().await;
        assert_eq!(rig.get(&format!("/sessions/{id}")).await.status(), 404);
        assert_eq!(rig.post("/sessions", json!({"session_id": id})).await.status(), 410);
    }
}

#[tokio::test]
async fn a_session_that_crashes_again_and_again_is_still_served() {
    let mut rig = Rig::start(&[]).await;
    let id = rig.create().await;
    for _ in 0..7 {
        let chat = rig.chat(&id, &request("a"));
        let asked = rig.upstream.next().await;
        rig.program.kill().await;
        chat.abort();
        asked.dropped().await;
        rig.restart().await;
    }
    assert_eq!(commit(&rig.say(&id, "a", "A").await), "committed");
}
