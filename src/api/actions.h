/*
 * Actions: what the table of them says of one, and the functions that do them. All on the API's thread, but
 * for rc_store_*: those run on the RocketMQ endpoint's worker, where files may be waited for.
 */
#ifndef RC_API_ACTIONS_H
#define RC_API_ACTIONS_H

#include "api/api_private.h"
#include "rocketmq/tenancy.h"
#include "store/store.h"

enum rc_api_action_flag {
    RC_ACTION_OWN = 1,    /* Rollcall's: without InstanceId it is about the key's own */
    RC_ACTION_WRITES = 2, /* not for read-only keys */
    RC_ACTION_ADMIN = 4,  /* for administrators' keys alone */
};

/* What a job on the worker has: it fills call->answer. */
struct rc_store_work {
    struct rc_api_call *call;
    struct rc_store *store;
    struct rc_tenancy tenancy; /* of the call's instance, claiming nothing */
    struct rc_error error;     /* a sentence for the caller */
};
typedef int rc_store_fn(struct rc_store_work *work); /* 0 or a negative rc_err */

struct rc_api_action {
    const char *name;
    bool may_get, may_post;
    uint16_t per_second;  /* of one key */
    const char *instance; /* the parameter that holds the instance id; NULL when it takes none */
    const char *needs;    /* parameters that must be there, with blanks between them */
    uint8_t flags;
    void (*run)(struct rc_api_call *call); /* or */
    rc_store_fn *store;
};

/* NULL when there is none. ---- openapi_actions.c ---- */
const struct rc_api_action *rc_api_action_find(const char *name);

/* ---- store_work.c: runs `work` on the worker and answers ---- */
void rc_api_call_store(struct rc_api_call *call, rc_store_fn *work);

/* ---- actions_session.c ---- */
void rc_action_query_session(struct rc_api_call *call);
void rc_action_batch_query_session(struct rc_api_call *call);
void rc_action_describe_clients(struct rc_api_call *call);
void rc_action_close_connection(struct rc_api_call *call);
void rc_action_list_online_clients(struct rc_api_call *call);
void rc_action_count_online_clients(struct rc_api_call *call);

/* ---- actions_trace.c ---- */
void rc_action_trace_device(struct rc_api_call *call);
void rc_action_trace_message(struct rc_api_call *call);

/* ---- actions_rule.c ---- */
void rc_action_list_rules(struct rc_api_call *call);
void rc_action_replay_rule(struct rc_api_call *call);

/* ---- actions_rule_drop.c ---- */
void rc_action_drop_rule_messages(struct rc_api_call *call);

/* ---- actions_instance.c ---- */
void rc_action_list_instances(struct rc_api_call *call);
void rc_action_list_groups(struct rc_api_call *call);

/* ---- actions_message.c ---- */
void rc_action_send_message(struct rc_api_call *call);

/* ---- actions_rocketmq.c: topics and consumer groups of the embedded endpoint ---- */
rc_store_fn rc_store_list_rmq_topics, rc_store_create_rmq_topic, rc_store_delete_rmq_topic;
rc_store_fn rc_store_list_groups, rc_store_create_group, rc_store_delete_group;

/* ---- actions_consumer.c: what one consumer group has read ---- */
void rc_action_describe_group(struct rc_api_call *call);
rc_store_fn rc_store_reset_offset, rc_store_list_dead_letters;

#endif
