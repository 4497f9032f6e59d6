/*
 * Topic rules of an instance: who may read and write what. The rules are gone through in order and the first
 * that fits decides; when none fits, the answer is no. An instance without rules allows everything. No I/O,
 * any thread that holds the catalog.
 *
 * A rule's topic is an MQTT filter whose levels may hold %c (the client id), %u (the user name; nobody
 * anonymous fits then) and %% (a percent sign). What stands in for them is plain text: a client called "+"
 * gets no wildcard, and one called "a/b" no further level.
 *
 * A subscription is checked when it is made. A rule fits when it covers every topic that the filter could
 * take. One that denies and covers only some of them does not end the search: what is then allowed is allowed
 * partly, and each message of such a subscription has to be asked for. All others can never bring a message
 * that their reader may not see, and nothing is asked for each delivery.
 */
#ifndef RC_AUTH_ACL_H
#define RC_AUTH_ACL_H

#include "catalog/catalog.h"

struct rc_acl_who {
    struct rc_slice user; /* empty: anonymous, or came by signature */
    struct rc_slice client_id;
};

enum rc_acl_answer { RC_ACL_DENIED, RC_ACL_ALLOWED, RC_ACL_ALLOWED_PARTLY };

/* `topic`: a valid name (RC_ACL_WRITE), or a valid filter without $share (RC_ACL_READ). */
enum rc_acl_answer rc_acl_ask(const struct rc_instance *instance, const struct rc_acl_who *who,
                              uint8_t action, struct rc_slice topic);
/* Whether all of it is allowed. */
bool rc_acl_allows(const struct rc_instance *instance, const struct rc_acl_who *who, uint8_t action,
                   struct rc_slice topic);

/* The same walk for plain filters, without placeholders: takes all that the other takes / may meet it. */
bool rc_acl_filter_covers(struct rc_slice filter, struct rc_slice asked);
bool rc_acl_filter_meets(struct rc_slice filter, struct rc_slice asked);

/*
 * What a custom identity may use: permissions of the client id and of the user name (empty: none). One that
 * denies wins over any that allow; without one that allows the answer is no.
 */
bool rc_acl_custom_allows(const struct rc_instance *instance, const struct rc_acl_who *who, uint8_t action,
                          struct rc_slice topic);

/* Whether a text fits a pattern with * (any run of bytes) and ? (one byte). */
bool rc_acl_pattern_fits(struct rc_slice pattern, struct rc_slice text);

/* Whether a rule may have that topic: a valid filter, % only as said above. */
bool rc_acl_topic_is_valid(struct rc_slice topic);

#endif
