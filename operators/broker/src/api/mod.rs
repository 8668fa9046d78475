//! The protocol's requests: which are served, in which versions, and by which file.

mod cluster;
mod configs;
mod consumer_groups;
mod fetch;
mod group_admin;
mod list_offsets;
mod membership;
mod metadata;
mod offsets;
mod produce;
mod topic_admin;
mod transaction_admin;
mod transactions;
mod unsupported;

use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, AlterConfigsRequest, ApiKey,
    ApiVersionsRequest, ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest,
    CreatePartitionsRequest, CreateTopicsRequest, DeleteGroupsRequest, DeleteTopicsRequest,
    DescribeClusterRequest, DescribeConfigsRequest, DescribeGroupsRequest,
    DescribeProducersRequest, DescribeTransactionsRequest, EndTxnRequest, FetchRequest,
    FindCoordinatorRequest, HeartbeatRequest, IncrementalAlterConfigsRequest,
    InitProducerIdRequest, JoinGroupRequest, LeaveGroupRequest, ListGroupsRequest,
    ListOffsetsRequest, ListTransactionsRequest, MetadataRequest, OffsetCommitRequest,
    OffsetFetchRequest, ProduceRequest, RequestHeader, ResponseHeader, SyncGroupRequest,
    TxnOffsetCommitRequest,
};
use kafka_protocol::protocol::{Encodable, StrBytes};

use crate::guard::{self, Lengths};
use crate::memory::Held;
use crate::server::Shared;

/// A request without records. Decoded it may take some forty times as much.
const REQUEST_BYTES_MAX: usize = 4 << 20;

/// The one node there is.
const NODE: i32 = 1;

/// An api that is served, from its first to its last version.
struct Served {
    key: ApiKey,
    first: i16,
    last: i16,
}

const fn served(key: ApiKey, first: i16, last: i16) -> Served {
    Served { key, first, last }
}

/// Fetch and Produce end before topic ids replace names, FindCoordinator before share groups, and those
/// of transactions before their second protocol.
const SERVED: &[Served] = &[
    served(ApiKey::Produce, 3, 11),
    served(ApiKey::Fetch, 4, 12),
    served(ApiKey::ListOffsets, 1, 10),
    served(ApiKey::Metadata, 0, 13),
    served(ApiKey::OffsetCommit, 2, 9),
    served(ApiKey::OffsetFetch, 1, 9),
    served(ApiKey::FindCoordinator, 0, 4),
    served(ApiKey::JoinGroup, 0, 9),
    served(ApiKey::Heartbeat, 0, 4),
    served(ApiKey::LeaveGroup, 0, 5),
    served(ApiKey::SyncGroup, 0, 5),
    served(ApiKey::DescribeGroups, 0, 6),
    served(ApiKey::ListGroups, 0, 5),
    served(ApiKey::ApiVersions, 0, 4),
    served(ApiKey::CreateTopics, 2, 7),
    served(ApiKey::DeleteTopics, 1, 6),
    served(ApiKey::InitProducerId, 0, 5),
    served(ApiKey::AddPartitionsToTxn, 0, 3),
    served(ApiKey::AddOffsetsToTxn, 0, 4),
    served(ApiKey::EndTxn, 0, 4),
    served(ApiKey::TxnOffsetCommit, 0, 4),
    served(ApiKey::DescribeConfigs, 1, 4),
    served(ApiKey::AlterConfigs, 0, 2),
    served(ApiKey::CreatePartitions, 0, 3),
    served(ApiKey::DeleteGroups, 0, 2),
    served(ApiKey::IncrementalAlterConfigs, 0, 1),
    served(ApiKey::DescribeCluster, 0, 2),
    served(ApiKey::DescribeProducers, 0, 0),
    served(ApiKey::DescribeTransactions, 0, 0),
    served(ApiKey::ListTransactions, 0, 2),
    served(ApiKey::ConsumerGroupHeartbeat, 0, 1),
    served(ApiKey::ConsumerGroupDescribe, 0, 1),
];

/// Who asks.
pub(crate) struct Client {
    pub id: String,
    pub peer: SocketAddr,
    /// The address of ours that it reached.
    pub local: SocketAddr,
}

/// What becomes of a request.
pub(crate) enum Outcome {
    /// The answer is in `out`; the memory it takes is held until it is written.
    Answer(Option<Held>),
    /// The client asked for no answer.
    Silence,
    /// Not understood: the connection cannot go on, since what follows may not be either.
    Close(String),
}

/// Buffers of a connection, lent to its requests.
#[derive(Default)]
pub(crate) struct Buffers {
    /// The answer, its length in front.
    pub out: BytesMut,
    /// Where records are read to.
    pub scratch: BytesMut,
}

/// Owned text for a response.
fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// Answers one request into `buffers.out`.
pub(crate) async fn answer(
    shared: &Shared,
    client: &mut Client,
    frame: Bytes,
    frame_held: Option<Held>,
    buffers: &mut Buffers,
) -> Outcome {
    match try_answer(shared, client, frame, frame_held, buffers).await {
        Ok(outcome) => outcome,
        Err(error) => Outcome::Close(error),
    }
}

async fn try_answer(
    shared: &Shared,
    client: &mut Client,
    mut frame: Bytes,
    frame_held: Option<Held>,
    buffers: &mut Buffers,
) -> Result<Outcome, String> {
    let Some(&[k0, k1, v0, v1, c0, c1, c2, c3]) = frame.first_chunk() else {
        return Err(format!("request of {} bytes", frame.len()));
    };
    let number = i16::from_be_bytes([k0, k1]);
    let version = i16::from_be_bytes([v0, v1]);
    let correlation = i32::from_be_bytes([c0, c1, c2, c3]);
    let out = &mut buffers.out;
    out.clear();
    out.put_i32(0);
    let served = SERVED.iter().find(|api| api.key as i16 == number);
    let served = served.filter(|api| (api.first..=api.last).contains(&version));
    let Some(api) = served else {
        tracing::debug!(api = number, version, client = %client.peer, "api not served");
        unsupported::answer(number, version, correlation, frame, out)?;
        finish(out)?;
        return Ok(Outcome::Answer(None));
    };
    if api.key != ApiKey::Produce && frame.len() > REQUEST_BYTES_MAX {
        return Err(format!("{:?} of {} bytes, {REQUEST_BYTES_MAX} at most", api.key, frame.len()));
    }
    let header_version = api.key.request_header_version(version);
    // Since header version 2.
    let lengths = if header_version >= 2 { Lengths::Compact } else { Lengths::Plain };
    let header = guard::decode::<RequestHeader>(&mut frame, header_version, lengths);
    let header = header.map_err(|e| format!("{:?} v{version}: {e}", api.key))?;
    if let Some(id) = header.client_id
        && client.id != id.as_str()
    {
        client.id = id.to_string();
    }
    let response_header = ResponseHeader::default().with_correlation_id(correlation);
    let header_version = api.key.response_header_version(version);
    response_header.encode(out, header_version).map_err(|e| e.to_string())?;

    let mut held = None;
    // Decodes the request, answers it by `$call`, encodes the answer.
    macro_rules! by {
        (|$request:ident: $type:ty| $call:expr) => {{
            let $request = guard::decode::<$type>(&mut frame, version, lengths)
                .map_err(|e| format!("{:?} v{version}: {e}", api.key))?;
            // What holds memory must not wait for more, and some of these wait.
            drop(frame_held);
            let response = $call;
            // In one piece: a fetch response would otherwise be moved several times as it grows.
            buffers.out.reserve(response.compute_size(version).unwrap_or(0));
            response
                .encode(&mut buffers.out, version)
                .map_err(|e| format!("answer to {:?} v{version}: {e}", api.key))?;
        }};
    }
    match api.key {
        ApiKey::Produce => {
            let request = guard::decode::<ProduceRequest>(&mut frame, version, lengths)
                .map_err(|e| format!("Produce v{version}: {e}"))?;
            // The records are slices of the frame: with it they go before the next one comes.
            drop(frame);
            let wants_answer = request.acks != 0;
            let response = produce::answer(shared, request).await;
            drop(frame_held);
            if !wants_answer {
                return Ok(Outcome::Silence);
            }
            let encoded = response.encode(&mut buffers.out, version);
            encoded.map_err(|e| format!("answer to Produce v{version}: {e}"))?;
        }
        ApiKey::Fetch => {
            by!(|request: FetchRequest| {
                let (response, hold) = fetch::answer(shared, request, &mut buffers.scratch).await;
                held = hold;
                response
            })
        }
        ApiKey::ListOffsets => {
            by!(|request: ListOffsetsRequest| list_offsets::answer(shared, request, version))
        }
        ApiKey::Metadata => {
            by!(|request: MetadataRequest| metadata::answer(shared, client, request, version))
        }
        ApiKey::OffsetCommit => {
            by!(|request: OffsetCommitRequest| offsets::commit(shared, request))
        }
        ApiKey::OffsetFetch => {
            by!(|request: OffsetFetchRequest| offsets::fetch(shared, request, version))
        }
        ApiKey::FindCoordinator => by!(|request: FindCoordinatorRequest| {
            cluster::find_coordinator(shared, client, request, version)
        }),
        ApiKey::JoinGroup => {
            by!(|request: JoinGroupRequest| {
                membership::join(shared, client, request, version).await
            })
        }
        ApiKey::Heartbeat => {
            by!(|request: HeartbeatRequest| membership::heartbeat(shared, request))
        }
        ApiKey::LeaveGroup => {
            by!(|request: LeaveGroupRequest| membership::leave(shared, request, version))
        }
        ApiKey::SyncGroup => {
            by!(|request: SyncGroupRequest| membership::sync(shared, request).await)
        }
        ApiKey::DescribeGroups => {
            by!(|request: DescribeGroupsRequest| group_admin::describe(shared, request, version))
        }
        ApiKey::ListGroups => by!(|request: ListGroupsRequest| group_admin::list(shared, request)),
        ApiKey::DeleteGroups => {
            by!(|request: DeleteGroupsRequest| group_admin::delete(shared, request))
        }
        ApiKey::ApiVersions => by!(|_request: ApiVersionsRequest| cluster::api_versions()),
        ApiKey::CreateTopics => {
            by!(|request: CreateTopicsRequest| topic_admin::create(shared, request, version))
        }
        ApiKey::DeleteTopics => {
            by!(|request: DeleteTopicsRequest| topic_admin::delete(shared, request, version))
        }
        ApiKey::CreatePartitions => {
            by!(|request: CreatePartitionsRequest| topic_admin::add_partitions(shared, request))
        }
        ApiKey::InitProducerId => {
            by!(|request: InitProducerIdRequest| {
                transactions::init_producer_id(shared, request, version)
            })
        }
        ApiKey::AddPartitionsToTxn => by!(|request: AddPartitionsToTxnRequest| {
            transactions::add_partitions(shared, request, version)
        }),
        ApiKey::AddOffsetsToTxn => by!(|request: AddOffsetsToTxnRequest| {
            transactions::add_offsets(shared, request, version)
        }),
        ApiKey::TxnOffsetCommit => {
            by!(|request: TxnOffsetCommitRequest| transactions::commit_offsets(shared, request))
        }
        ApiKey::EndTxn => {
            by!(|request: EndTxnRequest| transactions::end(shared, request, version))
        }
        ApiKey::DescribeConfigs => {
            by!(|request: DescribeConfigsRequest| configs::describe(shared, request))
        }
        ApiKey::AlterConfigs => by!(|request: AlterConfigsRequest| configs::alter(shared, request)),
        ApiKey::IncrementalAlterConfigs => by!(|request: IncrementalAlterConfigsRequest| {
            configs::alter_incrementally(shared, request)
        }),
        ApiKey::DescribeCluster => by!(|request: DescribeClusterRequest| {
            cluster::describe(shared, client, request, version)
        }),
        ApiKey::ListTransactions => {
            by!(|request: ListTransactionsRequest| transaction_admin::list(shared, request))
        }
        ApiKey::DescribeTransactions => {
            by!(|request: DescribeTransactionsRequest| transaction_admin::describe(shared, request))
        }
        ApiKey::DescribeProducers => by!(|request: DescribeProducersRequest| {
            transaction_admin::describe_producers(shared, request)
        }),
        ApiKey::ConsumerGroupHeartbeat => by!(|request: ConsumerGroupHeartbeatRequest| {
            consumer_groups::heartbeat(shared, client, request, version)
        }),
        ApiKey::ConsumerGroupDescribe => by!(|request: ConsumerGroupDescribeRequest| {
            consumer_groups::describe(shared, request)
        }),
        other => return Err(format!("{other:?} is listed as served and is not")),
    }
    finish(&mut buffers.out)?;
    Ok(Outcome::Answer(held))
}

/// Fills in the length.
fn finish(out: &mut BytesMut) -> Result<(), String> {
    let bytes = i32::try_from(out.len() - 4).map_err(|_| "answer over 2 GiB".to_owned())?;
    out[..4].copy_from_slice(&bytes.to_be_bytes());
    Ok(())
}
