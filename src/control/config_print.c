/* The table the other way round: the effective configuration, the reference page, what has changed. */
#include "control/config_table.h"

#include <stdio.h>

/* ---- effective configuration ---- */
static void print_section(const struct rc_config_section *section, const void *in, int indent, bool is_item,
                          bool fixed_only, struct rc_buf *out);

static void print_indent(struct rc_buf *out, int indent)
{
    rc_buf_printf(out, "%*s", indent, "");
}

static void print_strings(const struct rc_config_entry *entry, const struct rc_config_list *list,
                          struct rc_buf *out)
{
    const struct rc_config_text *texts = list->items;
    rc_buf_put_str(out, " [");
    for (uint32_t i = 0; i < list->count; i++) {
        rc_buf_put_str(out, i == 0 ? "" : ", ");
        rc_config_value_print(entry, &texts[i], out);
    }
    rc_buf_put_str(out, "]\n");
}

/* `fixed_only`: without what a reload can change. */
static void print_entry(const struct rc_config_entry *entry, const void *in, int indent, bool fixed_only,
                        struct rc_buf *out)
{
    const void *field = (const char *)in + entry->offset;
    rc_buf_printf(out, "%s:", entry->key);
    if (rc_config_type_is_scalar(entry->type)) {
        rc_buf_put_u8(out, ' ');
        rc_config_value_print(entry, field, out);
        rc_buf_put_u8(out, '\n');
    } else if (entry->type == RC_CONFIG_SECTION) {
        rc_buf_put_u8(out, '\n');
        print_section(entry->section, field, indent + 2, false, fixed_only, out);
    } else if (entry->type == RC_CONFIG_STRINGS) {
        print_strings(entry, field, out);
    } else {
        const struct rc_config_list *list = field;
        rc_buf_put_str(out, list->count == 0 ? " []\n" : "\n");
        for (uint32_t i = 0; i < list->count; i++)
            print_section(entry->section, (const char *)list->items + i * entry->section->size, indent + 2,
                          true, fixed_only, out);
    }
}

/* An item's first key stands behind "- ", the others below it. */
static void print_section(const struct rc_config_section *section, const void *in, int indent, bool is_item,
                          bool fixed_only, struct rc_buf *out)
{
    for (size_t i = 0; i < section->count; i++) {
        if (fixed_only && section->entries[i].is_live)
            continue;
        print_indent(out, indent);
        if (is_item)
            rc_buf_put_str(out, i == 0 ? "- " : "  ");
        print_entry(&section->entries[i], in, indent + (is_item ? 2 : 0), fixed_only, out);
    }
}

int rc_config_print(const struct rc_config *config, struct rc_buf *out)
{
    print_section(&rc_config_root, config, 0, false, false, out);
    /* The appends above fail only at the limit, and then so does this. */
    return rc_buf_put_str(out, "");
}

/* ---- reference ---- */
static const char reference_head[] =
    "<!-- Written by `./dev docs` from src/control/config_table.c. Change it there. -->\n"
    "# Configuration\n\n"
    "`rollcall serve -c FILE` reads one YAML file. Every key is optional unless it says *required*. A key "
    "that does\n"
    "not exist, a value out of its bounds, a name twice: the server names all of them, each with file, line, "
    "column\n"
    "and what was expected, and does not start (exit code 2).\n\n"
    "    rollcall serve -c FILE --test-config     checks the file, says OK, exits\n"
    "    rollcall serve -c FILE --print-config    the same, and prints what is in effect, defaults "
    "included\n\n"
    "After a change send SIGHUP (`systemctl reload`). Keys marked *live* take effect then, for connected "
    "clients too:\n"
    "who has lost his right is disconnected (see [access.md](access.md)). Of a change to any other key the "
    "server says\n"
    "that it needs a restart. A file with an error changes nothing.\n\n"
    "Sizes are written with a unit: `64MiB` (B, KiB, MiB, GiB, TiB). Durations too: `500ms`, `72h` (ms, s, "
    "m, h, d).\n"
    "A secret may stand in the file, or elsewhere: `env:NAME` takes an environment variable, `file:PATH` the "
    "content\n"
    "of a file without its last line end. Anchors, aliases and tags of YAML are refused.\n\n"
    "Whole examples are [examples/quickstart.yaml](../examples/quickstart.yaml), for an ordinary MQTT "
    "broker\n"
    "[examples/standard.yaml](../examples/standard.yaml), for all transports "
    "[examples/tls.yaml](../examples/tls.yaml),\n"
    "and for all that tenants may be given [examples/tenants.yaml](../examples/tenants.yaml).\n";

static void print_bounds(const struct rc_config_entry *entry, struct rc_buf *out)
{
    if (entry->type == RC_CONFIG_STRINGS || entry->type == RC_CONFIG_SECTIONS) {
        rc_buf_printf(out, "list of at most %lld", (long long)entry->max);
        if (entry->type == RC_CONFIG_SECTIONS)
            return;
        rc_buf_put_str(out, "; each ");
    }
    if (entry->type == RC_CONFIG_SECRET)
        rc_buf_put_str(out, "secret, ");
    rc_config_value_expected(entry, out);
}

static void print_default(const struct rc_config_entry *entry, struct rc_buf *out)
{
    if (entry->type == RC_CONFIG_STRINGS)
        rc_buf_put_str(out, "`[]`");
    else if (entry->type == RC_CONFIG_SECTIONS)
        rc_buf_put_str(out, entry->one_by_default ? "one with its defaults" : "`[]`");
    else if (entry->default_text == NULL)
        rc_buf_put_str(out, "*required*");
    else
        rc_buf_printf(out, "`%s`", *entry->default_text != '\0' ? entry->default_text : "\"\"");
}

static void print_reference_section(const struct rc_config_section *section, const char *path,
                                    const char *doc, struct rc_buf *out)
{
    char below[128];
    rc_buf_printf(out, "\n## %s\n\n%s\n\n", *path != '\0' ? path : "Top level",
                  doc != NULL ? doc : "The server as a whole.");
    for (size_t i = 0; i < section->count; i++) {
        const struct rc_config_entry *entry = &section->entries[i];
        if (entry->type == RC_CONFIG_SECTION)
            continue;
        rc_buf_printf(out, "- **`%s`** (", entry->key);
        print_bounds(entry, out);
        rc_buf_put_str(out, "; default ");
        print_default(entry, out);
        rc_buf_printf(out, "%s)  \n  %s\n", entry->is_live ? "; *live*" : "", entry->doc);
    }
    for (size_t i = 0; i < section->count; i++) {
        const struct rc_config_entry *entry = &section->entries[i];
        if (entry->section == NULL)
            continue;
        snprintf(below, sizeof(below), "%s%s%s%s", path, *path != '\0' ? "." : "", entry->key,
                 entry->type == RC_CONFIG_SECTIONS ? "[]" : "");
        print_reference_section(entry->section, below, entry->doc, out);
    }
}

int rc_config_print_reference(struct rc_buf *out)
{
    rc_buf_put_str(out, reference_head);
    print_reference_section(&rc_config_root, "", NULL, out);
    return rc_buf_put_str(out, "");
}

/* ---- what a reload cannot change ---- */
struct comparison {
    void (*report)(const char *path, void *arg);
    void *arg;
};

/* By their printed form: all that counts is in it, but secrets, and those are live. */
static bool is_same(const struct rc_config_entry *entry, const void *before, const void *after)
{
    struct rc_buf a, b;
    rc_buf_init(&a, 1024 * 1024);
    rc_buf_init(&b, 1024 * 1024);
    print_entry(entry, before, 0, true, &a);
    print_entry(entry, after, 0, true, &b);
    bool same = rc_slice_eq(rc_buf_slice(&a), rc_buf_slice(&b));
    rc_buf_free(&a);
    rc_buf_free(&b);
    return same;
}

static void compare_section(const struct rc_config_section *section, const void *before, const void *after,
                            const char *path, const struct comparison *to)
{
    char below[128];
    for (size_t i = 0; i < section->count; i++) {
        const struct rc_config_entry *entry = &section->entries[i];
        snprintf(below, sizeof(below), "%s%s%s", path, *path != '\0' ? "." : "", entry->key);
        if (entry->type == RC_CONFIG_SECTION)
            compare_section(entry->section, (const char *)before + entry->offset,
                            (const char *)after + entry->offset, below, to);
        else if (!entry->is_live && !is_same(entry, before, after))
            to->report(below, to->arg);
    }
}

void rc_config_each_fixed_change(const struct rc_config *before, const struct rc_config *after,
                                 void (*report)(const char *path, void *arg), void *arg)
{
    const struct comparison to = {.report = report, .arg = arg};
    compare_section(&rc_config_root, before, after, "", &to);
}
