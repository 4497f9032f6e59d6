/* Intrusive doubly linked list: a head is a node that points to itself. Not thread-safe. */
#ifndef RC_BASE_LIST_H
#define RC_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct rc_list {
    struct rc_list *next, *prev;
};

#define rc_container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void rc_list_init(struct rc_list *node)
{
    node->next = node->prev = node;
}

static inline bool rc_list_is_empty(const struct rc_list *head)
{
    return head->next == head;
}

/* True while the node is in some list (it must have been initialised or zeroed). */
static inline bool rc_list_is_linked(const struct rc_list *node)
{
    return node->next != NULL && node->next != node;
}

static inline void rc_list_push_back(struct rc_list *head, struct rc_list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

/* Unlinks; harmless on a node that is in no list. */
static inline void rc_list_remove(struct rc_list *node)
{
    if (node->next == NULL)
        return;
    node->prev->next = node->next;
    node->next->prev = node->prev;
    rc_list_init(node);
}

/* All nodes of `from` go to the back of `head`; `from` is empty then. */
static inline void rc_list_splice_back(struct rc_list *head, struct rc_list *from)
{
    if (rc_list_is_empty(from))
        return;
    from->next->prev = head->prev;
    head->prev->next = from->next;
    from->prev->next = head;
    head->prev = from->prev;
    rc_list_init(from);
}

static inline struct rc_list *rc_list_pop_front(struct rc_list *head)
{
    struct rc_list *node = head->next;
    if (node == head)
        return NULL;
    rc_list_remove(node);
    return node;
}

#define rc_list_for_each(node, head)                                                                         \
    for (struct rc_list *node = (head)->next; node != (head); node = node->next)

/* Allows the current node to be removed. */
#define rc_list_for_each_safe(node, head)                                                                    \
    for (struct rc_list *node = (head)->next, *node##_next = node->next; node != (head);                     \
         node = node##_next, node##_next = node->next)

#endif
