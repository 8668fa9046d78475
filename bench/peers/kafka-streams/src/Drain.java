import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Reads a topic to its end. {@code java Drain BOOTSTRAP TOPIC ROUNDS} prints what that costs, as the other peers
 * do: the floor for all who use Java's consumer. With {@code print} in place of rounds it prints the
 * messages instead, the key in hexadecimal and the value behind a tab.
 */
public final class Drain {
    public static void main(String[] arguments) {
        boolean prints = arguments[2].equals("print");
        int rounds = prints ? 1 : Integer.parseInt(arguments[2]);
        for (int round = 0; round < rounds; round++) {
            long cpu = cpu();
            long wall = System.nanoTime();
            long read = read(arguments[0], arguments[1], prints);
            if (!prints) {
                System.out.printf(Locale.ROOT, "{\"wall_s\": %.3f, \"cpu_s\": %.3f, \"events\": %d}%n",
                        (System.nanoTime() - wall) / 1e9, (cpu() - cpu) / 1e9, read);
            }
        }
    }

    private static long cpu() {
        return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
                .getProcessCpuTime();
    }

    private static long read(String bootstrap, String topic, boolean prints) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("max.poll.records", "5000");
        settings.put("max.partition.fetch.bytes", "4194304");
        settings.put("isolation.level", "read_committed");
        StringBuilder lines = new StringBuilder();
        long read = 0;
        try (var consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
                    .map(info -> new TopicPartition(topic, info.partition())).collect(Collectors.toList());
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            var ends = consumer.endOffsets(partitions);
            while (partitions.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                    read++;
                    if (prints && record.value() != null) {
                        lines.append(key(record.key())).append('\t').append(new String(record.value(), StandardCharsets.UTF_8)).append('\n');
                    }
                }
                System.out.print(lines);
                lines.setLength(0);
            }
        }
        return read;
    }

    private static String key(byte[] key) {
        return key == null ? "" : HexFormat.of().formatHex(key);
    }
}
