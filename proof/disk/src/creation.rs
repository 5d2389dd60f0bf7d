//! A power cut while the store is made: it is there whole, or is made anew.

use session_supervisor::{SqliteOptions, SqliteStore, Store};

use crate::disk::Disk;
use crate::power::open_small;
use crate::random::Random;
use crate::rebuild::{self, Image, Rebuild, Way};
use crate::report::Report;
use crate::room::{self, Room};

/// Cuts the power at every point of it.
pub(crate) fn prove(report: &Report, seed: u64) {
    let room = Room::new("creation");
    let runtime = room::runtime();
    let disk = Disk::watch(room.path());
    let path = room.path().join("s.db");
    runtime.block_on(async {
        let store = SqliteStore::open(&path, SqliteOptions::default()).await.expect("it is made");
        store.close().await.expect("it closes");
    });
    disk.forget();
    let mut random = Random::new(seed, 6);
    let mut rebuilt = Rebuild::new(&Image::new(), random.clone());
    let mut images = 0;
    for (at, event) in disk.take_events().iter().enumerate() {
        if !rebuilt.apply(event) {
            continue;
        }
        for way in Way::ALL {
            images += 1;
            rebuild::write(room.path(), &rebuilt.cut(way, &mut random));
            let problem = runtime.block_on(async {
                let store = match open_small(&path).await {
                    Ok(store) => store,
                    Err(error) => return Some(format!("it does not open: {error:?}")),
                };
                let wrong = store.check().await.unwrap_or_else(|error| vec![error.to_string()]);
                (!wrong.is_empty()).then(|| wrong.join("; "))
            });
            if let Some(problem) = problem {
                report.problem(format!("creation, event {at} ({way:?}): {problem}"));
            }
        }
    }
    report.at_least("creation_images", images, "images", 100);
}
