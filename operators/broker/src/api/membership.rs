//! JoinGroup, SyncGroup, Heartbeat, LeaveGroup.
//!
//! Text and bytes that a group keeps are copied: the request's own are slices of its whole frame.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::heartbeat_response::HeartbeatResponse;
use kafka_protocol::messages::join_group_response::{JoinGroupResponse, JoinGroupResponseMember};
use kafka_protocol::messages::leave_group_response::{LeaveGroupResponse, MemberResponse};
use kafka_protocol::messages::sync_group_response::SyncGroupResponse;
use kafka_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest,
};
use kafka_protocol::protocol::StrBytes;
use tokio::sync::oneshot;

use super::{Client, text};
use crate::groups::{Caller, JoinRequest, Joined, Synced};
use crate::server::Shared;

fn millis(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// The group's answer; `None` when the broker stops first.
async fn or_stopping<T>(shared: &Shared, answer: oneshot::Receiver<T>) -> Option<T> {
    tokio::select! {
        answer = answer => answer.ok(),
        () = shared.stopped() => None,
    }
}

pub(super) async fn join(
    shared: &Shared,
    client: &Client,
    request: JoinGroupRequest,
    version: i16,
) -> JoinGroupResponse {
    let member_id = request.member_id.to_string();
    // Version 0 has one timeout for both.
    let rebalance_ms =
        if version == 0 { request.session_timeout_ms } else { request.rebalance_timeout_ms };
    let protocols = request
        .protocols
        .iter()
        .map(|protocol| (protocol.name.to_string(), Bytes::copy_from_slice(&protocol.metadata)));
    let join = JoinRequest {
        member_id: member_id.clone(),
        instance: request.group_instance_id.as_deref().map(str::to_owned),
        client_id: client.id.clone(),
        client_host: format!("/{}", client.peer.ip()),
        session_timeout: millis(request.session_timeout_ms),
        rebalance_timeout: millis(rebalance_ms),
        protocol_type: request.protocol_type.to_string(),
        protocols: protocols.collect(),
        comes_back: version >= 4,
    };
    let group = request.group_id.to_string();
    drop(request);
    let answer = or_stopping(shared, shared.groups.join(&group, join)).await;
    let joined = answer
        .unwrap_or_else(|| Joined::refused(ResponseError::CoordinatorNotAvailable, &member_id));
    let member = |(id, instance, metadata): (String, Option<String>, Bytes)| {
        JoinGroupResponseMember::default()
            .with_member_id(StrBytes::from_string(id))
            .with_group_instance_id(instance.map(StrBytes::from_string))
            .with_metadata(metadata)
    };
    // A refusal has no protocol; only since version 7 may it say so by null.
    let protocol =
        (joined.code == 0 || version < 7).then(|| StrBytes::from_string(joined.protocol));
    JoinGroupResponse::default()
        .with_error_code(joined.code)
        .with_generation_id(joined.generation)
        .with_protocol_type((joined.code == 0).then(|| StrBytes::from_string(joined.protocol_type)))
        .with_protocol_name(protocol)
        .with_leader(StrBytes::from_string(joined.leader))
        .with_member_id(StrBytes::from_string(joined.member_id))
        .with_members(joined.members.into_iter().map(member).collect())
}

pub(super) async fn sync(shared: &Shared, request: SyncGroupRequest) -> SyncGroupResponse {
    let caller = Caller {
        member_id: &request.member_id,
        instance: request.group_instance_id.as_deref(),
        generation: request.generation_id,
    };
    let protocol = (request.protocol_type.as_deref(), request.protocol_name.as_deref());
    let assignments = request
        .assignments
        .iter()
        .map(|part| (part.member_id.to_string(), Bytes::copy_from_slice(&part.assignment)));
    let answer = shared.groups.sync(&request.group_id, &caller, protocol, assignments.collect());
    let synced = or_stopping(shared, answer)
        .await
        .unwrap_or_else(|| Synced::refused(ResponseError::CoordinatorNotAvailable));
    let named = synced.code == 0;
    SyncGroupResponse::default()
        .with_error_code(synced.code)
        .with_protocol_type(named.then(|| StrBytes::from_string(synced.protocol_type)))
        .with_protocol_name(named.then(|| StrBytes::from_string(synced.protocol)))
        .with_assignment(synced.assignment)
}

pub(super) fn heartbeat(shared: &Shared, request: HeartbeatRequest) -> HeartbeatResponse {
    let caller = Caller {
        member_id: &request.member_id,
        instance: request.group_instance_id.as_deref(),
        generation: request.generation_id,
    };
    let refused = shared.groups.heartbeat(&request.group_id, &caller).err();
    HeartbeatResponse::default().with_error_code(refused.map_or(0, |code| code.code()))
}

pub(super) fn leave(
    shared: &Shared,
    request: LeaveGroupRequest,
    version: i16,
) -> LeaveGroupResponse {
    let leave = |member_id: &str, instance: Option<&str>| {
        let left = shared.groups.leave(&request.group_id, member_id, instance);
        left.err().map_or(0, |code| code.code())
    };
    if version < 3 {
        return LeaveGroupResponse::default().with_error_code(leave(&request.member_id, None));
    }
    let members = request.members.iter().map(|member| {
        let instance = member.group_instance_id.as_deref();
        MemberResponse::default()
            .with_member_id(text(&member.member_id))
            .with_group_instance_id(instance.map(text))
            .with_error_code(leave(&member.member_id, instance))
    });
    LeaveGroupResponse::default().with_members(members.collect())
}
