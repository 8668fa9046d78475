import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.CoreOptions;
import org.apache.flink.configuration.MemorySize;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.configuration.RestOptions;
import org.apache.flink.configuration.StateBackendOptions;
import org.apache.flink.configuration.TaskManagerOptions;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;

/**
 * Runs a SQL file on Apache Flink in this JVM: {@code java FlinkPeer FILE BACKEND PARALLELISM ROUNDS
 * SCRATCH}. It runs {@code ROUNDS} times, so that the later ones find warm code, and prints one JSON
 * line a round: {@code wall_s} and {@code cpu_s} of this process from the first statement to the end.
 */
public final class FlinkPeer {
    public static void main(String[] arguments) throws Exception {
        String sql = Files.readString(Path.of(arguments[0]));
        int rounds = Integer.parseInt(arguments[3]);
        for (int round = 0; round < rounds; round++) {
            long cpu = cpu();
            long wall = System.nanoTime();
            run(sql, settings(arguments[1], Integer.parseInt(arguments[2]), Path.of(arguments[4])));
            System.out.printf(Locale.ROOT, "{\"wall_s\": %.3f, \"cpu_s\": %.3f}%n",
                    (System.nanoTime() - wall) / 1e9, (cpu() - cpu) / 1e9);
        }
        // A session cluster's threads would keep the JVM alive.
        System.exit(0);
    }

    private static long cpu() {
        return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
                .getProcessCpuTime();
    }

    private static void run(String sql, Configuration settings) throws Exception {
        TableEnvironment tables = TableEnvironment.create(
                EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(settings).build());
        for (String statement : Statements.split(sql)) {
            Map.Entry<String, String> setting = Statements.setting(statement);
            if (setting != null) {
                tables.getConfig().set(setting.getKey(), setting.getValue());
                continue;
            }
            TableResult result = tables.executeSql(statement);
            if (result.getJobClient().isPresent()) {
                result.await();
            }
        }
    }

    /** As one tunes it for throughput: see README.md. */
    private static Configuration settings(String backend, int parallelism, Path scratch) {
        Configuration settings = new Configuration();
        settings.set(CoreOptions.DEFAULT_PARALLELISM, parallelism);
        settings.set(TaskManagerOptions.NUM_TASK_SLOTS, parallelism);
        settings.set(PipelineOptions.OBJECT_REUSE, true);
        settings.set(StateBackendOptions.STATE_BACKEND, backend);
        settings.set(CheckpointingOptions.CHECKPOINTING_INTERVAL, Duration.ofSeconds(10));
        settings.set(CheckpointingOptions.INCREMENTAL_CHECKPOINTS, true);
        settings.set(CheckpointingOptions.CHECKPOINTS_DIRECTORY, scratch.resolve("checkpoints").toUri().toString());
        settings.set(TaskManagerOptions.MANAGED_MEMORY_SIZE, MemorySize.ofMebiBytes(768));
        settings.set(RestOptions.BIND_PORT, "0");
        settings.setString("table.local-time-zone", "UTC");
        return settings;
    }
}
