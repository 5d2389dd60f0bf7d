//! What a start tells about an earlier run.

use std::error::Error;

use session_supervisor::{ChatMessage, Lookup, SettledTurn, Supervisor};

use crate::screen::Screen;
use crate::words::{age, shorten};

/// How many characters of what the user had said are repeated.
const QUOTED: usize = 60;

/// Tells what the start found: replies that were cut off, and rows that are damaged.
pub(crate) async fn tell(
    supervisor: &Supervisor,
    screen: &mut Screen,
) -> Result<(), Box<dyn Error>> {
    let report = supervisor.recovery();
    for row in &report.damaged {
        screen.warn(&format!("damaged in the store, and left as it is: {row}"));
    }
    for left in &report.quarantined {
        screen.warn(&format!("wrong in the store, and left as it is: {left}"));
    }
    for healed in &report.healed {
        let (entries, id) = (healed.entries, &healed.session);
        screen.warn(&format!("{entries} lost entries of session {id} came back"));
    }
    for settled in &report.settled {
        let when = age(supervisor.now().since(settled.began_at));
        let (label, said) = what_was_said(supervisor, settled).await?;
        let label = label.map_or_else(String::new, |label| format!(" “{label}”"));
        let said = said.map_or_else(String::new, |said| {
            format!("You had said “{}”; ", shorten(&said, QUOTED))
        });
        let id: String = settled.session.to_string().chars().take(8).collect();
        screen.warn(&format!(
            "an earlier run ended in the middle of a reply ({when}, session {id}{label}). \
             {said}that is kept, marked as unanswered. /open {id} shows what there was of the reply, \
             and /retry does it over; or just go on."
        ));
    }
    Ok(())
}

/// The label of the session of a turn, and the input of that turn.
async fn what_was_said(
    supervisor: &Supervisor,
    settled: &SettledTurn,
) -> Result<(Option<String>, Option<String>), Box<dyn Error>> {
    let Lookup::Live(session) = supervisor.look_up(&settled.session).await? else {
        return Ok((None, None));
    };
    let label = session.record().await?.label;
    let entries = session.entries(0, usize::MAX).await?;
    let input = entries.into_iter().find(|entry| entry.stream == Some(settled.stream));
    let said =
        input.and_then(|entry| entry.content.ok()).map(|ChatMessage { content, .. }| content);
    Ok((label, said))
}
