//! What a chat through `session-server` costs over the upstream asked directly, and how many turns a second it does, beside
//! an asyncio server with the same contract.
//!
//! All sides stand in front of the same upstream, which answers at once, and are asked by the same clients. They take
//! turns, round by round; values are medians of rounds, and ratios medians of the ratios within rounds. `run` builds
//! the server, installs aiohttp and starts this.

mod load;
mod side;
mod upstream;
mod wire;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use load::Found;
use side::Side;

/// How many clients there are where there are many.
const CONNECTIONS: usize = 32;

/// What is measured, and how long.
struct Arguments {
    server: PathBuf,
    python: PathBuf,
    rounds: usize,
    turns: usize,
    lasts: Duration,
}

impl Arguments {
    fn read() -> Option<Self> {
        let mut words = std::env::args().skip(1);
        let (mut server, mut python, mut quick) = (None, None, false);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--server" => server = words.next(),
                "--python" => python = words.next(),
                "--quick" => quick = true,
                _ => return None,
            }
        }
        let (rounds, turns, lasts) = if quick { (3, 200, 300) } else { (15, 2_000, 2_000) };
        let (server, python) = (server?.into(), python?.into());
        Some(Self { server, python, rounds, turns, lasts: Duration::from_millis(lasts) })
    }
}

fn main() -> ExitCode {
    let Some(arguments) = Arguments::read() else {
        eprintln!("usage: --server FILE --python FILE [--quick]");
        return ExitCode::from(2);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime for the clients");
    let local = tokio::task::LocalSet::new();
    match local.block_on(&runtime, measure(&arguments)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(3)
        }
    }
}

/// Measures everything and tells it; answers whether it is as it should be.
async fn measure(arguments: &Arguments) -> io::Result<bool> {
    let upstream = upstream::start()?;
    let folder = tempfile::tempdir()?;
    let sqlite = format!("sqlite:{}", folder.path().join("sessions.db").display());
    let ours = |name, store| Side::ours(name, &arguments.server, &upstream, store);
    let sides = [
        Side::direct(&upstream),
        ours("memory", "memory").await?,
        ours("sqlite", &sqlite).await?,
        Side::asyncio(&arguments.python, &upstream).await?,
    ];
    let sides = sides.map(Rc::new);
    let mut found: [Vec<Found>; 4] = Default::default();
    for round in 0..arguments.rounds {
        eprintln!("round {} of {}", round + 1, arguments.rounds);
        for (side, found) in sides.iter().zip(&mut found) {
            let (turns, lasts) = (arguments.turns, arguments.lasts);
            found.push(load::round(side, turns, CONNECTIONS, lasts).await?);
        }
    }
    for (side, found) in sides.iter().zip(&found).skip(1) {
        let (turns, recorded) = (found.iter().map(|it| it.turns).sum(), side.recorded().await?);
        if recorded != turns {
            let name = side.name;
            return Err(io::Error::other(format!("{name}: {recorded} of {turns} are recorded")));
        }
    }
    Ok(tell(&found))
}

/// The median.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Prints a line for each figure; answers whether those that are judged are as they should be.
fn tell([direct, memory, sqlite, asyncio]: &[Vec<Found>; 4]) -> bool {
    let micros = |it: Duration| it.as_secs_f64() * 1e6;
    let over = |side: &[Found]| -> Vec<f64> {
        let pairs = side.iter().zip(direct);
        pairs.map(|(side, direct)| micros(side.one) - micros(direct.one)).collect()
    };
    let rates = |side: &[Found]| -> Vec<f64> { side.iter().map(|it| it.rate).collect() };
    let cpu = |side: &[Found]| -> Vec<f64> { side.iter().map(|it| micros(it.cpu)).collect() };
    let line = |name: &str, unit: &str, values: &[f64], of: &[f64]| -> f64 {
        let value = median(values.iter().copied());
        let ratio = median(values.iter().zip(of).map(|(value, of)| value / of));
        print!("{name:<36} {value:>10.1} {unit:<8} {ratio:>8.3}  of asyncio's");
        ratio
    };
    let judge = |holds: bool, target: &str| {
        println!(": {target} {}", if holds { "ok" } else { "SHORT" });
        holds
    };
    let alone: Vec<f64> = direct.iter().map(|it| micros(it.one)).collect();
    println!(
        "{:<36} {:>10.1} {:<8} {:>8}",
        "- chat/direct (p50)",
        median(alone.into_iter()),
        "us",
        "-"
    );
    let (base, base_rate) = (over(asyncio), rates(asyncio));
    let ratio = line("chat/overhead/memory (p50)", "us", &over(memory), &base);
    let mut fine = judge(ratio <= 0.1, "at most 0.1");
    for (name, side) in [("sqlite", sqlite), ("asyncio", asyncio)] {
        line(&format!("chat/overhead/{name} (p50)"), "us", &over(side), &base);
        println!();
    }
    println!(
        "{:<36} {:>10.1} {:<8} {:>8}",
        "- turns/direct/connections=32",
        median(rates(direct).into_iter()),
        "1/s",
        "-"
    );
    let ratio = line("turns/memory/connections=32", "1/s", &rates(memory), &base_rate);
    fine &= judge(ratio >= 10.0, "at least 10");
    for (name, side) in [("sqlite", sqlite), ("asyncio", asyncio)] {
        line(&format!("turns/{name}/connections=32"), "1/s", &rates(side), &base_rate);
        println!();
    }
    for (name, side) in [("memory", memory), ("sqlite", sqlite), ("asyncio", asyncio)] {
        line(&format!("turns/{name}/connections=32 (cpu)"), "us", &cpu(side), &cpu(asyncio));
        println!();
    }
    fine
}
