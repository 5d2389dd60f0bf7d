//! Deleting what was closed for long enough.

use super::super::expire::delete;
use super::super::shared::{Located, Shared};
use super::PruneReport;
use crate::clock::Timestamp;
use crate::room::{LoadError, Need};
use crate::rt;
use crate::standing::Standing;
use crate::store::{Record, StoreError};
use crate::tombstone::GoneReason;

impl Shared {
    /// When those of a lane have to have been closed to be deleted by now; `None` if they never are. Some are
    /// to be deleted `at_once`: something came between that and their end.
    pub(super) fn purge_horizon(&self, at_once: bool) -> Option<Timestamp> {
        let (now, kept) = (self.engine.now().wall, self.engine.config.prune.delete_closed_after);
        let after = Some(kept).filter(|kept| !kept.is_zero()).map(|kept| now.minus(kept));
        if at_once { Some(now) } else { after }
    }

    /// Deletes those that were closed for long enough.
    pub(super) async fn purge(&self, records: &[Record], report: &mut PruneReport) {
        for record in records {
            report.looked += 1;
            let Some(reason) = self.is_to_be_deleted(record) else { continue };
            let deleted =
                if report.dry_run { Ok(true) } else { self.purge_one(record, reason).await };
            match deleted {
                Ok(deleted) => report.deleted += usize::from(deleted),
                Err(error) => report.failed(|| format!("session {}: {error}", record.id)),
            }
            rt::yield_now().await;
        }
    }

    /// Why a closed session is to be deleted, if it is.
    fn is_to_be_deleted(&self, record: &Record) -> Option<GoneReason> {
        if let Some((clock, true)) = record.standing.expired() {
            return Some(GoneReason::Expired(clock));
        }
        let (Standing::Archived { at, .. } | Standing::Ended { at, .. }) = record.standing else {
            return None;
        };
        let kept = self.engine.config.prune.delete_closed_after;
        let closed_for = self.engine.closed_for(at);
        (!kept.is_zero() && closed_for >= kept).then_some(GoneReason::Purged)
    }

    /// Deletes a closed session, unless it was restored or pinned since it was read; whether it did.
    async fn purge_one(&self, record: &Record, reason: GoneReason) -> Result<bool, StoreError> {
        // Not `find`, if it is loaded: a delete that has failed is to be tried again.
        let slot = match self.loaded(&record.id) {
            Some(slot) => slot,
            None => match self.find(&record.id, Need::Look).await.map_err(LoadError::into_store)? {
                Located::Live(slot) => slot,
                Located::Gone(_) | Located::Unknown => return Ok(false),
            },
        };
        if slot.incarnation == record.incarnation { delete(&slot, reason).await } else { Ok(false) }
    }
}
