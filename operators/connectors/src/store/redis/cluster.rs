//! A Redis Cluster: which master has which slots, and several commands to all of them at once.
//!
//! Commands go to each master in one pipeline. Where slots have moved, those of each slot follow it
//! by themselves, and the masters are asked anew who has which.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::join_all;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisResult, Value};

use super::link::Requests;
use super::slots::SLOTS;

/// Host and port of a master.
pub type Master = (String, u16);

pub struct Cluster {
    connection: ClusterConnection,
    layout: Mutex<Option<Arc<Layout>>>,
}

/// Who has which slots.
struct Layout {
    masters: Vec<Master>,
    /// By slot, which of the masters; none where nobody is known to.
    of_slots: Vec<Option<usize>>,
}

impl Cluster {
    pub fn new(connection: ClusterConnection) -> Self {
        Self { connection, layout: Mutex::default() }
    }

    /// The answers in order, errors of the servers among them.
    pub async fn send(&self, requests: &Requests) -> RedisResult<Vec<Value>> {
        let layout = self.layout().await?;
        let mut of_masters: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
        for (at, slot) in requests.slots.iter().enumerate() {
            let master = layout.of_slots[usize::from(*slot) % SLOTS];
            of_masters.entry(master).or_default().push(at);
        }
        let commands: Vec<&Cmd> = requests.commands.cmd_iter().collect();
        let asked = of_masters.iter().map(|(master, at)| {
            let (layout, commands) = (&layout, &commands);
            async move {
                let Some(master) = master else {
                    return self.by_slot(requests, commands, at).await;
                };
                match self.pipeline(commands, at, by_address(&layout.masters[*master])).await {
                    Err(error) if has_moved(&error) => {
                        self.forget();
                        self.by_slot(requests, commands, at).await
                    }
                    answers => answers,
                }
            }
        });
        let answered = join_all(asked).await;
        let mut answers = vec![Value::Nil; commands.len()];
        for (at, answered) in of_masters.values().zip(answered) {
            for (at, answer) in at.iter().zip(answered?) {
                answers[*at] = answer;
            }
        }
        Ok(answers)
    }

    /// One command to one master.
    pub async fn send_to(&self, master: &Master, command: &Cmd) -> RedisResult<Value> {
        let to = RoutingInfo::SingleNode(by_address(master));
        self.connection.clone().route_command(command.clone(), to).await
    }

    /// All that have slots, as of now.
    pub async fn masters(&self) -> RedisResult<Vec<Master>> {
        self.forget();
        Ok(self.layout().await?.masters.clone())
    }

    /// Sends these of the commands slot by slot: each follows its slot where it has moved.
    async fn by_slot(
        &self,
        requests: &Requests,
        commands: &[&Cmd],
        at: &[usize],
    ) -> RedisResult<Vec<Value>> {
        let mut slots: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
        for at in at {
            slots.entry(requests.slots[*at]).or_default().push(*at);
        }
        let mut answers = BTreeMap::new();
        for (slot, at) in slots {
            let to = SingleNodeRoutingInfo::SpecificNode(Route::new(slot, SlotAddr::Master));
            for at in at {
                let command = commands[at].clone();
                let to = RoutingInfo::SingleNode(to.clone());
                let answer = self.connection.clone().route_command(command, to).await;
                answers.insert(at, error_as_answer(answer)?);
            }
        }
        Ok(answers.into_values().collect())
    }

    async fn pipeline(
        &self,
        commands: &[&Cmd],
        at: &[usize],
        to: SingleNodeRoutingInfo,
    ) -> RedisResult<Vec<Value>> {
        let mut pipeline = Pipeline::with_capacity(at.len());
        for at in at {
            pipeline.add_command(commands[*at].clone());
        }
        self.connection.clone().route_pipeline(pipeline, 0, at.len(), to).await
    }

    async fn layout(&self) -> RedisResult<Arc<Layout>> {
        if let Some(layout) = &*self.known() {
            return Ok(Arc::clone(layout));
        }
        let mut ask = redis::cmd("CLUSTER");
        ask.arg("SLOTS");
        let to = RoutingInfo::SingleNode(SingleNodeRoutingInfo::RandomPrimary);
        let answer = self.connection.clone().route_command(ask, to).await?;
        let layout = Arc::new(Layout::read(&answer));
        *self.known() = Some(Arc::clone(&layout));
        Ok(layout)
    }

    fn forget(&self) {
        *self.known() = None;
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Option<Arc<Layout>>> {
        self.layout.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Layout {
    /// From the answer to CLUSTER SLOTS. Masters that do not say where they are are left out.
    fn read(answer: &Value) -> Self {
        let mut layout = Self { masters: vec![], of_slots: vec![None; SLOTS] };
        let Value::Array(ranges) = answer else { return layout };
        for range in ranges {
            let Value::Array(range) = range else { continue };
            let [Value::Int(first), Value::Int(last), Value::Array(node), ..] = range.as_slice()
            else {
                continue;
            };
            let Some(master) = master(node) else { continue };
            let known = layout.masters.iter().position(|known| *known == master);
            let at = known.unwrap_or_else(|| {
                layout.masters.push(master);
                layout.masters.len() - 1
            });
            let (Ok(first), Ok(last)) = (usize::try_from(*first), usize::try_from(*last)) else {
                continue;
            };
            for slot in layout.of_slots.iter_mut().take(last + 1).skip(first) {
                *slot = Some(at);
            }
        }
        layout
    }
}

fn master(node: &[Value]) -> Option<Master> {
    let [Value::BulkString(host), Value::Int(port), ..] = node else { return None };
    let host = String::from_utf8(host.clone()).ok()?;
    let said = !matches!(host.as_str(), "" | "?" | "0.0.0.0" | "::");
    Some((host, u16::try_from(*port).ok()?)).filter(|_| said)
}

fn by_address((host, port): &Master) -> SingleNodeRoutingInfo {
    SingleNodeRoutingInfo::ByAddress { host: host.clone(), port: *port }
}

/// Whether a master no longer has what it was asked for, or is no longer one.
fn has_moved(error: &RedisError) -> bool {
    error.is_cluster_error()
        || error.is_io_error()
        || error.kind() == ErrorKind::ClusterConnectionNotFound
        || error.code() == Some("READONLY")
}

/// What a server says to one command, as it stands in the answers to several.
fn error_as_answer(answer: RedisResult<Value>) -> RedisResult<Value> {
    match answer {
        Err(error) => match error.clone().into_server_errors() {
            Some(errors) if errors.len() == 1 => Ok(Value::ServerError(errors[0].1.clone())),
            _ => Err(error),
        },
        answer => answer,
    }
}
