//! Requests that are not served: answered with the protocol's error, in the api's own form.
//!
//! Well-behaved clients never send them, since they are not advertised. Kafka would close the
//! connection; an answer lets the client say what is wrong.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, ApiKey,
    DescribeAclsResponse, DescribeClientQuotasResponse, DescribeQuorumResponse,
    DescribeUserScramCredentialsResponse, EndTxnResponse, GetTelemetrySubscriptionsResponse,
    ListPartitionReassignmentsResponse, OffsetDeleteResponse, PushTelemetryResponse, RequestHeader,
    ResponseHeader, SaslAuthenticateResponse, SaslHandshakeResponse, ShareFetchResponse,
    ShareGroupHeartbeatResponse, TxnOffsetCommitRequest, TxnOffsetCommitResponse,
    UpdateFeaturesResponse,
};
use kafka_protocol::protocol::{Decodable, Encodable};

use super::cluster::api_versions;
use crate::guard::{self, Lengths};

const CODE: i16 = ResponseError::UnsupportedVersion.code();

pub(super) fn answer(
    number: i16,
    version: i16,
    correlation: i32,
    frame: Bytes,
    out: &mut BytesMut,
) -> Result<(), String> {
    let header = ResponseHeader::default().with_correlation_id(correlation);
    let failed = |e: &dyn std::fmt::Display| format!("answer to api {number} v{version}: {e}");
    let Ok(key) = ApiKey::try_from(number) else {
        out.put_i32(correlation);
        out.put_i16(CODE);
        return Ok(());
    };
    // The one api whose clients go on from the refusal: in version 0, with what is on offer.
    if key == ApiKey::ApiVersions {
        header.encode(out, 0).map_err(|e| failed(&e))?;
        let offer = api_versions().with_error_code(CODE);
        return offer.encode(out, 0).map_err(|e| failed(&e));
    }
    header.encode(out, key.response_header_version(version)).map_err(|e| failed(&e))?;
    let start = out.len();
    if body(key, version, frame, out).is_err() {
        // No form of its own at this version: the code alone.
        out.truncate(start);
        out.put_i16(CODE);
    }
    Ok(())
}

/// Fails where the api has no such form, or the request is none.
fn body(
    key: ApiKey,
    version: i16,
    frame: Bytes,
    out: &mut BytesMut,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    macro_rules! with_code {
        ($response:ty) => {
            <$response>::default().with_error_code(CODE).encode(out, version)
        };
    }
    let encoded = match key {
        ApiKey::AddPartitionsToTxn => add_partitions_to_txn(version, frame)?.encode(out, version),
        ApiKey::TxnOffsetCommit => txn_offset_commit(version, frame)?.encode(out, version),
        ApiKey::AddOffsetsToTxn => with_code!(AddOffsetsToTxnResponse),
        ApiKey::EndTxn => with_code!(EndTxnResponse),
        ApiKey::ShareGroupHeartbeat => with_code!(ShareGroupHeartbeatResponse),
        ApiKey::ShareFetch => with_code!(ShareFetchResponse),
        ApiKey::SaslHandshake => with_code!(SaslHandshakeResponse),
        ApiKey::SaslAuthenticate => with_code!(SaslAuthenticateResponse),
        ApiKey::DescribeAcls => with_code!(DescribeAclsResponse),
        ApiKey::OffsetDelete => with_code!(OffsetDeleteResponse),
        ApiKey::ListPartitionReassignments => with_code!(ListPartitionReassignmentsResponse),
        ApiKey::DescribeClientQuotas => with_code!(DescribeClientQuotasResponse),
        ApiKey::DescribeUserScramCredentials => with_code!(DescribeUserScramCredentialsResponse),
        ApiKey::DescribeQuorum => with_code!(DescribeQuorumResponse),
        ApiKey::UpdateFeatures => with_code!(UpdateFeaturesResponse),
        ApiKey::GetTelemetrySubscriptions => with_code!(GetTelemetrySubscriptionsResponse),
        ApiKey::PushTelemetry => with_code!(PushTelemetryResponse),
        other => return Err(format!("{other:?} has no refusal of its own").into()),
    };
    Ok(encoded?)
}

fn request<T: Decodable>(
    key: ApiKey,
    version: i16,
    mut frame: Bytes,
) -> Result<T, Box<dyn std::error::Error + Send + Sync>> {
    let header_version = key.request_header_version(version);
    let lengths = if header_version >= 2 { Lengths::Compact } else { Lengths::Plain };
    guard::decode::<RequestHeader>(&mut frame, header_version, lengths)?;
    Ok(guard::decode(&mut frame, version, lengths)?)
}

fn add_partitions_to_txn(
    version: i16,
    frame: Bytes,
) -> Result<AddPartitionsToTxnResponse, Box<dyn std::error::Error + Send + Sync>> {
    if version >= 4 {
        return Ok(AddPartitionsToTxnResponse::default().with_error_code(CODE));
    }
    let request: AddPartitionsToTxnRequest = request(ApiKey::AddPartitionsToTxn, version, frame)?;
    let topics = request.v3_and_below_topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|index| {
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(index)
                .with_partition_error_code(CODE)
        });
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name)
            .with_results_by_partition(partitions.collect())
    });
    Ok(AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(topics.collect()))
}

fn txn_offset_commit(
    version: i16,
    frame: Bytes,
) -> Result<TxnOffsetCommitResponse, Box<dyn std::error::Error + Send + Sync>> {
    let request: TxnOffsetCommitRequest = request(ApiKey::TxnOffsetCommit, version, frame)?;
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|partition| {
            TxnOffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(CODE)
        });
        TxnOffsetCommitResponseTopic::default()
            .with_name(topic.name)
            .with_partitions(partitions.collect())
    });
    Ok(TxnOffsetCommitResponse::default().with_topics(topics.collect()))
}
