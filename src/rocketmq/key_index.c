/*
 * Design notes
 * - Files are made from the first kept segment on, without gaps, so the index is a prefix of the log and one
 * offset says how far it goes.
 * - A file says up to where it goes and remembers a check of the last message it saw. After a power cut the
 * log may have lost its end and gone on differently: then the check fails and the file is made again.
 * - Entries are written before the header that counts them, so what the header counts is there. Only a power
 * cut can turn that around, for the file that is being written; its places are checked at start.
 */
#include "rocketmq/key_index.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/log.h"
#include "rocketmq/key_file.h"
#include "rocketmq/lookup.h"
#include "store/fs.h"

#include <inttypes.h>
#include <unistd.h>

enum { PENDING_MAX = 8192, CHUNK_ENTRIES = 8192 };

struct rc_key_index {
    struct rc_store *store;
    uint64_t segment_bytes;
    int dir;
    uint64_t first;          /* base of the first file */
    struct rc_key_file file; /* the one being written */
    uint64_t at;             /* next message to be read */
    uint64_t last;           /* the one before it */
    uint32_t check;
    bool is_failing;
    uint32_t pending;
    uint8_t entries[PENDING_MAX * RC_KEY_ENTRY_LEN];
    uint8_t chunk[CHUNK_ENTRIES * RC_KEY_ENTRY_LEN]; /* while searching */
};

/* `topic` is its name's rc_hash_kept. */
static uint32_t hash_of(uint64_t topic, struct rc_slice key)
{
    return (uint32_t)rc_hash_kept(topic, key);
}

/* Another message at the same place has another time, offset or length. */
static uint32_t check_of(const struct rc_message *message)
{
    uint64_t what[] = {message->physical_offset, message->queue_offset,      (uint64_t)message->store_ms,
                       message->queue_id,        (uint64_t)message->born_ms, message->body.len};
    return (uint32_t)rc_hash_kept(0, rc_slice(what, sizeof(what)));
}

static uint64_t segment_of(const struct rc_key_index *index, uint64_t physical)
{
    return physical - physical % index->segment_bytes;
}

/* ---- opening ---- */

/* Whether the log still holds what the file was made from, up to where the file says. */
static bool agrees_with_log(struct rc_store *store, const struct rc_key_file *file)
{
    struct rc_message message;
    struct rc_slice record;
    struct rc_segment *segment;
    if (file->upto == file->base)
        return true;
    if (rc_lookup(store, file->last, &message, &record, &segment) != RC_OK)
        return false;
    bool agrees = check_of(&message) == file->check && file->last + record.len <= file->upto;
    rc_segment_release(segment);
    return agrees;
}

/* Goes on with `file`, from where it ends. */
static void resume(struct rc_key_index *index, const struct rc_key_file *file)
{
    index->file = *file;
    index->at = file->upto;
    index->last = file->last;
    index->check = file->check;
}

/* Finds the first file that is missing, wrong or not finished, and goes on there. */
static void find_end(struct rc_key_index *index)
{
    uint64_t base = index->first, end = rc_store_max_physical(index->store);
    for (; base < end; base += index->segment_bytes) {
        struct rc_key_file file;
        if (rc_key_file_open(index->dir, base, &file) != RC_OK)
            break;
        bool is_finished = file.upto == base + index->segment_bytes;
        if (file.upto > base + index->segment_bytes || (!is_finished && !rc_key_file_is_sound(&file)) ||
            !agrees_with_log(index->store, &file)) {
            rc_key_file_close(&file);
            break;
        }
        if (!is_finished) {
            resume(index, &file);
            return;
        }
        rc_key_file_close(&file);
    }
    index->at = base;
}

/* What lies outside of the log, or behind the place from which it is read again. */
static void delete_strays(struct rc_key_index *index)
{
    uint64_t *bases;
    uint32_t count;
    char other[64];
    if (rc_fs_list_offsets(index->dir, &bases, &count, other, sizeof(other)) != RC_OK)
        return;
    for (uint32_t i = 0; i < count; i++)
        if (bases[i] < index->first || bases[i] > index->at || bases[i] % index->segment_bytes != 0)
            rc_key_file_delete(index->dir, bases[i]);
    free(bases);
}

int rc_key_index_open(struct rc_store *store, struct rc_key_index **ret)
{
    int dir;
    int err = rc_fs_open_dir(rc_store_own_dir(store), "index", true, &dir);
    if (err != RC_OK)
        return err;
    struct rc_key_index *index = rc_new(struct rc_key_index);
    index->store = store;
    index->segment_bytes = rc_store_segment_bytes(store);
    index->dir = dir;
    index->file.fd = -1;
    index->first = segment_of(index, rc_store_min_physical(store));
    find_end(index);
    delete_strays(index);
    *ret = index;
    return RC_OK;
}

static int flush(struct rc_key_index *index)
{
    if (index->file.fd < 0 || index->at == index->file.upto)
        return RC_OK;
    int err = rc_key_file_append(&index->file, index->entries, index->pending, index->at, index->last,
                                 index->check);
    if (err == RC_OK)
        index->pending = 0;
    return err;
}

void rc_key_index_close(struct rc_key_index *index)
{
    if (index == NULL)
        return;
    flush(index);
    rc_key_file_close(&index->file);
    close(index->dir);
    free(index);
}

/* ---- following the log ---- */

static void add_key(struct rc_key_index *index, uint64_t topic, struct rc_slice key, uint32_t place)
{
    uint8_t *entry = index->entries + (size_t)index->pending * RC_KEY_ENTRY_LEN;
    rc_store_u32(entry, hash_of(topic, key));
    rc_store_u32(entry + 4, place);
    index->pending++;
}

/* The next of the keys that KEYS lists; false at the end. */
static bool next_key(struct rc_slice *keys, struct rc_slice *ret)
{
    while (keys->len > 0) {
        const uint8_t *space = memchr(keys->ptr, ' ', keys->len);
        *ret = rc_slice(keys->ptr, space ? (size_t)(space - keys->ptr) : keys->len);
        *keys = rc_slice_from(*keys, ret->len + (space ? 1 : 0));
        if (ret->len > 0)
            return true;
    }
    return false;
}

static void add_keys(struct rc_key_index *index, const struct rc_message *message)
{
    struct rc_slice keys = message->keys, key;
    uint32_t place = (uint32_t)(message->physical_offset - index->file.base);
    if (rc_slice_eq_str(message->topic, RC_DELAY_TOPIC))
        return; /* it will be there again under its own topic */
    uint64_t topic = rc_hash_kept(0, message->topic);
    if (message->unique_key.len > 0)
        add_key(index, topic, message->unique_key, place);
    for (int i = 1; i < RC_KEY_INDEX_KEYS_MAX && next_key(&keys, &key); i++)
        add_key(index, topic, key, place);
}

struct reading {
    struct rc_key_index *index;
    uint64_t stop; /* physical offset at which this call has done enough */
    bool has_read;
    struct rc_message last; /* its slices may have gone */
};

static bool read_message(const struct rc_message *message, uint32_t size, void *arg)
{
    struct reading *reading = arg;
    struct rc_key_index *index = reading->index;
    uint64_t place = message->physical_offset;
    if (place >= reading->stop || place - index->file.base >= index->segment_bytes ||
        index->pending + RC_KEY_INDEX_KEYS_MAX > PENDING_MAX)
        return false;
    add_keys(index, message);
    index->last = place;
    index->at = place + size;
    reading->last = *message;
    reading->has_read = true;
    return true;
}

/* The file of a segment that has been read to its end. */
static int finish_file(struct rc_key_index *index)
{
    index->at = index->file.base + index->segment_bytes;
    int err = flush(index);
    err = err ? err : rc_key_file_sync(&index->file);
    if (err == RC_OK)
        rc_key_file_close(&index->file);
    return err;
}

static int begin_file(struct rc_key_index *index)
{
    uint64_t base = segment_of(index, index->at);
    int err = rc_key_file_create(index->dir, base, &index->file);
    if (err == RC_OK) {
        index->at = index->last = base;
        index->check = 0;
        index->pending = 0;
    }
    return err;
}

static void drop_gone(struct rc_key_index *index)
{
    uint64_t first = segment_of(index, rc_store_min_physical(index->store));
    for (; index->first < first; index->first += index->segment_bytes)
        rc_key_file_delete(index->dir, index->first);
    if (index->at < first) { /* retention was faster than this reader */
        rc_key_file_close(&index->file);
        index->pending = 0;
        index->at = first;
    }
}

/* One stretch: to the segment's end, the pending entries' limit, `stop`, or the log's end. */
static int read_on(struct rc_key_index *index, uint64_t stop)
{
    struct reading reading = {.index = index, .stop = stop};
    uint64_t before = index->at;
    int err = index->file.fd < 0 ? begin_file(index) : flush(index); /* what could not be written before */
    if (err != RC_OK)
        return err;
    err = rc_store_scan(index->store, index->at, read_message, &reading);
    if (reading.has_read)
        index->check = check_of(&reading.last);
    if (err == RC_ERR_CORRUPT) {
        rc_log_error("rocketmq", "the key index leaves out the rest of a damaged segment from=%" PRIu64,
                     index->at);
        return finish_file(index);
    }
    err = err ? err : flush(index);
    /* nothing was taken although the log goes on: what comes next stands in the next segment */
    if (err == RC_OK && index->at == before)
        err = finish_file(index);
    return err;
}

/* Told when it begins and when it is over, not at every try. */
static void note_result(struct rc_key_index *index, int err)
{
    if (err != RC_OK && err != RC_ERR_RANGE && !index->is_failing)
        rc_log_error("rocketmq", "the key index cannot be written: %s", rc_err_text(err));
    if (err == RC_OK && index->is_failing)
        rc_log_info("rocketmq", "the key index can be written again");
    index->is_failing = err != RC_OK && err != RC_ERR_RANGE; /* RANGE: retention came in between */
}

bool rc_key_index_advance(struct rc_key_index *index, uint64_t bytes)
{
    drop_gone(index);
    uint64_t end = rc_store_max_physical(index->store);
    uint64_t stop = index->at < end && end - index->at > bytes ? index->at + bytes : end;
    while (index->at < stop) {
        int err = read_on(index, stop);
        note_result(index, err);
        if (err != RC_OK)
            return false;
    }
    return index->at < end;
}

uint64_t rc_key_index_upto(const struct rc_key_index *index)
{
    return index->at;
}

/* ---- searching ---- */

struct search {
    struct rc_key_index *index;
    const struct rc_key_query *query;
    bool (*visit)(const struct rc_message *message, struct rc_slice record, void *arg);
    void *arg;
    uint32_t hashes[1 + RC_KEY_INDEX_OTHERS_MAX]; /* of the key in each of the topics */
    uint32_t hashes_count;
    uint64_t shown; /* a message stands once for each of its keys, and two may be the same */
    bool is_done;
};

static bool has_key(const struct rc_key_query *query, const struct rc_message *message)
{
    struct rc_slice keys = message->keys, key;
    if (rc_slice_eq(message->unique_key, query->key))
        return true;
    while (!query->only_unique && next_key(&keys, &key))
        if (rc_slice_eq(key, query->key))
            return true;
    return false;
}

static bool is_in_topic(const struct rc_key_query *query, const struct rc_message *message)
{
    bool is_in = rc_slice_eq(message->topic, query->topic);
    for (uint32_t i = 0; i < query->others_count && !is_in; i++)
        is_in = rc_slice_eq(message->topic, query->others[i]);
    return is_in;
}

static void look_at(struct search *search, uint64_t physical)
{
    const struct rc_key_query *query = search->query;
    struct rc_message message;
    struct rc_slice record;
    struct rc_segment *segment;
    if (physical == search->shown ||
        rc_lookup(search->index->store, physical, &message, &record, &segment) != RC_OK)
        return;
    bool is_wanted = is_in_topic(query, &message) && message.store_ms >= query->begin_ms &&
                     message.store_ms <= query->end_ms && has_key(query, &message);
    if (is_wanted) {
        search->shown = physical;
        search->is_done = !search->visit(&message, record, search->arg);
    }
    rc_segment_release(segment);
}

/* Store time of the message at a physical offset; `otherwise` when there is none any more. */
static int64_t time_at(struct search *search, uint64_t physical, int64_t otherwise)
{
    struct rc_message message;
    struct rc_slice record;
    struct rc_segment *segment;
    if (rc_lookup(search->index->store, physical, &message, &record, &segment) != RC_OK)
        return otherwise;
    rc_segment_release(segment);
    return message.store_ms;
}

static bool has_hash(const struct search *search, uint32_t hash)
{
    uint32_t i = 0;
    while (i < search->hashes_count && search->hashes[i] != hash)
        i++;
    return i < search->hashes_count;
}

static void search_chunk(struct search *search, uint64_t base, uint32_t count)
{
    const uint8_t *chunk = search->index->chunk;
    for (uint32_t i = count; i > 0 && !search->is_done; i--) {
        const uint8_t *entry = chunk + (size_t)(i - 1) * RC_KEY_ENTRY_LEN;
        if (has_hash(search, rc_load_u32(entry)))
            look_at(search, base + rc_load_u32(entry + 4));
    }
    /* times do not fall along the log: when the chunk's oldest is too old, so is all that stands before */
    if (count > 0 && time_at(search, base + rc_load_u32(chunk + 4), INT64_MAX) < search->query->begin_ms)
        search->is_done = true;
}

static void search_file(struct search *search, const struct rc_key_file *file)
{
    if (time_at(search, file->base, INT64_MIN) > search->query->end_ms)
        return; /* even its first is too new */
    for (uint32_t end = file->count; end > 0 && !search->is_done;) {
        uint32_t count = end < CHUNK_ENTRIES ? end : CHUNK_ENTRIES;
        end -= count;
        if (rc_key_file_read(file, end, count, search->index->chunk) != RC_OK)
            return;
        search_chunk(search, file->base, count);
    }
}

void rc_key_index_find(struct rc_key_index *index, const struct rc_key_query *query,
                       bool (*visit)(const struct rc_message *message, struct rc_slice record, void *arg),
                       void *arg)
{
    struct search search = {.index = index, .query = query, .visit = visit, .arg = arg, .shown = UINT64_MAX};
    search.hashes[search.hashes_count++] = hash_of(rc_hash_kept(0, query->topic), query->key);
    for (uint32_t i = 0; i < query->others_count && i < RC_KEY_INDEX_OTHERS_MAX; i++)
        search.hashes[search.hashes_count++] = hash_of(rc_hash_kept(0, query->others[i]), query->key);
    uint64_t base = segment_of(index, index->at);
    for (; !search.is_done && base >= index->first; base -= index->segment_bytes) {
        struct rc_key_file file;
        bool is_current = index->file.fd >= 0 && index->file.base == base;
        if (is_current)
            search_file(&search, &index->file);
        else if (rc_key_file_open(index->dir, base, &file) == RC_OK) {
            search_file(&search, &file);
            rc_key_file_close(&file);
        }
        if (base == 0)
            break;
    }
}
