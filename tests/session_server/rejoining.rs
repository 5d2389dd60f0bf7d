//! Reading a turn's stream again.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::rig::{Rig, request, streamed};
use super::upstream::{Streaming, completion, piece, soon};

/// What a reader got.
#[derive(Debug, Default, PartialEq, Eq)]
struct Event {
    id: String,
    kind: String,
    data: String,
}

/// A reader of `/stream`.
struct Reader {
    response: Response,
    rest: String,
}

impl Reader {
    async fn open(rig: &Rig, id: &str, query: &str, last: Option<&str>) -> Self {
        let mut asked = rig.ask(Method::GET, &format!("/sessions/{id}/stream{query}"));
        if let Some(last) = last {
            asked = asked.header("last-event-id", last);
        }
        let response = soon(asked.send()).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, rest: String::new() }
    }

    /// The next event with data; none at the end.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.rest.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.rest = rest;
                let mut event = Event::default();
                for line in block.lines() {
                    let (name, value) = line.split_once(": ").unwrap();
                    match name {
                        "id" => value.clone_into(&mut event.id),
                        "event" => value.clone_into(&mut event.kind),
                        "data" => value.clone_into(&mut event.data),
                        _ => {}
                    }
                }
                if !event.data.is_empty() {
                    return Some(event);
                }
                continue;
            }
            let bytes = soon(self.response.chunk()).await.unwrap()?;
            self.rest.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    /// Every event that is left.
    async fn all(mut self) -> Vec<Event> {
        let mut all = Vec::new();
        while let Some(event) = self.next().await {
            all.push(event);
        }
        all
    }
}

/// A turn that streams, after it has said `said`, read by its client.
async fn streaming(rig: &Rig, id: &str, said: &[&str]) -> (Streaming, Response) {
    let chat = rig.chat(id, &streamed("hi"));
    let stream = rig.upstream.next().await.stream();
    let mut chat = chat.await.unwrap();
    let mut read = String::new();
    for text in said {
        stream.say(text).await;
        while !read.contains(&piece(text).to_string()) {
            let bytes = soon(chat.chunk()).await.unwrap().unwrap();
            read.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }
    (stream, chat)
}

fn texts(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.data.as_str()).collect()
}

#[tokio::test]
async fn a_reader_gets_everything_from_the_start_and_then_as_it_comes() {
    let rig = Rig::start(&[]).await;
    let id = rig.create().await;
    assert_eq!(rig.get(&format!("/sessions/{id}/stream")).await.status(), 204);
    let (stream, chat) = streaming(&rig, &id, &["a", "b"]).await;
    let mut reader = Reader::open(&rig, &id, "", None).await;
    let (a, b, c) = (piece("a").to_string(), piece("b").to_string(), piece("c").to_string());
    assert_eq!(reader.next().await.unwrap().data, a);
    assert_eq!(reader.next().await.unwrap().data, b);
    stream.say("c").await;
    assert_eq!(reader.next().await.unwrap().data, c);
    stream.done().await;
    let end = reader.next().await.unwrap();
    assert_eq!((end.data.as_str(), end.id.is_empty()), ("[DONE]", false));
    assert_eq!(reader.next().await, None);
    drop(chat);
    // It is over, and can be read again.
    let again = Reader::open(&rig, &id, "", None).await.all().await;
    assert_eq!(texts(&again), [&a, &b, &c, "[DONE]"]);
    assert!(again.iter().all(|event| !event.id.is_empty()));
}

#[tokio::test]
async fn a_reader_that_comes_back_gets_what_has_come_since_and_nothing_twice() {
    let rig = Rig::start(&[]).await;
    let id = rig.create().await;
    let (stream, _chat) = streaming(&rig, &id, &["a", "b"]).await;
    let mut reader = Reader::open(&rig, &id, "", None).await;
    let first = reader.next().await.unwrap();
    drop(reader);
    stream.say("c").await;
    let mut by_header = Reader::open(&rig, &id, "?after=nonsense", Some(&first.id)).await;
    assert_eq!(by_header.next().await.unwrap().data, piece("b").to_string());
    let mut by_query = Reader::open(&rig, &id, &format!("?after={}", first.id), None).await;
    assert_eq!(by_query.next().await.unwrap().data, piece("b").to_string());
    stream.done().await;
    let (b, c) = (by_header.all().await, by_query.all().await);
    assert_eq!(texts(&b), [&*piece("c").to_string(), "[DONE]"]);
    assert_eq!(b, c);
    let end = Reader::open(&rig, &id, "", Some(&b[1].id)).await.all().await;
    assert_eq!(texts(&end), ["[DONE]"]);
}

#[tokio::test]
async fn a_cursor_that_cannot_be_used_is_told_and_reading_goes_on_from_the_start() {
    let mut rig = Rig::start(&[]).await;
    let id = rig.create().await;
    let (stream, _chat) = streaming(&rig, &id, &["a"]).await;
    let mut reader = Reader::open(&rig, &id, "", None).await;
    let first = reader.next().await.unwrap();
    let ahead = first.id.rsplit_once('-').unwrap().0.to_owned() + "-ff";
    for cursor in ["nonsense", "ffff-1-1", &ahead] {
        let mut reader = Reader::open(&rig, &id, "", Some(cursor)).await;
        let told = reader.next().await.unwrap();
        assert_eq!(told.kind, "reset", "{cursor}");
        let body: Value = serde_json::from_str(&told.data).unwrap();
        assert!(body["error"].is_string());
        assert_eq!(body["go_on"], json!(told.id));
        assert_eq!(reader.next().await.unwrap(), first);
    }
    stream.done().await;
    // After a restart nothing is kept: that is told, and not passed over.
    rig.until(&id, |status| status["phase"] == "idle").await;
    rig.program.terminate();
    rig.program.ended().await;
    rig.restart().await;
    let lost = Reader::open(&rig, &id, "", Some(&first.id)).await.all().await;
    assert_eq!(lost.len(), 1);
    assert_eq!(lost[0].kind, "reset");
    assert_eq!(rig.get(&format!("/sessions/{id}/stream")).await.status(), 204);
}

#[tokio::test]
async fn of_several_turns_the_last_is_read_and_another_by_its_id() {
    let rig = Rig::start(&[]).await;
    let id = rig.create().await;
    let (one, chat_one) = streaming(&rig, &id, &["a"]).await;
    let (two, _chat_two) = streaming(&rig, &id, &["b"]).await;
    let first = chat_one.headers()["x-session-stream"].to_str().unwrap().to_owned();
    let mut last = Reader::open(&rig, &id, "", None).await;
    assert_eq!(last.next().await.unwrap().data, piece("b").to_string());
    let mut other = Reader::open(&rig, &id, &format!("?stream_id={first}"), None).await;
    assert_eq!(other.next().await.unwrap().data, piece("a").to_string());
    one.done().await;
    assert_eq!(texts(&other.all().await), ["[DONE]"]);
    two.done().await;
    let last = last.all().await;
    assert_eq!(texts(&last), ["[DONE]"]);
    let nothing = rig.get(&format!("/sessions/{id}/stream?stream_id=1-ffff")).await;
    assert_eq!(nothing.status(), 204);
    let wrong = rig.get(&format!("/sessions/{id}/stream?stream_id=x")).await;
    assert_eq!(wrong.status(), 400);
}

#[tokio::test]
async fn a_reader_is_told_what_ended_a_turn() {
    let rig = Rig::start(&[]).await;
    for what in ["cancel", "delete", "cut"] {
        let id = rig.create().await;
        let (stream, _chat) = streaming(&rig, &id, &["a"]).await;
        let mut reader = Reader::open(&rig, &id, "", None).await;
        reader.next().await.unwrap();
        match what {
            "cancel" => drop(rig.post(&format!("/sessions/{id}/cancel"), json!({})).await),
            "delete" => assert_eq!(rig.delete(&id).await, 204),
            _ => stream.cut().await,
        }
        let end = reader.all().await;
        assert_eq!(end.len(), 1, "{what}");
        let body: Value = serde_json::from_str(&end[0].data).unwrap();
        assert!(body["error"].is_string(), "{what}");
    }
}

#[tokio::test]
async fn an_answer_in_one_piece_is_one_event() {
    let rig = Rig::start(&[]).await;
    let id = rig.create().await;
    let chat = rig.chat(&id, &request("hi"));
    let asked = rig.upstream.next().await;
    let reader = Reader::open(&rig, &id, "", None).await;
    asked.say("hello");
    chat.await.unwrap();
    let events = reader.all().await;
    assert_eq!(texts(&events), [&*completion("hello").to_string(), "[DONE]"]);
}

#[tokio::test]
async fn what_is_kept_is_bounded_and_a_gap_is_told() {
    let rig = Rig::start(&[]).await;
    let id = rig.create().await;
    // More than is kept of one stream.
    let large = "x".repeat(3 << 20);
    let (stream, chat) = streaming(&rig, &id, &["a"]).await;
    let first = Reader::open(&rig, &id, "", None).await.next().await.unwrap();
    for _ in 0..7 {
        stream.say(&large).await;
    }
    drop(chat);
    stream.done().await;
    rig.until(&id, |status| status["phase"] == "idle").await;
    let told = Reader::open(&rig, &id, "", Some(&first.id)).await.next().await.unwrap();
    assert_eq!(told.kind, "reset");
    assert!(told.data.contains("not kept any more"), "{}", told.data);
    let mut events = Reader::open(&rig, &id, "", None).await;
    let gap = events.next().await.unwrap();
    assert_eq!(gap.kind, "gap");
    assert!(serde_json::from_str::<Value>(&gap.data).unwrap()["missed"].as_u64().unwrap() > 0);
}
