//! One suite of cases, against the embedded broker and (with NOWCAST_KAFKA) real Apache Kafka.
//!
//! A case takes a bootstrap address and knows nothing else. NOWCAST_KAFKA is the address of a
//! running Kafka; without it those tests say so and pass. `tools` are clients that are programs of their
//! own. `durability` holds what only the
//! embedded broker is asked: crashes, restarts, its own limits.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "all of it is test code")]

mod admin;
mod compaction;
mod consumer_groups;
mod durability;
mod fuzz;
mod groups;
mod limits;
mod offsets;
mod protocol;
mod raw;
mod records;
mod support;
mod tools;
mod transactions;

/// Each case twice: on a fresh embedded broker, and on Kafka where there is one.
macro_rules! conformance {
    ($($module:ident::$case:ident),* $(,)?) => {
        mod embedded {
            $(#[test]
            fn $case() {
                let broker = crate::support::Embedded::start();
                crate::$module::$case(&broker.bootstrap());
            })*
        }
        mod kafka {
            $(#[test]
            fn $case() {
                match std::env::var("NOWCAST_KAFKA") {
                    Ok(bootstrap) => crate::$module::$case(&bootstrap),
                    Err(_) => println!("skipped: NOWCAST_KAFKA is not set"),
                }
            })*
        }
    };
}

conformance!(
    records::every_compression_keeps_keys_headers_and_times,
    records::partitions_keep_their_order,
    records::an_idempotent_producer_writes_each_record_once,
    records::every_kind_of_acknowledgement_works,
    records::a_batch_over_the_limit_is_refused,
    records::a_batch_with_a_wrong_checksum_is_refused,
    records::a_repeated_sequence_is_recognised_and_a_gap_refused,
    offsets::offsets_are_found_by_time,
    offsets::an_offset_out_of_range_is_told,
    offsets::watermarks_follow_the_log,
    offsets::a_long_poll_ends_with_the_first_record,
    offsets::a_long_poll_waits_for_its_bytes,
    offsets::an_empty_fetch_ends_in_time,
    groups::two_consumers_share_and_resume,
    groups::cooperative_consumers_share,
    groups::committed_offsets_are_kept_apart,
    groups::groups_are_listed_described_and_deleted,
    groups::a_stranger_is_told_to_join,
    consumer_groups::two_members_share_and_resume,
    consumer_groups::a_pattern_finds_topics_that_come_later,
    consumer_groups::a_static_member_keeps_its_partitions,
    consumer_groups::the_range_assignor_is_asked_for,
    consumer_groups::members_follow_their_epochs,
    consumer_groups::a_transaction_commits_for_a_member_in_its_epoch,
    consumer_groups::static_members_are_told_apart,
    consumer_groups::bad_heartbeats_are_refused,
    consumer_groups::a_group_changes_its_protocol_while_it_is_empty,
    consumer_groups::consumer_groups_are_listed_described_and_deleted,
    admin::topics_are_created_and_deleted,
    admin::topics_that_cannot_be_are_refused,
    admin::partitions_are_added,
    admin::retention_is_configured,
    admin::settings_change_one_by_one,
    compaction::the_last_record_of_each_key_stays,
    compaction::a_record_without_a_key_is_refused,
    compaction::a_tombstone_is_forgotten_in_the_end,
    transactions::a_commit_is_seen_and_an_abort_is_not,
    transactions::two_producers_share_a_partition,
    transactions::a_zombie_is_fenced,
    transactions::offsets_go_with_their_transaction,
    transactions::a_batch_outside_a_transaction_is_refused,
    transactions::a_transaction_that_takes_too_long_is_aborted,
    tools::java_writes_reads_and_looks_after_groups,
    tools::java_lists_and_describes_transactions,
    tools::kcat_writes_and_reads,
    protocol::a_newer_api_versions_is_answered_in_version_zero,
    protocol::an_unknown_fetch_session_is_told,
);
