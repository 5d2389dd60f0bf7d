//! Playing a trace through a supervisor, and whether all of it is there afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use session_supervisor::{
    BeginError, BusyPolicy, ChatMessage, CommitOutcome, Event, RecordFilter, Session, SessionKey,
    Subscription, Supervisor, Turn,
};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::start::resident_bytes;
use crate::trace::{Request, Trace};

/// How fast a model speaks: fifty tokens a second.
const TOKEN: Duration = Duration::from_millis(20);

/// How many requests are under way at once where nobody waits for a model.
const AT_ONCE: usize = 512;

/// How many chunks are emitted before others have their turn, where nobody waits for a model.
const BURST: usize = 64;

/// A token, as it is streamed and as a part of a reply: four letters.
const WORD: &str = "word";

/// How fast a trace is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As it was recorded.
    Recorded,
    /// Whatever the machine can do.
    Full,
}

/// What a replay came to.
#[derive(Debug, Default)]
pub(crate) struct Played {
    pub(crate) turns: AtomicU64,
    /// How many came while another turn ran, and waited for its end.
    pub(crate) busy: AtomicU64,
    pub(crate) chunks: AtomicU64,
    /// How many chunks readers have got, or were told that they missed.
    pub(crate) read: AtomicU64,
    pub(crate) most_live: AtomicUsize,
    pub(crate) most_bytes: AtomicU64,
    /// In microseconds; without the wait for another turn's end.
    pub(crate) begins: Mutex<Vec<u32>>,
    pub(crate) commits: Mutex<Vec<u32>>,
}

/// Plays `copies` of a trace side by side, each under keys of its own.
pub(crate) async fn play(
    supervisor: Supervisor,
    trace: Arc<Trace>,
    copies: usize,
    pace: Pace,
) -> Arc<Played> {
    let played = Arc::new(Played::default());
    let (mut replies, permits) = (JoinSet::new(), Arc::new(Semaphore::new(AT_ONCE)));
    let start = tokio::time::Instant::now();
    for (number, request) in trace.requests.iter().enumerate() {
        if pace == Pace::Recorded {
            tokio::time::sleep_until(start + request.at).await;
        }
        for copy in 0..copies {
            let permit = match pace {
                Pace::Full => permits.clone().acquire_owned().await.ok(),
                Pace::Recorded => None,
            };
            let reply = answer(supervisor.clone(), *request, copy, pace, played.clone());
            replies.spawn(async move {
                reply.await;
                drop(permit);
            });
        }
        while replies.try_join_next().is_some() {}
        played.most_live.fetch_max(supervisor.loaded(), Ordering::Relaxed);
        if number % 64 == 0 {
            played.most_bytes.fetch_max(resident_bytes() as u64, Ordering::Relaxed);
        }
    }
    replies.join_all().await;
    played
}

/// The key of a conversation.
fn key(copy: usize, conversation: usize) -> SessionKey {
    let chat = format!("{copy}.{conversation}");
    SessionKey::builder("web").chat(&chat).build().expect("a key")
}

/// One request: its turn, its reply chunk by chunk, and somebody who reads that.
async fn answer(
    supervisor: Supervisor,
    request: Request,
    copy: usize,
    pace: Pace,
    played: Arc<Played>,
) {
    let key = key(copy, request.conversation);
    let session = supervisor.open(&key).await.expect("it opens");
    let turn = begin(&session, &played).await;
    let reader = session.subscribe_to(turn.stream()).expect("it runs");
    let reader = tokio::spawn(read(reader, pace));
    for number in 0..request.tokens {
        match pace {
            Pace::Recorded => tokio::time::sleep(TOKEN).await,
            Pace::Full if number % BURST == BURST - 1 => tokio::task::yield_now().await,
            Pace::Full => {}
        }
        turn.emit(WORD).expect("it runs");
    }
    let reply = ChatMessage::assistant(WORD.repeat(request.tokens));
    let start = Instant::now();
    let outcome = turn.commit(&reply).await.expect("the store does not fail");
    assert!(matches!(outcome, CommitOutcome::Committed { .. }), "{outcome:?}");
    played.commits.lock().push(start.elapsed().as_micros() as u32);
    played.turns.fetch_add(1, Ordering::Relaxed);
    played.chunks.fetch_add(request.tokens as u64, Ordering::Relaxed);
    played.read.fetch_add(reader.await.expect("it reads"), Ordering::Relaxed);
}

/// Begins a turn; waits for another one's end if there is one.
async fn begin(session: &Session, played: &Played) -> Turn {
    let said = ChatMessage::user("what somebody says, of which the trace has only the length");
    let start = Instant::now();
    match session.begin(&said, BusyPolicy::Reject).await {
        Ok(turn) => {
            played.begins.lock().push(start.elapsed().as_micros() as u32);
            turn
        }
        Err(BeginError::Busy { .. }) => {
            played.busy.fetch_add(1, Ordering::Relaxed);
            let queue = BusyPolicy::Queue { max: 64, wait: None };
            session.begin(&said, queue).await.expect("its turn comes")
        }
        Err(error) => panic!("{error}"),
    }
}

/// Reads a stream to its end; how many chunks there were.
async fn read(mut stream: Subscription, pace: Pace) -> u64 {
    let mut chunks = 0;
    while let Some(event) = stream.next().await {
        match event {
            Event::Chunk { .. } => chunks += 1,
            Event::Lagged { missed } if pace == Pace::Full => chunks += missed,
            Event::Lagged { .. } => panic!("it is read as it is spoken"),
            _ => {}
        }
    }
    chunks
}

/// How many turns of the trace are not in the store as they have to be: an input and a reply each, and none open.
pub(crate) async fn missing(supervisor: &Supervisor, trace: &Trace, copies: usize) -> u64 {
    let (mut found, mut wrong, mut after) = (0, 0, None);
    loop {
        let page = supervisor.list(RecordFilter::default(), after, 1_000).await;
        let page = page.expect("the store does not fail");
        for record in page.records {
            let chat = record.key.as_ref().and_then(|key| key.segment("chat").map(String::from));
            let chat = chat.expect("each has one");
            let (_, conversation) = chat.split_once('.').expect("a copy and a conversation");
            let turns = trace.turns[conversation.parse::<usize>().expect("a number")];
            let whole = record.entries == 2 * turns && record.open.is_empty();
            let whole = whole && record.generation.get() >= turns;
            (found, wrong) = (found + turns, wrong + if whole { 0 } else { turns });
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    wrong + (trace.requests.len() * copies) as u64 - found
}
