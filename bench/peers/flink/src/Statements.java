import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A SQL file cut into the statements that {@code TableEnvironment.executeSql} takes. */
final class Statements {
    private static final Pattern SET =
            Pattern.compile("SET\\s+'([^']+)'\\s*=\\s*'([^']*)'", Pattern.CASE_INSENSITIVE);
    private static final Pattern SET_OF_STATEMENTS = Pattern.compile(
            "(EXECUTE|BEGIN)\\s+STATEMENT\\s+SET\\b.*", Pattern.CASE_INSENSITIVE | Pattern.DOTALL);
    private static final Pattern END =
            Pattern.compile(".*\\bEND", Pattern.CASE_INSENSITIVE | Pattern.DOTALL);

    private Statements() {}

    /** Cuts at each {@code ;} outside quotes; a statement set stays whole. Comments are left out, hints are not. */
    static List<String> split(String sql) {
        List<String> statements = new ArrayList<>();
        StringBuilder statement = new StringBuilder();
        for (int at = 0; at < sql.length(); at++) {
            char letter = sql.charAt(at);
            if (sql.startsWith("--", at)) {
                int end = sql.indexOf('\n', at);
                at = end < 0 ? sql.length() : end;
                statement.append('\n');
            } else if (sql.startsWith("/*", at) && !sql.startsWith("/*+", at)) {
                int end = sql.indexOf("*/", at);
                at = end < 0 ? sql.length() : end + 1;
                statement.append(' ');
            } else if (letter == '\'' || letter == '`') {
                int end = sql.indexOf(letter, at + 1);
                statement.append(sql, at, end + 1);
                at = end;
            } else if (letter == ';' && whole(statement.toString().strip())) {
                statements.add(statement.toString().strip());
                statement.setLength(0);
            } else {
                statement.append(letter);
            }
        }
        if (!statement.toString().isBlank()) {
            statements.add(statement.toString().strip());
        }
        return statements;
    }

    private static boolean whole(String statement) {
        return !SET_OF_STATEMENTS.matcher(statement).matches() || END.matcher(statement).matches();
    }

    /** Key and value of {@code SET 'key' = 'value'}, or null for any other statement. */
    static Map.Entry<String, String> setting(String statement) {
        Matcher found = SET.matcher(statement);
        return found.matches() ? Map.entry(found.group(1), found.group(2)) : null;
    }
}
