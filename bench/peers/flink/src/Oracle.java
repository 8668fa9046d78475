import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.CoreOptions;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.configuration.RestOptions;
import org.apache.flink.runtime.util.EnvironmentInformation;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.ResultKind;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;

/**
 * Writes what Apache Flink makes of golden cases: {@code java Oracle CASE...}, each a folder with a
 * {@code query.sql}; the answer goes to {@code expected} beside it.
 *
 * <p>A query reads files beside it, named by {@code ${CASE}}, and inserts into tables of connector
 * {@code blackhole}, in whose place the oracle puts sinks that collect.
 */
public final class Oracle {
    public static void main(String[] folders) throws Exception {
        List<String> failed = new ArrayList<>();
        for (String folder : folders) {
            Path path = Path.of(folder).toAbsolutePath().normalize();
            try {
                Files.writeString(path.resolve("expected"), answer(path));
                System.out.println("flink: " + path.getFileName());
            } catch (Exception failure) {
                Files.deleteIfExists(path.resolve("expected"));
                failed.add(path.getFileName().toString());
                System.out.println("flink: " + path.getFileName() + " FAILED: " + reason(failure));
            }
        }
        System.out.println("flink: " + (folders.length - failed.size()) + " of " + folders.length
                + " answered" + (failed.isEmpty() ? "" : ", without " + failed));
        // A session cluster's threads would keep the JVM alive.
        System.exit(failed.isEmpty() ? 0 : 1);
    }

    private static String answer(Path folder) throws Exception {
        String sql = Files.readString(folder.resolve("query.sql"))
                .replace("${CASE}", folder.toString())
                .replaceAll("'connector'\\s*=\\s*'blackhole'", "'connector' = 'collect'");
        TableEnvironment tables = TableEnvironment.create(
                EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(settings()).build());
        CollectSinkFactory.COLLECTED.clear();
        for (String statement : Statements.split(sql)) {
            Map.Entry<String, String> setting = Statements.setting(statement);
            if (setting != null) {
                tables.getConfig().set(setting.getKey(), setting.getValue());
                continue;
            }
            TableResult result = tables.executeSql(statement);
            if (result.getResultKind() == ResultKind.SUCCESS_WITH_CONTENT) {
                result.await();
            }
        }
        StringBuilder text = new StringBuilder();
        String version = EnvironmentInformation.getVersion();
        CollectSinkFactory.COLLECTED.forEach((name, sink) -> text.append(sink.text(version, name)));
        return text.toString();
    }

    /**
     * Settings under which Flink's answer follows from the rows alone: one thread a stage, and each
     * row's watermark sent right after the row (an interval of 0), so that the same rows are late in
     * every run. Two-phase aggregation would let late rows into the local phase's buffer.
     */
    private static Configuration settings() {
        Configuration settings = new Configuration();
        settings.set(CoreOptions.DEFAULT_PARALLELISM, 1);
        settings.set(PipelineOptions.AUTO_WATERMARK_INTERVAL, Duration.ZERO);
        settings.set(RestOptions.BIND_PORT, "0");
        settings.setString("table.local-time-zone", "UTC");
        settings.setString("table.optimizer.agg-phase-strategy", "ONE_PHASE");
        return settings;
    }

    private static String reason(Throwable failure) {
        while (failure.getCause() != null && failure.getCause() != failure) {
            failure = failure.getCause();
        }
        return failure.getClass().getSimpleName() + ": " + failure.getMessage();
    }
}
