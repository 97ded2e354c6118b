//! What the system says of a process.

use std::{fs, time::Duration};

/// In which `/proc` counts CPU time: hundredths of a second on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// The CPU time that a process has used, its own and the system's on its behalf.
pub(crate) fn cpu(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name before it may hold anything, in brackets.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks: u32 = fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u32>().unwrap()).sum();
    TICK * ticks
}

/// The resident memory of a process, in bytes.
pub(crate) fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Returns once a process has next to nothing to do, and says what CPU time it had used then.
pub(crate) async fn quiet(pid: u32) -> Duration {
    const LOOK: Duration = Duration::from_millis(50);
    let mut calm = 0;
    let mut before = cpu(pid);
    while calm < 4 {
        tokio::time::sleep(LOOK).await;
        let now = cpu(pid);
        calm = if now.saturating_sub(before) > TICK { 0 } else { calm + 1 };
        before = now;
    }
    before
}
