package rollcall.e2e;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** What a consumer says to each message, switchable while it runs. */
final class Answers {
    private final Set<String> seen = ConcurrentHashMap.newKeySet();
    private volatile String rule;

    Answers(String rule) {
        set(rule);
    }

    /** commit: yes to all; later: no to all; later-first: no to each message's first delivery; throw: an exception. */
    void set(String rule) {
        this.rule = rule == null ? "commit" : rule;
    }

    /** Whether the message is consumed; `key` stays the same when it is delivered again. */
    boolean take(String key) {
        switch (rule) {
            case "commit":
                return true;
            case "later":
                return false;
            case "later-first":
                return !seen.add(key);
            case "throw":
                throw new IllegalStateException("told to throw");
            default:
                throw new IllegalArgumentException("no such answer: " + rule);
        }
    }
}
