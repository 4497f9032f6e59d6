/* Hashes: a seeded one for tables in memory, one for files, and Java's for what clients of RocketMQ must
 * agree on. */
#ifndef RC_BASE_HASH_H
#define RC_BASE_HASH_H

#include "base/slice.h"

/* SipHash-1-3 of `data` with this process's random seed. Never store it and never send it. */
uint64_t rc_hash(struct rc_slice data);

/*
 * For what is kept in files: not seeded, the same on every machine. Goes on from `hash`, which is 0 for the
 * first of several texts. Any half of it is as good as the whole; but who chooses the texts can make them
 * collide.
 */
uint64_t rc_hash_kept(uint64_t hash, struct rc_slice data);

/* Java's String.hashCode of UTF-8 text (over its UTF-16 units; malformed bytes count as U+FFFD). */
int32_t rc_hash_java(struct rc_slice utf8);

/* The queue of a key among `count` > 0 queues: rc_hash_java without its sign bit, modulo count. */
uint32_t rc_hash_java_queue(struct rc_slice key, uint32_t count);

#endif
