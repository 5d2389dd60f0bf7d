use session_supervisor::{SessionId, SessionKey};

fn id(text: String) -> SessionId {
    text.into()
}

fn key(id: SessionId) -> SessionKey {
    id.into()
}

fn main() {}
