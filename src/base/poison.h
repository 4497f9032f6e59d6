/*
 * Marks memory that nobody may touch, for the address sanitizer: a buffer that is larger than what it holds
 * hides reads behind the end otherwise. Nothing without the sanitizer.
 */
#ifndef RC_BASE_POISON_H
#define RC_BASE_POISON_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define RC_HAS_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RC_HAS_POISON 1
#endif
#endif

#ifdef RC_HAS_POISON
#include <sanitizer/asan_interface.h>
#endif

static inline void rc_poison(void *ptr, size_t len)
{
#ifdef RC_HAS_POISON
    __asan_poison_memory_region(ptr, len);
#else
    (void)ptr, (void)len;
#endif
}

static inline void rc_unpoison(void *ptr, size_t len)
{
#ifdef RC_HAS_POISON
    __asan_unpoison_memory_region(ptr, len);
#else
    (void)ptr, (void)len;
#endif
}

#endif
