//! Whether a supervisor is at rest, and everything in it balances.

use std::fmt;
use std::time::Duration;

use crate::rt;
use crate::supervisor::Supervisor;

/// How often the other tasks get to run before pauses are made: a paused clock is moved on only where running
/// them was not enough.
const YIELDS: u32 = 20_000;

/// How long a pause is, on the runtime's clock. Where that is paused it lets timers come due.
const PAUSE: Duration = Duration::from_millis(1);

/// How many pauses are made: 30 seconds in all.
const PAUSES: u32 = 30_000;

/// What is not as it has to be where nothing is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unsettled {
    /// How many names somebody still opens, loads or creates.
    pub in_flight: usize,
    /// A line for each rule between the structures that is broken, and for each pair of counters that does
    /// not balance.
    pub broken: Vec<String>,
}

impl fmt::Display for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} names in use, {} rules broken", self.in_flight, self.broken.len())?;
        self.broken.iter().try_for_each(|rule| write!(f, "\n- {rule}"))
    }
}

impl std::error::Error for Unsettled {}

/// Waits until nothing is under way in `supervisor`, then looks at everything: the rules between its
/// structures ([`audit`](Supervisor::audit)) and its counters ([`audit_counts`](Supervisor::audit_counts)).
/// One call for the end of a test.
///
/// Turns may be open, begins may wait and sessions may be loaded; all of it is counted. A supervisor that is
/// in use looks unsettled now and then, and is looked at again.
///
/// # Errors
///
/// [`Unsettled`] if it is not at rest after 30 seconds of the runtime's clock, with what is wrong then.
///
/// # Cancel safety
///
/// Cancel safe: it only looks.
///
/// # Examples
///
/// ```
/// use session_supervisor::{BusyPolicy, ChatMessage, SessionKey, Supervisor, testing::settled};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let supervisor: Supervisor = Supervisor::builder().start().await?;
/// let session = supervisor.open(&SessionKey::builder("irc").chat("#rust").build()?).await?;
/// let turn = session.begin(&ChatMessage::user("hello"), BusyPolicy::Reject).await?;
/// drop(turn);
/// settled(&supervisor).await?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub async fn settled<E>(supervisor: &Supervisor<E>) -> Result<(), Unsettled> {
    let look = || {
        let mut broken = supervisor.audit().broken;
        broken.extend(supervisor.audit_counts());
        Unsettled { in_flight: supervisor.in_flight(), broken }
    };
    let is_settled = |it: &Unsettled| it.in_flight == 0 && it.broken.is_empty();
    if comes_true(|| is_settled(&look())).await { Ok(()) } else { Err(look()) }
}

/// Lets the other tasks run until `is_so`; whether it came to that within 30 seconds of the runtime's clock.
pub(super) async fn comes_true(mut is_so: impl FnMut() -> bool) -> bool {
    for look in 0..YIELDS + PAUSES {
        if is_so() {
            return true;
        }
        if look < YIELDS {
            rt::yield_now().await;
        } else {
            rt::sleep(PAUSE).await;
        }
    }
    is_so()
}
