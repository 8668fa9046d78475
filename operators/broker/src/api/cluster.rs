//! ApiVersions, FindCoordinator, DescribeCluster: what this broker is, and where.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::api_versions_response::{ApiVersion, ApiVersionsResponse};
use kafka_protocol::messages::describe_cluster_response::{
    DescribeClusterBroker, DescribeClusterResponse,
};
use kafka_protocol::messages::find_coordinator_response::{Coordinator, FindCoordinatorResponse};
use kafka_protocol::messages::{ApiKey, BrokerId, DescribeClusterRequest, FindCoordinatorRequest};
use kafka_protocol::protocol::StrBytes;

use super::{Client, NODE, SERVED, text};
use crate::server::Shared;

/// The kinds of key that FindCoordinator may ask for.
const GROUP_KEY: i8 = 0;
const TRANSACTION_KEY: i8 = 1;

pub(super) fn api_versions() -> ApiVersionsResponse {
    let version = |served: &super::Served| {
        // Older librdkafka compresses only where Produce 0 is on offer; Kafka 4 offers it for
        // that reason, and no more serves it than we do.
        let first = if served.key == ApiKey::Produce { 0 } else { served.first };
        ApiVersion::default()
            .with_api_key(served.key as i16)
            .with_min_version(first)
            .with_max_version(served.last)
    };
    ApiVersionsResponse::default().with_api_keys(SERVED.iter().map(version).collect())
}

pub(super) fn find_coordinator(
    shared: &Shared,
    client: &Client,
    request: FindCoordinatorRequest,
    version: i16,
) -> FindCoordinatorResponse {
    let (host, port) = shared.endpoint(client);
    let refusal = match request.key_type {
        GROUP_KEY | TRANSACTION_KEY => None,
        _ => Some((ResponseError::InvalidRequest, "unknown kind of coordinator")),
    };
    let code = refusal.map_or(0, |(code, _)| code.code());
    let message = refusal.map(|(_, message)| StrBytes::from_static_str(message));
    let node = BrokerId(if refusal.is_none() { NODE } else { -1 });
    let (host, port) = if refusal.is_none() { (host, port) } else { (StrBytes::new(), -1) };
    if version < 4 {
        return FindCoordinatorResponse::default()
            .with_error_code(code)
            .with_error_message(message)
            .with_node_id(node)
            .with_host(host)
            .with_port(port);
    }
    let coordinator = |key: StrBytes| {
        Coordinator::default()
            .with_key(key)
            .with_error_code(code)
            .with_error_message(message.clone())
            .with_node_id(node)
            .with_host(host.clone())
            .with_port(port)
    };
    let coordinators = request.coordinator_keys.into_iter().map(coordinator).collect();
    FindCoordinatorResponse::default().with_coordinators(coordinators)
}

pub(super) fn describe(
    shared: &Shared,
    client: &Client,
    request: DescribeClusterRequest,
    version: i16,
) -> DescribeClusterResponse {
    let (host, port) = shared.endpoint(client);
    let response = DescribeClusterResponse::default()
        .with_cluster_id(text(&shared.cluster_id))
        .with_controller_id(BrokerId(NODE));
    if version >= 1 && request.endpoint_type != 1 {
        return response
            .with_endpoint_type(request.endpoint_type)
            .with_error_code(ResponseError::UnsupportedEndpointType.code());
    }
    let broker = DescribeClusterBroker::default();
    response
        .with_brokers(vec![broker.with_broker_id(BrokerId(NODE)).with_host(host).with_port(port)])
}
