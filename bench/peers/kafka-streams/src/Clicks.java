import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Properties;
import java.util.SplittableRandom;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Fills a topic with a clickstream: {@code java Clicks BOOTSTRAP TOPIC EVENTS SEED}. Ten thousand
 * events a second of event time from 2026-01-01 on, JSON of about 185 bytes, partition = profile % 4;
 * 99 % are at most half a second out of order and none more than three, so that a watermark of five
 * seconds makes none late. 10,000 titles and 30 countries by Zipf, 20,000 profiles watching at a time.
 */
public final class Clicks {
    private static final long START_MS = 1_767_225_600_000L;
    private static final int EVENTS_PER_MS = 10;
    private static final int PARTITIONS = 4;
    private static final int TITLES = 10_000;
    private static final int PROFILES = 200_000;
    private static final int WATCHING = 20_000;
    private static final String[] COUNTRIES = ("US BR GB IN MX DE FR JP CA ES KR IT AU AR CO NL PL TR SE PH ID CL ZA TH"
            + " NG EG PE PT BE AT").split(" ");
    private static final String[] DEVICES = {"tv", "mobile", "web", "tablet", "console"};
    private static final String[] TYPES = {"play", "pause", "stop", "click", "impression", "search"};
    /** Of a hundred events, how many are of each type. */
    private static final int[] SHARES = {30, 12, 12, 20, 24, 2};

    private final SplittableRandom random;
    private final double[] titles = zipf(TITLES, 1.05);
    private final double[] countries = zipf(COUNTRIES.length, 0.9);
    private final double[] devices = zipf(DEVICES.length, 0.8);
    private final int[] watching = new int[WATCHING];

    private Clicks(long seed) {
        random = new SplittableRandom(seed);
        Arrays.setAll(watching, slot -> random.nextInt(PROFILES));
    }

    public static void main(String[] arguments) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", arguments[0]);
        settings.put("compression.type", "lz4");
        settings.put("batch.size", "262144");
        settings.put("linger.ms", "50");
        settings.put("buffer.memory", "134217728");
        Clicks clicks = new Clicks(Long.parseLong(arguments[3]));
        try (var producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
            long events = Long.parseLong(arguments[2]);
            for (long nth = 0; nth < events; nth++) {
                producer.send(clicks.next(arguments[1], nth), (sent, failure) -> {
                    if (failure != null) {
                        System.err.println("clicks: " + failure);
                        System.exit(1);
                    }
                });
            }
        }
    }

    private ProducerRecord<byte[], byte[]> next(String topic, long nth) {
        int slot = random.nextInt(WATCHING);
        if (random.nextInt(25) == 0) {
            watching[slot] = random.nextInt(PROFILES);
        }
        int profile = watching[slot];
        // A profile lives in one country.
        double home = new SplittableRandom(profile).nextDouble();
        int delay = random.nextInt(100) == 0 ? random.nextInt(3_000) : random.nextInt(500);
        long ts = START_MS + 3_000 + nth / EVENTS_PER_MS - delay;
        int type = type();
        long watched = type == 0 || type == 2 ? random.nextInt(600_000) : 0;
        String json = "{\"event_id\":\"" + hex() + hex() + "\",\"profile_id\":" + profile
                + ",\"title_id\":" + pick(titles, random.nextDouble())
                + ",\"country\":\"" + COUNTRIES[pick(countries, home)]
                + "\",\"device\":\"" + DEVICES[pick(devices, random.nextDouble())]
                + "\",\"event_type\":\"" + TYPES[type] + "\",\"ts\":" + ts + ",\"watch_ms\":" + watched
                + ",\"promo\":" + (random.nextInt(10) == 0) + "}";
        return new ProducerRecord<>(topic, profile % PARTITIONS, ts,
                Integer.toString(profile).getBytes(StandardCharsets.US_ASCII),
                json.getBytes(StandardCharsets.US_ASCII));
    }

    private int type() {
        int drawn = random.nextInt(100);
        int type = 0;
        while (drawn >= SHARES[type]) {
            drawn -= SHARES[type++];
        }
        return type;
    }

    private String hex() {
        String digits = Long.toHexString(random.nextLong());
        return "0".repeat(16 - digits.length()) + digits;
    }

    /** Cumulated shares of ranks. */
    private static double[] zipf(int ranks, double exponent) {
        double[] shares = new double[ranks];
        double sum = 0;
        for (int rank = 0; rank < ranks; rank++) {
            sum += 1 / Math.pow(rank + 1, exponent);
            shares[rank] = sum;
        }
        for (int rank = 0; rank < ranks; rank++) {
            shares[rank] /= sum;
        }
        return shares;
    }

    private static int pick(double[] shares, double drawn) {
        int found = Arrays.binarySearch(shares, drawn);
        return Math.min(found < 0 ? -found - 1 : found, shares.length - 1);
    }
}
