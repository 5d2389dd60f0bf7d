//! The end of a run: nothing runs any more, everything balances, the server ends in good order, and its file is whole.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use serde_json::Value;
use session_supervisor::{
    Lookup, RecordFilter, SessionId, ShutdownOptions, SqliteOptions, SqliteStore, Supervisor,
    testing::settled,
};

use super::account::Account;
use super::client::{Checked, within};
use super::process::Watch;
use super::readings::Readings;
use super::world::World;

/// How long a run has to be for its memory to say something: before that a process is still taking what it will go on with,
/// the tombstones of two minutes among it.
const WARM: Duration = Duration::from_secs(240);

/// Looks at everything.
pub(crate) async fn end(
    world: &Arc<World>,
    mut accounts: Vec<Account>,
    watch: Watch,
    files: usize,
) -> Checked {
    let http = world.http.clone();
    let readings = within("a server at rest", at_rest(world, &http)).await??;
    for account in &mut accounts {
        let session = json(world, &http, &format!("/sessions/{}", account.id)).await?;
        account.settle();
        let records = account.check(&session).map_err(|it| format!("{}: {it}", account.id))?;
        world.count("records", records as u64);
    }
    let listed = within("a list of what there is", listed(world, &http, &accounts)).await??;
    // Where no turn runs it is told with each sweep, which is once a minute.
    if world.settings.lasts > WARM {
        within("a gauge that says how many there are", gauged(world, &http, listed)).await??;
    }
    let readings = balanced(world, &http, readings, listed).await?;
    if let Some(twice) = world.upstream.asked_twice().first() {
        return Err(format!("the upstream was asked twice: {twice}"));
    }
    print(world, &readings);
    within("files and sockets that are closed", closed(world, &watch, files)).await?;
    flat(world, watch)?;
    let mut program = world.program.lock().unwrap().take().ok_or("ended twice")?;
    program.terminate();
    let report = program.heard("drained in").await;
    if !report.ends_with("0 turns, 0 told to end; clean") {
        return Err(format!("not drained in good order: {report}"));
    }
    let code = program.ended().await.code();
    if code != Some(0) {
        return Err(format!("the server ended with {code:?}"));
    }
    if let Some(line) = program.said().into_iter().find(|line| line.contains("panicked")) {
        return Err(format!("the server has said: {line}"));
    }
    audit(world, &accounts).await
}

async fn text(world: &World, http: &Client, path: &str) -> Checked<String> {
    let response = http.get(format!("{}{path}", world.url())).send().await;
    let response = response.map_err(|error| format!("{path}: {error:?}"))?;
    let status = response.status();
    let text = response.text().await.map_err(|error| format!("{path}: {error:?}"))?;
    (status == 200).then_some(text.clone()).ok_or_else(|| format!("{path}: {status}: {text}"))
}

async fn json(world: &World, http: &Client, path: &str) -> Checked<Value> {
    let text = text(world, http, path).await?;
    serde_json::from_str(&text).map_err(|error| format!("{path}: {error}"))
}

/// Waits until nothing runs or waits; answers what the metrics say then. Some are told with every check of the supervisor only.
async fn at_rest(world: &World, http: &Client) -> Checked<Readings> {
    let gauges = [
        "session_turns_open",
        "session_queue_length",
        "session_leases",
        "session_server_limit_current{limit=\"upstream_connections\"}",
        "session_limit_current{limit=\"turns\"}",
        "session_limit_current{limit=\"queued_turns\"}",
        "session_limit_current{limit=\"queued_bytes\"}",
        "session_limit_current{limit=\"waiting_turns\"}",
    ];
    loop {
        let readings = Readings::read(&text(world, http, "/metrics").await?);
        if gauges.iter().all(|gauge| readings.one(gauge) == 0) {
            return Ok(readings);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until those that end by themselves have ended; answers how many are listed, which are those of the clients.
async fn listed(world: &World, http: &Client, accounts: &[Account]) -> Checked<usize> {
    let known: BTreeSet<_> = accounts.iter().map(|account| account.id.clone()).collect();
    let forgotten: BTreeSet<_> = world.forgotten().into_iter().collect();
    loop {
        let (mut listed, mut after) = (BTreeSet::new(), String::new());
        loop {
            let page = json(world, http, &format!("/sessions?limit=100{after}")).await?;
            for session in page["sessions"].as_array().ok_or("no sessions")? {
                listed.insert(session["session_id"].as_str().ok_or("no id")?.to_owned());
            }
            if page["next"].is_null() {
                break;
            }
            after = format!("&after={}", page["next"]);
        }
        let still: Vec<_> = listed.intersection(&forgotten).cloned().collect();
        if still.is_empty() {
            let same = listed == known;
            return same.then_some(listed.len()).ok_or_else(|| {
                format!("{:?} are in one list only", listed.symmetric_difference(&known))
            });
        }
        // Looking ends what is over.
        for id in still {
            text(world, http, &format!("/sessions/{id}/status")).await.ok();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until the gauge of sessions says how many are listed.
async fn gauged(world: &World, http: &Client, listed: usize) -> Checked {
    loop {
        let readings = Readings::read(&text(world, http, "/metrics").await?);
        let gauge = readings.one("session_limit_current{limit=\"sessions\"}");
        if usize::try_from(gauge).is_ok_and(|gauge| gauge == listed) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until everything balances: the last of the counters moves a moment after a turn is over.
async fn balanced(
    world: &World,
    http: &Client,
    mut readings: Readings,
    listed: usize,
) -> Checked<Readings> {
    for _ in 0..200 {
        if balance(world, &readings, listed).is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        readings = Readings::read(&text(world, http, "/metrics").await?);
    }
    balance(world, &readings, listed).map(|()| readings)
}

/// Holds the counters against each other and against what the clients were told.
fn balance(world: &World, readings: &Readings, listed: usize) -> Checked {
    let count = |name: &str| i64::try_from(world.counted(name)).unwrap();
    let (one, all) = (|name: &str| readings.one(name), |name: &str| readings.all(name));
    let ended = |outcome| one(&format!("session_turns_ended_total{{outcome=\"{outcome}\"}}"));
    let served = |end| one(&format!("session_server_turns_total{{end=\"{end}\"}}"));
    let listed = i64::try_from(listed).unwrap();
    let forgotten = i64::try_from(world.forgotten().len()).unwrap();
    // Those whose client has left have ended in one of the ways, and nobody was told in which.
    let left = count("left");
    let within_left = |told: i64| (told, told + left);
    let exactly = |value: i64| (value, value);
    let begun = one("session_turns_begun_total");
    for (what, value, (least, most)) in [
        ("turns that have ended", all("session_turns_ended_total"), exactly(begun)),
        // One whose begin is over before it is stored ends with that: cancelled, gone, or tired of waiting.
        (
            "turns that were served",
            all("session_server_turns_total"),
            (begun - left - count("ended") - count("gone") - count("busy"), begun),
        ),
        ("committed", served("committed"), exactly(ended("committed"))),
        ("superseded", served("superseded"), exactly(ended("superseded"))),
        ("told committed", served("committed"), within_left(count("committed"))),
        ("told superseded", served("superseded"), within_left(count("superseded"))),
        ("told stale", served("stale"), within_left(count("stale"))),
        (
            "begins that waited",
            one("session_begins_queued_total"),
            exactly(one("session_begins_dequeued_total")),
        ),
        (
            "sessions that were loaded",
            one("session_loaded_total"),
            exactly(
                one("session_live") + all("session_unloaded_total") + one("session_deleted_total"),
            ),
        ),
        ("sessions that were created", one("session_created_total"), exactly(count("created"))),
        ("sessions", count("created") - count("deleted") - forgotten, exactly(listed)),
        (
            "answers of the upstream",
            all("session_server_upstream_answers_total"),
            (0, i64::try_from(world.upstream.asked()).unwrap()),
        ),
        ("failures of the store", all("session_store_failures_total"), exactly(0)),
    ] {
        if !(least..=most).contains(&value) {
            let ended: Vec<_> = readings.labels("session_turns_ended_total").collect();
            let told = world.counts();
            return Err(format!("{what}: {value}, not {least} to {most}: {ended:?}, {told:?}"));
        }
    }
    // The upstream has other ways to fail, and the clients know of each 502 what has caused it.
    for (labels, value) in readings.labels("session_server_requests_total") {
        let own =
            ["500", "503", "504"].iter().any(|it| labels.contains(&format!("status=\"{it}\"")));
        if own && value > 0.0 {
            return Err(format!("{value} answers that the upstream has not caused: {labels}"));
        }
    }
    Ok(())
}

/// Waits until nothing is open but what was open at the start, a few connections of who looks, and those to the upstream that
/// can be used again. What the clients keep for a moment goes.
async fn closed(world: &World, watch: &Watch, files: usize) {
    loop {
        let most = files + 8 + usize::try_from(world.upstream.connections()).unwrap();
        if watch.files() <= most {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Whether memory is flat, where a run was long enough to say so.
fn flat(world: &World, watch: Watch) -> Checked {
    let (before, after) = watch.medians();
    let busy = world.settings.busy;
    println!("soak_{busy}_resident_before {before} kib");
    println!("soak_{busy}_resident_after {after} kib");
    // As many sessions are there at any time, and what is kept of those that have gone is kept for two minutes at most. Ten
    // minutes are some hundred thousand turns: a hundred bytes lost with each would be more than this. What an allocator
    // keeps between two allocations is less.
    let most = before + before / 10 + 8 * 1_024;
    if world.settings.lasts > WARM && after > most {
        return Err(format!("{after} KiB are resident, and {before} were in the first half"));
    }
    Ok(())
}

/// Says what was done.
fn print(world: &World, readings: &Readings) {
    let busy = world.settings.busy;
    for (what, count) in world.counts() {
        println!("soak_{busy}_{what} {count} times");
    }
    let requests = readings.all("session_server_requests_total");
    println!("soak_{busy}_answered {requests} requests");
    let caused = |status: &str| {
        let status = format!("status=\"{status}");
        let labels = readings.labels("session_server_requests_total");
        labels.filter(|(labels, _)| labels.contains(&status)).map(|(_, value)| value).sum::<f64>()
    };
    println!("soak_{busy}_caused {} failures", caused("5"));
}

/// Opens the file as the next start would, and reads all of it.
async fn audit(world: &World, accounts: &[Account]) -> Checked {
    let told = |error: &dyn std::error::Error| format!("the file: {error}");
    let file = world.folder.path().join("sessions.db");
    let store = SqliteStore::open(file, SqliteOptions::default()).await.map_err(|it| told(&it))?;
    let supervisor: Supervisor<Value> =
        Supervisor::builder().store(store).start().await.map_err(|it| told(&it))?;
    let found = supervisor.recovery();
    let whole = !found.last_run.is_crash()
        && found.found == accounts.len() as u64
        && found.settled.is_empty()
        && found.damaged.is_empty()
        && found.healed.is_empty()
        && found.quarantined.is_empty();
    if !whole {
        return Err(format!("a start finds {found:?}"));
    }
    let problems = supervisor.check_store().await.map_err(|it| told(&it))?;
    if !problems.is_empty() {
        return Err(format!("the file: {problems:?}"));
    }
    let filter = RecordFilter::default().replying(true);
    let open = supervisor.list(filter, None, 10).await.map_err(|it| told(&it))?;
    if !open.records.is_empty() {
        return Err(format!("turns that are open in the file: {:?}", open.records));
    }
    for account in accounts {
        let id = SessionId::new(&account.id).map_err(|it| told(&it))?;
        let Lookup::Live(session) = supervisor.look_up(&id).await.map_err(|it| told(&it))? else {
            return Err(format!("{id} is not in the file"));
        };
        session.transcript().await.map_err(|it| told(&it))?;
    }
    settled(&supervisor).await.map_err(|it| told(&it))?;
    supervisor.shutdown(ShutdownOptions::default()).await.map_err(|it| told(&it))?;
    Ok(())
}
