import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Properties;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.SessionStore;
import org.apache.kafka.streams.state.WindowStore;

/**
 * The queries A, B and C on Kafka Streams: {@code java StreamsPeer QUERY BOOTSTRAP TOPIC THREADS ROUNDS
 * SCRATCH [SINK]}. One JSON line a round as the other peers print it; with a sink the results go there
 * as JSON by key, where the last of a key is the one that counts, and else nowhere.
 */
public final class StreamsPeer {
    /**
     * Behind a repartition topic time runs as the fastest partition does; a shorter grace drops rows of
     * the others, so that the result depends on the run.
     */
    private static final Duration GRACE = Duration.ofDays(1);
    private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss.SSS");
    private static final JsonFactory JSON = new JsonFactory();

    /** What the queries read of an event. */
    private record Click(String id, long profile, int title, String country, String type, long ts, long watched) {
        static Click parse(byte[] json) {
            String id = "";
            String country = "";
            String type = "";
            long profile = 0;
            long ts = 0;
            long watched = 0;
            int title = 0;
            try (JsonParser parser = JSON.createParser(json)) {
                parser.nextToken();
                while (parser.nextToken() == JsonToken.FIELD_NAME) {
                    String name = parser.currentName();
                    parser.nextToken();
                    switch (name) {
                        case "event_id" -> id = parser.getText();
                        case "profile_id" -> profile = parser.getLongValue();
                        case "title_id" -> title = parser.getIntValue();
                        case "country" -> country = parser.getText();
                        case "event_type" -> type = parser.getText();
                        case "ts" -> ts = parser.getLongValue();
                        case "watch_ms" -> watched = parser.getLongValue();
                        default -> { }
                    }
                }
            } catch (IOException failure) {
                throw new UncheckedIOException(failure);
            }
            return new Click(id, profile, title, country, type, ts, watched);
        }
    }

    /** What a window has seen. */
    private static final class Seen {
        long events;
        long watched;
        final Set<Long> profiles = new HashSet<>();

        Seen add(Click click) {
            events++;
            watched += click.watched;
            profiles.add(click.profile);
            return this;
        }

        Seen add(Seen other) {
            events += other.events;
            watched += other.watched;
            profiles.addAll(other.profiles);
            return this;
        }

        void write(DataOutputStream out) throws IOException {
            out.writeLong(events);
            out.writeLong(watched);
            out.writeInt(profiles.size());
            for (long profile : profiles) {
                out.writeLong(profile);
            }
        }

        static Seen read(DataInputStream in) throws IOException {
            Seen seen = new Seen();
            seen.events = in.readLong();
            seen.watched = in.readLong();
            for (int left = in.readInt(); left > 0; left--) {
                seen.profiles.add(in.readLong());
            }
            return seen;
        }
    }

    private interface Writes<T> {
        void write(T value, DataOutputStream out) throws IOException;
    }

    private interface Reads<T> {
        T read(DataInputStream in) throws IOException;
    }

    /** Binary and small, as one writes it where JSON would cost more than the work. */
    private static <T> Serde<T> serde(Writes<T> writes, Reads<T> reads) {
        Serializer<T> serializer = (topic, value) -> {
            if (value == null) {
                return null;
            }
            ByteArrayOutputStream bytes = new ByteArrayOutputStream(64);
            try {
                writes.write(value, new DataOutputStream(bytes));
            } catch (IOException failure) {
                throw new UncheckedIOException(failure);
            }
            return bytes.toByteArray();
        };
        Deserializer<T> deserializer = (topic, bytes) -> {
            if (bytes == null) {
                return null;
            }
            try {
                return reads.read(new DataInputStream(new ByteArrayInputStream(bytes)));
            } catch (IOException failure) {
                throw new UncheckedIOException(failure);
            }
        };
        return Serdes.serdeFrom(serializer, deserializer);
    }

    private static final Serde<Click> CLICK = serde((click, out) -> {
        out.writeUTF(click.id);
        out.writeLong(click.profile);
        out.writeInt(click.title);
        out.writeUTF(click.country);
        out.writeUTF(click.type);
        out.writeLong(click.ts);
        out.writeLong(click.watched);
    }, in -> new Click(in.readUTF(), in.readLong(), in.readInt(), in.readUTF(), in.readUTF(), in.readLong(),
            in.readLong()));
    private static final Serde<Seen> SEEN = serde(Seen::write, Seen::read);

    private final String query;
    private final String bootstrap;
    private final String topic;
    private final String sink;
    /** Events that have come to the last step. */
    private final AtomicLong counted = new AtomicLong();
    private final CountDownLatch done = new CountDownLatch(1);
    private long total;

    private StreamsPeer(String[] arguments) {
        query = arguments[0];
        bootstrap = arguments[1];
        topic = arguments[2];
        sink = arguments.length > 6 ? arguments[6] : null;
    }

    public static void main(String[] arguments) throws Exception {
        for (int round = 0; round < Integer.parseInt(arguments[4]); round++) {
            long cpu = cpu();
            long wall = System.nanoTime();
            new StreamsPeer(arguments).run(arguments[3], arguments[5]);
            System.out.printf(Locale.ROOT, "{\"wall_s\": %.3f, \"cpu_s\": %.3f}%n",
                    (System.nanoTime() - wall) / 1e9, (cpu() - cpu) / 1e9);
        }
        System.exit(0);
    }

    private static long cpu() {
        return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
                .getProcessCpuTime();
    }

    private void run(String threads, String scratch) throws Exception {
        total = end();
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, "peer-" + UUID.randomUUID());
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, threads);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, scratch);
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 512L << 20);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 10_000);
        settings.put("auto.offset.reset", "earliest");
        settings.put("max.poll.records", "5000");
        settings.put("max.partition.fetch.bytes", "4194304");
        settings.put("producer.compression.type", "lz4");
        settings.put("producer.batch.size", "262144");
        settings.put("producer.linger.ms", "50");
        StreamsBuilder builder = new StreamsBuilder();
        KStream<byte[], Click> clicks = builder
                .stream(topic, Consumed.with(Serdes.ByteArray(), Serdes.ByteArray())
                        .withTimestampExtractor((record, before) -> record.timestamp()))
                .mapValues(Click::parse);
        switch (query) {
            case "A" -> filter(clicks);
            case "B" -> windows(clicks);
            case "C" -> sessions(clicks);
            default -> throw new IllegalArgumentException("no query " + query);
        }
        try (KafkaStreams streams = new KafkaStreams(builder.build(), settings)) {
            streams.setUncaughtExceptionHandler(failure -> {
                failure.printStackTrace();
                Runtime.getRuntime().halt(1);
                return StreamThreadExceptionResponse.SHUTDOWN_APPLICATION;
            });
            streams.start();
            done.await();
        }
    }

    private long end() {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        try (var consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
                    .map(info -> new TopicPartition(topic, info.partition())).collect(Collectors.toList());
            return consumer.endOffsets(partitions).values().stream().mapToLong(Long::longValue).sum();
        }
    }

    private void count() {
        if (counted.incrementAndGet() == total) {
            done.countDown();
        }
    }

    private void filter(KStream<byte[], Click> clicks) {
        send(clicks.peek((key, click) -> count())
                .filter((key, click) -> click.type.equals("play") && click.watched > 10_000)
                .mapValues(click -> new Click(click.id, click.profile, click.title,
                        click.country.toLowerCase(Locale.ROOT), click.type, click.ts, click.watched))
                .map((key, click) -> KeyValue.pair(click.id, String.format(Locale.ROOT,
                        "{\"event_id\":\"%s\",\"profile_id\":%d,\"title_id\":%d,\"country\":\"%s\",\"ts\":%d,"
                        + "\"watch_ms\":%d}", click.id, click.profile, click.title, click.country, click.ts,
                        click.watched))));
    }

    private void windows(KStream<byte[], Click> clicks) {
        Materialized<String, Seen, WindowStore<Bytes, byte[]>> store =
                Materialized.<String, Seen, WindowStore<Bytes, byte[]>>with(Serdes.String(), SEEN).withLoggingDisabled();
        send(clicks.groupBy((key, click) -> click.title + " " + click.country,
                        Grouped.with(Serdes.String(), CLICK))
                .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofSeconds(10), GRACE))
                .aggregate(Seen::new, (key, click, seen) -> {
                    count();
                    return seen.add(click);
                }, store)
                .toStream()
                .map((window, seen) -> {
                    String[] key = window.key().split(" ");
                    String end = time(window.window().end());
                    return KeyValue.pair(end + " " + window.key(), String.format(Locale.ROOT,
                            "{\"window_end\":\"%s\",\"title_id\":%s,\"country\":\"%s\",\"events\":%d,\"watch_ms\":%d,"
                            + "\"viewers\":%d}", end, key[0], key[1], seen.events, seen.watched,
                            seen.profiles.size()));
                }));
    }

    private void sessions(KStream<byte[], Click> clicks) {
        Materialized<Long, Seen, SessionStore<Bytes, byte[]>> store =
                Materialized.<Long, Seen, SessionStore<Bytes, byte[]>>with(Serdes.Long(), SEEN).withLoggingDisabled();
        Duration gap = Duration.ofSeconds(30);
        send(clicks.groupBy((key, click) -> click.profile, Grouped.with(Serdes.Long(), CLICK))
                // A session of Kafka Streams reaches to a row a gap away, one of SQL does not.
                .windowedBy(SessionWindows.ofInactivityGapAndGrace(gap.minusMillis(1), GRACE))
                .aggregate(Seen::new, (key, click, seen) -> {
                    count();
                    return seen.add(click);
                }, (key, one, other) -> one.add(other), store)
                .toStream()
                .map((window, seen) -> {
                    String start = time(window.window().start());
                    String end = time(window.window().end() + gap.toMillis());
                    return KeyValue.pair(window.key() + " " + start + " " + end,
                            seen == null ? null : String.format(Locale.ROOT,
                            "{\"window_start\":\"%s\",\"window_end\":\"%s\",\"profile_id\":%d,\"events\":%d,"
                            + "\"watch_ms\":%d}", start, end, window.key(), seen.events, seen.watched));
                }));
    }

    private void send(KStream<String, String> results) {
        if (sink == null) {
            results.foreach((key, result) -> { });
        } else {
            results.to(sink, Produced.with(Serdes.String(), Serdes.String()));
        }
    }

    private static String time(long ms) {
        return TIME.format(Instant.ofEpochMilli(ms).atOffset(ZoneOffset.UTC));
    }
}
