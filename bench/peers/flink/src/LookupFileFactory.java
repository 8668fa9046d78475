import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.apache.flink.table.connector.format.DecodingFormat;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.connector.source.LookupTableSource;
import org.apache.flink.table.connector.source.lookup.LookupFunctionProvider;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.factories.DeserializationFormatFactory;
import org.apache.flink.table.factories.DynamicTableSourceFactory;
import org.apache.flink.table.factories.FactoryUtil;
import org.apache.flink.table.functions.FunctionContext;
import org.apache.flink.table.functions.LookupFunction;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.util.SimpleUserCodeClassLoader;
import org.apache.flink.util.UserCodeClassLoader;

/**
 * Connector {@code lookup-file}: a file of rows that joins look up in, which Flink's own {@code
 * filesystem} cannot be. The oracle puts it in place of a {@code filesystem} table that has options
 * {@code lookup.*}.
 */
public final class LookupFileFactory implements DynamicTableSourceFactory {
    @Override
    public String factoryIdentifier() {
        return "lookup-file";
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return Set.of(FactoryUtil.FORMAT);
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return Set.of();
    }

    @Override
    public DynamicTableSource createDynamicTableSource(Context context) {
        DecodingFormat<DeserializationSchema<RowData>> format =
                FactoryUtil.createTableFactoryHelper(this, context)
                        .discoverDecodingFormat(DeserializationFormatFactory.class, FactoryUtil.FORMAT);
        String path = context.getCatalogTable().getOptions().get("path");
        return new Source(path, format, context.getPhysicalRowDataType());
    }

    private record Source(
            String path, DecodingFormat<DeserializationSchema<RowData>> format, DataType type)
            implements LookupTableSource {
        @Override
        public LookupRuntimeProvider getLookupRuntimeProvider(LookupContext context) {
            int[] keys = IntStream.range(0, context.getKeys().length)
                    .map(key -> context.getKeys()[key][0])
                    .toArray();
            DynamicTableSource.Context decoding = (DynamicTableSource.Context) context;
            return LookupFunctionProvider.of(
                    new Lookup(path, format.createRuntimeDecoder(decoding, type), type, keys));
        }

        @Override
        public DynamicTableSource copy() {
            return this;
        }

        @Override
        public String asSummaryString() {
            return "lookup-file";
        }
    }

    /** Reads the whole file when it is opened, and answers from memory. */
    public static final class Lookup extends LookupFunction {
        private final String path;
        private final DeserializationSchema<RowData> decoder;
        private final DataType type;
        private final int[] keys;
        private transient Map<List<Object>, List<RowData>> rows;

        Lookup(String path, DeserializationSchema<RowData> decoder, DataType type, int[] keys) {
            this.path = path;
            this.decoder = decoder;
            this.type = type;
            this.keys = keys;
        }

        @Override
        public void open(FunctionContext context) throws Exception {
            decoder.open(new Opening());
            rows = new HashMap<>();
            for (String line : Files.readAllLines(Path.of(path))) {
                RowData row = decoder.deserialize(line.getBytes(StandardCharsets.UTF_8));
                rows.computeIfAbsent(values(row, keys), key -> new ArrayList<>()).add(row);
            }
        }

        @Override
        public Collection<RowData> lookup(RowData key) throws IOException {
            return rows.getOrDefault(values(key, IntStream.range(0, keys.length).toArray()), List.of());
        }

        /** The values of the keys, which lie at {@code places} of the row. */
        private List<Object> values(RowData row, int[] places) {
            List<LogicalType> types = type.getLogicalType().getChildren();
            List<Object> values = new ArrayList<>();
            for (int key = 0; key < keys.length; key++) {
                values.add(RowData.createFieldGetter(types.get(keys[key]), places[key]).getFieldOrNull(row));
            }
            return values;
        }
    }

    private static final class Opening implements DeserializationSchema.InitializationContext {
        @Override
        public MetricGroup getMetricGroup() {
            return new UnregisteredMetricsGroup();
        }

        @Override
        public UserCodeClassLoader getUserCodeClassLoader() {
            return SimpleUserCodeClassLoader.create(getClass().getClassLoader());
        }
    }
}
