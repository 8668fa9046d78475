//! How much memory the state of a job may take.

use std::fs;

use anyhow::{Context, Result, bail};

/// The option, as in `SET 'state.memory.max' = '2 gb'`.
const BOUND: &str = "state.memory.max";

/// The share of the memory that is there which state takes by default: the other half is for what is on its
/// way through the job, and for the part of the state that a checkpoint writes.
const SHARE: u64 = 2;

/// What the state of a job may take, in bytes; `None`: any number.
pub fn state_bytes_max(setting: Option<&str>) -> Result<Option<u64>> {
    match setting {
        Some("none") => Ok(None),
        Some(text) => {
            let bytes = nowcast_connectors::parse_size(text);
            let bytes = bytes.with_context(|| format!("'{BOUND}' = '{text}'"))?;
            if bytes == 0 {
                bail!("'{BOUND}' = '{text}': 'none' is no bound");
            }
            Ok(Some(bytes))
        }
        None => Ok(memory().map(|bytes| bytes / SHARE)),
    }
}

/// Memory that this process may use: that of its control group, else of the machine. `None` where neither
/// is known, as on other systems than Linux.
fn memory() -> Option<u64> {
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let group = number("/sys/fs/cgroup/memory.max")
        .or_else(|| number("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| of_machine(&text));
    match (group, machine) {
        // A group without a limit has one beyond all memory.
        (Some(group), Some(machine)) => Some(group.min(machine)),
        (group, machine) => group.or(machine),
    }
}

fn of_machine(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1 << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_sizes_or_none() {
        assert_eq!(state_bytes_max(Some("2 gb")).unwrap(), Some(2 << 30));
        assert_eq!(state_bytes_max(Some("none")).unwrap(), None);
        for text in ["much", "0", "-1 gb", "2 tb"] {
            let error = format!("{:#}", state_bytes_max(Some(text)).unwrap_err());
            assert!(error.contains("state.memory.max") && error.contains(text), "{error}");
        }
        assert_eq!(
            of_machine("MemTotal:       24629200 kB\nMemFree: 1 kB\n"),
            Some(24_629_200 << 10)
        );
        assert_eq!(of_machine("MemFree: 1 kB"), None);
    }
}
