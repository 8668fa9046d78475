//! Who of a consumer group gets which partitions: Kafka's two assignors of the broker's side.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::member::Partitions;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Assignor {
    /// As many for each as can be, and as few moves.
    #[default]
    Uniform,
    /// Of each topic a range: the same indexes of several topics go to the same member.
    Range,
}

/// What a member subscribes to, and what it was to have last.
pub(super) struct Want<'a> {
    /// The instance of a static member, the id of another.
    pub name: &'a str,
    pub topics: BTreeMap<Uuid, i32>,
    pub had: &'a Partitions,
}

impl Assignor {
    pub const ALL: [Assignor; 2] = [Assignor::Uniform, Assignor::Range];

    pub fn name(self) -> &'static str {
        match self {
            Assignor::Uniform => "uniform",
            Assignor::Range => "range",
        }
    }

    /// The partitions of each, in the order of `wants`.
    pub(super) fn assign(self, wants: &[Want<'_>]) -> Vec<Partitions> {
        match self {
            Assignor::Uniform => uniform(wants),
            Assignor::Range => range(wants),
        }
    }
}

fn uniform(wants: &[Want<'_>]) -> Vec<Partitions> {
    let mut owners: BTreeMap<(Uuid, i32), Option<usize>> = BTreeMap::new();
    for (&topic, &partitions) in wants.iter().flat_map(|want| &want.topics) {
        owners.extend((0..partitions).map(|index| ((topic, index), None)));
    }
    let mut loads = vec![0usize; wants.len()];
    for (member, want) in wants.iter().enumerate() {
        for partition in want.had.iter().filter(|(topic, _)| want.topics.contains_key(topic)) {
            if let Some(owner @ None) = owners.get_mut(partition) {
                *owner = Some(member);
                loads[member] += 1;
            }
        }
    }
    // First what nobody has, then what some have too much of: a move brings two closer by two, so
    // moves end.
    loop {
        let mut moved = false;
        for ((topic, _), owner) in &mut owners {
            let subscribers = (0..wants.len()).filter(|&m| wants[m].topics.contains_key(topic));
            let Some(least) = subscribers.min_by_key(|&member| loads[member]) else { continue };
            if let Some(owner) = *owner {
                if loads[owner] < loads[least] + 2 {
                    continue;
                }
                loads[owner] -= 1;
            }
            *owner = Some(least);
            loads[least] += 1;
            moved = true;
        }
        if !moved {
            break;
        }
    }
    let mut parts = vec![Partitions::new(); wants.len()];
    for (partition, owner) in owners {
        if let Some(owner) = owner {
            parts[owner].insert(partition);
        }
    }
    parts
}

fn range(wants: &[Want<'_>]) -> Vec<Partitions> {
    let mut order: Vec<usize> = (0..wants.len()).collect();
    order.sort_by_key(|&member| wants[member].name);
    let mut topics: BTreeMap<Uuid, i32> = BTreeMap::new();
    for want in wants {
        topics.extend(want.topics.iter().map(|(&topic, &partitions)| (topic, partitions)));
    }
    let mut parts = vec![Partitions::new(); wants.len()];
    for (topic, partitions) in topics {
        let subscribers: Vec<usize> =
            order.iter().copied().filter(|&m| wants[m].topics.contains_key(&topic)).collect();
        let (each, over) =
            (partitions as usize / subscribers.len(), partitions as usize % subscribers.len());
        let mut next = 0;
        for (i, member) in subscribers.into_iter().enumerate() {
            let end = next + (each + usize::from(i < over)) as i32;
            parts[member].extend((next..end).map(|index| (topic, index)));
            next = end;
        }
    }
    parts
}
