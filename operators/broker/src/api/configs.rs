//! DescribeConfigs, AlterConfigs, IncrementalAlterConfigs, for topics; the broker's are only told.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_configs_response::{
    AlterConfigsResourceResponse, AlterConfigsResponse,
};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult,
};
use kafka_protocol::messages::incremental_alter_configs_request::AlterableConfig;
use kafka_protocol::messages::incremental_alter_configs_response::{
    AlterConfigsResourceResponse as IncrementalResourceResponse, IncrementalAlterConfigsResponse,
};
use kafka_protocol::messages::{
    AlterConfigsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest,
};

use super::transactions::TIMEOUT_MS_MAX;
use super::{NODE, text};
use crate::error::Refusal;
use crate::server::Shared;
use crate::topic_config::{Entry, LONG, Overrides};
use crate::topics::{Change, unknown};

/// Kinds of resource.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// Where a value comes from.
const FROM_TOPIC: i8 = 1;
const FROM_DEFAULT: i8 = 5;

/// What an incremental change does.
const SET: i8 = 0;
const DELETE: i8 = 1;

pub(super) fn source(is_override: bool) -> i8 {
    if is_override { FROM_TOPIC } else { FROM_DEFAULT }
}

pub(super) fn describe(
    shared: &Shared,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let results = request.resources.iter().map(|resource| {
        let result = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(text(&resource.resource_name));
        match entries(shared, resource) {
            Ok((entries, overrides)) => {
                let wanted = |entry: &Entry| match &resource.configuration_keys {
                    None => true,
                    // Some clients ask for all by naming none.
                    Some(keys) => keys.is_empty() || keys.iter().any(|key| &**key == entry.name),
                };
                let row = |entry: Entry| {
                    DescribeConfigsResourceResult::default()
                        .with_name(text(entry.name))
                        .with_value(Some(text(&entry.value)))
                        .with_read_only(entry.read_only)
                        .with_config_source(source(overrides.contains_key(entry.name)))
                        .with_config_type(entry.kind)
                        .with_documentation(
                            request.include_documentation.then(|| text(entry.documentation)),
                        )
                };
                result.with_configs(entries.into_iter().filter(wanted).map(row).collect())
            }
            Err(refusal) => result
                .with_error_code(refusal.code.code())
                .with_error_message(Some(text(&refusal.message))),
        }
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn entries(
    shared: &Shared,
    resource: &DescribeConfigsResource,
) -> Result<(Vec<Entry>, Overrides), Refusal> {
    let name = &*resource.resource_name;
    match resource.resource_type {
        TOPIC => {
            let topic = shared.topics.get(name).ok_or_else(|| unknown(name))?;
            Ok((topic.config.entries(), topic.overrides.clone()))
        }
        BROKER if name.is_empty() || name == NODE.to_string() => {
            Ok((broker_entries(shared), Overrides::new()))
        }
        _ => Err(not_here()),
    }
}

/// What clients look at before they produce or create.
fn broker_entries(shared: &Shared) -> Vec<Entry> {
    let entry = |name, value: String, documentation| Entry {
        name,
        value,
        kind: LONG,
        documentation,
        read_only: true,
    };
    let config = &shared.config;
    let topics = &config.topic_defaults;
    vec![
        entry("broker.id", NODE.to_string(), "the one node"),
        entry("num.partitions", config.default_partitions.to_string(), "of a new topic"),
        entry(
            "auto.create.topics.enable",
            config.auto_create_topics.to_string(),
            "whether asking for a topic makes it",
        ),
        entry("message.max.bytes", topics.max_message_bytes.to_string(), "largest record batch"),
        entry("log.retention.ms", topics.retention_ms.to_string(), "of topics without their own"),
        entry("log.retention.bytes", topics.retention_bytes.to_string(), "likewise"),
        entry("log.segment.bytes", topics.segment_bytes.to_string(), "likewise"),
        entry(
            "max.connections",
            config.limits.connections_max.to_string(),
            "the next one is closed at once",
        ),
        entry(
            "transaction.max.timeout.ms",
            TIMEOUT_MS_MAX.to_string(),
            "how long a transaction may be open",
        ),
        entry(
            "transaction.partition.verification.enable",
            "true".to_owned(),
            "records of no open transaction are refused",
        ),
    ]
}

fn not_here() -> Refusal {
    let message = "only topics can be configured, and only they and broker 1 described";
    Refusal::new(ResponseError::InvalidRequest, message)
}

/// Replaces all of a topic's own settings.
pub(super) fn alter(shared: &Shared, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let how = Change::unless(request.validate_only);
    let responses = request.resources.iter().map(|resource| {
        let overrides: Overrides = resource
            .configs
            .iter()
            .filter_map(|c| c.value.as_ref().map(|value| (c.name.to_string(), value.to_string())))
            .collect();
        let altered = change(shared, resource.resource_type, &resource.resource_name, how, |own| {
            *own = overrides;
            Ok(())
        });
        let response = AlterConfigsResourceResponse::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(text(&resource.resource_name));
        match altered {
            Ok(()) => response,
            Err(refusal) => response
                .with_error_code(refusal.code.code())
                .with_error_message(Some(text(&refusal.message))),
        }
    });
    AlterConfigsResponse::default().with_responses(responses.collect())
}

pub(super) fn alter_incrementally(
    shared: &Shared,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let how = Change::unless(request.validate_only);
    let responses = request.resources.iter().map(|resource| {
        let altered = change(shared, resource.resource_type, &resource.resource_name, how, |own| {
            resource.configs.iter().try_for_each(|config| apply(config, own))
        });
        let response = IncrementalResourceResponse::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(text(&resource.resource_name));
        match altered {
            Ok(()) => response,
            Err(refusal) => response
                .with_error_code(refusal.code.code())
                .with_error_message(Some(text(&refusal.message))),
        }
    });
    IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
}

fn change(
    shared: &Shared,
    kind: i8,
    name: &str,
    how: Change,
    edit: impl FnOnce(&mut Overrides) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    if kind != TOPIC {
        return Err(not_here());
    }
    shared.topics.configure(name, how, edit)
}

fn apply(config: &AlterableConfig, own: &mut Overrides) -> Result<(), Refusal> {
    match (config.config_operation, &config.value) {
        (SET, Some(value)) => {
            own.insert(config.name.to_string(), value.to_string());
            Ok(())
        }
        (DELETE, _) => {
            own.remove(&*config.name);
            Ok(())
        }
        _ => {
            let message = format!("{}: can only be set or deleted", config.name.as_str());
            Err(Refusal::new(ResponseError::InvalidConfig, message))
        }
    }
}
