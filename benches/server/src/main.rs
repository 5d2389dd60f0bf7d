//! What a chat through `session-server` costs over the upstream asked directly, and how many turns a second it does, beside
//! two asyncio servers with the same contract: on FastAPI, as most are, and on aiohttp, which is the fast choice. The limit is a bare relay
//! on what the server stands on.
//!
//! All sides stand in front of the same upstream, which answers at once, and are asked by the same clients. They take
//! turns, round by round; values are medians of rounds, and ratios medians of the ratios within rounds. `run` builds
//! the server, installs what the others need and starts this.

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

/// The limit.
const BARE: &str = "bare relay";

/// What is measured, and how long.
struct Arguments {
    server: PathBuf,
    bare: PathBuf,
    python: PathBuf,
    rounds: usize,
    turns: usize,
    lasts: Duration,
}

impl Arguments {
    fn read() -> Option<Self> {
        let mut words = std::env::args().skip(1);
        let (mut server, mut bare, mut python, mut quick) = (None, None, None, false);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--server" => server = words.next(),
                "--bare" => bare = words.next(),
                "--python" => python = words.next(),
                "--quick" => quick = true,
                _ => return None,
            }
        }
        let (rounds, turns, lasts) = if quick { (3, 200, 300) } else { (15, 2_000, 2_000) };
        let (server, bare, python) = (server?.into(), bare?.into(), python?.into());
        Some(Self { server, bare, python, rounds, turns, lasts: Duration::from_millis(lasts) })
    }
}

fn main() -> ExitCode {
    let Some(arguments) = Arguments::read() else {
        eprintln!("usage: --server FILE --bare FILE --python FILE [--quick]");
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
    let python = |name, script| Side::python(name, &arguments.python, script, &upstream);
    let sides = [
        Side::direct(&upstream),
        ours("memory", "memory").await?,
        ours("sqlite", &sqlite).await?,
        Side::ours(BARE, &arguments.bare, &upstream, "none").await?,
        python("aiohttp", "aiohttp_server.py").await?,
        python("fastapi", "fastapi_server.py").await?,
    ];
    let sides = sides.map(Rc::new);
    let mut found: [Vec<Found>; 6] = Default::default();
    for round in 0..arguments.rounds {
        eprintln!("round {} of {}", round + 1, arguments.rounds);
        for (side, found) in sides.iter().zip(&mut found) {
            let (turns, lasts) = (arguments.turns, arguments.lasts);
            found.push(load::round(side, turns, CONNECTIONS, lasts).await?);
        }
    }
    for (side, found) in sides.iter().zip(&found).skip(1) {
        if side.name == BARE {
            continue; // It has no records.
        }
        let (turns, recorded) = (found.iter().map(|it| it.turns).sum(), side.recorded().await?);
        if recorded != turns {
            let name = side.name;
            return Err(io::Error::other(format!("{name}: {recorded} of {turns} are recorded")));
        }
    }
    let [direct, found @ ..] = &found;
    let names = sides.each_ref().map(|side| side.name);
    Ok(tell(direct, &names[1..], found))
}

/// The median.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// One figure of everybody, round by round.
struct Figure {
    name: &'static str,
    unit: &'static str,
    of: Box<dyn Fn(&Found, &Found) -> f64>,
    /// What ours has to be of FastAPI's, and as it is told.
    holds: Option<(fn(f64) -> bool, &'static str)>,
}

/// Prints a line for each figure, with its ratio to each of the two in Python and to the bare relay; answers whether those
/// that are judged are as they should be. The three are the last of `found`.
fn tell(direct: &[Found], names: &[&str], found: &[Vec<Found>]) -> bool {
    let micros = |it: Duration| it.as_secs_f64() * 1e6;
    let alone = median(direct.iter().map(|it| micros(it.one)));
    let rate = median(direct.iter().map(|it| it.rate));
    println!("{:<38} {alone:>9.1} us", "- chat/direct (p50)");
    println!("{:<38} {rate:>9.1} 1/s", "- turns/direct/connections=32");
    let figures = [
        Figure {
            name: "chat/overhead (p50)",
            unit: "us",
            of: Box::new(move |it, direct| micros(it.one) - micros(direct.one)),
            holds: Some((|ratio| ratio <= 0.1, "at most 0.1")),
        },
        Figure {
            name: "turns/connections=32",
            unit: "1/s",
            of: Box::new(|it, _| it.rate),
            holds: Some((|ratio| ratio >= 10.0, "at least 10")),
        },
        Figure {
            name: "turns/connections=32 (cpu)",
            unit: "us",
            of: Box::new(move |it, _| micros(it.cpu)),
            holds: None,
        },
    ];
    let mut fine = true;
    for Figure { name, unit, of, holds } in figures {
        let values: Vec<Vec<f64>> = found
            .iter()
            .map(|it| it.iter().zip(direct).map(|(it, to)| of(it, to)).collect())
            .collect();
        let [.., bare, aiohttp, fastapi] = &*values else {
            unreachable!("three that it is held against are measured")
        };
        for (side, values) in names.iter().zip(&values) {
            let value = median(values.iter().copied());
            let ratio = |base: &[f64]| median(values.iter().zip(base).map(|(it, base)| it / base));
            let (b, a, f) = (ratio(bare), ratio(aiohttp), ratio(fastapi));
            let name = format!("{name} {side}");
            print!("{name:<38} {value:>9.1} {unit:<4} {f:>6.3} of fastapi's {a:>6.3} of aiohttp's");
            print!(" {b:>6.3} of the bare relay's");
            // As FastAPI does, ours keeps nothing on the disk there.
            match holds.filter(|_| *side == "memory") {
                Some((holds, target)) => {
                    let holds = holds(f);
                    println!("  of fastapi's: {target} {}", if holds { "ok" } else { "SHORT" });
                    fine &= holds;
                }
                None => println!(),
            }
        }
    }
    fine
}
