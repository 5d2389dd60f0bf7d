//! How the program starts and ends.

use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::rig::{Program, Rig, command, request};
use super::upstream::soon;

#[tokio::test]
async fn a_file_that_belongs_to_another_process_is_told_with_its_id() {
    let rig = Rig::start(&[]).await;
    let second = soon(command(&[&["--port", "0"], &*rig.flags()].concat()).output()).await.unwrap();
    assert_eq!(second.status.code(), Some(1));
    let told = String::from_utf8(second.stderr).unwrap();
    assert!(told.contains(&format!("process {}", rig.program.pid())), "{told}");
    assert_eq!(rig.get("/health").await.status(), 200);
}

#[tokio::test]
async fn an_idle_server_ends_at_once_and_clean() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut rig = Rig::start(&[]).await;
        // A connection that is kept open holds up nobody.
        rig.create().await;
        rig.program.signal(signal);
        let report = rig.program.heard("drained in").await;
        assert!(report.ends_with("0 turns, 0 told to end; clean"), "{report}");
        assert_eq!(rig.program.ended().await.code(), Some(0));
    }
}

#[tokio::test]
async fn a_second_signal_leaves_at_once() {
    let mut rig = Rig::start(&[]).await;
    let id = rig.create().await;
    let chat = rig.chat(&id, &request("a"));
    let asked = rig.upstream.next().await;
    rig.program.terminate();
    rig.program.heard("draining").await;
    rig.program.terminate();
    assert_eq!(rig.program.ended().await.code(), Some(128 + 15));
    chat.abort();
    asked.dropped().await;
    rig.restart().await;
    assert_eq!(rig.records(&id).await, Vec::<Value>::new());
    assert_eq!(rig.say(&id, "b", "B").await.status(), 200);
}

#[tokio::test]
async fn a_turn_whose_session_was_deleted_is_waited_for_as_well() {
    let mut rig = Rig::start(&[]).await;
    let id = rig.create().await;
    let chat = rig.chat(&id, &request("a"));
    let asked = rig.upstream.next().await;
    assert_eq!(rig.delete(&id).await, 204);
    rig.program.terminate();
    rig.program.heard("drained in").await;
    asked.say("A");
    assert_eq!(chat.await.unwrap().status(), 200);
    assert_eq!(rig.program.ended().await.code(), Some(0));
}

#[tokio::test]
async fn settings_come_from_flags_the_environment_and_a_file() {
    let rig = Rig::start(&[]).await;
    let file = rig.folder().join("server.toml");
    let text = format!(
        "upstream = {:?}\nstore = \"memory\"\nport = 0\nunknown = \"create\"\nmax_turns = 7\n\
         max_sessions = 8\ngone = 410\ndrain_timeout = \"5s\"\n",
        rig.upstream.url
    );
    std::fs::write(&file, text).unwrap();
    let checked = command(&["--config", file.to_str().unwrap(), "--check-config"]).output();
    let checked = soon(checked).await.unwrap();
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");

    let program = Program::start(&["--config", file.to_str().unwrap(), "--max-turns", "9"]).await;
    let http = super::rig::client();
    let metrics = http.get(format!("{}/metrics", program.url)).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("session_limit_max{limit=\"turns\"} 9"), "{metrics}");
    assert!(metrics.contains("session_limit_max{limit=\"sessions\"} 8"), "{metrics}");
    let seen = http.get(format!("{}/sessions/new", program.url)).send().await.unwrap();
    assert_eq!(seen.status(), StatusCode::OK);
    drop(program);

    let flags = ["--config", file.to_str().unwrap(), "--check-config"];
    let mut wrong = command(&flags);
    let wrong = soon(wrong.env("SESSION_SERVER_GONE", "418").output()).await.unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8(wrong.stderr).unwrap().contains("418"));
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("server.toml");
    let path = file.to_str().unwrap();
    for (text, name) in [
        ("max_trns = 3", "max_trns"),
        ("port = \"x\"", "port"),
        ("drain_timeout = \"soon\"", "drain_timeout"),
        ("store = \"x\"\nupstream = \"http://h\"", "store"),
        ("", "upstream"),
    ] {
        std::fs::write(&file, text).unwrap();
        let refused = soon(command(&["--config", path, "--check-config"]).output()).await.unwrap();
        assert_eq!(refused.status.code(), Some(2), "{text}");
        let told = String::from_utf8(refused.stderr).unwrap();
        assert!(told.contains(name), "{told}");
    }
}

#[tokio::test]
async fn a_store_in_memory_forgets() {
    let rig = Rig::start(&[]).await;
    let flags = ["--upstream", &rig.upstream.url, "--store", "memory"];
    let program = Program::start(&flags).await;
    let http = super::rig::client();
    let created = http.post(format!("{}/sessions", program.url)).json(&json!({"session_id": "a"}));
    assert_eq!(created.send().await.unwrap().status(), 200);
    drop(program);
    let program = Program::start(&flags).await;
    let seen = http.get(format!("{}/sessions/a", program.url)).send().await.unwrap();
    assert_eq!(seen.status(), 404);
}

#[tokio::test]
async fn sessions_that_nobody_uses_end_after_the_time_that_is_set() {
    let rig = Rig::start(&["--session-ttl", "1s", "--gone", "410"]).await;
    let id = rig.create().await;
    let path = format!("/sessions/{id}");
    let ended = async { while rig.get(&format!("{path}/status")).await.status() == 200 {} };
    soon(ended).await;
    let gone = rig.get(&path).await;
    assert_eq!(gone.status(), 410);
    assert!(super::rig::error(gone).await.contains("not used"));
    assert_eq!(rig.json("/sessions").await["sessions"], json!([]));
}
