import java.lang.reflect.Array;
import java.math.BigDecimal;
import java.math.MathContext;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.function.DoublePredicate;
import org.apache.flink.table.types.logical.ArrayType;
import org.apache.flink.table.types.logical.DecimalType;
import org.apache.flink.table.types.logical.IntType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.MapType;
import org.apache.flink.table.types.logical.MultisetType;
import org.apache.flink.table.types.logical.utils.LogicalTypeChecks;
import org.apache.flink.types.Row;

/**
 * Rows as JSON arrays. Decimals, times and bytes are strings: {@code "1.50"}, {@code "2026-01-01
 * 00:00:00.000"} (3, 6 or 9 digits, and {@code Z} for TIMESTAMP_LTZ), hex. A number that is not
 * finite is a string too. ROW is an array, MAP an array of pairs, MULTISET one of values with their
 * counts.
 */
final class Canonical {
    private Canonical() {}

    static String row(Row row, List<LogicalType> types) {
        List<String> values = new ArrayList<>();
        for (int column = 0; column < types.size(); column++) {
            values.add(value(row.getField(column), types.get(column)));
        }
        return array(values);
    }

    private static String value(Object value, LogicalType type) {
        if (value == null) {
            return "null";
        }
        return switch (type.getTypeRoot()) {
            case BOOLEAN, TINYINT, SMALLINT, INTEGER, BIGINT -> value.toString();
            case FLOAT -> number((Float) value, 9, other -> (float) other == (Float) value);
            case DOUBLE -> number((Double) value, 17, other -> other == (Double) value);
            case DECIMAL -> quoted(decimal((BigDecimal) value, (DecimalType) type));
            case DATE -> quoted(value.toString());
            case TIME_WITHOUT_TIME_ZONE -> quoted(time("HH:mm:ss", 3).format((LocalTime) value));
            case TIMESTAMP_WITHOUT_TIME_ZONE -> quoted(timestamp((LocalDateTime) value, type));
            case TIMESTAMP_WITH_LOCAL_TIME_ZONE -> quoted(
                    timestamp(LocalDateTime.ofInstant((Instant) value, ZoneOffset.UTC), type) + "Z");
            case BINARY, VARBINARY -> quoted(HexFormat.of().formatHex((byte[]) value));
            case ARRAY -> elements(value, ((ArrayType) type).getElementType());
            case MAP -> pairs(
                    (Map<?, ?>) value, ((MapType) type).getKeyType(), ((MapType) type).getValueType());
            case MULTISET -> pairs(
                    (Map<?, ?>) value, ((MultisetType) type).getElementType(), new IntType());
            case ROW -> row((Row) value, type.getChildren());
            default -> quoted(value.toString());
        };
    }

    private static String elements(Object values, LogicalType type) {
        List<String> texts = new ArrayList<>();
        for (int at = 0; at < Array.getLength(values); at++) {
            texts.add(value(Array.get(values, at), type));
        }
        return array(texts);
    }

    private static String pairs(Map<?, ?> map, LogicalType keys, LogicalType values) {
        List<String> texts = new ArrayList<>();
        map.forEach((key, value) -> texts.add(array(
                List.of(value(key, keys), value(value, values)))));
        texts.sort(null);
        return array(texts);
    }

    private static String decimal(BigDecimal value, DecimalType type) {
        return value.setScale(type.getScale()).toPlainString();
    }

    private static String timestamp(LocalDateTime value, LogicalType type) {
        int precision = LogicalTypeChecks.getPrecision(type);
        return time("uuuu-MM-dd HH:mm:ss", precision <= 3 ? 3 : precision <= 6 ? 6 : 9).format(value);
    }

    private static DateTimeFormatter time(String pattern, int digits) {
        return DateTimeFormatter.ofPattern(pattern + "." + "S".repeat(digits));
    }

    /** The fewest digits that read back as the same number; before Java 19 toString takes more. */
    private static String number(double value, int digitsMax, DoublePredicate same) {
        if (Double.isNaN(value) || Double.isInfinite(value)) {
            return quoted(Double.toString(value));
        }
        for (int digits = 1; digits <= digitsMax && value != 0; digits++) {
            BigDecimal rounded = new BigDecimal(value).round(new MathContext(digits));
            if (same.test(rounded.doubleValue())) {
                boolean isShort = Math.abs(Math.log10(Math.abs(value))) < 17;
                String text = isShort ? rounded.toPlainString() : rounded.toString();
                // A double stays one where all digits are before the point.
                return text.contains(".") || text.contains("E") ? text : text + ".0";
            }
        }
        return Double.toString(value);
    }

    private static String array(List<String> values) {
        return "[" + String.join(",", values) + "]";
    }

    static String quoted(String text) {
        StringBuilder quoted = new StringBuilder("\"");
        text.chars().forEach(letter -> {
            if (letter == '"' || letter == '\\') {
                quoted.append('\\').append((char) letter);
            } else if (letter < ' ') {
                quoted.append(String.format("\\u%04x", letter));
            } else {
                quoted.append((char) letter);
            }
        });
        return quoted.append('"').toString();
    }
}
