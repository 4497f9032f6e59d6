/* The writer's side of readers: which of them to tell of which queues. */
#ifndef RC_STORE_LOG_READER_H
#define RC_STORE_LOG_READER_H

#include "store/consume_queue.h"
#include "store/log_writer.h"

struct rc_log_readers {
    pthread_mutex_t mutex; /* taken by the writer once a turn, and when a reader comes or goes */
    struct rc_log_reader *slots[RC_LOG_READERS_MAX];
};

void rc_log_readers_init(struct rc_log_readers *readers);
void rc_log_readers_free(struct rc_log_readers *readers);
/* The writer's thread: notes that these queues have grown, then tells the readers that do not know it yet. */
void rc_log_readers_note(struct rc_log_readers *readers, const struct rc_append *appends, uint32_t count);
void rc_log_readers_wake(struct rc_log_readers *readers);

struct rc_log_readers *rc_log_writer_readers(struct rc_log_writer *writer);
struct rc_store *rc_log_writer_store(struct rc_log_writer *writer);

#endif
