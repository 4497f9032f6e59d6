/* Scalars: from the text of a file to a checked value, and back. */
#include "control/config_table.h"

#include "base/alloc.h"
#include "base/units.h"
#include "net/address.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit size_units[] = {
    {"TiB", 1ll << 40}, {"GiB", 1ll << 30}, {"MiB", 1ll << 20}, {"KiB", 1ll << 10}, {"", 1}, {"B", 1},
};
static const struct unit duration_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};
enum {
    SIZE_UNITS = sizeof(size_units) / sizeof(size_units[0]),
    DURATION_UNITS = sizeof(duration_units) / sizeof(duration_units[0]),
};

bool rc_config_type_is_scalar(enum rc_config_type type)
{
    return type < RC_CONFIG_SECTION;
}

bool rc_config_type_is_text(enum rc_config_type type)
{
    switch (type) {
    case RC_CONFIG_STRING:
    case RC_CONFIG_STRINGS:
    case RC_CONFIG_SECRET:
    case RC_CONFIG_PEM:
    case RC_CONFIG_ADDRESS:
    case RC_CONFIG_LISTEN:
    case RC_CONFIG_HOSTPORT:
        return true;
    default:
        return false;
    }
}

static bool parse_integer(const struct rc_config_entry *entry, struct rc_slice text, int64_t *ret)
{
    enum rc_units units = entry->type == RC_CONFIG_SIZE       ? RC_UNITS_SIZE
                          : entry->type == RC_CONFIG_DURATION ? RC_UNITS_DURATION
                                                              : RC_UNITS_NONE;
    int64_t value;
    if (!rc_units_parse(units, text, &value) || value < entry->min || value > entry->max)
        return false;
    *ret = value;
    return true;
}

static bool is_port(struct rc_slice text)
{
    int64_t port;
    return rc_units_parse(RC_UNITS_NONE, text, &port) && port >= 1 && port <= 65535;
}

static bool is_address(struct rc_slice text, struct rc_address *ret)
{
    char copy[RC_ADDRESS_TEXT_MAX];
    if (text.len >= sizeof(copy) || memchr(text.ptr, 0, text.len) != NULL)
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return rc_address_parse(copy, ret, NULL) == RC_OK;
}

/* An IP address and a port, as net takes them. */
static bool is_ip_address(struct rc_slice text, struct rc_address *ret)
{
    return is_address(text, ret) && rc_address_is_ip(ret);
}

static bool is_host_name(struct rc_slice host)
{
    for (size_t i = 0; i < host.len; i++) {
        uint8_t c = host.ptr[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_letter && c != '-' && c != '.' && c != '_')
            return false;
    }
    return host.len > 0 && host.len <= 253;
}

/* What somebody else can connect to: a name or an address of one machine, and a port. */
static bool is_host_port(struct rc_slice text)
{
    struct rc_address address;
    if (is_ip_address(text, &address))
        return !rc_address_is_wildcard(&address) && rc_address_port(&address) != 0;
    const uint8_t *colon = memchr(text.ptr, ':', text.len);
    if (colon == NULL)
        return false;
    size_t host_len = (size_t)(colon - text.ptr);
    return is_host_name(rc_slice(text.ptr, host_len)) && is_port(rc_slice_from(text, host_len + 1));
}

static void set_text(struct rc_config_memory **memory, struct rc_slice text, struct rc_config_text *field)
{
    char *copy = rc_config_alloc(memory, text.len + 1);
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    field->text = copy;
}

static bool has_length(const struct rc_config_entry *entry, struct rc_slice text)
{
    int64_t len = (int64_t)text.len;
    return len >= entry->min && (entry->max == 0 || len <= entry->max) &&
           memchr(text.ptr, 0, text.len) == NULL;
}

/* Reads a small file, without the line end that editors leave at its end. */
static bool read_secret_file(const char *path, char *out, size_t size, struct rc_slice *ret)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    ssize_t len = read(fd, out, size);
    close(fd);
    if (len < 0)
        return false;
    while (len > 0 && (out[len - 1] == '\n' || out[len - 1] == '\r'))
        len--;
    *ret = rc_slice(out, (size_t)len);
    return true;
}

/* What may stand elsewhere. What is wrong with it is told without it: it may be secret. */
static bool parse_elsewhere(const struct rc_config_entry *entry, struct rc_slice text,
                            struct rc_config_memory **memory, struct rc_config_text *field,
                            struct rc_buf *why)
{
    char content[RC_CONFIG_TEXT_FILE_MAX];
    const char *what = entry->type == RC_CONFIG_SECRET ? "secret" : "text";
    struct rc_config_text name = {.text = ""};
    if (rc_slice_starts_with(text, rc_slice_str("env:"))) {
        set_text(memory, rc_slice_from(text, 4), &name);
        const char *value = getenv(name.text);
        if (value == NULL)
            return rc_buf_printf(why, "the environment has no variable %s", name.text), false;
        text = rc_slice_str(value);
    } else if (rc_slice_starts_with(text, rc_slice_str("file:"))) {
        set_text(memory, rc_slice_from(text, 5), &name);
        if (!read_secret_file(name.text, content, sizeof(content), &text))
            return rc_buf_printf(why, "the file %s cannot be read: %s", name.text, strerror(errno)), false;
    }
    if (!has_length(entry, text)) {
        rc_buf_printf(why, "the %s has %zu bytes, %lld to %lld were expected", what, text.len,
                      (long long)entry->min, (long long)entry->max);
        return false;
    }
    if (entry->is_valid != NULL && !entry->is_valid(text)) {
        rc_buf_printf(why, "the %s has another form, %s was expected", what, entry->expected);
        return false;
    }
    set_text(memory, text, field);
    return true;
}

static bool parse_text(const struct rc_config_entry *entry, struct rc_slice text,
                       struct rc_config_memory **memory, struct rc_config_text *field)
{
    bool is_right;
    struct rc_address address;
    if (entry->type == RC_CONFIG_ADDRESS)
        is_right = is_ip_address(text, &address);
    else if (entry->type == RC_CONFIG_LISTEN)
        is_right = text.len == 0 || is_address(text, &address);
    else if (entry->type == RC_CONFIG_HOSTPORT)
        is_right = text.len == 0 || is_host_port(text);
    else
        is_right = has_length(entry, text) && (entry->is_valid == NULL || entry->is_valid(text));
    if (is_right)
        set_text(memory, text, field);
    return is_right;
}

static bool parse_enum(const struct rc_config_entry *entry, struct rc_slice text, int *ret)
{
    for (int i = 0; entry->names[i] != NULL; i++) {
        if (rc_slice_eq_str(text, entry->names[i])) {
            *ret = i;
            return true;
        }
    }
    return false;
}

static bool parse_bool(struct rc_slice text, bool *ret)
{
    bool is_true = rc_slice_eq_str(text, "true");
    if (!is_true && !rc_slice_eq_str(text, "false"))
        return false;
    *ret = is_true;
    return true;
}

bool rc_config_value_parse(const struct rc_config_entry *entry, struct rc_slice text,
                           struct rc_config_memory **memory, void *field, struct rc_buf *why)
{
    bool is_right = false;
    switch (entry->type) {
    case RC_CONFIG_SECRET:
    case RC_CONFIG_PEM:
        return parse_elsewhere(entry, text, memory, field, why);
    case RC_CONFIG_BOOL:
        is_right = parse_bool(text, field);
        break;
    case RC_CONFIG_INTEGER:
    case RC_CONFIG_SIZE:
    case RC_CONFIG_DURATION:
        is_right = parse_integer(entry, text, field);
        break;
    case RC_CONFIG_ENUM:
        is_right = parse_enum(entry, text, field);
        break;
    case RC_CONFIG_STRING:
    case RC_CONFIG_STRINGS:
    case RC_CONFIG_ADDRESS:
    case RC_CONFIG_LISTEN:
    case RC_CONFIG_HOSTPORT:
        is_right = parse_text(entry, text, memory, field);
        break;
    case RC_CONFIG_SECTION:
    case RC_CONFIG_SECTIONS:
        break;
    }
    if (!is_right) {
        char quoted[64];
        size_t shown = text.len < 40 ? text.len : 40;
        for (size_t i = 0; i < shown; i++)
            quoted[i] = text.ptr[i] < ' ' || text.ptr[i] == 0x7f ? '?' : (char)text.ptr[i];
        rc_buf_printf(why, "'%.*s%s' was given, ", (int)shown, quoted, shown < text.len ? "..." : "");
        rc_config_value_expected(entry, why);
        rc_buf_put_str(why, " was expected");
    }
    return is_right;
}

/* ---- back to text ---- */

/* The largest unit that divides the value, so that 1073741824 reads 1GiB. */
static void print_with_unit(struct rc_buf *out, int64_t value, const struct unit *units, size_t count)
{
    size_t i = 0;
    while (value != 0 && i + 1 < count && value % units[i].factor != 0)
        i++;
    if (value == 0)
        rc_buf_put_u8(out, '0');
    else
        rc_buf_printf(out, "%lld%s", (long long)(value / units[i].factor), units[i].name);
}

static void print_number(const struct rc_config_entry *entry, int64_t value, struct rc_buf *out)
{
    if (entry->type == RC_CONFIG_SIZE)
        print_with_unit(out, value, size_units, SIZE_UNITS);
    else if (entry->type == RC_CONFIG_DURATION)
        print_with_unit(out, value, duration_units, DURATION_UNITS);
    else
        rc_buf_printf(out, "%lld", (long long)value);
}

static void print_range(const struct rc_config_entry *entry, struct rc_buf *out)
{
    rc_buf_put_str(out, " from ");
    print_number(entry, entry->min, out);
    rc_buf_put_str(out, " to ");
    print_number(entry, entry->max, out);
}

void rc_config_value_expected(const struct rc_config_entry *entry, struct rc_buf *out)
{
    switch (entry->type) {
    case RC_CONFIG_BOOL:
        rc_buf_put_str(out, "true or false");
        break;
    case RC_CONFIG_INTEGER:
        rc_buf_put_str(out, "a whole number");
        print_range(entry, out);
        break;
    case RC_CONFIG_SIZE:
        rc_buf_put_str(out, "a size (B, KiB, MiB, GiB, TiB)");
        print_range(entry, out);
        break;
    case RC_CONFIG_DURATION:
        rc_buf_put_str(out, "a duration (ms, s, m, h, d)");
        print_range(entry, out);
        break;
    case RC_CONFIG_ADDRESS:
        rc_buf_put_str(out, "an IP address and a port such as 127.0.0.1:1883 or [::1]:1883");
        break;
    case RC_CONFIG_LISTEN:
        rc_buf_put_str(out, "an IP address and a port such as 127.0.0.1:1883 or [::]:1883, or unix:/path");
        break;
    case RC_CONFIG_HOSTPORT:
        rc_buf_put_str(out, "a host and a port such as mq.example.com:9876");
        break;
    case RC_CONFIG_ENUM:
        for (int i = 0; entry->names[i] != NULL; i++)
            rc_buf_printf(out, "%s%s", i == 0 ? "" : (entry->names[i + 1] != NULL ? ", " : " or "),
                          entry->names[i]);
        break;
    case RC_CONFIG_SECTION:
        rc_buf_put_str(out, "a mapping (key: value)");
        break;
    case RC_CONFIG_SECTIONS:
    case RC_CONFIG_STRINGS:
    case RC_CONFIG_STRING:
    case RC_CONFIG_SECRET:
    case RC_CONFIG_PEM:
        if (entry->expected != NULL)
            rc_buf_put_str(out, entry->expected);
        else
            rc_buf_printf(out, "text of %lld to %lld bytes", (long long)entry->min, (long long)entry->max);
        break;
    }
}

/* In double quotes: YAML takes JSON's escapes there. */
static void print_text(const char *text, struct rc_buf *out)
{
    rc_buf_put_u8(out, '"');
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            rc_buf_put_u8(out, '\\');
        if ((uint8_t)*c < ' ')
            rc_buf_printf(out, "\\x%02x", (uint8_t)*c);
        else
            rc_buf_put_u8(out, (uint8_t)*c);
    }
    rc_buf_put_u8(out, '"');
}

void rc_config_value_print(const struct rc_config_entry *entry, const void *field, struct rc_buf *out)
{
    switch (entry->type) {
    case RC_CONFIG_BOOL:
        rc_buf_put_str(out, *(const bool *)field ? "true" : "false");
        break;
    case RC_CONFIG_INTEGER:
    case RC_CONFIG_SIZE:
    case RC_CONFIG_DURATION:
        print_number(entry, *(const int64_t *)field, out);
        break;
    case RC_CONFIG_ENUM:
        rc_buf_put_str(out, entry->names[*(const int *)field]);
        break;
    case RC_CONFIG_SECRET:
        rc_buf_put_str(out, "\"(secret)\"");
        break;
    case RC_CONFIG_STRING:
    case RC_CONFIG_STRINGS:
    case RC_CONFIG_PEM:
    case RC_CONFIG_ADDRESS:
    case RC_CONFIG_LISTEN:
    case RC_CONFIG_HOSTPORT:
        print_text(((const struct rc_config_text *)field)->text, out);
        break;
    case RC_CONFIG_SECTION:
    case RC_CONFIG_SECTIONS:
        break;
    }
}
