#include "net/output.h"

#include "base/alloc.h"
#include "base/error.h"

#include <sys/epoll.h>

/* A piece holds its own bytes (release NULL, they follow the struct) or refers to another's. */
struct piece {
    struct piece *next;
    const uint8_t *ptr; /* first byte not yet written */
    size_t len;
    size_t room; /* free bytes behind ptr + len; 0 for a reference */
    void (*release)(void *arg);
    void *arg;
};

struct rc_output_queue {
    struct piece *first, *last;
    size_t pending;
};

size_t rc_output_pending(const struct rc_output *output)
{
    return output->queue ? output->queue->pending : 0;
}

static struct piece *add_piece(struct rc_output *output, size_t room)
{
    struct piece *piece = rc_malloc(sizeof(*piece) + room);
    *piece = (struct piece){.ptr = (const uint8_t *)(piece + 1), .room = room};
    if (output->queue == NULL)
        output->queue = rc_new(struct rc_output_queue);
    if (output->queue->last == NULL)
        output->queue->first = piece;
    else
        output->queue->last->next = piece;
    output->queue->last = piece;
    return piece;
}

uint8_t *rc_output_reserve(struct rc_output *output, size_t len)
{
    struct piece *piece = output->queue ? output->queue->last : NULL;
    if (piece == NULL || piece->room < len) {
        /* Doubling keeps the number of pieces, and of writes, small for a peer that falls behind. */
        size_t room = piece == NULL ? RC_OUTPUT_FIRST_BYTES : 2 * RC_OUTPUT_COPY_MAX;
        if (rc_output_pending(output) > 16 * RC_OUTPUT_COPY_MAX)
            room = 16 * RC_OUTPUT_COPY_MAX;
        piece = add_piece(output, len > room ? len : room);
    }
    uint8_t *at = (uint8_t *)(uintptr_t)piece->ptr + piece->len;
    piece->len += len;
    piece->room -= len;
    output->queue->pending += len;
    return at;
}

void rc_output_put(struct rc_output *output, const void *bytes, size_t len)
{
    if (len > 0)
        memcpy(rc_output_reserve(output, len), bytes, len);
}

void rc_output_put_ref(struct rc_output *output, struct rc_slice bytes, void (*release)(void *arg), void *arg)
{
    if (bytes.len <= RC_OUTPUT_COPY_MAX) {
        rc_output_put(output, bytes.ptr, bytes.len);
        release(arg);
        return;
    }
    struct piece *piece = add_piece(output, 0);
    piece->ptr = bytes.ptr;
    piece->len = bytes.len;
    piece->release = release;
    piece->arg = arg;
    output->queue->pending += bytes.len;
}

static void drop_first(struct rc_output_queue *queue)
{
    struct piece *piece = queue->first;
    queue->first = piece->next;
    if (queue->first == NULL)
        queue->last = NULL;
    if (piece->release != NULL)
        piece->release(piece->arg);
    free(piece);
}

static void drop_written(struct rc_output_queue *queue, size_t written)
{
    queue->pending -= written;
    while (queue->first != NULL && queue->first->len <= written) {
        written -= queue->first->len;
        drop_first(queue);
    }
    if (written > 0) {
        queue->first->ptr += written;
        queue->first->len -= written;
    }
}

/* At most `max` bytes. */
static ssize_t write_some(struct rc_output_queue *queue, struct rc_stream *stream, size_t max,
                          size_t *ret_asked)
{
    struct iovec iov[RC_OUTPUT_IOV_MAX];
    int count = 0;
    *ret_asked = 0;
    for (struct piece *piece = queue->first; piece != NULL && count < RC_OUTPUT_IOV_MAX && *ret_asked < max;
         piece = piece->next) {
        size_t len = piece->len < max - *ret_asked ? piece->len : max - *ret_asked;
        iov[count++] = (struct iovec){.iov_base = (void *)(uintptr_t)piece->ptr, .iov_len = len};
        *ret_asked += len;
    }
    return rc_stream_writev(stream, iov, count);
}

int rc_output_flush(struct rc_output *output, struct rc_stream *stream)
{
    return rc_output_flush_part(output, stream, 0);
}

int rc_output_flush_part(struct rc_output *output, struct rc_stream *stream, size_t keep)
{
    size_t flushed = 0;
    while (rc_output_pending(output) > keep) {
        size_t asked;
        ssize_t written = write_some(output->queue, stream, output->queue->pending - keep, &asked);
        if (written < 0 && written != RC_ERR_AGAIN)
            return (int)written;
        if (written > 0) {
            drop_written(output->queue, (size_t)written);
            flushed += (size_t)written;
        }
        if (written == RC_ERR_AGAIN || (size_t)written < asked ||
            (flushed >= RC_OUTPUT_TURN_MAX && rc_output_pending(output) > keep)) {
            int err = rc_stream_want(stream, stream->watch.events | EPOLLOUT);
            return err == RC_OK ? RC_ERR_AGAIN : RC_ERR_IO;
        }
    }
    if (rc_output_pending(output) == 0)
        rc_output_free(output);
    if (stream->watch.events & EPOLLOUT)
        return rc_stream_want(stream, stream->watch.events & ~(uint32_t)EPOLLOUT);
    return RC_OK;
}

void rc_output_free(struct rc_output *output)
{
    if (output->queue == NULL)
        return;
    while (output->queue->first != NULL)
        drop_first(output->queue);
    free(output->queue);
    output->queue = NULL;
}

void rc_output_drop_last(struct rc_output *output, size_t len)
{
    struct rc_output_queue *queue = output->queue;
    size_t left = rc_output_pending(output) - len; /* to be kept */
    if (len == 0)
        return;
    if (left == 0) {
        rc_output_free(output);
        return;
    }
    queue->pending = left;
    struct piece *piece = queue->first;
    for (; left > piece->len; piece = piece->next)
        left -= piece->len;
    piece->len = left;
    piece->room = 0; /* whatever stood behind */
    while (piece->next != NULL) {
        struct piece *next = piece->next;
        piece->next = next->next;
        if (next->release != NULL)
            next->release(next->arg);
        free(next);
    }
    queue->last = piece;
}
