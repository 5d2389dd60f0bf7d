use session_supervisor::{SessionId, SessionKey};

fn same(id: SessionId, key: SessionKey) -> bool {
    id == key
}

fn main() {}
