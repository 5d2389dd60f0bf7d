//! Begins with names, and those who repeat them.

use super::super::super::{Generation, Request};
use super::{Begin, Model};
use crate::state::{Asked, BeginRefusal};

/// The name of a begin.
#[derive(Clone, Debug)]
pub(super) struct Name {
    request: Request,
    /// How many begins with a name had been stored when the store was asked.
    seen: u64,
}

impl Name {
    pub(super) fn of(asked: &Asked) -> Self {
        Self { request: asked.request.clone(), seen: asked.seen }
    }

    fn is_key_of(&self, other: Option<&Self>) -> bool {
        other.is_some_and(|other| other.request.key == self.request.key)
    }
}

/// Who repeats a begin.
#[derive(Debug)]
pub(super) struct Echo {
    /// Who asked first.
    original: u32,
    /// Whether it is the same that was asked for.
    same: bool,
}

impl Model {
    pub(in super::super) fn echoing(&self) -> usize {
        self.echoes.len()
    }

    /// Whether somebody has asked under this name and it is not known to the store whoever asked it, or
    /// whose turn runs. One that is not known becomes an echo.
    pub(super) fn repeats(&mut self, begin: &Begin) -> bool {
        let Some(name) = &begin.name else { return false };
        let waits = self.queue.iter().find(|it| name.is_key_of(it.name.as_ref()));
        let waits = waits.map(|it| (it.port, it.name.clone()));
        let starting = self.names.iter().find(|(port, it)| {
            self.starting.values().any(|starting| starting == *port) && name.is_key_of(Some(it))
        });
        let starting = starting.map(|(port, name)| (*port, Some(name.clone())));
        if let Some((original, other)) = starting.or(waits) {
            let same = other.is_some_and(|other| other.request == name.request);
            self.echoes.insert(begin.port, Echo { original, same });
            return true;
        }
        self.open.iter().any(|turn| turn.given && name.is_key_of(turn.name.as_ref()))
    }

    /// Whether a begin with a name was stored after the store was asked.
    pub(super) fn asks_late(&self, begin: &Begin) -> bool {
        begin.name.as_ref().is_some_and(|name| name.seen != self.named)
    }

    /// Somebody who repeats a begin is answered: as that was, in the same step.
    pub(super) fn echoed(&mut self, port: u32, refusal: &BeginRefusal) -> bool {
        let Some(Echo { original, same }) = self.echoes.remove(&port) else { return false };
        self.newcomer.take_if(|(begin, _)| begin.port == port);
        if let BeginRefusal::Repeated { generation, same: told } = refusal {
            assert_eq!((*told, Some(*generation)), (same, self.begun), "told of another turn");
            assert_eq!(self.streams.get(generation), Some(&original), "of another begin");
        } else if let BeginRefusal::Store(_) = refusal {
            assert!(self.failing, "the store has not failed");
        } else if self.leaving != Some(port) {
            self.told_echoes.push((original, super::effects::kind(refusal)));
        }
        true
    }

    /// After a step: whoever was told what became of another was told right, and nobody was forgotten.
    pub(super) fn echoes_are_right(&mut self) {
        for (original, told) in std::mem::take(&mut self.told_echoes) {
            assert_eq!(self.became.get(&original), Some(&told), "the echo of {original}");
        }
        for (port, Echo { original, .. }) in &self.echoes {
            let waits = self.queue.iter().any(|begin| begin.port == *original);
            let starting = self.starting.values().any(|it| it == original);
            assert!(waits || starting, "{port} repeats {original}, which is over");
        }
    }

    /// A turn that was begun under a name that is asked for again.
    pub(super) fn is_repeated(&self, begin: &Begin, generation: Generation, same: bool) -> bool {
        let turn = self.open.iter().find(|turn| turn.generation == generation);
        let (Some(name), Some(turn)) = (&begin.name, turn) else { return false };
        let equal = turn.name.as_ref().map(|it| it.request == name.request);
        turn.given && equal == Some(same)
    }
}
