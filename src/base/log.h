/*
 * The server's own log: one line a message on stderr, `time level area: text key=value ...`. Any thread. Each
 * call site is rate limited (RC_LOG_SITE_PER_SECOND), and says how many lines it left out, so a hostile peer
 * cannot fill a disk. Text from the network must go through rc_log_quote. Never log a secret.
 */
#ifndef RC_BASE_LOG_H
#define RC_BASE_LOG_H

#include "base/slice.h"

#include <stdatomic.h>

enum rc_log_level { RC_LOG_ERROR, RC_LOG_WARN, RC_LOG_INFO, RC_LOG_DEBUG };

enum { RC_LOG_SITE_PER_SECOND = 10 };

struct rc_log_site {
    atomic_uint_fast64_t second;
    atomic_uint_fast32_t written;
    atomic_uint_fast32_t left_out;
};

void rc_log_set_level(enum rc_log_level level);
bool rc_log_is_on(enum rc_log_level level);

void rc_log_write(struct rc_log_site *site, enum rc_log_level level, const char *area, const char *format,
                  ...) __attribute__((format(printf, 4, 5)));

/* Copies at most size-1 bytes of `text` into `out`, replacing all but printable ASCII; returns `out`. */
const char *rc_log_quote(char *out, size_t size, struct rc_slice text);
/* The same of a sentence: its first line, and spaces stay. Not for a value of `key=value`, which ends there.
 */
const char *rc_log_quote_words(char *out, size_t size, struct rc_slice text);

#define rc_log(level, area, ...)                                                                             \
    do {                                                                                                     \
        static struct rc_log_site rc_log_site_;                                                              \
        if (rc_log_is_on(level))                                                                             \
            rc_log_write(&rc_log_site_, level, area, __VA_ARGS__);                                           \
    } while (0)
#define rc_log_error(area, ...) rc_log(RC_LOG_ERROR, area, __VA_ARGS__)
#define rc_log_warn(area, ...) rc_log(RC_LOG_WARN, area, __VA_ARGS__)
#define rc_log_info(area, ...) rc_log(RC_LOG_INFO, area, __VA_ARGS__)
#define rc_log_debug(area, ...) rc_log(RC_LOG_DEBUG, area, __VA_ARGS__)

#endif
