#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

static void *checked(void *ptr, size_t size)
{
    if (ptr == NULL && size != 0) {
        fprintf(stderr, "rollcall: out of memory (%zu bytes asked for)\n", size);
        abort();
    }
    return ptr;
}

void *rc_malloc(size_t size)
{
    return checked(malloc(size ? size : 1), size ? size : 1);
}

/*
 * glibc's calloc passes by the thread's cache of small pieces (until 2.41) and takes the arena's lock: for
 * what comes and goes with each connection, malloc and clearing it are several times faster.
 */
enum { CACHED_MAX = 1024 };

void *rc_calloc(size_t count, size_t size)
{
    if (count == 0 || size == 0)
        count = size = 1;
    if (count > CACHED_MAX || size > CACHED_MAX || count * size > CACHED_MAX)
        return checked(calloc(count, size), size);
    return memset(rc_malloc(count * size), 0, count * size);
}

void *rc_realloc(void *ptr, size_t size)
{
    size = size ? size : 1;
    return checked(realloc(ptr, size), size);
}

char *rc_strdup(const char *str)
{
    return rc_strndup(str, strlen(str));
}

char *rc_strndup(const void *ptr, size_t len)
{
    char *copy = rc_malloc(len + 1);
    if (len > 0)
        memcpy(copy, ptr, len);
    copy[len] = '\0';
    return copy;
}
