/* The document tree -> struct rc_config, by the table. Goes on after an error, to report all of them. */
#include "control/config_table.h"

#include "base/alloc.h"
#include "base/nearest.h"
#include "control/config_yaml.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { PATH_MAX_BYTES = 512 };

struct reader {
    const char *file;
    yaml_document_t *document;
    struct rc_config_errors *errors;
    struct rc_config_memory **memory;
    char path[PATH_MAX_BYTES]; /* of the key that is being read, for the messages */
    size_t path_len;
};

/* Returns the length to go back to with path_pop. */
static size_t path_push_key(struct reader *reader, const char *key)
{
    size_t before = reader->path_len;
    int len = snprintf(reader->path + before, PATH_MAX_BYTES - before, "%s%s", before > 0 ? "." : "", key);
    if (len > 0 && before + (size_t)len < PATH_MAX_BYTES)
        reader->path_len += (size_t)len;
    return before;
}

static size_t path_push_index(struct reader *reader, uint32_t index)
{
    size_t before = reader->path_len;
    int len = snprintf(reader->path + before, PATH_MAX_BYTES - before, "[%u]", index);
    if (len > 0 && before + (size_t)len < PATH_MAX_BYTES)
        reader->path_len += (size_t)len;
    return before;
}

static void path_pop(struct reader *reader, size_t before)
{
    reader->path_len = before;
    reader->path[before] = '\0';
}

static struct rc_slice scalar_text(const yaml_node_t *node)
{
    return rc_slice(node->data.scalar.value, node->data.scalar.length);
}

static bool is_null(const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    struct rc_slice text = scalar_text(node);
    return text.len == 0 || rc_slice_eq_str(text, "~") || rc_slice_eq_str(text, "null");
}

static const char *shape_name(const yaml_node_t *node)
{
    if (node->type == YAML_MAPPING_NODE)
        return "a mapping";
    if (node->type == YAML_SEQUENCE_NODE)
        return "a list";
    return is_null(node) ? "nothing" : "a single value";
}

static void add_shape_error(struct reader *reader, const struct rc_config_entry *entry,
                            const yaml_node_t *node)
{
    struct rc_buf expected;
    rc_buf_init(&expected, 512);
    bool is_list = entry->type == RC_CONFIG_SECTIONS || entry->type == RC_CONFIG_STRINGS;
    if (is_list)
        rc_buf_put_str(&expected, entry->type == RC_CONFIG_STRINGS
                                      ? "a list ([a, b] or lines that begin with -)"
                                      : "a list of mappings (lines that begin with -)");
    else
        rc_config_value_expected(entry, &expected);
    rc_buf_put_u8(&expected, 0);
    rc_config_errors_add(reader->errors, reader->file, rc_config_yaml_at(node->start_mark), reader->path,
                         "%s was given, %s was expected", shape_name(node), (const char *)expected.data);
    rc_buf_free(&expected);
}

static void read_scalar(struct reader *reader, const struct rc_config_entry *entry, const yaml_node_t *node,
                        void *field)
{
    if (node->type != YAML_SCALAR_NODE || is_null(node)) {
        add_shape_error(reader, entry, node);
        return;
    }
    struct rc_buf why;
    rc_buf_init(&why, 600);
    struct rc_config_at at = rc_config_yaml_at(node->start_mark);
    if (!rc_config_value_parse(entry, scalar_text(node), reader->memory, field, &why))
        rc_config_errors_add(reader->errors, reader->file, at, reader->path, "%.*s",
                             RC_SLICE_FMT(rc_buf_slice(&why)));
    else if (rc_config_type_is_text(entry->type))
        ((struct rc_config_text *)field)->at = at;
    rc_buf_free(&why);
}

static void read_section(struct reader *reader, const struct rc_config_section *section,
                         const yaml_node_t *node, struct rc_config_at at, void *out);

/* `item_size` bytes an item; items are read by read_section or, for strings, read_scalar. */
static void read_list(struct reader *reader, const struct rc_config_entry *entry, const yaml_node_t *node,
                      struct rc_config_list *list)
{
    if (is_null(node))
        return;
    if (node->type != YAML_SEQUENCE_NODE) {
        add_shape_error(reader, entry, node);
        return;
    }
    const yaml_node_item_t *first = node->data.sequence.items.start;
    size_t count = (size_t)(node->data.sequence.items.top - first);
    if (count > (size_t)entry->max) {
        rc_config_errors_add(reader->errors, reader->file, rc_config_yaml_at(node->start_mark), reader->path,
                             "%zu items were given, at most %lld were expected", count,
                             (long long)entry->max);
        return;
    }
    bool is_strings = entry->type == RC_CONFIG_STRINGS;
    size_t item_size = is_strings ? sizeof(struct rc_config_text) : entry->section->size;
    list->items = rc_config_alloc(reader->memory, count * item_size);
    list->count = (uint32_t)count;
    for (uint32_t i = 0; i < count; i++) {
        const yaml_node_t *item = yaml_document_get_node(reader->document, first[i]);
        void *out = (char *)list->items + i * item_size;
        size_t before = path_push_index(reader, i);
        if (is_strings)
            read_scalar(reader, entry, item, out);
        else
            read_section(reader, entry->section, item, rc_config_yaml_at(item->start_mark), out);
        path_pop(reader, before);
    }
}

static void read_entry(struct reader *reader, const struct rc_config_entry *entry, const yaml_node_t *node,
                       void *out)
{
    void *field = (char *)out + entry->offset;
    if (rc_config_type_is_scalar(entry->type))
        read_scalar(reader, entry, node, field);
    else if (entry->type == RC_CONFIG_SECTION)
        read_section(reader, entry->section, node, rc_config_yaml_at(node->start_mark), field);
    else
        read_list(reader, entry, node, field);
}

/* `at`: where the section stands in which the key is missing. */
static void read_default(struct reader *reader, const struct rc_config_entry *entry, struct rc_config_at at,
                         void *out)
{
    void *field = (char *)out + entry->offset;
    struct rc_buf text;
    rc_buf_init(&text, 512);
    if (entry->type == RC_CONFIG_SECTION) {
        read_section(reader, entry->section, NULL, at, field);
    } else if (entry->type == RC_CONFIG_SECTIONS && entry->one_by_default) {
        struct rc_config_list *list = field;
        list->items = rc_config_alloc(reader->memory, entry->section->size);
        list->count = 1;
        read_section(reader, entry->section, NULL, at, list->items);
    } else if (rc_config_type_is_scalar(entry->type) && entry->default_text != NULL) {
        bool is_right =
            rc_config_value_parse(entry, rc_slice_str(entry->default_text), reader->memory, field, &text);
        assert(is_right && "a default must be a legal value");
        (void)is_right;
    } else if (rc_config_type_is_scalar(entry->type)) {
        rc_config_value_expected(entry, &text);
        rc_config_errors_add(reader->errors, reader->file, at, reader->path,
                             "nothing was given, %.*s was expected", RC_SLICE_FMT(rc_buf_slice(&text)));
    }
    rc_buf_free(&text);
}

static const char *entry_key(const void *entries, size_t index)
{
    return ((const struct rc_config_entry *)entries)[index].key;
}

static void refuse_unknown_key(struct reader *reader, const struct rc_config_section *section,
                               const yaml_node_t *key)
{
    char shown[48];
    struct rc_slice text = scalar_text(key);
    size_t len = text.len < sizeof(shown) - 1 ? text.len : sizeof(shown) - 1;
    for (size_t i = 0; i < len; i++)
        shown[i] = text.ptr[i] < ' ' || text.ptr[i] == 0x7f ? '?' : (char)text.ptr[i];
    shown[len] = '\0';
    const char *near = rc_nearest(text, entry_key, section->entries, section->count);
    rc_config_errors_add(reader->errors, reader->file, rc_config_yaml_at(key->start_mark), reader->path,
                         near != NULL ? "the key '%s' is unknown, did you mean '%s'?"
                                      : "the key '%s' is unknown",
                         shown, near);
}

static const struct rc_config_entry *find_entry(const struct rc_config_section *section, struct rc_slice key)
{
    for (size_t i = 0; i < section->count; i++) {
        if (rc_slice_eq_str(key, section->entries[i].key))
            return &section->entries[i];
    }
    return NULL;
}

static void read_pair(struct reader *reader, const struct rc_config_section *section, const yaml_node_t *key,
                      const yaml_node_t *value, uint32_t *seen, void *out)
{
    if (key->type != YAML_SCALAR_NODE) {
        rc_config_errors_add(reader->errors, reader->file, rc_config_yaml_at(key->start_mark), reader->path,
                             "%s was given, a key was expected", shape_name(key));
        return;
    }
    const struct rc_config_entry *entry = find_entry(section, scalar_text(key));
    if (entry == NULL) {
        refuse_unknown_key(reader, section, key);
        return;
    }
    uint32_t bit = 1u << (entry - section->entries);
    size_t before = path_push_key(reader, entry->key);
    if (*seen & bit)
        rc_config_errors_add(reader->errors, reader->file, rc_config_yaml_at(key->start_mark), reader->path,
                             "the key was given twice, once was expected");
    else
        read_entry(reader, entry, value, out);
    *seen |= bit;
    path_pop(reader, before);
}

static void read_section(struct reader *reader, const struct rc_config_section *section,
                         const yaml_node_t *node, struct rc_config_at at, void *out)
{
    uint32_t seen = 0;
    assert(section->count <= 32);
    if (node != NULL && node->type == YAML_MAPPING_NODE) {
        for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top;
             pair++)
            read_pair(reader, section, yaml_document_get_node(reader->document, pair->key),
                      yaml_document_get_node(reader->document, pair->value), &seen, out);
    } else if (node != NULL && !is_null(node)) {
        rc_config_errors_add(reader->errors, reader->file, at, reader->path,
                             "%s was given, a mapping (key: value) was expected", shape_name(node));
        return;
    }
    for (size_t i = 0; i < section->count; i++) {
        if (seen & (1u << i))
            continue;
        size_t before = path_push_key(reader, section->entries[i].key);
        read_default(reader, &section->entries[i], at, out);
        path_pop(reader, before);
    }
    if (section->complete != NULL)
        section->complete(out);
}

struct rc_config *rc_config_parse(const char *file, struct rc_slice yaml, struct rc_config_errors *errors)
{
    yaml_document_t document;
    uint32_t errors_before = errors->count;
    if (!rc_config_yaml_load(file, yaml, errors, &document))
        return NULL;
    struct rc_config *config = rc_new(struct rc_config);
    struct rc_config_memory *memory = NULL;
    struct reader reader = {.file = file, .document = &document, .errors = errors, .memory = &memory};
    struct rc_config_at top = {.line = 1, .column = 1};
    read_section(&reader, &rc_config_root, yaml_document_get_root_node(&document), top, config);
    yaml_document_delete(&document);
    char *name = rc_config_alloc(&memory, strlen(file) + 1);
    memcpy(name, file, strlen(file));
    config->file = name;
    config->memory = memory;
    if (errors->count == errors_before)
        return config;
    rc_config_free(config);
    return NULL;
}

/* Reads to the end or to one byte past the limit. */
static bool read_file(const char *file, struct rc_buf *out, struct rc_config_errors *errors)
{
    static const struct rc_config_at nowhere = {0};
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        rc_config_errors_add(errors, file, nowhere, "", "the file cannot be opened: %s", strerror(errno));
        return false;
    }
    ssize_t len;
    do {
        enum { PIECE = 64 * 1024 };
        uint8_t *room = rc_buf_reserve(out, PIECE);
        if (room == NULL) {
            rc_config_errors_add(errors, file, nowhere, "", "the file is larger than %d bytes",
                                 RC_CONFIG_FILE_MAX);
            close(fd);
            return false;
        }
        len = read(fd, room, PIECE);
        if (len > 0)
            rc_buf_commit(out, (size_t)len);
    } while (len > 0 || (len < 0 && errno == EINTR));
    if (len < 0)
        rc_config_errors_add(errors, file, nowhere, "", "the file cannot be read: %s", strerror(errno));
    close(fd);
    return len == 0;
}

struct rc_config *rc_config_load(const char *file, struct rc_config_errors *errors)
{
    struct rc_buf yaml;
    struct rc_config *config = NULL;
    rc_buf_init(&yaml, RC_CONFIG_FILE_MAX);
    if (read_file(file, &yaml, errors))
        config = rc_config_parse(file, rc_buf_slice(&yaml), errors);
    /* It may hold secrets. */
    if (yaml.data != NULL)
        explicit_bzero(yaml.data, yaml.cap);
    rc_buf_free(&yaml);
    return config;
}

void rc_config_free(struct rc_config *config)
{
    if (config == NULL)
        return;
    rc_config_memory_free(config->memory);
    free(config);
}
