//! Writes of one run of a job, refused once another run has taken over.
//!
//! Each write carries a generation, raised by each run at its start, and a version: generation,
//! epoch, sequence. A script compares them where the rows are: an older generation is refused, an older
//! version passed over. It is kept in a field of the row, and that of a deleted row in a key of its
//! own for a while. The fence keeps the newest of all, so that rows are looked at only where an older write
//! has come behind a newer one. All keys of a call are in one slot, so the fence has a key in each slot of a
//! cluster.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nowcast_engine::{Epoch, Error, Result};
use redis::{Cmd, RedisWrite, Script, ServerErrorKind, Value, cmd};
use xxhash_rust::xxh3::xxh3_64;

use super::link::Requests;
use super::{OWN, RedisStore, millis, slots};
use crate::store::Write;

/// Rows in one call: enough to hide what a call costs, few enough that others are served between.
const ROWS_PER_CALL: usize = 100;

const GENERATION_DIGITS: usize = 12;
/// The greatest that a version has room for.
const LAST_SEQUENCE: u64 = (1 << 48) - 1;

struct Code {
    text: &'static str,
    script: Script,
}

macro_rules! code {
    ($name:literal) => {
        LazyLock::new(|| {
            let text = include_str!($name);
            Code { text, script: Script::new(text) }
        })
    };
}

static PUT: LazyLock<Code> = code!("put.lua");
static RAISE: LazyLock<Code> = code!("raise.lua");
static LIFT: LazyLock<Code> = code!("lift.lua");

/// What a run of a job writes its rows of one table behind.
pub struct Fence {
    /// Of the job and the table.
    name: String,
    owner: u32,
    generation: u64,
    sequence: AtomicU64,
    /// How long deletes are remembered.
    remembered: Duration,
}

impl Fence {
    /// Fences all earlier runs of the job off the keys that begin with `prefix`.
    pub async fn raise(
        store: &RedisStore,
        job: &str,
        prefix: &str,
        remembered: Duration,
    ) -> Result<Self> {
        let name = format!("{job}:{prefix}");
        let first = store.slot(&name);
        let mut raise = Requests::new(1);
        raise.add(first, call("EVAL", RAISE.text, &[key(store, "fence", first, &name)]));
        let raised: Vec<String> = store.answers(&raise).await?;
        let raised = raised.first().map(String::as_str).unwrap_or_default();
        let generation = u64::from_str_radix(raised, 16)
            .map_err(|_| Error::outside(format!("redis {}: no generation", store.name)))?;
        if store.link.is_cluster() {
            lift(store, &name, raised).await?;
        }
        Ok(Self::new(name, generation, remembered))
    }

    /// That of the job's last run, which goes on writing.
    pub async fn standing(
        store: &RedisStore,
        job: &str,
        prefix: &str,
        remembered: Duration,
    ) -> Result<Self> {
        let name = format!("{job}:{prefix}");
        // Some of them may be lost.
        let slots = if store.link.is_cluster() { slots::SLOTS } else { 1 };
        let mut gets = Requests::new(slots);
        for slot in 0..slots as u16 {
            let mut get = cmd("GET");
            get.arg(key(store, "fence", slot, &name));
            gets.add(slot, get);
        }
        let held: Vec<Option<String>> = store.answers(&gets).await?;
        let held = held.into_iter().flatten();
        let generation = held.filter_map(|held| {
            // Behind it is how new the newest write is.
            let generation = held.get(..GENERATION_DIGITS).unwrap_or(&held);
            u64::from_str_radix(generation, 16).ok()
        });
        let generation = generation.max();
        Ok(Self::new(name, generation.unwrap_or(0), remembered))
    }

    fn new(name: String, generation: u64, remembered: Duration) -> Self {
        let owner = xxh3_64(name.as_bytes()) as u32;
        Self { name, owner, generation, sequence: AtomicU64::new(0), remembered }
    }

    /// Of what an epoch came to: newer than all writes of it, older than those of the next.
    pub fn last_stamp(&self, epoch: Epoch) -> Stamp<'_> {
        Stamp { fence: self, epoch, sequence: LAST_SEQUENCE }
    }

    /// Whether a row of this version was written by a run of this job.
    pub(super) fn owns(&self, version: &Option<String>) -> bool {
        let owner = format!("{:08x}", self.owner);
        version.as_ref().is_some_and(|version| version.ends_with(&owner))
    }

    /// Of the next writes: newer than all before.
    pub fn stamp(&self, epoch: Epoch) -> Stamp<'_> {
        Stamp { fence: self, epoch, sequence: self.sequence.fetch_add(1, Ordering::Relaxed) }
    }

    fn generation(&self) -> String {
        format!("{:0GENERATION_DIGITS$x}", self.generation)
    }
}

/// Whose writes they are, and how new.
pub struct Stamp<'a> {
    fence: &'a Fence,
    epoch: Epoch,
    sequence: u64,
}

impl Stamp<'_> {
    /// As text, such that a later one is greater; behind it whose it is.
    fn version(&self) -> String {
        let Self { fence, epoch, sequence } = self;
        format!("{}{epoch:010x}{sequence:012x}{:08x}", fence.generation(), fence.owner)
    }
}

/// Lifts the fence in all slots: a run that is fenced off writes nowhere.
async fn lift(store: &RedisStore, name: &str, generation: &str) -> Result<()> {
    let of = |command: &str, code: &str, slot: u16| {
        let mut call = call(command, code, &[key(store, "fence", slot, name)]);
        call.arg(generation);
        (slot, call)
    };
    let calls = |command: &'static str, code: &'static str| {
        (0..slots::SLOTS as u16).map(move |slot| of(command, code, slot))
    };
    run(store, calls("EVALSHA", LIFT.script.get_hash()).collect(), &LIFT).await?;
    Ok(())
}

/// Writes, each of another key; how many were passed over.
pub async fn put(store: &RedisStore, writes: &[Write<'_>], stamp: &Stamp<'_>) -> Result<usize> {
    let mut of_slots: BTreeMap<u16, Vec<&Write<'_>>> = BTreeMap::new();
    for write in writes {
        of_slots.entry(store.slot(write.key())).or_default().push(write);
    }
    let (generation, version) = (stamp.fence.generation(), stamp.version());
    let mut calls = vec![];
    for (slot, writes) in of_slots {
        let fence = key(store, "fence", slot, &stamp.fence.name);
        let gone = prefix(store, "gone", slot);
        for writes in writes.chunks(ROWS_PER_CALL) {
            let alike = alike(writes);
            let mut call = cmd("EVALSHA");
            call.arg(PUT.script.get_hash()).arg(1 + 2 * writes.len()).arg(&fence);
            for write in alike.iter().flatten() {
                call.arg(write.key());
                let mut key = call.writer_for_next_arg();
                let written = key.write_all(gone.as_bytes());
                written
                    .and_then(|()| key.write_all(write.key().as_bytes()))
                    .expect("a command takes all bytes");
            }
            call.arg(&generation).arg(&version).arg(millis(stamp.fence.remembered));
            for writes in &alike {
                add(&mut call, writes);
            }
            calls.push((slot, call));
        }
    }
    run(store, calls, &PUT).await
}

/// The writes by what they do: the same fields, which a call names once for all of them.
fn alike<'a, 'w>(writes: &[&'a Write<'w>]) -> Vec<Vec<&'a Write<'w>>> {
    let mut groups: Vec<Vec<&Write<'_>>> = vec![];
    for write in writes {
        // Most are like those before.
        match groups.iter_mut().rev().find(|group| is_alike(group[0], write)) {
            Some(group) => group.push(write),
            None => groups.push(vec![write]),
        }
    }
    groups
}

fn is_alike(one: &Write<'_>, other: &Write<'_>) -> bool {
    match (one, other) {
        (
            Write::Put { set, remove, ttl, field_ttls, .. },
            Write::Put { set: its_set, remove: its_remove, ttl: its_ttl, field_ttls: its, .. },
        ) => {
            let names = set.iter().map(|(name, _)| name);
            names.eq(its_set.iter().map(|(name, _)| name))
                && (remove, ttl, field_ttls) == (its_remove, its_ttl, its)
        }
        (Write::Delete { .. }, Write::Delete { .. }) => true,
        _ => false,
    }
}

/// Writes that are alike.
fn add(call: &mut Cmd, writes: &[&Write<'_>]) {
    call.arg(writes.len());
    let Some(Write::Put { set, remove, ttl, field_ttls, .. }) = writes.first() else {
        call.arg("d");
        return;
    };
    call.arg(ttl.map_or(0, millis)).arg(set.len()).arg(remove.len()).arg(field_ttls.len());
    for (name, _) in set {
        call.arg(name);
    }
    call.arg(remove);
    for (field, ttl) in field_ttls {
        call.arg(field).arg(millis(*ttl));
    }
    for write in writes {
        if let Write::Put { set, .. } = write {
            for (_, value) in set {
                call.arg(value);
            }
        }
    }
}

/// Calls a script; a server that does not know it yet is told it.
/// The sum of what it says.
async fn run(store: &RedisStore, calls: Vec<(u16, Cmd)>, code: &Code) -> Result<usize> {
    let mut requests = Requests::new(calls.len());
    for (slot, call) in calls {
        requests.add(slot, call);
    }
    let answers = store.ask(&requests).await?;
    let unknown: Vec<usize> = answers
        .iter()
        .enumerate()
        .filter(|(_, answer)| is_unknown(answer))
        .map(|(at, _)| at)
        .collect();
    let mut sum = check(store, &answers)?;
    if !unknown.is_empty() {
        let again = requests.told(&unknown, code.text);
        sum += check(store, &store.ask(&again).await?)?;
    }
    Ok(sum)
}

fn is_unknown(answer: &Value) -> bool {
    matches!(answer, Value::ServerError(error) if error.kind() == Some(ServerErrorKind::NoScript))
}

/// The sum of the answers.
///
/// # Errors
/// Those among them, but that a script is not known.
fn check(store: &RedisStore, answers: &[Value]) -> Result<usize> {
    let mut sum = 0;
    for answer in answers {
        match answer {
            Value::ServerError(error) if error.code() == "FENCED" => {
                return Err(Error::outside("another run of this job has taken over"));
            }
            Value::ServerError(error) if !is_unknown(answer) => {
                return Err(store.failed(&error.clone().into()));
            }
            Value::Int(number) => sum += usize::try_from(*number).unwrap_or(0),
            _ => {}
        }
    }
    Ok(sum)
}

fn call(command: &str, code: &str, keys: &[String]) -> Cmd {
    let mut call = cmd(command);
    call.arg(code).arg(keys.len()).arg(keys);
    call
}

/// A key of ours in a slot.
fn key(store: &RedisStore, what: &str, slot: u16, of: &str) -> String {
    prefix(store, what, slot) + of
}

/// What our keys in a slot begin with; without a cluster there are no slots to be in.
fn prefix(store: &RedisStore, what: &str, slot: u16) -> String {
    match store.link.is_cluster() {
        true => format!("{OWN}{what}:{{{}}}:", slots::tag(slot)),
        false => format!("{OWN}{what}:"),
    }
}
