//! Drives the chat as a script does: the built program, through pipes.
//!
//! Nothing sleeps to wait: everything waits for what the program prints. What it prints in one turn
//! of its loop comes in that order, so a line that is there says that what came before it happened.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod chat {
    pub(crate) mod program;
    pub(crate) mod server;
}

use std::path::Path;

use chat::program::Chat;
use chat::server::{Answer, Server};

/// Long, and slow where the pace says so.
const STORY: &str = "tell me a story";

/// Slow enough that a test is always faster.
const SLOW: [&str; 2] = ["--pace", "20ms"];

fn memory(flags: &[&str]) -> Chat {
    Chat::start(Path::new("memory"), flags)
}

#[tokio::test]
async fn a_script_is_answered_line_by_line_and_ends_well() {
    let mut chat = memory(&["--pace", "1ms"]);
    chat.say("hello\nmy name is Ada\nwho am I?\n2 + 3?\n/history\n/nonsense\n").await;
    let (output, status) = chat.finish().await;
    let lines: Vec<_> = output.lines().collect();
    let at = |start: &str| lines.iter().position(|line| line.starts_with(start)).expect(start);
    let order = [
        at("* an offline bot replies; nothing is kept"),
        at("bot: Hello!"),
        at("bot: Pleased to meet you, Ada."),
        at("bot: You are Ada"),
        at("bot: 2 + 3 is 5."),
        at("you: hello"),
        at("you: my name is Ada"),
        at("* there is no /nonsense; /help lists"),
    ];
    assert!(order.is_sorted(), "{output}");
    assert!(!output.contains('\x1b'), "no colours: {output}");
    assert_eq!(status, Some(0));
}

#[tokio::test]
async fn the_end_of_input_lets_a_reply_finish() {
    let mut chat = memory(&["--pace", "1ms"]);
    chat.say(&format!("{STORY}\n")).await;
    let (output, status) = chat.finish().await;
    assert!(output.ends_with("The end.\n"), "{output}");
    assert_eq!(status, Some(0));
}

// A10, B1
#[tokio::test]
async fn under_reject_the_second_of_two_lines_is_refused_and_told() {
    let mut chat = memory(&["--busy", "reject", "--pace", "1ms"]);
    chat.say(&format!("{STORY}\n2 + 3?\n")).await;
    let (output, status) = chat.finish().await;
    assert!(output.contains("this was not taken; wait, or /stop: “2 + 3?”"), "{output}");
    assert!(output.contains("The end.") && !output.contains("is 5"), "{output}");
    assert_eq!(status, Some(0));
}

// A10, B4
#[tokio::test]
async fn under_queue_both_lines_are_answered_in_order() {
    let mut chat = memory(&["--busy", "queue", "--pace", "1ms"]);
    chat.say(&format!("{STORY}\n2 + 3?\n4 + 5?\n")).await;
    let (output, _) = chat.finish().await;
    assert!(output.ends_with("The end.\nbot: 2 + 3 is 5.\nbot: 4 + 5 is 9.\n"), "{output}");
}

// A10, B6
#[tokio::test]
async fn under_interrupt_the_second_line_cuts_the_first_reply_short() {
    let mut chat = memory(&["--busy", "interrupt", "--pace", "20ms"]);
    chat.say(&format!("{STORY}\n")).await;
    chat.until("bot: Once").await;
    chat.say("2 + 3?\n").await;
    chat.until("* interrupted by what was said next").await;
    chat.until("bot: 2 + 3 is 5.").await;
    chat.say("/history\n").await;
    chat.until(&format!("you: {STORY} [unanswered]")).await;
    let (output, status) = chat.finish().await;
    assert!(!output.contains("The end."), "{output}");
    assert_eq!(status, Some(0));
}

// D1
#[tokio::test]
async fn stop_ends_the_reply_and_drops_what_waits() {
    let mut chat = memory(&SLOW);
    chat.say(&format!("{STORY}\n2 + 3?\n")).await;
    chat.until("bot: Once").await;
    chat.say("/stop\n").await;
    chat.until("* stopped;").await;
    chat.until("* dropped before it was answered: “2 + 3?”").await;
    chat.say("4 + 5?\n").await;
    chat.until("bot: 4 + 5 is 9.").await;
    assert_eq!(chat.finish().await.1, Some(0));
}

// E1, E5
#[tokio::test]
async fn a_session_is_deleted_in_the_middle_of_its_reply() {
    let mut chat = memory(&SLOW);
    chat.say(&format!("{STORY}\n")).await;
    chat.until("bot: Once").await;
    chat.say("/delete\n").await;
    chat.until(" is deleted").await;
    chat.until("* now in session ").await;
    chat.until("the session was deleted, and this reply with it").await;
    chat.say("/history\n/open 1\n").await;
    chat.until("nothing has been said yet").await;
    let (output, status) = chat.finish().await;
    assert!(!output.contains("The end."), "{output}");
    assert_eq!(status, Some(0));
}

// D12
#[tokio::test]
async fn a_reply_goes_on_while_another_session_is_open_and_is_found_again() {
    let mut chat = memory(&["--busy", "reject", "--pace", "20ms"]);
    chat.say("hello\n").await;
    chat.until("Ctrl-C.").await;
    chat.say("/new\n").await;
    chat.until("* a new session").await;
    chat.say(&format!("/sessions\n{STORY}\n")).await;
    chat.until("bot: Once").await;
    chat.say("/open 1\n/sessions\n").await;
    chat.until("replying)").await;
    chat.say("/open 2\n").await;
    chat.until(&format!("you: {STORY} [being answered]")).await;
    chat.until("bot: ").await;
    let (output, status) = chat.finish().await;
    assert!(output.ends_with("The end.\n"), "{output}");
    assert_eq!(status, Some(0));
}

// G2, G3, H9
#[tokio::test]
async fn after_a_kill_the_next_start_says_what_it_found_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("chat.db");
    let mut chat = Chat::start(&store, &SLOW);
    chat.say(&format!("{STORY}\n")).await;
    chat.until("bot: Once there").await;
    chat.kill().await;

    let mut chat = Chat::start(&store, &["--pace", "1ms"]);
    chat.until("* an earlier run ended in the middle of a reply").await;
    chat.until(&format!("You had said “{STORY}”")).await;
    chat.say("2 + 3?\n").await;
    chat.until("bot: 2 + 3 is 5.").await;
    chat.say("/history\n").await;
    chat.until(&format!("you: {STORY} [unanswered]")).await;
    assert_eq!(chat.finish().await.1, Some(0));

    let chat = Chat::start(&store, &[]);
    let (output, _) = chat.finish().await;
    assert!(!output.contains("earlier run"), "told once: {output}");
}

/// The words of the bot, without those that answer something else than the story.
fn story_of(output: &str) -> String {
    let said = output.lines().filter_map(|line| line.strip_prefix("bot: "));
    let story = said.filter(|line| !line.contains("is 5.")).collect::<Vec<_>>().join(" ");
    story.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The story, as it is told to somebody who listens.
async fn whole_story() -> String {
    let mut chat = memory(&["--pace", "0ms"]);
    chat.say(&format!("{STORY}\n")).await;
    story_of(&chat.finish().await.0)
}

/// A file with settings.
fn settings(folder: &tempfile::TempDir, text: &str) -> String {
    let path = folder.path().join("settings.toml");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

// C10
#[tokio::test]
async fn retry_does_the_last_turn_over_and_what_was_said_is_there_once() {
    let mut chat = memory(&["--pace", "1ms"]);
    chat.say("my name is Ada\n2 + 3?\n/retry\n/history\n").await;
    chat.until("bot: 2 + 3 is 5.").await;
    chat.until("* once more, in place of the last turn:\nbot: 2 + 3 is 5.\nyou: my name is Ada")
        .await;
    chat.until("you: 2 + 3?").await;
    chat.until("bot: 2 + 3 is 5.").await;
    chat.say("/retry 2\n/history\n").await;
    chat.until("* once more, in place of the last 2 turns:\nbot: Pleased to meet you, Ada.").await;
    chat.until("you: my name is Ada").await;
    let (output, status) = chat.finish().await;
    let (_, history) = output.rsplit_once("you: my name is Ada").unwrap();
    assert_eq!(history.matches("bot: ").count(), 1, "{output}");
    assert!(!history.contains("2 + 3"), "{output}");
    // Said by the bot twice, and printed once by the first `/history`.
    assert_eq!(output.matches("bot: 2 + 3 is 5.").count(), 3, "{output}");
    assert_eq!(output.matches("you: 2 + 3?").count(), 1, "{output}");
    assert_eq!(status, Some(0));
}

#[tokio::test]
async fn what_cannot_be_done_over_is_told_with_what_to_do() {
    let mut chat = memory(&["--pace", "0ms"]);
    chat.say("/retry\n").await;
    chat.until("* nothing has been said here yet, so there is nothing to do over").await;
    chat.say("/retry 0\n/retry x\n").await;
    chat.until("* how many turns? ").await;
    chat.until("* how many turns? ").await;
    chat.say("2 + 3?\n/retry 2\n").await;
    chat.until("bot: 2 + 3 is 5.").await;
    chat.until("* at most 1 turn can be done over here: /retry 1").await;
    chat.say("/retry 1\n").await;
    chat.until("bot: 2 + 3 is 5.").await;
    assert_eq!(chat.finish().await.1, Some(0));
}

// D1, C10
#[tokio::test]
async fn retry_stops_the_reply_that_runs_and_what_is_typed_meanwhile_waits_for_it() {
    let mut chat = memory(&["--busy", "reject", "--pace", "20ms"]);
    chat.say(&format!("{STORY}\n")).await;
    chat.until("bot: Once there was").await;
    chat.say("/retry\n/history\n").await;
    chat.until("* stopped, to be done over\n* once more, in place of the last turn:").await;
    // The second command waited for the first.
    chat.until(&format!("you: {STORY} [being answered]")).await;
    chat.until("bot: Once there was").await;
    // The line ends when the reply is kept; its last word is printed before that.
    chat.until("The end.\n").await;
    chat.say("/history\n").await;
    chat.until(&format!("you: {STORY}")).await;
    chat.until("The end.").await;
    let (output, status) = chat.finish().await;
    let (_, history) = output.rsplit_once(&format!("you: {STORY}")).unwrap();
    assert!(!history.contains("interrupted]") && history.starts_with("  ("), "{output}");
    assert_eq!(status, Some(0));
}

// D1, C10
#[tokio::test]
async fn a_reply_that_was_stopped_is_shown_as_far_as_it_came_and_done_over() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("chat.db");
    let mut chat = Chat::start(&store, &SLOW);
    chat.say(&format!("{STORY}\n")).await;
    chat.until("bot: Once there was").await;
    chat.say("/stop\n").await;
    chat.until("* stopped; /retry does it over").await;
    chat.say("/history\n").await;
    chat.until(&format!("you: {STORY} [unanswered]")).await;
    chat.until("bot: Once there was").await;
    chat.until(" [interrupted]").await;
    assert_eq!(chat.finish().await.1, Some(0));

    let mut chat = Chat::start(&store, &["--pace", "0ms"]);
    chat.until(&format!("you: {STORY} [unanswered]")).await;
    chat.until("bot: Once there was").await;
    chat.until(" [interrupted]\n* this reply was interrupted; /retry does it over").await;
    chat.say("/retry\n").await;
    chat.until("The end.\n").await;
    chat.say("/history\n").await;
    chat.until(&format!("you: {STORY}  (")).await;
    chat.until("The end.").await;
    let (output, _) = chat.finish().await;
    assert_eq!(output.matches("[interrupted]").count(), 1, "{output}");
}

// C10, G2
#[tokio::test]
async fn after_a_kill_what_is_kept_of_the_reply_is_shown_and_retry_does_it_over() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("chat.db");
    let mut chat = Chat::start(&store, &SLOW);
    chat.say(&format!("{STORY}\n")).await;
    // A piece is on the disk before the next is: once the words of a second one are there, those of
    // the first survive. With each word that is printed there may be one more.
    let log = folder.path().join("chat.db-wal");
    let has = |text: &str| {
        let log = std::fs::read(&log).unwrap_or_default();
        log.windows(text.len()).any(|part| part == text.as_bytes())
    };
    while !has("wait, I am speaking") {
        chat.until(" ").await;
    }
    chat.kill().await;

    let mut chat = Chat::start(&store, &["--pace", "0ms"]);
    chat.until("/retry does it over; or just go on.").await;
    chat.until(&format!("you: {STORY} [unanswered]")).await;
    chat.until("bot: Once there was a lighthouse keeper who answered every ship.").await;
    chat.until(" [interrupted]\n* this reply was interrupted; /retry does it over").await;
    chat.say("/retry\n").await;
    chat.until("* once more, in place of the last turn:").await;
    chat.until("The end.").await;
    let (output, status) = chat.finish().await;
    assert_eq!(output.matches("[interrupted]").count(), 1, "{output}");
    assert_eq!(status, Some(0));

    let (output, _) = Chat::start(&store, &[]).finish().await;
    assert_eq!(output.matches(&format!("you: {STORY}  (")).count(), 1, "{output}");
    assert!(!output.contains("[interrupted]") && !output.contains("/retry"), "{output}");
}

// J2
#[tokio::test]
async fn back_in_a_session_its_reply_goes_on_with_nothing_twice_and_nothing_missing() {
    let mut chat = memory(&["--busy", "reject", "--pace", "20ms"]);
    chat.say("/new\n/sessions\n").await;
    chat.until("> 2").await;
    chat.say(&format!("{STORY}\n")).await;
    chat.until("bot: Once there was").await;
    chat.say("/open 1\n2 + 3?\n").await;
    chat.until("bot: 2 + 3 is 5.").await;
    chat.say("/open 2\n").await;
    chat.until(&format!("you: {STORY} [being answered]")).await;
    chat.until("* the reply goes on where you left it\nbot: ").await;
    chat.until("The end.").await;
    let (output, status) = chat.finish().await;
    assert_eq!(story_of(&output), whole_story().await, "{output}");
    assert_eq!(status, Some(0));
}

// J2
#[tokio::test]
async fn back_in_a_session_that_has_finished_meanwhile_the_rest_is_shown() {
    let mut chat = memory(&["--busy", "interrupt", "--pace", "5ms"]);
    chat.say("/new\n/sessions\n").await;
    chat.until("> 2").await;
    chat.say(&format!("{STORY}\n")).await;
    chat.until("bot: Once there was").await;
    chat.say("/open 1\n").await;
    chat.until(&format!("the reply to “{STORY}” is there")).await;
    chat.say("2 + 3?\n").await;
    chat.until("bot: 2 + 3 is 5.").await;
    chat.say("/open 2\n").await;
    chat.until("* the rest of the reply\nbot: ").await;
    chat.until("The end.").await;
    let (output, status) = chat.finish().await;
    assert_eq!(story_of(&output), whole_story().await, "{output}");
    assert_eq!(status, Some(0));
}

// D1, J2
#[tokio::test]
async fn back_in_a_session_whose_reply_was_cut_off_says_so_and_retry_does_it_over() {
    let mut chat = memory(&["--busy", "reject", "--pace", "5ms"]);
    chat.say(&format!("{STORY}\n")).await;
    chat.until("bot: Once there was").await;
    chat.say("/sessions\n/new\n").await;
    chat.until(": cut off by /new; /retry does it over").await;
    chat.say("/open 1\n").await;
    chat.until(&format!("you: {STORY} [unanswered]")).await;
    chat.until("* cut off by /new; /retry does it over").await;
    chat.say("/retry\n").await;
    chat.until("* once more, in place of the last turn:\nbot: Once there was").await;
    let (output, status) = chat.finish().await;
    assert!(output.ends_with("The end.\n"), "{output}");
    assert_eq!(status, Some(0));
}

// J3
#[tokio::test]
async fn back_in_a_session_that_never_said_a_word_nothing_is_missed() {
    let mut chat = memory(&["--busy", "reject", "--pace", "10s"]);
    chat.say(&format!("{STORY}\n/sessions\n")).await;
    chat.until("replying)").await;
    chat.say("/new\n").await;
    chat.until(": cut off by /new; /retry does it over").await;
    chat.say("/open 1\n").await;
    chat.until(&format!("you: {STORY} [unanswered]")).await;
    chat.until("\n* cut off by /new; /retry does it over\n").await;
    let (output, status) = chat.finish().await;
    assert!(!output.contains("cannot be shown") && !output.contains("bot: "), "{output}");
    assert_eq!(status, Some(0));
}

// J3
#[tokio::test]
async fn back_in_a_session_what_is_not_kept_any_more_is_told() {
    let folder = tempfile::tempdir().unwrap();
    for (text, told) in [
        ("[streams]\nmax_items = 4", " pieces of the reply to “tell me a story” came meanwhile"),
        (
            "[streams]\nkeep_finished_for = \"0s\"",
            "the rest of the reply to “tell me a story” cannot be shown",
        ),
    ] {
        let settings = settings(&folder, text);
        let mut chat = memory(&["--busy", "reject", "--pace", "5ms", "--config", &settings]);
        chat.say("/new\n/sessions\n").await;
        chat.until("> 2").await;
        chat.say(&format!("{STORY}\n")).await;
        chat.until("bot: Once").await;
        chat.say("/open 1\n").await;
        chat.until(&format!("the reply to “{STORY}” is there")).await;
        chat.say("/open 2\n").await;
        chat.until(told).await;
        chat.say("/history\n").await;
        chat.until("Once there was").await;
        chat.until("The end.").await;
        assert_eq!(chat.finish().await.1, Some(0));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn sigterm_cuts_a_long_reply_off_and_leaves_in_good_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("chat.db");
    let mut chat = Chat::start(&store, &["--pace", "10s"]);
    chat.say(&format!("{STORY}\n")).await;
    chat.say("/help\n").await;
    chat.until("/quit").await;
    chat.signal("TERM");
    chat.until("* 1 reply was cut off; what you said is kept, marked unanswered").await;
    assert_eq!(chat.finish().await.1, Some(0));
    let (output, _) = Chat::start(&store, &[]).finish().await;
    assert!(!output.contains("earlier run"), "{output}");
    assert!(output.contains(&format!("you: {STORY} [unanswered]")), "{output}");
}

#[cfg(unix)]
#[tokio::test]
async fn one_interrupt_stops_the_reply_and_the_second_leaves() {
    let mut chat = memory(&SLOW);
    chat.say(&format!("{STORY}\n")).await;
    chat.until("bot: Once").await;
    chat.signal("INT");
    chat.until("* stopped;").await;
    chat.signal("INT");
    assert_eq!(chat.finish().await.1, Some(0));
}

// H2
#[tokio::test]
async fn what_keeps_a_store_from_opening_is_said_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.db");
    std::fs::write(&text, "dear diary").unwrap();
    let (_, status, errors) = Chat::start(&text, &[]).finish_with_errors().await;
    assert_eq!(status, Some(1));
    assert!(
        errors.starts_with("chat_loop: ") && errors.contains("text.db cannot be used"),
        "{errors}"
    );
    assert_eq!(std::fs::read_to_string(&text).unwrap(), "dear diary");

    let store = folder.path().join("chat.db");
    let mut first = Chat::start(&store, &[]);
    first.until("/help for help").await;
    let (_, status, errors) = Chat::start(&store, &[]).finish_with_errors().await;
    assert_eq!(status, Some(1));
    assert!(errors.contains("is in use by process"), "{errors}");
    assert!(!errors.contains('{'), "no debug output: {errors}");
    assert_eq!(first.finish().await.1, Some(0));
}

/// A chat with a server that gives `answers`, one a request.
async fn upstream(answers: Vec<Answer>) -> (Chat, Server) {
    let server = Server::start(answers).await;
    (memory(&["--upstream", &server.url, "--model", "tiny"]), server)
}

#[tokio::test]
async fn a_servers_reply_streams_however_its_bytes_are_cut() {
    let reply = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\r\n\r\n\
        : a comment\n\n\
        data: {\"choices\":[{\"delta\":{\"content\":\"Grüße \"}}]}\n\n\
        event: message\ndata: {\"choices\":\ndata: [{\"delta\":{\"content\":\"from 🌍\\u001b[2J\"}}]}\r\r\
        data: {\"choices\":[]}\n\ndata: [DONE]\n\n";
    for cut in [1, 7, 10_000] {
        let answers = vec![Answer::stream(reply, cut), Answer::stream(reply, cut)];
        let (mut chat, server) = upstream(answers).await;
        chat.say("hello\n").await;
        chat.until("bot: Grüße from 🌍").await;
        chat.say("again\n").await;
        let (output, status) = chat.finish().await;
        assert_eq!(output.matches("Grüße from 🌍").count(), 2, "{output}");
        assert!(!output.contains('\x1b'), "{output:?}");
        assert_eq!(status, Some(0));
        let asked = server.asked();
        assert!(asked[0].starts_with("POST /v1/chat/completions "), "{}", asked[0]);
        assert!(asked[0].contains("authorization: Bearer test-key"), "{}", asked[0]);
        assert!(asked[0].contains("\"stream\":true") && asked[0].contains("\"model\":\"tiny\""));
        let before = asked[1].find("\"content\":\"hello\"").unwrap();
        let last = asked[1].find("\"content\":\"again\"").unwrap();
        assert!(before < last, "{}", asked[1]);
    }
}

#[tokio::test]
async fn a_servers_errors_are_shown_and_what_was_said_is_kept() {
    let half = "data: {\"choices\":[{\"delta\":{\"content\":\"Half \"}}]}\n\n";
    let broken = "data: {\"error\":{\"message\":\"out of memory\"}}\n\n";
    let unauthorized = "{\"error\":{\"message\":\"Incorrect API key provided\"}}";
    for (answer, told) in [
        (
            Answer::plain("401 Unauthorized", unauthorized),
            "says 401 Unauthorized: Incorrect API key provided",
        ),
        (
            Answer::plain("500 Internal Server Error", "<h1>oops</h1>"),
            "says 500 Internal Server Error: <h1>oops</h1>",
        ),
        (
            Answer::plain("500 Internal Server Error", ""),
            "says 500 Internal Server Error: nothing more",
        ),
        (Answer::plain("200 OK", "not json"), "not a chat completion: not json"),
        (Answer::stream(half, 5), "the server's reply broke off before its end"),
        (Answer::stream(half, 5).broken(), "no reply: the connection to the server failed"),
        (
            Answer::stream(&format!("{half}{broken}"), 5),
            "in the middle of its reply: out of memory",
        ),
        (Answer::stream("data: nonsense\n\n", 5), "not a chat completion: nonsense"),
    ] {
        let fine = "data: {\"choices\":[{\"delta\":{\"content\":\"fine now\"},\"finish_reason\":\"stop\"}]}\n\n";
        let (mut chat, server) = upstream(vec![answer, Answer::stream(fine, 5)]).await;
        chat.say("first\n").await;
        chat.until(told).await;
        chat.until("what you said is kept").await;
        chat.say("/history\n").await;
        chat.until("you: first [unanswered]").await;
        chat.say("second\n").await;
        chat.until("bot: fine now").await;
        assert_eq!(chat.finish().await.1, Some(0));
        // Roles alternate, whatever failed.
        assert!(
            server.asked()[1].contains("\"content\":\"first\\n\\nsecond\""),
            "{:?}",
            server.asked()
        );
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told() {
    let url = Server::nobody().await;
    let mut chat = memory(&["--upstream", &url, "--model", "tiny"]);
    chat.say("hello\n").await;
    chat.until("no reply: the connection to the server failed").await;
    chat.until("refused").await;
    assert_eq!(chat.finish().await.1, Some(0));
}
