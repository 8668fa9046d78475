//! ConsumerGroupHeartbeat and ConsumerGroupDescribe: groups whose partitions the broker assigns.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::consumer_group_describe_response::{
    Assignment as Described, DescribedGroup, Member as DescribedMember,
    TopicPartitions as DescribedPartitions,
};
use kafka_protocol::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse, GroupId, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::{Client, text};
use crate::error::Refusal;
use crate::groups::consumer::{
    Assignor, Beat, ConsumerGroup, JOIN, LEAVE_FOR_NOW, Member, Partitions,
};
use crate::server::Shared;

/// The member speaks this protocol, not the classic one.
const CONSUMER_MEMBER: i8 = 1;
/// Nobody has asked for operations, which are of access control.
const NO_OPERATIONS: i32 = i32::MIN;

pub(super) fn heartbeat(
    shared: &Shared,
    client: &Client,
    request: ConsumerGroupHeartbeatRequest,
    version: i16,
) -> ConsumerGroupHeartbeatResponse {
    let beaten = beat(client, &request, version)
        .and_then(|beat| shared.groups.beat(&request.group_id, beat, &shared.topics));
    match beaten {
        Ok(beaten) => ConsumerGroupHeartbeatResponse::default()
            .with_member_id(Some(StrBytes::from_string(beaten.member_id)))
            .with_member_epoch(beaten.epoch)
            .with_heartbeat_interval_ms(shared.config.group_heartbeat_interval.as_millis() as i32)
            .with_assignment(beaten.assigned.map(|assigned| {
                let topics = by_topic(&assigned).into_iter().map(|(topic, partitions)| {
                    TopicPartitions::default().with_topic_id(topic).with_partitions(partitions)
                });
                Assignment::default().with_topic_partitions(topics.collect())
            })),
        Err(refusal) => ConsumerGroupHeartbeatResponse::default()
            .with_error_code(refusal.code.code())
            .with_error_message(Some(text(&refusal.message))),
    }
}

/// The request, checked by itself. Its text is copied: it is a slice of the whole frame.
fn beat(
    client: &Client,
    request: &ConsumerGroupHeartbeatRequest,
    version: i16,
) -> Result<Beat, Refusal> {
    let invalid = |message: &str| Err(Refusal::new(ResponseError::InvalidRequest, message));
    let is_empty = |text: &Option<StrBytes>| text.as_ref().is_some_and(|text| text.is_empty());
    let epoch = request.member_epoch;
    if request.group_id.is_empty() {
        return invalid("group id is empty");
    }
    if is_empty(&request.instance_id) || is_empty(&request.rack_id) {
        return invalid("instance id or rack id is empty");
    }
    // Only version 0 leaves it to us to name a member.
    if request.member_id.is_empty() && (epoch != JOIN || version > 0) {
        return invalid("member id is empty");
    }
    if epoch < LEAVE_FOR_NOW {
        return invalid("member epoch is below -2");
    }
    if epoch == LEAVE_FOR_NOW && request.instance_id.is_none() {
        return invalid("only a member with an instance id leaves with epoch -2");
    }
    let subscribes =
        request.subscribed_topic_names.is_some() || request.subscribed_topic_regex.is_some();
    let owns_nothing = request.topic_partitions.as_ref().is_some_and(Vec::is_empty);
    if epoch == JOIN && (request.rebalance_timeout_ms < 0 || !owns_nothing || !subscribes) {
        return invalid("who joins says a rebalance timeout, a subscription, and to own nothing");
    }
    let owned = request.topic_partitions.as_ref().map(|topics| {
        let all = topics.iter().flat_map(|t| t.partitions.iter().map(|&i| (t.topic_id, i)));
        all.collect::<Partitions>()
    });
    let names = request.subscribed_topic_names.as_ref();
    let member_id = if request.member_id.is_empty() {
        Uuid::new_v4().to_string()
    } else {
        request.member_id.to_string()
    };
    let rebalance_ms = u64::try_from(request.rebalance_timeout_ms).ok();
    Ok(Beat {
        member_id,
        epoch,
        instance: request.instance_id.as_deref().map(str::to_owned),
        rack: request.rack_id.as_deref().map(str::to_owned),
        rebalance_timeout: rebalance_ms.map(Duration::from_millis),
        names: names.map(|names| names.iter().map(|name| name.to_string()).collect()),
        pattern: request.subscribed_topic_regex.as_deref().map(str::to_owned),
        assignor: request.server_assignor.as_deref().map(assignor).transpose()?,
        owned,
        client_id: client.id.clone(),
        client_host: format!("/{}", client.peer.ip()),
    })
}

fn assignor(name: &str) -> Result<Assignor, Refusal> {
    let known = Assignor::ALL.into_iter().find(|assignor| assignor.name() == name);
    known.ok_or_else(|| {
        let message = format!("assignor {name:?} is not one of uniform, range");
        Refusal::new(ResponseError::UnsupportedAssignor, message)
    })
}

fn by_topic(partitions: &Partitions) -> BTreeMap<Uuid, Vec<i32>> {
    let mut topics: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
    for &(topic, index) in partitions {
        topics.entry(topic).or_default().push(index);
    }
    topics
}

pub(super) fn describe(
    shared: &Shared,
    request: ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    let describe = |name: &GroupId| {
        let look = |group: &crate::groups::Group| {
            group.consumer.as_ref().map(|consumer| describe_group(shared, consumer))
        };
        let described = shared.groups.look(name, look).flatten().unwrap_or_else(|| {
            let message = format!("group {:?} is not a consumer group", name.as_str());
            DescribedGroup::default()
                .with_error_code(ResponseError::GroupIdNotFound.code())
                .with_error_message(Some(StrBytes::from_string(message)))
        });
        described.with_group_id(GroupId(text(name))).with_authorized_operations(NO_OPERATIONS)
    };
    let groups = request.group_ids.iter().map(describe).collect();
    ConsumerGroupDescribeResponse::default().with_groups(groups)
}

fn describe_group(shared: &Shared, group: &ConsumerGroup) -> DescribedGroup {
    let members = group.members.iter().map(|(id, member)| describe_member(shared, id, member));
    DescribedGroup::default()
        .with_group_state(StrBytes::from_static_str(group.state()))
        .with_group_epoch(group.epoch)
        .with_assignment_epoch(group.target_epoch)
        .with_assignor_name(StrBytes::from_static_str(group.assignor.name()))
        .with_members(members.collect())
}

fn describe_member(shared: &Shared, id: &str, member: &Member) -> DescribedMember {
    let names = member.subscription.names.iter().map(|name| TopicName(text(name)));
    let pattern = member.subscription.pattern.as_ref();
    DescribedMember::default()
        .with_member_id(text(id))
        .with_instance_id(member.instance.as_deref().map(text))
        .with_rack_id(member.rack.as_deref().map(text))
        .with_member_epoch(member.epoch)
        .with_client_id(text(&member.client_id))
        .with_client_host(text(&member.client_host))
        .with_subscribed_topic_names(names.collect())
        .with_subscribed_topic_regex(pattern.map(|pattern| text(&pattern.text)))
        .with_assignment(described(shared, &member.assigned))
        .with_target_assignment(described(shared, &member.target))
        .with_member_type(CONSUMER_MEMBER)
}

/// Topics that are gone have no name to be told by.
fn described(shared: &Shared, partitions: &Partitions) -> Described {
    let topics = by_topic(partitions).into_iter().filter_map(|(id, partitions)| {
        let topic = shared.topics.get_by_id(id)?;
        let described = DescribedPartitions::default().with_topic_id(id);
        Some(described.with_topic_name(TopicName(text(&topic.name))).with_partitions(partitions))
    });
    Described::default().with_topic_partitions(topics.collect())
}
