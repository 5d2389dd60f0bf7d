//! Keys that are bound beside the create of a session.

use super::rig::{Check, Rig, Verdict, at, begin, checks, delete, id, key, new_bound, same, told};
use crate::id::{Incarnation, SessionId};
use crate::key::SessionKey;
use crate::standing::{EndReason, Standing, SuspendReason};
use crate::store::{Binding, Bound, FenceReason, Record, StoreError, Write};

/// The checks of this file.
pub(super) const CHECKS: &[Check] = checks![
    a_session_may_have_several_keys,
    a_key_that_is_bound_to_something_else_stays,
    a_key_moves_and_is_unbound_if_that_is_expected,
    binding_a_key_is_no_use_of_a_session,
    a_key_is_not_bound_to_a_life_that_is_not_there,
    a_key_is_bound_to_what_takes_turns_or_may_again,
    a_key_that_has_left_comes_back,
    a_delete_unbinds_every_key,
    the_keys_of_a_life_that_is_over_are_fenced,
];

impl Rig {
    /// Binds the key of a chat, whatever the answer.
    pub(super) async fn bind(
        &self,
        chat: &str,
        expected: Option<&str>,
        to: Option<&Record>,
    ) -> Result<Bound, String> {
        let binding = Binding { key: key(chat), expected: expected.map(id) };
        let to = to.map(|life| (life.id.clone(), life.incarnation));
        told(&format!("bind {chat}"), self.store().bind(binding, to).await)
    }

    /// The keys of a life.
    pub(super) async fn keys_of(&self, life: &Record) -> Result<Vec<SessionKey>, String> {
        told("keys", self.store().keys_of(&life.id, life.incarnation).await)
    }
}

/// The keys of these chats.
fn keys<const N: usize>(chats: [&str; N]) -> Vec<SessionKey> {
    chats.map(key).to_vec()
}

/// The answer that it is bound to something else.
fn moved(bound_to: Option<&str>) -> Bound {
    Bound::KeyMoved { bound_to: bound_to.map(id) }
}

/// All lead to it, and are listed in their order, however often one is bound.
async fn a_session_may_have_several_keys(rig: Rig) -> Verdict {
    let life = rig.create(new_bound("a", "b", None)).await?;
    for chat in ["c", "a", "d"] {
        same("bound", &rig.bind(chat, None, Some(&life)).await?, &Bound::Bound)?;
    }
    same("again", &rig.bind("c", Some("a"), Some(&life)).await?, &Bound::Bound)?;
    for chat in ["a", "b", "c", "d"] {
        same(chat, &rig.bound_to(&key(chat)).await?, &Some(id("a")))?;
    }
    same("keys", &rig.keys_of(&life).await?, &keys(["a", "b", "c", "d"]))?;
    let other = rig.empty("b").await?;
    same("keys of another", &rig.keys_of(&other).await?, &Vec::new())
}

/// Or is bound to nothing.
async fn a_key_that_is_bound_to_something_else_stays(rig: Rig) -> Verdict {
    let one = rig.create(new_bound("a", "a", None)).await?;
    let other = rig.create(new_bound("b", "b", None)).await?;
    let before = rig.snapshot().await?;
    for expected in [None, Some("b")] {
        for to in [Some(&other), None] {
            same("bound", &rig.bind("a", expected, to).await?, &moved(Some("a")))?;
        }
    }
    same("unbound", &rig.bind("c", Some("a"), Some(&one)).await?, &moved(None))?;
    before.is_still(&rig.snapshot().await?)?;
    same("keys", &rig.keys_of(&one).await?, &keys(["a"]))
}

/// And leaves the other keys where they are.
async fn a_key_moves_and_is_unbound_if_that_is_expected(rig: Rig) -> Verdict {
    let one = rig.create(new_bound("a", "a", None)).await?;
    let other = rig.create(new_bound("b", "b", None)).await?;
    same("bound", &rig.bind("c", None, Some(&one)).await?, &Bound::Bound)?;
    same("moved", &rig.bind("c", Some("a"), Some(&other)).await?, &Bound::Bound)?;
    same("key", &rig.bound_to(&key("c")).await?, &Some(id("b")))?;
    same("keys of the one", &rig.keys_of(&one).await?, &keys(["a"]))?;
    same("keys of the other", &rig.keys_of(&other).await?, &keys(["b", "c"]))?;
    same("unbound", &rig.bind("b", Some("b"), None).await?, &Bound::Bound)?;
    same("key", &rig.bound_to(&key("b")).await?, &None)?;
    same("nothing to nothing", &rig.bind("b", None, None).await?, &Bound::Bound)?;
    same("keys of the other", &rig.keys_of(&other).await?, &keys(["c"]))?;
    let third = rig.create(new_bound("c", "b", None)).await?;
    same("keys of the third", &rig.keys_of(&third).await?, &keys(["b"]))
}

/// Nor a change of its record.
async fn binding_a_key_is_no_use_of_a_session(rig: Rig) -> Verdict {
    let life = rig.create(new_bound("a", "a", None)).await?;
    rig.done(&life, [begin(1, 1)]).await?;
    let before = rig.live(&life).await?;
    rig.bind("b", None, Some(&life)).await?;
    rig.bind("a", Some("a"), None).await?;
    same("the record", &rig.live(&life).await?, &before)
}

/// The key is judged first.
async fn a_key_is_not_bound_to_a_life_that_is_not_there(rig: Rig) -> Verdict {
    let old = rig.empty("a").await?;
    rig.done(&old, [delete(&old, at(50))]).await?;
    same("deleted", &rig.bind("a", None, Some(&old)).await?, &Bound::NoSuchLife)?;
    let young = rig.create(super::rig::new_again("a")).await?;
    same("an older life", &rig.bind("a", None, Some(&old)).await?, &Bound::NoSuchLife)?;
    let never = Record { incarnation: Incarnation::new(u64::MAX >> 1), ..young.clone() };
    same("no life", &rig.bind("a", None, Some(&never)).await?, &Bound::NoSuchLife)?;
    let other: SessionId = id("b");
    let other = Record { id: other, ..young.clone() };
    same("another id", &rig.bind("a", None, Some(&other)).await?, &Bound::NoSuchLife)?;
    same("the key first", &rig.bind("a", Some("b"), Some(&old)).await?, &moved(None))?;
    same("key", &rig.bound_to(&key("a")).await?, &None)?;
    same("keys", &rig.keys_of(&young).await?, &Vec::new())
}

/// What was archived, or has ended, keeps the keys that it has and gets no other.
async fn a_key_is_bound_to_what_takes_turns_or_may_again(rig: Rig) -> Verdict {
    let life = rig.create(new_bound("a", "a", None)).await?;
    let stand = |standing| Write::Standing { standing, unused_since: None, used_at: None };
    let suspended = Standing::Suspended { reason: SuspendReason::Requested, at: at(1) };
    rig.done(&life, [stand(suspended)]).await?;
    same("suspended", &rig.bind("b", None, Some(&life)).await?, &Bound::Bound)?;
    for standing in [
        Standing::Archived { reason: EndReason::Requested, at: at(2) },
        Standing::Ended { reason: EndReason::Requested, at: at(3) },
    ] {
        rig.done(&life, [stand(standing)]).await?;
        let refused = Bound::Unroutable { standing };
        same("another", &rig.bind("c", None, Some(&life)).await?, &refused)?;
        same("one that it has", &rig.bind("b", Some("a"), Some(&life)).await?, &refused)?;
        same("keys", &rig.keys_of(&life).await?, &keys(["a", "b"]))?;
        same("key", &rig.bound_to(&key("c")).await?, &None)?;
    }
    same("unbound", &rig.bind("b", Some("a"), None).await?, &Bound::Bound)?;
    same("keys", &rig.keys_of(&life).await?, &keys(["a"]))
}

/// Also the one that it was created under, and goes with it then.
async fn a_key_that_has_left_comes_back(rig: Rig) -> Verdict {
    let one = rig.create(new_bound("a", "a", None)).await?;
    let other = rig.empty("b").await?;
    rig.bind("c", None, Some(&one)).await?;
    for chat in ["a", "c"] {
        same("moved", &rig.bind(chat, Some("a"), Some(&other)).await?, &Bound::Bound)?;
        same("back", &rig.bind(chat, Some("b"), Some(&one)).await?, &Bound::Bound)?;
    }
    same("keys", &rig.keys_of(&one).await?, &keys(["a", "c"]))?;
    same("keys of the other", &rig.keys_of(&other).await?, &Vec::new())?;
    rig.done(&one, [delete(&one, at(1_000))]).await?;
    for chat in ["a", "c"] {
        same(chat, &rig.bound_to(&key(chat)).await?, &None)?;
    }
    Ok(())
}

/// Those that it was created with and bound to since, but none that has moved on.
async fn a_delete_unbinds_every_key(rig: Rig) -> Verdict {
    let one = rig.create(new_bound("a", "a", None)).await?;
    let other = rig.empty("b").await?;
    for chat in ["b", "c"] {
        rig.bind(chat, None, Some(&one)).await?;
    }
    rig.bind("c", Some("a"), Some(&other)).await?;
    rig.done(&one, [delete(&one, at(1_000))]).await?;
    for (chat, bound_to) in [("a", None), ("b", None), ("c", Some("b"))] {
        same(chat, &rig.bound_to(&key(chat)).await?, &bound_to.map(id))?;
    }
    rig.done(&other, [delete(&other, at(1_000))]).await?;
    same("the last one", &rig.bound_to(&key("c")).await?, &None)
}

/// As every read of it is.
async fn the_keys_of_a_life_that_is_over_are_fenced(rig: Rig) -> Verdict {
    let life = rig.create(new_bound("a", "a", None)).await?;
    rig.done(&life, [delete(&life, at(1_000))]).await?;
    match rig.store().keys_of(&life.id, life.incarnation).await {
        Err(StoreError::Fenced { reason: FenceReason::NoSuchLife }) => Ok(()),
        other => Err(format!("keys: found {other:?}, expected a fence")),
    }
}
