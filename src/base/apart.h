/*
 * For a function that its only caller seldom needs. Compiled into that caller it would cost each call of it
 * the registers and the stack that it takes.
 */
#ifndef RC_BASE_APART_H
#define RC_BASE_APART_H

#define RC_APART __attribute__((noinline))

#endif
