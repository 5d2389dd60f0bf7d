//! Sessions: every row of the contract that needs no turn in flight.

use reqwest::Method;
use serde_json::{Value, json};

use super::rig::{Rig, error, request};

#[tokio::test]
async fn health_does_not_look_at_the_upstream_and_names_the_run() {
    let rig = Rig::start(&[]).await;
    let health = rig.json("/health").await;
    assert_eq!(health["status"], "ok");
    assert_eq!(health["instance_id"].as_str().unwrap().len(), 32);
    assert_eq!(rig.json("/ready").await["instance_id"], health["instance_id"]);
    assert!(rig.upstream.is_idle());
}

#[tokio::test]
async fn a_session_is_created_looked_at_and_deleted() {
    let rig = Rig::start(&[]).await;
    let id = rig.create().await;
    assert_eq!(id.len(), 32);
    assert!(id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)));
    let session = rig.json(&format!("/sessions/{id}")).await;
    assert_eq!(session["session_id"], json!(id));
    assert_eq!(session["records"], json!([]));
    assert_eq!(session["metadata"]["session_id"], json!(id));
    assert_eq!(rig.delete(&id).await, 204);
    assert_eq!(rig.delete(&id).await, 404);
    assert_eq!(rig.delete("nobody").await, 404);
}

#[tokio::test]
async fn an_empty_body_creates_a_session() {
    let rig = Rig::start(&[]).await;
    let created = rig.ask(Method::POST, "/sessions").send().await.unwrap();
    assert_eq!(created.status(), 200);
    let wrong = rig.ask(Method::POST, "/sessions").body("{").send().await.unwrap();
    assert_eq!(wrong.status(), 400);
    error(wrong).await;
}

#[tokio::test]
async fn a_session_is_created_with_an_id_a_key_and_a_time() {
    let rig = Rig::start(&[]).await;
    let create = |body: Value| rig.post("/sessions", body);
    let named: Value = create(json!({"session_id": "run-7.a_B"})).await.json().await.unwrap();
    assert_eq!(named, json!({"session_id": "run-7.a_B"}));
    let again = create(json!({"session_id": "run-7.a_B"})).await;
    assert_eq!(again.status(), 409);
    assert!(error(again).await.contains("run-7.a_B"));

    assert_eq!(rig.delete("run-7.a_B").await, 204);
    let gone = create(json!({"session_id": "run-7.a_B"})).await;
    assert_eq!(gone.status(), 410);
    assert!(error(gone).await.contains("run-7.a_B"));
    let reuse = json!({"session_id": "run-7.a_B", "allow_reuse": true});
    assert_eq!(create(reuse).await.status(), 200);
    assert_eq!(rig.json("/sessions/run-7.a_B").await["records"], json!([]));

    let by_key: Value = create(json!({"key": "user 42"})).await.json().await.unwrap();
    let same: Value = create(json!({"key": "user 42"})).await.json().await.unwrap();
    assert_eq!(by_key, same);
    let both = json!({"session_id": "keyed", "key": "irc/chat=a", "ttl": "15m"});
    assert_eq!(create(both).await.status(), 200);
    let led: Value = create(json!({"key": "irc/chat=a"})).await.json().await.unwrap();
    assert_eq!(led["session_id"], "keyed");
    assert_eq!(rig.json("/sessions/keyed/status").await["key"], "irc/chat=a");
    let taken = create(json!({"session_id": "other", "key": "irc/chat=a"})).await;
    assert_eq!(taken.status(), 409);
    assert!(error(taken).await.contains("irc/chat=a is bound to session keyed"));
    // Nothing was created, and nothing was deleted.
    assert_eq!(create(json!({"session_id": "other"})).await.status(), 200);

    for wrong in
        [json!({"ttl": "soon"}), json!({"ttl": -1}), json!({"ttl": 0.5}), json!({"key": ""})]
    {
        assert_eq!(create(wrong.clone()).await.status(), 400, "{wrong}");
    }
    assert_eq!(create(json!({"ttl": 90, "session_id": "timed"})).await.status(), 200);
}

#[tokio::test]
async fn a_session_with_a_time_goes_when_it_is_over() {
    let rig = Rig::start(&["--gone", "410"]).await;
    let created = rig.post("/sessions", json!({"session_id": "short", "ttl": 1})).await;
    assert_eq!(created.status(), 200);
    let ended = async { while rig.get("/sessions/short/status").await.status() == 200 {} };
    super::upstream::soon(ended).await;
    let gone = rig.get("/sessions/short").await;
    assert_eq!(gone.status(), 410);
    assert!(error(gone).await.contains("not used"));
}

#[tokio::test]
async fn ids_that_are_none_are_refused_by_every_route() {
    let rig = Rig::start(&["--unknown", "create"]).await;
    let long = "a".repeat(129);
    for id in [&*long, "a%2Fb", "a%20b", "a:b", "%C3%A9", "%FF"] {
        for (method, path) in [
            (Method::GET, ""),
            (Method::DELETE, ""),
            (Method::GET, "/status"),
            (Method::POST, "/cancel"),
            (Method::GET, "/stream"),
            (Method::POST, "/v1/chat/completions"),
            (Method::GET, "/v1/models"),
        ] {
            let path = format!("/sessions/{id}{path}");
            let refused = rig.ask(method.clone(), &path).body("{}").send().await.unwrap();
            assert_eq!(refused.status(), 400, "{method} {path}");
            error(refused).await;
        }
    }
    for id in ["..", "%2E%2e", "."] {
        let refused = rig.raw("GET", &format!("/sessions/{id}"), "").await;
        assert!(refused.starts_with("HTTP/1.1 400 "), "{id}: {refused}");
    }
    for id in ["", ".", "..", "a/b", &long] {
        let refused = rig.post("/sessions", json!({"session_id": id})).await;
        assert_eq!(refused.status(), 400, "{id}");
    }
    assert!(rig.upstream.is_idle());
    let longest = "a".repeat(128);
    assert_eq!(rig.post("/sessions", json!({"session_id": longest})).await.status(), 200);
}

/// Every route with an id in its path, but for the delete.
const ROUTES: [(&str, &str); 6] = [
    ("GET", ""),
    ("GET", "/status"),
    ("GET", "/stream"),
    ("POST", "/cancel"),
    ("POST", "/v1/chat/completions"),
    ("PUT", "/v1/files/x"),
];

#[tokio::test]
async fn an_unknown_id_is_not_found_on_every_route() {
    let rig = Rig::start(&[]).await;
    for (method, path) in ROUTES {
        let path = format!("/sessions/nobody{path}");
        let refused = rig.ask(method.parse().unwrap(), &path).json(&request("a")).send().await;
        let refused = refused.unwrap();
        assert_eq!(refused.status(), 404, "{method} {path}");
        assert_eq!(error(refused).await, "session not found: session_id=nobody");
    }
    assert_eq!(rig.json("/sessions").await["sessions"], json!([]));
    assert!(rig.upstream.is_idle());
}

#[tokio::test]
async fn under_create_a_chat_creates_it_and_a_look_does_not() {
    let rig = Rig::start(&["--unknown", "create"]).await;
    let seen = rig.json("/sessions/new").await;
    assert_eq!((&seen["session_id"], &seen["records"]), (&json!("new"), &json!([])));
    assert_eq!(rig.json("/sessions/new/status").await["state"], "unknown");
    assert_eq!(rig.get("/sessions/new/stream").await.status(), 204);
    assert_eq!(rig.get("/sessions/new/v1/models").await.status(), 404);
    assert_eq!(rig.delete("new").await, 404);
    let not_json = rig.ask(Method::POST, "/sessions/new/v1/chat/completions").body("no");
    assert_eq!(not_json.send().await.unwrap().status(), 400);
    assert_eq!(rig.json("/sessions").await["sessions"], json!([]));

    assert_eq!(rig.say("new", "hi", "hello").await.status(), 200);
    assert_eq!(rig.said("new").await, [("hi".to_owned(), "hello".to_owned())]);
    assert_eq!(rig.json("/sessions").await["sessions"][0]["session_id"], "new");
}

#[tokio::test]
async fn a_deleted_id_is_not_found_on_every_route_also_under_create() {
    for (gone, status) in [("404", 404), ("410", 410)] {
        for unknown in ["not-found", "create"] {
            let rig = Rig::start(&["--gone", gone, "--unknown", unknown]).await;
            let id = rig.create().await;
            assert_eq!(rig.delete(&id).await, 204);
            for (method, path) in ROUTES.into_iter().chain([("DELETE", "")]) {
                let path = format!("/sessions/{id}{path}");
                let asked = rig.ask(method.parse().unwrap(), &path).json(&request("a"));
                let refused = asked.send().await.unwrap();
                assert_eq!(refused.status(), status, "{method} {path}");
                let told = error(refused).await;
                if status == 404 {
                    assert_eq!(told, format!("session not found: session_id={id}"));
                } else {
                    assert!(told.contains(&id) && told.contains("deleted"), "{told}");
                }
            }
            assert!(rig.upstream.is_idle());
        }
    }
}

#[tokio::test]
async fn sessions_are_listed_page_by_page_and_by_state() {
    let rig = Rig::start(&[]).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(rig.create().await);
    }
    let (mut listed, mut after) = (Vec::new(), String::new());
    loop {
        let page = rig.json(&format!("/sessions?limit=2{after}")).await;
        let sessions = page["sessions"].as_array().unwrap();
        assert!(sessions.len() <= 2);
        listed.extend(sessions.iter().map(|it| it["session_id"].as_str().unwrap().to_owned()));
        if page["next"].is_null() {
            break;
        }
        after = format!("&after={}", page["next"]);
    }
    assert_eq!(listed, ids);

    let chat = rig.chat(&ids[3], &request("hi"));
    let asked = rig.upstream.next().await;
    let running = rig.json("/sessions?state=running").await;
    assert_eq!(running["sessions"].as_array().unwrap().len(), 1);
    let shown = &running["sessions"][0];
    assert_eq!((&shown["session_id"], &shown["phase"]), (&json!(ids[3]), &json!("running")));
    assert_eq!(shown["kept_by"], json!(["turn"]));
    assert!(shown["active_stream"].is_string());
    assert_eq!(rig.json("/sessions?state=idle").await["sessions"].as_array().unwrap().len(), 4);
    assert_eq!(rig.json("/sessions?state=active").await["sessions"].as_array().unwrap().len(), 5);
    assert_eq!(rig.json("/sessions?state=archived").await["sessions"], json!([]));
    asked.say("hello");
    chat.await.unwrap();

    for wrong in ["state=odd", "limit=x", "after=x"] {
        let refused = rig.get(&format!("/sessions?{wrong}")).await;
        assert_eq!(refused.status(), 400, "{wrong}");
        error(refused).await;
    }
}

#[tokio::test]
async fn the_status_says_what_is_happening() {
    let rig = Rig::start(&["--busy", "queue"]).await;
    let id = rig.create().await;
    let path = format!("/sessions/{id}/status");
    let idle = rig.json(&path).await;
    assert_eq!((&idle["session_id"], &idle["state"]), (&json!(id), &json!("active")));
    assert_eq!((&idle["phase"], &idle["active_stream"]), (&json!("idle"), &Value::Null));
    assert_eq!((&idle["queued"], &idle["leases"]), (&json!(0), &json!([])));
    assert!(idle["last_activity"].as_f64().unwrap() > 1e9);
    assert_eq!(idle["kept_by"], json!([]));

    let first = rig.chat(&id, &request("a"));
    let asked = rig.upstream.next().await;
    let second = rig.chat(&id, &request("b"));
    let busy = rig.until(&id, |status| status["queued"] == 1).await;
    assert_eq!(busy["phase"], "running");
    assert_eq!(busy["kept_by"], json!(["turn", "queue"]));
    asked.say("A");
    let first = first.await.unwrap();
    assert_eq!(first.headers()["x-session-stream"], *busy["active_stream"].as_str().unwrap());
    rig.upstream.next().await.say("B");
    second.await.unwrap();
}

#[tokio::test]
async fn the_api_describes_itself_and_its_metrics() {
    let rig = Rig::start(&[]).await;
    let id = rig.create().await;
    rig.say(&id, "hi", "hello").await;
    let described = rig.json("/openapi.json").await;
    assert!(described["openapi"].as_str().unwrap().starts_with('3'));
    for path in [
        "/health",
        "/ready",
        "/metrics",
        "/sessions",
        "/sessions/{id}",
        "/sessions/{id}/status",
        "/sessions/{id}/cancel",
        "/sessions/{id}/stream",
        "/sessions/{id}/v1/chat/completions",
    ] {
        assert!(described["paths"][path].is_object(), "{path}");
    }
    let metrics = rig.get("/metrics").await;
    assert!(metrics.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
    let metrics = metrics.text().await.unwrap();
    for line in [
        "session_turns_begun_total 1",
        "session_turns_ended_total{outcome=\"committed\"} 1",
        "session_created_total 1",
        "session_server_turns_total{end=\"committed\"} 1",
        "session_server_limit_max{limit=\"body_bytes\"} 33554432",
        "session_limit_max{limit=\"turns\"} 4096",
        "session_server_upstream_answers_total{status=\"200\"} 1",
        "session_server_requests_total{route=\"/sessions/{id}/v1/chat/completions\",status=\"200\"} 1",
    ] {
        assert!(metrics.lines().any(|it| it == line), "{line} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn what_is_no_route_is_told_as_an_error() {
    let rig = Rig::start(&[]).await;
    let nothing = rig.get("/nothing").await;
    assert_eq!(nothing.status(), 404);
    error(nothing).await;
    let wrong = rig.ask(Method::PUT, "/sessions").send().await.unwrap();
    assert_eq!(wrong.status(), 405);
    error(wrong).await;
}

#[tokio::test]
async fn a_list_and_a_status_wake_nothing_and_count_as_no_use() {
    let mut rig = Rig::start(&[]).await;
    let id = rig.create().await;
    rig.say(&id, "hi", "hello").await;
    let before = rig.json("/sessions").await["sessions"][0]["last_activity"].clone();
    rig.program.terminate();
    rig.program.ended().await;
    rig.restart().await;
    let listed = rig.json("/sessions").await["sessions"][0].clone();
    assert_eq!((&listed["session_id"], &listed["last_activity"]), (&json!(id), &before));
    let metrics = rig.get("/metrics").await.text().await.unwrap();
    let loaded = |line: &str| line.starts_with("session_loaded_total ") && !line.ends_with(" 0");
    assert!(!metrics.lines().any(loaded), "{metrics}");
    assert_eq!(rig.json(&format!("/sessions/{id}/status")).await["last_activity"], before);
}
