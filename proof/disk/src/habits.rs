//! Everything else that users do with conversations: whatever is refused is refused.

use std::time::Duration;

use session_supervisor::{
    BeginOptions, BusyPolicy, ChatMessage, ExpiryRules, FailedInput, NewSession, Parallel, Reply,
    ResumeFailure, Session, Supervisor, Turn,
};

use crate::random::Random;
use crate::work::key;

/// How many chats one task has.
const CHATS: u64 = 3;

/// Does `steps` things. What a session refuses is no concern here; what was written is compared elsewhere.
pub(crate) async fn work(supervisor: &Supervisor, task: u64, steps: u64, random: &mut Random) {
    for step in 0..steps {
        let chat = key(&format!("rich{task}-{}", random.below(CHATS)));
        let Ok(session) = supervisor.open(&chat).await else { continue };
        let text = format!("rich{task}.{step}.{}", random.below(1_000_000));
        match random.below(24) {
            0..5 => reply(&session, &text, random).await,
            5 => drop(session.append(&[says(&text), says("and more")]).await),
            6 => end_without_reply(&session, &text, random).await,
            7 | 8 => {
                reply(&session, &text, random).await;
                take_back(&session, random).await;
            }
            9 | 10 => resume(&session, &text, random).await,
            11 => drop(session.rotate(None).await),
            12 => drop(session.delete().await),
            13 => drop(session.set_label(Some(&text)).await),
            14 => drop(session.insert("mood", &text).await),
            15 => drop(session.remove("mood").await),
            16 => change_standing(&session, random).await,
            17 => change_keys(supervisor, &session, &text, random).await,
            18 | 19 => branches(&session, &text).await,
            20 | 21 => steer(&session, &text).await,
            22 => {
                let named = BeginOptions::default().idempotency_key(format!("n{}", step % 3));
                if let Ok(turn) = session.begin(&says(&text), named).await {
                    drop(turn.commit(&says("named")).await);
                }
            }
            _ => {
                let mut rules = ExpiryRules::default();
                rules.idle = Some(Duration::from_secs(60 + random.below(3_600)));
                drop(session.set_expiry(Some(rules)).await);
            }
        }
    }
}

/// A turn that is in the middle of its reply, and one that waits behind it.
pub(crate) async fn leave_open(supervisor: &Supervisor) -> Option<Turn> {
    let session = supervisor.open(&key("open")).await.ok()?;
    let turn = session.begin(&says("left open"), ()).await.ok()?;
    emit(&turn, 6).await;
    // Until the piece is stored, or the store is closed on it.
    drop(session.insert("last", &1).await);
    Some(turn)
}

fn says(text: &str) -> ChatMessage {
    ChatMessage::user(text)
}

async fn emit(turn: &Turn, chunks: u64) {
    for chunk in 0..chunks {
        if turn.emit(format!("chunk {chunk} ")).is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// A turn that commits, with something beside its reply.
async fn reply(session: &Session, text: &str, random: &mut Random) {
    let Ok(turn) = session.begin(&says(text), ()).await else { return };
    emit(&turn, random.below(12)).await;
    let entries = [ChatMessage::assistant(text), ChatMessage::assistant("x".repeat(900))];
    let mut reply = Reply::from(&entries[..=random.place(2)]);
    if random.coin() {
        reply = reply.insert("mood", &text).resume_handle("cli", text);
    }
    drop(turn.commit(reply).await);
}

/// A turn that ends in another way.
async fn end_without_reply(session: &Session, text: &str, random: &mut Random) {
    let Ok(turn) = session.begin(&says(text), ()).await else { return };
    emit(&turn, random.below(12)).await;
    match random.below(4) {
        0 => drop(turn.fail(FailedInput::Keep).await),
        1 => drop(turn.fail(FailedInput::Drop).await),
        2 => drop(turn),
        _ => {
            session.stop();
            drop(turn);
        }
    }
}

/// Something is taken out of the transcript, put back, or forgotten.
async fn take_back(session: &Session, random: &mut Random) {
    match random.below(5) {
        0 => drop(session.rollback(1, None).await),
        1 => {
            if let Ok(turn) = session.retry(1, ()).await {
                drop(turn.commit(&says("again")).await);
            }
        }
        2 => {
            let last = session.record().await.map_or(1, |record| record.next_seq);
            drop(session.truncate(random.below(last), "too long", None).await);
        }
        way => {
            // So that there is one, as a rule.
            drop(session.rollback(1, None).await);
            let Ok(revisions) = session.revisions().await else { return };
            let Some(newest) = revisions.last() else { return };
            if way == 3 {
                drop(session.restore_revision(newest.version, None).await);
            } else {
                drop(session.forget_revision(newest.version).await);
            }
        }
    }
}

/// What an outside service calls its side of it.
async fn resume(session: &Session, text: &str, random: &mut Random) {
    drop(session.keep_resume_handle("cli", text).await);
    let Ok(Some(handle)) = session.attempt_resume("cli").await else { return };
    match random.below(3) {
        0 => drop(session.resume_failed(&handle, ResumeFailure::Gone).await),
        1 => drop(session.resume_failed(&handle, ResumeFailure::Unavailable).await),
        _ => drop(session.forget_resume_handle(&handle).await),
    }
}

/// Suspended, archived, pinned, and the ways back.
async fn change_standing(session: &Session, random: &mut Random) {
    match random.below(4) {
        0 => {
            drop(session.suspend().await);
            drop(session.resume().await);
        }
        1 => {
            drop(session.archive().await);
            drop(session.restore().await);
        }
        2 => {
            drop(session.pin().await);
            drop(session.unpin().await);
        }
        _ => drop(session.archive().await),
    }
}

/// Another key, a key less, or a fresh session under a key.
async fn change_keys(supervisor: &Supervisor, session: &Session, text: &str, random: &mut Random) {
    let other = key(&format!("other{}", random.below(4)));
    match random.below(4) {
        0 => drop(supervisor.rebind(&other, session).await),
        1 => drop(supervisor.bind(&other, session).await),
        2 => drop(supervisor.unbind(&other).await),
        _ => {
            let new = NewSession::new().label(text).entry(says(text)).insert("seed", &text);
            drop(supervisor.reset(&other, new).await);
        }
    }
}

/// Two turns beside each other.
async fn branches(session: &Session, text: &str) {
    let policy = BusyPolicy::Parallel(Parallel::Branch);
    let Ok(one) = session.begin(&says(text), policy).await else { return };
    let two = session.begin(&says("beside it"), policy).await;
    drop(one.commit(&says("one")).await);
    if let Ok(two) = two {
        drop(two.commit(&says("two")).await);
    }
}

/// A turn that takes what is said to it.
async fn steer(session: &Session, text: &str) {
    let Ok(turn) = session.begin(&says(text), ()).await else { return };
    let (more, said) = (session.clone(), says("and this"));
    let more = tokio::spawn(async move { more.begin(&said, BusyPolicy::steer()).await });
    drop(turn.next_input().await);
    drop(turn.commit(&says("steered")).await);
    drop(more.await);
}
