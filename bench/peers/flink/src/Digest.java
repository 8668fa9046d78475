import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

/**
 * How many rows a table has at the end, and a number that they all change, whatever their order: the
 * sum of the rows' hashes. {@code pipelines/tests/nexmark/digest.rs} is the same in Rust.
 */
final class Digest {
    private long count;
    private long sum;
    /** Hashes of the rows there are, where a table has a primary key. */
    private final Map<String, Long> byKey = new HashMap<>();

    /** Takes a change of a row; {@code key} is the text of its primary key, null without one. */
    void take(String key, String row, boolean inserts) {
        if (key == null) {
            add(hash(row), inserts ? 1 : -1);
            return;
        }
        Long before = inserts ? byKey.put(key, hash(row)) : byKey.remove(key);
        if (before != null) {
            add(before, -1);
        }
        if (inserts) {
            add(hash(row), 1);
        }
    }

    private void add(long hash, int times) {
        count += times;
        sum += hash * times;
    }

    /** FNV-1a over the text's UTF-8, then SplitMix64's last step, so that each bit changes all. */
    private static long hash(String text) {
        long hash = 0xcbf29ce484222325L;
        for (byte part : text.getBytes(StandardCharsets.UTF_8)) {
            hash = (hash ^ (part & 0xff)) * 0x100000001b3L;
        }
        hash = (hash ^ (hash >>> 30)) * 0xbf58476d1ce4e5b9L;
        hash = (hash ^ (hash >>> 27)) * 0x94d049bb133111ebL;
        return hash ^ (hash >>> 31);
    }

    @Override
    public String toString() {
        return String.format("%d %016x", count, sum);
    }
}
