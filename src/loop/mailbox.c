#include "loop/mailbox.h"

#include "base/error.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

int rc_mailbox_init(struct rc_mailbox *mailbox)
{
    atomic_init(&mailbox->newest, NULL);
    mailbox->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return mailbox->wake_fd < 0 ? rc_err_from_errno(errno) : RC_OK;
}

void rc_mailbox_close(struct rc_mailbox *mailbox)
{
    close(mailbox->wake_fd);
}

void rc_mailbox_wake(struct rc_mailbox *mailbox)
{
    uint64_t one = 1;
    /* The counter would be full after 2^64 - 2 wakes: this does not fail. */
    ssize_t written = write(mailbox->wake_fd, &one, sizeof(one));
    (void)written;
}

void rc_mailbox_post(struct rc_mailbox *mailbox, struct rc_mail *mail)
{
    struct rc_mail *head = atomic_load_explicit(&mailbox->newest, memory_order_relaxed);
    do {
        mail->next = head;
        /* release: the receiver, which acquires, sees what the sender wrote into the message */
    } while (!atomic_compare_exchange_weak_explicit(&mailbox->newest, &head, mail, memory_order_release,
                                                    memory_order_relaxed));
    if (head == NULL)
        rc_mailbox_wake(mailbox);
}

struct rc_mail *rc_mailbox_take(struct rc_mailbox *mailbox)
{
    if (atomic_load_explicit(&mailbox->newest, memory_order_relaxed) == NULL)
        return NULL;
    struct rc_mail *newest = atomic_exchange_explicit(&mailbox->newest, NULL, memory_order_acquire);
    struct rc_mail *oldest = NULL;
    while (newest != NULL) {
        struct rc_mail *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}
