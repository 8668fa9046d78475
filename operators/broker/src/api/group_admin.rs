//! DescribeGroups, ListGroups, DeleteGroups.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_groups_response::{
    DeletableGroupResult, DeleteGroupsResponse,
};
use kafka_protocol::messages::describe_groups_response::{
    DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};
use kafka_protocol::messages::list_groups_response::{ListGroupsResponse, ListedGroup};
use kafka_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, GroupId, ListGroupsRequest,
};
use kafka_protocol::protocol::StrBytes;

use super::text;
use crate::groups::{Group, Listed};
use crate::server::Shared;

pub(super) fn describe(
    shared: &Shared,
    request: DescribeGroupsRequest,
    version: i16,
) -> DescribeGroupsResponse {
    let describe = |name: &GroupId| {
        let described = shared.groups.look(name, describe_group);
        let described = described.flatten().unwrap_or_else(|| {
            let dead =
                DescribedGroup::default().with_group_state(StrBytes::from_static_str("Dead"));
            if version < 6 {
                return dead;
            }
            dead.with_error_code(ResponseError::GroupIdNotFound.code())
                .with_error_message(Some(text(&format!("group {:?} not found", name.as_str()))))
        });
        described.with_group_id(GroupId(text(name)))
    };
    DescribeGroupsResponse::default().with_groups(request.groups.iter().map(describe).collect())
}

/// `None` for a group that this api is not for.
fn describe_group(group: &Group) -> Option<DescribedGroup> {
    if group.consumer.is_some() {
        return None;
    }
    let members = group.members.iter().map(|(id, member)| {
        DescribedGroupMember::default()
            .with_member_id(text(id))
            .with_group_instance_id(member.instance.as_deref().map(text))
            .with_client_id(text(&member.client_id))
            .with_client_host(text(&member.client_host))
            .with_member_metadata(member.metadata(&group.protocol))
            .with_member_assignment(member.assignment.clone())
    });
    let described = DescribedGroup::default()
        .with_group_state(StrBytes::from_static_str(group.state.name()))
        .with_protocol_type(text(&group.protocol_type))
        .with_protocol_data(text(&group.protocol))
        .with_members(members.collect());
    Some(described)
}

pub(super) fn list(shared: &Shared, request: ListGroupsRequest) -> ListGroupsResponse {
    // An empty filter lets all through.
    let lets = |filter: &[StrBytes], value: &str| {
        filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(value))
    };
    let is_wanted = |listed: &Listed| {
        lets(&request.states_filter, listed.state) && lets(&request.types_filter, listed.kind)
    };
    let groups = shared.groups.list().into_iter().filter(is_wanted).map(|listed| {
        ListedGroup::default()
            .with_group_id(GroupId(StrBytes::from_string(listed.name)))
            .with_protocol_type(StrBytes::from_string(listed.protocol_type))
            .with_group_state(StrBytes::from_static_str(listed.state))
            .with_group_type(StrBytes::from_static_str(listed.kind))
    });
    ListGroupsResponse::default().with_groups(groups.collect())
}

pub(super) fn delete(shared: &Shared, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let delete = |name: &GroupId| {
        let refused = shared.groups.delete(name).err();
        DeletableGroupResult::default()
            .with_group_id(GroupId(text(name)))
            .with_error_code(refused.map_or(0, |code| code.code()))
    };
    DeleteGroupsResponse::default().with_results(request.groups_names.iter().map(delete).collect())
}
