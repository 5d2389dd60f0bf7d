//! Bad input gets a typed error that says what and which, and nothing is lost.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    reason = "a test"
)]

use crate::stage;

use std::error::Error;
use std::fs;
use std::time::Duration;

use session_supervisor::{
    BeginError, CommitError, CommitOutcome, Config, CreateError, EntryError, IdError, KeyError,
    NewSession, OpenError, Reply, SessionError, SessionId, SessionKey, StartError, StreamId,
    Supervisor,
};
use stage::{assert_clean, content, everywhere, id, key, reply, user};

/// An error with everything below it, as a person sees it.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(below) = source {
        text = format!("{text}: {below}");
        source = below.source();
    }
    text
}

// A2, A3
#[test]
fn an_id_that_could_be_a_path_is_refused_and_says_which_character() {
    for (text, expected) in [
        ("a/b", IdError::Character { found: '/' }),
        ("../etc", IdError::Character { found: '/' }),
        ("a\\b", IdError::Character { found: '\\' }),
        ("a b", IdError::Character { found: ' ' }),
        ("a\0", IdError::Character { found: '\0' }),
        ("é", IdError::Character { found: 'é' }),
        (".", IdError::Dots),
        ("..", IdError::Dots),
        ("", IdError::Empty),
    ] {
        let error = SessionId::new(text).unwrap_err();
        assert_eq!(error, expected, "{text:?}");
        assert_eq!(text.parse::<SessionId>().unwrap_err(), expected);
    }
    let error = SessionId::new(&"x".repeat(10_000)).unwrap_err();
    assert!(error.to_string().contains("10000"), "{error}");
    assert!(SessionId::new("a/b").unwrap_err().to_string().contains("'/'"));
    for text in ["", "-", "1", "1-", "-1", "1-2-3", "0x1-2", "01-2", "G-1", "+1-1", "1-1 "] {
        assert_eq!(text.parse::<StreamId>().unwrap_err(), IdError::Stream, "{text:?}");
    }
}

// A2, A4
#[test]
fn an_empty_key_and_a_key_with_an_empty_part_are_refused_by_name() {
    let error = "".parse::<SessionKey>().unwrap_err();
    assert_eq!(error, KeyError::Name { name: String::new() });
    let error = SessionKey::builder("irc").chat("").build().unwrap_err();
    assert_eq!(error, KeyError::EmptyValue { name: "chat".to_owned() });
    assert!(error.to_string().contains("chat"), "{error}");
    let error = SessionKey::builder("irc").chat("a").chat("b").build().unwrap_err();
    assert_eq!(error, KeyError::Repeated { name: "chat".to_owned() });
    let error = SessionKey::builder("IRC").chat("a").build().unwrap_err();
    assert!(error.to_string().contains("IRC"), "{error}");
    let error = SessionKey::builder("irc").chat(&"x".repeat(2_000)).build().unwrap_err();
    assert!(matches!(error, KeyError::TooLong { bytes } if bytes > 2_000), "{error}");
    for text in ["irc/", "irc/chat", "irc//chat=a", "irc/chat=a b", "irc/chat=%2", "irc/chat=%41"] {
        assert!(text.parse::<SessionKey>().is_err(), "{text:?}");
    }
}

// X2
#[test]
fn a_setting_that_makes_no_sense_is_refused_by_name_and_nothing_starts() {
    for (text, which) in [
        ("[turns]\ncancel_grace = \"-5s\"", "cancel_grace"),
        ("[turns]\ncancel_grace = 5", "cancel_grace"),
        ("[tombstones]\nkeep_for = \"soon\"", "keep_for"),
        ("[tombstones]\nkeep_fro = \"1h\"", "keep_fro"),
        ("unknwon = \"create\"", "unknwon"),
        ("unknown = \"maybe\"", "maybe"),
        ("busy = { queue = { max = -1 } }", "busy"),
    ] {
        let error = toml::from_str::<Config>(text).unwrap_err().to_string();
        assert!(error.contains(which), "{text}: {error}");
    }
    everywhere(|stage| async move {
        for (text, which) in [
            ("[tombstones]\nkeep_for = \"0s\"", "tombstones.keep_for"),
            ("[limits]\nmax_entry_bytes = 0", "limits.max_entry_bytes"),
            ("[turns]\ncancel_grace = \"2h\"", "turns.cancel_grace"),
        ] {
            let config: Config = toml::from_str(text).unwrap();
            let error = stage.builder().config(config).start().await.unwrap_err();
            let StartError::Config(error) = error else { panic!("{error:?}") };
            assert_eq!(error.field, which);
            assert!(error.to_string().contains(which), "{error}");
        }
        assert_eq!(stage.faults.calls(), 0);
    });
}

// A10, F18
#[test]
fn what_cannot_be_stored_is_refused_and_leaves_no_session_and_no_turn() {
    everywhere(|stage| async move {
        let mut config = Config::default();
        config.limits.max_entry_bytes = 200;
        config.limits.max_datum_bytes = 20;
        config.limits.max_name_bytes = 10;
        let supervisor = stage.builder().config(config).start().await.unwrap();
        let (large, long) = ("x".repeat(300), "n".repeat(11));

        let error = supervisor.begin(&key("#rust"), &user(&large), ()).await.unwrap_err();
        let BeginError::Input(EntryError::TooLarge { bytes, max: 200 }) = error else {
            panic!("{error:?}")
        };
        assert!(bytes > 300);
        let new = || NewSession::new().entry(user(&large));
        let error = supervisor.open_with(&key("#rust"), new).await.unwrap_err();
        assert!(matches!(error, OpenError::Content { .. }), "{error:?}");
        assert!(chain(&error).contains("irc/chat=%23rust"), "{}", chain(&error));
        let error = supervisor.create(NewSession::new().label("")).await.unwrap_err();
        assert!(matches!(error, CreateError::Content(EntryError::Name { .. })), "{error:?}");
        let error = supervisor.create(NewSession::new().insert(&long, &1)).await.unwrap_err();
        assert!(matches!(error, CreateError::Content(EntryError::Name { .. })), "{error:?}");
        assert_eq!(stage.faults.writes(), 0);
        assert_eq!((supervisor.loaded(), supervisor.in_flight()), (0, 0));

        let session = supervisor.open(&key("#rust")).await.unwrap();
        let before = content(&*stage.behind, &[], &[]).await;
        for error in [
            session.append(&[reply(&large)]).await.unwrap_err(),
            session.insert("mood", &large).await.unwrap_err(),
            session.insert("", &1).await.unwrap_err(),
            session.insert(&long, &1).await.unwrap_err(),
            session.remove("").await.unwrap_err(),
            session.set_label(Some("")).await.unwrap_err(),
        ] {
            let text = chain(&error);
            let SessionError::Content { id, .. } = error else { panic!("{error:?}") };
            assert_eq!(&id, session.id());
            assert!(text.contains(&id.to_string()) && text.contains("bytes"), "{text}");
        }
        // G15: reserved, wherever a datum can come from.
        for error in [session.insert("_x", &1).await, session.remove("_").await] {
            let Err(SessionError::Content { source: EntryError::Reserved { name }, .. }) = error
            else {
                panic!("{error:?}")
            };
            assert!(name.starts_with('_'));
        }
        let error = supervisor.create(NewSession::new().insert("_x", &1)).await.unwrap_err();
        assert!(matches!(error, CreateError::Content(EntryError::Reserved { .. })), "{error:?}");
        let error = session.begin(&user(&large), ()).await.unwrap_err();
        assert!(matches!(error, BeginError::Input(_)), "{error:?}");
        assert_eq!(content(&*stage.behind, &[], &[]).await, before);

        // A reply that cannot be stored hands the turn back, still open.
        let mut turn = session.begin(&user("in"), ()).await.unwrap();
        let small = reply("out");
        for bad in [
            Reply::from(&reply(&large)),
            Reply::from(&small).insert("", &1),
            Reply::from(&small).insert("_x", &1),
            Reply::from(&small).insert("mood", &large),
        ] {
            let error = turn.commit(bad).await.unwrap_err();
            let CommitError::Reply { turn: back, .. } = error else { panic!("{error:?}") };
            assert!(back.emit("still here").is_ok());
            turn = *back;
        }
        let committed = turn.commit(&small).await.unwrap();
        assert!(matches!(committed, CommitOutcome::Committed { seq: 2, .. }), "{committed:?}");
        // Something else than was stored is an error of that datum alone.
        session.insert("mood", &"good").await.unwrap();
        let error = session.get::<u64>("mood").await.unwrap_err();
        assert!(matches!(error, SessionError::Content { .. }), "{error:?}");
        assert_eq!(session.get::<String>("mood").await.unwrap().as_deref(), Some("good"));
        assert_clean(&supervisor).await;
    });
}

#[test]
fn a_supervisor_outside_of_a_runtime_says_so() {
    let start = Supervisor::<session_supervisor::ChatMessage>::builder().start();
    let mut start = Box::pin(start);
    let std::task::Poll::Ready(Err(error)) = stage::poll_once(&mut start) else { panic!() };
    assert!(matches!(error, StartError::NoRuntime), "{error:?}");
}

mod disk {
    use super::*;
    use session_supervisor::{SqliteOptions, SqliteStore, StoreError};
    use std::path::Path;

    async fn open(path: &Path) -> Result<SqliteStore, StoreError> {
        SqliteStore::open(path, SqliteOptions::default()).await
    }

    /// Opens what cannot be used, and looks that it is told and left as it is.
    async fn refused(path: &Path) -> String {
        let error = open(path).await.unwrap_err();
        let text = chain(&error);
        let StoreError::Unusable { path: named, .. } = error else { panic!("{error:?}") };
        assert_eq!(named, path.display().to_string());
        text
    }

    // G9
    #[tokio::test]
    async fn a_database_that_is_a_text_file_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        let text = "buy milk\n".repeat(1_000);
        fs::write(&path, &text).unwrap();
        let told = refused(&path).await;
        assert!(told.contains("notes.txt"), "{told}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }

    // We are root where the tests run, so a missing permission is played by what no permission helps.
    #[tokio::test]
    async fn a_folder_that_is_missing_or_is_a_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let told = refused(&folder.path().join("missing/s.db")).await;
        assert!(told.contains("missing"), "{told}");
        assert!(!folder.path().join("missing").exists());
        let file = folder.path().join("file");
        fs::write(&file, "x").unwrap();
        refused(&file.join("s.db")).await;
        assert_eq!(fs::read_to_string(&file).unwrap(), "x");
        // A folder where the file should be.
        refused(folder.path()).await;
    }

    // G13
    #[tokio::test]
    async fn a_database_that_is_in_use_is_refused_and_names_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        let first = open(&path).await.unwrap();
        let error = open(&path).await.unwrap_err();
        let StoreError::Owned { holder, .. } = &error else { panic!("{error:?}") };
        assert!(holder.contains(&std::process::id().to_string()), "{holder}");
        drop(first);
    }

    /// Fills the store through a supervisor; answers what was acknowledged, and the first refusal.
    async fn fill(supervisor: &Supervisor) -> (usize, SessionError) {
        let session = supervisor.open(&key("#rust")).await.unwrap();
        let mut kept = 0;
        loop {
            match session.append(&[reply(&format!("{kept} {}", "x".repeat(10_000)))]).await {
                Ok(seq) => kept += usize::from(seq > 0),
                Err(error) => return (kept, error),
            }
        }
    }

    /// What holds of a supervisor whose store has no room left.
    async fn lives_without_room(supervisor: &Supervisor, kept: usize, error: SessionError) {
        let session = supervisor.open(&key("#rust")).await.unwrap();
        let text = chain(&error);
        let SessionError::Store { id, source } = error else { panic!("{error:?}") };
        assert_eq!(&id, session.id());
        assert!(matches!(source, StoreError::Full { .. }), "{text}");
        assert_eq!(session.transcript().await.unwrap().len(), kept);
        assert_clean(supervisor).await;
        let large = user(&"x".repeat(100_000));
        let error = session.begin(&large, ()).await.unwrap_err();
        let full = matches!(&error, BeginError::Store { source: StoreError::Full { .. }, .. });
        assert!(full, "{}", chain(&error));
        assert!(!session.status().is_busy());
        // Room is made by a delete, and everything goes on.
        assert!(matches!(
            session.delete().await.unwrap(),
            session_supervisor::DeleteOutcome::Deleted(_)
        ));
        let fresh = supervisor.open(&key("#rust")).await.unwrap();
        let turn = fresh.begin(&large, ()).await.unwrap();
        assert!(matches!(turn.commit(&reply("ok")).await, Ok(CommitOutcome::Committed { .. })));
        assert_eq!(supervisor.check_store().await.unwrap(), Vec::<String>::new());
        assert_clean(supervisor).await;
    }

    // G12
    #[tokio::test]
    async fn a_store_at_its_own_limit_says_so_and_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut options = SqliteOptions::default();
        options.max_file_bytes = Some(1 << 20);
        let store = SqliteStore::open(folder.path().join("s.db"), options).await.unwrap();
        let supervisor: Supervisor = Supervisor::builder().store(store).start().await.unwrap();
        let (kept, error) = fill(&supervisor).await;
        assert!(kept > 50, "{kept}");
        lives_without_room(&supervisor, kept, error).await;
        assert!(supervisor.shutdown(Duration::from_secs(5)).await.unwrap().clean);
    }

    /// Unmounts when it is dropped.
    struct Mounted(std::path::PathBuf);

    impl Drop for Mounted {
        fn drop(&mut self) {
            let done = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
            assert!(done.unwrap().success());
        }
    }

    // G12, G4
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_disk_that_is_full_is_told_and_nothing_acknowledged_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("disk");
        fs::create_dir(&place).unwrap();
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(&place)
            .output();
        if !mount.is_ok_and(|mount| mount.status.success()) {
            println!("skipped: this process may not mount a small disk");
            return;
        }
        let _mounted = Mounted(place.clone());
        let path = place.join("s.db");
        let store = open(&path).await.unwrap();
        let supervisor: Supervisor = Supervisor::builder().store(store).start().await.unwrap();
        let (kept, error) = fill(&supervisor).await;
        assert!(kept > 10, "{kept}");
        let text = chain(&error);
        let SessionError::Store { source, .. } = &error else { panic!("{error:?}") };
        let known = matches!(source, StoreError::Full { .. } | StoreError::OutcomeUnknown { .. });
        assert!(known, "{text}");
        let session = supervisor.open(&key("#rust")).await.unwrap();
        let texts = async || {
            let transcript = session.transcript().await.unwrap();
            let numbers = transcript.into_iter().map(|entry| {
                let text = entry.content.unwrap().content;
                text.split(' ').next().unwrap().parse::<usize>().unwrap()
            });
            numbers.collect::<Vec<_>>()
        };
        let there = texts().await;
        assert!(there.len() >= kept && there.iter().copied().eq(0..there.len()), "{there:?}");
        assert_clean(&supervisor).await;
        // More room, and it goes on by itself.
        let remount = std::process::Command::new("mount")
            .args(["-o", "remount,size=64m"])
            .arg(&place)
            .status();
        assert!(remount.unwrap().success());
        session.append(&[reply(&format!("{} after", there.len()))]).await.unwrap();
        assert_eq!(texts().await.len(), there.len() + 1);
        assert_eq!(supervisor.check_store().await.unwrap(), Vec::<String>::new());
        assert_clean(&supervisor).await;
        supervisor.shutdown(Duration::from_secs(5)).await.unwrap();
        drop(supervisor);
        let again: Supervisor =
            Supervisor::builder().store(open(&path).await.unwrap()).start().await.unwrap();
        let session = again.open(&key("#rust")).await.unwrap();
        assert_eq!(session.transcript().await.unwrap().len(), there.len() + 1);
        assert!(again.look_up(&id("nobody")).await.is_ok());
        again.shutdown(Duration::from_secs(5)).await.unwrap();
    }
}
