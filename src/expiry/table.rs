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
    /// With rules of its own that cannot be followed, because a time zone is not known here, it ends by no
    /// clock at all: they may have said that it stays.
    pub(crate) fn of(&self, class: &str, own: Option<&ExpiryRules>) -> Arc<Expiry> {
        let wider = self.classes.get(class).unwrap_or(&self.all);
        let Some(own) = own else { return wider.clone() };
        wider.overlaid(own).map_or_else(|_| Arc::new(Expiry::default()), Arc::new)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn idle(hours: u32) -> ExpiryRules {
        ExpiryRules { idle: Some(HOUR * hours), ..ExpiryRules::default() }
    }

    // X1, X2
    #[test]
    fn a_session_follows_its_own_rules_over_those_of_its_class_over_those_for_all() {
        let (night, rules) = ("night".to_owned(), idle(2));
        let age = Some(HOUR * 9);
        let all = ExpiryRules { age, ..idle(1) };
        let table = ExpiryTable::new(&all, [(&night, &rules)].into_iter()).unwrap();
        let of = |class: &str, own: Option<&ExpiryRules>| {
            let expiry = table.of(class, own);
            (expiry.idle, expiry.age)
        };
        assert_eq!(of("day", None), (Some(HOUR), age));
        assert_eq!(of("night", None), (Some(HOUR * 2), age));
        assert_eq!(of("night", Some(&idle(3))), (Some(HOUR * 3), age));
        assert_eq!(of("day", Some(&ExpiryRules::default())), (Some(HOUR), age));
    }
}
