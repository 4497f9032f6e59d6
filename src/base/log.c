#include "base/log.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static atomic_int log_level = RC_LOG_INFO;

void rc_log_set_level(enum rc_log_level level)
{
    atomic_store(&log_level, (int)level);
}

bool rc_log_is_on(enum rc_log_level level)
{
    return (int)level <= atomic_load_explicit(&log_level, memory_order_relaxed);
}

/* False when this site has used up its second; *ret_left_out counts what an earlier second left out. */
static bool site_admits(struct rc_log_site *site, uint32_t *ret_left_out)
{
    uint64_t second = rc_clock_mono_ns() / 1000000000u;
    *ret_left_out = 0;
    if (atomic_exchange(&site->second, second) != second) {
        atomic_store(&site->written, 0);
        *ret_left_out = (uint32_t)atomic_exchange(&site->left_out, 0);
    }
    if (atomic_fetch_add(&site->written, 1) < RC_LOG_SITE_PER_SECOND)
        return true;
    atomic_fetch_add(&site->left_out, 1);
    return false;
}

void rc_log_write(struct rc_log_site *site, enum rc_log_level level, const char *area, const char *format,
                  ...)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    uint32_t left_out;
    if (!site_admits(site, &left_out))
        return;
    char line[1024];
    int64_t ms = rc_clock_wall_ms();
    time_t second = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&second, &tm);
    size_t len = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
    len += (size_t)snprintf(line + len, sizeof(line) - len, ".%03dZ %s %s: ", (int)(ms % 1000), names[level],
                            area);
    va_list args;
    va_start(args, format);
    int text = vsnprintf(line + len, sizeof(line) - len, format, args);
    va_end(args);
    len += text < 0 ? 0 : (size_t)text;
    if (len < sizeof(line) && left_out > 0)
        len += (size_t)snprintf(line + len, sizeof(line) - len, " left_out=%u", left_out);
    if (len > sizeof(line) - 1)
        len = sizeof(line) - 1;
    line[len++] = '\n';
    /* One write, so that lines of different threads never mix; there is nowhere to report its failure. */
    ssize_t written = write(STDERR_FILENO, line, len);
    (void)written;
}

static const char *quote(char *out, size_t size, struct rc_slice text, uint8_t least)
{
    size_t len = text.len < size - 1 ? text.len : size - 1;
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = text.ptr[i];
        out[i] = byte >= least && byte < 0x7f ? (char)byte : '?';
    }
    out[len] = '\0';
    return out;
}

const char *rc_log_quote(char *out, size_t size, struct rc_slice text)
{
    return quote(out, size, text, 0x21);
}

const char *rc_log_quote_words(char *out, size_t size, struct rc_slice text)
{
    size_t len = 0;
    while (len < text.len && text.ptr[len] != '\n')
        len++;
    return quote(out, size, rc_slice(text.ptr, len), ' ');
}
