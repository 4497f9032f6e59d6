#include "cli/sim_record.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json_write.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>

enum { LINE_MAX_BYTES = 1024, FIRST_ENTRIES = 1024 };

static const char *const end_names[] = {
    [RC_SIM_END_NONE] = "none",       [RC_SIM_END_LEAVE] = "leave",       [RC_SIM_END_CLOSE] = "close",
    [RC_SIM_END_CUT] = "cut",         [RC_SIM_END_TAKEOVER] = "takeover", [RC_SIM_END_SERVER] = "server",
    [RC_SIM_END_TIMEOUT] = "timeout",
};
static const char *const outcome_names[] = {
    [RC_SIM_UNANSWERED] = "unanswered",
    [RC_SIM_ACCEPTED] = "accepted",
    [RC_SIM_REFUSED] = "refused",
    [RC_SIM_NOT_REACHED] = "not-reached",
};
enum {
    ENDS = sizeof(end_names) / sizeof(end_names[0]),
    OUTCOMES = sizeof(outcome_names) / sizeof(outcome_names[0]),
};

const char *rc_sim_end_name(enum rc_sim_end end)
{
    return end_names[end];
}

int rc_sim_record_init(struct rc_sim_record *record, const char *group, const char *prefix, uint32_t clients)
{
    *record = (struct rc_sim_record){
        .clients = clients,
        .wall_start_ms = rc_clock_wall_ms(),
        .mono_start_us = rc_clock_mono_ns() / 1000,
    };
    if (strlen(group) >= sizeof(record->group) || strlen(prefix) >= sizeof(record->prefix))
        return RC_ERR_TOO_LARGE;
    memcpy(record->group, group, strlen(group) + 1);
    memcpy(record->prefix, prefix, strlen(prefix) + 1);
    return RC_OK;
}

void rc_sim_record_free(struct rc_sim_record *record)
{
    free(record->entries);
    record->entries = NULL;
    record->count = record->cap = 0;
}

uint64_t rc_sim_record_now_us(const struct rc_sim_record *record)
{
    return rc_clock_mono_ns() / 1000 - record->mono_start_us;
}

uint32_t rc_sim_record_add(struct rc_sim_record *record)
{
    if (record->count >= RC_SIM_CONNECTIONS_MAX)
        return RC_SIM_CONNECTIONS_MAX;
    if (record->count == record->cap) {
        record->cap = record->cap ? record->cap * 2 : FIRST_ENTRIES;
        record->entries = rc_realloc(record->entries, record->cap * sizeof(*record->entries));
    }
    record->entries[record->count] = (struct rc_sim_entry){0};
    return record->count++;
}

void rc_sim_client_id(const struct rc_sim_record *record, uint32_t client,
                      char out[RC_SIM_CLIENT_ID_MAX * 2 + 16])
{
    snprintf(out, RC_SIM_CLIENT_ID_MAX * 2 + 16, "%s@@@%s-%u", record->group, record->prefix, client);
}

bool rc_sim_client_number(const struct rc_sim_record *record, struct rc_slice client_id, uint32_t *ret)
{
    char head[RC_SIM_CLIENT_ID_MAX * 2 + 16];
    int len = snprintf(head, sizeof(head), "%s@@@%s-", record->group, record->prefix);
    if (!rc_slice_starts_with(client_id, rc_slice(head, (size_t)len)))
        return false;
    struct rc_slice digits = rc_slice_from(client_id, (size_t)len);
    uint64_t number = 0;
    if (digits.len == 0 || digits.len > 9)
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.ptr[i] < '0' || digits.ptr[i] > '9')
            return false;
        number = number * 10 + (digits.ptr[i] - '0');
    }
    if (number >= record->clients)
        return false;
    *ret = (uint32_t)number;
    return true;
}

const char *rc_sim_entry_address(const struct rc_sim_entry *entry, char out[64])
{
    char ip[INET6_ADDRSTRLEN] = "";
    inet_ntop(entry->is_v6 ? AF_INET6 : AF_INET, entry->local_addr, ip, sizeof(ip));
    snprintf(out, 64, entry->is_v6 ? "[%s]:%u" : "%s:%u", ip, entry->local_port);
    return out;
}

bool rc_sim_address_parse(const char *text, bool *ret_is_v6, uint8_t ret_addr[16], uint16_t *ret_port)
{
    char ip[INET6_ADDRSTRLEN + 2];
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon - text < 2 || (size_t)(colon - text) >= sizeof(ip))
        return false;
    bool is_v6 = text[0] == '[';
    size_t len = (size_t)(colon - text) - (is_v6 ? 2 : 0);
    memcpy(ip, text + (is_v6 ? 1 : 0), len);
    ip[len] = '\0';
    *ret_port = (uint16_t)strtoul(colon + 1, NULL, 10);
    *ret_is_v6 = is_v6;
    return inet_pton(is_v6 ? AF_INET6 : AF_INET, ip, ret_addr) == 1;
}

/* ---- writing ---- */

static void put_entry(struct rc_json *json, const struct rc_sim_record *record,
                      const struct rc_sim_entry *entry)
{
    char text[RC_SIM_CLIENT_ID_MAX * 2 + 16];
    rc_json_object_begin(json);
    rc_sim_client_id(record, entry->client, text);
    rc_json_put_str(json, "client", text);
    if (entry->local_port != 0)
        rc_json_put_str(json, "address", rc_sim_entry_address(entry, text));
    rc_json_put_str(json, "outcome", outcome_names[entry->outcome]);
    rc_json_put_int(json, "code", entry->code);
    rc_json_put_str(json, "end", end_names[entry->end]);
    rc_json_put_int(json, "dialUs", (int64_t)entry->dial_us);
    rc_json_put_int(json, "connectUs", (int64_t)entry->connect_us);
    rc_json_put_int(json, "connackUs", (int64_t)entry->answer_us);
    rc_json_put_int(json, "endUs", (int64_t)entry->end_us);
    rc_json_object_end(json);
}

static void put_head(struct rc_json *json, const struct rc_sim_record *record)
{
    rc_json_object_begin(json);
    rc_json_put_int(json, "rollcallSim", 1);
    rc_json_put_str(json, "group", record->group);
    rc_json_put_str(json, "prefix", record->prefix);
    rc_json_put_int(json, "clients", record->clients);
    rc_json_put_int(json, "startMs", record->wall_start_ms);
    rc_json_object_end(json);
}

static bool write_line(FILE *file, struct rc_buf *line)
{
    struct rc_slice bytes = rc_buf_slice(line);
    bool ok = fwrite(bytes.ptr, 1, bytes.len, file) == bytes.len && fputc('\n', file) != EOF;
    rc_buf_consume(line, bytes.len);
    return ok;
}

int rc_sim_record_write(const struct rc_sim_record *record, const char *path, struct rc_error *error)
{
    struct rc_buf line;
    struct rc_json json;
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return rc_error_set(error, rc_err_from_errno(errno), "%s: %s", path, strerror(errno));
    rc_buf_init(&line, LINE_MAX_BYTES);
    rc_json_init(&json, &line);
    put_head(&json, record);
    bool ok = write_line(file, &line);
    for (uint32_t i = 0; ok && i < record->count; i++) {
        rc_json_init(&json, &line);
        put_entry(&json, record, &record->entries[i]);
        ok = write_line(file, &line);
    }
    rc_buf_free(&line);
    if (fclose(file) != 0 || !ok)
        return rc_error_set(error, RC_ERR_IO, "%s: could not be written: %s", path, strerror(errno));
    return RC_OK;
}

/* ---- reading ---- */

static bool read_name(const json_t *json, const char *key, const char *const *names, int count, uint8_t *ret)
{
    const char *text = json_string_value(json_object_get(json, key));
    for (int i = 0; text != NULL && i < count; i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret = (uint8_t)i;
            return true;
        }
    }
    return false;
}

static uint64_t read_number(const json_t *json, const char *key)
{
    json_int_t number = json_integer_value(json_object_get(json, key));
    return number > 0 ? (uint64_t)number : 0;
}

static bool read_entry(struct rc_sim_record *record, const json_t *json)
{
    const char *client = json_string_value(json_object_get(json, "client"));
    const char *address = json_string_value(json_object_get(json, "address"));
    struct rc_sim_entry entry = {0};
    if (client == NULL || !rc_sim_client_number(record, rc_slice_str(client), &entry.client) ||
        !read_name(json, "outcome", outcome_names, OUTCOMES, &entry.outcome) ||
        !read_name(json, "end", end_names, ENDS, &entry.end))
        return false;
    if (address != NULL && !rc_sim_address_parse(address, &entry.is_v6, entry.local_addr, &entry.local_port))
        return false;
    entry.code = (uint8_t)read_number(json, "code");
    entry.dial_us = read_number(json, "dialUs");
    entry.connect_us = read_number(json, "connectUs");
    entry.answer_us = read_number(json, "connackUs");
    entry.end_us = read_number(json, "endUs");
    uint32_t index = rc_sim_record_add(record);
    if (index >= RC_SIM_CONNECTIONS_MAX)
        return false;
    record->entries[index] = entry;
    return true;
}

static bool read_head(struct rc_sim_record *record, const json_t *json)
{
    const char *group = json_string_value(json_object_get(json, "group"));
    const char *prefix = json_string_value(json_object_get(json, "prefix"));
    uint64_t clients = read_number(json, "clients");
    if (read_number(json, "rollcallSim") != 1 || group == NULL || prefix == NULL || clients == 0 ||
        clients > UINT32_MAX || rc_sim_record_init(record, group, prefix, (uint32_t)clients) != RC_OK)
        return false;
    record->wall_start_ms = (int64_t)read_number(json, "startMs");
    return true;
}

int rc_sim_record_read(struct rc_sim_record *record, const char *path, struct rc_error *error)
{
    char line[LINE_MAX_BYTES];
    unsigned number = 0;
    FILE *file = fopen(path, "re");
    *record = (struct rc_sim_record){0};
    if (file == NULL)
        return rc_error_set(error, rc_err_from_errno(errno), "%s: %s", path, strerror(errno));
    bool ok = true;
    while (ok && fgets(line, sizeof(line), file) != NULL) {
        json_t *json = json_loads(line, 0, NULL);
        ok = json != NULL && (number == 0 ? read_head(record, json) : read_entry(record, json));
        json_decref(json);
        number++;
    }
    fclose(file);
    if (ok && number > 0)
        return RC_OK;
    rc_sim_record_free(record);
    return rc_error_set(error, RC_ERR_INVALID, "%s:%u: not a record of 'rollcall sim --record'", path,
                        number);
}
