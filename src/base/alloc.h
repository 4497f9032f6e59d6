/*
 * Allocation. Sizes that come from outside are checked against a named limit before they reach these, so
 * running out of memory is a sizing fault of the machine: the process says so and aborts (the log makes that
 * safe). All memory from here is released with free().
 */
#ifndef RC_BASE_ALLOC_H
#define RC_BASE_ALLOC_H

#include <stddef.h>
#include <stdlib.h>

void *rc_malloc(size_t size) __attribute__((malloc, returns_nonnull, alloc_size(1)));
void *rc_calloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull, alloc_size(1, 2)));
void *rc_realloc(void *ptr, size_t size) __attribute__((returns_nonnull, alloc_size(2)));
char *rc_strdup(const char *str) __attribute__((malloc, returns_nonnull));
/* A NUL-terminated copy of `len` bytes. */
char *rc_strndup(const void *ptr, size_t len) __attribute__((malloc, returns_nonnull));

#define rc_new(type) ((type *)rc_calloc(1, sizeof(type)))

#endif
