import java.io.Serializable;
import java.util.Locale;
import org.apache.flink.table.data.StringData;

/**
 * Nexmark's n-th event, field by field, the same that nowcast's connector {@code nexmark} makes up ({@code
 * operators/connectors/src/nexmark/event.rs}): so that both engines read equal events from a generator of their own.
 */
final class NexmarkEvents implements Serializable {
    static final int PERSON = 0;
    static final int AUCTION = 1;
    static final int BID = 2;

    private static final long START_MS = 1_767_599_999_000L;
    private static final long FIRST_PERSON = 1_000;
    private static final long FIRST_AUCTION = 1_000;
    private static final long FIRST_CATEGORY = 10;
    private static final long CATEGORIES = 5;
    private static final long ACTIVE_PEOPLE = 1_000;
    private static final long OPEN_AUCTIONS = 100;
    private static final long LEAD = 10;
    private static final long HOT_EVERY = 100;
    private static final int CHANNELS = 10_000;
    private static final long PEOPLE = 1;
    private static final long AUCTIONS = 3;
    private static final long ROUND = PEOPLE + AUCTIONS + 46;
    private static final long HOT_AUCTION_RATIO = 2;
    private static final long HOT_BIDDER_RATIO = 4;
    private static final long HOT_SELLER_RATIO = 4;
    private static final int PERSON_BYTES = 200;
    private static final int AUCTION_BYTES = 500;
    private static final int BID_BYTES = 100;

    private static final String[] HOT_CHANNELS = {"Google", "Facebook", "Baidu", "Apple"};
    private static final String[] FIRST_NAMES = {
        "Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"
    };
    private static final String[] LAST_NAMES = {
        "Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"
    };
    private static final String[] CITIES = {
        "Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent",
        "Cheyenne"
    };
    private static final String[] STATES = {"AZ", "CA", "ID", "OR", "WA", "WY"};

    /** What random numbers are drawn for; its order is part of what the events are. */
    private enum Draw {
        NAME, EMAIL, CREDIT_CARD, CITY, STATE, SELLER, CATEGORY, INITIAL_BID, RESERVE, OPEN, ITEM_NAME, DESCRIPTION,
        AUCTION, BIDDER, PRICE, CHANNEL, EXTRA
    }

    private final long seed;
    private final long eventsPerS;
    private transient StringData[] channels;
    private transient StringData[] urls;
    /** Letters of the text that is being made up. */
    private transient byte[] letters;
    private transient int length;

    NexmarkEvents(long seed, long eventsPerS) {
        this.seed = seed;
        this.eventsPerS = eventsPerS;
    }

    /** To be called once where the events are made up. */
    void open() {
        letters = new byte[2_048];
        channels = new StringData[CHANNELS + HOT_CHANNELS.length];
        urls = new StringData[channels.length];
        for (int number = 0; number < channels.length; number++) {
            Random random = new Random(~(seed ^ number));
            length = 0;
            append("https://www.nexmark.com/");
            for (int folder = 0; folder < 3; folder++) {
                text(random, 5, '_');
                append("/");
            }
            append("item.htm?query=1");
            boolean hot = number >= CHANNELS;
            if (!hot && random.below(10) > 0) {
                append("&channel_id=" + Integer.toUnsignedString(Math.abs(Integer.reverse(number))));
            }
            urls[number] = made();
            channels[number] = StringData.fromString(hot ? HOT_CHANNELS[number - CHANNELS] : "channel-" + number);
        }
    }

    static int kind(long n) {
        long at = n % ROUND;
        return at < PEOPLE ? PERSON : at < PEOPLE + AUCTIONS ? AUCTION : BID;
    }

    long timeMs(long n) {
        return START_MS + n * 1_000 / eventsPerS;
    }

    long personId(long n) {
        return FIRST_PERSON + lastPerson(n);
    }

    StringData name(long n) {
        length = 0;
        appendName(n);
        return made();
    }

    StringData email(long n) {
        length = 0;
        appendEmail(n);
        return made();
    }

    StringData creditCard(long n) {
        length = 0;
        appendCreditCard(n);
        return made();
    }

    StringData city(long n) {
        return StringData.fromString(oneOf(random(n, Draw.CITY), CITIES));
    }

    StringData state(long n) {
        return StringData.fromString(oneOf(random(n, Draw.STATE), STATES));
    }

    StringData personExtra(long n) {
        length = 0;
        appendName(n);
        appendEmail(n);
        appendCreditCard(n);
        append(oneOf(random(n, Draw.CITY), CITIES));
        append(oneOf(random(n, Draw.STATE), STATES));
        return fill(n, 8, PERSON_BYTES);
    }

    long auctionId(long n) {
        return FIRST_AUCTION + lastAuction(n);
    }

    StringData itemName(long n) {
        length = 0;
        text(random(n, Draw.ITEM_NAME), 20, ' ');
        return made();
    }

    StringData description(long n) {
        length = 0;
        text(random(n, Draw.DESCRIPTION), 100, ' ');
        return made();
    }

    long initialBid(long n) {
        return price(random(n, Draw.INITIAL_BID));
    }

    long reserve(long n) {
        return initialBid(n) + price(random(n, Draw.RESERVE));
    }

    long expiresMs(long n) {
        long meanMs = timeMs(n + OPEN_AUCTIONS * ROUND / AUCTIONS) - timeMs(n);
        return timeMs(n) + 1 + random(n, Draw.OPEN).below(Math.max(meanMs * 2, 1));
    }

    long seller(long n) {
        Random random = random(n, Draw.SELLER);
        return FIRST_PERSON + (random.below(HOT_SELLER_RATIO) == 0 ? somePerson(n, random) : hot(lastPerson(n)));
    }

    long category(long n) {
        return FIRST_CATEGORY + random(n, Draw.CATEGORY).below(CATEGORIES);
    }

    StringData auctionExtra(long n) {
        length = 0;
        text(random(n, Draw.ITEM_NAME), 20, ' ');
        text(random(n, Draw.DESCRIPTION), 100, ' ');
        return fill(n, 8 * 7, AUCTION_BYTES);
    }

    long auction(long n) {
        Random random = random(n, Draw.AUCTION);
        return FIRST_AUCTION + (random.below(HOT_AUCTION_RATIO) == 0 ? someAuction(n, random) : hot(lastAuction(n)));
    }

    long bidder(long n) {
        Random random = random(n, Draw.BIDDER);
        return FIRST_PERSON + (random.below(HOT_BIDDER_RATIO) == 0 ? somePerson(n, random) : hot(lastPerson(n)) + 1);
    }

    long price(long n) {
        return price(random(n, Draw.PRICE));
    }

    StringData channel(long n) {
        return channels[channelOf(n)];
    }

    StringData url(long n) {
        return urls[channelOf(n)];
    }

    StringData bidExtra(long n) {
        length = 0;
        return fill(n, 8 * 4, BID_BYTES);
    }

    private int channelOf(long n) {
        Random random = random(n, Draw.CHANNEL);
        return random.below(2) == 0
                ? (int) random.below(CHANNELS)
                : CHANNELS + (int) random.below(HOT_CHANNELS.length);
    }

    private void appendName(long n) {
        Random random = random(n, Draw.NAME);
        append(oneOf(random, FIRST_NAMES));
        append(" ");
        append(oneOf(random, LAST_NAMES));
    }

    private void appendEmail(long n) {
        Random random = random(n, Draw.EMAIL);
        text(random, 7, ' ');
        append("@");
        text(random, 5, ' ');
        append(".com");
    }

    private void appendCreditCard(long n) {
        Random random = random(n, Draw.CREDIT_CARD);
        append(String.format(Locale.ROOT, "%04d %04d %04d %04d",
                random.below(10_000), random.below(10_000), random.below(10_000), random.below(10_000)));
    }

    private static long lastPerson(long n) {
        return n / ROUND * PEOPLE + Math.min(n % ROUND, PEOPLE - 1);
    }

    private static long lastAuction(long n) {
        long inRound = Math.min(Math.max(n % ROUND - (PEOPLE - 1), 0), AUCTIONS);
        return Math.max(n / ROUND * AUCTIONS + inRound - 1, 0);
    }

    private static long somePerson(long n, Random random) {
        long people = lastPerson(n) + 1;
        long active = Math.min(people, ACTIVE_PEOPLE);
        return people - active + random.below(active + LEAD);
    }

    private static long someAuction(long n, Random random) {
        long last = lastAuction(n);
        long first = Math.max(last - OPEN_AUCTIONS, 0);
        return first + random.below(last - first + 1 + LEAD);
    }

    private static long hot(long last) {
        return last / HOT_EVERY * HOT_EVERY;
    }

    private static long price(Random random) {
        return Math.round(Math.pow(10, random.unit() * 6) * 100);
    }

    private Random random(long n, Draw draw) {
        return new Random(hash(seed ^ n * 0x2545_f491_4f6c_dd1dL) ^ draw.ordinal());
    }

    private static String oneOf(Random random, String[] of) {
        return of[(int) random.below(of.length)];
    }

    private void append(String text) {
        for (int at = 0; at < text.length(); at++) {
            letters[length++] = (byte) text.charAt(at);
        }
    }

    private void text(Random random, long max, char special) {
        long letters = 3 + random.below(max - 3);
        long rest = 0;
        for (int at = 0; at < letters; at++) {
            if (at % 7 == 0) {
                rest = random.next() >>> 5;
            }
            boolean inner = at > 0 && at + 1 < letters;
            this.letters[length++] = inner && rest % 13 == 0 ? (byte) special : letter(rest / 13);
            rest /= 13 * 26;
        }
    }

    /** Letters in the place of what is there, that make an event of it and {@code bytes} about as large as it should be. */
    private StringData fill(long n, int bytes, int meanBytes) {
        long missing = meanBytes - (bytes + length);
        length = 0;
        if (missing >= 0) {
            Random random = random(n, Draw.EXTRA);
            long spread = Math.round(missing * 0.2);
            long letters = missing - spread + (spread == 0 ? 0 : random.below(2 * spread));
            long rest = 0;
            for (int at = 0; at < letters; at++) {
                if (at % 12 == 0) {
                    rest = random.next() >>> 7;
                }
                this.letters[length++] = letter(rest);
                rest /= 26;
            }
        }
        return made();
    }

    private static byte letter(long random) {
        return (byte) ('a' + random % 26);
    }

    private StringData made() {
        byte[] bytes = new byte[length];
        System.arraycopy(letters, 0, bytes, 0, length);
        return StringData.fromBytes(bytes);
    }

    private static long hash(long value) {
        value += 0x9e37_79b9_7f4a_7c15L;
        value = (value ^ (value >>> 30)) * 0xbf58_476d_1ce4_e5b9L;
        value = (value ^ (value >>> 27)) * 0x94d0_49bb_1331_11ebL;
        return value ^ (value >>> 31);
    }

    /** SplitMix64, as {@code operators/connectors/src/random.rs} has it. */
    private static final class Random {
        private long state;

        Random(long seed) {
            state = hash(seed);
        }

        long next() {
            long value = hash(state);
            state += 0x9e37_79b9_7f4a_7c15L;
            return value;
        }

        long below(long bound) {
            return Long.remainderUnsigned(next(), bound);
        }

        double unit() {
            return (next() >>> 11) * 0x1p-53;
        }
    }
}
