import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
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
 * {@code query.sql}; the answer goes to {@code expected} beside it. {@code java Oracle --digest
 * FILE...} prints how many rows each table of a SQL file has at the end, and their digest; {@code java
 * Oracle --run FILE...} only runs them, as they are and with the settings of a good user, to be timed.
 *
 * <p>A query reads files beside it, named by {@code ${CASE}}, and inserts into tables of connector
 * {@code blackhole}, in whose place the oracle puts sinks that collect. A {@code filesystem} table with
 * options {@code lookup.*} is one that joins look up in.
 */
public final class Oracle {
    /** An option of a table that joins look up in. */
    private static final Pattern LOOKED_UP = Pattern.compile("'lookup\\.[a-z.-]+'\\s*=");

    public static void main(String[] arguments) throws Exception {
        List<String> of = List.of(arguments);
        boolean whole = switch (of.get(0)) {
            case "--digest" -> digest(of.subList(1, of.size()));
            case "--run" -> only(of.subList(1, of.size()));
            default -> answer(of);
        };
        // A session cluster's threads would keep the JVM alive.
        System.exit(whole ? 0 : 1);
    }

    /** Writes {@code expected} into each folder; whether Flink answered all. */
    private static boolean answer(List<String> folders) throws Exception {
        List<String> failed = new ArrayList<>();
        for (String folder : folders) {
            Path path = Path.of(folder).toAbsolutePath().normalize();
            try {
                run(Files.readString(path.resolve("query.sql")).replace("${CASE}", path.toString()), exact(), true);
                Files.writeString(path.resolve("expected"), answer());
                System.out.println("flink: " + path.getFileName());
            } catch (Exception failure) {
                Files.deleteIfExists(path.resolve("expected"));
                failed.add(path.getFileName().toString());
                System.out.println("flink: " + path.getFileName() + " FAILED: " + reason(failure));
            }
        }
        System.out.println("flink: " + (folders.size() - failed.size()) + " of " + folders.size()
                + " answered" + (failed.isEmpty() ? "" : ", without " + failed));
        return failed.isEmpty();
    }

    /** Prints {@code FILE TABLE COUNT DIGEST}, or {@code FILE refused: WHY}; whether Flink ran all. */
    private static boolean digest(List<String> files) throws Exception {
        CollectSinkFactory.digests = true;
        boolean whole = true;
        for (String file : files) {
            String name = Path.of(file).getFileName().toString().replaceAll("\\.sql$", "");
            try {
                run(Files.readString(Path.of(file)), exact(), true);
                CollectSinkFactory.COLLECTED.forEach((table, sink) ->
                        System.out.println(name + " " + table + " " + sink.digest()));
            } catch (Exception failure) {
                whole = false;
                System.out.println(name + " refused: " + reason(failure).lines().findFirst().orElse(""));
            }
        }
        return whole;
    }

    /** Prints {@code FILE ran}, or {@code FILE refused: WHY}; whether Flink ran all. */
    private static boolean only(List<String> files) throws Exception {
        boolean whole = true;
        for (String file : files) {
            String name = Path.of(file).getFileName().toString().replaceAll("\\.sql$", "");
            try {
                run(Files.readString(Path.of(file)), fast(), false);
                System.out.println(name + " ran");
            } catch (Exception failure) {
                whole = false;
                System.out.println(name + " refused: " + reason(failure).lines().findFirst().orElse(""));
            }
        }
        return whole;
    }

    /** Runs a SQL file to its end; its blackholes may be collecting. */
    private static void run(String sql, Configuration settings, boolean collecting) throws Exception {
        TableEnvironment tables = TableEnvironment.create(
                EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(settings).build());
        CollectSinkFactory.COLLECTED.clear();
        for (String written : Statements.split(sql)) {
            String statement = ours(written, collecting);
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
    }

    /** A statement with our connectors in place of those that Flink lacks or that keep nothing. */
    private static String ours(String statement, boolean collecting) {
        String sql = collecting
                ? statement.replaceAll("'connector'\\s*=\\s*'blackhole'", "'connector' = 'collect'")
                : statement;
        return LOOKED_UP.matcher(sql).find()
                ? sql.replaceAll("'connector'\\s*=\\s*'filesystem'", "'connector' = 'lookup-file'")
                : sql;
    }

    private static String answer() {
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
    private static Configuration exact() {
        Configuration settings = common();
        settings.set(PipelineOptions.AUTO_WATERMARK_INTERVAL, Duration.ZERO);
        settings.setString("table.optimizer.agg-phase-strategy", "ONE_PHASE");
        return settings;
    }

    /** Flink's own defaults, and rows that are not copied between chained operators. */
    private static Configuration fast() {
        Configuration settings = common();
        settings.set(PipelineOptions.OBJECT_REUSE, true);
        return settings;
    }

    private static Configuration common() {
        Configuration settings = new Configuration();
        settings.set(CoreOptions.DEFAULT_PARALLELISM, 1);
        settings.set(RestOptions.BIND_PORT, "0");
        settings.setString("table.local-time-zone", "UTC");
        return settings;
    }

    private static String reason(Throwable failure) {
        while (failure.getCause() != null && failure.getCause() != failure) {
            failure = failure.getCause();
        }
        return failure.getClass().getSimpleName() + ": " + failure.getMessage();
    }
}
