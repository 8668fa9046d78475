//! A Fluvio cluster in the test's own process, for want of a server in any registry: a controller (SC)
//! and one storage unit (SPU) that speak the published protocol and keep records in memory.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use fluvio::Compression;
use fluvio::dataplane::api::{Request, RequestHeader};
use fluvio::dataplane::link::ErrorCode;
use fluvio::dataplane::link::versions::{
    ApiVersionKey, ApiVersionsRequest, ApiVersionsResponse, PlatformVersion,
};
use fluvio::dataplane::record::{Batch, ProducerBatchHeader, RawRecords, Record, RecordSet};
use fluvio::dataplane::{Decoder, Encoder};
use fluvio::metadata::AdminSpec;
use fluvio::metadata::objects::{
    ListRequest, ListResponse, Metadata, MetadataUpdate, ObjectApiListRequest,
    ObjectApiListResponse, ObjectApiWatchRequest, ObjectApiWatchResponse, WatchRequest,
    WatchResponse,
};
use fluvio::metadata::partition::{PartitionResolution, PartitionSpec, PartitionStatus};
use fluvio::metadata::spu::SpuSpec;
use fluvio::metadata::topic::TopicSpec;
use fluvio_sc_schema::TryEncodableFrom;
use fluvio_spu_schema::fetch::FetchablePartitionResponse;
use fluvio_spu_schema::produce::{
    DefaultProduceRequest, PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use fluvio_spu_schema::server::fetch_offset::{
    FetchOffsetPartitionResponse, FetchOffsetTopicResponse, FetchOffsetsRequest,
    FetchOffsetsResponse,
};
use fluvio_spu_schema::server::stream_fetch::{
    DefaultStreamFetchRequest, DefaultStreamFetchResponse,
};
use fluvio_spu_schema::server::update_offset::{
    OffsetUpdateStatus, UpdateOffsetsRequest, UpdateOffsetsResponse,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex as AsyncMutex, watch};
use tokio::task::JoinSet;

/// The one storage unit's id.
const SPU: i32 = 5001;
/// When the first record of each batch of [`Double::write`] was made, ms.
pub const WRITTEN: i64 = 1_700_000_000_000;

/// A running cluster; it is gone when dropped.
pub struct Double {
    shared: Arc<Shared>,
    controller: SocketAddr,
    /// What answers; nothing while it is stopped.
    tasks: JoinSet<()>,
}

struct Shared {
    topics: Mutex<BTreeMap<String, Vec<Log>>>,
    /// Counts changes of topics, partitions and records.
    changes: watch::Sender<u64>,
    /// How far each stream's consumer has come, by the stream's id.
    consumed: watch::Sender<BTreeMap<u32, i64>>,
    /// Streams that were asked for before this count changed say no more.
    muted: watch::Sender<u64>,
    unit: SocketAddr,
}

/// The records of a partition.
#[derive(Default, Clone)]
struct Log {
    low: i64,
    high: i64,
    batches: Vec<Batch<RawRecords>>,
}

#[derive(Clone, Copy)]
enum Role {
    Controller,
    StorageUnit,
}

impl Double {
    /// A cluster with one topic.
    pub async fn start(topic: &str, partitions: usize) -> Self {
        let controller = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let unit = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shared = Shared {
            topics: Mutex::new([(topic.to_owned(), vec![Log::default(); partitions])].into()),
            changes: watch::Sender::new(0),
            consumed: watch::Sender::default(),
            muted: watch::Sender::new(0),
            unit: unit.local_addr().unwrap(),
        };
        let mut double = Self {
            shared: Arc::new(shared),
            controller: controller.local_addr().unwrap(),
            tasks: JoinSet::new(),
        };
        double.serve(controller, unit);
        double
    }

    fn serve(&mut self, controller: TcpListener, unit: TcpListener) {
        for (listener, role) in [(controller, Role::Controller), (unit, Role::StorageUnit)] {
            let shared = Arc::clone(&self.shared);
            self.tasks.spawn(async move {
                let mut connections = JoinSet::new();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    connections.spawn(converse(stream, role, Arc::clone(&shared)));
                }
            });
        }
    }

    /// Closes all connections and hears no more; what was written stays.
    pub async fn stop(&mut self) {
        self.tasks.shutdown().await;
    }

    /// Goes on where it was stopped.
    pub async fn restart(&mut self) {
        let controller = TcpListener::bind(self.controller).await.unwrap();
        let unit = TcpListener::bind(self.shared.unit).await.unwrap();
        self.serve(controller, unit);
    }

    pub fn endpoint(&self) -> String {
        self.controller.to_string()
    }

    /// Writes records of key and value as one batch.
    pub fn write(&self, topic: &str, partition: usize, records: &[(Option<&str>, &str)]) {
        self.write_compressed(topic, partition, records, Compression::None);
    }

    pub fn write_compressed(
        &self,
        topic: &str,
        partition: usize,
        records: &[(Option<&str>, &str)],
        compression: Compression,
    ) {
        let record = |(at, (key, value)): (usize, &(Option<&str>, &str))| {
            let mut record = match key {
                Some(key) => Record::new_key_value(*key, *value),
                None => Record::new(*value),
            };
            record.get_mut_header().set_timestamp_delta(at as i64);
            record
        };
        let records: Vec<Record> = records.iter().enumerate().map(record).collect();
        let mut batch = Batch::from(records);
        batch.get_mut_header().set_first_timestamp(WRITTEN);
        batch.get_mut_header().set_compression(compression);
        self.shared.log(topic, partition, |log| log.append(batch.try_into().unwrap()));
        self.shared.change();
    }

    /// Writes `{"n":from}` and so on as one batch.
    pub fn count(&self, topic: &str, partition: usize, numbers: std::ops::Range<i64>) {
        let values: Vec<String> = numbers.map(|number| format!("{{\"n\":{number}}}")).collect();
        let records: Vec<_> = values.iter().map(|value| (None, value.as_str())).collect();
        self.write(topic, partition, &records);
    }

    /// Forgets what lies before an offset, as retention does: whole batches.
    pub fn forget(&self, topic: &str, partition: usize, before: i64) {
        self.shared.log(topic, partition, |log| {
            log.batches.retain(|batch| batch.get_base_offset() >= before);
            log.low = before;
        });
    }

    /// Five records more come so late that those before them, and ten unread ones, are forgotten.
    pub fn shrink(&self, topic: &str, partition: usize) {
        let numbers = |from: i64, count: i64| {
            let record = |number| Record::new(format!("{{\"n\":{number}}}"));
            let records: Vec<Record> = (from..from + count).map(record).collect();
            Batch::<RawRecords>::try_from(Batch::from(records)).unwrap()
        };
        self.shared.log(topic, partition, |log| {
            log.append(numbers(10, 10));
            log.append(numbers(20, 5));
            log.batches.drain(..2);
            log.low = 20;
        });
        self.shared.change();
    }

    /// The streams of now give nothing more, though their connections stay.
    pub fn mute(&self) {
        self.shared.muted.send_modify(|muted| *muted += 1);
    }

    pub fn add_partition(&self, topic: &str) {
        self.shared.topics().get_mut(topic).unwrap().push(Log::default());
        self.shared.change();
    }

    /// Keys and values of a partition, and how its batches are compressed.
    pub fn read(
        &self,
        topic: &str,
        partition: usize,
    ) -> (Vec<(Option<String>, String)>, Vec<Compression>) {
        let batches = self.shared.log(topic, partition, |log| log.batches.clone());
        let compressions = batches.iter().map(|batch| batch.get_compression().unwrap()).collect();
        let records = batches.iter().flat_map(|batch| batch.memory_records().unwrap());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let pair = |record: Record| {
            (record.key().map(|key| text(key.as_ref())), text(record.value().as_ref()))
        };
        (records.map(pair).collect(), compressions)
    }
}

impl Shared {
    fn topics(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Log>>> {
        self.topics.lock().unwrap()
    }

    fn log<T>(&self, topic: &str, partition: usize, then: impl FnOnce(&mut Log) -> T) -> T {
        then(&mut self.topics().get_mut(topic).unwrap()[partition])
    }

    fn change(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn units(&self) -> Vec<Metadata<SpuSpec>> {
        let (host, port) = (self.unit.ip().to_string(), self.unit.port());
        let spec = SpuSpec::new_public_addr(SPU, port, host);
        vec![Metadata { name: SPU.to_string(), spec, status: Default::default() }]
    }

    fn topic_specs(&self) -> Vec<Metadata<TopicSpec>> {
        let spec = |(name, logs): (&String, &Vec<Log>)| Metadata {
            name: name.clone(),
            spec: TopicSpec::new_computed(logs.len() as u32, 1, None),
            status: Default::default(),
        };
        self.topics().iter().map(spec).collect()
    }

    fn partitions(&self) -> Vec<Metadata<PartitionSpec>> {
        let spec = |name: String| Metadata {
            name,
            spec: PartitionSpec::new(SPU, vec![SPU]),
            status: PartitionStatus {
                resolution: PartitionResolution::Online,
                ..PartitionStatus::default()
            },
        };
        let topics = self.topics();
        let names = topics.iter().flat_map(|(topic, logs)| {
            (0..logs.len()).map(move |partition| format!("{topic}-{partition}"))
        });
        names.map(spec).collect()
    }
}

impl Log {
    /// Returns the offset of its first record.
    fn append(&mut self, mut batch: Batch<RawRecords>) -> i64 {
        let base = self.high;
        batch.set_base_offset(base);
        self.high += batch.records_len() as i64;
        self.batches.push(batch);
        base
    }
}

/// Answers the requests of one connection, until it ends.
async fn converse(stream: TcpStream, role: Role, shared: Arc<Shared>) {
    let (mut requests, answers) = stream.into_split();
    let answers = Answers(Arc::new(AsyncMutex::new(answers)));
    let mut streams = JoinSet::new();
    let mut last_stream = 0;
    while let Ok(length) = requests.read_i32().await {
        let mut bytes = vec![0; length as usize];
        if requests.read_exact(&mut bytes).await.is_err() {
            return;
        }
        let mut body = Cursor::new(bytes.as_slice());
        let header = RequestHeader::decode_from(&mut body, 0).unwrap();
        match (role, header.api_key()) {
            (_, ApiVersionsRequest::API_KEY) => answers.give(&header, &versions(role)).await,
            (Role::Controller, ObjectApiListRequest::API_KEY) => {
                let request: ObjectApiListRequest = decoded(&mut body, &header);
                answers.give(&header, &list(&request, &header, &shared)).await;
            }
            (Role::Controller, ObjectApiWatchRequest::API_KEY) => {
                let request: ObjectApiWatchRequest = decoded(&mut body, &header);
                let (answers, shared) = (answers.clone(), Arc::clone(&shared));
                streams.spawn(async move {
                    let mut changes = shared.changes.subscribe();
                    loop {
                        answers.give(&header, &watched(&request, &header, &shared)).await;
                        changes.changed().await.unwrap();
                    }
                });
            }
            (Role::StorageUnit, FetchOffsetsRequest::API_KEY) => {
                let request = decoded(&mut body, &header);
                answers.give(&header, &fetch_offsets(&request, &shared)).await;
            }
            (Role::StorageUnit, DefaultProduceRequest::API_KEY) => {
                let request = decoded(&mut body, &header);
                answers.give(&header, &produce(request, &shared)).await;
            }
            (Role::StorageUnit, UpdateOffsetsRequest::API_KEY) => {
                let request = decoded(&mut body, &header);
                answers.give(&header, &update_offsets(request, &shared)).await;
            }
            (Role::StorageUnit, DefaultStreamFetchRequest::API_KEY) => {
                last_stream += 1;
                // Unlike any of another connection.
                let id = u32::from(requests.peer_addr().unwrap().port()) << 8 | last_stream;
                let request = decoded(&mut body, &header);
                let answers = answers.clone();
                let mut muted = shared.muted.subscribe();
                let shared = Arc::clone(&shared);
                streams.spawn(async move {
                    tokio::select! {
                        () = stream_records(id, request, header, answers, shared) => {}
                        _ = muted.changed() => {}
                    }
                });
            }
            (_, key) => panic!("the double knows no request {key}"),
        }
    }
}

#[derive(Clone)]
struct Answers(Arc<AsyncMutex<OwnedWriteHalf>>);

impl Answers {
    /// Nobody may be there to hear it.
    async fn give(&self, to: &RequestHeader, answer: &impl Encoder) {
        let mut bytes = vec![];
        to.correlation_id().encode(&mut bytes, 0).unwrap();
        answer.encode(&mut bytes, to.api_version()).unwrap();
        let mut writer = self.0.lock().await;
        let _ = writer.write_i32(bytes.len() as i32).await;
        let _ = writer.write_all(&bytes).await;
    }
}

fn decoded<R: Request>(body: &mut Cursor<&[u8]>, header: &RequestHeader) -> R {
    R::decode_from(body, header.api_version()).unwrap()
}

fn versions(role: Role) -> ApiVersionsResponse {
    fn known<R: Request>() -> ApiVersionKey {
        ApiVersionKey {
            api_key: R::API_KEY as i16,
            min_version: R::MIN_API_VERSION,
            max_version: R::MAX_API_VERSION,
        }
    }
    let api_keys = match role {
        Role::Controller => vec![known::<ObjectApiListRequest>(), known::<ObjectApiWatchRequest>()],
        Role::StorageUnit => vec![
            known::<DefaultProduceRequest>(),
            known::<FetchOffsetsRequest>(),
            known::<DefaultStreamFetchRequest>(),
            known::<UpdateOffsetsRequest>(),
        ],
    };
    let mut platform = vec![];
    "0.50.1".to_owned().encode(&mut platform, 0).unwrap();
    let platform_version = PlatformVersion::decode_from(&mut Cursor::new(platform), 0).unwrap();
    ApiVersionsResponse { error_code: ErrorCode::None, api_keys, platform_version }
}

fn list(
    request: &ObjectApiListRequest,
    header: &RequestHeader,
    shared: &Shared,
) -> ObjectApiListResponse {
    fn of<S: AdminSpec>(
        request: &ObjectApiListRequest,
        header: &RequestHeader,
        all: Vec<Metadata<S>>,
    ) -> Option<ObjectApiListResponse>
    where
        S::Status: Encoder + Decoder,
        ObjectApiListRequest: TryEncodableFrom<ListRequest<S>>,
        ObjectApiListResponse: TryEncodableFrom<ListResponse<S>>,
    {
        let _: ListRequest<S> = request.downcast().unwrap()?;
        let version = header.api_version();
        Some(ObjectApiListResponse::try_encode_from(ListResponse::new(all), version).unwrap())
    }
    of::<SpuSpec>(request, header, shared.units())
        .or_else(|| of::<TopicSpec>(request, header, shared.topic_specs()))
        .or_else(|| of::<PartitionSpec>(request, header, shared.partitions()))
        .unwrap()
}

fn watched(
    request: &ObjectApiWatchRequest,
    header: &RequestHeader,
    shared: &Shared,
) -> ObjectApiWatchResponse {
    fn of<S: AdminSpec>(
        request: &ObjectApiWatchRequest,
        header: &RequestHeader,
        all: Vec<Metadata<S>>,
    ) -> Option<ObjectApiWatchResponse>
    where
        S::Status: Encoder + Decoder,
        ObjectApiWatchRequest: TryEncodableFrom<WatchRequest<S>>,
        ObjectApiWatchResponse: TryEncodableFrom<WatchResponse<S>>,
    {
        let _: WatchRequest<S> = request.downcast().unwrap()?;
        let update = WatchResponse::new(MetadataUpdate::with_all(1, all));
        Some(ObjectApiWatchResponse::try_encode_from(update, header.api_version()).unwrap())
    }
    of::<SpuSpec>(request, header, shared.units())
        .or_else(|| of::<TopicSpec>(request, header, shared.topic_specs()))
        .or_else(|| of::<PartitionSpec>(request, header, shared.partitions()))
        .unwrap()
}

fn fetch_offsets(request: &FetchOffsetsRequest, shared: &Shared) -> FetchOffsetsResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let number = partition.partition_index;
            shared.log(&topic.name, number as usize, |log| FetchOffsetPartitionResponse {
                error_code: ErrorCode::None,
                partition_index: number,
                start_offset: log.low,
                last_stable_offset: log.high,
            })
        });
        FetchOffsetTopicResponse { name: topic.name.clone(), partitions: partitions.collect() }
    });
    FetchOffsetsResponse { topics: topics.collect() }
}

fn produce(request: DefaultProduceRequest, shared: &Shared) -> ProduceResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|partition| {
            let number = partition.partition_index;
            let batches = partition.records.batches.into_iter();
            let bases: Vec<i64> = shared.log(&topic.name, number as usize, |log| {
                batches.map(|batch| log.append(batch)).collect()
            });
            PartitionProduceResponse {
                partition_index: number,
                base_offset: bases[0],
                ..PartitionProduceResponse::default()
            }
        });
        TopicProduceResponse { partitions: partitions.collect(), name: topic.name }
    });
    let responses = topics.collect();
    shared.change();
    ProduceResponse { responses, throttle_time_ms: 0 }
}

fn update_offsets(request: UpdateOffsetsRequest, shared: &Shared) -> UpdateOffsetsResponse {
    let status = request.offsets.iter().map(|update| {
        shared.consumed.send_modify(|consumed| {
            consumed.insert(update.session_id, update.offset);
        });
        OffsetUpdateStatus { session_id: update.session_id, error: ErrorCode::None }
    });
    UpdateOffsetsResponse { status: status.collect() }
}

/// Sends a batch at a time, each when its consumer has said that the one before has come.
async fn stream_records(
    id: u32,
    request: DefaultStreamFetchRequest,
    header: RequestHeader,
    answers: Answers,
    shared: Arc<Shared>,
) {
    let (topic, partition) = (request.topic, request.partition);
    let mut next = request.fetch_offset;
    let mut changes = shared.changes.subscribe();
    let mut consumed = shared.consumed.subscribe();
    loop {
        changes.mark_unchanged();
        let (found, low, high) = shared.log(&topic, partition as usize, |log| {
            let mut batches = log.batches.iter();
            let found = batches.find(|batch| batch.computed_last_offset() > next);
            (found.cloned(), log.low, log.high)
        });
        let evicted = ErrorCode::OffsetEvicted { offset: next, next_available: low };
        let error_code = if next < low { evicted } else { ErrorCode::None };
        if error_code == ErrorCode::None && found.is_none() {
            changes.changed().await.unwrap();
            continue;
        }
        let batches = found.into_iter().filter(|_| error_code == ErrorCode::None).collect();
        let records = RecordSet { batches };
        let sent = records.last_offset();
        let partition = FetchablePartitionResponse {
            partition_index: partition,
            error_code,
            high_watermark: high,
            log_start_offset: low,
            records,
            ..FetchablePartitionResponse::default()
        };
        let answer = DefaultStreamFetchResponse { topic: topic.clone(), stream_id: id, partition };
        answers.give(&header, &answer).await;
        let Some(sent) = sent else { return };
        next = sent;
        let caught_up = |consumed: &BTreeMap<u32, i64>| consumed.get(&id) >= Some(&sent);
        consumed.wait_for(caught_up).await.unwrap();
    }
}
