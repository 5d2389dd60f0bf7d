//! Begins that ask for more than a turn.

use super::{Asked, BusyPolicy, Input, Redo, Request, Special, Test, begin};

/// The name of a begin, and the digest of what it asks for.
pub(super) type Name = (&'static str, u128);

/// Begins a turn with a name, of which the store knew nothing after it had stored `seen` others.
pub(super) fn named(
    number: u32,
    policy: BusyPolicy,
    (name, digest): Name,
    seen: u64,
) -> Input<Test> {
    let Input::Begin { mut request, port, stream, pass } = begin(number, policy) else {
        unreachable!("it is a begin")
    };
    let asked = Asked { request: Request { key: name.to_owned(), digest }, seen };
    request.special = Some(Box::new(Special { redo: None, request: Some(asked) }));
    Input::Begin { request, port, stream, pass }
}

/// Begins a turn that does an earlier one over.
pub(super) fn redoing(number: u32, policy: BusyPolicy, redo: Redo) -> Input<Test> {
    let Input::Begin { mut request, port, stream, pass } = begin(number, policy) else {
        unreachable!("it is a begin")
    };
    request.special = Some(Box::new(Special { redo: Some(redo), request: None }));
    Input::Begin { request, port, stream, pass }
}
