use session_supervisor::{SessionId, Supervisor};

async fn open(supervisor: Supervisor, id: SessionId) {
    let _ = supervisor.open(&id).await;
}

fn main() {}
