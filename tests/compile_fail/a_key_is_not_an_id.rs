use session_supervisor::{SessionKey, Supervisor};

async fn look_up(supervisor: Supervisor, key: SessionKey) {
    let _ = supervisor.look_up(&key).await;
}

fn main() {}
