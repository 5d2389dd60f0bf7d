//! Chats whose answers are streamed.

use reqwest::Response;
use serde_json::{Value, json};

use super::rig::{Rig, commit, error, request, streamed};
use super::upstream::{completion, piece, soon};

/// Reads a stream until it has `text`.
async fn until(response: &mut Response, read: &mut String, text: &str) {
    soon(async {
        while !read.contains(text) {
            let bytes = response.chunk().await.unwrap().expect("the stream goes on");
            read.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    })
    .await;
}

/// Reads the rest of a stream.
async fn rest(mut response: Response, mut read: String) -> String {
    soon(async {
        while let Some(bytes) = response.chunk().await.unwrap() {
            read.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    })
    .await;
    read
}

/// The data of the events of a stream.
fn data(read: &str) -> Vec<&str> {
    read.lines().filter_map(|line| line.strip_prefix("data: ")).collect()
}

#[tokio::test]
async fn each_chunk_goes_on_as_it_comes_and_the_whole_is_a_record() {
    let rig = Rig::start(&[]).await;
    let id = rig.create().await;
    let chat = rig.chat(&id, &streamed("hi"));
    let asked = rig.upstream.next().await;
    assert_eq!(asked.json(), streamed("hi"));
    let stream = asked.stream();
    let mut chat = soon(chat).await.unwrap();
    assert_eq!(chat.status(), 200);
    assert_eq!(chat.headers()["content-type"], "text/event-stream");
    assert!(chat.headers().get("server").is_none());
    assert!(chat.headers().get("content-length").is_none());
    assert!(chat.headers().get("x-session-stream").is_some());
    // Nothing more is sent until what was sent has arrived.
    let mut read = String::new();
    for text in ["Hel", "lo", " there"] {
        stream.say(text).await;
        until(&mut chat, &mut read, &piece(text).to_string()).await;
    }
    stream.send(": a comment of the upstream\n\n").await;
    until(&mut chat, &mut read, ": a comment of the upstream\n\n").await;
    // An event in two halves is one.
    let last = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": {"total_tokens": 3}});
    let last = last.to_string();
    stream.send(format!("data: {}", &last[..10])).await;
    stream.send(format!("{}\r\n\r\n", &last[10..])).await;
    until(&mut chat, &mut read, &last).await;
    assert_eq!(rig.records(&id).await, Vec::<Value>::new());
    stream.done().await;
    let read = rest(chat, read).await;
    assert!(read.ends_with(": x-session-commit: committed\n\ndata: [DONE]\n\n"), "{read}");
    assert_eq!(data(&read).len(), 5);

    let records = rig.records(&id).await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["request"], streamed("hi"));
    assert_eq!(records[0]["status_code"], 200);
    let response = &records[0]["response"];
    assert_eq!(response["object"], "chat.completion");
    assert_eq!(
        response["choices"][0]["message"],
        json!({"role": "assistant", "content": "Hello there"})
    );
    assert_eq!(response["choices"][0]["finish_reason"], "stop");
    assert_eq!(response["usage"]["total_tokens"], 3);
}

#[tokio::test]
async fn a_stream_that_ends_without_a_word_is_whole_if_it_had_finished() {
    let rig = Rig::start(&[]).await;
    let id = rig.create().await;
    let chat = rig.chat(&id, &streamed("hi"));
    let stream = rig.upstream.next().await.stream();
    let whole =
        json!({"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}]});
    stream.send(format!("data: {whole}\n\n")).await;
    drop(stream);
    let read = rest(chat.await.unwrap(), String::new()).await;
    assert!(read.ends_with(": x-session-commit: committed\n\ndata: [DONE]\n\n"), "{read}");
    assert_eq!(rig.records(&id).await.len(), 1);
}

#[tokio::test]
async fn a_stream_that_breaks_off_ends_with_an_error_and_is_not_recorded() {
    let rig = Rig::start(&["--busy", "reject"]).await;
    let id = rig.create().await;
    for cut in [true, false] {
        let chat = rig.chat(&id, &streamed("hi"));
        let stream = rig.upstream.next().await.stream();
        let mut chat = chat.await.unwrap();
        stream.say("Hel").await;
        let mut read = String::new();
        until(&mut chat, &mut read, "Hel").await;
        if cut {
            stream.cut().await;
        } else {
            drop(stream);
        }
        let read = rest(chat, read).await;
        let last: Value = serde_json::from_str(data(&read).last().unwrap()).unwrap();
        let told = last["error"].as_str().unwrap();
        assert!(told.starts_with("backend transport error: ") && told.contains(&id), "{told}");
        assert!(!read.contains("[DONE]"));
        assert_eq!(rig.records(&id).await, Vec::<Value>::new());
    }
    assert_eq!(rig.say(&id, "again", "fine").await.status(), 200);
}

#[tokio::test]
async fn an_error_in_a_stream_goes_on_as_the_last_event() {
    let rig = Rig::start(&[]).await;
    let id = rig.create().await;
    let chat = rig.chat(&id, &streamed("hi"));
    let stream = rig.upstream.next().await.stream();
    stream.say("Hel").await;
    stream.send("data: {\"error\":{\"message\":\"no\"}}\n\n").await;
    let read = rest(chat.await.unwrap(), String::new()).await;
    assert_eq!(data(&read).last(), Some(&"{\"error\":{\"message\":\"no\"}}"));
    assert_eq!(rig.records(&id).await, Vec::<Value>::new());
}

#[tokio::test]
async fn nonsense_and_nothing_in_a_stream_are_told() {
    let rig = Rig::start(&[]).await;
    let id = rig.create().await;
    for body in
        ["data: hello\n\n", "data: [DONE]\n\n", "data: {\"choices\":[]}\n\ndata: [DONE]\n\n"]
    {
        let chat = rig.chat(&id, &streamed("hi"));
        let stream = rig.upstream.next().await.stream();
        stream.send(body).await;
        let read = rest(chat.await.unwrap(), String::new()).await;
        let last: Value = serde_json::from_str(data(&read).last().unwrap()).unwrap();
        assert!(last["error"].as_str().unwrap().contains(&id), "{read}");
        assert_eq!(rig.records(&id).await, Vec::<Value>::new());
    }
}

#[tokio::test]
async fn an_upstream_that_does_not_stream_is_passed_on_as_it_answers() {
    let rig = Rig::start(&[]).await;
    let id = rig.create().await;
    let chat = rig.chat(&id, &streamed("hi"));
    rig.upstream.next().await.status(503, "later");
    let chat = chat.await.unwrap();
    assert_eq!((chat.status().as_u16(), chat.text().await.unwrap().as_str()), (503, "later"));
    let chat = rig.chat(&id, &streamed("hi"));
    rig.upstream.next().await.say("hello");
    let chat = chat.await.unwrap();
    assert_eq!(commit(&chat), "committed");
    assert_eq!(chat.json::<Value>().await.unwrap(), completion("hello"));
    assert_eq!(rig.records(&id).await.len(), 1);
}

#[tokio::test]
async fn a_stream_that_lost_or_whose_session_was_deleted_says_so_before_its_end() {
    for (what, outcome) in [("lose", "superseded"), ("delete", "stale")] {
        let rig = Rig::start(&[]).await;
        let id = rig.create().await;
        let chat = rig.chat(&id, &streamed("hi"));
        let stream = rig.upstream.next().await.stream();
        let mut chat = chat.await.unwrap();
        stream.say("Hel").await;
        let mut read = String::new();
        until(&mut chat, &mut read, "Hel").await;
        if what == "lose" {
            assert_eq!(commit(&rig.say(&id, "b", "B").await), "committed");
        } else {
            assert_eq!(rig.delete(&id).await, 204);
        }
        // It goes on to its end.
        stream.say("lo").await;
        until(&mut chat, &mut read, "\"lo\"").await;
        stream.done().await;
        let read = rest(chat, read).await;
        let end = format!(": x-session-commit: {outcome}\n\ndata: [DONE]\n\n");
        assert!(read.ends_with(&end), "{read}");
        if what == "lose" {
            assert_eq!(rig.said(&id).await, [("b".to_owned(), "B".to_owned())]);
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_cancelled_interrupted_or_shut_down_ends_with_what_ended_it() {
    for (what, why) in
        [("cancel", "stopped"), ("interrupt", "interrupted"), ("shutdown", "shuts down")]
    {
        let rig = Rig::start(&["--busy", "interrupt", "--drain-timeout", "100ms"]).await;
        let id = rig.create().await;
        let chat = rig.chat(&id, &streamed("hi"));
        let stream = rig.upstream.next().await.stream();
        let mut chat = chat.await.unwrap();
        stream.say("Hel").await;
        let mut read = String::new();
        until(&mut chat, &mut read, "Hel").await;
        let mut next = None;
        match what {
            "cancel" => drop(rig.post(&format!("/sessions/{id}/cancel"), json!({})).await),
            "interrupt" => next = Some(rig.chat(&id, &request("b"))),
            _ => rig.program.terminate(),
        }
        stream.dropped().await;
        let read = rest(chat, read).await;
        let last: Value = serde_json::from_str(data(&read).last().unwrap()).unwrap();
        let told = last["error"].as_str().unwrap();
        assert!(told.contains(why) && told.contains(&id), "{told}");
        assert!(!read.contains("[DONE]"));
        if let Some(next) = next {
            rig.upstream.next().await.say("B");
            assert_eq!(next.await.unwrap().status(), 200);
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_a_stream_does_not_end_it_unless_that_is_set() {
    for cancels in [false, true] {
        let flags = ["--on-disconnect", if cancels { "cancel" } else { "continue" }];
        let rig = Rig::start(&flags).await;
        let id = rig.create().await;
        let chat = rig.chat(&id, &streamed("hi"));
        let stream = rig.upstream.next().await.stream();
        let mut chat = chat.await.unwrap();
        stream.say("Hel").await;
        let mut read = String::new();
        until(&mut chat, &mut read, "Hel").await;
        drop(chat);
        if cancels {
            stream.dropped().await;
            rig.until(&id, |status| status["phase"] == "idle").await;
            assert_eq!(rig.records(&id).await, Vec::<Value>::new());
            continue;
        }
        stream.say("lo").await;
        stream.done().await;
        rig.until(&id, |status| status["phase"] == "idle").await;
        assert_eq!(rig.said(&id).await, [("hi".to_owned(), "Hello".to_owned())]);
    }
}

#[tokio::test]
async fn a_client_that_reads_nothing_holds_up_nobody_for_ever() {
    let rig = Rig::start(&["--client-timeout", "100ms"]).await;
    let id = rig.create().await;
    let chat = rig.chat(&id, &streamed("hi"));
    let stream = rig.upstream.next().await.stream();
    let stalled = chat.await.unwrap();
    // More than the buffers between the two can hold.
    let large = "x".repeat(100_000);
    for _ in 0..200 {
        stream.say(&large).await;
    }
    stream.done().await;
    rig.until(&id, |status| status["phase"] == "idle").await;
    assert_eq!(rig.records(&id).await.len(), 1);
    drop(stalled);
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_taken() {
    let rig = Rig::start(&["--max-answer-bytes", "2000"]).await;
    let id = rig.create().await;
    let chat = rig.chat(&id, &request("hi"));
    rig.upstream.next().await.say(&"x".repeat(3_000));
    let chat = chat.await.unwrap();
    assert_eq!(chat.status(), 502);
    assert!(error(chat).await.contains("2000 bytes"));
    let chat = rig.chat(&id, &streamed("hi"));
    let stream = rig.upstream.next().await.stream();
    stream.say(&"x".repeat(1_000)).await;
    stream.say(&"x".repeat(1_000)).await;
    let read = rest(chat.await.unwrap(), String::new()).await;
    assert!(data(&read).last().unwrap().contains("2000 bytes"), "{read}");
    stream.dropped().await;
    assert_eq!(rig.records(&id).await, Vec::<Value>::new());
}
