//! Ids and keys, creating and finding sessions, and what a refused request leaves behind: nothing.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::similar_names,
    clippy::default_trait_access,
    clippy::manual_assert,
    clippy::wildcard_enum_match_arm,
    reason = "a test, which does not run on the library's seam"
)]

use crate::support;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use session_supervisor::testing::{Fault, FixedIds, Gate, StoreCall};
use session_supervisor::{
    BeginError, BeginOptions, BusyPolicy, CreateError, GoneReason, IdError, IdSource, KeyError,
    Lookup, NewSession, RandomIds, RecordFilter, SessionId, SessionKey, StreamId, UnknownPolicy,
};
use support::{committed, everywhere, in_paused_time, key, quiet, settled, texts, user};

fn id(text: &str) -> SessionId {
    SessionId::new(text).unwrap()
}

// A1
#[test]
fn a_million_fresh_ids_are_a_million_ids() {
    let mut drawn = HashSet::new();
    let (mut ones, mut zeros) = (0, u128::MAX);
    for _ in 0..1_000_000 {
        let bits = RandomIds.draw();
        ones |= bits;
        zeros &= bits;
        assert!(drawn.insert(SessionId::from_random(bits)));
    }
    assert_eq!((ones, zeros), (u128::MAX, 0), "every one of the 128 bits is drawn both ways");
}

/// What must not be an id, and as what it is refused.
fn invalid() -> Vec<(String, IdError)> {
    let character = |found| IdError::Character { found };
    vec![
        (String::new(), IdError::Empty),
        (".".into(), IdError::Dots),
        ("..".into(), IdError::Dots),
        ("../etc/passwd".into(), character('/')),
        ("a/b".into(), character('/')),
        ("a\\b".into(), character('\\')),
        ("a b".into(), character(' ')),
        ("a\0".into(), character('\0')),
        ("a\n".into(), character('\n')),
        ("irc:#rust".into(), character(':')),
        ("sitzung-ü".into(), character('ü')),
        ("a%2Fb".into(), character('%')),
        ("x".repeat(129), IdError::TooLong { bytes: 129 }),
        ("x".repeat(10_240), IdError::TooLong { bytes: 10_240 }),
    ]
}

// A2, A3
#[test]
fn what_is_no_id_is_refused_by_name() {
    for (text, error) in invalid() {
        assert_eq!(SessionId::new(&text), Err(error.clone()), "{text:?}");
        assert_eq!(text.parse::<SessionId>(), Err(error.clone()));
        let json = serde_json::to_string(&text).unwrap();
        let told = serde_json::from_str::<SessionId>(&json).unwrap_err().to_string();
        assert!(told.contains(&error.to_string()), "{told}");
    }
    for text in ["a", "...", "-", "_", ".a", "A.b_c-9", &"x".repeat(128)] {
        assert_eq!(id(text).to_string(), text);
    }
}

proptest! {
    // A3
    #[test]
    fn an_id_is_safe_in_a_path_and_prints_as_it_was_given(text in "\\PC{0,140}|[A-Za-z0-9._/-]{0,140}") {
        if let Ok(id) = SessionId::new(&text) {
            prop_assert_eq!(id.to_string(), text.clone());
            prop_assert!(text != "." && text != ".." && !text.is_empty() && text.len() <= 128);
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)));
            prop_assert_eq!(text.parse::<SessionId>().unwrap(), id.clone());
            let json = serde_json::to_string(&id).unwrap();
            prop_assert_eq!(serde_json::from_str::<SessionId>(&json).unwrap(), id);
        }
    }

    // A1
    #[test]
    fn a_random_id_prints_as_what_parses_to_it(bits: u128) {
        let id = SessionId::from_random(bits);
        prop_assert_eq!(SessionId::new(&id.to_string()).unwrap(), id.clone());
        // Its upper-case form is a name, and another one.
        let upper = id.to_string().to_uppercase();
        prop_assert_eq!(SessionId::new(&upper).unwrap() == id, upper == id.to_string());
    }

    // A4: the canonical text of a key parses back, and no two keys share one
    #[test]
    fn a_key_prints_as_what_parses_to_it(
        platform in "[a-z0-9_]{1,12}",
        values in proptest::collection::vec("\\PC{1,24}|[/=%. ]{1,6}", 0..5),
        others in proptest::collection::vec("\\PC{1,24}|[/=%. ]{1,6}", 0..5),
    ) {
        let build = |values: &[String]| {
            let mut builder = SessionKey::builder(&platform);
            for (number, value) in values.iter().enumerate() {
                builder = builder.segment(&format!("s{number}"), value);
            }
            builder.build().unwrap()
        };
        let (key, other) = (build(&values), build(&others));
        prop_assert_eq!(key.to_string().parse::<SessionKey>().unwrap(), key.clone());
        prop_assert_eq!(key == other, values == others);
        prop_assert_eq!(key.to_string() == other.to_string(), values == others);
        prop_assert_eq!(key.platform(), platform);
        let found: Vec<_> = key.segments().map(|(_, value)| value.into_owned()).collect();
        prop_assert_eq!(found, values);
        let json = serde_json::to_string(&key).unwrap();
        prop_assert_eq!(serde_json::from_str::<SessionKey>(&json).unwrap(), key);
    }

    // A4: whatever parses is canonical
    #[test]
    fn what_parses_to_a_key_is_its_one_text(text in "[a-z0-9_]{1,5}(/[a-z]{1,3}=[A-Za-z0-9%/=. ]{0,8}){0,3}|\\PC{0,40}") {
        if let Ok(key) = text.parse::<SessionKey>() {
            prop_assert_eq!(key.to_string(), text);
        }
    }

    #[test]
    fn a_stream_id_prints_as_what_parses_to_it(life: u64, turn: u64, text in "[0-9a-f-]{0,40}") {
        use session_supervisor::{Generation, Incarnation};
        let stream = StreamId::new(Incarnation::new(life), Generation::new(turn));
        prop_assert_eq!(stream.to_string().parse::<StreamId>().unwrap(), stream);
        if let Ok(stream) = text.parse::<StreamId>() {
            prop_assert_eq!(stream.to_string(), text);
        }
    }
}

#[test]
fn what_is_no_key_is_refused_by_name() {
    let name = |name: &str| KeyError::Name { name: name.to_owned() };
    assert_eq!(SessionKey::builder("").build(), Err(name("")));
    assert_eq!(SessionKey::builder("IRC").build(), Err(name("IRC")));
    assert_eq!(SessionKey::builder("a/b").build(), Err(name("a/b")));
    let empty = KeyError::EmptyValue { name: "chat".into() };
    assert_eq!(SessionKey::builder("irc").chat("").build(), Err(empty));
    let twice = KeyError::Repeated { name: "chat".into() };
    assert_eq!(SessionKey::builder("irc").chat("a").chat("b").build(), Err(twice));
    let long = SessionKey::builder("irc").chat(&"x".repeat(1_100)).build();
    assert!(matches!(long, Err(KeyError::TooLong { bytes: 1_109 })), "{long:?}");
    for text in
        ["irc/chat", "irc/chat=%2f", "irc/chat=%41", "irc/chat=a b", "irc/chat=%zz", "irc/chat=%FF"]
    {
        assert_eq!(text.parse::<SessionKey>(), Err(KeyError::NotCanonical), "{text}");
    }
}

everywhere! {
    // A3: nothing is looked up for what is no id, since there is no way to ask
    async fn what_is_no_id_never_reaches_the_store(stage) {
        let supervisor = stage.start().await;
        stage.store.reset_calls();
        for (text, _) in invalid() {
            if let Ok(id) = SessionId::new(&text) {
                drop(supervisor.look_up(&id).await);
                drop(supervisor.open_id(&id).await);
                drop(supervisor.delete(&id).await);
            }
        }
        // The first pass over what is due may be reading meanwhile.
        assert_eq!((stage.store.writes(), stage.store.calls_of(StoreCall::LookUp)), (0, 0));
        assert_eq!(supervisor.loaded(), 0);
    }

    // A1
    async fn an_id_source_that_repeats_itself_is_a_typed_error(stage) {
        let supervisor = stage.start_drawing(FixedIds::new([7]), |_| {}).await;
        let first = supervisor.create(NewSession::new()).await.unwrap();
        let error = supervisor.create(NewSession::new()).await.unwrap_err();
        assert!(matches!(&error, CreateError::Exists { id, .. } if id == first.id()), "{error:?}");
        first.delete().await.unwrap();
        let error = supervisor.create(NewSession::new()).await.unwrap_err();
        assert!(matches!(error, CreateError::Gone { .. }), "not while it is a tombstone: {error:?}");
        assert_eq!(supervisor.counts().created, 1);
        settled(&supervisor).await;
    }

    // A2
    async fn an_id_of_the_callers_own_belongs_to_who_came_first(stage) {
        let supervisor = stage.start().await;
        let barrier = Arc::new(tokio::sync::Barrier::new(16));
        let callers: Vec<_> = (0..16).map(|number| {
            let (supervisor, barrier) = (supervisor.clone(), barrier.clone());
            tokio::spawn(async move {
                barrier.wait().await;
                let new = NewSession::new().entry(user(&number.to_string()));
                supervisor.create_id(&id("mine"), new).await
            })
        }).collect();
        let (mut won, mut lost) = (0, 0);
        for caller in callers {
            match caller.await.unwrap() {
                Ok(_) => won += 1,
                Err(CreateError::Exists { id, .. }) if id.to_string() == "mine" => lost += 1,
                Err(error) => panic!("{error:?}"),
            }
        }
        assert_eq!((won, lost), (1, 15));
        let session = supervisor.open_id(&id("mine")).await.unwrap();
        assert_eq!(texts(&session).await.len(), 1, "the losers changed nothing");
        settled(&supervisor).await;
    }

    // A5
    async fn a_look_up_says_live_gone_or_unknown(stage) {
        let supervisor = stage.start().await;
        let session = supervisor.create_id(&id("a"), NewSession::new()).await.unwrap();
        let found = supervisor.look_up(&id("a")).await.unwrap().live().unwrap();
        assert_eq!(found.id(), session.id());
        assert!(matches!(supervisor.look_up(&id("b")).await.unwrap(), Lookup::Unknown));
        let before = supervisor.now();
        session.delete().await.unwrap();
        for _ in 0..2 {
            let Lookup::Gone(tombstone) = supervisor.look_up(&id("a")).await.unwrap() else { panic!() };
            assert_eq!(tombstone.reason, GoneReason::Deleted);
            assert!(tombstone.at >= before && tombstone.until > tombstone.at);
        }
        assert_eq!((supervisor.loaded(), supervisor.counts().gone_hits), (0, 2));
        settled(&supervisor).await;
    }

    // A8
    async fn an_unknown_id_is_created_by_writing_to_it_and_only_where_that_is_the_policy(stage) {
        for policy in [UnknownPolicy::NotFound, UnknownPolicy::Create] {
            let supervisor = stage.start_with(|config| config.unknown = policy).await;
            let id = id(&format!("{policy:?}"));
            for _ in 0..3 {
                assert!(matches!(supervisor.look_up(&id).await.unwrap(), Lookup::Unknown));
                assert!(supervisor.inspect(&id).is_none());
                supervisor.delete(&id).await.unwrap();
            }
            assert_eq!((supervisor.loaded(), supervisor.counts().created), (0, 0));
            match (policy, supervisor.open_id(&id).await) {
                (UnknownPolicy::Create, Ok(session)) => {
                    committed(session.begin(&user("hello"), ()).await.unwrap(), "hi").await;
                    assert_eq!(supervisor.counts().created, 1);
                }
                (UnknownPolicy::NotFound, Err(CreateError::Unknown { id: told, .. })) => {
                    assert_eq!(told, id);
                    assert_eq!(supervisor.counts().created, 0);
                }
                (_, other) => panic!("{other:?}"),
            }
            settled(&supervisor).await;
        }
    }

    // A8, A6: those who write to one unknown id together
    async fn those_who_write_to_one_unknown_id_get_one_session(stage) {
        let supervisor = stage.start_with(|config| config.unknown = UnknownPolicy::Create).await;
        let barrier = Arc::new(tokio::sync::Barrier::new(32));
        let callers: Vec<_> = (0..32).map(|_| {
            let (supervisor, barrier) = (supervisor.clone(), barrier.clone());
            tokio::spawn(async move {
                barrier.wait().await;
                supervisor.open_id(&id("a")).await.unwrap();
            })
        }).collect();
        for caller in callers {
            caller.await.unwrap();
        }
        assert_eq!((supervisor.counts().created, supervisor.counts().loaded), (1, 1));
        settled(&supervisor).await;
    }

    // A10, F18
    async fn a_message_that_is_refused_leaves_no_session_behind(stage) {
        let supervisor = stage.start_with(|config| config.limits.max_entry_bytes = 64).await;
        for number in 0..20 {
            let large = user(&"x".repeat(100 + number));
            let error = supervisor.begin(&key(&number.to_string()), &large, ()).await.unwrap_err();
            assert!(matches!(error, BeginError::Input(_)), "{error:?}");
        }
        let new = || NewSession::new().entry(user(&"x".repeat(100)));
        assert!(supervisor.create_id(&id("a"), new()).await.is_err());
        assert!(supervisor.create_id(&id("a"), NewSession::new().label("")).await.is_err());
        let nonsense = NewSession::new().insert(&"n".repeat(300), &1);
        assert!(supervisor.create_id(&id("a"), nonsense).await.is_err());
        assert!(supervisor.reset(&key("a"), new()).await.is_err());
        stage.store.fail_next_of(StoreCall::Create, Fault::Full);
        let error = supervisor.begin(&key("full"), &user("hello"), ()).await.unwrap_err();
        assert!(matches!(&error, BeginError::Open { key: of, .. } if *of == key("full")), "{error:?}");
        let saw = BeginOptions::default().expect_version(3);
        let error = supervisor.begin(&key("new"), &user("hello"), saw).await.unwrap_err();
        assert!(matches!(error, BeginError::Unbound { expected: 3, .. }), "{error:?}");
        assert_eq!((supervisor.loaded(), supervisor.counts().created), (0, 0));
        let all = supervisor.list(RecordFilter::default(), None, 10).await.unwrap();
        assert!(all.records.is_empty());
        let turn = supervisor.begin(&key("fits"), &user("hello"), BusyPolicy::Reject).await.unwrap();
        let busy = supervisor.begin(&key("fits"), &user("more"), BusyPolicy::Reject).await.unwrap_err();
        assert!(matches!(busy, BeginError::Busy { .. }), "{busy:?}");
        committed(turn, "hi").await;
        assert_eq!((supervisor.loaded(), supervisor.counts().created), (1, 1));
        settled(&supervisor).await;
    }

    // A10 and B5: draining
    async fn a_supervisor_that_shuts_down_creates_nothing(stage) {
        let supervisor = stage.start_with(|config| config.unknown = UnknownPolicy::Create).await;
        let turn = supervisor.begin(&key("a"), &user("x"), ()).await.unwrap();
        let ending = tokio::spawn({
            let supervisor = supervisor.clone();
            async move { supervisor.shutdown(Duration::from_secs(50)).await }
        });
        support::until("it drains", || supervisor.is_draining()).await;
        for result in [
            supervisor.create(NewSession::new()).await,
            supervisor.create_id(&id("b"), NewSession::new()).await,
            supervisor.open_id(&id("b")).await,
        ] {
            assert!(matches!(result, Err(CreateError::Draining { .. })), "{result:?}");
        }
        let error = supervisor.begin(&key("b"), &user("x"), ()).await.unwrap_err();
        assert!(matches!(error, BeginError::Draining { .. }), "{error:?}");
        assert_eq!((supervisor.loaded(), supervisor.counts().created), (1, 1));
        // L5: a begin that is refused before it has a session counts as well.
        assert_eq!(supervisor.counts().begins_refused, 1);
        drop(turn);
        assert!(ending.await.unwrap().unwrap().clean);
    }

    // X16, G5, B14: a listing reads metadata, loads nothing and touches nothing
    async fn a_listing_pages_and_filters_and_loads_nothing(stage) {
        let first = stage.start().await;
        let mut created = Vec::new();
        for number in 0..25 {
            let session = match number % 3 {
                0 => first.create(NewSession::new().label("keyless")).await.unwrap(),
                1 => first.open(&key(&number.to_string())).await.unwrap(),
                _ => {
                    let key = SessionKey::builder("discord").chat(&number.to_string()).build().unwrap();
                    first.open(&key).await.unwrap()
                }
            };
            created.push(session.id().clone());
        }
        // Another supervisor, which has loaded nothing.
        let supervisor = stage.start().await;
        let (mut found, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = supervisor.list(RecordFilter::default(), after, 10).await.unwrap();
            assert!(page.damaged.is_empty());
            found.extend(page.records.into_iter().map(|record| record.id));
            pages += 1;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!((found, pages), (created.clone(), 3));
        let mut discord = RecordFilter::default();
        discord.platform = Some("discord".into());
        let page = supervisor.list(discord, None, 100).await.unwrap();
        assert_eq!((page.records.len(), page.next), (8, None));
        assert!(page.records.iter().all(|it| it.key.as_ref().unwrap().platform() == "discord"));
        let mut later = RecordFilter::default();
        later.active_since = Some(supervisor.now().plus(Duration::from_secs(3_600)));
        assert!(supervisor.list(later, None, 100).await.unwrap().records.is_empty());
        assert_eq!((supervisor.loaded(), supervisor.counts().loaded), (0, 0));
        let session = supervisor.open_id(&created[3]).await.unwrap();
        let before = session.record().await.unwrap();
        let turn = session.begin(&user("hello"), ()).await.unwrap();
        for (wanted, count) in [(true, 1), (false, 24)] {
            let mut replying = RecordFilter::default();
            replying.replying = Some(wanted);
            let page = supervisor.list(replying, None, 100).await.unwrap();
            assert_eq!(page.records.len(), count);
            if wanted {
                assert_eq!(page.records[0].open[0].generation, turn.stream().generation());
                assert_eq!(page.records[0].incarnation, before.incarnation);
            }
        }
        assert_eq!(supervisor.loaded(), 1);
        drop(turn);
        quiet(&supervisor, &session).await;
    }

    // A5, A9: whoever asks while it is being deleted hears of it when it is durable
    async fn a_look_up_during_a_delete_waits_for_it(stage) {
        let (supervisor, session) = stage.session_with(|it| it.unknown = UnknownPolicy::Create).await;
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Delete, Fault::HeldBefore(gate.clone()));
        let deleting = tokio::spawn({
            let session = session.clone();
            async move { session.delete().await }
        });
        gate.wait_until_reached().await;
        let looking = tokio::spawn({
            let (supervisor, id) = (supervisor.clone(), session.id().clone());
            async move { supervisor.look_up(&id).await }
        });
        let opening = tokio::spawn({
            let (supervisor, id) = (supervisor.clone(), session.id().clone());
            async move { supervisor.open_id(&id).await }
        });
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(!looking.is_finished() && !opening.is_finished());
        gate.open();
        deleting.await.unwrap().unwrap();
        assert!(matches!(looking.await.unwrap(), Ok(Lookup::Gone(_))));
        assert!(matches!(opening.await.unwrap(), Err(CreateError::Gone { .. })));
        settled(&supervisor).await;
    }

    // C8 with A10: a version that no fresh session has
    async fn a_begin_for_a_version_that_is_not_there_runs_nothing(stage) {
        let (supervisor, session) = stage.session().await;
        let options = BeginOptions::default().expect_version(5);
        let error = supervisor.begin(&key("#rust"), &user("x"), options).await.unwrap_err();
        assert!(matches!(error, BeginError::Conflict { expected: 5, version: 0, .. }), "{error:?}");
        assert_eq!(stage.store.calls_of(StoreCall::Begin), 0);
        quiet(&supervisor, &session).await;
    }
}

in_paused_time! {
    // A9, M (tombstones): beside sweeps, and whoever asks
    async fn a_deleted_id_is_never_created_by_writing_to_it(stage) {
        let supervisor = stage.start_with(|config| {
            config.unknown = UnknownPolicy::Create;
            config.tombstones.keep_for = Duration::from_secs(1_000);
            config.tombstones.sweep_every = Duration::from_secs(1);
        }).await;
        let session = supervisor.open_id(&id("a")).await.unwrap();
        session.delete().await.unwrap();
        let created = supervisor.counts().created;
        let tasks: Vec<_> = (0..100_u64).map(|number| {
            let supervisor = supervisor.clone();
            tokio::spawn(async move {
                // Each at another time, so that sweeps run between and beside them.
                tokio::time::sleep(Duration::from_millis(number * 95)).await;
                let opened = supervisor.open_id(&id("a")).await;
                assert!(matches!(opened, Err(CreateError::Gone { .. })), "{opened:?}");
                let found = supervisor.look_up(&id("a")).await.unwrap();
                assert!(matches!(found, Lookup::Gone(_)), "{found:?}");
                let created = supervisor.create_id(&id("a"), NewSession::new()).await;
                assert!(matches!(created, Err(CreateError::Gone { .. })), "{created:?}");
            })
        }).collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(supervisor.counts().created, created);
        assert!(stage.store.calls_of(StoreCall::ForgetTombstones) >= 9, "sweeps ran beside them");
        settled(&supervisor).await;
    }
}
