//! What is set for whom.

use std::collections::BTreeMap;

use super::{CalendarError, Expiry, ExpiryRules};
use crate::rt::{Arc, HashMap};

/// The clocks for all and for each class, with their time zones looked up.
#[derive(Debug)]
pub(crate) struct ExpiryTable {
    /// For all.
    all: Arc<Expiry>,
    /// For those of a class.
    classes: HashMap<String, Arc<Expiry>>,
}

impl ExpiryTable {
    /// From what is set for all and for classes.
    ///
    /// # Errors
    ///
    /// [`CalendarError`] if a time zone cannot be found.
    pub(crate) fn new<'a>(
        all: &ExpiryRules,
        classes: impl Iterator<Item = (&'a String, &'a ExpiryRules)>,
    ) -> Result<Self, CalendarError> {
        let all = Expiry::default().overlaid(all)?;
        let classes: BTreeMap<_, _> = classes.collect();
        let classes = classes
            .into_iter()
            .map(|(class, rules)| Ok((class.clone(), Arc::new(all.overlaid(rules)?))));
        Ok(Self { classes: classes.collect::<Result<_, _>>()?, all: Arc::new(all) })
    }

    /// What counts for a session of that class with rules of its own.
    ///
    /// Rules of its own that cannot be followed, because a time zone is not known here, are as if they were
    /// not there: nothing ends by a clock that nobody can read.
    pub(crate) fn of(&self, class: &str, own: Option<&ExpiryRules>) -> Arc<Expiry> {
        let wider = self.classes.get(class).unwrap_or(&self.all);
        let Some(own) = own else { return wider.clone() };
        wider.overlaid(own).map_or_else(|_| Arc::new(Expiry::default()), Arc::new)
    }
}
