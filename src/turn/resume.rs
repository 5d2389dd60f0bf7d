//! What a turn has done with handles of outside services, and what its commit does with them.

use super::Turn;
use crate::rt::Arc;
use crate::slot::Slot;
use crate::store::{CommitExtra, ResumeAction, ResumeChange, resume_digest};

/// What a turn has done with handles of outside services.
#[derive(Debug, Default)]
pub(super) struct Resuming {
    /// What its commit does, at most one for each service.
    changes: Vec<ResumeChange>,
    /// Whether it was told to retry without a handle.
    retried: bool,
}

impl<E> Turn<E> {
    /// Where it runs.
    pub(crate) fn slot(&self) -> &Arc<Slot> {
        &self.hold.slot
    }

    /// Has the commit do `change`, instead of what it was to do with that service.
    pub(crate) fn stage(&self, change: ResumeChange) {
        let mut resuming = self.resuming.lock();
        let changes = &mut resuming.get_or_insert_default().changes;
        changes.retain(|staged| staged.provider != change.provider);
        changes.push(change);
    }

    /// Has the commit leave alone what does not work.
    pub(crate) fn unstage(&self, provider: &str, wrong: u128) {
        if let Some(resuming) = self.resuming.lock().as_mut() {
            resuming
                .changes
                .retain(|it| it.provider != provider || named(&it.action) != Some(wrong));
        }
    }

    /// Whether it may retry without a handle; it may once.
    pub(crate) fn retry_once(&self) -> bool {
        let mut resuming = self.resuming.lock();
        !std::mem::replace(&mut resuming.get_or_insert_default().retried, true)
    }

    /// What its commit does beside the reply, with what the reply itself has.
    #[inline]
    pub(super) fn commit_extra(&mut self, replied: Vec<ResumeChange>) -> Option<Box<CommitExtra>> {
        let staged = self.resuming.get_mut().take();
        if staged.is_none() && replied.is_empty() { None } else { merged(staged, replied) }
    }
}

/// What a turn has staged, with what came with its reply in its place.
fn merged(staged: Option<Box<Resuming>>, replied: Vec<ResumeChange>) -> Option<Box<CommitExtra>> {
    let mut resume = staged.map(|staged| staged.changes).unwrap_or_default();
    resume.retain(|staged| replied.iter().all(|it| it.provider != staged.provider));
    resume.extend(replied);
    (!resume.is_empty()).then(|| Box::new(CommitExtra { resume }))
}

/// Which value a change of a commit is about.
fn named(action: &ResumeAction) -> Option<u128> {
    match action {
        ResumeAction::Keep { value, .. } => Some(resume_digest(value)),
        ResumeAction::Worked { digest } => Some(*digest),
        ResumeAction::Attempt { .. }
        | ResumeAction::Absolve { .. }
        | ResumeAction::Drop { .. }
        | ResumeAction::Refuse { .. } => None,
    }
}

/// Tells which of the handles that came with a reply were left out, since the service has said that they are
/// gone.
pub(super) async fn tell_refused(slot: &Slot, kept: &[ResumeChange]) {
    let engine = &slot.engine;
    for ResumeChange { provider, action } in kept {
        let Some(digest) = named(action) else { continue };
        let found = engine.store.resume(&slot.id, slot.incarnation, provider).await;
        let (now, max_age) = (engine.now().wall, engine.config.resume.max_age);
        // Where it cannot be read there is nothing to tell; the commit stands.
        if found.is_ok_and(|record| record.refuses(digest, now, max_age)) {
            engine.counts.resume_refused(provider);
            tracing::warn!(session = %slot.tip(), provider,
                "a resume handle that is gone came with a reply and was left out");
        }
    }
}
