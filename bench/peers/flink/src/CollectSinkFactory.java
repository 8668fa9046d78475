import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.table.catalog.Column;
import org.apache.flink.table.catalog.ResolvedSchema;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.sink.DynamicTableSink;
import org.apache.flink.table.connector.sink.SinkV2Provider;
import org.apache.flink.table.connector.sink.abilities.SupportsPartitioning;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.factories.DynamicTableSinkFactory;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.types.Row;

/** Connector {@code collect}: keeps the rows of a table in this JVM, as they stand at the end. */
public final class CollectSinkFactory implements DynamicTableSinkFactory {
    /** By table; a table appears when its job is planned, so that an empty one is known too. */
    static final Map<String, Collected> COLLECTED = Collections.synchronizedMap(new TreeMap<>());

    /** Whether tables keep a digest of their rows alone, for results that are too large to keep. */
    static boolean digests;

    @Override
    public String factoryIdentifier() {
        return "collect";
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return Set.of();
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return Set.of();
    }

    @Override
    public DynamicTableSink createDynamicTableSink(Context context) {
        ResolvedSchema schema = context.getCatalogTable().getResolvedSchema();
        String name = context.getObjectIdentifier().getObjectName();
        COLLECTED.putIfAbsent(name, new Collected(schema));
        return new CollectSink(name, schema);
    }

    /** The rows of one table: a multiset, or one row a primary key. */
    static final class Collected {
        private final List<Column> columns;
        private final List<LogicalType> types;
        private final int[] key;
        private final Map<String, Integer> counts = new HashMap<>();
        private final Map<String, String> byKey = new LinkedHashMap<>();
        private final Digest digest = new Digest();

        Collected(ResolvedSchema schema) {
            columns = schema.getColumns();
            types = columns.stream().map(column -> column.getDataType().getLogicalType()).toList();
            key = schema.getPrimaryKeyIndexes();
        }

        synchronized void take(Row row) {
            boolean inserts = switch (row.getKind()) {
                case INSERT, UPDATE_AFTER -> true;
                case DELETE, UPDATE_BEFORE -> false;
            };
            String text = Canonical.row(row, types);
            String keyText = key.length == 0 ? null : keyText(row);
            if (digests) {
                digest.take(keyText, text, inserts);
            } else if (keyText == null) {
                counts.merge(text, inserts ? 1 : -1, Integer::sum);
            } else if (inserts) {
                byKey.put(keyText, text);
            } else {
                byKey.remove(keyText);
            }
        }

        private String keyText(Row row) {
            List<LogicalType> keyTypes = new ArrayList<>();
            for (int column : key) {
                keyTypes.add(types.get(column));
            }
            return Canonical.row(Row.project(row, key), keyTypes);
        }

        synchronized Digest digest() {
            return digest;
        }

        /** A header line, then the rows in the order of their text. */
        synchronized String text(String version, String name) {
            List<String> rows = new ArrayList<>(byKey.values());
            counts.forEach((row, count) -> rows.addAll(Collections.nCopies(count, row)));
            Collections.sort(rows);
            List<String> names = new ArrayList<>();
            for (Column column : columns) {
                names.add(Canonical.quoted(column.getName() + " " + column.getDataType()));
            }
            String header = "{\"flink\":" + Canonical.quoted(version) + ",\"sink\":"
                    + Canonical.quoted(name) + ",\"columns\":[" + String.join(",", names) + "]}\n";
            return header + (rows.isEmpty() ? "" : String.join("\n", rows) + "\n");
        }
    }

    private record CollectSink(String name, ResolvedSchema schema)
            implements DynamicTableSink, SupportsPartitioning {
        @Override
        public void applyStaticPartition(Map<String, String> partition) {}

        @Override
        public ChangelogMode getChangelogMode(ChangelogMode requested) {
            return requested;
        }

        @Override
        public SinkRuntimeProvider getSinkRuntimeProvider(Context context) {
            DataStructureConverter converter =
                    context.createDataStructureConverter(schema.toPhysicalRowDataType());
            return SinkV2Provider.of(new CollectingSink(name, converter));
        }

        @Override
        public DynamicTableSink copy() {
            return this;
        }

        @Override
        public String asSummaryString() {
            return "collect";
        }
    }

    private record CollectingSink(String name, DynamicTableSink.DataStructureConverter converter)
            implements Sink<RowData> {
        @Override
        public SinkWriter<RowData> createWriter(WriterInitContext context) {
            return new Writer(COLLECTED.get(name), converter);
        }
    }

    private record Writer(Collected collected, DynamicTableSink.DataStructureConverter converter)
            implements SinkWriter<RowData> {
        @Override
        public void write(RowData row, Context context) {
            collected.take((Row) converter.toExternal(row));
        }

        @Override
        public void flush(boolean endOfInput) {}

        @Override
        public void close() {}
    }
}
