//! A history that has no order, told so that a person sees why.

use std::fmt::{self, Debug, Write as _};

use super::Operation;

/// The widest that a column gets.
const MAX_COLUMN: usize = 44;

/// A history of one part that has no order, shrunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Illegal<C, A> {
    /// Which part.
    pub(super) part: String,
    /// The state that it started from.
    pub(super) start: String,
    /// What is left of it, in the order of the calls.
    pub(super) operations: Vec<Operation<C, A>>,
    /// The one that no order lets return.
    pub(super) at: usize,
    /// An order as far as there is one: operations, what each did, and the state after it.
    pub(super) order: Vec<(usize, String, String)>,
}

impl<C, A> Illegal<C, A> {
    /// Of which part of the object, as its `Debug` tells it.
    pub fn part(&self) -> &str {
        &self.part
    }

    /// What is left of the history, in the order of the calls: nothing of it can be left out.
    pub fn operations(&self) -> &[Operation<C, A>] {
        &self.operations
    }
}

impl<C: Debug, A: Debug> Illegal<C, A> {
    /// A line for each call and each return, in order: the moment, the client's column, what is said.
    fn lines(&self) -> Vec<(u64, usize, String)> {
        let mut lines = Vec::new();
        for operation in &self.operations {
            let Operation { client, call, called, answer, returned } = operation;
            lines.push((*called, *client, format!("┌ {call:?}")));
            let answer = answer.as_ref().map(|answer| format!("{answer:?}")).unwrap_or_default();
            let end = |at: &u64| (*at, *client, format!("└ {answer}"));
            lines.extend(returned.as_ref().map(end));
        }
        lines.sort_by_key(|(at, ..)| *at);
        lines
    }

    /// What operation `place` is called in the list.
    fn name(&self, place: usize) -> String {
        self.operations.get(place).map_or_else(String::new, |operation| {
            format!("client {}, {:?}", operation.client, operation.call)
        })
    }

    /// The table: a column a client, time downwards.
    fn table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut clients: Vec<usize> = self.operations.iter().map(|it| it.client).collect();
        clients.sort_unstable();
        clients.dedup();
        let lines = self.lines();
        let longest = lines.iter().map(|(.., text)| text.chars().count()).max().unwrap_or_default();
        let width = longest.clamp(10, MAX_COLUMN) + 2;
        let mut head = format!("{:>8}  ", "moment");
        for client in &clients {
            write!(head, "{:width$}", format!("client {client}"))?;
        }
        f.write_str(head.trim_end())?;
        let wrong = self.operations.get(self.at).and_then(|it| it.returned);
        let mut under_way = vec![false; clients.len()];
        for (at, client, text) in lines {
            let mut line = format!("{at:>8}  ");
            for (column, busy) in clients.iter().zip(&mut under_way) {
                let between = if *busy { "│" } else { "" };
                let cell = if *column == client { &*text } else { between };
                write!(line, "{cell:width$}")?;
                *busy = if *column == client { text.starts_with('┌') } else { *busy };
            }
            let mark = if Some(at) == wrong { "  ◀ no order has this" } else { "" };
            write!(f, "\n{}{mark}", line.trim_end())?;
        }
        Ok(())
    }
}

impl<C: Debug, A: Debug> fmt::Display for Illegal<C, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, start, operations, at, order } = self;
        writeln!(f, "{part}: {} operations that happened in no order", operations.len())?;
        self.table(f)?;
        write!(f, "\n\nAs far as there is an order, it is this one, from {start}:")?;
        for (place, step, state) in order {
            write!(f, "\n- {}: {step}, then {state}", self.name(*place))?;
        }
        write!(f, "\nThen this cannot be: {}", self.name(*at))?;
        let answer = operations.get(*at).and_then(|it| it.answer.as_ref());
        answer.map_or(Ok(()), |answer| write!(f, " → {answer:?}"))
    }
}
