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

void *rc_calloc(size_t count, size_t size)
{
    if (count == 0 || size == 0)
        count = size = 1;
    return checked(calloc(count, size), size);
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
