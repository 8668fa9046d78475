//! CPU seconds and peak memory of a process, from Linux's /proc.

use std::fs;
use std::path::PathBuf;

use crate::Error;

/// Linux reports CPU time to user space in hundredths of a second (`USER_HZ`) on every architecture that nowcast builds for.
const TICKS_PER_S: f64 = 100.0;

/// What a process has used since it started, all its threads together.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Usage {
    /// User and system time, in steps of 10 ms.
    pub cpu_s: f64,
    /// Resident set now.
    pub rss_bytes: u64,
    /// Largest resident set so far.
    pub rss_peak_bytes: u64,
}

/// The usage of this process.
///
/// # Errors
/// Where there is no /proc.
pub fn own() -> Result<Usage, Error> {
    usage("self")
}

/// The usage of another process.
///
/// # Errors
/// If there is no such process, or no /proc.
pub fn of(pid: u32) -> Result<Usage, Error> {
    usage(&pid.to_string())
}

fn usage(process: &str) -> Result<Usage, Error> {
    let (stat, stat_path) = read(process, "stat")?;
    let (status, status_path) = read(process, "status")?;
    let cpu_s =
        cpu_s(&stat).ok_or_else(|| Error::content(&stat_path, 1, "expected utime and stime"))?;
    let memory = |line: &str| {
        bytes(&status, line)
            .ok_or_else(|| Error::content(&status_path, 1, format!("expected a line {line}")))
    };
    Ok(Usage { cpu_s, rss_bytes: memory("VmRSS:")?, rss_peak_bytes: memory("VmHWM:")? })
}

fn read(process: &str, file: &str) -> Result<(String, PathBuf), Error> {
    let path = PathBuf::from(format!("/proc/{process}/{file}"));
    match fs::read_to_string(&path) {
        Ok(text) => Ok((text, path)),
        Err(error) => Err(Error::io(&path, error)),
    }
}

/// Fields 14 and 15 (utime, stime) of proc_pid_stat(5); the name in field 2 may hold spaces and brackets.
fn cpu_s(stat: &str) -> Option<f64> {
    let mut after_name = stat[stat.rfind(')')? + 1..].split_whitespace().skip(11);
    let (user, system): (u64, u64) =
        (after_name.next()?.parse().ok()?, after_name.next()?.parse().ok()?);
    Some((user + system) as f64 / TICKS_PER_S)
}

fn bytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "42 (a) b) S 1 1 1 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 100";
        assert_eq!(cpu_s(stat), Some(3.0));
        assert_eq!(cpu_s("42 (cut"), None);
    }

    #[test]
    fn this_process_uses_memory_and_a_missing_one_is_named() {
        let usage = own().unwrap();
        assert!(usage.rss_bytes > 100_000 && usage.rss_peak_bytes >= usage.rss_bytes);
        assert!(usage.cpu_s >= 0.0);
        assert_eq!(
            of(std::process::id()).unwrap().rss_peak_bytes >> 30,
            usage.rss_peak_bytes >> 30
        );
        let error = of(u32::MAX).unwrap_err().to_string();
        assert!(error.starts_with("file \"/proc/4294967295/stat\": "), "{error}");
    }
}
