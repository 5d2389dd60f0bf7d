//! Forgetting handles of outside services that have expired.

use crate::clock::Timestamp;
use crate::engine::Engine;
use crate::store::Forget;

/// How many are forgotten together.
const SLICE: usize = 1_024;

/// What is over at `now`: nothing, where handles are kept for ever.
pub(super) fn over(engine: &Engine, now: Timestamp) -> impl Iterator<Item = Forget> + use<> {
    let max_age = engine.config.resume.max_age;
    let before = (!max_age.is_zero()).then(|| now.minus(max_age));
    before.into_iter().flat_map(|at| [Forget::ResumeHandles(at), Forget::RefusedHandles(at)])
}

/// Forgets what is over, at a start; answers how many handles it was. What the store fails to do is left
/// to a later sweep.
pub(super) async fn sweep(engine: &Engine) -> usize {
    let mut swept = 0;
    for what in over(engine, engine.now().wall) {
        loop {
            let forgotten = match engine.store.forget(what, SLICE).await {
                Ok(forgotten) => forgotten,
                Err(error) => {
                    engine.counts.store_failed(what.name());
                    tracing::warn!(what = what.name(), %error, "a sweep failed");
                    break;
                }
            };
            if matches!(what, Forget::ResumeHandles(_)) {
                swept += forgotten;
            }
            if forgotten < SLICE {
                break;
            }
        }
    }
    swept
}
