//! The protocol itself: versions, apis that are not there, and every version of those that are.

use bytes::Buf;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_request as incremental;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, StrBytes};

use crate::raw::{NOBODY, Raw, batch, fetch_request, name, produce_request};
use crate::support::{Embedded, topic};

const UNSUPPORTED: i16 = ResponseError::UnsupportedVersion.code();
/// Of a transactional id that nobody has.
const UNMAPPED: i16 = ResponseError::InvalidProducerIdMapping.code();

fn offered(raw: &mut Raw) -> Vec<(i16, i16, i16)> {
    let request = ApiVersionsRequest::default()
        .with_client_software_name(s("nowcast-test"))
        .with_client_software_version(s("1"));
    let answer = raw.call(3, &request);
    assert_eq!(answer.error_code, 0);
    answer.api_keys.iter().map(|api| (api.api_key, api.min_version, api.max_version)).collect()
}

pub fn a_newer_api_versions_is_answered_in_version_zero(bootstrap: &str) {
    let mut raw = Raw::connect(bootstrap);
    raw.send_bytes(18, 99, 2, &[1, 1, 0]);
    let mut answer = raw.receive();
    answer.advance(4);
    let answer = ApiVersionsResponse::decode(&mut answer, 0).unwrap();
    assert_eq!(answer.error_code, UNSUPPORTED);
    assert!(answer.api_keys.iter().any(|api| api.api_key == ApiKey::ApiVersions as i16));
    assert!(offered(&mut raw).iter().any(|&(key, ..)| key == ApiKey::Fetch as i16));
}

pub fn an_unknown_fetch_session_is_told(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    let mut raw = Raw::connect(bootstrap);
    let request = fetch_request(&topic, 0, 0, 1).with_session_id(12345).with_session_epoch(1);
    let answer = raw.call(11, &request);
    assert_eq!(answer.error_code, ResponseError::FetchSessionIdNotFound.code());
}

/// What Kafka closes the connection for.
#[test]
fn what_is_not_served_is_answered_and_the_connection_goes_on() {
    let broker = Embedded::start();
    let mut raw = Raw::connect(&broker.bootstrap());
    let offered = offered(&mut raw);
    let mut code_at = |key: i16, version: i16, header: i16, body: &[u8], at: usize| {
        raw.send_bytes(key, version, header, body);
        raw.receive().slice(at..).get_i16()
    };
    // Numbers that no api has, versions that no one has.
    assert_eq!(code_at(9999, 0, 1, &[], 4), UNSUPPORTED);
    assert_eq!(code_at(-7, 0, 1, &[1, 2, 3], 4), UNSUPPORTED);
    assert_eq!(code_at(ApiKey::Metadata as i16, 99, 2, &[], 5), UNSUPPORTED);
    assert_eq!(code_at(ApiKey::Produce as i16, 2, 1, &[], 4), UNSUPPORTED);

    let not_offered = |key: ApiKey| offered.iter().all(|&(number, ..)| number != key as i16);
    assert!(not_offered(ApiKey::ShareGroupHeartbeat));
    let answer = raw.call(1, &ShareGroupHeartbeatRequest::default());
    assert_eq!(answer.error_code, UNSUPPORTED);
    // Those of the second protocol of transactions.
    assert_eq!(raw.call(5, &EndTxnRequest::default()).error_code, UNSUPPORTED);
    for version in 4..=5 {
        let answer = raw.call(version, &AddPartitionsToTxnRequest::default());
        assert_eq!(answer.error_code, UNSUPPORTED);
    }
    assert!(!raw.call(9, &MetadataRequest::default().with_topics(None)).brokers.is_empty());
}

/// Contents as well as empty forms: a field that a version lacks fails only when it is set.
#[test]
fn every_version_on_offer_is_answered_in_its_own_form() {
    let broker = Embedded::start();
    broker.broker().create_topic("t", 2, &[("retention.ms", "-1")]).unwrap();
    let mut raw = Raw::connect(&broker.bootstrap());
    let offered = offered(&mut raw);
    let mut served = 0;
    for &(number, first, last) in &offered {
        let key = ApiKey::try_from(number).unwrap();
        // Offered for the sake of old clients only.
        let first = if key == ApiKey::Produce { 3 } else { first };
        for version in first..=last {
            each(&mut raw, key, version);
            served += 1;
        }
    }
    println!("{served} versions of {} apis", offered.len());
    assert!(served > 100);
}

fn s(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn each(raw: &mut Raw, key: ApiKey, v: i16) {
    let group = || GroupId(s("g"));
    match key {
        ApiKey::Produce => {
            let good = raw.call(v, &produce_request("t", batch(NOBODY, &["x"])));
            assert_eq!(good.responses[0].partition_responses[0].error_code, 0);
            let bad = raw.call(v, &produce_request("none", batch(NOBODY, &["x"])));
            assert_eq!(bad.responses[0].partition_responses[0].error_code, 3);
        }
        ApiKey::Fetch => {
            let good = raw.call(v, &fetch_request("t", 0, 0, 1));
            assert!(!good.responses[0].partitions[0].records.as_ref().unwrap().is_empty());
            let committed = fetch_request("t", 1_000_000, 0, 1).with_isolation_level(1);
            assert_eq!(raw.call(v, &committed).responses[0].partitions[0].error_code, 1);
            let none = raw.call(v, &fetch_request("none", 0, 0, 1));
            assert_eq!(none.responses[0].partitions[0].error_code, 3);
        }
        ApiKey::ListOffsets => {
            for (timestamp, partition) in [(-1, 0), (-2, 0), (-3, 0), (0, 0), (-99, 0), (-1, 77)] {
                let asked = ListOffsetsTopic::default().with_name(name("t"));
                let asked = asked.with_partitions(vec![
                    ListOffsetsPartition::default()
                        .with_timestamp(timestamp)
                        .with_partition_index(partition),
                ]);
                raw.call(v, &ListOffsetsRequest::default().with_topics(vec![asked]));
            }
        }
        ApiKey::Metadata => {
            let all = if v == 0 { Some(Vec::new()) } else { None };
            let all = raw.call(v, &MetadataRequest::default().with_topics(all));
            assert_eq!(all.topics.iter().filter(|t| t.name == Some(name("t"))).count(), 1);
            let asked = |n: &str| MetadataRequestTopic::default().with_name(Some(name(n)));
            let asked = vec![asked("t"), asked("not legal")];
            let some = raw.call(v, &MetadataRequest::default().with_topics(Some(asked)));
            let codes: Vec<i16> = some.topics.iter().map(|t| t.error_code).collect();
            assert_eq!(codes, [0, 17]);
        }
        ApiKey::OffsetCommit => {
            let partition = |i| {
                OffsetCommitRequestPartition::default()
                    .with_partition_index(i)
                    .with_committed_offset(5)
                    .with_committed_metadata(Some(s("note")))
            };
            let of_topic = OffsetCommitRequestTopic::default()
                .with_name(name("t"))
                .with_partitions(vec![partition(0), partition(99)]);
            let request = OffsetCommitRequest::default()
                .with_group_id(group())
                .with_generation_id_or_member_epoch(-1)
                .with_topics(vec![of_topic]);
            let answer = raw.call(v, &request);
            let codes: Vec<i16> =
                answer.topics[0].partitions.iter().map(|p| p.error_code).collect();
            assert_eq!(codes, [0, 3]);
        }
        ApiKey::OffsetFetch => offset_fetch(raw, v),
        ApiKey::FindCoordinator => {
            for kind in 0..=2 {
                let request = FindCoordinatorRequest::default();
                let request = match (v, kind) {
                    (0, _) => request.with_key(s("g")),
                    (1..4, _) => request.with_key(s("g")).with_key_type(kind),
                    _ => request.with_coordinator_keys(vec![s("g")]).with_key_type(kind),
                };
                raw.call(v, &request);
            }
        }
        ApiKey::JoinGroup => {
            let protocol = JoinGroupRequestProtocol::default().with_name(s("range"));
            let request = JoinGroupRequest::default()
                .with_group_id(GroupId(s(&format!("join{v}"))))
                .with_session_timeout_ms(10_000)
                .with_protocol_type(s("consumer"))
                .with_protocols(vec![protocol]);
            let request = if v > 0 { request.with_rebalance_timeout_ms(10_000) } else { request };
            let answer = raw.call(v, &request);
            if v >= 4 {
                assert_eq!(answer.error_code, ResponseError::MemberIdRequired.code());
                let again = raw.call(v, &request.with_member_id(answer.member_id));
                assert_eq!((again.error_code, again.members.len()), (0, 1));
            } else {
                assert_eq!((answer.error_code, answer.members.len()), (0, 1));
            }
        }
        ApiKey::Heartbeat => {
            let answer = raw.call(v, &HeartbeatRequest::default().with_group_id(group()));
            assert_eq!(answer.error_code, ResponseError::UnknownMemberId.code());
        }
        ApiKey::LeaveGroup => {
            let request = LeaveGroupRequest::default().with_group_id(group());
            let request = if v >= 3 {
                let member = MemberIdentity::default().with_member_id(s("m"));
                request.with_members(vec![member.with_group_instance_id(Some(s("i")))])
            } else {
                request.with_member_id(s("m"))
            };
            raw.call(v, &request);
        }
        ApiKey::SyncGroup => {
            let answer = raw.call(v, &SyncGroupRequest::default().with_group_id(group()));
            assert_eq!(answer.error_code, ResponseError::UnknownMemberId.code());
        }
        ApiKey::DescribeGroups => {
            let groups = vec![GroupId(s("join9")), GroupId(s("join5")), GroupId(s("nobody"))];
            raw.call(v, &DescribeGroupsRequest::default().with_groups(groups));
        }
        ApiKey::ListGroups => {
            assert!(raw.call(v, &ListGroupsRequest::default()).groups.len() > 5);
        }
        ApiKey::ApiVersions => {
            raw.call(v, &ApiVersionsRequest::default());
        }
        ApiKey::CreateTopics => create_topics(raw, v),
        ApiKey::DeleteTopics => delete_topics(raw, v),
        ApiKey::InitProducerId => {
            let request = InitProducerIdRequest::default().with_transactional_id(None);
            assert_eq!(raw.call(v, &request).error_code, 0);
            let id = Some(TransactionalId(s("tx")));
            let request = request.with_transactional_id(id).with_transaction_timeout_ms(60_000);
            assert_eq!(raw.call(v, &request).error_code, 0);
        }
        ApiKey::AddPartitionsToTxn => {
            let topic = AddPartitionsToTxnTopic::default().with_name(name("t"));
            let topic = topic.with_partitions(vec![0]);
            let request = AddPartitionsToTxnRequest::default();
            let answer = raw.call(v, &request.with_v3_and_below_topics(vec![topic]));
            let result = &answer.results_by_topic_v3_and_below[0].results_by_partition[0];
            assert_eq!(result.partition_error_code, UNMAPPED);
        }
        ApiKey::AddOffsetsToTxn => {
            let request = AddOffsetsToTxnRequest::default().with_group_id(group());
            assert_eq!(raw.call(v, &request).error_code, UNMAPPED);
        }
        ApiKey::TxnOffsetCommit => {
            let partition = TxnOffsetCommitRequestPartition::default();
            let topic = TxnOffsetCommitRequestTopic::default().with_name(name("t"));
            let topic = topic.with_partitions(vec![partition]);
            let request = TxnOffsetCommitRequest::default().with_group_id(group());
            let answer = raw.call(v, &request.with_topics(vec![topic]));
            assert_eq!(answer.topics[0].partitions[0].error_code, UNMAPPED);
        }
        ApiKey::EndTxn => {
            assert_eq!(raw.call(v, &EndTxnRequest::default()).error_code, UNMAPPED);
        }
        ApiKey::DescribeConfigs => {
            let resource = |kind, name: &str| {
                DescribeConfigsResource::default()
                    .with_resource_type(kind)
                    .with_resource_name(s(name))
                    .with_configuration_keys(None)
            };
            let asked =
                vec![resource(2, "t"), resource(4, "1"), resource(2, "none"), resource(8, "")];
            let answer = raw.call(v, &DescribeConfigsRequest::default().with_resources(asked));
            let codes: Vec<i16> = answer.results.iter().map(|r| r.error_code).collect();
            assert_eq!(codes, [0, 0, 3, 42]);
        }
        ApiKey::AlterConfigs => {
            let resource = alter_configs_request::AlterConfigsResource::default();
            let config = alter_configs_request::AlterableConfig::default();
            let config = config.with_name(s("retention.ms")).with_value(Some(s("-1")));
            let resource = resource.with_resource_type(2).with_resource_name(s("t"));
            let resource = resource.with_configs(vec![config]);
            let request = AlterConfigsRequest::default().with_resources(vec![resource]);
            assert_eq!(raw.call(v, &request).responses[0].error_code, 0);
        }
        ApiKey::IncrementalAlterConfigs => {
            let config = incremental::AlterableConfig::default();
            let config = config.with_name(s("segment.bytes")).with_value(Some(s("1")));
            let resource = incremental::AlterConfigsResource::default();
            let resource = resource.with_resource_type(2).with_resource_name(s("t"));
            let resource = resource.with_configs(vec![config]);
            let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
            assert_eq!(raw.call(v, &request).responses[0].error_code, 40);
        }
        ApiKey::CreatePartitions => {
            let topic = |n: &str, count| {
                let topic = create_partitions_request::CreatePartitionsTopic::default();
                topic.with_name(name(n)).with_count(count).with_assignments(None)
            };
            let topics = vec![topic("t", 3 + i32::from(v)), topic("t", 1), topic("none", 5)];
            let answer = raw.call(v, &CreatePartitionsRequest::default().with_topics(topics));
            let codes: Vec<i16> = answer.results.iter().map(|r| r.error_code).collect();
            assert_eq!(codes, [0, 37, 3]);
        }
        ApiKey::DeleteGroups => {
            let request =
                DeleteGroupsRequest::default().with_groups_names(vec![GroupId(s("none"))]);
            assert_eq!(raw.call(v, &request).results[0].error_code, 69);
        }
        ApiKey::DescribeCluster => {
            let answer = raw.call(v, &DescribeClusterRequest::default());
            assert_eq!((answer.error_code, answer.brokers.len()), (0, 1));
        }
        ApiKey::ListTransactions => {
            let request = ListTransactionsRequest::default().with_state_filters(vec![s("None")]);
            let request = if v >= 1 { request.with_duration_filter(10) } else { request };
            let answer = raw.call(v, &request);
            assert_eq!((answer.error_code, answer.unknown_state_filters.len()), (0, 1));
        }
        ApiKey::DescribeTransactions => {
            let ids = ["tx", "none"].map(|id| TransactionalId(s(id)));
            let request = DescribeTransactionsRequest::default();
            let answer = raw.call(v, &request.with_transactional_ids(ids.to_vec()));
            let codes: Vec<i16> = answer.transaction_states.iter().map(|t| t.error_code).collect();
            assert_eq!(codes, [0, 105]);
        }
        ApiKey::DescribeProducers => {
            let topic = describe_producers_request::TopicRequest::default().with_name(name("t"));
            let topic = topic.with_partition_indexes(vec![0, 99]);
            let request = DescribeProducersRequest::default().with_topics(vec![topic]);
            let partitions = &raw.call(v, &request).topics[0].partitions;
            assert_eq!((partitions[0].error_code, partitions[1].error_code), (0, 3));
        }
        ApiKey::ConsumerGroupHeartbeat => {
            let joining = ConsumerGroupHeartbeatRequest::default()
                .with_group_id(GroupId(s("newer")))
                .with_member_id(s(&format!("member of version {v}")))
                .with_rebalance_timeout_ms(1000)
                .with_subscribed_topic_names(Some(vec![name("t")]))
                .with_topic_partitions(Some(Vec::new()));
            let answer = raw.call(v, &joining);
            assert!(answer.error_code == 0 && answer.member_epoch > 0);
            assert!(answer.assignment.is_some());
        }
        ApiKey::ConsumerGroupDescribe => {
            let group_ids = vec![GroupId(s("newer")), group()];
            let request = ConsumerGroupDescribeRequest::default().with_group_ids(group_ids);
            let answer = raw.call(v, &request);
            let codes: Vec<i16> = answer.groups.iter().map(|g| g.error_code).collect();
            assert_eq!((answer.groups[0].members.len(), codes), (2, vec![0, 69]));
        }
        other => panic!("{other:?} is offered and not tried here"),
    }
}

fn offset_fetch(raw: &mut Raw, v: i16) {
    if v >= 8 {
        let topic = OffsetFetchRequestTopics::default().with_name(name("t"));
        let topic = topic.with_partition_indexes(vec![0, 1]);
        let group = OffsetFetchRequestGroup::default().with_group_id(GroupId(s("g")));
        let all = group.clone().with_topics(None);
        let groups = vec![group.with_topics(Some(vec![topic])), all];
        let answer = raw.call(v, &OffsetFetchRequest::default().with_groups(groups));
        let partitions = &answer.groups[0].topics[0].partitions;
        assert_eq!((partitions[0].committed_offset, partitions[1].committed_offset), (5, -1));
        assert_eq!(answer.groups[1].topics[0].partitions.len(), 1);
        return;
    }
    let topic = OffsetFetchRequestTopic::default().with_name(name("t"));
    let topic = topic.with_partition_indexes(vec![0, 1]);
    let request = OffsetFetchRequest::default().with_group_id(GroupId(s("g")));
    let answer = raw.call(v, &request.clone().with_topics(Some(vec![topic])));
    let partitions = &answer.topics[0].partitions;
    assert_eq!((partitions[0].committed_offset, partitions[1].committed_offset), (5, -1));
    if v >= 2 {
        assert_eq!(raw.call(v, &request.with_topics(None)).topics[0].partitions.len(), 1);
    }
}

fn create_topics(raw: &mut Raw, v: i16) {
    let config = CreatableTopicConfig::default().with_name(s("retention.ms"));
    let config = config.with_value(Some(s("5000")));
    let topic = |n: &str| {
        let topic = CreatableTopic::default().with_name(name(n)).with_num_partitions(1);
        topic.with_replication_factor(1).with_configs(vec![config.clone()])
    };
    let topics = vec![topic(&format!("made{v}")), topic("t"), topic("not legal")];
    let answer = raw.call(v, &CreateTopicsRequest::default().with_topics(topics));
    let codes: Vec<i16> = answer.topics.iter().map(|t| t.error_code).collect();
    assert_eq!(codes, [0, 36, 17]);
}

fn delete_topics(raw: &mut Raw, v: i16) {
    let made = name(&format!("made{}", v + 1));
    let answer = if v >= 6 {
        let by_id = DeleteTopicState::default().with_topic_id(uuid::Uuid::from_u128(5));
        let topics = vec![DeleteTopicState::default().with_name(Some(made)), by_id];
        raw.call(v, &DeleteTopicsRequest::default().with_topics(topics))
    } else {
        let topics = vec![made, name("none")];
        raw.call(v, &DeleteTopicsRequest::default().with_topic_names(topics))
    };
    let codes: Vec<i16> = answer.responses.iter().map(|r| r.error_code).collect();
    assert_eq!(codes, [0, if v >= 6 { 100 } else { 3 }]);
}
