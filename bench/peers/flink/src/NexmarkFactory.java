import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.LongFunction;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.connector.datagen.source.DataGeneratorSource;
import org.apache.flink.connector.datagen.source.GeneratorFunction;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.connector.source.ScanTableSource;
import org.apache.flink.table.connector.source.SourceProvider;
import org.apache.flink.table.connector.source.abilities.SupportsProjectionPushDown;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.factories.DynamicTableSourceFactory;
import org.apache.flink.table.factories.FactoryUtil;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.logical.RowType;

/**
 * Connector {@code nexmark} of Flink: the events of {@link NexmarkEvents}, as fast as they are read. Fields that a
 * query does not read are not made up, as in nowcast.
 */
public final class NexmarkFactory implements DynamicTableSourceFactory {
    private static final ConfigOption<Long> EVENTS = ConfigOptions.key("events.num").longType().noDefaultValue();
    private static final ConfigOption<Long> RATE = ConfigOptions.key("next-event.rate").longType().defaultValue(10_000L);
    private static final ConfigOption<Long> SEED = ConfigOptions.key("seed").longType().defaultValue(1L);

    @Override
    public String factoryIdentifier() {
        return "nexmark";
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return Set.of(EVENTS);
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return Set.of(RATE, SEED);
    }

    @Override
    public DynamicTableSource createDynamicTableSource(Context context) {
        FactoryUtil.TableFactoryHelper helper = FactoryUtil.createTableFactoryHelper(this, context);
        helper.validate();
        long rate = helper.getOptions().get(RATE);
        DataType type = context.getPhysicalRowDataType();
        int columns = DataType.getFieldCount(type);
        int[][] all = new int[columns][];
        Arrays.setAll(all, column -> new int[] {column});
        return new Source(
                new NexmarkEvents(helper.getOptions().get(SEED), rate), helper.getOptions().get(EVENTS), type, all, type);
    }

    private static final class Source implements ScanTableSource, SupportsProjectionPushDown {
        private final NexmarkEvents events;
        private final long number;
        private final DataType declared;
        private int[][] paths;
        private DataType produced;

        Source(NexmarkEvents events, long number, DataType declared, int[][] paths, DataType produced) {
            this.events = events;
            this.number = number;
            this.declared = declared;
            this.paths = paths;
            this.produced = produced;
        }

        @Override
        public ChangelogMode getChangelogMode() {
            return ChangelogMode.insertOnly();
        }

        @Override
        public boolean supportsNestedProjection() {
            return true;
        }

        @Override
        public void applyProjection(int[][] projected, DataType type) {
            paths = projected;
            produced = type;
        }

        @Override
        public ScanRuntimeProvider getScanRuntimeProvider(ScanContext context) {
            RowType columns = (RowType) declared.getLogicalType();
            String[][] names = new String[paths.length][];
            for (int path = 0; path < paths.length; path++) {
                int[] at = paths[path];
                String column = columns.getFieldNames().get(at[0]);
                names[path] = at.length == 1
                        ? new String[] {column}
                        : new String[] {column, ((RowType) columns.getTypeAt(at[0])).getFieldNames().get(at[1])};
            }
            TypeInformation<RowData> type = context.createTypeInformation(produced);
            return SourceProvider.of(new DataGeneratorSource<>(new Make(events, names), number, type));
        }

        @Override
        public DynamicTableSource copy() {
            return new Source(events, number, declared, paths, produced);
        }

        @Override
        public String asSummaryString() {
            return "nexmark";
        }
    }

    /** Makes an event's row, of the columns and fields at these paths. */
    private static final class Make implements GeneratorFunction<Long, RowData> {
        private final NexmarkEvents events;
        private final String[][] paths;
        private transient LongFunction<Object>[] made;

        Make(NexmarkEvents events, String[][] paths) {
            this.events = events;
            this.paths = paths;
        }

        @Override
        @SuppressWarnings("unchecked")
        public void open(SourceReaderContext context) {
            events.open();
            made = new LongFunction[paths.length];
            Arrays.setAll(made, at -> of(paths[at]));
        }

        @Override
        public RowData map(Long n) {
            GenericRowData row = new GenericRowData(made.length);
            for (int at = 0; at < made.length; at++) {
                row.setField(at, made[at].apply(n));
            }
            return row;
        }

        private LongFunction<Object> of(String[] path) {
            if (path[0].equals("event_type")) {
                return NexmarkEvents::kind;
            }
            int kind = List.of("person", "auction", "bid").indexOf(path[0]);
            Map<String, LongFunction<Object>> fields = fields(kind);
            LongFunction<Object> make = path.length == 2 ? fields.get(path[1]) : whole(FIELDS.get(kind), fields);
            return n -> NexmarkEvents.kind(n) == kind ? make.apply(n) : null;
        }

        private static LongFunction<Object> whole(List<String> names, Map<String, LongFunction<Object>> fields) {
            List<LongFunction<Object>> makes = names.stream().map(fields::get).toList();
            return n -> {
                GenericRowData row = new GenericRowData(makes.size());
                for (int at = 0; at < makes.size(); at++) {
                    row.setField(at, makes.get(at).apply(n));
                }
                return row;
            };
        }

        /** In the order of the table's rows. */
        private static final List<List<String>> FIELDS = List.of(
                List.of("id", "name", "emailAddress", "creditCard", "city", "state", "dateTime", "extra"),
                List.of("id", "itemName", "description", "initialBid", "reserve", "dateTime", "expires", "seller",
                        "category", "extra"),
                List.of("auction", "bidder", "price", "channel", "url", "dateTime", "extra"));

        private Map<String, LongFunction<Object>> fields(int kind) {
            LongFunction<Object> time = n -> TimestampData.fromEpochMillis(events.timeMs(n));
            return switch (kind) {
                case NexmarkEvents.PERSON -> Map.of(
                        "id", events::personId,
                        "name", events::name,
                        "emailAddress", events::email,
                        "creditCard", events::creditCard,
                        "city", events::city,
                        "state", events::state,
                        "dateTime", time,
                        "extra", events::personExtra);
                case NexmarkEvents.AUCTION -> Map.of(
                        "id", events::auctionId,
                        "itemName", events::itemName,
                        "description", events::description,
                        "initialBid", events::initialBid,
                        "reserve", events::reserve,
                        "dateTime", time,
                        "expires", n -> TimestampData.fromEpochMillis(events.expiresMs(n)),
                        "seller", events::seller,
                        "category", events::category,
                        "extra", events::auctionExtra);
                default -> Map.of(
                        "auction", events::auction,
                        "bidder", events::bidder,
                        "price", events::price,
                        "channel", events::channel,
                        "url", events::url,
                        "dateTime", time,
                        "extra", events::bidExtra);
            };
        }
    }
}
