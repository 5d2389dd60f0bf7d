//! Two messages arrive at the same time: what each of the four policies makes of that.
//!
//! ```text
//! cargo run --example two_messages
//! ```
//!
//! You will see, for each policy, what became of both messages, and what the conversation holds
//! afterwards. Nothing here waits for a clock, so it prints the same every time.
#![allow(clippy::print_stdout, reason = "an example talks to people")]
#![allow(clippy::wildcard_enum_match_arm, reason = "enums of another crate may grow")]

use std::error::Error;
use std::time::Duration;

use session_supervisor::{
    BeginError, BusyPolicy, ChatMessage, CommitOutcome, EntryMark, Parallel, Session, SessionKey,
    StreamId, Supervisor, Turn,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let supervisor: Supervisor = Supervisor::builder().start().await?;
    for (name, policy) in [
        ("Reject", BusyPolicy::Reject),
        ("Queue", BusyPolicy::queue()),
        ("Interrupt", BusyPolicy::interrupt()),
        ("Parallel", BusyPolicy::Parallel(Parallel::FirstCommit)),
    ] {
        let key = SessionKey::builder("example").chat(name).build()?;
        println!("{name}");
        race(&supervisor.open(&key).await?, policy).await?;
    }
    supervisor.shutdown(Duration::from_secs(1)).await?;
    Ok(())
}

/// Begins a turn for one message, and while it runs another one for a second message.
async fn race(session: &Session, policy: BusyPolicy) -> Result<(), Box<dyn Error>> {
    let first = session.begin(&ChatMessage::user("one"), policy).await?;
    let message = ChatMessage::user("two");
    // Both run together: the second asks for its turn, and the first goes on with its reply.
    let (first, second) = tokio::join!(finish_first(first), session.begin(&message, policy));
    println!("  one: {first}");
    let second = match second {
        Ok(turn) => outcome(turn.commit(&ChatMessage::assistant("reply to two")).await?),
        Err(BeginError::Busy { holder, .. }) => {
            format!("refused, turn {} was {}", number(holder.stream), holder.phase)
        }
        Err(error) => return Err(error.into()),
    };
    println!("  two: {second}");
    let mut kept = Vec::new();
    for entry in session.entries(0, usize::MAX).await? {
        let mark = match entry.mark {
            EntryMark::Kept => "",
            EntryMark::Unanswered => " (unanswered)",
            _ => " (beside the transcript)",
        };
        kept.push(format!("{}{mark}", entry.content?.content));
    }
    println!("  kept: {}\n", kept.join(", "));
    Ok(())
}

/// Works on the first reply for as long as the second message needs to arrive.
async fn finish_first(turn: Turn) -> String {
    tokio::task::yield_now().await;
    if let Some(reason) = turn.cancelled_by() {
        // It was told to end: a real reply stops calling its model here.
        drop(turn);
        return format!("no reply, {reason}");
    }
    match turn.commit(&ChatMessage::assistant("reply to one")).await {
        Ok(committed) => outcome(committed),
        Err(error) => error.to_string(),
    }
}

/// What a commit did, in words.
fn outcome(outcome: CommitOutcome) -> String {
    match outcome {
        CommitOutcome::Committed { seq, .. } => format!("replied, entry {seq}"),
        CommitOutcome::Superseded { by } => {
            format!("replied too late, turn {} was faster", number(by))
        }
        CommitOutcome::Stale { reason } => format!("not kept, {reason}"),
        _ => "something new".to_owned(),
    }
}

/// Which turn of its session; the whole id is another one with every run.
fn number(stream: StreamId) -> u64 {
    stream.generation().get()
}
