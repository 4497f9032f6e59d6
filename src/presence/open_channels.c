#include "presence/open_channels.h"

#include "base/alloc.h"
#include "store/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <libdeflate.h>

static struct rc_slice channel_key(const void *item)
{
    return rc_slice(((const struct rc_open_channel *)item)->id, RC_CHANNEL_ID_LEN);
}

void rc_open_channels_init(struct rc_open_channels *open)
{
    memset(open, 0, sizeof(*open));
    rc_map_init(&open->channels, channel_key);
}

void rc_open_channels_free(struct rc_open_channels *open)
{
    void *channel;
    for (uint32_t cursor = 0; (channel = rc_map_next(&open->channels, &cursor)) != NULL;)
        free(channel);
    rc_map_free(&open->channels);
}

/* ---- from records ---- */

struct found {
    struct rc_slice node, instance, protocol, retry_topic, real_topic;
};

/* Of five properties what rc_props_get gives, with one walk: it is done for each record of the log. */
static void find_props(struct rc_slice props, struct found *ret)
{
    struct rc_slice name, value;
    size_t at = 0;
    *ret = (struct found){.node = {NULL, 0}};
    while (rc_props_next(props, &at, &name, &value)) {
        if (rc_slice_eq_str(name, RC_PROP_NODE))
            ret->node = value;
        else if (rc_slice_eq_str(name, RC_PROP_INSTANCE))
            ret->instance = value;
        else if (rc_slice_eq_str(name, RC_PROP_PROTOCOL))
            ret->protocol = value;
        else if (rc_slice_eq_str(name, RC_PROP_RETRY_TOPIC))
            ret->retry_topic = value;
        else if (rc_slice_eq_str(name, RC_PROP_REAL_TOPIC))
            ret->real_topic = value;
    }
}

/* Retries, dead letters and delayed copies of presence records carry their properties too. */
static bool is_presence_record(const struct found *props)
{
    return props->node.ptr != NULL && props->retry_topic.ptr == NULL && props->real_topic.ptr == NULL;
}

static uint8_t *keep(uint8_t *at, struct rc_slice *slice)
{
    if (slice->len > 0)
        memcpy(at, slice->ptr, slice->len);
    slice->ptr = at;
    return at + slice->len;
}

/* A copy with all its texts in one allocation. */
static struct rc_open_channel *copy_of(const struct rc_open_channel *from)
{
    size_t len = from->topic.len + from->client_id_json.len + from->keys.len + from->client_ip.len +
                 from->instance.len + from->protocol.len;
    struct rc_open_channel *channel = rc_malloc(sizeof(*channel) + len);
    *channel = *from;
    uint8_t *at = channel->bytes;
    at = keep(at, &channel->topic);
    at = keep(at, &channel->client_id_json);
    at = keep(at, &channel->keys);
    at = keep(at, &channel->client_ip);
    at = keep(at, &channel->instance);
    keep(at, &channel->protocol);
    return channel;
}

static void opened(struct rc_open_channels *open, const struct rc_message *message, const struct found *props,
                   const struct rc_event *event)
{
    struct rc_open_channel channel = {
        .connect_ms = event->time_ms,
        .last_ms = event->time_ms,
        .sequence = 1,
        .queue_id = message->queue_id,
        .born_port = message->born_host.port,
        .topic = message->topic,
        .client_id_json = event->client_id_json,
        .keys = message->keys,
        .client_ip = event->client_ip,
        .instance = props->instance,
        .protocol = props->protocol,
    };
    memcpy(channel.id, event->channel_id, RC_CHANNEL_ID_LEN);
    memcpy(channel.born_addr, message->born_host.addr, 4);
    if (rc_map_find(&open->channels, channel_key(&channel)) == NULL)
        rc_map_insert(&open->channels, copy_of(&channel));
}

void rc_open_channels_apply(struct rc_open_channels *open, const struct rc_message *message, uint32_t size)
{
    struct rc_event event;
    struct found props;
    open->place = message->physical_offset + size;
    find_props(message->props, &props);
    if (!is_presence_record(&props) || rc_event_parse_body(message->body, &event) != RC_OK)
        return;
    if (open->greatest_ms < event.time_ms)
        open->greatest_ms = event.time_ms;
    struct rc_slice id = rc_slice(event.channel_id, RC_CHANNEL_ID_LEN);
    if (event.type == RC_EVENT_CONNECT) {
        opened(open, message, &props, &event);
    } else if (event.type == RC_EVENT_TCPCLEAN) {
        free(rc_map_remove(&open->channels, id));
    } else {
        struct rc_open_channel *channel = rc_map_find(&open->channels, id);
        if (channel != NULL) {
            channel->last_ms = event.time_ms;
            channel->sequence++;
        }
    }
}

void rc_open_channels_forget_after(struct rc_open_channels *open, int64_t connect_ms)
{
    struct rc_map kept;
    struct rc_open_channel *channel;
    rc_map_init(&kept, channel_key);
    for (uint32_t cursor = 0; (channel = rc_map_next(&open->channels, &cursor)) != NULL;)
        if (channel->connect_ms > connect_ms)
            free(channel);
        else
            rc_map_insert(&kept, channel);
    rc_map_free(&open->channels);
    open->channels = kept;
}

/* ---- the snapshot: magic, place, greatest time, count, channels, CRC32 of all that ---- */

static const char magic[8] = "RCCHAN01";
enum { HEADER = 8 + 8 + 8 + 4, FIXED = RC_CHANNEL_ID_LEN + 8 + 8 + 4 + 4 + 4 + 4, TEXTS = 6 };

static void put_channel(struct rc_buf *out, const struct rc_open_channel *channel)
{
    const struct rc_slice texts[TEXTS] = {channel->topic,     channel->client_id_json, channel->keys,
                                          channel->client_ip, channel->instance,       channel->protocol};
    rc_buf_put(out, channel->id, RC_CHANNEL_ID_LEN);
    rc_buf_put_u64(out, (uint64_t)channel->connect_ms);
    rc_buf_put_u64(out, (uint64_t)channel->last_ms);
    rc_buf_put_u32(out, channel->sequence);
    rc_buf_put_u32(out, channel->queue_id);
    rc_buf_put(out, channel->born_addr, 4);
    rc_buf_put_u32(out, channel->born_port);
    for (int i = 0; i < TEXTS; i++) {
        rc_buf_put_u16(out, (uint16_t)texts[i].len);
        rc_buf_put_slice(out, texts[i]);
    }
}

/* Streams through a small buffer: a million channels are not held a second time. */
static bool write_snapshot(int fd, const struct rc_open_channels *open)
{
    enum { PIECE = 1 << 20 };
    struct rc_buf buf;
    const struct rc_open_channel *channel;
    uint32_t crc = 0;
    uint64_t at = 0;
    int err = RC_OK;
    rc_buf_init(&buf, 2 * PIECE);
    rc_buf_put(&buf, magic, sizeof(magic));
    rc_buf_put_u64(&buf, open->place);
    rc_buf_put_u64(&buf, (uint64_t)open->greatest_ms);
    rc_buf_put_u32(&buf, open->channels.count);
    uint32_t cursor = 0;
    do {
        channel = rc_map_next(&open->channels, &cursor);
        if (channel != NULL)
            put_channel(&buf, channel);
        if (channel != NULL && rc_buf_len(&buf) < PIECE)
            continue;
        struct rc_slice bytes = rc_buf_slice(&buf);
        crc = libdeflate_crc32(crc, bytes.ptr, bytes.len);
        err = err ? err : rc_fs_write(fd, bytes.ptr, bytes.len, at);
        at += bytes.len;
        rc_buf_consume(&buf, bytes.len);
    } while (channel != NULL);
    rc_buf_put_u32(&buf, crc);
    err = err ? err : rc_fs_write(fd, buf.data + buf.start, rc_buf_len(&buf), at);
    rc_buf_free(&buf);
    return err == RC_OK;
}

static int sync_directory_of(const char *path)
{
    char dir[4096];
    const char *slash = strrchr(path, '/');
    snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int err = fd == -1 || fsync(fd) == -1 ? rc_err_from_errno(errno) : RC_OK;
    if (fd != -1)
        close(fd);
    return err;
}

int rc_open_channels_save(const struct rc_open_channels *open_channels, const char *path,
                          struct rc_error *error)
{
    char beside[4096];
    snprintf(beside, sizeof(beside), "%s.new", path);
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    bool is_safe = fd != -1 && write_snapshot(fd, open_channels) && fdatasync(fd) == 0;
    int failure = errno;
    if (fd != -1)
        close(fd);
    if (is_safe && rename(beside, path) == 0 && sync_directory_of(path) == RC_OK)
        return RC_OK;
    if (is_safe)
        failure = errno;
    unlink(beside);
    return rc_error_set(error, rc_err_from_errno(failure),
                        "the snapshot of open channels %s cannot be written: %s", path, strerror(failure));
}

static bool take_channel(struct rc_slice *in, struct rc_open_channel *ret)
{
    struct rc_slice *texts[TEXTS] = {&ret->topic,     &ret->client_id_json, &ret->keys,
                                     &ret->client_ip, &ret->instance,       &ret->protocol};
    const uint8_t *p = in->ptr;
    if (in->len < FIXED)
        return false;
    memset(ret, 0, sizeof(*ret));
    memcpy(ret->id, p, RC_CHANNEL_ID_LEN);
    p += RC_CHANNEL_ID_LEN;
    ret->connect_ms = (int64_t)rc_load_u64(p);
    ret->last_ms = (int64_t)rc_load_u64(p + 8);
    ret->sequence = rc_load_u32(p + 16);
    ret->queue_id = rc_load_u32(p + 20);
    memcpy(ret->born_addr, p + 24, 4);
    ret->born_port = rc_load_u32(p + 28);
    *in = rc_slice_from(*in, FIXED);
    for (int i = 0; i < TEXTS; i++) {
        if (in->len < 2 || in->len - 2 < rc_load_u16(in->ptr))
            return false;
        *texts[i] = rc_slice(in->ptr + 2, rc_load_u16(in->ptr));
        *in = rc_slice_from(*in, 2 + texts[i]->len);
    }
    return true;
}

static bool parse_snapshot(struct rc_open_channels *open, struct rc_slice in)
{
    if (in.len < HEADER + 4 || memcmp(in.ptr, magic, sizeof(magic)) != 0)
        return false;
    in.len -= 4;
    if (libdeflate_crc32(0, in.ptr, in.len) != rc_load_u32(in.ptr + in.len))
        return false;
    open->place = rc_load_u64(in.ptr + 8);
    open->greatest_ms = (int64_t)rc_load_u64(in.ptr + 16);
    uint32_t count = rc_load_u32(in.ptr + 24);
    in = rc_slice_from(in, HEADER);
    for (uint32_t i = 0; i < count; i++) {
        struct rc_open_channel channel;
        if (!take_channel(&in, &channel))
            return false;
        if (rc_map_find(&open->channels, channel_key(&channel)) == NULL)
            rc_map_insert(&open->channels, copy_of(&channel));
    }
    return in.len == 0;
}

int rc_open_channels_load(struct rc_open_channels *open_channels, const char *path, struct rc_error *error)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return rc_error_set(error, rc_err_from_errno(errno), "%s: %s", path, strerror(errno));
    if (fstat(fd, &info) == -1 || info.st_size < 0) {
        close(fd);
        return rc_error_set(error, RC_ERR_IO, "%s: %s", path, strerror(errno));
    }
    uint8_t *bytes = rc_malloc((size_t)info.st_size);
    bool is_good = rc_fs_read(fd, bytes, (size_t)info.st_size, 0) == RC_OK &&
                   parse_snapshot(open_channels, rc_slice(bytes, (size_t)info.st_size));
    close(fd);
    free(bytes);
    if (is_good)
        return RC_OK;
    return rc_error_set(
        error, RC_ERR_CORRUPT,
        "%s is damaged: it names the channels that were open. Restore it, or remove it to go on: "
        "then channels whose connect is older than the log get no tcpclean",
        path);
}
