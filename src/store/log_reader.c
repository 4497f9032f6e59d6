/*
 * Each queue has one bit for each reader: set when the reader's next mail names the queue, cleared when the
 * reader takes it from the mail, just before it looks. So no growth goes unseen, and a queue that is not
 * awaited anew stands in at most one mail to each reader. A reader that does not want to be told of a queue
 * sets its bit itself: to the writer that looks as if it had been told. All changes of the bits are
 * read-modify-write, so when the writer found the bit still set, the reader that clears it afterwards sees
 * the end that was published before.
 */
#include "store/log_reader.h"

#include "base/alloc.h"
#include "store/log_batch.h"

struct wake {
    struct rc_mail mail;
    struct rc_log_reader *reader;
    uint32_t count, cap;
    struct rc_queue **queues;
};

struct rc_log_reader {
    struct rc_log_writer *writer;
    struct rc_loop *loop;
    void (*on_grown)(struct rc_queue *queue, void *arg);
    void *arg;
    struct wake *next; /* the writer's, being filled */
    uint8_t bit;
    bool is_dead;              /* its own thread's */
    atomic_uint_fast32_t refs; /* itself, and each mail under way */
};

static void release(struct rc_log_reader *reader)
{
    if (atomic_fetch_sub_explicit(&reader->refs, 1, memory_order_acq_rel) == 1)
        free(reader);
}

static void deliver(struct rc_mail *mail, struct rc_loop *loop)
{
    struct wake *wake = rc_container_of(mail, struct wake, mail);
    struct rc_log_reader *reader = wake->reader;
    for (uint32_t i = 0; i < wake->count; i++) {
        struct rc_queue *queue = wake->queues[i];
        atomic_fetch_and_explicit(&queue->grown_for, (uint_fast8_t)~reader->bit, memory_order_acq_rel);
        if (!reader->is_dead)
            reader->on_grown(queue, reader->arg);
    }
    release(reader);
    free(wake->queues);
    free(wake);
}

static void add(struct rc_log_reader *reader, struct rc_queue *queue)
{
    struct wake *wake = reader->next;
    if (wake == NULL) {
        wake = reader->next = rc_new(struct wake);
        wake->reader = reader;
        wake->mail.deliver = deliver;
    }
    if (wake->count == wake->cap) {
        wake->cap = wake->cap ? wake->cap * 2 : 8;
        wake->queues = rc_realloc(wake->queues, wake->cap * sizeof(struct rc_queue *));
    }
    wake->queues[wake->count++] = queue;
}

void rc_log_reader_rest(struct rc_log_reader *reader, struct rc_queue *queue)
{
    atomic_fetch_or_explicit(&queue->grown_for, reader->bit, memory_order_acq_rel);
}

void rc_log_reader_await(struct rc_log_reader *reader, struct rc_queue *queue)
{
    atomic_fetch_and_explicit(&queue->grown_for, (uint_fast8_t)~reader->bit, memory_order_acq_rel);
}

void rc_log_readers_note(struct rc_log_readers *readers, const struct rc_append *appends, uint32_t count)
{
    pthread_mutex_lock(&readers->mutex);
    uint_fast8_t all = 0;
    for (int r = 0; r < RC_LOG_READERS_MAX; r++)
        if (readers->slots[r] != NULL)
            all |= readers->slots[r]->bit;
    for (uint32_t i = 0; i < count && all != 0; i++) {
        struct rc_queue *queue = appends[i].queue;
        uint_fast8_t told = atomic_fetch_or_explicit(&queue->grown_for, all, memory_order_acq_rel);
        for (int r = 0; r < RC_LOG_READERS_MAX && (all & ~told) != 0; r++)
            if (readers->slots[r] != NULL && (told & readers->slots[r]->bit) == 0)
                add(readers->slots[r], queue);
    }
    pthread_mutex_unlock(&readers->mutex);
}

void rc_log_readers_wake(struct rc_log_readers *readers)
{
    pthread_mutex_lock(&readers->mutex);
    for (int r = 0; r < RC_LOG_READERS_MAX; r++) {
        struct rc_log_reader *reader = readers->slots[r];
        if (reader == NULL || reader->next == NULL)
            continue;
        atomic_fetch_add_explicit(&reader->refs, 1, memory_order_relaxed);
        rc_loop_post(reader->loop, &reader->next->mail);
        reader->next = NULL;
    }
    pthread_mutex_unlock(&readers->mutex);
}

void rc_log_readers_init(struct rc_log_readers *readers)
{
    *readers = (struct rc_log_readers){.slots = {NULL}};
    pthread_mutex_init(&readers->mutex, NULL);
}

void rc_log_readers_free(struct rc_log_readers *readers)
{
    pthread_mutex_destroy(&readers->mutex);
}

/* An earlier reader with the same bit may have rested. */
static void await_all(struct rc_topic *topic, void *arg)
{
    const struct rc_log_reader *reader = arg;
    for (uint32_t i = 0; i < rc_topic_queue_count(topic); i++)
        atomic_fetch_and_explicit(&rc_topic_queue(topic, i)->grown_for, (uint_fast8_t)~reader->bit,
                                  memory_order_acq_rel);
}

int rc_log_reader_create(struct rc_log_writer *writer, struct rc_loop *loop,
                         void (*on_grown)(struct rc_queue *queue, void *arg), void *arg,
                         struct rc_log_reader **ret)
{
    struct rc_log_readers *readers = rc_log_writer_readers(writer);
    int err = RC_ERR_FULL;
    pthread_mutex_lock(&readers->mutex);
    for (int r = 0; r < RC_LOG_READERS_MAX && err != RC_OK; r++) {
        if (readers->slots[r] != NULL)
            continue;
        struct rc_log_reader *reader = rc_new(struct rc_log_reader);
        *reader = (struct rc_log_reader){
            .writer = writer, .loop = loop, .on_grown = on_grown, .arg = arg, .bit = (uint8_t)(1u << r)};
        atomic_init(&reader->refs, 1);
        rc_store_each_topic(rc_log_writer_store(writer), await_all, reader);
        readers->slots[r] = reader;
        *ret = reader;
        err = RC_OK;
    }
    pthread_mutex_unlock(&readers->mutex);
    if (err == RC_OK)
        rc_log_writer_retain(writer);
    return err;
}

/* The bits of queues that will not be told any more, so that the slot can be used again. */
static void forget(struct rc_log_reader *reader)
{
    struct wake *wake = reader->next;
    if (wake == NULL)
        return;
    for (uint32_t i = 0; i < wake->count; i++)
        atomic_fetch_and_explicit(&wake->queues[i]->grown_for, (uint_fast8_t)~reader->bit,
                                  memory_order_acq_rel);
    free(wake->queues);
    free(wake);
    reader->next = NULL;
}

void rc_log_reader_destroy(struct rc_log_reader *reader)
{
    if (reader == NULL)
        return;
    struct rc_log_readers *readers = rc_log_writer_readers(reader->writer);
    pthread_mutex_lock(&readers->mutex);
    for (int r = 0; r < RC_LOG_READERS_MAX; r++)
        if (readers->slots[r] == reader)
            readers->slots[r] = NULL;
    forget(reader);
    pthread_mutex_unlock(&readers->mutex);
    rc_log_writer_release(reader->writer);
    reader->is_dead = true;
    release(reader);
}
