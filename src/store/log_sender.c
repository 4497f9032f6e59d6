/*
 * A sender's side: records are encoded into the open batch; it leaves when it is full, or at the end of a
 * turn, as a rule of the same. Batches are used again; those that nobody has needed for RC_LOG_SPARE_MS are
 * freed.
 */
#include "store/log_batch.h"

#include "base/alloc.h"
#include "store/commit_log.h"

enum { RC_LOG_SPARE_MS = 1000, FIRST_ENTRIES = 16 };

/* Batches that leave at the end of a turn although they are not full. Further records wait in the open one
 * until a report comes back: under load batches grow instead of multiplying, and wakes with them stay few. */
enum { EAGER_BATCHES = 1 };

/*
 * Each batch costs about ten system calls and wakes, whatever it holds. Behind one of so many records, that
 * left a moment ago, the next one of a sender that gathers does so for GATHER_NS.
 */
enum { GATHER_NS = 500 * 1000, GATHER_RECORDS = 16, GATHER_BEHIND_NS = 10 * 1000 * 1000 };

struct rc_log_sender {
    struct rc_log_writer *writer;
    struct rc_loop *loop;
    struct rc_hook hook;
    struct rc_timer spare_timer;
    struct rc_log_batch *open;
    struct rc_list spares;
    uint32_t batches; /* open, or with the writer */
    bool gathers;
    uint64_t opened_ns; /* the turn in which the open batch was opened */
    uint64_t left_ns;   /* when a batch of GATHER_RECORDS left last; 0: the last one was smaller */
    uint32_t under_way;
    uint64_t staged, reported; /* records, ever */
    /* Where the log ended when each batch was opened: what the batch holds comes behind that. A ring. */
    uint64_t floors[RC_LOG_BATCHES_PER_SENDER];
    uint32_t oldest_floor, floors_count;
    bool was_used; /* since the spare timer last fired */
    bool wants_room;
    bool is_destroyed; /* freed with its last report */
    void (*on_room)(void *arg);
    void *on_room_arg;
};

static void free_batch(struct rc_log_batch *batch)
{
    rc_buf_free(&batch->bytes);
    free(batch->entries);
    free(batch);
}

static void free_spares(struct rc_log_sender *sender)
{
    for (struct rc_list *node; (node = rc_list_pop_front(&sender->spares)) != NULL;)
        free_batch(rc_container_of(node, struct rc_log_batch, node));
}

/* ---- batches ---- */

static struct rc_log_batch *take_batch(struct rc_log_sender *sender)
{
    if (sender->batches == RC_LOG_BATCHES_PER_SENDER)
        return NULL;
    sender->batches++;
    sender->opened_ns = rc_loop_now_ns(sender->loop);
    sender->was_used = true;
    sender->floors[(sender->oldest_floor + sender->floors_count++) % RC_LOG_BATCHES_PER_SENDER] =
        rc_log_writer_end(sender->writer);
    struct rc_list *node = rc_list_pop_front(&sender->spares);
    if (node != NULL)
        return rc_container_of(node, struct rc_log_batch, node);
    struct rc_log_batch *batch = rc_new(struct rc_log_batch);
    rc_list_init(&batch->node);
    batch->sender = sender;
    return batch;
}

static void put_back(struct rc_log_sender *sender, struct rc_log_batch *batch)
{
    sender->batches--;
    batch->count = 0;
    rc_buf_consume(&batch->bytes, rc_buf_len(&batch->bytes));
    if (batch->bytes.cap > RC_LOG_BATCH_BYTES) { /* one large record: not worth keeping */
        free_batch(batch);
        return;
    }
    rc_list_push_back(&sender->spares, &batch->node);
    if (!rc_timer_is_running(&sender->spare_timer))
        rc_timer_start(sender->loop, &sender->spare_timer, RC_LOG_SPARE_MS);
}

static void on_spare_due(struct rc_timer *timer)
{
    struct rc_log_sender *sender = rc_container_of(timer, struct rc_log_sender, spare_timer);
    if (!sender->was_used) {
        free_spares(sender);
        return;
    }
    sender->was_used = false;
    rc_timer_start(sender->loop, &sender->spare_timer, RC_LOG_SPARE_MS);
}

/* From here on the buffer does not move any more, so places become pointers. */
static void seal_and_send(struct rc_log_sender *sender)
{
    struct rc_log_batch *batch = sender->open;
    uint8_t *base = batch->bytes.data + batch->bytes.start;
    uint32_t at = 0;
    sender->open = NULL;
    sender->left_ns = batch->count >= GATHER_RECORDS ? rc_loop_now_ns(sender->loop) : 0;
    for (uint32_t i = 0; i < batch->count; i++) {
        batch->entries[i].append.record = base + at;
        at += batch->entries[i].append.len;
    }
    rc_log_writer_post(sender->writer, batch);
}

static bool is_gathering(const struct rc_log_sender *sender)
{
    uint64_t now = rc_loop_now_ns(sender->loop), until = sender->opened_ns + GATHER_NS;
    if (!sender->gathers || sender->left_ns == 0 || now - sender->left_ns > GATHER_BEHIND_NS || now >= until)
        return false;
    return rc_loop_wake_by(sender->loop, until);
}

static void on_turn_end(struct rc_hook *hook)
{
    struct rc_log_sender *sender = rc_container_of(hook, struct rc_log_sender, hook);
    if (sender->open != NULL && sender->batches <= EAGER_BATCHES && !is_gathering(sender))
        seal_and_send(sender);
}

/* ---- reports ---- */

static void free_if_done(struct rc_log_sender *sender)
{
    if (sender->batches > 0)
        return;
    rc_log_writer_release(sender->writer);
    free(sender);
}

static void deliver_report(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_log_batch *batch = rc_container_of(mail, struct rc_log_batch, mail);
    struct rc_log_sender *sender = batch->sender;
    for (uint32_t i = 0; i < batch->count; i++) {
        struct rc_log_entry *entry = &batch->entries[i];
        sender->under_way--;
        sender->reported++;
        rc_queue_release(entry->append.queue);
        if (entry->on_written != NULL && !batch->is_lost && !sender->is_destroyed)
            entry->on_written(entry->owner, &entry->append);
    }
    if (sender->is_destroyed) {
        free_batch(batch);
        sender->batches--;
        free_if_done(sender);
        return;
    }
    sender->oldest_floor = (sender->oldest_floor + 1) % RC_LOG_BATCHES_PER_SENDER;
    sender->floors_count--;
    put_back(sender, batch);
    if (sender->wants_room) {
        sender->wants_room = false;
        if (sender->on_room != NULL)
            sender->on_room(sender->on_room_arg);
    }
}

void rc_log_sender_return(struct rc_log_batch *batch)
{
    batch->mail.deliver = deliver_report;
    rc_loop_post(batch->sender->loop, &batch->mail);
}

/* ---- staging ---- */

static struct rc_log_entry *new_entry(struct rc_log_batch *batch)
{
    if (batch->count == batch->cap) {
        batch->cap = batch->cap ? batch->cap * 2 : FIRST_ENTRIES;
        batch->entries = rc_realloc(batch->entries, batch->cap * sizeof(*batch->entries));
    }
    return &batch->entries[batch->count++];
}

/* The batch for one more record; NULL when all are under way. */
static struct rc_log_batch *open_batch(struct rc_log_sender *sender)
{
    if (sender->open != NULL && sender->open->count == RC_LOG_BATCH_RECORDS)
        seal_and_send(sender);
    if (sender->open == NULL)
        sender->open = take_batch(sender);
    return sender->open;
}

/* A first record may be as large as a message can be; others only fill the batch up to its limit. */
static int encode(struct rc_log_batch *batch, const struct rc_message *message)
{
    batch->bytes.max = batch->count == 0 ? RC_MESSAGE_MAX : RC_LOG_BATCH_BYTES;
    if (rc_buf_len(&batch->bytes) >= RC_LOG_BATCH_BYTES)
        return RC_ERR_FULL;
    return rc_message_encode(&batch->bytes, message);
}

static int encode_somewhere(struct rc_log_sender *sender, const struct rc_message *message)
{
    struct rc_log_batch *batch = open_batch(sender);
    int err = batch != NULL ? encode(batch, message) : RC_ERR_FULL;
    if (err == RC_ERR_FULL && batch != NULL) { /* does not fit behind the others */
        seal_and_send(sender);
        batch = open_batch(sender);
        err = batch != NULL ? encode(batch, message) : RC_ERR_FULL;
    }
    if (batch == NULL)
        sender->wants_room = true;
    return err;
}

/* An open batch without a record (its first one was refused) is not sent. */
static void drop_if_empty(struct rc_log_sender *sender)
{
    struct rc_log_batch *batch = sender->open;
    if (batch == NULL || batch->count > 0)
        return;
    sender->open = NULL;
    sender->floors_count--;
    put_back(sender, batch);
}

int rc_log_stage(struct rc_log_sender *sender, struct rc_queue *queue, struct rc_message *message,
                 uint32_t delay_level, void (*on_written)(void *owner, const struct rc_append *append),
                 void *owner)
{
    rc_loop_assert_owner(sender->loop);
    if (delay_level > RC_DELAY_LEVELS)
        return RC_ERR_INVALID;
    if (rc_log_writer_is_stopped(sender->writer))
        return RC_ERR_CLOSED;
    message->topic = rc_topic_name(rc_queue_topic(queue));
    message->queue_id = rc_queue_id(queue);
    size_t len = rc_message_encoded_len(message);
    if (len + RC_LOG_BLANK_LEN > rc_log_writer_segment_bytes(sender->writer))
        return RC_ERR_TOO_LARGE;
    if (!rc_queue_hold(queue))
        return RC_ERR_CLOSED;
    int err = encode_somewhere(sender, message);
    if (err != RC_OK) {
        rc_queue_release(queue);
        drop_if_empty(sender);
        return err;
    }
    *new_entry(sender->open) = (struct rc_log_entry){
        .append = {.queue = queue,
                   .len = (uint32_t)len,
                   .delay_level = delay_level,
                   .tags_code =
                       message->props_are_sound ? message->tags_code : rc_props_tags_code(message->props)},
        .on_written = on_written,
        .owner = owner,
    };
    sender->under_way++;
    sender->staged++;
    return RC_OK;
}

/* ---- life ---- */

int rc_log_sender_create(struct rc_log_writer *writer, struct rc_loop *loop, struct rc_log_sender **ret)
{
    struct rc_log_sender *sender = rc_new(struct rc_log_sender);
    sender->writer = writer;
    sender->loop = loop;
    sender->hook.run = on_turn_end;
    sender->spare_timer.on_due = on_spare_due;
    rc_list_init(&sender->spares);
    rc_log_writer_retain(writer);
    rc_loop_add_hook(loop, &sender->hook);
    *ret = sender;
    return RC_OK;
}

void rc_log_sender_destroy(struct rc_log_sender *sender)
{
    if (sender == NULL)
        return;
    if (sender->open != NULL && rc_log_writer_is_stopped(sender->writer)) {
        free_batch(sender->open); /* nobody is there to take it, or to give it back */
        sender->batches--;
    } else if (sender->open != NULL) {
        seal_and_send(sender);
    }
    rc_loop_remove_hook(&sender->hook);
    rc_timer_stop(&sender->spare_timer);
    free_spares(sender);
    sender->is_destroyed = true;
    free_if_done(sender);
}

void rc_log_sender_gather(struct rc_log_sender *sender)
{
    sender->gathers = true;
}

void rc_log_sender_set_on_room(struct rc_log_sender *sender, void (*on_room)(void *arg), void *arg)
{
    sender->on_room = on_room;
    sender->on_room_arg = arg;
}

struct rc_log_writer *rc_log_sender_writer(const struct rc_log_sender *sender)
{
    return sender->writer;
}

uint32_t rc_log_sender_under_way(const struct rc_log_sender *sender)
{
    return sender->under_way;
}

void rc_log_sender_progress(const struct rc_log_sender *sender, struct rc_log_progress *ret)
{
    ret->staged = sender->staged;
    ret->reported = sender->reported;
    ret->position =
        sender->floors_count > 0 ? sender->floors[sender->oldest_floor] : rc_log_writer_end(sender->writer);
}
