/*
 * The tokens that a client is here by: what they allow, when they end, and how they are renewed. A
 * connection's own; on its broker's loop.
 *
 * Some minutes before a token ends the client is told ($SYS/tokenExpireNotice), once. It may send another one
 * of the type ($SYS/uploadToken). When one counts no more (it ended, was revoked, ...) the client is told why
 * ($SYS/tokenInvalidNotice) and closed. Neither needs a subscription.
 */
#ifndef RC_BROKER_TOKENS_H
#define RC_BROKER_TOKENS_H

#include "auth/mqtt_auth.h"

struct rc_conn;
struct rc_client_tokens;

#define RC_TOKEN_UPLOAD_TOPIC "$SYS/uploadToken"

enum { RC_TOKEN_NOTICE_MS = 5 * 60 * 1000 };

/* Keeps what the login presented, which was checked before. False: it does not count any more. */
bool rc_tokens_open(struct rc_conn *conn, const struct rc_auth_login *login);
/* Whether it came by token. */
bool rc_tokens_has(const struct rc_conn *conn);
/* The client is online: notices may be sent. Harmless without tokens, as is the one below. */
void rc_tokens_start(struct rc_conn *conn);
void rc_tokens_close(struct rc_conn *conn);

/* Whether one of them allows this (RC_ACL_READ or _WRITE). */
bool rc_tokens_allow(const struct rc_conn *conn, uint8_t action, struct rc_slice topic);
/* A payload for RC_TOKEN_UPLOAD_TOPIC: false when the client was closed for it. */
bool rc_tokens_upload(struct rc_conn *conn, struct rc_slice payload);
/* The catalog has changed: false when the client was closed. */
bool rc_tokens_review(struct rc_conn *conn);

#endif
