//! The short examples print what their headers promise, the same every time.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::path::Path;
use std::process::Command;

/// What the built example prints; it ends well.
fn printed(name: &str) -> String {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let program = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let output = Command::new(profile.join("examples").join(program)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

// A10, B1, B4, B6, B10
#[test]
fn two_messages_tells_what_each_policy_does() {
    let expected = "\
Reject
  one: replied, entry 2
  two: refused, turn 1 was running
  kept: one, reply to one

Queue
  one: replied, entry 2
  two: replied, entry 4
  kept: one, reply to one, two, reply to two

Interrupt
  one: no reply, a newer turn interrupted it
  two: replied, entry 3
  kept: one (unanswered), two, reply to two

Parallel
  one: replied, entry 3
  two: replied too late, turn 1 was faster
  kept: one, two (beside the transcript), reply to one

";
    assert_eq!(printed("two_messages"), expected);
}

// E1, E5
#[test]
fn delete_mid_turn_tells_what_everybody_gets() {
    let expected = "\
delete:       deleted
once more:    gone already
reader:       “As you ”
reader:       ended, cancelled_deleted
emit:         refused, its session was deleted
commit:       stale, its session was deleted
look-up:      gone, deleted
old handle:   gone
the key:      opens another session: true, with 0 entries
";
    assert_eq!(printed("delete_mid_turn"), expected);
}

// G1
#[test]
fn custom_store_tells_what_was_tested_and_what_a_conversation_asks_of_it() {
    let expected = "\
each promise, one by one:        kept
as the memory store, at random:  the same answers
under eight clients at once:     as one after another

Committed { seq: 2, version: 1 }
bound_to   1
create     1
write      2
";
    assert_eq!(printed("custom_store"), expected);
}

// H3, H2, H6
#[cfg(all(unix, feature = "sqlite"))]
#[test]
fn restart_ends_in_the_same_way_by_a_command_and_by_a_signal() {
    let expected = "
started, 0 sessions; the run before: there was none
ended by a /restart: 1 finished, 0 cut off, 1 left out; clean: true
  ada got her reply: true

started, 2 sessions; the run before: ended in good order, 2 turns
ended by a crash

started, 2 sessions; the run before: crashed, 1 turns cut off
  done over, in the same session: true
  hears SIGTERM
ended by a signal: 1 finished, 0 cut off, 0 left out; clean: true
  ada got her reply: true

started, 2 sessions; the run before: ended in good order, 1 turns
";
    assert_eq!(printed("restart"), expected);
}

// X1, X6, X14, X19
#[test]
fn long_lived_bot_tells_what_left_what_was_kept_and_why_and_what_ended() {
    let told = printed("long_lived_bot");
    let mut rest = told.as_str();
    for wanted in [
        "Mon 08:00 discord/chat=dm/user=ada: read the whole archive for me, please\n",
        "Mon 14:00 in memory: 1\n",
        "ada: in memory, will have ended in 5h59 if nothing is said: it was not used for long, kept by [Leased]\n",
        "ben: asleep, will have ended in 13h59 if nothing is said: its day was over\n",
        "Mon 20:00 in memory: 1\n",
        "ada: in memory, would have ended: it was not used for long, kept by [Leased]\n",
        "Tue 08:00 in memory: 1\n",
        "ben: asleep, archived at 2026-06-02T02:00:00",
        "Tue 20:00 in memory: 0\n",
        "ada: asleep, will have ended in 5h59 if nothing is said: it was not used for long\n",
        "Wed 08:00 in memory: 0\n",
        "ada: asleep, archived at 2026-06-03T00:00:00",
        "Wed 20:00 bot: We start anew: its day was over.\n",
        "Wed 20:00 bot: We start anew: it was not used for long.\n",
        "  assistant: I have read it all. It is about sessions.\n",
        "purged: it was kept for as long as it was to be\n",
    ] {
        let at = rest.find(wanted).unwrap_or_else(|| panic!("{wanted:?} is missing in:\n{rest}"));
        rest = &rest[at + wanted.len()..];
    }
}
