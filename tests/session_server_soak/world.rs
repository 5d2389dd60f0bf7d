//! One run: a server under one policy, its upstream, and its clients.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::account::Account;
use super::client::Client;
use super::ending;
use super::process::Watch;
use super::scripted::Scripted;
use crate::rig::{Program, client};

/// How a run is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) busy: Busy,
    pub(crate) clients: u32,
    pub(crate) lasts: Duration,
    pub(crate) seed: u64,
}

/// What happens with a second turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Busy {
    Parallel,
    Reject,
    Queue,
    Interrupt,
}

impl Busy {
    pub(crate) const ALL: [&str; 4] = ["parallel", "reject", "queue", "interrupt"];

    pub(crate) fn named(name: &str) -> Self {
        match name {
            "parallel" => Self::Parallel,
            "reject" => Self::Reject,
            "queue" => Self::Queue,
            "interrupt" => Self::Interrupt,
            _ => panic!("not a policy: {name}"),
        }
    }

    /// Each policy with other settings beside it, so that each of those is met.
    fn flags(self, clients: u32) -> Vec<String> {
        let flags = match self {
            Self::Parallel => "--busy parallel".to_owned(),
            Self::Reject => {
                let most = clients / 2;
                format!("--busy reject --on-disconnect cancel --max-turns {most}")
            }
            Self::Queue => "--busy queue --queue 2 --queue-wait 300ms --gone 410".to_owned(),
            Self::Interrupt => {
                "--busy interrupt --on-disconnect cancel --unknown create".to_owned()
            }
        };
        flags.split(' ').map(str::to_owned).collect()
    }
}

impl std::fmt::Display for Busy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Parallel => "parallel",
            Self::Reject => "reject",
            Self::Queue => "queue",
            Self::Interrupt => "interrupt",
        })
    }
}

/// What everybody shares.
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) upstream: Scripted,
    pub(crate) program: Mutex<Option<Program>>,
    pub(crate) folder: tempfile::TempDir,
    /// Everybody's: a client takes a while to make, and each request that is dropped still closes its connection.
    pub(crate) http: reqwest::Client,
    url: String,
    counts: Mutex<BTreeMap<&'static str, u64>>,
    /// What was not as it has to be.
    wrong: Mutex<Vec<String>>,
    /// Sessions that end by themselves.
    forgotten: Mutex<Vec<String>>,
}

impl World {
    /// A whole run. It panics with everything that was wrong.
    pub(crate) async fn run(settings: Settings) {
        let world = Self::start(settings).await;
        let watch = Watch::start(world.pid());
        let files = watch.files();
        let until = Instant::now() + settings.lasts;
        let mut clients = JoinSet::new();
        for number in 0..settings.clients {
            let client = Client::new(world.clone(), number);
            clients.spawn(client.run(until));
        }
        let accounts: Vec<Account> = clients.join_all().await.into_iter().flatten().collect();
        if let Err(wrong) = ending::end(&world, accounts, watch, files).await {
            world.wrong(format!("at the end: {wrong}"));
        }
        let wrong = world.wrong.lock().unwrap();
        assert!(
            wrong.is_empty(),
            "{settings:?}: {} things are wrong, among them\n- {}",
            wrong.len(),
            wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n- ")
        );
    }

    async fn start(settings: Settings) -> Arc<Self> {
        let (upstream, folder) = (Scripted::start().await, tempfile::tempdir().unwrap());
        let mut flags = settings.busy.flags(settings.clients);
        let store = format!("sqlite:{}", folder.path().join("sessions.db").display());
        // What is kept for a time is kept so shortly that it comes to as much as goes within a long run.
        flags.extend(
            ["--upstream", &upstream.url, "--store", &store, "--log", "warn"].map(str::to_owned),
        );
        flags.extend(["--keep-streams-for", "5s", "--keep-deleted-for", "1m"].map(str::to_owned));
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        let program = Program::start(&flags).await;
        Arc::new(Self {
            settings,
            upstream,
            http: client(),
            url: program.url.clone(),
            program: Mutex::new(Some(program)),
            folder,
            counts: Mutex::default(),
            wrong: Mutex::default(),
            forgotten: Mutex::default(),
        })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    fn pid(&self) -> u32 {
        self.program.lock().unwrap().as_ref().unwrap().pid()
    }

    /// Counts something.
    pub(crate) fn count(&self, what: &'static str, how_many: u64) {
        *self.counts.lock().unwrap().entry(what).or_default() += how_many;
    }

    pub(crate) fn counted(&self, what: &str) -> u64 {
        self.counts.lock().unwrap().get(what).copied().unwrap_or_default()
    }

    /// Everything that was counted.
    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.counts.lock().unwrap().clone()
    }

    pub(crate) fn wrong(&self, what: String) {
        self.wrong.lock().unwrap().push(what);
    }

    /// A session that ends by itself.
    pub(crate) fn forget(&self, id: String) {
        self.forgotten.lock().unwrap().push(id);
    }

    pub(crate) fn forgotten(&self) -> Vec<String> {
        self.forgotten.lock().unwrap().clone()
    }

    /// The status of an id that was deleted.
    pub(crate) fn gone(&self) -> u16 {
        if self.settings.busy == Busy::Queue { 410 } else { 404 }
    }

    /// Whether a client that leaves ends its turn.
    pub(crate) fn cancels(&self) -> bool {
        matches!(self.settings.busy, Busy::Reject | Busy::Interrupt)
    }

    /// Whether a chat creates its session.
    pub(crate) fn creates(&self) -> bool {
        self.settings.busy == Busy::Interrupt
    }

    /// Whether a chat may meet a limit.
    pub(crate) fn is_limited(&self) -> bool {
        matches!(self.settings.busy, Busy::Reject | Busy::Queue)
    }
}
